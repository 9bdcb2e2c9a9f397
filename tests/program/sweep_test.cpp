// `virtio-tlm sweep` from outside, with a platform beside it that is a shell script.
#include "run_program.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <test_paths.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

namespace {

// Seed 13 fails, with a reason in its output only, until the file `cured` exists; seed 9 kills
// itself; seeds from 70 wait for the file `go`. Each run appends its seed to the file `ran`.
constexpr const char* platform_script = R"sh(#!/bin/sh
here=$(dirname "$0")
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2 ;;
    --set) case $2 in platform.seed=*) seed=${2#*=} ;; esac ;;
  esac
  shift
done
echo "$seed" >> "$here/ran"
if [ "$seed" = 13 ] && [ ! -e "$here/cured" ]; then
  printf 'the guest is on fire\n\n' >&2
  exit 3
fi
[ "$seed" = 9 ] && kill -SEGV $$
if [ "$seed" -ge 70 ]; then
  echo $$ > "$here/pid-$seed"
  while [ ! -e "$here/go" ]; do sleep 0.01; done
fi
mkdir -p "$out"
touch "$out/active"
ls "$(dirname "$out")"/run-*/active | wc -l >> "$here/at_a_time"
sleep 0.05
rm "$out/active"
printf '{"seed": %s, "error": "a, \\"b\\"\\nc", "deep": {"list": [1.5, true, null]},
         "devices": [{"name": "d1", "reads": 3}, {"name": "d2", "reads": 4}],
         "workloads": [{"device": "d1", "rate": 5}], "queues": [{"name": "q", "n": 6}, {"name": "q", "n": 7}]}' "$seed" > "$out/summary.json"
)sh";

class Sweep : public testing::Test {
protected:
  Sweep() {
    std::filesystem::copy(TEST_BIN_DIR "/virtio-tlm", folder.path / "virtio-tlm");
    add_script("virtio-tlm-riscv-virt", platform_script);
    folder.write("firmware.bin", "firmware");
    folder.write("p.toml", "[platform]\nkind = \"riscv_virt\"\nfirmware = \"firmware.bin\"\n"
                           "[[device]]\nname = \"rng0\"\ntype = \"entropy\"\ntransport = \"pci\"\n"
                           "[[step]]\nsend = \"x\"\n");
  }

  void add_script(const std::string& name, const std::string& content) {
    std::filesystem::permissions(folder.write(name, content), std::filesystem::perms::owner_all);
  }

  std::string command(const std::string& arguments, const std::string& out = "s") {
    return "cd " + folder.path.string() + " && PATH=" + folder.path.string() +
           ":$PATH exec ./virtio-tlm sweep p.toml --out " + out + " " + arguments;
  }
  ProgramResult sweep(const std::string& arguments, const std::string& out = "s") {
    return run_shell(command(arguments, out));
  }

  std::string file(const std::string& name) { return content_of(folder.path / name); }
  nlohmann::json json(const std::string& name) { return nlohmann::json::parse(file(name)); }
  bool exists(const std::string& name) { return std::filesystem::exists(folder.path / name); }

  std::vector<std::string> lines(const std::string& name, bool sorted = false) {
    std::vector<std::string> all;
    std::istringstream stream(file(name));
    for (std::string line; std::getline(stream, line);)
      all.push_back(line);
    if (sorted) std::sort(all.begin(), all.end());
    return all;
  }

  // Starts a sweep that cannot end before `go` exists, and sends a signal to its process group, as
  // a terminal does, when runs 1 and 2 have finished and the next two have started. Its exit code.
  int interrupt(const std::string& signal) {
    const std::string started = folder.path.string() + "/sweep.pid";
    std::thread sender([&] {
      wait_until([&] {
        return exists("s/run-0001.json") && exists("s/run-0002.json") && exists("pid-71") &&
               exists("pid-72");
      });
      run_shell("kill -" + signal + " -$(cat " + started + ")");
    });
    const ProgramResult result = run_shell("setsid --wait sh -c 'echo $$ > " + started + "; " +
                                           command("--vary " + seeds + " --jobs 2") + "'");
    sender.join();
    said = result.err + result.out;
    for (const char* pid : {"pid-71", "pid-72"})
      wait_until([&] { return has_ended(file(pid)); });
    return result.exit_code;
  }

