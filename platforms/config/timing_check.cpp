#include <virtio/platforms/config/input_check.hpp>
#include <virtio/platforms/config/timing_check.hpp>

namespace virtio::platform {

namespace {

struct QueueCount {
  std::size_t operator()(const EntropyConfig&) const { return 1; }
  std::size_t operator()(const BlockConfig& block) const { return block.queues; }
  std::size_t operator()(const NetConfig& net) const {
    return std::size_t{2} * net.queues + (net.features.ctrl_vq ? 1 : 0);
  }
  std::size_t operator()(const ConsoleConfig&) const { return 2; }
};

// A list by queue: for one arbitration, and not longer than there are queues.
template <class List>
void check_list(Reader& reader, const std::string& path, const DeviceConfig& device,
                const std::string& key, const List& list, Arbitration arbitration) {
  if (list.empty() || !reader.good(path + ".ring." + key)) return;
  const std::string chosen = path + ".ring.arbitration";
  if (device.ring.arbitration != arbitration && (reader.absent(chosen) || reader.good(chosen)))
    reader.fail(path + ".ring." + key,
                fmt::format("is for arbitration = \"{}\"", text(arbitration)));
  const std::size_t queues = std::visit(QueueCount{}, device.function);
  if (reader.good(path + ".type") && list.size() > queues)
    reader.fail(path + ".ring." + key, fmt::format("has {} values, but the device has {} queue{}",
                                                   list.size(), queues, queues == 1 ? "" : "s"));
}

} // namespace

void choose_protocol(Reader& reader, const std::string& path, DeviceConfig& device) {
  const bool timed = takes_time(device);
  const std::string key = path + ".protocol";
  if (reader.absent(key)) {
    device.protocol = timed ? Protocol::at : Protocol::dmi;
  } else if (reader.good(key) &&
             (reader.absent(path + ".fidelity") || reader.good(path + ".fidelity"))) {
    if (timed && device.protocol == Protocol::dmi)
      reader.fail(key, "direct pointers take no time: a device that is not untimed uses \"at\" or "
                       "\"lt\"");
    if (!timed && device.protocol == Protocol::at)
      reader.fail(
          key,
          "is for fidelity = \"timed\" or \"rtl\": memory answers nb_transport behind a link or "
          "bus only");
  }
}

void check_ring(Reader& reader, const std::string& path, const DeviceConfig& device) {
  check_list(reader, path, device, "weights", device.ring.weights, Arbitration::weighted);
  check_list(reader, path, device, "priorities", device.ring.priorities, Arbitration::priority);
  RingEngineParams params = device.ring;
  params.clock = device.ring.clock.hertz;
  const std::string problem = problem_with(params);
  if (!problem.empty())
    reader.fail_about(path + ".ring", problem.substr(0, problem.find(' ')), problem);
}

void check_rtl(Reader& reader, const std::string& path, const DeviceConfig& device) {
  const bool rtl = device.fidelity == Fidelity::rtl;
  if (!rtl && (reader.absent(path + ".fidelity") || reader.good(path + ".fidelity")))
    for (const auto& row : table(RtlConfig{}).parameters)
      if (const std::string key = path + ".rtl." + std::string(row.key); !reader.absent(key))
        reader.fail(key, "is for fidelity = \"rtl\"");
  if (!rtl) return;
  for (const auto& row : table(RingConfig{}).parameters)
    if (const std::string key = path + ".ring." + std::string(row.key);
        row.key != "clock" && !reader.absent(key))
      reader.fail(key, "is settled when the RTL is built: with fidelity = \"rtl\" only the clock "
                       "of a ring engine can be chosen");
}

void check_link(Reader& reader, const LinkConfig& link) {
  using Kind = tlm2::LatencyDistribution::Kind;
  const std::string table = "platform.link";
  if ((link.memory.kind == Kind::samples) != link.memory.samples.has_value())
    reader.fail(table + ".memory.kind", R"(kind = "samples" and samples = FILE belong together)");
  tlm2::PcieLinkParams params = link;
  params.memory = {link.memory.kind, link.memory.low, link.memory.high, {}};
  if (link.memory.samples) {
    const std::string samples = table + ".memory.samples";
    if (!reader.good(samples)) return;
    check_input(reader, samples, *link.memory.samples, "it holds a latency in ns on each line");
    if (std::filesystem::is_regular_file(*link.memory.samples)) {
      const auto latencies = tlm2::load_latencies(*link.memory.samples);
      if (!latencies) reader.fail(samples, latencies.error());
    }
  }
  if (link.memory.kind == Kind::samples) params.memory = {};
  const auto problem = error_in(params);
  if (!problem) return;
  // "lanes: sentence", "host_credits.posted_data: sentence"
  const std::size_t colon = problem->find(": ");
  const std::string key = problem->substr(0, colon);
  const std::size_t dot = key.rfind('.');
  const std::string sentence = problem->substr(colon + 2);
  if (dot == std::string::npos) return reader.fail_about(table, key, sentence);
  const std::string below = table + "." + key.substr(0, dot);
  reader.fail_about(below, key.substr(dot + 1), sentence);
}

} // namespace virtio::platform
