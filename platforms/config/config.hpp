// The configuration file of a platform, read from TOML into typed structs. This is the public
// schema: one struct for each table, its defaults as member initialisers, and in parameters.cpp one
// row for each member, which drives parsing, range checks, `--set` and `virtio-tlm params` alike.
// No SystemC.
#pragma once

#include <virtio/platforms/config/values.hpp>

#include <tl/expected.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace virtio::platform {

struct CpuConfig {
  std::uint64_t instructions_per_second = 100'000'000;
  std::uint64_t quantum =
      100'000; // instructions between two points where the CPU lets simulated time catch up
  Frequency timebase{
      10'000'000}; // of the mtime counter and of the device tree's timebase-frequency
};

// Of the on-chip bus of every timed virtio-mmio device; its clock has a unit here.
struct BusConfig : tlm2::OnChipBusParams {
  Frequency clock{OnChipBusParams{}.clock};
};

// What [platform] holds beside the common parameters when its kind is riscv_virt.
struct RiscvVirtConfig {
  SimTime watchdog{0}; // longest silence of the UART while the script still waits; 0: no limit
  std::filesystem::path firmware = "/usr/lib/u-boot/qemu-riscv64/u-boot.bin";
  ByteSize reserved_memory{
      16ull << 20};        // at the top of RAM, kept from the firmware for our own driver
  bool own_driver = false; // after the script: stop the CPU and run our own driver
  CpuConfig cpu;
  BusConfig bus;
};

