// The executable of the RISC-V platform as a user meets it: exit codes, what it prints, what it
// leaves behind.
#include "program/run_program.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <pty.h>
#include <sys/wait.h>
#include <test_paths.hpp>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using nlohmann::json;

const std::string prompt_steps = R"(
[[step]]
expect = "Hit any key to stop autoboot"
send = "\n"
)";

std::string step(const std::string& send, const std::string& expect = "=> ") {
  return "[[step]]\nexpect = '" + expect + "'\nsend = \"" + send + "\\n\"\n";
}

#ifdef VIRTIO_TLM_HAS_VQ_ENGINE
const std::vector<std::string> fidelities{"untimed", "timed", "rtl"};
#else
const std::vector<std::string> fidelities{"untimed", "timed"};
#endif

struct RunTest : testing::Test {
  TemporaryFolder folder;
  const std::filesystem::path out = folder.path / "out";

  std::string command(const std::string& toml, const std::string& arguments,
                      const std::filesystem::path& to) const {
    folder.write("platform.toml", "[platform]\nkind = \"riscv_virt\"\n" + toml);
    return TEST_BIN_DIR "/virtio-tlm-riscv-virt " + (folder.path / "platform.toml").string() +
           " --out " + to.string() + " " + arguments;
  }
  ProgramResult run(const std::string& toml, const std::string& arguments = "") const {
    return run_shell(command(toml, arguments, out));
  }
  json summary() const { return json::parse(content_of(out / "summary.json")); }

  /// A disk of two sectors, "original" at the start of the first one, and U-Boot writing "FIRMWARE"
  /// over it.
  std::filesystem::path make_disk() const {
    return folder.write("disk.img", "original" + std::string(1016, '.'));
  }
  static std::string disk_platform(const std::string& media) {
    return "[[media]]\nname = \"disk\"\nfile = \"disk.img\"\n" + media +
           "[[device]]\nname = \"blk0\"\ntype = \"block\"\ntransport = \"mmio\"\nmedia = "
           "\"disk\"\n" +
           prompt_steps + step("virtio scan") +
           step("mw.q 0x84000000 0x455241574d524946") + // FIRMWARE
           step("virtio write 0x84000000 0 1") + step("", "blocks written: OK");
  }
};

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << part << "\" is not in:\n" << text;
}

TEST_F(RunTest, EveryDeviceOnBothTransportsWorksForFirmwareAndForOurDriver) {
  for (const std::string& fidelity : fidelities) {
    std::string toml = "own_driver = true\n";
    for (const std::string transport : {"mmio", "pci"})
      for (const auto& [type, rest] :
           {std::pair<std::string, std::string>{"entropy", ""},
            {"block", "capacity = \"1 MiB\"\n"},
            {"net", "wire = \"dhcp\"\ncapture = \"net-" + transport + ".pcap\"\n"},
            {"console", "input = \"hello\"\n"}})
        toml += "[[device]]\nname = \"" + type + "-" + transport + "\"\ntype = \"" + type +
                "\"\ntransport = \"" + transport + "\"\nfidelity = \"" + fidelity + "\"\n" + rest;
    const auto result = run(toml + prompt_steps + step("virtio scan") + step("virtio info") +
                                step("", "Device 1: .* Block Device") + // not a regular expression
                                step(""),
                            "--set step.4.regex=true");
    EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
    const auto results = summary();
    EXPECT_TRUE(results["ok"]);
    EXPECT_EQ(results["bus_errors"], 0);
    ASSERT_EQ(results["devices"].size(), 8u);
    for (const auto& device : results["devices"]) {
      EXPECT_FALSE(device.contains("error")) << device;
      EXPECT_EQ(device["fidelity"], fidelity);
    }
    ASSERT_EQ(results["own_driver"].size(), 8u);
    for (const auto& trial : results["own_driver"])
      EXPECT_TRUE(trial["ok"]) << trial;
    EXPECT_GT(std::filesystem::file_size(out / "console-pci.log"), 0u);
    EXPECT_TRUE(std::filesystem::exists(out / "net-pci.pcap"));
  }
}

