// The program from outside: exit codes, messages, and what the platform's executable is started
// with.
#include "run_program.hpp"

#include <gtest/gtest.h>
#include <test_paths.hpp>

namespace {

// A copy of the program in a folder of its own, beside it a platform that prints its arguments and
// returns 1.
class Program : public testing::Test {
protected:
  Program() {
    std::filesystem::copy(TEST_BIN_DIR "/virtio-tlm", folder.path / "virtio-tlm");
    folder.write("firmware.bin", "firmware");
    file =
        folder.write("p.toml", "[platform]\nkind = \"riscv_virt\"\nfirmware = \"firmware.bin\"\n");
  }

  void add_platform(const std::string& name) {
    const auto script = folder.write(name, "#!/bin/sh\nprintf '<%s>' \"$@\"\nexit 1\n");
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  }

  ProgramResult run(const std::string& arguments) {
    return run_shell((folder.path / "virtio-tlm").string() + " " + arguments);
  }

  TemporaryFolder folder;
  std::filesystem::path file;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(Program, SaysItsVersion) {
  const ProgramResult result = run("--version");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out.find("virtio-tlm "), 0u) << result.out;
}

TEST_F(Program, HelpTeachesWithExamples) {
  for (const char* command : {"", "run", "sweep", "params", "pcie"}) {
    const ProgramResult result = run(std::string(command) + " --help");
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_TRUE(contains(result.out, "Example")) << result.out;
  }
}

TEST_F(Program, BadUsageIsTwoAndNothingIsRun) {
  add_platform("virtio-tlm-riscv-virt");
  for (const std::string usage :
       {"", "bogus", "run", "params platfrom", "run --bogus", "run p.toml --set x",
        "run p.toml --set =3", "run p.toml --out"}) {
    const ProgramResult result = run(usage);
    EXPECT_EQ(result.exit_code, 2) << usage;
    EXPECT_EQ(result.out, "") << usage;
    EXPECT_NE(result.err, "") << usage;
  }
}

TEST_F(Program, AnOverrideWithoutPathOrValueShowsHowToWriteIt) {
  for (const std::string text : {"x", "=3"}) {
    const ProgramResult result = run("run " + file.string() + " --set " + text);
    EXPECT_EQ(result.err,
              "--set " + text + ": write it as path=value, like --set platform.seed=3\n");
  }
}

TEST_F(Program, AWrongConfigurationIsTwoWithEveryErrorAndTheirNumber) {
  add_platform("virtio-tlm-riscv-virt");
  folder.write("p.toml",
               "[platform]\nkind = \"riscv_virt\"\nfirmware = \"firmware.bin\"\nram = 3\n");
  const ProgramResult result = run("run " + file.string() + " --seed x");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(contains(result.err, file.string() + ":4:7: platform.ram: needs a unit"))
      << result.err;
  EXPECT_TRUE(contains(result.err, "--set platform.seed: must be a whole number")) << result.err;
  EXPECT_TRUE(contains(result.err, "2 errors, nothing was run")) << result.err;
}

TEST_F(Program, StartsThePlatformBesideItWithTheSameArgumentsAndReturnsItsExitCode) {
  add_platform("virtio-tlm-riscv-virt");
  const ProgramResult result = run("run --set 'platform.ram=64 MiB' " + file.string() +
                                   " --set platform.seed=2 --out o --json --seed 3");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "<--set><platform.ram=64 MiB><" + file.string() +
                            "><--set><platform.seed=2><--out><o><--json><--seed><3>");
}

TEST_F(Program, StartsThePlatformInLibexec) {
  std::filesystem::create_directories(folder.path / "bin");
  std::filesystem::create_directories(folder.path / "libexec");
  std::filesystem::rename(folder.path / "virtio-tlm", folder.path / "bin/virtio-tlm");
  add_platform("libexec/virtio-tlm-riscv-virt");
  const ProgramResult result =
      run_shell((folder.path / "bin/virtio-tlm").string() + " run " + file.string());
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_EQ(result.out, "<" + file.string() + ">");
}

TEST_F(Program, WithoutThePlatformsExecutableSaysWhatBuildsIt) {
  const ProgramResult result = run("run " + file.string());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(contains(result.err, "virtio-tlm-riscv-virt is neither beside")) << result.err;
  EXPECT_TRUE(contains(result.err, "./quickstart build")) << result.err;
}

TEST_F(Program, ParamsListsAllComponentsOrOne) {
  const ProgramResult all = run("params");
  EXPECT_EQ(all.exit_code, 0);
  EXPECT_TRUE(contains(all.out, "platform.ram") && contains(all.out, "device.NAME.mtu")) << all.out;
  const ProgramResult net = run("params net");
  EXPECT_EQ(net.exit_code, 0);
  EXPECT_TRUE(contains(net.out, "device.NAME.mtu")) << net.out;
  EXPECT_TRUE(contains(net.out, "bytes: 68 .. 65535; default 1500")) << net.out;
  EXPECT_TRUE(contains(net.out, "[device.features] with type = \"net\"")) << net.out;
  EXPECT_TRUE(contains(net.out, "device.NAME.features.mrg_rxbuf")) << net.out;
  EXPECT_FALSE(contains(net.out, "platform.ram")) << net.out;
  EXPECT_FALSE(contains(net.out, "features.packed")) << net.out;
  EXPECT_TRUE(contains(run("params device").out, "[device.features]\n"));
  EXPECT_EQ(run("params net.features").exit_code, 0);
}

TEST_F(Program, ParamsOfAnUnknownComponentSuggestsOne) {
  const ProgramResult result = run("params blokc");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(contains(result.err, "did you mean \"block\"?")) << result.err;
}

TEST_F(Program, LinksNoUnicorn) {
  const ProgramResult result = run_shell("ldd " TEST_BIN_DIR "/virtio-tlm");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FALSE(contains(result.out, "unicorn")) << result.out;
}

} // namespace
