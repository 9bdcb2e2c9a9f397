#include <virtio/blk/block.hpp>
#include <virtio/console/console.hpp>
#include <virtio/core/random.hpp>
#include <virtio/entropy/entropy.hpp>
#include <virtio/net/dhcp_peer.hpp>
#include <virtio/net/net.hpp>
#include <virtio/net/pcap.hpp>
#include <virtio/platforms/parts/functions.hpp>
#include <virtio/platforms/parts/in_rtl.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <span>
#include <stdexcept>
#include <utility>

namespace virtio::platform {

namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void fail(const DeviceConfig& device, const std::string& sentence) {
  throw SetupError(fmt::format("device \"{}\": {}", device.name, sentence));
}

template <class Value>
Value value_or_fail(const DeviceConfig& device, tl::expected<Value, std::string> result) {
  if (!result) fail(device, result.error());
  return std::move(*result);
}

virtio::SimTime model_time(SimTime time) {
  return virtio::picoseconds(time.count());
}

FeatureSet block_features(const BlockFeaturesConfig& config) {
  FeatureSet features;
  features.set(blk::VIRTIO_BLK_F_SEG_MAX, config.seg_max)
      .set(blk::VIRTIO_BLK_F_BLK_SIZE, config.blk_size)
      .set(blk::VIRTIO_BLK_F_FLUSH, config.flush)
      .set(blk::VIRTIO_BLK_F_TOPOLOGY, config.topology)
      .set(blk::VIRTIO_BLK_F_CONFIG_WCE, config.config_wce)
      .set(blk::VIRTIO_BLK_F_MQ, config.mq);
  return features;
}

FeatureSet net_features(const NetFeaturesConfig& config) {
  FeatureSet features;
  features.set(net::VIRTIO_NET_F_MTU, config.mtu)
      .set(net::VIRTIO_NET_F_MAC, config.mac)
      .set(net::VIRTIO_NET_F_MRG_RXBUF, config.mrg_rxbuf)
      .set(net::VIRTIO_NET_F_STATUS, config.status)
      .set(net::VIRTIO_NET_F_CTRL_VQ, config.ctrl_vq)
      .set(net::VIRTIO_NET_F_MQ, config.mq)
      .set(net::VIRTIO_NET_F_CTRL_RX, config.ctrl_rx)
      .set(net::VIRTIO_NET_F_CTRL_RX_EXTRA, config.ctrl_rx_extra)
      .set(net::VIRTIO_NET_F_CTRL_VLAN, config.ctrl_vlan)
      .set(net::VIRTIO_NET_F_CTRL_MAC_ADDR, config.ctrl_mac_addr)
      .set(net::VIRTIO_NET_F_GUEST_ANNOUNCE, config.guest_announce)
      .set(net::VIRTIO_NET_F_STANDBY, config.standby)
      .set(net::VIRTIO_NET_F_SPEED_DUPLEX, config.speed_duplex)
      .set(net::VIRTIO_NET_F_CSUM, config.csum)
      .set(net::VIRTIO_NET_F_HOST_TSO4, config.host_tso4)
      .set(net::VIRTIO_NET_F_HOST_TSO6, config.host_tso6)
      .set(net::VIRTIO_NET_F_HOST_ECN, config.host_ecn)
      .set(net::VIRTIO_NET_F_HOST_UFO, config.host_ufo)
      .set(net::VIRTIO_NET_F_HOST_USO, config.host_uso)
      .set(net::VIRTIO_NET_F_GUEST_HDRLEN, config.guest_hdrlen)
      .set(net::VIRTIO_NET_F_GUEST_CSUM, config.guest_csum)
      .set(net::VIRTIO_NET_F_GUEST_TSO4, config.guest_tso4)
      .set(net::VIRTIO_NET_F_GUEST_TSO6, config.guest_tso6)
      .set(net::VIRTIO_NET_F_GUEST_ECN, config.guest_ecn)
      .set(net::VIRTIO_NET_F_GUEST_UFO, config.guest_ufo)
      .set(net::VIRTIO_NET_F_GUEST_USO4, config.guest_uso4)
      .set(net::VIRTIO_NET_F_GUEST_USO6, config.guest_uso6)
      .set(net::VIRTIO_NET_F_RSC_EXT, config.rsc_ext)
      .set(net::VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, config.ctrl_guest_offloads)
      .set(net::VIRTIO_NET_F_NOTF_COAL, config.notf_coal)
      .set(net::VIRTIO_NET_F_RSS, config.rss)
      .set(net::VIRTIO_NET_F_HASH_REPORT, config.hash_report)
      .set(net::VIRTIO_NET_F_HASH_TUNNEL, config.hash_tunnel);
  return features;
}

FeatureSet console_features(const ConsoleFeaturesConfig& config) {
  FeatureSet features;
  features.set(console::VIRTIO_CONSOLE_F_SIZE, config.size)
      .set(console::VIRTIO_CONSOLE_F_EMERG_WRITE, config.emerg_write);
  return features;
}

std::unique_ptr<DeviceFunction> make_entropy(const DeviceConfig& device, const Config& config) {
  entropy::EntropyParams params;
  params.seed = config.platform.seed;
  params.queue_size = device.queue_size;
  const auto& timing = std::get<EntropyConfig>(device.function).timing;
  params.timing.request_cost = model_time(timing.request_cost);
  return std::make_unique<entropy::Entropy>(params, device.name);
}

std::unique_ptr<blk::Store> make_store(const DeviceConfig& device, const BlockConfig& block,
                                       const Config& config, const Workspace& workspace) {
  using Access = blk::FileStore::Access;
  if (!block.media) return std::make_unique<blk::RamStore>(block.capacity->bytes);
  const auto writable =
      config.find_media(*block.media).write_through ? Access::durable : Access::working_copy;
  return value_or_fail(device,
                       blk::FileStore::open(workspace.medium(*block.media),
                                            block.read_only ? Access::read_only : writable));
}

std::unique_ptr<DeviceFunction> make_block(const DeviceConfig& device, const Config& config,
                                           const Workspace& workspace) {
  const auto& block = std::get<BlockConfig>(device.function);
  blk::BlockParams params;
  params.serial = block.serial.empty() ? device.name.substr(0, blk::id_bytes) : block.serial;
  params.read_only = block.read_only;
  params.queue_size = device.queue_size;
  params.num_queues = block.queues;
  params.features = block_features(block.features);
  params.timing = {.request_cost = model_time(block.timing.request_cost),
                   .read_latency = model_time(block.timing.read_latency),
                   .write_latency = model_time(block.timing.write_latency),
                   .bandwidth = block.timing.bandwidth.bytes_per_second,
                   .channels = block.timing.channels};
  return std::make_unique<blk::Block>(params, make_store(device, block, config, workspace));
}

/// Standard error when a person watches and the summary is JSON; the guest's text is never part of
/// it.
console::Sink terminal_sink() {
  return [](std::span<const std::byte> bytes) {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, bytes.data(), bytes.size());
  };
}