/// U-Boot reads and writes through a link or a bus, whichever protocol the device speaks.
TEST_F(RunTest, TimedDevicesLeaveTheSameBytesOnDiskAsUntimedOnes) {
  make_disk();
  const auto left_by = [&](const std::string& arguments) {
    const auto result = run(disk_platform(""), arguments);
    EXPECT_EQ(result.exit_code, 0) << arguments << result.err;
    return content_of(out / "disk.img");
  };
  const std::string bytes = left_by("");
  EXPECT_EQ(bytes.substr(0, 8), "FIRMWARE");
  EXPECT_FALSE(summary()["devices"][0].contains("bus"));
  for (const std::string transport : {"mmio", "pci"})
    for (const std::string protocol : {"at", "lt", "rtl"}) {
      if (protocol == "rtl" && fidelities.back() != "rtl") continue;
      EXPECT_EQ(left_by("--set device.blk0.transport=" + transport +
                        (protocol == "rtl" ? " --set device.blk0.fidelity=rtl"
                                           : " --set device.blk0.fidelity=timed --set "
                                             "device.blk0.protocol=" +
                                                 protocol)),
                bytes);
      const auto device = summary()["devices"][0];
      // What crossed the way: a sector of data, and rings.
      if (transport == "mmio") {
        EXPECT_GT(device["bus"]["reads"]["bytes"], 512) << device;
        EXPECT_GT(device["bus"]["writes"]["bytes"], 0) << device;
      } else {
        EXPECT_GT(device["link"]["wire_bytes_downstream"], 512) << device;
        EXPECT_GT(device["link"]["wire_bytes_upstream"], 0) << device;
      }
    }
}

/// The time of a slow bus is on the guest's clock: a finer quantum shows it.
TEST_F(RunTest, ASlowBusIsSlowForTheGuest) {
  make_disk();
  const auto simulated = [&](const std::string& clock) {
    const auto result = run(disk_platform(""), "--set device.blk0.fidelity=timed --set "
                                               "platform.cpu.quantum=100 --set "
                                               "platform.bus.clock='" +
                                                   clock + "'");
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const auto steps = summary()["steps_passed"];
    return std::stod(steps[4]["seconds"].get<std::string>()) -
           std::stod(steps[3]["seconds"].get<std::string>());
  };
  const double fast = simulated("1 GHz");
  // At 100 kHz each of a dozen accesses takes 160 us and more.
  EXPECT_GT(simulated("100 kHz"), fast + 0.001);
}

/// The driver resets the device while it looks at its ring, over a bus far slower than its
/// patience.
TEST_F(RunTest, WhatMemoryAnswersAfterAResetGaveItUpIsCounted) {
  const std::string toml = "own_driver = true\n[[device]]\nname = \"d\"\ntype = \"block\"\n"
                           "transport = \"mmio\"\ncapacity = \"1 MiB\"\nfidelity = \"timed\"\n";
  const auto events = [&](const std::string& timeout) {
    const auto result =
        run(toml + prompt_steps + step("virtio scan") + step(""),
            "--set platform.bus.clock='20 kHz' --set device.d.reset_timeout=" + timeout);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return summary()["devices"][0]["events"];
  };
  const auto given_up = events("'1 us'");
  EXPECT_EQ(given_up["reset_timeout"], 1) << given_up;
  EXPECT_EQ(given_up["late_answer"], 1) << given_up;
  EXPECT_FALSE(events("'100 ms'").contains("late_answer"));
}

TEST_F(RunTest, TheQuantumIsPrintedAsTheErrorBoundOfTimes) {
  const auto result = run(prompt_steps);
  expect_contains(result.out, "The CPU runs ahead by up to 0.001000000000 s, its quantum");
  EXPECT_EQ(summary()["quantum_seconds"], "0.001000000000");
  run(prompt_steps, "--set platform.cpu.quantum=250");
  EXPECT_EQ(summary()["quantum_seconds"], "0.000002500000");
}

TEST_F(RunTest, TheTimedExampleReadsBackWhatItWrote) {
  const auto result = run_shell(TEST_BIN_DIR "/virtio-tlm-riscv-virt " TEST_SOURCE_DIR
                                             "/platforms/riscv_virt/examples/timed.toml --out " +
                                out.string());
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const json all = summary();
  for (const auto& device : all["devices"])
    EXPECT_EQ(device["statistics"]["bytes_written"], 16384) << device;
}

// U-Boot 2023.01 sets ACKNOWLEDGE when it finds a device, resets it when it drives it, and then
// sets DRIVER alone (virtio 1.4, 3.1.1, steps 1 to 3). Nothing else of it is wrong, nor of our
// driver.
TEST_F(RunTest, TheDriverCheckerFindsWhatUBootDoesWrongAndNothingElse) {
  make_disk();
  for (const std::string transport : {"mmio", "pci"}) {
    const auto result = run("own_driver = true\ncheck_driver = true\n" + disk_platform(""),
                            "--set device.blk0.transport=" + transport);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const auto violations = summary()["devices"][0]["violations"];
    ASSERT_EQ(violations.size(), 2u) << violations;
    EXPECT_EQ(violations[0]["id"], "GEN-DRV-017");
    EXPECT_EQ(violations[1]["id"], "GEN-DRV-018");
    EXPECT_EQ(violations[0]["count"], 1);
    EXPECT_EQ(violations[1]["count"], 1);
    expect_contains(result.err, "blk0: GEN-DRV-018");
    expect_contains(result.out, "violated: GEN-DRV-018 1 times");
  }
}