  // It may be a zombie that nobody has waited for yet.
  static bool has_ended(const std::string& pid) {
    const std::string status = content_of("/proc/" + pid.substr(0, pid.find('\n')) + "/stat");
    return status.empty() || status.find(") Z ") != std::string::npos;
  }

  void wait_until(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) {
        ADD_FAILURE() << "waited in vain";
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }

  TemporaryFolder folder;
  const std::string seeds = "platform.seed=1,2,71,72,73";
  std::string said;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(Sweep, RunsTheCrossProductAndTheLastVaryVariesFastest) {
  const ProgramResult result =
      sweep("--vary platform.seed=2,1 --vary 'platform.ram=32 MiB,64 MiB' --set platform.quantum=1 "
            "--set platform.cpu.quantum=5");
  EXPECT_EQ(result.exit_code, 2) << "a wrong --set";
  ASSERT_EQ(sweep("--vary platform.seed=2,1 --vary 'platform.ram=32 MiB,64 MiB'").exit_code, 0);
  EXPECT_EQ(file("s/results.csv"),
            "run,platform.seed,platform.ram,status,exit_code,error,seed,summary.error,deep.list.0,"
            "deep.list.1,deep.list.2,devices.d1.name,devices.d1.reads,devices.d2.name,"
            "devices.d2.reads,workloads.d1.device,workloads.d1.rate,queues.0.name,queues.0.n,"
            "queues.1.name,queues.1.n\n"
            "1,2,32 MiB,ok,0,,2,\"a, \"\"b\"\"\nc\",1.5,true,,d1,3,d2,4,d1,5,q,6,q,7\n"
            "2,2,64 MiB,ok,0,,2,\"a, \"\"b\"\"\nc\",1.5,true,,d1,3,d2,4,d1,5,q,6,q,7\n"
            "3,1,32 MiB,ok,0,,1,\"a, \"\"b\"\"\nc\",1.5,true,,d1,3,d2,4,d1,5,q,6,q,7\n"
            "4,1,64 MiB,ok,0,,1,\"a, \"\"b\"\"\nc\",1.5,true,,d1,3,d2,4,d1,5,q,6,q,7\n");
  const auto all = json("s/results.json");
  ASSERT_EQ(all["runs"].size(), 4u);
  EXPECT_EQ(all["vary"]["platform.ram"], nlohmann::json({"32 MiB", "64 MiB"}));
  EXPECT_EQ(all["runs"][2]["vary"]["platform.seed"], "1");
  EXPECT_EQ(all["runs"][2]["summary"]["devices"][1]["reads"], 4);
}

TEST_F(Sweep, GivesEveryRunTheSharedOverridesAndItsOwnValues) {
  add_script("virtio-tlm-riscv-virt", "#!/bin/sh\nshift\nprintf '<%s>' \"$@\"\n");
  ASSERT_EQ(sweep("--vary 'platform.ram=32 MiB,64 MiB' --set platform.own_driver=true --seed 7")
                .exit_code,
            0);
  EXPECT_EQ(file("s/run-0002.log"),
            "<--set><platform.own_driver=true><--set><platform.seed=7><--set>"
            "<platform.ram=64 MiB><--out><" +
                (std::filesystem::canonical(folder.path) / "s/run-0002").string() + ">");
  EXPECT_EQ(lines("s/results.csv")[1], "1,32 MiB,ok,0,") << "a run without a summary";
}

TEST_F(Sweep, TablesDoNotDependOnTheNumberOfJobs) {
  const std::string vary = "--vary platform.seed=5,4,13,3,2,1";
  EXPECT_EQ(sweep(vary + " --jobs 1", "one").exit_code, 1);
  EXPECT_EQ(lines("at_a_time", true).back(), "1");
  EXPECT_EQ(sweep(vary + " --jobs 3", "three").exit_code, 1);
  EXPECT_GT(lines("at_a_time", true).back(), "1");
  EXPECT_LE(lines("at_a_time", true).back(), "3");
  EXPECT_EQ(file("one/results.csv"), file("three/results.csv"));
  EXPECT_EQ(file("one/results.json"), file("three/results.json"));
}

TEST_F(Sweep, AValueMayHoldCommasAndQuotes) {
  ASSERT_EQ(sweep(R"(--vary 'step.1.send=a\,b,say "x"' --vary platform.seed=1)").exit_code, 0);
  EXPECT_TRUE(contains(file("s/results.csv"), "\n1,\"a,b\",1,ok,"));
  EXPECT_TRUE(contains(file("s/results.csv"), "\n2,\"say \"\"x\"\"\",1,ok,"));
}

TEST_F(Sweep, AfterKill9FinishedRunsAreNotRunAgainAndNoChildLivesOn) {
  interrupt("KILL");
  EXPECT_FALSE(exists("s/results.csv"));
  folder.write("go", "");
  folder.write("s/sweep.host-1.tmp", "{\"run\": 3, \"status\": ");
  const ProgramResult result = sweep("--vary " + seeds);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(lines("ran", true), (std::vector<std::string>{"1", "2", "71", "71", "72", "72", "73"}));
  EXPECT_EQ(lines("s/results.csv").size(), 1 + 5 * 2u) << "each row has a line break in a field";
  EXPECT_FALSE(exists("s/sweep.host-1.tmp"));
  EXPECT_TRUE(contains(result.err, "[5/5]") && !contains(result.err, "[2/5]")) << result.err;
}

TEST_F(Sweep, CtrlCKeepsFinishedRunsAndTellsHowToGoOn) {
  for (const std::string signal : {"INT", "TERM"}) {
    std::filesystem::remove_all(folder.path / "s");
    std::filesystem::remove(folder.path / "pid-71");
    std::filesystem::remove(folder.path / "pid-72");
    EXPECT_EQ(interrupt(signal), 1);
    EXPECT_TRUE(contains(said, "3 of 5 runs have not finished: run the same command again"))
        << said;
    EXPECT_FALSE(exists("s/run-0003.json"));
    EXPECT_EQ(json("s/results.json")["runs"].size(), 2u);
  }
}

TEST_F(Sweep, GoesOnUnderNohupWhenTheTerminalCloses) {
  std::thread closing([&] {
    wait_until([&] { return exists("pid-71"); });
    run_shell("kill -HUP $(cat " + folder.path.string() + "/sweep.pid)");
    folder.write("go", "");
  });
  const ProgramResult result =
      run_shell("trap '' HUP; sh -c 'echo $$ > " + folder.path.string() + "/sweep.pid; " +
                command("--vary platform.seed=71,1 --jobs 1") + "'");
  closing.join();
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(Sweep, StopsWhenTheProgramIsRebuiltMeanwhile) {
  std::thread builder([&] {
    wait_until([&] { return exists("pid-71"); });
    std::filesystem::remove(folder.path / "virtio-tlm");
    std::filesystem::copy(TEST_BIN_DIR "/virtio-tlm", folder.path / "virtio-tlm");
    folder.write("go", "");
  });
  const ProgramResult result = sweep("--vary platform.seed=71,1 --jobs 1");
  builder.join();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(exists("s/run-0001.json") && !exists("s/run-0002.json")) << result.err;
}

TEST_F(Sweep, AFailedRunIsRecordedAndDoesNotStopTheOthers) {
  const ProgramResult result = sweep("--vary platform.seed=13,9,1 --jobs 1");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(lines("ran"), (std::vector<std::string>{"13", "9", "1"}));
  EXPECT_TRUE(contains(result.err, "run 1 FAILED: platform.seed=13\n  the guest is on fire; log: "))
      << result.err;
  EXPECT_TRUE(contains(result.out, "3 of 3 runs finished, 2 failed")) << result.out;
  const auto runs = json("s/results.json")["runs"];
  EXPECT_EQ(runs[0]["status"], "failed");
  EXPECT_EQ(runs[0]["exit_code"], 3);
  EXPECT_EQ(runs[0]["error"], "the guest is on fire");
  EXPECT_EQ(runs[1]["exit_code"], nullptr);
  EXPECT_EQ(runs[1]["error"], "killed by Segmentation fault");
  EXPECT_EQ(runs[2]["status"], "ok");
}

TEST_F(Sweep, OnlyRetryFailedRunsAFailedOneAgain) {
  const std::string vary = "--vary platform.seed=1,13";
  EXPECT_EQ(sweep(vary).exit_code, 1);
  folder.write("cured", "");
  EXPECT_EQ(sweep(vary).exit_code, 1);
  EXPECT_EQ(lines("ran").size(), 2u);
  std::filesystem::create_directories(folder.path / "s/run-0002");
  folder.write("s/run-0002/stale", "");
  EXPECT_EQ(sweep(vary + " --retry-failed").exit_code, 0);
  EXPECT_FALSE(exists("s/run-0002/stale")) << "left by the earlier attempt";
  EXPECT_EQ(lines("ran", true), (std::vector<std::string>{"1", "13", "13"}));
}

TEST_F(Sweep, EveryMistakeIsFoundBeforeTheFirstRun) {
  const ProgramResult result =
      sweep("--vary platform.seed=1,x,2,y --vary device.rng1.queue_size=16,32 "
            "--vary platform.rma=1,2");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(
      result.err,
      "--vary device.rng1.queue_size: the file has no device \"rng1\", only \"rng0\"; did you "
      "mean \"rng0\"?\n"
      "--vary platform.rma: unknown parameter; did you mean \"ram\"?\n"
      "--vary platform.seed=x: must be a whole number without a unit, not \"x\"\n"
      "--vary platform.seed=y: must be a whole number without a unit, not \"y\"\n"
      "4 errors, nothing was run; `virtio-tlm params` lists all parameters\n");
  EXPECT_FALSE(exists("ran") || exists("s"));
}

TEST_F(Sweep, AMistakeOfSomeCombinationsNamesOne) {
  const ProgramResult result = sweep("--vary 'platform.ram=16 MiB,512 MiB' "
                                     "--vary 'platform.reserved_memory=1 MiB,256 MiB'");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(contains(result.err, "(with platform.ram=16 MiB, platform.reserved_memory=256 MiB)"))
      << result.err;
}

TEST_F(Sweep, BadUsageSaysWhatToWrite) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "nothing is varied: add --vary path=value,value, like --vary platform.seed=1,2\n"},
      {"--vary x", "--vary x: write it as path=value,value, like --vary platform.seed=1,2,3\n"},
      {"--vary =1", "--vary =1: write it as path=value,value, like --vary platform.seed=1,2,3\n"},
      {"--vary x=", "--vary x=: write it as path=value,value, like --vary platform.seed=1,2,3\n"},
      {"--vary a=1,2,1", "--vary a=1,2,1: the value \"1\" is there twice\n"},
      {"--vary a=1 --vary a=2", "--vary a: another --vary, --set or --seed gives it already\n"},
      {"--vary platform.seed=1 --seed 2",
       "--vary platform.seed: another --vary, --set or --seed gives it already\n"},
      {"--vary platform.seed=$(seq -s, 1 400) --vary platform.ram=$(seq -s, 1 400)",
       "the cross product of all --vary has more than 100000 runs: vary less, or make several "
       "sweeps of it\n"},
  };
  for (const auto& [arguments, sentence] : cases) {
    const ProgramResult result = sweep(arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.err, sentence);
  }
  EXPECT_EQ(sweep("--vary platform.seed=1 --jobs 0").exit_code, 2);
  EXPECT_EQ(sweep("--vary platform.seed=1 --slurm-wait").exit_code, 2);
  EXPECT_EQ(run_shell(folder.path.string() + "/virtio-tlm sweep").exit_code, 2);
  EXPECT_FALSE(exists("s"));
}