std::unique_ptr<DeviceFunction> make_console(const DeviceConfig& device,
                                             const Workspace& workspace) {
  const auto& config = std::get<ConsoleConfig>(device.function);
  console::ConsoleParams params;
  params.cols = config.cols;
  params.rows = config.rows;
  params.queue_size = device.queue_size;
  params.features = console_features(config.features);
  params.timing.request_cost = model_time(config.timing.request_cost);
  auto sink = config.output == ConsoleOutput::terminal
                  ? terminal_sink()
                  : value_or_fail(device, console::file_sink(workspace.file(device.name + ".log")));
  return std::make_unique<console::Console>(params, std::move(sink));
}

/// Locally administered, as QEMU's; the same in every run of a configuration.
MacAddress make_mac(const DeviceConfig& device, const Config& config) {
  const auto number = Random(config.platform.seed, device.name + ".mac").next();
  return {0x52,
          0x54,
          0x00,
          static_cast<std::uint8_t>(number >> 16),
          static_cast<std::uint8_t>(number >> 8),
          static_cast<std::uint8_t>(number)};
}

std::unique_ptr<net::Wire> make_far_end(const DeviceConfig& device, const NetConfig& config) {
  switch (config.wire) {
  case Wire::loopback:
    return std::make_unique<net::LoopbackWire>();
  case Wire::dhcp:
    return std::make_unique<net::DhcpPeer>();
  case Wire::pcap:
    return value_or_fail(device, net::ReplayWire::open(*config.replay));
  }
  return std::make_unique<net::DeadEndWire>();
}