TEST_F(RunTest, TheDriverCheckerFindsNothingElseWrongWithUBootsNetwork) {
  std::string toml = "own_driver = true\ncheck_driver = true\n";
  for (const std::string transport : {"mmio", "pci"})
    toml += "[[device]]\nname = \"" + transport + "\"\ntype = \"net\"\ntransport = \"" + transport +
            "\"\nwire = \"dhcp\"\n";
  toml += prompt_steps + step("virtio scan; setenv autoload no; setenv ethact virtio-net#0; dhcp") +
          step("", "DHCP client bound to address") + step("setenv ethact virtio-net#1; dhcp") +
          step("", "DHCP client bound to address");
  const auto result = run(toml);
  EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
  const auto summed_up = summary();
  for (const auto& device : summed_up["devices"]) {
    EXPECT_GE(device["statistics"]["tx_frames"], 2) << device;
    ASSERT_EQ(device["violations"].size(), 2u) << device["violations"];
    EXPECT_EQ(device["violations"][0]["id"], "GEN-DRV-017");
    EXPECT_EQ(device["violations"][1]["id"], "GEN-DRV-018");
  }
}

TEST_F(RunTest, WithoutTheDriverCheckerNothingIsSaidOfViolations) {
  EXPECT_EQ(
      run("[[device]]\nname = \"rng\"\ntype = \"entropy\"\ntransport = \"mmio\"\n" + prompt_steps)
          .exit_code,
      0);
  EXPECT_FALSE(summary()["devices"][0].contains("violations"));
}

TEST_F(RunTest, WhatFirmwareWritesStaysInTheCopy) {
  const auto disk = make_disk();
  const auto result = run(disk_platform(""));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(content_of(disk).substr(0, 8), "original");
  EXPECT_EQ(content_of(out / "disk.img").substr(0, 8), "FIRMWARE");
}

TEST_F(RunTest, WriteThroughChangesTheImageItself) {
  const auto disk = make_disk();
  const auto result = run(disk_platform("write_through = true\n"));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(content_of(disk).substr(0, 8), "FIRMWARE");
  EXPECT_FALSE(std::filesystem::exists(out / "disk.img"));
}

TEST_F(RunTest, ACopyDoesNotReplaceItsOriginal) {
  const auto disk = make_disk();
  const auto result = run_shell(command(disk_platform(""), "", folder.path));
  EXPECT_EQ(result.exit_code, 2);
  expect_contains(result.err, "the working copy of medium \"disk\" would replace");
  EXPECT_EQ(content_of(disk).substr(0, 8), "original");
}

TEST_F(RunTest, AnExpectationThatIsNotMetEndsWithAReport) {
  const auto result =
      run(prompt_steps + step("version") + step("", "no such text") + "timeout = \"100 ms\"\n");
  EXPECT_EQ(result.exit_code, 1);
  expect_contains(result.out, "FAILED: step 3 of 3: expected \"no such text\" on the UART within "
                              "0.100000 s of simulated time");
  expect_contains(result.err, "=> version");
  expect_contains(result.err, "(uart)");
  EXPECT_FALSE(summary()["ok"]);
  EXPECT_EQ(summary()["steps_passed"].size(), 2u);
}

TEST_F(RunTest, TheTimeLimitStopsAGuestThatHangs) {
  const auto result = run("time_limit = \"200 ms\"\n" + prompt_steps +
                          step("while true; do true; done") + step("", "never"));
  EXPECT_EQ(result.exit_code, 1);
  expect_contains(result.out, "FAILED: the time limit of 200 ms of simulated time was reached, in "
                              "step 3 of 3");
  expect_contains(result.err, "while true");
}

TEST_F(RunTest, TheWatchdogStopsAGuestThatPrintsNothing) {
  const auto result = run("watchdog = \"150 ms\"\n" + prompt_steps +
                          step("while true; do true; done") + step("", "never"));
  EXPECT_EQ(result.exit_code, 1);
  expect_contains(result.out, "FAILED: the UART was silent for 150 ms of simulated time");
}

