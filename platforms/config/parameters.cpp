// Every parameter of the configuration: name, member, rule, source of the default, meaning.
#include <virtio/platforms/config/parameter_table.hpp>

namespace virtio::platform {

namespace {

constexpr std::uint64_t mib = 1ull << 20;
constexpr std::uint64_t gib = 1ull << 30;
constexpr std::uint64_t tib = 1ull << 40;
constexpr std::uint64_t microsecond = 1'000'000; // of SimTime
constexpr std::uint64_t second = 1'000'000 * microsecond;
constexpr std::uint64_t day = 24 * 60 * 60 * second;

constexpr std::string_view assumed = "assumed";
constexpr std::string_view none = "-"; // there is no default to justify

// Names become parts of --set paths and of file names.
std::string_view name_problem(std::string_view name) {
  constexpr std::string_view letters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  const bool good = !name.empty() && name.find_first_not_of(letters) == std::string_view::npos;
  return good ? "" : "is not a name: use letters, digits, _ and - only";
}

// Written into --out, so it must not lead out of it.
std::string_view output_file_problem(std::string_view name) {
  const bool good = !name.empty() && name != "." && name != ".." &&
                    name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
  return good ? "" : "must be a plain file name without folders: it is written to --out";
}

constexpr Rule name_rule{
    .check = name_problem, .form = "letters, digits, _ and -", .required = true};
constexpr Rule output_file_rule{.check = output_file_problem, .form = "a file name, no folders"};

template <class Struct> Table<Struct> named(Table<Struct> table) {
  for (Parameter<Struct>& row : table.parameters) {
    row.info.component = table.component;
    row.info.path = table.path + "." + std::string(row.key);
  }
  return table;
}

template <class... Structs> std::vector<ParameterInfo> list() {
  std::vector<ParameterInfo> all;
  const auto add = [&](const auto& rows) {
    for (const auto& row : rows)
      all.push_back(row.info);
  };
  (add(table(Structs{}).parameters), ...);
  return all;
}

} // namespace

const Table<PlatformConfig>& table(const PlatformConfig&) {
  using P = PlatformConfig;
  static const Table<P> rows = named<P>(
      {"platform",
       "platform",
       {
           parameter("kind", &P::kind, {.required = true},
                     {none, "Which virtual platform is built."}),
           parameter("preset", &P::preset, {},
                     {none, "Name of a preset in platforms/presets, or a TOML file (a path with / "
                            "or .toml): its [platform] tables hold where this file says nothing."}),
           parameter(
               "seed", &P::seed, {.unit = "number"},
               {assumed, "Start of every random sequence; the same seed gives the same run."}),
           parameter("time_limit", &P::time_limit, {.min = microsecond, .max = 100 * day},
                     {assumed, "Simulated time after which the run is stopped as failed."}),
           parameter("ram", &P::ram, {.min = 16 * mib, .max = 64 * gib, .multiple_of = mib},
                     {assumed, "Size of the machine's memory."}),
           parameter("check_driver", &P::check_driver, {},
                     {assumed, "Watch every device with the protocol analyser and report what "
                               "its driver does against the specification. Devices then reach "
                               "memory by transactions, not by pointers."}),
       }});
  return rows;
}

const Table<RiscvVirtConfig>& table(const RiscvVirtConfig&) {
  using P = RiscvVirtConfig;
  static const Table<P> rows = named<P>(
      {"riscv_virt",
       "platform",
       {
           parameter("watchdog", &P::watchdog, {.max = 100 * day},
                     {assumed,
                      "Simulated time that the UART may stay silent while the script waits, "
                      "before the guest counts as hung; \"0 s\" switches this off."}),
           parameter("firmware", &P::firmware, {},
                     {"Debian package u-boot-qemu",
                      "Image loaded to the start of RAM, where the CPU starts."}),
           parameter(
               "reserved_memory", &P::reserved_memory, {.min = mib, .max = gib, .multiple_of = mib},
               {assumed, "Part of RAM that the device tree keeps from the firmware, for our own "
                         "driver's rings and buffers."}),
           parameter("own_driver", &P::own_driver, {},
                     {assumed, "After the script, stop the CPU and let our own driver use the "
                               "entropy and console devices."}),
       }});
  return rows;
}

const Table<CpuConfig>& table(const CpuConfig&) {
  using C = CpuConfig;
  static const Table<C> rows = named<C>(
      {"platform.cpu",
       "platform.cpu",
       {
           parameter("instructions_per_second", &C::instructions_per_second,
                     {.min = 1'000, .max = 100'000'000'000, .unit = "instructions/s"},
                     {assumed, "How many instructions the CPU executes in a simulated second."}),
           parameter(
               "quantum", &C::quantum, {.min = 1, .max = 1'000'000'000, .unit = "instructions"},
               {assumed, "Instructions that the CPU may run ahead of simulated time; an error "
                         "bound of every time stamp the guest takes."}),
           parameter("timebase", &C::timebase, {.min = 1'000, .max = 1'000'000'000},
                     {"QEMU 7.2, hw/riscv/virt.c", "Rate of the guest's clock, mtime."}),
       }});
  return rows;
}

const Table<BusConfig>& table(const BusConfig&) {
  using B = BusConfig;
  constexpr std::string_view cycles = "cycles of clock";
  static const Table<B> rows = named<B>(
      {"platform.bus",
       "platform.bus",
       {
           inherited<B>("width", &B::width,
                        {.min = 1, .max = 128, .power_of_two = true, .unit = "bytes"},
                        {assumed, "Of a data beat."}),
           parameter("clock", &B::clock, {.min = 1, .max = 100'000'000'000},
                     {assumed, "Clock of the on-chip buses that timed devices on mmio have, one "
                               "for DMA and one for registers."}),
           inherited<B>("outstanding_reads", &B::outstanding_reads,
                        {.min = 1, .max = 1024, .unit = "bursts"},
                        {assumed, "Reads under way at once."}),
           inherited<B>("outstanding_writes", &B::outstanding_writes,
                        {.min = 1, .max = 1024, .unit = "bursts"},
                        {assumed, "Writes under way at once."}),
           inherited<B>("request_latency", &B::request_latency, {.max = 1'000'000, .unit = cycles},
                        {assumed, "To the target."}),
           inherited<B>("response_latency", &B::response_latency,
                        {.max = 1'000'000, .unit = cycles}, {assumed, "And back."}),
       }});
  return rows;
}

const Table<HostConfig>& table(const HostConfig&) {
  using H = HostConfig;
  constexpr std::string_view cycles = "cycles of clock";
  constexpr std::uint64_t most = 1'000'000;
  static const Table<H> rows = named<H>(
      {"platform.host",
       "platform.host",
       {
           parameter("clock", &H::clock, {.min = 1'000'000, .max = 100'000'000'000},
                     {assumed, "Clock of the host's cores."}),
           parameter("cores", &H::cores,
                     {.min = 1, .max = 4096, .unit = "number", .fallback = "one for each queue"},
                     {assumed, "Cores that run the driver; queues are dealt out in turn."}),
           parameter("submit_cycles", &H::submit_cycles, {.max = most, .unit = cycles},
                     {assumed, "Cost of one request until it is in the ring, doorbell excluded."}),
           parameter("complete_cycles", &H::complete_cycles, {.max = most, .unit = cycles},
                     {assumed, "Cost of taking one finished request back."}),
           parameter("mmio_write_cycles", &H::mmio_write_cycles, {.max = most, .unit = cycles},
                     {assumed, "Cost of one doorbell to the core that writes it; the write is "
                               "posted."}),
           parameter("interrupt_cycles", &H::interrupt_cycles, {.max = most, .unit = cycles},
                     {assumed, "Cost of entering and leaving an interrupt handler."}),
           parameter("interrupt_latency", &H::interrupt_latency, {.max = second},
                     {assumed, "From an interrupt message at the host to its handler's start."}),
           parameter("completion", &H::completion, {},
                     {assumed, "How the driver finds out: polling looks every poll_interval; "
                               "interrupt leaves interrupts on; napi switches them off from the "
                               "first interrupt until a look finds less than napi_budget."}),
           parameter("poll_interval", &H::poll_interval, {.min = 1'000, .max = second},
                     {assumed, "Time between two looks at a queue that had nothing."}),
           parameter("napi_budget", &H::napi_budget, {.min = 1, .max = 32768, .unit = "requests"},
                     {"Linux 6.1, NAPI_POLL_WEIGHT in include/linux/netdevice.h",
                      "Requests that one look takes back before the other queues of the core get "
                      "their turn."}),
           parameter("ring", &H::ring, {}, {"Linux 6.1, virtio_ring", "Format of the rings."}),
           parameter("event_index", &H::event_index, {},
                     {"Linux 6.1, virtio_ring", "Negotiate VIRTIO_F_EVENT_IDX."}),
           parameter("indirect", &H::indirect, {},
                     {assumed, "Negotiate VIRTIO_F_INDIRECT_DESC and use a table for each chain "
                               "of more than one descriptor."}),
           parameter("in_order", &H::in_order, {}, {assumed, "Negotiate VIRTIO_F_IN_ORDER."}),
           parameter("notification_data", &H::notification_data, {},
                     {assumed, "Negotiate VIRTIO_F_NOTIFICATION_DATA."}),
       }});
  return rows;
}

const Table<LinkConfig>& table(const LinkConfig&) {
  using T = LinkConfig;
  static const Table<T> rows = named<T>(
      {"platform.link",
       "platform.link",
       {
           inherited<T>("generation", &T::generation, {.min = 1, .max = 5, .unit = "number"},
                        {assumed, "Generation of PCI Express: 2.5, 5, 8, 16 or 32 GT/s."}),
           inherited<T>("lanes", &T::lanes,
                        {.min = 1, .max = 32, .power_of_two = true, .unit = "number"},
                        {assumed, "Width of the link."}),
           inherited<T>("max_payload", &T::max_payload,
                        {.min = 128, .max = 4096, .power_of_two = true, .unit = "bytes"},
                        {assumed, "Max_Payload_Size."}),
           inherited<T>("max_read_request", &T::max_read_request,
                        {.min = 128, .max = 4096, .power_of_two = true, .unit = "bytes"},
                        {"PCI Express Base 5.0, 7.5.3.4", "Max_Read_Request_Size."}),
           inherited<T>("read_completion_boundary", &T::read_completion_boundary,
                        {.min = 64, .max = 128, .power_of_two = true, .unit = "bytes"},
                        {"PCI Express Base 5.0, 7.5.3.7", "Read Completion Boundary."}),
           inherited<T>("completion_size", &T::completion_size, {.max = 4096, .unit = "bytes"},
                        {assumed, "Longest completion the host sends; 0: max_payload."}),
           inherited<T>("ecrc", &T::ecrc, {},
                        {"PCI Express Base 5.0, 6.2.3", "4 bytes more in every TLP."}),
           inherited<T>("relaxed_ordering", &T::relaxed_ordering, {},
                        {assumed, "Completions may pass posted requests."}),
           inherited<T>("id_based_ordering", &T::id_based_ordering, {},
                        {assumed, "The same, for streams that are independent."}),
           inherited<T>(
               "propagation", &T::propagation,
               {
                   .max = 1000000000,
               },
               {assumed, "One way, from the last bit sent to the TLP usable at the other end."}),
           inherited<T>("credit_return", &T::credit_return,
                        {
                            .max = 1000000000,
                        },
                        {assumed, "From a buffer being free to the sender knowing it."}),
           inherited<T>(
               "tags", &T::tags, {.min = 1, .max = 768, .unit = "number"},
               {"PCI Express Base 5.0, 2.2.6.2", "Read requests of the device under way at once."}),
           inherited<T>(
               "completion_headers", &T::completion_headers, {.max = 1000000, .unit = "headers"},
               {assumed, "Space for completions that reads reserve in the device; 0: any number."}),
           inherited<T>("completion_data", &T::completion_data,
                        {.max = 1000000, .unit = "16 bytes"},
                        {assumed, "The same for their data; 0: any number."}),
           inherited<T>("posted_buffer", &T::posted_buffer,
                        {.min = 128, .max = 1000000000, .unit = "bytes"},
                        {assumed, "Writes that wait in the device to be sent."}),
           inherited<T>("nonposted_queue", &T::nonposted_queue,
                        {.min = 1, .max = 1000000, .unit = "requests"},
                        {assumed, "Reads that wait in the device to be sent."}),
           inherited<T>("root_complex", &T::root_complex,
                        {
                            .max = 1000000000,
                        },
                        {assumed, "Time of every request in the root complex, before memory."}),
           inherited<T>("request_interval", &T::request_interval,
                        {
                            .max = 1000000000,
                        },
                        {assumed, "Least time between two requests that the root complex takes."}),
           inherited<T>("reads_in_service", &T::reads_in_service,
                        {.max = 1000000, .unit = "requests"},
                        {assumed, "Read requests at memory at once; 0: any number."}),
       }});
  return rows;
}

const Table<LinkMemoryConfig>& table(const LinkMemoryConfig&) {
  using T = LinkMemoryConfig;
  static const Table<T> rows = named<T>(
      {"platform.link.memory",
       "platform.link.memory",
       {
           parameter("kind", &T::kind, {},
                     {assumed, "How the latency of a read is drawn: always low, evenly between "
                               "low and high, or from the file samples."}),
           parameter(
               "low", &T::low, {.max = second},
               {"pcie-bench (SIGCOMM 2018), 6.1", "Latency of host memory, or the least of it."}),
           parameter("high", &T::high, {.max = second}, {assumed, "For uniform: the most of it."}),
           parameter("samples", &T::samples, {},
                     {none, "For samples: a file with a latency in ns on each line."}),
       }});
  return rows;
}

const Table<tlm2::PcieCredits>& table(const tlm2::PcieCredits&) {
  using T = tlm2::PcieCredits;
  static const Table<T> rows = named<T>(
      {"platform.link.CREDITS",
       "platform.link.CREDITS",
       {
           parameter("posted_header", &T::posted_header, {.max = 1000000, .unit = "headers"},
                     {assumed, "Posted requests; 0: any number."}),
           parameter("posted_data", &T::posted_data, {.max = 1000000, .unit = "16 bytes"},
                     {assumed, "Their data; 0: any amount."}),
           parameter("nonposted_header", &T::nonposted_header, {.max = 1000000, .unit = "headers"},
                     {assumed, "Non-posted requests; 0: any number."}),
           parameter("nonposted_data", &T::nonposted_data, {.max = 1000000, .unit = "16 bytes"},
                     {assumed, "Their data; 0: any amount."}),
       }});
  return rows;
}

const Table<tlm2::TranslationParams>& table(const tlm2::TranslationParams&) {
  using T = tlm2::TranslationParams;
  static const Table<T> rows = named<T>(
      {"platform.link.translation",
       "platform.link.translation",
       {
           parameter("where", &T::where, {},
                     {assumed, "Where addresses are translated: not at all, in the root complex, "
                               "or in the device (ATS)."}),
           parameter("entries", &T::entries, {.min = 1, .max = 1000000, .unit = "entries"},
                     {"pcie-bench (SIGCOMM 2018), 6.5", "Of the TLB."}),
           parameter("ways", &T::ways, {.min = 1, .max = 1000000, .unit = "entries"},
                     {assumed, "That a page may be in; divides entries."}),
           parameter("page", &T::page,
                     {.min = 4096, .max = 1073741824, .power_of_two = true, .unit = "bytes"},
                     {assumed, "Size of a page."}),
           parameter("hit", &T::hit,
                     {
                         .max = 1000000000,
                     },
                     {assumed, "Time of a lookup that hits."}),
           parameter("miss", &T::miss,
                     {
                         .max = 1000000000,
                     },
                     {"pcie-bench (SIGCOMM 2018), 6.5", "Time of a page walk."}),
           parameter("walkers", &T::walkers, {.max = 1000000, .unit = "number"},
                     {assumed, "Page walks at once; 0: any number."}),
       }});
  return rows;
}

const Table<MediaConfig>& table(const MediaConfig&) {
  using M = MediaConfig;
  static const Table<M> rows = named<M>(
      {"media",
       "media.NAME",
       {
           parameter("name", &M::name, name_rule, {none, "What devices call this medium."}),
           parameter("file", &M::file, {.required = true},
                     {none, "Image file; a relative path starts at the TOML file's folder."}),
           parameter(
               "write_through", &M::write_through, {},
               {assumed, "Change the image itself; otherwise the run works on a copy in --out."}),
       }});
  return rows;
}

const Table<DeviceConfig>& table(const DeviceConfig&) {
  using D = DeviceConfig;
  static const Table<D> rows = named<D>(
      {"device",
       "device.NAME",
       {
           parameter("name", &D::name, name_rule,
                     {none, "What results and --set call this device."}),
           parameter("type", &D::type, {.required = true}, {none, "What the device does."}),
           parameter("transport", &D::transport, {.required = true},
                     {none, "How the driver reaches it."}),
           parameter("fidelity", &D::fidelity, {},
                     {assumed,
                      "untimed: rings and memory take no simulated time; what a device's "
                      "function takes is in its timing table, by default none. timed: "
                      "ring engine and the way to memory take time, too. rtl: as timed, and "
                      "the ring engine is vq_engine under Verilator."}),
           parameter("protocol", &D::protocol, {.fallback = "dmi when untimed, else at"},
                     {assumed, "How the device reaches memory: dmi by direct pointers, untimed "
                               "only; lt by b_transport; at by nb_transport, not when untimed."}),
           parameter(
               "slot", &D::slot, {.max = 31, .unit = "number", .fallback = "the next free one"},
               {none, "MMIO: number of the register window, 0 to 7. PCI: device number on bus "
                      "0, 1 to 31."}),
           parameter("queue_size", &D::queue_size,
                     {.min = 1, .max = 32768, .power_of_two = true, .unit = "descriptors"},
                     {"QEMU 7.2, virtio-blk and virtio-net",
                      "Largest queue that the driver may choose, in every queue of the device."}),
           parameter("reset_timeout", &D::reset_timeout, {.min = microsecond, .max = second},
                     {assumed, "Longest simulated time a reset waits for memory accesses under way "
                               "before it gives them up."}),
       }});
  return rows;
}

const Table<FeaturesConfig>& table(const FeaturesConfig&) {
  using F = FeaturesConfig;
  static const Table<F> rows = named<F>(
      {"device.features",
       "device.NAME.features",
       {
           parameter("indirect_desc", &F::indirect_desc, {},
                     {assumed, "Offer VIRTIO_F_INDIRECT_DESC: chains in tables of their own."}),
           parameter("event_idx", &F::event_idx, {},
                     {assumed, "Offer VIRTIO_F_EVENT_IDX: each side names the index at which it "
                               "wants to be notified."}),
           parameter("access_platform", &F::access_platform, {},
                     {assumed, "Offer VIRTIO_F_ACCESS_PLATFORM: the driver gives bus addresses."}),
           parameter("packed", &F::packed, {},
                     {assumed, "Offer VIRTIO_F_RING_PACKED: packed virtqueues beside split ones."}),
           parameter("in_order", &F::in_order, {},
                     {assumed, "Offer VIRTIO_F_IN_ORDER: buffers are used in the order in which "
                               "they became available."}),
           parameter("order_platform", &F::order_platform, {},
                     {assumed,
                      "Offer VIRTIO_F_ORDER_PLATFORM: the driver orders memory as for hardware."}),
           parameter(
               "notification_data", &F::notification_data, {},
               {assumed,
                "Offer VIRTIO_F_NOTIFICATION_DATA: notifications say how far the driver is."}),
           parameter("notif_config_data", &F::notif_config_data, {},
                     {assumed, "Offer VIRTIO_F_NOTIF_CONFIG_DATA: the device says what names a "
                               "queue in notifications. On PCI alone."}),
           parameter("ring_reset", &F::ring_reset, {},
                     {assumed, "Offer VIRTIO_F_RING_RESET: queues can be reset one by one."}),
       }});
  return rows;
}

const Table<BlockFeaturesConfig>& table(const BlockFeaturesConfig&) {
  using F = BlockFeaturesConfig;
  static const Table<F> rows = named<F>(
      {"block.features",
       "device.NAME.features",
       {
           parameter("seg_max", &F::seg_max, {},
                     {assumed, "Offer VIRTIO_BLK_F_SEG_MAX: the most data segments of a request."}),
           parameter("blk_size", &F::blk_size, {},
                     {assumed, "Offer VIRTIO_BLK_F_BLK_SIZE: the logical block's size."}),
           parameter(
               "flush", &F::flush, {},
               {assumed,
                "Offer VIRTIO_BLK_F_FLUSH: a volatile write cache and a command to empty it."}),
           parameter("topology", &F::topology, {},
                     {assumed, "Offer VIRTIO_BLK_F_TOPOLOGY: the physical block's size."}),
           parameter(
               "config_wce", &F::config_wce, {},
               {assumed, "Offer VIRTIO_BLK_F_CONFIG_WCE: the driver switches the write cache."}),
           parameter("mq", &F::mq, {},
                     {assumed, "Offer VIRTIO_BLK_F_MQ when `queues` is more than 1."}),
       }});
  return rows;
}

const Table<NetFeaturesConfig>& table(const NetFeaturesConfig&) {
  using F = NetFeaturesConfig;
  static const Table<F> rows = named<F>(
      {"net.features",
       "device.NAME.features",
       {
           parameter("mtu", &F::mtu, {},
                     {assumed, "Offer VIRTIO_NET_F_MTU: the driver is told `mtu`."}),
           parameter("mac", &F::mac, {},
                     {assumed, "Offer VIRTIO_NET_F_MAC: the driver is told `mac`."}),
           parameter("mrg_rxbuf", &F::mrg_rxbuf, {},
                     {assumed,
                      "Offer VIRTIO_NET_F_MRG_RXBUF: a received frame may take several buffers."}),
           parameter(
               "status", &F::status, {},
               {assumed, "Offer VIRTIO_NET_F_STATUS: the driver is told whether the link is up."}),
           parameter("ctrl_vq", &F::ctrl_vq, {},
                     {assumed, "Offer VIRTIO_NET_F_CTRL_VQ, the control queue, when a feature that "
                               "has commands is "
                               "offered."}),
           parameter("mq", &F::mq, {},
                     {assumed, "Offer VIRTIO_NET_F_MQ when `queues` is more than 1."}),
           parameter("ctrl_rx", &F::ctrl_rx, {},
                     {assumed, "Offer VIRTIO_NET_F_CTRL_RX: filtering by address, with commands "
                               "for its modes and tables."}),
           parameter("ctrl_rx_extra", &F::ctrl_rx_extra, {},
                     {assumed,
                      "Offer VIRTIO_NET_F_CTRL_RX_EXTRA: further modes of filtering by address."}),
           parameter("ctrl_vlan", &F::ctrl_vlan, {},
                     {assumed, "Offer VIRTIO_NET_F_CTRL_VLAN: filtering by VLAN."}),
           parameter("ctrl_mac_addr", &F::ctrl_mac_addr, {},
                     {assumed,
                      "Offer VIRTIO_NET_F_CTRL_MAC_ADDR: the driver sets its address by command."}),
           parameter(
               "guest_announce", &F::guest_announce, {},
               {assumed,
                "Offer VIRTIO_NET_F_GUEST_ANNOUNCE: the driver can be asked to announce itself."}),
           parameter("standby", &F::standby, {},
                     {assumed, "Offer VIRTIO_NET_F_STANDBY: the bit alone; there is no primary "
                               "device to stand in for."}),
           parameter("speed_duplex", &F::speed_duplex, {},
                     {assumed, "Offer VIRTIO_NET_F_SPEED_DUPLEX: the driver is told `speed`."}),
           parameter("csum", &F::csum, {},
                     {assumed, "Offer VIRTIO_NET_F_CSUM: the device completes checksums."}),
           parameter("host_tso4", &F::host_tso4, {},
                     {assumed, "Offer VIRTIO_NET_F_HOST_TSO4: the device segments TCP over IPv4."}),
           parameter("host_tso6", &F::host_tso6, {},
                     {assumed, "Offer VIRTIO_NET_F_HOST_TSO6: the device segments TCP over IPv6."}),
           parameter("host_ecn", &F::host_ecn, {},
                     {assumed, "Offer VIRTIO_NET_F_HOST_ECN: the device segments TCP with "
                               "congestion notification."}),
           parameter("host_ufo", &F::host_ufo, {},
                     {assumed, "Offer VIRTIO_NET_F_HOST_UFO: the device fragments UDP."}),
           parameter("host_uso", &F::host_uso, {},
                     {assumed, "Offer VIRTIO_NET_F_HOST_USO: the device segments UDP."}),
           parameter(
               "guest_hdrlen", &F::guest_hdrlen, {},
               {assumed,
                "Offer VIRTIO_NET_F_GUEST_HDRLEN: the driver says exactly how long headers are."}),
           parameter("guest_csum", &F::guest_csum, {},
                     {assumed, "Offer VIRTIO_NET_F_GUEST_CSUM: the device vouches for checksums of "
                               "what it received, or leaves them open."}),
           parameter(
               "guest_tso4", &F::guest_tso4, {},
               {assumed, "Offer VIRTIO_NET_F_GUEST_TSO4: received TCP over IPv4 is coalesced."}),
           parameter(
               "guest_tso6", &F::guest_tso6, {},
               {assumed, "Offer VIRTIO_NET_F_GUEST_TSO6: received TCP over IPv6 is coalesced."}),
           parameter("guest_ecn", &F::guest_ecn, {},
                     {assumed, "Offer VIRTIO_NET_F_GUEST_ECN: received TCP with congestion "
                               "notification is coalesced."}),
           parameter("guest_ufo", &F::guest_ufo, {},
                     {assumed, "Offer VIRTIO_NET_F_GUEST_UFO: the driver takes UDP datagrams "
                               "longer than the MTU."}),
           parameter("guest_uso4", &F::guest_uso4, {},
                     {assumed, "Offer VIRTIO_NET_F_GUEST_USO4: the driver takes UDP over IPv4 that "
                               "is to be segmented."}),
           parameter("guest_uso6", &F::guest_uso6, {},
                     {assumed, "Offer VIRTIO_NET_F_GUEST_USO6: the driver takes UDP over IPv6 that "
                               "is to be segmented."}),
           parameter("rsc_ext", &F::rsc_ext, {},
                     {assumed, "Offer VIRTIO_NET_F_RSC_EXT: coalesced segments are counted."}),
           parameter("ctrl_guest_offloads", &F::ctrl_guest_offloads, {},
                     {assumed, "Offer VIRTIO_NET_F_CTRL_GUEST_OFFLOADS: the driver switches "
                               "receive offloads by command."}),
           parameter(
               "notf_coal", &F::notf_coal, {},
               {assumed, "Offer VIRTIO_NET_F_NOTF_COAL: the driver has notifications coalesced."}),
           parameter("rss", &F::rss, {},
                     {assumed, "Offer VIRTIO_NET_F_RSS: the driver spreads received packets over "
                               "queues by hash and table."}),
           parameter("hash_report", &F::hash_report, {},
                     {assumed, "Offer VIRTIO_NET_F_HASH_REPORT: received packets come with their "
                               "hash."}),
           parameter("hash_tunnel", &F::hash_tunnel, {},
                     {assumed, "Offer VIRTIO_NET_F_HASH_TUNNEL, bit 51: what tunnels carry is "
                               "hashed."}),
       }});
  return rows;
}

const Table<ConsoleFeaturesConfig>& table(const ConsoleFeaturesConfig&) {
  using F = ConsoleFeaturesConfig;
  static const Table<F> rows = named<F>(
      {"console.features",
       "device.NAME.features",
       {
           parameter(
               "size", &F::size, {},
               {assumed, "Offer VIRTIO_CONSOLE_F_SIZE: the driver is told `cols` and `rows`."}),
           parameter("emerg_write", &F::emerg_write, {},
                     {assumed, "Offer VIRTIO_CONSOLE_F_EMERG_WRITE: output without a queue."}),
       }});
  return rows;
}

const Table<RtlConfig>& table(const RtlConfig&) {
  using R = RtlConfig;
  static const Table<R> rows = named<R>(
      {"device.rtl",
       "device.NAME.rtl",
       {
           parameter("check", &R::check, {},
                     {none, "Judge what crosses the ring engine's boundary by the rules of "
                            "co-simulation; a rule that is broken ends the run."}),
           parameter("waves", &R::waves, output_file_rule,
                     {none, "Write the waves of the RTL to this file in --out (FST, for GTKWave; "
                            "10 ns in it are a cycle)."}),
           parameter("waves_from", &R::waves_from, {.unit = "cycles"},
                     {none, "First cycle in the waves."}),
           parameter("waves_to", &R::waves_to, {.unit = "cycles"},
                     {none, "Last cycle in the waves; 0: the last of the run."}),
       }});
  return rows;
}

const Table<EntropyTimingConfig>& table(const EntropyTimingConfig&) {
  using T = EntropyTimingConfig;
  static const Table<T> rows = named<T>(
      {"entropy.timing",
       "device.NAME.timing",
       {
           parameter(
               "request_cost", &T::request_cost, {.min = 0, .max = second},
               {assumed, "The device's own work on a request; requests come one after the other."}),
       }});
  return rows;
}

const Table<BlockTimingConfig>& table(const BlockTimingConfig&) {
  using T = BlockTimingConfig;
  static const Table<T> rows = named<T>(
      {"block.timing",
       "device.NAME.timing",
       {
           parameter("request_cost", &T::request_cost, {.min = 0, .max = second},
                     {assumed, "The device's own work on a request, each by itself."}),
           parameter("read_latency", &T::read_latency, {.min = 0, .max = second},
                     {assumed, "From a read's command to the medium's first byte."}),
           parameter(
               "write_latency", &T::write_latency, {.min = 0, .max = second},
               {assumed, "From a write's last byte until it is done; a flush takes as long."}),
           parameter(
               "bandwidth", &T::bandwidth, {.min = 0, .max = 1'000'000'000'000},
               {assumed,
                "Bytes between medium and device, all channels together; 0: they take no time."}),
           parameter("channels", &T::channels, {.min = 0, .max = 65536, .unit = "requests"},
                     {assumed, "Requests that the medium works on at a time; 0: any number."}),
       }});
  return rows;
}

const Table<NetTimingConfig>& table(const NetTimingConfig&) {
  using T = NetTimingConfig;
  static const Table<T> rows = named<T>(
      {"net.timing",
       "device.NAME.timing",
       {
           parameter("wire_rate", &T::wire_rate, {.min = 0, .max = 10'000'000'000'000},
                     {assumed, "Rate of the wire in each direction, preamble, check sequence and "
                               "gap of each frame included; 0: frames take no time."}),
           parameter("packet_cost", &T::packet_cost, {.min = 0, .max = second},
                     {assumed, "The device's own work on a packet; those of a direction come one "
                               "after the other."}),
           parameter("lro_patience", &T::lro_patience, {.min = 0, .max = second},
                     {assumed, "How long a received TCP segment waits for the next, where the "
                               "driver takes joined ones; 0: for what comes at the same time."}),
       }});
  return rows;
}

const Table<NetRssConfig>& table(const NetRssConfig&) {
  using R = NetRssConfig;
  static const Table<R> rows = named<R>(
      {"net.rss",
       "device.NAME.rss",
       {
           parameter("hash_types", &R::hash_types, {.min = 0, .max = 0x1ff, .unit = "bit mask"},
                     {assumed, "supported_hash_types: bit 0 IPv4, 1 TCPv4, 2 UDPv4, 3 IPv6, "
                               "4 TCPv6, 5 UDPv6, 6 IP_EX, 7 TCP_EX, 8 UDP_EX."}),
           parameter("key_size", &R::key_size, {.min = 40, .max = 255, .unit = "bytes"},
                     {"virtio 1.4, 5.1.4.1", "rss_max_key_size; hashes use the first 40 bytes."}),
           parameter("table_length", &R::table_length,
                     {.min = 128, .max = 32768, .unit = "entries"},
                     {"virtio 1.4, 5.1.4.1", "rss_max_indirection_table_length."}),
           parameter("tunnel_types", &R::tunnel_types, {.min = 0, .max = 0x1ff, .unit = "bit mask"},
                     {assumed, "supported_tunnel_types: bit 0 GRE_2784, 1 GRE_2890, 2 GRE_7676, "
                               "3 GRE_UDP, 4 VXLAN, 5 VXLAN_GPE, 6 GENEVE, 7 IPIP, 8 NVGRE."}),
           parameter("ports_of_first_fragment", &R::ports_of_first_fragment, {},
                     {assumed, "Hash the ports of a packet's first fragment too; off: addresses "
                               "only, so that all fragments have the same hash."}),
           parameter("max_parse_bytes", &R::max_parse_bytes,
                     {.min = 0, .max = 65536, .unit = "bytes"},
                     {assumed, "How far into a frame headers are looked at for its hash: one that "
                               "ends later counts as cut, so that addresses alone are hashed, or "
                               "nothing; 0: the whole frame."}),
           parameter("fidelity", &R::fidelity, {},
                     {assumed, "untimed: the network model makes the hashes. rtl: rss_hash under "
                               "Verilator does, judged by the model; it takes no simulated time, "
                               "and headers behind the first 256 bytes count as cut."}),
       }});
  return rows;
}

const Table<NetProposalsConfig>& table(const NetProposalsConfig&) {
  using P = NetProposalsConfig;
  static const Table<P> rows =
      named<P>({"net.proposals",
                "device.NAME.proposals",
                {
                    parameter("inner_hash_v7", &P::inner_hash_v7, {},
                              {assumed, "Offer inner-header hash as its version 7 proposed it: "
                                        "bit 52, hash types 9 to 11, hash_report_tunnel."}),
                }});
  return rows;
}

const Table<ConsoleTimingConfig>& table(const ConsoleTimingConfig&) {
  using T = ConsoleTimingConfig;
  static const Table<T> rows = named<T>(
      {"console.timing",
       "device.NAME.timing",
       {
           parameter(
               "request_cost", &T::request_cost, {.min = 0, .max = second},
               {assumed,
                "The device's own work on a buffer; those of a queue come one after the other."}),
       }});
  return rows;
}

const Table<RingConfig>& table(const RingConfig&) {
  using T = RingConfig;
  static const Table<T> rows = named<T>(
      {"device.ring",
       "device.NAME.ring",
       {
           parameter("clock", &T::clock, {.min = 1'000'000, .max = 10'000'000'000},
                     {assumed, "Clock of the ring engine; what follows in cycles is in its."}),
           inherited<T>("available_batch", &T::available_batch,
                        {.min = 1, .max = 256, .unit = "entries"},
                        {assumed, "Available ring entries in one read (split rings)."}),
           inherited<T>(
               "available_prefetch", &T::available_prefetch,
               {.min = 1, .max = 65535, .unit = "entries"},
               {assumed, "Available ring entries of a queue under way; at least available_batch."}),
           inherited<T>("descriptor_batch", &T::descriptor_batch,
                        {.min = 1, .max = 64, .unit = "descriptors"},
                        {assumed, "Descriptors in one read."}),
           inherited<T>(
               "descriptor_prefetch", &T::descriptor_prefetch,
               {.min = 1, .max = 65535, .unit = "descriptors"},
               {assumed, "Descriptors of a packed ring under way; at least descriptor_batch."}),
           inherited<T>("indirect_batch", &T::indirect_batch,
                        {.min = 1, .max = 64, .unit = "descriptors"},
                        {assumed, "Entries of an indirect table in one read."}),
           inherited<T>(
               "chains_in_flight", &T::chains_in_flight, {.min = 1, .max = 65535, .unit = "chains"},
               {assumed, "Chains between available entry and device function, of all queues."}),
           inherited<T>("queues_in_flight", &T::queues_in_flight,
                        {.min = 1, .max = 65535, .unit = "queues"},
                        {assumed, "Queues whose rings are looked at at once."}),
           inherited<T>("outstanding_reads", &T::outstanding_reads,
                        {.min = 1, .max = 65535, .unit = "requests"},
                        {assumed, "Reads under way to memory, of all queues and kinds."}),
           inherited<T>("outstanding_writes", &T::outstanding_writes,
                        {.min = 1, .max = 65535, .unit = "requests"},
                        {assumed, "Writes under way to memory, of all queues and kinds."}),
           inherited<T>("used_batch", &T::used_batch, {.min = 1, .max = 65535, .unit = "chains"},
                        {assumed, "Chains that are written back without waiting for more."}),
           inherited<T>("used_timeout", &T::used_timeout, {.max = 1000000000, .unit = "cycles"},
                        {assumed, "How long a used chain waits for others; 0: not at all."}),
           inherited<T>("event_policy", &T::event_policy, {},
                        {assumed, "When the driver's event suppression is read: after every "
                                  "write-back, or only after the last one that has work waiting."}),
           inherited<T>("interrupt_timeout", &T::interrupt_timeout,
                        {.max = 1000000000, .unit = "cycles"},
                        {assumed, "How long an interrupt waits for others; 0: not at all."}),
           inherited<T>("interrupt_chains", &T::interrupt_chains,
                        {.min = 1, .max = 65535, .unit = "chains"},
                        {assumed, "Chains that are signalled without waiting for more."}),
           inherited<T>("arbitration", &T::arbitration, {},
                        {assumed, "Which of the queues that have work is visited next. A visit "
                                  "fetches what available_prefetch allows with round_robin, else "
                                  "one available_batch."}),
           inherited<T>("weights", &T::weights, {.min = 1, .max = 65535},
                        {assumed, "For arbitration = \"weighted\": visits in a row by queue; 1 "
                                  "for queues beyond the list. [8, 1, 1] or \"8 2*1\"."}),
           inherited<T>("priorities", &T::priorities, {.max = 7},
                        {assumed, "For arbitration = \"priority\": by queue, the lowest goes "
                                  "first; 0 for queues beyond the list. [0, 7, 7] or \"0 2*7\"."}),
           inherited<T>("doorbell_cycles", &T::doorbell_cycles, {.max = 1000000, .unit = "cycles"},
                        {assumed, "From a doorbell to the first fetch."}),
           inherited<T>("visit_cycles", &T::visit_cycles, {.max = 1000000, .unit = "cycles"},
                        {assumed, "Choosing a queue."}),
           inherited<T>("available_cycles", &T::available_cycles,
                        {.max = 1000000, .unit = "cycles"},
                        {assumed, "Each available ring entry."}),
           inherited<T>("descriptor_cycles", &T::descriptor_cycles,
                        {.max = 1000000, .unit = "cycles"}, {assumed, "Each descriptor."}),
           inherited<T>("emit_cycles", &T::emit_cycles, {.max = 1000000, .unit = "cycles"},
                        {assumed, "Handing a chain to the device function."}),
           inherited<T>("completion_cycles", &T::completion_cycles,
                        {.max = 1000000, .unit = "cycles"}, {assumed, "Taking a chain back."}),
           inherited<T>("used_cycles", &T::used_cycles, {.max = 1000000, .unit = "cycles"},
                        {assumed, "Each used entry."}),
           inherited<T>("event_cycles", &T::event_cycles, {.max = 1000000, .unit = "cycles"},
                        {assumed, "Deciding about an interrupt."}),
       }});
  return rows;
}

const Table<EntropyConfig>& table(const EntropyConfig&) {
  static const Table<EntropyConfig> rows = named<EntropyConfig>({"entropy", "device.NAME", {}});
  return rows;
}

const Table<BlockConfig>& table(const BlockConfig&) {
  using B = BlockConfig;
  static const Table<B> rows = named<B>(
      {"block",
       "device.NAME",
       {
           parameter("media", &B::media, {}, {none, "Name of the [[media]] that holds the data."}),
           parameter("capacity", &B::capacity, {.min = 512, .max = 16 * tib, .multiple_of = 512},
                     {none, "Size of a RAM disk of zeros, for a device without media."}),
           parameter("read_only", &B::read_only, {},
                     {assumed, "Offer VIRTIO_BLK_F_RO and refuse writes."}),
           parameter("serial", &B::serial, {.max_length = 20, .fallback = "the device's name"},
                     {assumed, "Answer to a get-id request."}),
           parameter("queues", &B::queues, {.min = 1, .max = 1024, .unit = "queues"},
                     {assumed, "Request queues, for as many CPUs at a time."}),
       }});
  return rows;
}

const Table<NetConfig>& table(const NetConfig&) {
  using N = NetConfig;
  static const Table<N> rows = named<N>(
      {"net",
       "device.NAME",
       {
           parameter("mac", &N::mac, {.fallback = "made from seed and name"},
                     {assumed, "The device's own address."}),
           parameter("mtu", &N::mtu, {.min = 68, .max = 65535, .unit = "bytes"},
                     {"IEEE 802.3", "Largest packet the driver should send, without its Ethernet "
                                    "header."}),
           parameter("speed", &N::speed,
                     {.min = 0, .max = 0x7fff'ffff, .unit = "Mbit/s", .fallback = "unknown"},
                     {"QEMU 7.2, virtio-net", "The link's speed that the driver is told, full "
                                              "duplex; it times nothing."}),
           parameter("wire", &N::wire, {},
                     {assumed, "What is at the other end: loopback returns every frame, pcap plays "
                               "the file of `replay`, dhcp is a scripted peer that hands out an "
                               "address."}),
           parameter("capture", &N::capture, output_file_rule,
                     {none, "Name of the pcap file in --out that receives every frame."}),
           parameter("replay", &N::replay, {}, {none, "The pcap file whose frames arrive."}),
           parameter("link_down_at", &N::link_down_at, {},
                     {none, "When the cable is pulled, after a driver is there."}),
           parameter("link_up_at", &N::link_up_at, {}, {none, "When it is plugged in again."}),
           parameter("announce_at", &N::announce_at, {},
                     {none, "When the driver is asked to announce itself, with "
                            "`features.guest_announce`."}),
           parameter("queues", &N::queues, {.min = 1, .max = 1024, .unit = "pairs of queues"},
                     {"QEMU 7.2, virtio-net", "The most pairs of receive and transmit queues that "
                                              "the driver may enable."}),
       }});
  return rows;
}

const Table<ConsoleConfig>& table(const ConsoleConfig&) {
  using C = ConsoleConfig;
  static const Table<C> rows = named<C>(
      {"console",
       "device.NAME",
       {
           parameter("output", &C::output, {},
                     {assumed, "Where the driver's bytes go: NAME.log in --out, or the terminal."}),
           parameter("cols", &C::cols, {.min = 1, .max = 65535, .unit = "characters"},
                     {assumed, "Width that the device reports."}),
           parameter("rows", &C::rows, {.min = 1, .max = 65535, .unit = "characters"},
                     {assumed, "Height that the device reports."}),
           parameter("input", &C::input, {},
                     {assumed, "Text that the device hands to the driver."}),
       }});
  return rows;
}

const Table<StepConfig>& table(const StepConfig&) {
  using S = StepConfig;
  static const Table<S> rows = named<S>(
      {"step",
       "step.NUMBER",
       {
           parameter("expect", &S::expect, {},
                     {assumed, "Text to wait for on the UART; empty: do not wait."}),
           parameter("regex", &S::regex, {},
                     {assumed, "`expect` is a POSIX extended regular expression, matched within "
                               "one line."}),
           parameter("send", &S::send, {},
                     {assumed, "Text typed into the UART after that, byte for byte: a line needs "
                               "its \\n."}),
           parameter("timeout", &S::timeout, {.min = microsecond, .max = day},
                     {assumed, "Longest simulated time to wait for `expect`."}),
       }});
  return rows;
}

const Table<WorkloadConfig>& table(const WorkloadConfig&) {
  using W = WorkloadConfig;
  static const Table<W> rows = named<W>(
      {"workload",
       "workload.DEVICE",
       {
           parameter("device", &W::device, {.required = true},
                     {none, "Name of the [[device]] that is used."}),
           parameter("queues", &W::queues,
                     {.max = 1024, .unit = "number", .fallback = "all of the device"},
                     {assumed, "Queues that are used; of a network device, pairs of queues."}),
           parameter("depth", &W::depth, {.min = 1, .max = 32768, .unit = "requests"},
                     {assumed, "Most requests under way in each queue. Closed loop: always so "
                               "many. Received frames: buffers posted."}),
           parameter("batch", &W::batch, {.min = 1, .max = 32768, .unit = "requests"},
                     {assumed, "Most requests that share a doorbell, when so many can start at "
                               "once."}),
           parameter("arrival", &W::arrival, {},
                     {assumed, "closed: a request starts when one has ended; fixed: at equal "
                               "distances; poisson: at random ones, independent of each other; "
                               "recorded: as a pcap file's time stamps say."}),
           parameter("rate", &W::rate, {.min = 1, .max = 10'000'000'000, .unit = "requests/s"},
                     {none, "Arrivals over all queues, for fixed and poisson. Net: in each "
                            "direction."}),
           parameter("requests", &W::requests,
                     {.min = 1, .max = 1'000'000'000'000, .unit = "requests"},
                     {none, "The measurement ends when so many have ended, over all queues."}),
           parameter("duration", &W::duration, {.min = 1'000, .max = day},
                     {none, "The measurement ends after this much simulated time."}),
           parameter("warm_up", &W::warm_up, {.max = day},
                     {assumed, "Simulated time of traffic before the measurement starts."}),
       }});
  return rows;
}

const Table<BlockWorkloadConfig>& table(const BlockWorkloadConfig&) {
  using W = BlockWorkloadConfig;
  static const Table<W> rows = named<W>(
      {"workload.block",
       "workload.DEVICE",
       {
           parameter("block_size", &W::block_size,
                     {.min = 512, .max = 16 * mib, .multiple_of = 512},
                     {assumed, "Bytes of one request."}),
           parameter("read_percent", &W::read_percent, {.max = 100, .unit = "percent"},
                     {assumed, "Share of reads; the others are writes."}),
           parameter("pattern", &W::pattern, {},
                     {assumed, "Order of the blocks within each queue's part of the disk."}),
       }});
  return rows;
}

const Table<NetWorkloadConfig>& table(const NetWorkloadConfig&) {
  using W = NetWorkloadConfig;
  static const Table<W> rows = named<W>(
      {"workload.net",
       "workload.DEVICE",
       {
           parameter("direction", &W::direction, {}, {assumed, "As the driver sees it."}),
           parameter("frames", &W::frames, {},
                     {assumed, "fixed: frame_bytes each; imix: 60, 590 and 1514 bytes, 7 : 4 : 1 "
                               "at random; pcap: those of the file, again from the start after "
                               "its end."}),
           parameter("frame_bytes", &W::frame_bytes, {.min = 60, .max = 65535, .unit = "bytes"},
                     {"IEEE 802.3, MTU 1500",
                      "Size of a frame from its destination address on, without the frame check "
                      "sequence."}),
           parameter("pcap", &W::pcap, {}, {none, "The pcap file that frames are taken from."}),
           parameter("wire_rate", &W::wire_rate, {.min = 1'000'000, .max = 10'000'000'000'000},
                     {assumed, "Rate of the wire that frames arrive from; each takes 24 bytes more "
                               "there than its frame_bytes."}),
           parameter("load_percent", &W::load_percent, {.min = 1, .max = 100, .unit = "percent"},
                     {none, "Offered load in each direction as a share of wire_rate, instead of "
                            "rate."}),
       }});
  return rows;
}

std::vector<ParameterInfo> parameters() {
  return list<PlatformConfig, RiscvVirtConfig, CpuConfig, BusConfig, HostConfig, LinkConfig,
              LinkMemoryConfig, tlm2::PcieCredits, tlm2::TranslationParams, MediaConfig,
              DeviceConfig, FeaturesConfig, RingConfig, RtlConfig, EntropyConfig,
              EntropyTimingConfig, BlockConfig, BlockFeaturesConfig, BlockTimingConfig, NetConfig,
              NetFeaturesConfig, NetTimingConfig, NetRssConfig, NetProposalsConfig, ConsoleConfig,
              ConsoleFeaturesConfig, ConsoleTimingConfig, StepConfig, WorkloadConfig,
              BlockWorkloadConfig, NetWorkloadConfig>();
}

} // namespace virtio::platform