std::unique_ptr<DeviceFunction> make_net(const DeviceConfig& device, const Config& config,
                                         const Workspace& workspace,
                                         std::unique_ptr<net::Wire> far_end) {
  const auto& net = std::get<NetConfig>(device.function);
  net::NetParams params;
  params.mac = net.mac ? *net.mac : make_mac(device, config);
  params.mtu = net.mtu;
  if (net.speed) {
    params.speed = *net.speed;
    params.duplex = net::full_duplex;
  }
  params.queue_size = device.queue_size;
  params.lro_patience = model_time(net.timing.lro_patience);
  params.queue_pairs = net.queues;
  const std::pair<std::optional<SimTime>, net::LinkEvent> events[] = {
      {net.link_down_at, net::LinkEvent::down},
      {net.link_up_at, net::LinkEvent::up},
      {net.announce_at, net::LinkEvent::announce}};
  for (const auto& [time, event] : events)
    if (time) params.link_events.emplace_back(model_time(*time), event);
  params.features = net_features(net.features);
  params.rss = {.hash_types = net.rss.hash_types,
                .max_key_size = static_cast<std::uint8_t>(net.rss.key_size),
                .max_table_length = net.rss.table_length,
                .tunnel_types = net.rss.tunnel_types,
                .ports_of_first_fragment = net.rss.ports_of_first_fragment,
                .max_parse_bytes = net.rss.max_parse_bytes,
                .inner_hash_v7 = net.proposals.inner_hash_v7};
  if (net.rss.fidelity == Fidelity::rtl) params.rss.unit = rtl_rss(device, net.rss, config);
  params.timing = {.wire_rate = net.timing.wire_rate.bits_per_second,
                   .packet_cost = model_time(net.timing.packet_cost)};
  auto wire = far_end ? std::move(far_end) : make_far_end(device, net);
  if (net.capture)
    wire = std::make_unique<net::CaptureWire>(
        std::move(wire),
        value_or_fail(device, net::PcapWriter::create(workspace.file(*net.capture))));
  return std::make_unique<net::Net>(params, std::move(wire));
}

} // namespace

FeatureSet transport_features(const FeaturesConfig& config) {
  FeatureSet features;
  features.set(VIRTIO_F_INDIRECT_DESC, config.indirect_desc)
      .set(VIRTIO_F_EVENT_IDX, config.event_idx)
      .set(VIRTIO_F_ACCESS_PLATFORM, config.access_platform)
      .set(VIRTIO_F_RING_PACKED, config.packed)
      .set(VIRTIO_F_IN_ORDER, config.in_order)
      .set(VIRTIO_F_ORDER_PLATFORM, config.order_platform)
      .set(VIRTIO_F_NOTIFICATION_DATA, config.notification_data)
      .set(VIRTIO_F_NOTIF_CONFIG_DATA, config.notif_config_data)
      .set(VIRTIO_F_RING_RESET, config.ring_reset);
  return features;
}

std::unique_ptr<DeviceFunction> make_function(const DeviceConfig& device, const Config& config,
                                              const Workspace& workspace,
                                              std::unique_ptr<net::Wire> far_end) {
  try {
    switch (device.type) {
    case DeviceType::entropy:
      return make_entropy(device, config);
    case DeviceType::block:
      return make_block(device, config, workspace);
    case DeviceType::console:
      return make_console(device, workspace);
    case DeviceType::net:
      return make_net(device, config, workspace, std::move(far_end));
    }
  } catch (const std::invalid_argument& error) {
    fail(device, error.what());
  } catch (const std::bad_alloc&) {
    fail(device, "this machine has too little memory for it");
  }
  fail(device, "this platform does not know the type of the device");
}

void start_input(const DeviceConfig& device, DeviceFunction& function) {
  if (auto* console = dynamic_cast<console::Console*>(&function))
    console->input(std::as_bytes(std::span(std::get<ConsoleConfig>(device.function).input)));
}

nlohmann::ordered_json statistics(const DeviceFunction& function) {
  if (const auto* block = dynamic_cast<const blk::Block*>(&function)) {
    const auto& stats = block->stats();
    return {{"reads", stats.reads},
            {"writes", stats.writes},
            {"flushes", stats.flushes},
            {"bytes_read", stats.bytes_read},
            {"bytes_written", stats.bytes_written},
            {"errors", stats.errors}};
  }
  if (const auto* console = dynamic_cast<const console::Console*>(&function)) {
    const auto& stats = console->stats();
    return {{"bytes_out", stats.bytes_out},
            {"bytes_in", stats.bytes_in},
            {"input_dropped", stats.input_dropped}};
  }
  if (const auto* net = dynamic_cast<const net::Net*>(&function)) {
    const auto& stats = net->stats();
    return {{"tx_frames", stats.tx_frames},
            {"tx_bytes", stats.tx_bytes},
            {"tx_segmented", stats.tx_segmented},
            {"tx_malformed", stats.tx_malformed},
            {"tx_no_link", stats.tx_no_link},
            {"rx_frames", stats.rx_frames},
            {"rx_bytes", stats.rx_bytes},
            {"rx_malformed", stats.rx_malformed},
            {"rx_joined", stats.rx_joined},
            {"rx_filtered", stats.rx_filtered},
            {"rx_no_driver", stats.rx_no_driver},
            {"rx_no_buffer", stats.rx_no_buffer},
            {"rx_small_buffer", stats.rx_small_buffer},
            {"rx_in_reset", stats.rx_in_reset},
            {"commands", stats.commands},
            {"command_errors", stats.command_errors}};
  }
  if (const auto* entropy = dynamic_cast<const entropy::Entropy*>(&function))
    return {{"requests", entropy->stats().requests}, {"bytes", entropy->stats().bytes}};
  return Json::object();
}

} // namespace virtio::platform
