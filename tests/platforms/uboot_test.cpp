// Debian's unmodified U-Boot on the CPU: the firmware that the platform is for.
#include "platforms/riscv_virt_bench.hpp"

#include <gtest/gtest.h>

namespace virtio::platform {
namespace {

constexpr const char* firmware = "/usr/lib/u-boot/qemu-riscv64/u-boot.bin";

TEST(UBoot, ReachesItsPromptAndRunsWhatTheScriptTypes) {
  std::ifstream file(firmware, std::ios::binary);
  ASSERT_TRUE(file) << firmware << " is missing: apt-get install u-boot-qemu";
  const std::vector<char> image{std::istreambuf_iterator<char>(file), {}};

  test::Bench bench;
  bench.load(0, std::as_bytes(std::span(image)));
  bench.load(test::Bench::device_tree_offset, make_device_tree({.ram_size = test::Bench::ram_size,
                                                                .reserved_size = 16ull << 20,
                                                                .timebase_frequency = 10'000'000,
                                                                .virtio_slots = {},
                                                                .pcie = false,
                                                                .bootargs = {}}));
  const sc_core::sc_time limit(10, sc_core::SC_SEC);
  ConsoleScript script("script", {{"Hit any key to stop autoboot", false, "\n", limit},
                                  {"=> ", false, "version\n", limit},
                                  {"GNU ld", false, "", limit},
                                  {"=> ", false, "bdinfo\n", limit},
                                  {"reserved.*0x8f000000", true, "", limit},
                                  {"=> ", false, "poweroff\n", limit}});
  bool powered_off = false;
  script.on_send = [&](std::string_view bytes) { bench.uart.receive(bytes); };
  script.on_end = [&] {
    if (script.failure()) bench.cpu.stop();
  };
  bench.uart.on_transmit = [&](std::uint8_t byte, sc_core::sc_time time) {
    bench.log.add(byte, time);
    script.print(byte);
  };
  bench.finisher.on_request = [&](Finisher::Request request, std::uint16_t) {
    powered_off = request == Finisher::Request::poweroff;
    bench.cpu.stop();
  };
  sc_core::sc_start(sc_core::sc_time(60, sc_core::SC_SEC));

  std::string lines;
  for (const auto& line : bench.log.last_lines(60))
    lines += line + "\n";
  EXPECT_EQ(script.failure().value_or(""), "") << lines;
  EXPECT_TRUE(script.done());
  EXPECT_TRUE(powered_off) << lines;
  EXPECT_EQ(bench.cpu.failure().value_or(""), "");
  if (getenv("SHOW"))
    printf("%s%llu instr\n", lines.c_str(), (unsigned long long)bench.cpu.instructions());
}

} // namespace
} // namespace virtio::platform
