// virtio-tlm migrate-check from outside: one difference at a time, in both directions.
#include "run_program.hpp"

#include <gtest/gtest.h>
#include <test_paths.hpp>

#include <ostream>
#include <sstream>

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string platform(const std::string& device) {
  return "[platform]\nkind = \"riscv_virt\"\n[[device]]\nname = \"d\"\n" + device;
}
const std::string net = "type = \"net\"\ntransport = \"pci\"\n";
const std::string rss = net + "queues = 2\nfeatures.rss = true\n";
const std::string block = "type = \"block\"\ntransport = \"mmio\"\n";

class Migrate : public testing::Test {
protected:
  ProgramResult check(const std::string& a, const std::string& b, const std::string& more = "") {
    const auto from = folder.write("a.toml", a);
    const auto to = folder.write("b.toml", b);
    return run_shell(TEST_BIN_DIR "/virtio-tlm migrate-check " + from.string() + " " + to.string() +
                     " " + more);
  }
  TemporaryFolder folder;
};

/// Two devices that differ in one thing; what stands in the way there and back, empty for nothing.
struct Difference {
  const char* name;
  std::string a, b;
  std::string there, back;
};
std::ostream& operator<<(std::ostream& out, const Difference& d) {
  return out << d.name;
}

std::string without_notes(const std::string& text) {
  std::istringstream lines(text);
  std::string kept;
  for (std::string line; std::getline(lines, line);)
    if (!contains(line, "(no obstacle)")) kept += line + "\n";
  return kept;
}

class MigrateDifference : public Migrate, public testing::WithParamInterface<Difference> {
protected:
  void expect(const ProgramResult& result, const std::string& obstacle) {
    EXPECT_EQ(result.exit_code, obstacle.empty() ? 0 : 1) << result.out << result.err;
    const std::string reasons = without_notes(result.out);
    EXPECT_EQ(reasons, obstacle.empty() ? "d: can move\n1 of 1 device can move from A to B\n"
                                        : "d: cannot move\n" + obstacle +
                                              "0 of 1 device can move from A to B\n");
  }
};

TEST_P(MigrateDifference, IsJudgedInBothDirections) {
  const Difference& d = GetParam();
  expect(check(platform(d.a), platform(d.b)), d.there);
  expect(check(platform(d.b), platform(d.a)), d.back);
}

