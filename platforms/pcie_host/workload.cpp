#include <virtio/blk/block.hpp>
#include <virtio/net/net.hpp>
#include <virtio/platforms/parts/device_params.hpp>
#include <virtio/platforms/parts/functions.hpp>
#include <virtio/platforms/parts/port_params.hpp>
#include <virtio/platforms/pcie_host/workload.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

namespace virtio::platform::pcie_host {

namespace {

/// A vector for configuration changes and one for each queue, as far as MSI-X goes.
tlm2::VirtioPciParams pci_params(const Device& device) {
  tlm2::VirtioPciParams params;
  params.msix_vectors = std::min(device.num_queues() + 1u, 2048u);
  return params;
}

FeatureSet wanted_features(const HostConfig& host) {
  FeatureSet wanted;
  wanted.set(VIRTIO_F_RING_PACKED, host.ring == RingFormat::packed);
  wanted.set(VIRTIO_F_EVENT_IDX, host.event_index);
  wanted.set(VIRTIO_F_INDIRECT_DESC, host.indirect);
  wanted.set(VIRTIO_F_IN_ORDER, host.in_order);
  wanted.set(VIRTIO_F_NOTIFICATION_DATA, host.notification_data);
  return wanted;
}

/// Of a network device: the first field of its configuration space.
net::MacAddress mac_of(const Device& device) {
  net::MacAddress mac{};
  net::read_layout(device.function().config(), mac);
  return mac;
}

Measurement::Extent extent_of(const WorkloadConfig& config) {
  Measurement::Extent extent{SimTime{config.warm_up.count()}, config.requests, std::nullopt};
  if (config.duration) extent.duration = SimTime{config.duration->count()};
  return extent;
}

template <class Layout> void append(std::vector<std::byte>& bytes, const Layout& layout) {
  const auto* const first = reinterpret_cast<const std::byte*>(&layout);
  bytes.insert(bytes.end(), first, first + sizeof layout);
}

} // namespace

PciDevice::PciDevice(sc_core::sc_module_name name, const DeviceConfig& device, const Config& config,
                     const Workspace& workspace, tlm2::ExecutorModule& executor,
                     const std::vector<tlm2::AddressRange>& host_ranges,
                     std::unique_ptr<net::Wire> far_end)
    : sc_module(name), config_(device), port_("dma", port_params(device)),
      device_(device_params(device, config, workspace), executor.executor(), port_,
              make_function(device, config, workspace, std::move(far_end)), &log_),
      pci_("pci", pci_params(device_), device_, port_),
      check_(config.platform.check_driver, {.device = device.name}) {
  if (takes_time(device))
    link_ = std::make_unique<tlm2::PcieLink>("link", link_params(config, device), executor,
                                             host_ranges);
}

void PciDevice::attach(tlm2::HostBridge& bridge) {
  if (!link_) {
    const auto front = check_.pci(pci_.config, pci_.memory, port_.socket, bridge.upstream);
    bridge.attach(config_.slot, front.config, front.memory);
  } else {
    const auto front = check_.pci(pci_.config, pci_.memory, port_.socket, link_->upstream);
    if (!check_.tap() && config_.protocol == Protocol::at)
      link_->connect(port_); // nobody looks at what passes
    link_->host.bind(bridge.upstream);
    link_->function_config.bind(front.config);
    link_->function_memory.bind(front.memory);
    bridge.attach(config_.slot, link_->config, link_->memory);
  }
  bridge.attach_intx(config_.slot, pci_.intx);
}

Workload::Workload(const WorkloadConfig& config, const Config& platform)
    : config_(config), platform_(platform), measurement_(extent_of(config)) {
  const auto* net = std::get_if<NetWorkloadConfig>(&config.traffic);
  if (!net) return;
  if (net->pcap) {
    auto frames = read_pcap(*net->pcap);
    if (!frames) throw SetupError(frames.error());
    recorded_ = std::move(*frames);
  }
  FarEndParams params{*net, config.arrival, rate(), pairs(), platform.platform.seed, config.device};
  new_far_end_ = std::make_unique<FarEnd>(params, recorded_);
  far_end_ = new_far_end_.get();
}

std::unique_ptr<net::Wire> Workload::take_far_end() {
  return std::move(new_far_end_);
}

/// Requests a second over all queues; for frames in each direction.
std::optional<std::uint64_t> Workload::rate() const {
  if (config_.rate) return config_.rate;
  const auto* net = std::get_if<NetWorkloadConfig>(&config_.traffic);
  if (!net || !net->load_percent) return std::nullopt;
  const std::uint64_t bits = (Frames(*net, recorded_, Random(0)).mean_bytes() + wire_overhead) * 8;
  return std::max<std::uint64_t>(1,
                                 net->wire_rate.bits_per_second / 100 * *net->load_percent / bits);
}

Random Workload::stream(std::string_view purpose, std::uint16_t queue) const {
  return Random(platform_.platform.seed,
                fmt::format("workload.{}.{}.{}", config_.device, purpose, queue));
}

std::unique_ptr<driver::Session> Workload::negotiate(std::unique_ptr<driver::DeviceAccess> access,
                                                     driver::Bus& bus, driver::Arena& arena,
                                                     driver::MsixReceiver& msix) {
  access_ = std::move(access);
  driver::SessionOptions options;
  options.features = wanted_features(platform_.platform.host);
  if (access_->type() == virtio::DeviceType::block) options.features.set(blk::VIRTIO_BLK_F_MQ);
  if (pairs() > 1)
    options.features.set(net::VIRTIO_NET_F_MQ)
        .set(net::VIRTIO_NET_F_CTRL_VQ)
        .set(net::VIRTIO_NET_F_RSS);
  if (platform_.platform.host.completion != Completion::polling) {
    options.interrupts = driver::InterruptForm::msix;
    options.msix = &msix;
  }
  return std::make_unique<driver::Session>(bus, *access_, options, arena);
}

void Workload::set_up(PciDevice& device, std::unique_ptr<driver::DeviceAccess> access,
                      driver::Bus& bus, driver::Arena& arena, HostMemory memory,
                      driver::MsixReceiver& msix, const std::function<Core&()>& next_core) {
  device_ = &device;
  session_ = negotiate(std::move(access), bus, arena, msix);
  if (std::holds_alternative<BlockWorkloadConfig>(config_.traffic))
    set_up_block(arena, memory, next_core);
  else
    set_up_net(arena, memory, next_core);
  if (pairs() > 1)
    enable_pairs(arena, memory);
  else
    session_->go_live();
}

void Workload::add_queue(std::uint16_t index, std::unique_ptr<Traffic> traffic,
                         std::uint16_t pieces, bool open_loop, std::uint32_t sharers, Core& core) {
  const HostConfig& host = platform_.platform.host;
  driver::QueueOptions options;
  options.size = device_->config().queue_size;
  options.indirect_from = host.indirect ? 2 : 0;
  options.indirect_entries = pieces;
  options.interrupts = host.completion != Completion::polling;
  driver::Virtqueue& queue = session_->add_queue(index, options);
  std::optional<Arrivals> arrivals;
  if (open_loop && rate())
    arrivals.emplace(*rate(), sharers, config_.arrival == Arrival::poisson,
                     stream("arrivals", index));
  const QueueDriverParams params{config_.depth, config_.batch,
                                 host.indirect ? std::uint16_t{1} : pieces};
  queues_.push_back(
      std::make_unique<QueueDriver>(core, queue, device_->log().add(index, queue.size()),
                                    measurement_, std::move(traffic), std::move(arrivals), params));
  core.add(*queues_.back());
  if (std::find(cores_.begin(), cores_.end(), &core) == cores_.end()) cores_.push_back(&core);
}

void Workload::set_up_block(driver::Arena& arena, HostMemory memory,
                            const std::function<Core&()>& next_core) {
  const auto& workload = std::get<BlockWorkloadConfig>(config_.traffic);
  auto& block = dynamic_cast<blk::Block&>(device_->device().function());
  const bool ram_disk = !std::get<BlockConfig>(device_->config().function).media;
  disk_.emplace(block.store(), workload.block_size.bytes, ram_disk);
  const std::uint16_t queues = config_.queues ? config_.queues : block.num_queues();
  BlockTrafficParams params;
  params.blocks = disk_->blocks() / queues;
  params.depth = config_.depth;
  params.read_percent = workload.read_percent;
  params.pattern = workload.pattern;
  if (params.blocks < config_.depth)
    throw SetupError(fmt::format("workload of \"{}\": the disk has fewer blocks than requests "
                                 "would be under way",
                                 config_.device));
  for (std::uint16_t i = 0; i < queues; ++i) {
    params.first_block = i * params.blocks;
    add_queue(i, std::make_unique<BlockTraffic>(params, *disk_, memory, arena, stream("blocks", i)),
              BlockTraffic::pieces, true, queues, next_core());
  }
}

void Workload::set_up_net(driver::Arena& arena, HostMemory memory,
                          const std::function<Core&()>& next_core) {
  const auto& workload = std::get<NetWorkloadConfig>(config_.traffic);
  for (std::uint16_t pair = 0; pair < pairs(); ++pair) {
    Core& core = next_core();
    const auto receive = static_cast<std::uint16_t>(2 * pair);
    const auto transmit = static_cast<std::uint16_t>(2 * pair + 1);
    Frames frames(workload, recorded_, stream("frames", transmit));
    if (workload.direction != Direction::transmit)
      add_queue(receive,
                std::make_unique<ReceiveTraffic>(
                    config_.depth, frames.largest_bytes(), *far_end_, [this] { return dropped(); },
                    memory, arena),
                1, false, pairs(), core);
    if (workload.direction != Direction::receive)
      add_queue(transmit,
                std::make_unique<TransmitTraffic>(
                    config_.depth, std::move(frames),
                    flow_of_pair(pair, true, mac_of(device_->device())), *far_end_, memory, arena),
                1, true, pairs(), core);
  }
}

/// Pairs of queues that are used; 0 of a block device.
std::uint16_t Workload::pairs() const {
  if (std::holds_alternative<BlockWorkloadConfig>(config_.traffic)) return 0;
  if (config_.queues != 0) return config_.queues;
  for (const DeviceConfig& device : platform_.devices)
    if (device.name == config_.device) return std::get<NetConfig>(device.function).queues;
  return 1;
}

/// Goes live, and has the device use all pairs: by receive-side scaling where the device offers it
/// (virtio 1.4, 5.1.6.5.7), else by automatic steering (5.1.6.5.6).
void Workload::enable_pairs(driver::Arena& arena, HostMemory memory) {
  const auto& net = std::get<NetConfig>(device_->config().function);
  auto& control = session_->add_queue(static_cast<std::uint16_t>(2 * net.queues));
  session_->go_live();
  const std::vector<std::byte> command = net.features.rss ? rss_command(net) : pairs_command();
  const auto bytes = static_cast<std::uint32_t>(command.size());
  const std::uint64_t at = arena.take(bytes + 1, 16);
  std::memcpy(memory.at(at), command.data(), bytes);
  *memory.at(at + bytes) = std::byte{0xff};
  const std::array<driver::Buffer, 2> chain{{{at, bytes, false}, {at + bytes, 1, true}}};
  control.add(chain);
  control.kick();
  control.wait_used(sc_core::sc_time(10, sc_core::SC_MS));
  if (*memory.at(at + bytes) != std::byte{net::VIRTIO_NET_OK})
    throw driver::DriverError(
        fmt::format("{} refused {} pairs of queues", config_.device, pairs()));
}

std::vector<std::byte> Workload::pairs_command() const {
  net::virtio_net_ctrl_mq_pairs_set value;
  value.virtqueue_pairs = pairs();
  std::vector<std::byte> command;
  append(command,
         net::virtio_net_ctrl{net::VIRTIO_NET_CTRL_MQ, net::VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET});
  append(command, value);
  return command;
}

/// The table sends what the far end has for a pair to it: with a key that gives each pair's flow an
/// entry of its own.
std::vector<std::byte> Workload::rss_command(const NetConfig& net) {
  constexpr std::size_t entries = 128;
  net::HashRules rules{.types = net.rss.hash_types,
                       .ports_of_first_fragment = net.rss.ports_of_first_fragment};
  if (net.rss.max_parse_bytes != 0) rules.parse.max_parse_bytes = net.rss.max_parse_bytes;
  Random random = stream("rss", 0);
  Frames frames(std::get<NetWorkloadConfig>(config_.traffic), recorded_, Random(0));
  std::vector<std::byte> frame;
  std::array<std::uint8_t, net::used_key_bytes> key{};
  std::vector<std::uint16_t> table(entries);
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    for (std::uint8_t& byte : key)
      byte = static_cast<std::uint8_t>(random.next());
    for (std::size_t i = 0; i < entries; ++i)
      table[i] = static_cast<std::uint16_t>(i % pairs());
    const net::Toeplitz toeplitz(key);
    std::set<std::size_t> taken;
    for (std::uint16_t pair = 0; pair < pairs(); ++pair) {
      frames.next(flow_of_pair(pair, false, mac_of(device_->device())), frame);
      const std::size_t entry = net::hash_of(frame, rules, toeplitz).value % entries;
      taken.insert(entry);
      table[entry] = pair;
    }
    if (taken.size() == pairs()) break;
  }
  std::vector<std::byte> command;
  append(command,
         net::virtio_net_ctrl{net::VIRTIO_NET_CTRL_MQ, net::VIRTIO_NET_CTRL_MQ_RSS_CONFIG});
  net::virtio_net_rss_config front;
  front.hash_types = net.rss.hash_types;
  front.indirection_table_mask = entries - 1;
  front.unclassified_queue = 0;
  append(command, front);
  for (const std::uint16_t pair : table)
    append(command, le16(pair));
  append(command, le16(pairs()));
  append(command, std::uint8_t{net::used_key_bytes});
  append(command, key);
  return command;
}

