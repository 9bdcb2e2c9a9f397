#include <virtio/core/device.hpp>
#include <virtio/platforms/driver/session.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>

namespace virtio::driver {

Session::Session(Bus& bus, DeviceAccess& device, const SessionOptions& options, Arena& arena)
    : bus_(bus), device_(device), arena_(arena), options_(options) {
  reset();
  negotiate();
  set_up_interrupts();
}

void Session::negotiate() {
  device_.write_status(VIRTIO_STATUS_ACKNOWLEDGE);
  device_.write_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
  FeatureSet offered;
  for (std::uint32_t word = 0; word < 4; ++word)
    offered.set_word32(word, device_.device_features(word));
  FeatureSet asked = options_.features;
  asked.set(VIRTIO_F_VERSION_1);
  negotiated_ = offered & asked;
  for (std::uint32_t word = 0; word < 4; ++word)
    device_.write_driver_features(word, negotiated_.word32(word));
  device_.write_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                       VIRTIO_STATUS_FEATURES_OK);
  if (!(device_.status() & VIRTIO_STATUS_FEATURES_OK)) {
    device_.write_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FAILED);
    throw DriverError(device_.place() + ": the device refuses the features");
  }
  device_.use_features(negotiated_);
}

void Session::reset() {
  const sc_core::sc_time end = sc_core::sc_time_stamp() + options_.reset_timeout;
  // Most resets end at once; for the others this driver looks less and less often.
  const sc_core::sc_time longest(1, sc_core::SC_MS);
  sc_core::sc_time interval(1, sc_core::SC_US);
  device_.write_status(0);
  while (device_.status() != 0) {
    if (sc_core::sc_time_stamp() >= end)
      throw DriverError(device_.place() + ": the reset does not end");
    bus_.pause(interval);
    interval = std::min(2 * interval, longest);
  }
}

// --- interrupts ----------------------------------------------------------------------------------

void Session::set_up_interrupts() {
  switch (options_.interrupts) {
  case InterruptForm::none:
    break;
  case InterruptForm::line:
    if (!options_.line) throw DriverError(device_.place() + ": SessionOptions::line is missing");
    device_.enable_msix(false);
    line_.emplace(*options_.line, device_, line_used_, line_config_);
    config_interrupt_ = &line_config_;
    break;
  case InterruptForm::msix:
    if (!options_.msix || device_.msix_vectors() == 0)
      throw DriverError(device_.place() + (options_.msix ? ": the device has no MSI-X"
                                                         : ": SessionOptions::msix is missing"));
    device_.enable_msix(true);
    config_interrupt_ = &vector_interrupt(0);
    if (!device_.map_config_vector(0))
      throw DriverError(device_.place() + ": no vector for configuration changes");
    break;
  }
}

/// What tells of a vector's messages; its entry of the table is written when it is first used.
Interrupt& Session::vector_interrupt(std::uint16_t vector) {
  if (const auto known = vectors_.find(vector); known != vectors_.end()) return *known->second;
  auto& message = options_.msix->allocate();
  device_.set_msix_entry(vector, message.address, message.data);
  vectors_[vector] = &message.interrupt;
  return message.interrupt;
}

std::uint16_t Session::default_vector(std::uint16_t queue) const {
  const unsigned for_queues = device_.msix_vectors() - 1;
  if (options_.vectors == VectorPolicy::single || for_queues == 0) return 0;
  if (options_.vectors == VectorPolicy::shared) return 1;
  return static_cast<std::uint16_t>(1 + queue % for_queues);
}

Interrupt* Session::queue_interrupt(std::uint16_t queue, const QueueOptions& options) {
  if (options_.interrupts == InterruptForm::line) return &line_used_;
  if (options_.interrupts == InterruptForm::none || device_.max_queue_size(queue) == 0)
    return nullptr;
  const std::uint16_t vector = options.vector.value_or(default_vector(queue));
  if (vector == DeviceAccess::no_vector) {
    device_.map_queue_vector(queue, vector);
    return nullptr;
  }
  Interrupt& interrupt = vector_interrupt(vector);
  if (device_.map_queue_vector(queue, vector)) return &interrupt;
  // virtio 1.4, 4.1.5.1.2.2: the driver may try again with fewer vectors; 0 is in use already.
  if (!options.vector && device_.map_queue_vector(queue, 0)) return &vector_interrupt(0);
  throw DriverError(
      fmt::format("{}: queue {} cannot have vector {}", device_.place(), queue, vector));
}

Virtqueue& Session::add_queue(std::uint16_t index, const QueueOptions& options) {
  Interrupt* interrupt = queue_interrupt(index, options);
  return *queues_.emplace_back(
      std::make_unique<Virtqueue>(bus_, device_, index, options, negotiated_, arena_, interrupt));
}

void Session::restart_queue(Virtqueue& queue, const QueueOptions& options) {
  queue.restart(options, queue_interrupt(queue.index(), options));
}

Session::~Session() {
  if (config_thread_.valid() && !config_thread_.terminated()) config_thread_.kill();
}

void Session::on_config_change(std::function<void()> handler) {
  if (!config_interrupt_)
    throw DriverError(device_.place() +
                      ": without interrupts, read the configuration now and then");
  if (config_thread_.valid() && !config_thread_.terminated()) config_thread_.kill();
  const auto serve = [interrupt = config_interrupt_, seen = config_interrupt_->count(),
                      handler = std::move(handler)]() mutable {
    for (;;) {
      while (interrupt->count() == seen)
        sc_core::wait(interrupt->arrived());
      seen = interrupt->count();
      handler();
    }
  };
  config_thread_ = sc_core::sc_spawn(serve);
}

