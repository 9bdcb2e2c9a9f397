// The protocol analyser on registers (virtio 1.4, 2.1, 2.2, 3.1.1, 4.1 and 4.2), and the tests over
// all of its rules.
#include "models/analyser_bench.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <test_paths.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace virtio::test {
namespace {

using analyser::RegisterSpace;
using Story = MmioScript;

constexpr std::uint64_t device_features_sel = 0x14;
constexpr std::uint64_t status = 0x70;

const bool mmio_cases = add_cases<MmioScript>({
    {"GEN-DRV-001", "UndefinedBit",
     [](Story& t, bool broken) {
       t.bring_up();
       t.w(status, broken ? 0x2f : 0x0f);
     }},
    {"GEN-DRV-002", "ClearsABit",
     [](Story& t, bool broken) {
       t.bring_up();
       t.w(status, broken ? 0x0d : 0x0f);
     }},
    {"GEN-DRV-003", "GoesOnAfterFailed",
     [](Story& t, bool broken) {
       t.negotiate();
       t.w(status, 0x8b);
       if (!broken) t.reset();
       if (!broken) t.bring_up();
       if (broken) t.w(status, 0x8f);
     }},
    {"GEN-DRV-005", "NotOffered",
     [](Story& t, bool broken) {
       t.meet();
       t.offer({VIRTIO_F_VERSION_1});
       t.accept(broken ? FeatureSet{VIRTIO_F_VERSION_1, 5} : FeatureSet{VIRTIO_F_VERSION_1});
       t.features_ok();
     }},
    {"GEN-DRV-006", "OfferNotRead",
     [](Story& t, bool broken) {
       t.meet();
       for (std::uint32_t word : {1, 0}) {
         if (broken && word == 0) continue;
         t.w(device_features_sel, word);
         t.r(0x10, FeatureSet{VIRTIO_F_VERSION_1, 5}.word32(word));
       }
       t.accept({VIRTIO_F_VERSION_1, 5});
       t.features_ok();
     }},
    {"GEN-DRV-007", "ReservedFeature",
     [](Story& t, bool broken) {
       t.negotiate(broken ? FeatureSet{45} : FeatureSet{43});
     }},
    {"GEN-DRV-007", "AdminQueueOnMmio",
     [](Story& t, bool broken) {
       t.negotiate(broken ? FeatureSet{VIRTIO_F_ADMIN_VQ} : FeatureSet{40});
     }},
    {"GEN-DRV-010", "ResetNotReadBack",
     [](Story& t, bool broken) {
       t.identify();
       t.w(status, 0);
       if (!broken) t.r(status, 0);
       t.w(status, 1);
     }},
    {"GEN-DRV-014", "QueueResetNotLookedAt",
     [](Story& t, bool broken) {
       t.bring_up({VIRTIO_F_RING_RESET});
       t.w(0xc0, 1);
       if (!broken) t.r(0xc0, 0);
       t.addresses();
       t.w(0x44, 1);
     }},
    {"GEN-DRV-016", "EnabledWithoutConfiguration",
     [](Story& t, bool broken) {
       t.bring_up({VIRTIO_F_RING_RESET});
       t.w(0xc0, 1);
       t.r(0xc0, 0);
       if (!broken) t.addresses();
       t.w(0x44, 1);
     }},
    {"GEN-DRV-017", "NoResetFirst",
     [](Story& t, bool broken) {
       t.identify();
       if (!broken) t.reset();
       t.w(status, 1);
     }},
    {"GEN-DRV-018", "DriverWithoutAcknowledge",
     [](Story& t, bool broken) {
       t.identify();
       t.reset();
       if (!broken) t.w(status, 1);
       t.w(status, broken ? 2 : 3);
     }},
    {"GEN-DRV-019", "FeaturesBeforeDriver",
     [](Story& t, bool broken) {
       t.identify();
       t.reset();
       t.w(status, 1);
       if (!broken) t.w(status, 3);
       t.settle();
       if (broken) t.w(status, 3);
       t.features_ok();
     }},
    {"GEN-DRV-020", "FeaturesNotRead",
     [](Story& t, bool broken) {
       t.meet();
       if (!broken) t.settle();
       t.features_ok();
     }},
    {"GEN-DRV-021", "ConfigurationWrittenEarly",
     [](Story& t, bool broken) {
       t.meet();
       if (broken) t.w(0x100, 1, 1);
       t.settle();
       t.features_ok();
       if (!broken) t.w(0x100, 1, 1);
     }},
    {"GEN-DRV-022", "DriverOkWithoutFeaturesOk",
     [](Story& t, bool broken) {
       t.meet();
       t.settle();
       if (!broken) t.features_ok();
       t.w(status, broken ? 7 : 0x0f);
     }},
    {"GEN-DRV-023", "FeatureAddedLate",
     [](Story& t, bool broken) {
       t.negotiate({5});
       t.accept(broken ? FeatureSet{VIRTIO_F_VERSION_1, 5, 6}
                       : FeatureSet{VIRTIO_F_VERSION_1, 5});
     }},
    {"GEN-DRV-024", "FeaturesOkNotReadBack",
     [](Story& t, bool broken) {
       t.meet();
       t.settle();
       t.w(status, 0x0b);
       if (!broken) t.r(status, 0x0b);
       t.queue();
       t.w(status, 0x0f);
     }},
    {"GEN-DRV-025", "QueueBeforeFeaturesOk",
     [](Story& t, bool broken) {
       t.meet();
       t.settle();
       if (broken) t.queue();
       t.features_ok();
       if (!broken) t.queue();
     }},
    {"GEN-DRV-029", "GoesOnThoughRefused",
     [](Story& t, bool broken) {
       t.meet();
       t.settle();
       t.w(status, 0x0b);
       t.r(status, 0x03);
       t.w(status, broken ? 0x07 : 0x83);
     }},
    {"GEN-DRV-030", "NotifiesEarly",
     [](Story& t, bool broken) {
       t.negotiate();
       t.queue();
       if (!broken) t.w(status, 0x0f);
       t.w(0x50, 0);
     }},
    {"GEN-DRV-033", "SuspendWithoutFeature",
     [](Story& t, bool broken) {
       t.bring_up(broken ? FeatureSet{} : FeatureSet{VIRTIO_F_SUSPEND});
       t.w(status, 0x1f);
     }},
    {"GEN-DRV-036", "NotifiesWhileSuspended",
     [](Story& t, bool broken) {
       t.bring_up({VIRTIO_F_SUSPEND});
       if (broken) t.w(status, 0x1f);
       t.w(0x50, 0);
     }},
    {"GEN-DRV-037", "ConfiguresWhileSuspended",
     [](Story& t, bool broken) {
       t.bring_up({VIRTIO_F_SUSPEND});
       if (broken) t.w(status, 0x1f);
       t.w(0x100, 0, 1);
     }},
    {"GEN-DRV-039", "Version1NotAccepted",
     [](Story& t, bool broken) {
       t.meet();
       t.offer({VIRTIO_F_VERSION_1});
       t.accept(broken ? FeatureSet{} : FeatureSet{VIRTIO_F_VERSION_1});
       t.features_ok();
     }},
    {"GEN-DRV-047", "SriovOnMmio",
     [](Story& t, bool broken) {
       t.negotiate(broken ? FeatureSet{VIRTIO_F_SR_IOV} : FeatureSet{});
     }},
    {"GEN-LAY-001", "NotifiesAQueueThatIsOff",
     [](Story& t, bool broken) {
       t.bring_up();
       t.w(0x50, broken ? 1 : 0);
     }},
    {"SPLIT-DRV-001", "Misaligned",
     [](Story& t, bool broken) {
       t.negotiate();
       t.w(0x30, 0);
       t.w(0x38, 8);
       t.addresses(0x1000, 0x2000, broken ? 0x3002 : 0x3004);
       t.w(0x44, 1);
     }},
    {"SPLIT-LAY-003", "SizeNoPowerOfTwo",
     [](Story& t, bool broken) {
       t.negotiate();
       t.queue(broken ? 12 : 16);
     }},
    {"PACKED-DRV-001", "Misaligned",
     [](Story& t, bool broken) {
       t.negotiate({VIRTIO_F_RING_PACKED});
       t.w(0x30, 0);
       t.w(0x38, 8);
       t.addresses(0x1000, broken ? 0x2002 : 0x2004, 0x3004);
       t.w(0x44, 1);
     }},
    {"PACKED-LAY-004", "SizeZero",
     [](Story& t, bool broken) {
       t.negotiate({VIRTIO_F_RING_PACKED});
       t.queue(broken ? 0 : 7);
     }},
    {"MMIO-DRV-001", "UnknownRegister",
     [](Story& t, bool broken) {
       t.negotiate();
       t.r(broken ? 0xf0 : 0xfc, 0);
     }},
    {"MMIO-DRV-001", "WritesAReadOnlyRegister",
     [](Story& t, bool broken) {
       t.negotiate();
       t.w(broken ? 0x34 : 0x30, 1);
     }},
    {"MMIO-DRV-001", "ReadsAWriteOnlyRegister",
     [](Story& t, bool broken) {
       t.negotiate();
       t.r(broken ? 0x30 : 0x34, 1);
     }},
    {"MMIO-DRV-002", "NarrowRegisterAccess",
     [](Story& t, bool broken) {
       t.negotiate();
       t.r(status, 0x0b, broken ? 1 : 4);
     }},
    {"MMIO-DRV-003", "WideConfigurationAccess",
     [](Story& t, bool broken) {
       t.negotiate();
       t.r(0x100, 0, broken ? 8 : 4);
     }},
    {"MMIO-DRV-003", "MisalignedConfigurationAccess",
     [](Story& t, bool broken) {
       t.negotiate();
       t.r(broken ? 0x102 : 0x104, 0, 4);
     }},
    {"MMIO-DRV-007", "DeviceFeaturesNotSelected",
     [](Story& t, bool broken) {
       t.identify();
       t.reset();
       if (!broken) t.w(0x14, 0);
       t.r(0x10, 0);
     }},
    {"MMIO-DRV-008", "DriverFeaturesNotSelected",
     [](Story& t, bool broken) {
       t.meet();
       if (!broken) t.w(0x24, 0);
       t.w(0x20, 0);
     }},
    {"MMIO-DRV-009", "QueueTooLarge",
     [](Story& t, bool broken) {
       t.negotiate();
       t.queue(broken ? 512 : 256);
     }},
    {"MMIO-DRV-010", "ConfiguresAReadyQueue",
     [](Story& t, bool broken) {
       t.bring_up();
       if (broken) t.w(0x80, 0x5000);
     }},
    {"MMIO-DRV-011", "QueueReadyNotReadBack",
     [](Story& t, bool broken) {
       t.bring_up();
       t.w(0x44, 0);
       if (!broken) t.r(0x44, 0);
       t.w(0x44, 1);
     }},
    {"MMIO-DRV-013", "AcknowledgesUndefinedBits",
     [](Story& t, bool broken) {
       t.bring_up();
       t.r(0x60, 2);
       t.w(0x64, broken ? 6 : 2);
     }},
    {"MMIO-DRV-014", "QueueResetNotAwaited",
     [](Story& t, bool broken) {
       t.bring_up({VIRTIO_F_RING_RESET});
       t.w(0xc0, 1);
       t.r(0xc0, 1);
       if (!broken) t.r(0xc0, 0);
       t.addresses();
       t.w(0x44, 1);
     }},
    {"MMIO-DRV-017", "NotIdentified",
     [](Story& t, bool broken) {
       t.r(0x00, 0x7472'6976);
       if (!broken) t.r(0x04, 2);
       t.r(0x08, 4);
       t.reset();
     }},
    {"MMIO-DRV-018", "DeviceIdNotRead",
     [](Story& t, bool broken) {
       t.r(0x00, 0x7472'6976);
       t.r(0x04, 2);
       if (!broken) t.r(0x08, 4);
       t.reset();
     }},
    {"MMIO-DRV-006", "PlaceholderDriven",
     [](Story& t, bool broken) {
       t.r(0x00, 0x7472'6976);
       t.r(0x04, 2);
       t.r(0x08, 0);
       if (broken) t.reset();
     }},
    {"MMIO-DRV-021", "AcknowledgesUnread",
     [](Story& t, bool broken) {
       t.bring_up();
       if (!broken) t.r(0x60, 2);
       t.w(0x64, 2);
     }},
    {"MMIO-DEV-004", "InterruptWithoutUsedBuffer",
     [](Story& t, bool broken) {
       t.bring_up();
       t.r(0x60, broken ? 1 : 0);
     }},
    {"GEN-DEV-001", "AccessBeforeDriverOk",
     [](Story& t, bool broken) {
       t.negotiate();
       t.queue();
       if (!broken) t.w(status, 0x0f);
       t.device_access(false, SplitRingDriver::avail_at + 2, {0, 0});
     }},
    {"GEN-DEV-009", "AccessAfterReset",
     [](Story& t, bool broken) {
       t.bring_up();
       t.w(status, 0);
       if (broken) t.r(status, 0);
       t.device_access(false, SplitRingDriver::avail_at + 2, {0, 0});
     }},
    {"GEN-DEV-011", "AccessAfterQueueReset",
     [](Story& t, bool broken) {
       t.bring_up({VIRTIO_F_RING_RESET});
       t.w(0xc0, 1);
       t.r(0xc0, broken ? 0 : 1);
       t.device_access(false, SplitRingDriver::avail_at + 2, {0, 0});
     }},
    {"MMIO-DEV-007", "AccessAfterQueueReadyIsZero",
     [](Story& t, bool broken) {
       t.bring_up();
       t.w(0x44, 0);
       if (broken) t.r(0x44, 0);
       t.device_access(false, SplitRingDriver::avail_at + 2, {0, 0});
     }},
    {"GEN-LAY-002", "AccessElsewhere",
     [](Story& t, bool broken) {
       t.bring_up();
       t.device_access(false, broken ? 0x7000'0000 : SplitRingDriver::avail_at, {0, 0});
     }},
});

/// Recommended features: what was offered is accepted, or not.
template <unsigned feature> void recommended(Story& t, bool broken) {
  t.meet();
  t.offer({VIRTIO_F_VERSION_1, feature});
  t.accept(broken ? FeatureSet{VIRTIO_F_VERSION_1} : FeatureSet{VIRTIO_F_VERSION_1, feature});
  t.features_ok();
}
const bool recommendation_cases = add_cases<MmioScript>({
    {"GEN-DRV-041", "NotAccepted", recommended<VIRTIO_F_ACCESS_PLATFORM>},
    {"GEN-DRV-043", "NotAccepted", recommended<VIRTIO_F_RING_PACKED>},
    {"GEN-DRV-044", "NotAccepted", recommended<VIRTIO_F_ORDER_PLATFORM>},
    {"GEN-DRV-050", "NotAccepted", recommended<VIRTIO_F_NOTIF_CONFIG_DATA>},
});

const FeatureSet notification_data{VIRTIO_F_NOTIFICATION_DATA};
const FeatureSet notif_config_data{VIRTIO_F_NOTIF_CONFIG_DATA};

const bool pci_cases = add_cases<PciScript>({
    {"GEN-DRV-014", "QueueResetNotLookedAtPci",
     [](PciScript& t, bool broken) {
       t.bring_up({VIRTIO_F_RING_RESET});
       t.w(0x3a, 1, 2);
       if (!broken) t.r(0x3a, 0, 2);
       t.queue();
     }},
    {"PCI-DRV-005", "WrongWidth",
     [](PciScript& t, bool broken) {
       t.negotiate();
       if (broken)
         t.r(0x10, 0x0002'ffff, 4);
       else
         t.r(0x10, 0xffff, 2);
     }},
    {"PCI-DRV-005", "A64BitAddressInOneWrite",
     [](PciScript& t, bool broken) {
       t.negotiate();
       t.w(0x20, 0x1000, broken ? 8 : 4);
     }},
    {"PCI-DRV-005", "MisalignedDeviceConfiguration",
     [](PciScript& t, bool broken) {
       t.negotiate();
       t.access(RegisterSpace::pci_device, false, broken ? 2 : 4, 0, 4);
     }},
    {"PCI-DRV-013", "WritesACapability",
     [](PciScript& t, bool broken) { t.access(RegisterSpace::pci_cap, broken, 8, 0, 4); }},
    {"PCI-DRV-014", "WritesAReadOnlyField",
     [](PciScript& t, bool broken) {
       t.negotiate();
       t.w(broken ? 0x12 : 0x16, 1, 2);
     }},
    {"PCI-DRV-015", "PackedSizeZero",
     [](PciScript& t, bool broken) {
       t.negotiate({VIRTIO_F_RING_PACKED});
       t.w(0x18, broken ? 0 : 7, 2);
     }},
    {"PCI-DRV-016", "SplitSizeNoPowerOfTwo",
     [](PciScript& t, bool broken) {
       t.negotiate();
       t.w(0x18, broken ? 7 : 8, 2);
     }},
    {"PCI-DRV-017", "EnabledWithoutAddresses",
     [](PciScript& t, bool broken) {
       t.negotiate();
       t.w(0x16, 0, 2);
       t.r(0x18, 256, 2);
       if (!broken) t.addresses();
       t.w(0x1c, 1, 2);
     }},
    {"PCI-DRV-017", "ConfiguresAnEnabledQueue",
     [](PciScript& t, bool broken) {
       t.bring_up();
       if (broken) t.w(0x20, 0x5000, 4);
     }},
    {"PCI-DRV-018", "ResetNotAwaited",
     [](PciScript& t, bool broken) {
       t.bring_up();
       t.status(0);
       t.r(0x14, 0x0f, 1);
       if (!broken) t.r(0x14, 0, 1);
       t.status(1);
     }},
    {"PCI-DRV-019", "DisablesAQueue",
     [](PciScript& t, bool broken) {
       t.bring_up();
       t.w(0x1c, broken ? 0 : 1, 2);
     }},
    {"PCI-DRV-020", "QueueResetNotAwaited",
     [](PciScript& t, bool broken) {
       t.bring_up({VIRTIO_F_RING_RESET});
       t.w(0x3a, 1, 2);
       t.r(0x3a, 1, 2);
       if (!broken) t.r(0x3a, 0, 2);
       t.queue();
     }},
    {"PCI-DRV-025", "IsrReadWithMsix",
     [](PciScript& t, bool broken) {
       t.bring_up();
       t.access(RegisterSpace::msix_control, true, 0, broken ? 0x8000 : 0, 2);
       t.access(RegisterSpace::pci_isr, false, 0, 0, 1);
     }},
    {"PCI-DRV-028", "MisalignedConfigurationAccess",
     [](PciScript& t, bool broken) {
       t.access(RegisterSpace::pci_cfg_cap, true, 8, broken ? 2 : 4, 4);
       t.access(RegisterSpace::pci_cfg_cap, true, 12, 4, 4);
       t.access(RegisterSpace::pci_cfg_cap, false, 16, 0, 4);
     }},
    {"PCI-DRV-029", "ConfigurationAccessOfThreeBytes",
     [](PciScript& t, bool broken) {
       t.access(RegisterSpace::pci_cfg_cap, true, 12, broken ? 3 : 2, 4);
       t.access(RegisterSpace::pci_cfg_cap, false, 16, 0, 4);
     }},
    {"PCI-DRV-033", "VectorOutOfRange",
     [](PciScript& t, bool broken) {
       t.access(RegisterSpace::msix_control, false, 0, 3, 2);
       t.negotiate();
       t.w(0x10, broken ? 4 : 3, 2);
       t.r(0x10, broken ? 0xffff : 3, 2);
     }},
    {"PCI-DRV-034", "QueueVectorNotReadBack",
     [](PciScript& t, bool broken) {
       t.negotiate();
       t.w(0x16, 0, 2);
       t.w(0x1a, 1, 2);
       if (!broken) t.r(0x1a, 1, 2);
       t.queue();
     }},
    {"PCI-DRV-034", "ConfigurationVectorNotReadBack",
     [](PciScript& t, bool broken) {
       t.negotiate();
       t.w(0x10, 0, 2);
       if (!broken) t.r(0x10, 0, 2);
       t.queue();
       t.status(0x0f);
     }},
    {"PCI-DRV-036", "WideNotification",
     [](PciScript& t, bool broken) {
       t.bring_up();
       t.notify(0, 0, broken ? 4 : 2);
     }},
    {"PCI-DRV-037", "NarrowNotification",
     [](PciScript& t, bool broken) {
       t.bring_up(notification_data);
       t.notify(0, 0, broken ? 2 : 4);
     }},
    {"PCI-DRV-038", "OtherQueuesAddress",
     [](PciScript& t, bool broken) {
       t.negotiate();
       t.queue(0);
       t.queue(1);
       t.status(0x0f);
       t.notify(broken ? 4 : 0, 0);
       t.notify(4, 1);
     }},
    {"PCI-DRV-039", "OtherQueuesAddressWithData",
     [](PciScript& t, bool broken) {
       t.negotiate(notification_data);
       t.queue(0);
       t.queue(1);
       t.status(0x0f);
       t.notify(broken ? 4 : 0, 0, 4);
     }},
    {"PCI-DRV-040", "IndexInsteadOfConfigData",
     [](PciScript& t, bool broken) {
       t.bring_up(notif_config_data);
       t.notify(0, broken ? 0 : 100);
     }},
    {"PCI-DRV-041", "IndexInsteadOfConfigDataWithData",
     [](PciScript& t, bool broken) {
       t.bring_up(notif_config_data | notification_data);
       t.notify(0, broken ? 0 : 100, 4);
     }},
    {"PCI-DRV-040", "OtherQueuesConfigData",
     [](PciScript& t, bool broken) {
       t.negotiate(notif_config_data);
       t.queue(0);
       t.queue(1);
       t.status(0x0f);
       t.notify(0, broken ? 101 : 100);
       t.notify(4, 101);
     }},
    {"PCI-DRV-041", "OtherQueuesConfigDataWithData",
     [](PciScript& t, bool broken) {
       t.negotiate(notif_config_data | notification_data);
       t.queue(0);
       t.queue(1);
       t.status(0x0f);
       t.notify(broken ? 4 : 0, 100, 4);
     }},
    {"PCI-DRV-040", "ConfigDataThatWasNotRead",
     [](PciScript& t, bool broken) {
       t.negotiate(notif_config_data);
       t.w(0x16, 0, 2);
       t.r(0x18, 256, 2);
       t.w(0x18, 8, 2);
       t.addresses();
       if (!broken) t.r(0x38, 100, 2);
       t.w(0x1c, 1, 2);
       t.status(0x0f);
       t.notify(0, 100);
     }},
    {"GEN-LAY-003", "IsrWithoutUsedBuffer",
     [](PciScript& t, bool broken) {
       t.bring_up();
       t.access(RegisterSpace::pci_isr, false, 0, broken ? 1 : 2, 1);
     }},
    {"GEN-LAY-003", "MessageWithoutUsedBuffer",
     [](PciScript& t, bool broken) {
       t.negotiate();
       t.access(RegisterSpace::msix_table, true, 0, 0xfee0'0000, 4);
       t.access(RegisterSpace::msix_table, true, 4, 0, 4);
       t.access(RegisterSpace::msix_table, true, 8, 0x21, 4);
       t.access(RegisterSpace::msix_control, true, 0, 0x8000, 2);
       t.w(0x10, broken ? 0xffff : 0, 2); // else the message may tell of the configuration
       t.r(0x10, broken ? 0xffff : 0, 2);
       t.queue();
       t.status(0x0f);
       t.device_access(true, 0xfee0'0000, {0x21, 0, 0, 0});
     }},
    {"PCI-LAY-001", "AccessToAQueueThatIsOff",
     [](PciScript& t, bool broken) {
       t.negotiate();
       t.w(0x16, 0, 2);
       t.w(0x18, 8, 2);
       t.addresses();
       if (!broken) t.w(0x1c, 1, 2);
       t.status(0x0f);
       t.device_access(false, SplitRingDriver::avail_at, {0, 0});
     }},
    {"PCI-LAY-002", "AccessWithoutBusMaster",
     [](PciScript& t, bool broken) {
       t.bring_up();
       t.access(RegisterSpace::pci_command, true, 0, broken ? 2 : 6, 2);
       t.device_access(false, SplitRingDriver::avail_at, {0, 0});
     }},
});

// --- all rules
// -----------------------------------------------------------------------------------------

class AnalyserRule : public testing::TestWithParam<AnalyserCase> {};

TEST_P(AnalyserRule, IsReportedWhenBrokenAndOnlyThen) {
  EXPECT_EQ(GetParam().run(false), std::vector<std::string>{});
  EXPECT_EQ(GetParam().run(true), std::vector<std::string>{GetParam().id});
}

INSTANTIATE_TEST_SUITE_P(All, AnalyserRule, testing::ValuesIn(analyser_cases()),
                         [](const auto& info) {
                           std::string name = info.param.id + "_" + info.param.what;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Analyser, EveryRuleHasACaseOrATestOfItsOwn) {
  const std::vector<std::string> elsewhere{"MMIO-DRV-004", "MMIO-DRV-005", "MMIO-DEV-001",
                                           "MMIO-DEV-002"};
  for (const analyser::RuleInfo& rule : analyser::rules()) {
    const std::string id(rule.id);
    const bool covered =
        std::ranges::any_of(analyser_cases(), [&](const auto& c) { return c.id == id; }) ||
        std::ranges::find(elsewhere, id) != elsewhere.end();
    EXPECT_TRUE(covered) << id;
  }
}

// How many driver statements the general chapters and the transports of virtio 1.4 have.
constexpr std::pair<const char*, int> driver_statements[] = {
    {"GEN", 50}, {"SPLIT", 26}, {"PACKED", 16}, {"PCI", 42}, {"MMIO", 23}};

TEST(Analyser, EveryDriverStatementIsARuleOrHasAReason) {
  std::ifstream file(TEST_SOURCE_DIR "/models/analyser/README.md");
  const std::string readme(std::istreambuf_iterator<char>(file), {});
  for (const auto& [chapter, count] : driver_statements)
    for (int i = 1; i <= count; ++i) {
      const std::string id = fmt::format("{}-DRV-{:03}", chapter, i);
      EXPECT_TRUE(analyser::find_rule(id) || readme.find(id) != std::string::npos) << id;
    }
}

TEST(Analyser, RulesHaveUniqueIdsAndAreFoundByThem) {
  for (const analyser::RuleInfo& rule : analyser::rules()) {
    ASSERT_NE(analyser::find_rule(rule.id), nullptr);
    EXPECT_EQ(analyser::find_rule(rule.id)->rule, rule.rule) << rule.id;
    EXPECT_EQ(&analyser::info(rule.rule), &rule);
    EXPECT_FALSE(rule.text.empty());
  }
  EXPECT_EQ(analyser::find_rule("SPLIT-DRV-999"), nullptr);
}

// These come in pairs: the device is wrong, and the driver goes on with it.
TEST(Analyser, AForeignMagicOrVersionIsReportedOfDeviceAndDriver) {
  MmioScript magic;
  magic.r(0x00, 0x1234);
  magic.r(0x04, 2);
  magic.r(0x08, 4);
  EXPECT_EQ(ids(magic.analyser), std::vector<std::string>{"MMIO-DEV-001"});
  magic.reset();
  EXPECT_EQ(ids(magic.analyser), (std::vector<std::string>{"MMIO-DRV-004", "MMIO-DEV-001"}));
  MmioScript version;
  version.r(0x00, 0x7472'6976);
  version.r(0x04, 1);
  version.r(0x08, 4);
  EXPECT_EQ(ids(version.analyser), std::vector<std::string>{"MMIO-DEV-002"});
  version.reset();
  EXPECT_EQ(ids(version.analyser), (std::vector<std::string>{"MMIO-DRV-005", "MMIO-DEV-002"}));
}

TEST(Analyser, TheFirstViolationIsTold_LaterOnesAreCounted) {
  std::vector<std::string> told;
  analyser::Analyser a({.device = "blk0"},
                       [&](const analyser::Violation& v) { told.push_back(to_string(v)); });
  for (unsigned i = 0; i < 5; ++i)
    a.on_register({microseconds(7 + i), RegisterSpace::mmio, 0x70, 1, false, 0});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0], "7000000 ps blk0: MMIO-DRV-002 (control registers are accessed 32 bits wide "
                     "and aligned): read of 1 bytes at offset 0x70");
  ASSERT_EQ(a.violations().size(), 1u);
  EXPECT_EQ(a.violations()[0].count, 5u);
  EXPECT_EQ(a.violations()[0].first.time, microseconds(7));
  EXPECT_EQ(a.total(), 5u);
}

TEST(Analyser, RecommendationsAreSilentUnlessAskedFor) {
  analyser::Analyser a({.device = "dut"});
  a.on_register({{}, RegisterSpace::mmio, 0x00, 4, false, 0x7472'6976});
  a.on_register({{}, RegisterSpace::mmio, 0x04, 4, false, 2});
  a.on_register({{}, RegisterSpace::mmio, 0x08, 4, false, 4});
  a.on_register({{}, RegisterSpace::mmio, 0x70, 4, true, 0});
  a.on_register({{}, RegisterSpace::mmio, 0x70, 4, true, 1}); // GEN-DRV-010, a SHOULD
  EXPECT_EQ(a.total(), 0u);
}

TEST(Analyser, LegalInitialisationTwiceIsSilent) {
  MmioScript mmio;
  mmio.bring_up({VIRTIO_F_EVENT_IDX});
  mmio.bring_up({VIRTIO_F_RING_PACKED});
  EXPECT_EQ(ids(mmio.analyser), std::vector<std::string>{});
  PciScript pci;
  pci.bring_up();
  pci.bring_up({VIRTIO_F_RING_PACKED});
  EXPECT_EQ(ids(pci.analyser), std::vector<std::string>{});
}

} // namespace
} // namespace virtio::test