TEST_F(Sweep, RefusesTheFolderOfSomethingElse) {
  ASSERT_EQ(sweep("--vary platform.seed=1,2").exit_code, 0);
  ProgramResult result = sweep("--vary platform.seed=1,2,3");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "s holds another sweep (vary: then --vary platform.seed=1,2, now --vary "
                        "platform.seed=1,2,3): choose another folder with --out, or remove this "
                        "one to begin again\n");
  result = sweep("--vary platform.seed=1,2 --set platform.own_driver=true");
  EXPECT_TRUE(contains(result.err, "(set: then no --set, now --set platform.own_driver=true)"))
      << result.err;
  folder.write("p.toml", file("p.toml") + "# edited\n");
  result = sweep("--vary platform.seed=1,2");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(contains(result.err, "p.toml has been changed since)")) << result.err;

  std::filesystem::create_directories(folder.path / "other");
  folder.write("other/run-0001", "mine");
  result = sweep("--vary platform.seed=1", "other");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(file("other/run-0001"), "mine");
  EXPECT_EQ(lines("ran").size(), 2u);
}

TEST_F(Sweep, StopsWhenThePlatformFileIsEditedMeanwhile) {
  std::thread editor([&] {
    wait_until([&] { return exists("pid-71"); });
    folder.write("p.toml", file("p.toml") + "# edited\n");
    folder.write("go", "");
  });
  const ProgramResult result = sweep("--vary platform.seed=71,1 --jobs 1");
  editor.join();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(contains(result.err, "p.toml has been changed, or this program rebuilt: stopped"))
      << result.err;
  EXPECT_TRUE(exists("s/run-0001.json") && !exists("s/run-0002.json"));
}