INSTANTIATE_TEST_SUITE_P(
    Of, MigrateDifference,
    testing::Values(
        Difference{"nothing", net, net, "", ""},
        Difference{"time_is_not_seen", net, net + "timing.packet_cost = \"1 us\"\n", "", ""},
        Difference{"ring_feature", net + "features.in_order = true\n", net,
                   "  VIRTIO_F_IN_ORDER: offered at A, not offered at B: the driver may have "
                   "accepted it (2.2)\n",
                   ""},
        Difference{"device_feature", net, net + "features.mrg_rxbuf = false\n",
                   "  VIRTIO_NET_F_MRG_RXBUF: offered at A, not offered at B: the driver may have "
                   "accepted it (2.2)\n",
                   ""},
        Difference{"ring_size", net, net + "queue_size = 64\n",
                   "  size of queue 0: 256 at A, 64 at B: the driver's ring may have that size "
                   "(2.6)\n",
                   ""},
        Difference{"mtu", net, net + "mtu = 9000\n",
                   "  mtu: 1500 at A, 9000 at B: the driver's buffers and its own packets are made "
                   "for it (5.1.4.2)\n",
                   "  mtu: 9000 at A, 1500 at B: the driver's buffers and its own packets are made "
                   "for it (5.1.4.2)\n"},
        Difference{"mac", net + "mac = \"52:54:00:00:00:01\"\n",
                   net + "mac = \"52:54:00:00:00:02\"\n",
                   "  mac: 52:54:00:00:00:01 at A, 52:54:00:00:00:02 at B: the driver took its "
                   "address from the device\n",
                   "  mac: 52:54:00:00:00:02 at A, 52:54:00:00:00:01 at B: the driver took its "
                   "address from the device\n"},
        Difference{"pairs", net + "queues = 2\n", net + "queues = 4\n",
                   "  max_virtqueue_pairs: 2 at A, 4 at B: the control queue is the one behind so "
                   "many pairs (5.1.2)\n",
                   "  number of queues: 9 at A, 5 at B: the driver may use every one of them\n"
                   "  max_virtqueue_pairs: 4 at A, 2 at B: the control queue is the one behind so "
                   "many pairs (5.1.2)\n"},
        Difference{
            "hash_types", rss, rss + "rss.hash_types = 3\n",
            "  supported_hash_types: 0x1ff at A, 0x3 at B: the driver may have enabled every "
            "one of these hash types (5.1.4)\n",
            ""},
        Difference{"key_size", rss + "rss.key_size = 52\n", rss,
                   "  rss_max_key_size: 52 at A, 40 at B: the driver may use a key of that length "
                   "(5.1.4)\n",
                   ""},
        Difference{"table_length", rss + "rss.table_length = 256\n", rss,
                   "  rss_max_indirection_table_length: 256 at A, 128 at B: the driver may use an "
                   "indirection table of that length (5.1.4)\n",
                   ""},
        Difference{"proposed_hash", rss + "proposals.inner_hash_v7 = true\n", rss,
                   "  VIRTIO_NET_F_HASH_TUNNEL as proposed: offered at A, not offered at B: the "
                   "driver may have accepted it (2.2)\n"
                   "  supported_hash_types: 0xfff at A, 0x1ff at B: the driver may have enabled "
                   "every one of these hash types (5.1.4)\n",
                   ""},
        Difference{"slot", net + "slot = 3\n", net + "slot = 4\n",
                   "  transport and slot: pci 3 at A, pci 4 at B: the driver would look for it "
                   "elsewhere\n",
                   "  transport and slot: pci 4 at A, pci 3 at B: the driver would look for it "
                   "elsewhere\n"},
        Difference{"type", net, "type = \"entropy\"\ntransport = \"pci\"\n",
                   "  type: net at A, entropy at B: it is another device\n",
                   "  type: entropy at A, net at B: it is another device\n"},
        Difference{"capacity", block + "capacity = \"1 MiB\"\n", block + "capacity = \"2 MiB\"\n",
                   "  capacity: 2048 at A, 4096 at B: it is another medium\n",
                   "  capacity: 4096 at A, 2048 at B: it is another medium\n"},
        Difference{
            "read_only", block + "capacity = \"1 MiB\"\n",
            block + "capacity = \"1 MiB\"\nread_only = true\n",
            "  VIRTIO_BLK_F_RO: not offered at A, offered at B: the driver may write\n",
            "  VIRTIO_BLK_F_RO: offered at A, not offered at B: the driver may have accepted "
            "it (2.2)\n"},
        Difference{"serial", block + "capacity = \"1 MiB\"\nserial = \"one\"\n",
                   block + "capacity = \"1 MiB\"\nserial = \"two\"\n",
                   "  serial: one at A, two at B: the driver knows the medium by it\n",
                   "  serial: two at A, one at B: the driver knows the medium by it\n"}),
    [](const auto& test) { return std::string{test.param.name}; });

TEST_F(Migrate, AMediumIsMeasuredAndNotCopied) {
  folder.write("disk.img", std::string(4096, 'x'));
  const std::string media = "[[media]]\nname = \"m\"\nfile = \"disk.img\"\n";
  const std::string a = media + platform(block + "media = \"m\"\n");
  EXPECT_EQ(check(a, platform(block + "capacity = \"4096 B\"\n")).exit_code, 0);
  EXPECT_EQ(check(a, platform(block + "capacity = \"8192 B\"\n")).exit_code, 1);
}

TEST_F(Migrate, ADeviceIsFoundByItsName) {
  const std::string other = "[platform]\nkind = \"riscv_virt\"\n[[device]]\nname = \"e\"\n" + net;
  const ProgramResult all = check(platform(net), other);
  EXPECT_EQ(all.exit_code, 1);
  EXPECT_TRUE(contains(all.out, "B has no device of that name")) << all.out;
  const std::string mac = "mac = \"52:54:00:00:00:01\"\n";
  const ProgramResult pair = check(platform(net + mac), other + mac, "--device d=e --json");
  EXPECT_EQ(pair.exit_code, 0) << pair.out;
  EXPECT_TRUE(contains(pair.out, "\"compatible\": true")) << pair.out;
  const ProgramResult missing = check(platform(net), other, "--device d");
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_TRUE(contains(missing.err, "no device \"d\", only \"e\"")) << missing.err;
}

TEST_F(Migrate, WrongConfigurationsAreNamed) {
  const ProgramResult result = check(platform(net), platform(net + "mtu = \"much\"\n"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_TRUE(contains(result.err, "b.toml:")) << result.err;
  EXPECT_EQ(check("[platform]\nkind = \"riscv_virt\"\n", platform(net)).exit_code, 2);
}

} // namespace
