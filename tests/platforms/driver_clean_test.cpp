// The reference driver under the protocol analyser, recommendations included: not one violation,
// whatever is negotiated, on both transports and with every form of interrupts.
#include "support/machine.hpp"
#include "support/mirror.hpp"

#include <virtio/platforms/driver/completion.hpp>

#include <gtest/gtest.h>

#include <deque>

namespace virtio {
namespace {

using driver::CompletionParams;
using driver::CompletionPolicy;
using driver::InterruptForm;
using driver::Virtqueue;
using test::Machine;
using test::Mirror;
using test::MirrorTraffic;

struct Form {
  const char* name;
  bool pci;
  InterruptForm form;
};
void PrintTo(const Form& f, std::ostream* out) {
  *out << f.name;
}
constexpr Form forms[] = {{"mmio_polled", false, InterruptForm::none},
                          {"mmio_line", false, InterruptForm::line},
                          {"pci_polled", true, InterruptForm::none},
                          {"pci_intx", true, InterruptForm::line},
                          {"pci_msix", true, InterruptForm::msix}};
constexpr unsigned bits[] = {VIRTIO_F_RING_PACKED,       VIRTIO_F_EVENT_IDX,
                             VIRTIO_F_INDIRECT_DESC,     VIRTIO_F_IN_ORDER,
                             VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_NOTIF_CONFIG_DATA};
constexpr const char* letters[] = {"packed",   "event_idx",    "indirect",
                                   "in_order", "notification", "notif_config_data"};

/// A form of interrupts, and one of the 64 sets of features.
class ReferenceDriverIsClean : public testing::TestWithParam<std::tuple<Form, unsigned>> {};
INSTANTIATE_TEST_SUITE_P(All, ReferenceDriverIsClean,
                         testing::Combine(testing::ValuesIn(forms), testing::Range(0u, 64u)),
                         [](const auto& info) {
                           std::string name = std::get<0>(info.param).name;
                           for (unsigned i = 0; i < std::size(bits); ++i)
                             if (std::get<1>(info.param) >> i & 1)
                               name += std::string("_") + letters[i];
                           return name;
                         });

TEST_P(ReferenceDriverIsClean, InTrafficAndResets) {
  const auto& [form, mask] = GetParam();
  FeatureSet features{VIRTIO_F_ACCESS_PLATFORM, VIRTIO_F_ORDER_PLATFORM, VIRTIO_F_RING_RESET};
  for (unsigned i = 0; i < std::size(bits); ++i)
    features.set(bits[i], mask >> i & 1);
  if (!form.pci) features.set(VIRTIO_F_NOTIF_CONFIG_DATA, false); // PCI alone has it
  Machine machine({.dmi = false,
                   .timed_dma = true,
                   .memory_latency = sc_core::sc_time(50, sc_core::SC_NS),
                   .check_driver = true,
                   .recommendations = true,
                   .pci = {.notif_config_data_base = 0x4200}});
  machine.add(std::make_unique<Mirror>(std::uint16_t{2}, microseconds(5)), form.pci, features);
  EXPECT_TRUE(machine.run([&] {
    const auto found = machine.probe();
    for (int round = 0; round < 2; ++round) {
      driver::Session session(machine.bus, *found.at(0),
                              {.features = features,
                               .interrupts = form.form,
                               .line = machine.slots.at(0).line,
                               .msix = &machine.msix},
                              machine.arena);
      EXPECT_EQ(session.negotiated() & features, features);
      const bool polled = form.form == InterruptForm::none;
      const driver::QueueOptions options{.size = 16, .indirect_from = 3, .interrupts = !polled};
      std::deque<MirrorTraffic> traffic;
      std::vector<Virtqueue*> queues;
      for (std::uint16_t i = 0; i < 2; ++i) {
        queues.push_back(&session.add_queue(i, options));
        traffic.emplace_back(session, *queues.back(), 4);
      }
      session.go_live();
      CompletionPolicy policy(
          machine.bus, queues,
          {.kind = polled ? CompletionParams::Kind::poll : CompletionParams::Kind::napi,
           .budget = 3});
      const auto serve = [&](std::uint64_t until) {
        while (policy.counts().used < until) {
          for (auto& t : traffic)
            t.start(~0u);
          ASSERT_GT(policy.wait(sc_core::sc_time(1, sc_core::SC_MS),
                                [&](Virtqueue& queue, const Virtqueue::Used& used) {
                                  traffic[queue.index()].finish(used);
                                }),
                    0u);
        }
      };
      serve(40);
      queues[1]->reset();
      traffic[1].abandon();
      session.restart_queue(*queues[1], options);
      serve(60);
      session.reset();
    }
  }));
  EXPECT_EQ(machine.error, "");
  EXPECT_EQ(machine.violations, std::vector<std::string>{});
}

} // namespace
} // namespace virtio