TEST_F(Sweep, TwoAtATimeInOneFolderAreRefused) {
  std::thread first([&] { sweep("--vary platform.seed=71"); });
  wait_until([&] { return exists("pid-71"); });
  const ProgramResult second =
      run_shell("timeout 10 sh -c '" + command("--vary platform.seed=71") + "'");
  folder.write("go", "");
  first.join();
  EXPECT_EQ(second.exit_code, 2);
  EXPECT_EQ(second.err, "another process works on the sweep in s\n");
  EXPECT_EQ(lines("ran").size(), 1u);
}

TEST_F(Sweep, ShowsABarOnATerminalAndLinesElsewhere) {
  const ProgramResult lines = sweep("--vary platform.seed=1,2 --jobs 1", "a");
  EXPECT_TRUE(contains(lines.err, "[1/2] ok     run 1: platform.seed=1; about ")) << lines.err;
  EXPECT_FALSE(contains(lines.err, "\r"));
  folder.write("command", command("--vary platform.seed=1,2 --jobs 1", "b"));
  const ProgramResult bar =
      run_shell("script -qec 'sh " + folder.path.string() + "/command' /dev/null");
  EXPECT_TRUE(contains(bar.out, "[........................] 0/2, 1 running")) << bar.out;
  EXPECT_TRUE(contains(bar.out, "[############............] 1/2, 1 running; about "));
}

