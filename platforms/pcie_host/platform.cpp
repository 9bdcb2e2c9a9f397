#include <virtio/platforms/pcie_host/platform.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace virtio::platform::pcie_host {

namespace {

// The machine's address map. Host memory is above everything, so that it may have any size.
constexpr tlm2::AddressRange ecam{0x3000'0000, tlm2::HostBridge::ecam_size};
constexpr tlm2::AddressRange window32{0x4000'0000, 0x4000'0000};
constexpr tlm2::AddressRange window64{0x4'0000'0000, 0x4'0000'0000};
constexpr tlm2::AddressRange messages{0x2800'0000, driver::MsixReceiver::size};
constexpr std::uint64_t ram_base = 0x10'0000'0000;

SimTime now() {
  return tlm2::to_sim_time(sc_core::sc_time_stamp());
}

/// How far a measurement is: for the sentence about a run that did not end.
std::string progress_of(const Workload& workload) {
  return fmt::format("{}: {} requests started, {} ended", workload.config().device,
                     workload.started(), workload.measurement().all_finished());
}

} // namespace

Platform::Platform(sc_core::sc_module_name name, const Config& config, const Workspace& workspace)
    : sc_module(name), config_(config), ram_("ram", {.size = config.platform.ram.bytes}),
      msix_("msix", {.base = messages.base,
                     .latency = sc_core::sc_time::from_value(
                         config.platform.host.interrupt_latency.count())}),
      arena_(ram_base, config.platform.ram.bytes) {
  executor_.run_ahead();
  build_bus();
  build_devices(workspace);
  SC_HAS_PROCESS(Platform);
  SC_THREAD(supervise);
}

Platform::~Platform() = default;

void Platform::build_bus() {
  driver_bus_.socket.bind(router_.initiators);
  bridge_.dma.bind(router_.initiators);
  router_.map({ram_base, ram_.size()}, ram_.socket, "host memory");
  router_.map(messages, msix_.socket, "MSI-X receiver");
  router_.map(ecam, bridge_.ecam, "PCIe ECAM");
  router_.map(window32, bridge_.window32, "PCIe 32-bit window", window32.base);
  router_.map(window64, bridge_.window64, "PCIe 64-bit window", window64.base);
  for (unsigned pin = 0; pin < 4; ++pin)
    bridge_.intx[pin].bind(intx_[pin]);
}

void Platform::build_devices(const Workspace& workspace) {
  for (const auto& workload : config_.workloads)
    workloads_.push_back(std::make_unique<Workload>(workload, config_));
  const std::vector<tlm2::AddressRange> host_ranges{{ram_base, ram_.size()}, messages};
  for (const auto& device : config_.devices) {
    const auto user = std::find_if(workloads_.begin(), workloads_.end(), [&](const auto& workload) {
      return workload->config().device == device.name;
    });
    auto& built = *devices_.emplace_back(std::make_unique<PciDevice>(
        device.name.c_str(), device, config_, workspace, executor_, host_ranges,
        user == workloads_.end() ? nullptr : (*user)->take_far_end()));
    built.attach(bridge_);
  }
}

const Outcome& Platform::run() {
  sc_core::sc_start(sc_core::sc_time::from_value(config_.platform.time_limit.count()));
  if (!outcome_) {
    std::string text = fmt::format("the time limit of {} of simulated time was reached",
                                   platform::text(config_.platform.time_limit));
    for (const auto& workload : workloads_)
      text += "; " + progress_of(*workload);
    outcome_ = {false, std::move(text)};
  }
  return *outcome_;
}

void Platform::supervise() {
  try {
    set_up();
    const SimulationCost before = cost_so_far();
    measure();
    drain();
    cost_ = cost_so_far();
    cost_.resumptions -= before.resumptions;
    cost_.delta_cycles -= before.delta_cycles;
    for (const auto& workload : workloads_)
      workload->verify();
    outcome_ = {true, "every measurement ended, and all data was right"};
  } catch (const std::runtime_error& error) { // DriverError, WrongData, SetupError
    outcome_ = {false, error.what()};
  }
  sc_core::sc_stop();
}

SimulationCost Platform::cost_so_far() {
  SimulationCost cost{0, executor_.executor().resumed(), sc_core::sc_delta_count()};
  for (const auto& workload : workloads_)
    cost.requests += workload->measurement().all_finished();
  return cost;
}

Core& Platform::next_core() {
  const std::size_t cores = config_.platform.host.cores.value_or(0);
  const std::size_t number = cores == 0 ? dealt_ : dealt_ % cores;
  ++dealt_;
  if (number == cores_.size())
    cores_.push_back(
        std::make_unique<Core>(config_.platform.host, executor_.executor(), driver_bus_));
  return *cores_[number];
}

void Platform::set_up() {
  auto found = driver::probe_pci(
      driver_bus_, {.ecam = ecam.base, .window_base = window32.base, .window_size = window32.size});
  const HostMemory memory{ram_base, ram_.data()};
  for (const auto& workload : workloads_) {
    const auto device = std::find_if(devices_.begin(), devices_.end(), [&](const auto& candidate) {
      return candidate->config().name == workload->config().device;
    });
    const std::string place = fmt::format("pci 00:{:02x}.0", (*device)->config().slot);
    const auto access = std::find_if(found.begin(), found.end(), [&](const auto& candidate) {
      return candidate && candidate->place() == place;
    });
    if (access == found.end())
      throw driver::DriverError(fmt::format("the driver did not find {}", place));
    workload->set_up(**device, std::move(*access), driver_bus_, arena_, memory, msix_,
                     [this]() -> Core& { return next_core(); });
  }
}

/// A device that needs a reset answers no more.
void Platform::check_devices() const {
  for (const auto& device : devices_)
    if (device->device().status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET)
      throw WrongData(fmt::format("{} needs a reset: {}", device->config().name,
                                  to_string(device->device().last_error())));
}

void Platform::measure() {
  traffic_start_ = now();
  for (const auto& workload : workloads_) {
    workload->begin(now());
    Workload* const watched = workload.get();
    EndWake* const at_end = ends_.emplace_back(std::make_unique<EndWake>(over_)).get();
    sc_core::sc_spawn([this, watched, at_end] { watch(*watched, *at_end); },
                      sc_core::sc_gen_unique_name("watch"));
  }
  for (const auto& core : cores_)
    core->start();
  sc_core::sc_event_or_list news;
  news |= over_;
  for (const auto& core : cores_)
    news |= core->ended();
  const auto over = [this](const auto& workload) { return workload->measurement().ended(now()); };
  const auto failed = [](const auto& core) { return core->failure().has_value(); };
  while (!std::all_of(workloads_.begin(), workloads_.end(), over)) {
    if (std::any_of(cores_.begin(), cores_.end(), failed)) break;
    check_devices();
    wait(pause(), news);
  }
}

/// Until the next look at the devices, and until the end: nothing runs ahead of that.
sc_core::sc_time Platform::pause() const {
  const auto limit = sc_core::sc_time::from_value(config_.platform.time_limit.count());
  const sc_core::sc_time look(100, sc_core::SC_US);
  const sc_core::sc_time now = sc_core::sc_time_stamp();
  return now < limit ? std::min(look, limit - now) : look;
}

/// The end of a measurement is noticed at the next whole microsecond of the traffic.
SimTime Platform::noticed(SimTime end) const {
  const std::uint64_t grid = microseconds(1).ps;
  return traffic_start_ + SimTime{((end - traffic_start_).ps + grid - 1) / grid * grid};
}

/// A thread: takes the counters of everything at the start and the end of a measurement.
void Platform::watch(Workload& workload, EndWake& at_end) {
  wait(tlm2::to_sc_time(workload.measurement().start() - now()));
  workload.begin_sample = workload.sample();
  workload.end_sample = workload.begin_sample;
  workload.measurement().on_end = [this, &workload, &at_end] {
    workload.end_sample = workload.sample();
    Executor& executor = executor_.executor();
    executor.post_at(at_end, noticed(executor.now()));
  };
  if (!workload.measurement().end()) return;
  if (const SimTime end = *workload.measurement().end(); end > now()) {
    wait(tlm2::to_sc_time(end - now()));
    workload.end_sample = workload.sample();
  }
  wait(tlm2::to_sc_time(noticed(now()) - now()));
  over_.notify();
}

void Platform::drain() {
  for (const auto& workload : workloads_)
    workload->stop();
  for (const auto& core : cores_)
    core->stop();
  for (const auto& core : cores_) {
    if (!core->done()) wait(core->ended());
    if (core->failure()) throw WrongData(*core->failure());
  }
  settle();
}

/// The devices may still look at their rings; nobody waits for that.
void Platform::settle() {
  const auto quiet = [](const auto& device) { return device->outstanding() == 0; };
  for (int i = 0; i < 100 && !std::all_of(devices_.begin(), devices_.end(), quiet); ++i)
    wait(sc_core::sc_time(1, sc_core::SC_US));
}

} // namespace virtio::platform::pcie_host