// What the driver of pcie_host costs and how it behaves.
struct HostConfig {
  Frequency clock{3'000'000'000};
  std::optional<std::uint16_t> cores; // none: one for each queue
  std::uint32_t submit_cycles = 600;
  std::uint32_t complete_cycles = 400;
  std::uint32_t mmio_write_cycles = 150;
  std::uint32_t interrupt_cycles = 1'500;
  SimTime interrupt_latency = std::chrono::nanoseconds{800};
  Completion completion = Completion::polling;
  SimTime poll_interval = std::chrono::nanoseconds{100};
  std::uint16_t napi_budget = 64;
  RingFormat ring = RingFormat::split;
  bool event_index = true;
  bool indirect = false;
  bool in_order = false;
  bool notification_data = false;
};

// How long host memory takes to answer a read.
struct LinkMemoryConfig {
  tlm2::LatencyDistribution::Kind kind = tlm2::LatencyDistribution{}.kind;
  virtio::SimTime low = tlm2::LatencyDistribution{}.low;
  virtio::SimTime high = tlm2::LatencyDistribution{}.high;
  std::optional<std::filesystem::path> samples; // if and only if kind = samples; exists
};

// Of the PCI Express link of every timed device, and of the host's end behind it.
struct LinkConfig : tlm2::PcieLinkParams {
  LinkMemoryConfig memory;
};

struct PlatformConfig : RiscvVirtConfig {
  PlatformKind kind = PlatformKind::riscv_virt;
  std::optional<std::string> preset; // pcie_host: defaults of [platform] tables, already merged
  std::uint64_t seed = 1;
  SimTime time_limit = std::chrono::seconds{60};
  ByteSize ram{256ull << 20};
  bool check_driver = false; // watch every device with the protocol analyser
  HostConfig host;           // pcie_host
  LinkConfig link;           // of timed devices on PCI
};

struct MediaConfig {
  std::string name;
  std::filesystem::path file; // exists; already resolved against the folder of the TOML file
  bool write_through = false; // false: work on a copy in --out
};

// Of the timed ring engine; its clock has a unit here.
struct RingConfig : RingEngineParams {
  Frequency clock{RingEngineParams{}.clock};
};

// Of a ring engine in RTL.
struct RtlConfig {
  bool check = true;
  std::optional<std::string> waves; // a file in --out
  std::uint64_t waves_from = 0;     // cycles
  std::uint64_t waves_to = 0;       // 0: to the end
};

// What a device offers to its driver, feature by feature. VIRTIO_F_VERSION_1 always is.
struct FeaturesConfig { // of every type
  bool indirect_desc = true;
  bool event_idx = true;
  bool access_platform = true;
  bool packed = true;
  bool in_order = false;
  bool order_platform = true;
  bool notification_data = false;
  bool notif_config_data = false; // PCI alone
  bool ring_reset = true;
};

struct BlockFeaturesConfig {
  bool seg_max = true;
  bool blk_size = true;
  bool flush = true;
  bool topology = true;
  bool config_wce = true;
  bool mq = true;
};

struct NetFeaturesConfig {
  bool mtu = true;
  bool mac = true;
  bool mrg_rxbuf = true;
  bool status = true;
  bool ctrl_vq = true;
  bool mq = true;
  bool ctrl_rx = false;
  bool ctrl_rx_extra = false;
  bool ctrl_vlan = false;
  bool ctrl_mac_addr = false;
  bool guest_announce = false;
  bool standby = false;
  bool speed_duplex = false;
  bool csum = false;
  bool host_tso4 = false;
  bool host_tso6 = false;
  bool host_ecn = false;
  bool host_ufo = false;
  bool host_uso = false;
  bool guest_hdrlen = false;
  bool guest_csum = false;
  bool guest_tso4 = false;
  bool guest_tso6 = false;
  bool guest_ecn = false;
  bool guest_ufo = false;
  bool guest_uso4 = false;
  bool guest_uso6 = false;
  bool rsc_ext = false;
  bool ctrl_guest_offloads = false;
  bool notf_coal = false;
  bool rss = false;
  bool hash_report = false;
  bool hash_tunnel = false;
};

struct ConsoleFeaturesConfig {
  bool size = true;
  bool emerg_write = true;
};

// How long the functions take, beside rings and memory. All zero: no time.
struct BlockTimingConfig {
  SimTime request_cost{0};
  SimTime read_latency{0};
  SimTime write_latency{0};
  ByteRate bandwidth;         // 0: any
  std::uint32_t channels = 0; // 0: any number
};

struct NetTimingConfig {
  BitRate wire_rate; // 0: any
  SimTime packet_cost{0};
  SimTime lro_patience{0};
};

struct NetRssConfig {
  std::uint16_t hash_types = 0x1ff; // VIRTIO_NET_HASH_TYPE_..
  std::uint16_t key_size = 40;
  std::uint16_t table_length = 128;
  std::uint16_t tunnel_types = 0x1ff; // VIRTIO_NET_HASH_TUNNEL_TYPE_..
  bool ports_of_first_fragment = false;
  std::uint32_t max_parse_bytes = 0;     // 0: any number
  Fidelity fidelity = Fidelity::untimed; // or rtl
};

// What was proposed for the specification and became something else, or nothing.
struct NetProposalsConfig {
  bool inner_hash_v7 = false;
};

struct EntropyTimingConfig {
  SimTime request_cost{0};
};

struct ConsoleTimingConfig {
  SimTime request_cost{0};
};

struct EntropyConfig {
  EntropyTimingConfig timing;
};

struct BlockConfig {
  std::optional<std::string> media; // name of a [[media]]; none: a RAM disk of `capacity`
  std::optional<ByteSize> capacity; // set if and only if there is no medium; a multiple of 512
  bool read_only = false;
  std::string serial; // at most 20 bytes; empty: the device's name
  std::uint16_t queues = 1;
  BlockFeaturesConfig features;
  BlockTimingConfig timing;
};

struct NetConfig {
  std::optional<MacAddress> mac; // none: made from the platform's seed and the device's name
  std::uint16_t mtu = 1500;
  std::optional<std::uint32_t> speed; // Mbit/s, full duplex; none: unknown
  Wire wire = Wire::loopback;
  std::optional<std::string> capture;          // pcap file name inside --out
  std::optional<std::filesystem::path> replay; // pcap file whose frames arrive; resolved, exists
  std::uint16_t queues = 1;                    // pairs of them
  std::optional<SimTime> link_down_at;         // once, after DRIVER_OK
  std::optional<SimTime> link_up_at;
  std::optional<SimTime> announce_at;
  NetFeaturesConfig features;
  NetTimingConfig timing;
  NetRssConfig rss;
  NetProposalsConfig proposals;
};

struct ConsoleConfig {
  ConsoleOutput output = ConsoleOutput::file; // file: NAME.log inside --out
  std::uint16_t cols = 80;
  std::uint16_t rows = 25;
  std::string input; // bytes that arrive on the port as soon as the driver offers buffers
  ConsoleFeaturesConfig features;
  ConsoleTimingConfig timing;
};

struct DeviceConfig {
  std::string name;
  DeviceType type = DeviceType::entropy;
  Transport transport = Transport::mmio;
  Fidelity fidelity = Fidelity::untimed;
  Protocol protocol = Protocol::dmi; // after load() one that goes with the fidelity
  // mmio: index of the register window, 0..7. pci: device number, 1..31. After load() always the
  // final one.
  std::uint8_t slot = 0;
  std::uint16_t queue_size = 256; // largest a driver may choose; a power of two, 1..32768
  SimTime reset_timeout = std::chrono::milliseconds{1};
  FeaturesConfig features;
  RingConfig ring;
  RtlConfig rtl;
  std::variant<EntropyConfig, BlockConfig, NetConfig, ConsoleConfig> function; // alternative `type`
};

// Its ring engine and its way to memory take time.
inline bool takes_time(const DeviceConfig& device) {
  return device.fidelity != Fidelity::untimed;
}

// One step of the script typed into the UART: wait until `expect` has been printed, then type
// `send`.
struct StepConfig {
  std::string expect; // empty: do not wait
  bool regex = false; // `expect` is a POSIX extended regular expression, matched within one line
  std::string send;   // sent byte for byte, a line needs its "\n"
  SimTime timeout = std::chrono::seconds{10};
};

struct BlockWorkloadConfig {
  ByteSize block_size{4096}; // a multiple of 512
  std::uint8_t read_percent = 100;
  Pattern pattern = Pattern::random;
};

struct NetWorkloadConfig {
  Direction direction = Direction::both;
  FrameSource frames = FrameSource::fixed;
  std::uint16_t frame_bytes = 1514;          // without the frame check sequence
  std::optional<std::filesystem::path> pcap; // if and only if frames = pcap; exists
  BitRate wire_rate{25'000'000'000};
  std::optional<std::uint8_t> load_percent; // of wire_rate, in each direction; open loop
};

// What the driver of pcie_host does with one device.
struct WorkloadConfig {
  std::string device;       // of a [[device]]; the path is workload.DEVICE
  std::uint16_t queues = 0; // block: request queues, net: pairs; 0: all that the device has
  std::uint16_t depth = 32;
  std::uint16_t batch = 1;
  Arrival arrival = Arrival::closed;
  std::optional<std::uint64_t> rate;     // a second, over all queues; open loop
  std::optional<std::uint64_t> requests; // that are measured, over all queues
  std::optional<SimTime> duration;       // of the measurement; one of the two is set
  SimTime warm_up = std::chrono::microseconds{50};
  std::variant<BlockWorkloadConfig, NetWorkloadConfig> traffic; // the alternative of the device
};

struct Config {
  std::filesystem::path file; // the TOML file
  PlatformConfig platform;
  std::vector<MediaConfig> media;    // names are unique
  std::vector<DeviceConfig> devices; // names are unique, slots of a transport too
  std::vector<StepConfig> steps;
  std::vector<WorkloadConfig> workloads; // one for a device at most