bool Session::needs_reset() {
  return (device_.status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET) != 0;
}

void Session::go_live() {
  device_.write_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                       VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
}

namespace {

const QueueOptions small_queue{.size = 16};
const sc_core::sc_time patience(100, sc_core::SC_MS);

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (std::byte b : bytes)
    text += fmt::format("{:02x}", static_cast<unsigned>(b));
  return text;
}

std::string printable(std::span<const std::byte> bytes) {
  std::string text;
  for (std::byte b : bytes) {
    const char c = static_cast<char>(b);
    text += c >= ' ' && c <= '~' ? c : '.';
  }
  return text;
}

/// Offers one device-writable buffer and returns what the device put into it.
std::vector<std::byte> receive(Session& session, Virtqueue& queue, std::uint32_t len) {
  const std::uint64_t at = session.arena().take(len, 16);
  const Buffer buffer{at, len, true};
  queue.add({&buffer, 1});
  queue.kick();
  const auto used = queue.wait_used(patience);
  std::vector<std::byte> bytes(std::min(used.written, len));
  session.bus().read(at, bytes);
  return bytes;
}

std::string try_entropy(Session& session) {
  auto& requests = session.add_queue(0, small_queue);
  session.go_live();
  const auto first = receive(session, requests, 16);
  const auto second = receive(session, requests, 16);
  if (first.empty() || first == second)
    throw DriverError("two reads gave the same bytes: " + hex(first));
  return "read " + hex(first);
}

std::string try_console(Session& session) {
  auto& input = session.add_queue(0, small_queue);
  auto& output = session.add_queue(1, small_queue);
  session.go_live();
  const std::string greeting = "hello from the reference driver\n";
  const std::uint64_t at = session.arena().take(greeting.size(), 16);
  session.bus().write(at, std::as_bytes(std::span(greeting)));
  const Buffer buffer{at, static_cast<std::uint32_t>(greeting.size()), false};
  output.add({&buffer, 1});
  output.kick();
  output.wait_used(patience);
  const auto bytes = receive(session, input, 64);
  return fmt::format("wrote {} bytes, read \"{}\"", greeting.size(), printable(bytes));
}

std::string try_block(Session& session) {
  auto& requests = session.add_queue(0, small_queue);
  session.go_live();
  const std::uint64_t sectors = session.device().config<std::uint64_t>(0);
  const std::uint64_t at = session.arena().take(16 + 512 + 1, 16);
  const std::vector<std::byte> zeros(16 + 512 + 1, std::byte{0}); // VIRTIO_BLK_T_IN of sector 0
  session.bus().write(at, zeros);
  const std::array<Buffer, 3> chain{{{at, 16, false}, {at + 16, 512, true}, {at + 528, 1, true}}};
  session.bus().store<std::uint8_t>(at + 528, 0xff);
  requests.add(chain);
  requests.kick();
  const auto used = requests.wait_used(patience);
  const auto status = session.bus().load<std::uint8_t>(at + 528);
  if (status != 0 || used.written != 513)
    throw DriverError(fmt::format("reading sector 0: status {}, {} bytes", status, used.written));
  return fmt::format("{} sectors, read sector 0", sectors);
}

std::string try_net(Session& session) {
  constexpr unsigned VIRTIO_NET_F_MAC = 5;
  session.go_live();
  if (!session.negotiated().has(VIRTIO_NET_F_MAC)) return "no address of its own";
  std::array<std::byte, 6> mac;
  for (unsigned i = 0; i < 6; ++i)
    mac[i] = std::byte{session.device().config<std::uint8_t>(i)};
  return "address " + hex(mac);
}

FeatureSet wanted(DeviceType type) {
  return type == DeviceType::net ? FeatureSet{5} : FeatureSet{};
}

Trial try_device(Bus& bus, DeviceAccess& device, Arena& arena) {
  Trial trial{device.place(), device.type(), false, {}};
  try {
    Session session(bus, device, wanted(device.type()), arena);
    switch (device.type()) {
    case DeviceType::entropy:
      trial.text = try_entropy(session);
      break;
    case DeviceType::console:
      trial.text = try_console(session);
      break;
    case DeviceType::block:
      trial.text = try_block(session);
      break;
    case DeviceType::net:
      trial.text = try_net(session);
      break;
    default:
      trial.text = "a device type this program does not know";
      break;
    }
    session.reset();
    trial.ok = true;
  } catch (const DriverError& error) {
    trial.text = error.what();
  }
  return trial;
}

} // namespace

std::vector<Trial> try_every_device(Bus& bus, const Machine& machine) {
  std::vector<Trial> trials;
  Arena arena(machine.memory_base, machine.memory_size);
  const auto guarded = [&](const std::string& place, auto&& work) {
    try {
      work();
    } catch (const DriverError& error) {
      trials.push_back({place, DeviceType{}, false, error.what()});
    }
  };
  for (const std::uint64_t base : machine.mmio)
    guarded(fmt::format("mmio@{:#x}", base), [&] {
      if (const auto device = probe_mmio(bus, base))
        trials.push_back(try_device(bus, *device, arena));
    });
  if (machine.pci.ecam != 0)
    guarded("pci", [&] {
      for (const auto& device : probe_pci(bus, machine.pci))
        trials.push_back(try_device(bus, *device, arena));
    });
  return trials;
}

} // namespace virtio::driver