TEST_F(RunTest, PoweringOffIsAnEndOnlyWhenTheScriptIsDone) {
  EXPECT_EQ(run(prompt_steps + step("poweroff") + step("", "never")).exit_code, 1);
  expect_contains(summary()["outcome"], "powered off before the script was done");
  EXPECT_EQ(run("time_limit = \"300 ms\"\n").exit_code, 1)
      << "without a script, U-Boot's shell waits until the time limit";
}

TEST_F(RunTest, AnUnmappedRegisterIsReportedAndReadsAllOnes) {
  const auto result =
      run(prompt_steps + step("md.l 0x00400000 1") + step("", "00400000: ffffffff"));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  expect_contains(result.err, "bus error (TLM_ADDRESS_ERROR_RESPONSE)");
  EXPECT_EQ(summary()["bus_errors"], 1);
}

TEST_F(RunTest, TwoRunsLeaveTheSameBehindAndAnotherSeedDoesNot) {
  const std::string toml =
      "own_driver = true\n[[device]]\nname = \"rng\"\ntype = \"entropy\"\ntransport = \"mmio\"\n" +
      prompt_steps;
  const auto left_by_run = [&](const std::string& arguments) {
    EXPECT_EQ(run(toml, arguments).exit_code, 0);
    return summary()["own_driver"].dump() + content_of(out / "uart.log");
  };
  const auto first = left_by_run("");
  EXPECT_EQ(left_by_run(""), first);
  EXPECT_NE(left_by_run("--seed 2"), first);
}

TEST_F(RunTest, JsonIsAllThatStandardOutputGets) {
  const auto result = run(prompt_steps, "--json");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(json::parse(result.out), summary());
  expect_contains(result.err,
                  "step 1 of 1: wait for \"Hit any key to stop autoboot\", type \"\\n\"");
}

TEST_F(RunTest, MissingFirmwareIsNamedWithWhatInstallsIt) {
  const auto result = run("firmware = \"nowhere/u-boot.bin\"\n");
  EXPECT_EQ(result.exit_code, 2);
  expect_contains(result.err, "nowhere/u-boot.bin");
  expect_contains(result.err, "apt-get install u-boot-qemu");
}

TEST_F(RunTest, FirmwareThatDoesNotFitIsRefused) {
  folder.write("big.bin", std::string(9 << 20, 'x'));
  const auto result =
      run("firmware = \"big.bin\"\nram = \"16 MiB\"\nreserved_memory = \"1 MiB\"\n");
  EXPECT_EQ(result.exit_code, 2);
  expect_contains(result.err, "give the platform more RAM");
}

TEST_F(RunTest, FirmwareThatIsNoneStopsWithWhereTheCpuIs) {
  folder.write("zero.bin", std::string(64, '\0'));
  const auto result = run("firmware = \"zero.bin\"\n");
  EXPECT_EQ(result.exit_code, 1);
  expect_contains(result.out, "the CPU stopped at pc 0x80000000");
}

TEST_F(RunTest, AFolderThatCannotBeMadeIsRefused) {
  folder.write("out", "a file");
  const auto result = run(prompt_steps);
  EXPECT_EQ(result.exit_code, 2);
  expect_contains(result.err, "choose another one with --out");
}

TEST_F(RunTest, InteractiveNeedsATerminal) {
  const auto result = run("", "--interactive");
  EXPECT_EQ(result.exit_code, 2);
  expect_contains(result.err, "--interactive needs a terminal");
}

TEST_F(RunTest, InteractiveMakesTheTerminalTheUart) {
  const auto line = command("", "--interactive", out);
  int person = -1;
  const pid_t child = forkpty(&person, nullptr, nullptr, nullptr);
  ASSERT_GE(child, 0);
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", ("exec " + line).c_str(), nullptr);
    _exit(127);
  }
  std::string seen;
  const auto read_until = [&](const std::string& text) {
    std::array<char, 256> bytes;
    while (seen.find(text) == std::string::npos) {
      const auto count = read(person, bytes.data(), bytes.size());
      if (count <= 0) break;
      seen.append(bytes.data(), static_cast<std::size_t>(count));
    }
    return seen.find(text) != std::string::npos;
  };
  const auto type = [&](const std::string& text) {
    EXPECT_EQ(write(person, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  };
  EXPECT_TRUE(read_until("Hit any key")) << seen;
  type("\r");
  EXPECT_TRUE(read_until("=> ")) << seen;
  type("echo one two\r");
  EXPECT_TRUE(read_until("\none two")) << seen;
  type("\x01x");
  EXPECT_TRUE(read_until("done: ended at the terminal")) << seen;
  int status = -1;
  waitpid(child, &status, 0);
  close(person);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << seen;
}

} // namespace