void Workload::begin(SimTime now) {
  measurement_.begin(now);
  for (const auto& queue : queues_)
    queue->begin(now);
  if (far_end_) far_end_->start(mac_of(device_->device()));
}

void Workload::stop() {
  if (far_end_) far_end_->stop();
}

void Workload::verify() {
  for (const auto& queue : queues_)
    queue->account_for_the_rest();
  if (disk_) disk_->verify();
  if (!far_end_) return;
  if (far_end_->complaint()) throw WrongData(*far_end_->complaint());
  const FramesUnderWay& sent = far_end_->from_driver();
  if (sent.added() != sent.taken())
    throw WrongData(fmt::format("{}: the driver sent {} frames, {} reached the wire",
                                config_.device, sent.added(), sent.taken()));
}

Sample Workload::sample() const {
  Sample sample;
  sample.time = device_->device().executor().now();
  for (const Core* core : cores_)
    sample.cores.push_back(core->busy());
  if (const tlm2::PcieLink* link = device_->link()) {
    sample.link = link->timing().statistics();
    for (const auto direction : {tlm2::LinkDirection::upstream, tlm2::LinkDirection::downstream})
      sample.link_busy[static_cast<std::size_t>(direction)] = link->timing().busy(direction);
  }
  if (const TimedRingEngine* engine = device_->engine()) sample.engine = engine->stats();
  if (far_end_) {
    sample.wire_transmitted = far_end_->wire_bytes_received();
    sample.wire_received = far_end_->wire_bytes_sent();
  }
  sample.doorbells = device_->log().count(EventKind::doorbell);
  sample.interrupts = device_->log().count(EventKind::interrupt);
  sample.waited = {device_->waited(false), device_->waited(true)};
  return sample;
}

std::uint64_t Workload::started() const {
  std::uint64_t sum = 0;
  for (const auto& queue : queues_)
    sum += queue->started();
  return sum;
}

std::uint64_t Workload::dropped() const {
  const auto& stats = dynamic_cast<const net::Net&>(device_->device().function()).stats();
  return stats.rx_malformed + stats.rx_no_driver + stats.rx_no_buffer + stats.rx_small_buffer;
}

} // namespace virtio::platform::pcie_host