  // The medium of that name; load() has made sure that every name used by a device exists.
  const MediaConfig& find_media(std::string_view name) const;
};

// What is wrong at one place, with a sentence that says what to do.
struct ConfigError {
  std::string source; // the file as the user named it, or "--set"
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string key; // dotted path as --set takes it: device.blk0.capacity
  std::string sentence;

  // "file:line:column: key: sentence", or "--set key: sentence".
  std::string text() const;
};

// One `--set path=value`, not yet interpreted: "device.blk0.capacity", "1 MiB". Media and devices
// are named by their name, workloads by their device's, steps by their place in the file, counted
// from 1: step.1.timeout.
struct Override {
  std::string path;
  std::string value;
};

// Reads, overrides, checks and resolves. On failure every error found is in the list, in the order
// of the file.
tl::expected<Config, std::vector<ConfigError>> load(const std::filesystem::path& file,
                                                    const std::vector<Override>& overrides = {});

// One line of `virtio-tlm params`.
struct ParameterInfo {
  std::string component; // platform, platform.cpu, media, device, block, ...
  std::string path;      // as in --set, with NAME for a name: device.NAME.capacity
  std::string unit;      // the units it may carry, or what kind of value it is
  std::string fallback;  // the default as written in a file; "required" if there is none
  std::string range;     // allowed values; empty: any
  std::string source;    // where the default comes from; "assumed" if nothing backs it
  std::string description;
};

std::vector<ParameterInfo> parameters();

} // namespace virtio::platform
