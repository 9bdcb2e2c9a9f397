// The demo's disk images, made by the script that the demo uses.
#include "run_program.hpp"

#include <gtest/gtest.h>
#include <test_paths.hpp>

#include <chrono>
#include <thread>

namespace {

const std::string make_images = TEST_SOURCE_DIR "/platforms/riscv_virt/demo/make-images";
const std::string find_tools = "PATH=$PATH:/usr/sbin:/sbin; ";

class DemoImages : public testing::Test {
protected:
  DemoImages() {
    std::filesystem::create_directories(source());
    std::ofstream(source() / "text") << "a file\n";
    std::ofstream(source() / "other") << "another file\n";
  }

  std::filesystem::path source() const { return folder.path / "source"; }

  std::filesystem::path make(const std::string& name) {
    const auto made = folder.path / name;
    const ProgramResult result =
        run_shell(make_images + " " + made.string() + " " + source().string());
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return made;
  }

  TemporaryFolder folder;
};

TEST_F(DemoImages, AreByteIdenticalWhenMadeTwice) {
  const auto first = make("first");
  // Past the next second of the clock, with sources that are newer.
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  std::ofstream(source() / "text") << "a file\n";
  const auto second = make("second");
  for (const char* image : {"ext4.img", "fat.img"}) {
    EXPECT_GT(std::filesystem::file_size(first / image), 1u << 20);
    EXPECT_TRUE(content_of(first / image) == content_of(second / image)) << image;
  }
}

TEST_F(DemoImages, HoldTheSourcesAndAnEmptyFatPartition) {
  const auto made = make("images");
  const ProgramResult text =
      run_shell(find_tools + "debugfs -R 'cat /licences/text' " + (made / "ext4.img").string());
  EXPECT_EQ(text.out, "a file\n") << text.err;
  const std::string partition = (made / "fat.img").string() + "@@1M";
  EXPECT_EQ(run_shell("mdir -i " + partition + " ::").exit_code, 0);
  EXPECT_EQ(run_shell("mtype -i " + partition + " ::text").exit_code, 1);
}

TEST_F(DemoImages, NeedASourceThatExists) {
  const ProgramResult result =
      run_shell(make_images + " " + folder.path.string() + " /nonexistent");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("there is no folder /nonexistent"), std::string::npos) << result.err;
}

} // namespace