TEST_F(Sweep, WithoutThePlatformsExecutableNothingIsRun) {
  std::filesystem::remove(folder.path / "virtio-tlm-riscv-virt");
  const ProgramResult result = sweep("--vary platform.seed=1");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(contains(result.err, "virtio-tlm-riscv-virt is neither beside")) << result.err;
  EXPECT_FALSE(exists("s"));
}

// Slurm's commands: sbatch runs the array's tasks one after the other, squeue says what is in
// `queue`.
class SlurmSweep : public Sweep {
protected:
  SlurmSweep() {
    add_script("sbatch", R"sh(#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/submitted"
for word; do
  case $word in --array=*) indices=${word#--array=} ;; esac
done
while [ "${1#--}" != "$1" ]; do shift; done
echo 'sbatch: a warning' >&2
echo '4242;cluster'
for range in $(echo "${indices%\%*}" | tr , ' '); do
  for index in $(seq "${range%-*}" "${range#*-}"); do
    SLURM_ARRAY_TASK_ID=$index sh "$@" >> "$here/tasks.log" 2>&1
  done
done
)sh");
    add_script("squeue", "#!/bin/sh\ncat \"$(dirname \"$0\")/queue\" 2>/dev/null\n");
  }
};

TEST_F(SlurmSweep, TheArrayGivesTheSameTablesAsRunsHere) {
  const std::string vary = "--vary platform.seed=2,13,1";
  EXPECT_EQ(sweep(vary, "here").exit_code, 1);
  const ProgramResult result = sweep(vary + " --slurm --jobs 2 --slurm-option time=5");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "3 runs submitted as Slurm job 4242")) << result.out;
  EXPECT_TRUE(contains(file("submitted"), "--array=1-3%2 ")) << file("submitted");
  EXPECT_TRUE(contains(file("s/sweep.sbatch"), "\n#SBATCH --time=5\n")) << file("s/sweep.sbatch");
  EXPECT_EQ(file("s/results.csv"), file("here/results.csv"));
  EXPECT_EQ(file("s/results.json"), file("here/results.json"));
}

