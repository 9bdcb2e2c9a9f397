// The reference driver against the models, over everything that the two can negotiate: both
// transports, both ring formats, memory with and without DMI, AT memory, and an on-chip bus. All
// data is checked.
#include "support/machine.hpp"

#include <virtio/blk/block.hpp>
#include <virtio/core/random.hpp>
#include <virtio/entropy/entropy.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace virtio {
namespace {

using driver::Buffer;
using driver::QueueOptions;
using test::Machine;

enum class Way : std::uint8_t { dmi, slow, at, bus };
struct Setting {
  bool pci = false;
  Way memory = Way::dmi;
  FeatureSet features;
  QueueOptions queue;
  std::string name;
};
void PrintTo(const Setting& s, std::ostream* out) {
  *out << s.name;
}

std::vector<Setting> settings() {
  const FeatureSet all_features[] = {
      {},
      {VIRTIO_F_EVENT_IDX},
      {VIRTIO_F_INDIRECT_DESC},
      {VIRTIO_F_IN_ORDER},
      {VIRTIO_F_NOTIF_CONFIG_DATA},
      {VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_IN_ORDER, VIRTIO_F_NOTIFICATION_DATA,
       VIRTIO_F_NOTIF_CONFIG_DATA},
  };
  const char* names[] = {"plain",    "event_idx",         "indirect",
                         "in_order", "notif_config_data", "everything"};
  const char* ways[] = {"_dmi_", "_slow_", "_at_", "_bus_"};
  std::vector<Setting> all;
  for (const bool pci : {false, true})
    for (const bool packed : {false, true})
      for (const Way memory : {Way::dmi, Way::slow, Way::at, Way::bus})
        for (int f = 0; f < 6; ++f) {
          Setting s;
          s.pci = pci;
          s.memory = memory;
          s.features = all_features[f];
          if (!pci) s.features.set(VIRTIO_F_NOTIF_CONFIG_DATA, false);
          s.features.set(VIRTIO_F_RING_PACKED, packed);
          s.queue.size = 16;
          s.queue.indirect_from = 2;
          s.name = std::string(pci ? "pci" : "mmio") + (packed ? "_packed" : "_split") +
                   ways[static_cast<int>(memory)] + names[f];
          all.push_back(s);
        }
  return all;
}

class ReferenceDriver : public testing::TestWithParam<Setting> {};

/// Random block requests at a random depth against a mirror of the disk.
void exercise_disk(driver::Session& session, driver::Virtqueue& queue,
                   std::span<const std::byte> disk, int requests) {
  Random random(7);
  std::vector<std::byte> mirror(disk.begin(), disk.end());
  const std::uint64_t sectors = disk.size() / 512;
  struct Request {
    bool busy = false;
    bool write = false;
    std::uint64_t at = 0, header = 0;
    std::uint32_t bytes = 0;
    std::uint64_t sector = 0;
  };
  std::vector<Request> by_token(queue.size());
  std::set<std::uint64_t> locked; // sectors with a request under way
  constexpr std::uint32_t largest = 8 * 512;
  std::vector<std::uint64_t> free_buffers;
  for (int i = 0; i < 16; ++i)
    free_buffers.push_back(session.arena().take(16 + largest + 1, 16));
  auto& bus = session.bus();
  int started = 0, done = 0;
  const auto finish = [&](const driver::Virtqueue::Used& used) {
    Request& r = by_token.at(used.token);
    ASSERT_TRUE(r.busy);
    r.busy = false;
    EXPECT_EQ(bus.load<std::uint8_t>(r.at + 16 + largest), 0);
    EXPECT_EQ(used.written, r.write ? 1 : r.bytes + 1);
    if (!r.write) {
      std::vector<std::byte> data(r.bytes);
      bus.read(r.at + 16, data);
      EXPECT_TRUE(std::equal(data.begin(), data.end(),
                             mirror.begin() + static_cast<std::ptrdiff_t>(r.sector * 512)));
    }
    for (std::uint64_t s = r.sector; s < r.sector + r.bytes / 512; ++s)
      locked.erase(s);
    free_buffers.push_back(r.at);
    ++done;
  };
  while (done < requests) {
    for (std::uint64_t burst = random.below(6);
         burst > 0 && started < requests && !free_buffers.empty(); --burst) {
      Request r;
      r.write = random.below(2) != 0;
      r.bytes = static_cast<std::uint32_t>(512 * (1 + random.below(8)));
      r.sector = random.below(sectors - 8);
      bool clash = false;
      for (std::uint64_t s = r.sector; s < r.sector + r.bytes / 512; ++s)
        clash |= locked.count(s) != 0;
      if (clash) continue;
      r.at = free_buffers.back();
      bus.store<std::uint32_t>(r.at, r.write ? 1 : 0);
      bus.store<std::uint32_t>(r.at + 4, 0);
      bus.store<std::uint64_t>(r.at + 8, r.sector);
      bus.store<std::uint8_t>(r.at + 16 + largest, 0xff);
      std::vector<std::byte> data;
      if (r.write) {
        data.resize(r.bytes);
        for (auto& b : data)
          b = static_cast<std::byte>(random.below(256));
        bus.write(r.at + 16, data);
      }
      // The data in one to three pieces, wherever the cuts fall.
      std::vector<Buffer> chain{{r.at, 16, false}};
      std::uint32_t offset = 0;
      for (std::uint64_t pieces = random.below(3); pieces > 0; --pieces) {
        const auto n = static_cast<std::uint32_t>(random.below(r.bytes - offset));
        chain.push_back({r.at + 16 + offset, n, !r.write});
        offset += n;
      }
      chain.push_back({r.at + 16 + offset, r.bytes - offset, !r.write});
      chain.push_back({r.at + 16 + largest, 1, true});
      const auto token = queue.add(chain);
      if (!token) break;
      free_buffers.pop_back();
      std::copy(data.begin(), data.end(),
                mirror.begin() + static_cast<std::ptrdiff_t>(r.sector * 512));
      for (std::uint64_t s = r.sector; s < r.sector + r.bytes / 512; ++s)
        locked.insert(s);
      r.busy = true;
      by_token[*token] = r;
      ++started;
    }
    queue.kick();
    if (started > done) finish(queue.wait_used(sc_core::sc_time(10, sc_core::SC_MS)));
    while (const auto used = queue.take_used())
      finish(*used);
  }
  EXPECT_TRUE(std::equal(mirror.begin(), mirror.end(), disk.begin()));
}

TEST_P(ReferenceDriver, EveryByteArrives) {
  const Setting& s = GetParam();
  Random random(11);
  test::MachineParams params{.dmi = s.memory == Way::dmi,
                             .timed_dma = true,
                             .memory_latency = sc_core::sc_time(50, sc_core::SC_NS),
                             .check_driver = s.memory != Way::dmi};
  if (s.memory == Way::at) params.at = [&](const auto&) { return test::any_answer(random); };
  if (s.memory == Way::bus) params.bus = tlm2::OnChipBusParams{};
  Machine machine(params);
  auto store = std::make_unique<blk::RamStore>(1 << 20);
  const auto disk = store->memory();
  Random fill(3);
  for (auto& b : disk)
    b = static_cast<std::byte>(fill.below(256));
  Device& device = machine.add(std::make_unique<blk::Block>(blk::BlockParams{}, std::move(store)),
                               s.pci, s.features);
  const bool ended = machine.run([&] {
    const auto found = machine.probe();
    ASSERT_EQ(found.size(), 1u);
    driver::Session session(machine.bus, *found[0], s.features, machine.arena);
    EXPECT_EQ(session.negotiated() & s.features, s.features);
    auto& queue = session.add_queue(0, s.queue);
    session.go_live();
    exercise_disk(session, queue, disk, 400);
    session.reset();
  });
  EXPECT_TRUE(ended);
  EXPECT_EQ(machine.error, "");
  EXPECT_EQ(device.last_error(), RingError::none) << to_string(device.last_error());
  EXPECT_EQ(machine.violations, std::vector<std::string>{});
  if (s.memory != Way::at) return;
  EXPECT_GT(machine.slots[0].at->request_times.size(), 1000u);
  EXPECT_EQ(machine.slots[0].at->errors, std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(All, ReferenceDriver, testing::ValuesIn(settings()),
                         [](const auto& info) { return info.param.name; });

TEST(ReferenceDriverProgram, TriesEveryDeviceOnBothTransports) {
  Machine machine({.check_driver = true});
  for (const bool pci : {false, true}) {
    machine.add(std::make_unique<entropy::Entropy>(entropy::EntropyParams{}, pci ? "pci" : "mmio"),
                pci);
    machine.add(
        std::make_unique<blk::Block>(blk::BlockParams{}, std::make_unique<blk::RamStore>(4096)),
        pci);
  }
  std::vector<driver::Trial> trials;
  EXPECT_TRUE(
      machine.run([&] { trials = driver::try_every_device(machine.bus, machine.description()); }));
  ASSERT_EQ(trials.size(), 4u);
  for (const auto& t : trials)
    EXPECT_TRUE(t.ok) << t.place << ": " << t.text;
  EXPECT_EQ(trials[1].text, "8 sectors, read sector 0");
  EXPECT_EQ(machine.violations, std::vector<std::string>{});
}

class ReferenceDriverQueue : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(OnPci, ReferenceDriverQueue, testing::Bool());

TEST_P(ReferenceDriverQueue, IsResetAloneAndUsedAgain) {
  const bool pci = GetParam();
  Machine machine({.check_driver = true});
  const FeatureSet features{VIRTIO_F_RING_RESET};
  machine.add(std::make_unique<entropy::Entropy>(entropy::EntropyParams{}, "rng"), pci, features);
  EXPECT_TRUE(machine.run([&] {
    const auto found = machine.probe();
    driver::Session session(machine.bus, *found.at(0), features, machine.arena);
    auto* queue = &session.add_queue(0);
    session.go_live();
    for (int round = 0; round < 3; ++round) {
      const Buffer b{session.arena().take(32, 16), 32, true};
      queue->add({&b, 1});
      queue->kick();
      EXPECT_EQ(queue->wait_used(sc_core::sc_time(1, sc_core::SC_MS)).written, 32u);
      EXPECT_TRUE(found[0]->reset_queue(0));
      queue = &session.add_queue(0, {.size = static_cast<std::uint16_t>(8 << round)});
    }
  }));
  EXPECT_EQ(machine.error, "");
  EXPECT_EQ(machine.violations, std::vector<std::string>{});
}

} // namespace
} // namespace virtio