TEST_F(SlurmSweep, SubmitsOnlyWhatIsMissingAndWaits) {
  const std::string vary = "--vary platform.seed=1,2,3,4,5,6,13";
  ASSERT_EQ(sweep(vary).exit_code, 1);
  for (const char* run : {"1", "2", "3", "5"})
    std::filesystem::remove(folder.path / ("s/run-000" + std::string(run) + ".json"));
  folder.write("cured", "");
  const ProgramResult result = sweep(vary + " --slurm --slurm-wait --retry-failed");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(file("submitted"), "--wait --output=")) << file("submitted");
  EXPECT_TRUE(contains(file("submitted"), "--array=1-3,5,7 ")) << file("submitted");
  EXPECT_TRUE(contains(result.out, "7 of 7 runs finished, 0 failed")) << result.out;
  EXPECT_TRUE(contains(result.err, "[7/7] ok     run 7: platform.seed=13")) << result.err;
}

TEST_F(SlurmSweep, ADryRunWritesTheScriptAndSplitsLargeSweeps) {
  const ProgramResult result = sweep("--vary platform.seed=$(seq -s, 1 1203) --slurm-dry-run");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "--array=1-1000 ") && contains(result.out, " 0\n"));
  EXPECT_TRUE(contains(result.out, "--array=1-203 ") && contains(result.out, " 1000\n"))
      << result.out;
  EXPECT_FALSE(exists("submitted") || exists("ran"));
  EXPECT_TRUE(contains(file("s/sweep.sbatch"), " sweep --task $(($1 + SLURM_ARRAY_TASK_ID)) "))
      << file("s/sweep.sbatch");
}

TEST_F(SlurmSweep, WhatIsStillQueuedIsNotSubmittedAgain) {
  const std::string vary = "--vary platform.seed=1,13";
  ASSERT_EQ(sweep(vary + " --slurm").exit_code, 0);
  folder.write("queue", "4241\n4242\n");
  const ProgramResult result = sweep(vary + " --retry-failed");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "Slurm job 4242 still works on the sweep in s: wait for it, or end it with "
                        "`scancel 4242`\n");
  folder.write("queue", "4241\n");
  EXPECT_EQ(sweep(vary).exit_code, 1);
}

TEST_F(SlurmSweep, ARefusalBySbatchIsShown) {
  add_script("sbatch", "#!/bin/sh\necho 'sbatch: error: Invalid partition' >&2\nexit 1\n");
  const ProgramResult result = sweep("--vary platform.seed=1 --slurm");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(contains(result.err, "sweep.sbatch: sbatch: error: Invalid partition")) << result.err;
}

} // namespace
