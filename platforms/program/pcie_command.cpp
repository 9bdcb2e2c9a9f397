#include <virtio/platforms/config/run_options.hpp>
#include <virtio/platforms/program/link_traffic.hpp>
#include <virtio/platforms/program/pcie_command.hpp>

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace virtio::platform {

namespace {

using tlm2::LatencyDistribution;
using tlm2::PcieLinkParams;
using tlm2::Translation;

constexpr std::uint32_t all_sizes[] = {64,  96,  128,  192,  256,  257,  384, 512,
                                       700, 768, 1024, 1500, 2048, 3000, 4096};

struct PcieOptions {
  PcieLinkParams params;
  LinkTraffic traffic;
  std::uint32_t size = 0; // 0: all
  std::string operation = "read";
  std::string memory = "250";
  std::string latency_file;
  std::string propagation = "100";
  std::string root_complex = "50";
  std::string credit_return = "150";
  std::string miss = "330";
  std::string translation = "none";
  bool addr32 = false;
  bool json = false;
};

int fail(const std::string& text) {
  fmt::print(stderr, "{}\n", text);
  return static_cast<int>(ExitCode::bad_usage);
}

/// "250", "250.5", or for the memory "200-400".
std::optional<std::string> set_latencies(PcieOptions& options) {
  const auto set = [](virtio::SimTime& to, const std::string& text,
                      const char* option) -> std::optional<std::string> {
    const auto time = tlm2::parse_nanoseconds(text);
    if (!time) return fmt::format("{}: \"{}\" is not a number of ns like 250 or 0.5", option, text);
    to = *time;
    return std::nullopt;
  };
  PcieLinkParams& p = options.params;
  if (auto error = set(p.propagation, options.propagation, "--propagation")) return error;
  if (auto error = set(p.root_complex, options.root_complex, "--root-complex")) return error;
  if (auto error = set(p.credit_return, options.credit_return, "--credit-return")) return error;
  if (auto error = set(p.translation.miss, options.miss, "--tlb-miss")) return error;
  if (!options.latency_file.empty()) {
    auto loaded = tlm2::load_latencies(options.latency_file);
    if (!loaded) return "--latency-file: " + loaded.error();
    p.memory = std::move(*loaded);
    return std::nullopt;
  }
  const auto dash = options.memory.find('-');
  if (auto error = set(p.memory.low, options.memory.substr(0, dash), "--latency")) return error;
  if (dash == std::string::npos) return std::nullopt;
  p.memory.kind = LatencyDistribution::Kind::uniform;
  return set(p.memory.high, options.memory.substr(dash + 1), "--latency");
}

double gigatransfers(const PcieLinkParams& p) {
  constexpr double rates[] = {0, 2.5, 5, 8, 16, 32};
  return rates[p.generation] * p.lanes;
}

void print_json(const PcieOptions& o, const LinkTraffic& traffic, const LinkRate& rate,
                const char* indent) {
  const PcieLinkParams& p = o.params;
  fmt::print("{0}{{\n"
             "{0}  \"generation\": {1},\n{0}  \"lanes\": {2},\n{0}  \"max_payload\": {3},\n"
             "{0}  \"max_read_request\": {4},\n{0}  \"read_completion_boundary\": {5},\n"
             "{0}  \"completion_size\": {6},\n{0}  \"tags\": {7},\n{0}  \"op\": \"{8}\",\n",
             indent, p.generation, p.lanes, p.max_payload, p.max_read_request,
             p.read_completion_boundary, p.completion_size ? p.completion_size : p.max_payload,
             p.tags, o.operation);
  fmt::print("{0}  \"size\": {1},\n{0}  \"effective_gbps\": {2:.4f},\n"
             "{0}  \"requests_per_second\": {3:.0f},\n{0}  \"upstream_busy\": {4:.4f},\n"
             "{0}  \"downstream_busy\": {5:.4f},\n{0}  \"latency_ns\": {6:.3f},\n"
             "{0}  \"unloaded_latency_ns\": {7:.3f},\n{0}  \"bound_by\": \"{8}\"\n{0}}}",
             indent, traffic.size, rate.effective_gbps, rate.requests_per_second,
             rate.upstream_busy, rate.downstream_busy, rate.latency_ns, rate.unloaded_latency_ns,
             rate.bound_by);
}

void print_heading(const PcieOptions& o) {
  const PcieLinkParams& p = o.params;
  fmt::print(
      "PCI Express generation {} x{}, {:.4g} GT/s: {} at max_payload {}, max_read_request {},"
      " completions of {}, {} tags\n"
      "{:>8} {:>15} {:>15} {:>7} {:>9} {:>12} {:>12}  {}\n",
      p.generation, p.lanes, gigatransfers(p), o.operation, p.max_payload, p.max_read_request,
      p.completion_size ? p.completion_size : p.max_payload, p.tags, "size", "effective Gb/s",
      "requests/s", "up", "down", "latency", "unloaded", "bound by");
}

void print_row(const LinkTraffic& traffic, const LinkRate& rate) {
  fmt::print("{:>8} {:>15.3f} {:>15.0f} {:>6.1f}% {:>8.1f}% {:>9.0f} ns {:>9.0f} ns  {}\n",
             traffic.size, rate.effective_gbps, rate.requests_per_second, 100 * rate.upstream_busy,
             100 * rate.downstream_busy, rate.latency_ns, rate.unloaded_latency_ns, rate.bound_by);
}

int run(PcieOptions o) {
  if (const auto error = set_latencies(o)) return fail(*error);
  o.params.translation.where = o.translation == "iommu" ? Translation::iommu
                               : o.translation == "ats" ? Translation::ats
                                                        : Translation::none;
  if (const auto error = tlm2::error_in(o.params)) return fail(*error);
  o.traffic.operation = o.operation == "read"    ? LinkOperation::read
                        : o.operation == "write" ? LinkOperation::write
                                                 : LinkOperation::readwrite;
  if (o.addr32) o.traffic.base = 0;
  std::vector<std::uint32_t> sizes(std::begin(all_sizes), std::end(all_sizes));
  const bool table = o.size == 0;
  if (!table) sizes = {o.size};
  if (!o.json) print_heading(o);
  if (o.json && table) fmt::print("[\n");
  for (const std::uint32_t size : sizes) {
    LinkTraffic traffic = o.traffic;
    traffic.size = size;
    const LinkRate rate = measure(o.params, traffic);
    if (!o.json) {
      print_row(traffic, rate);
      continue;
    }
    print_json(o, traffic, rate, table ? "  " : "");
    fmt::print("{}\n", table && size != sizes.back() ? "," : "");
  }
  if (o.json && table) fmt::print("]\n");
  return static_cast<int>(ExitCode::done);
}

void add_link_options(CLI::App& command, PcieOptions& o) {
  PcieLinkParams& p = o.params;
  CLI::App& group = *command.add_option_group("Link");
  group.add_option("--gen", p.generation, "Generation, 1 to 5")->capture_default_str();
  group.add_option("--lanes", p.lanes, "1, 2, 4, 8, 16 or 32")->capture_default_str();
  group.add_option("--mps", p.max_payload, "max_payload: bytes of a TLP, 128 to 4096")
      ->capture_default_str();
  group.add_option("--mrrs", p.max_read_request, "max_read_request, bytes, 128 to 4096")
      ->capture_default_str();
  group
      .add_option("--rcb", p.read_completion_boundary, "read_completion_boundary, bytes: 64 or 128")
      ->capture_default_str();
  group
      .add_option("--completion-size", p.completion_size,
                  "Largest completion, bytes, a multiple of --rcb; 0: max_payload")
      ->capture_default_str();
  group.add_flag("--ecrc", p.ecrc, "4 bytes more in every TLP");
  group.add_flag("--addr32", o.addr32, "Addresses below 4 GiB: headers are 4 bytes shorter");
}

void add_limit_options(CLI::App& command, PcieOptions& o) {
  PcieLinkParams& p = o.params;
  CLI::App& group = *command.add_option_group("What can run out (0 credits: never)");
  group.add_option("--tags", p.tags, "Read requests at once: 32, 256, 768")->capture_default_str();
  group.add_option("--posted-headers", p.host_credits.posted_header, "Credits for writes")
      ->capture_default_str();
  group.add_option("--posted-data", p.host_credits.posted_data, "In units of 16 bytes")
      ->capture_default_str();
  group.add_option("--nonposted-headers", p.host_credits.nonposted_header, "Credits for reads")
      ->capture_default_str();
  group.add_option("--credit-return", o.credit_return, "ns from a free buffer to its credit")
      ->capture_default_str();
  group.add_option("--completion-headers", p.completion_headers, "The reader's space")
      ->capture_default_str();
  group.add_option("--completion-data", p.completion_data, "In units of 16 bytes")
      ->capture_default_str();
  group.add_option("--reads-in-service", p.reads_in_service, "At memory; 0: any number")
      ->capture_default_str();
}

void add_latency_options(CLI::App& command, PcieOptions& o) {
  CLI::App& group = *command.add_option_group("Latencies, in ns");
  group.add_option("--latency", o.memory, "Of memory: 250, or 200-400 drawn evenly")
      ->capture_default_str();
  group.add_option("--latency-file", o.latency_file, "One latency a line, drawn evenly");
  group.add_option("--propagation", o.propagation, "One way, with both ends' receivers")
      ->capture_default_str();
  group.add_option("--root-complex", o.root_complex, "Of every request before memory")
      ->capture_default_str();
  group.add_option("--translation", o.translation, "Addresses are translated: none, iommu, ats")
      ->check(CLI::IsMember({"none", "iommu", "ats"}))
      ->capture_default_str();
  group.add_option("--tlb-entries", o.params.translation.entries, "Of the TLB, pages of 4 KiB")
      ->capture_default_str();
  group.add_option("--tlb-miss", o.miss, "Of a page walk")->capture_default_str();
}

} // namespace

std::function<int()> add_pcie_command(CLI::App& app) {
  auto options = std::make_shared<PcieOptions>();
  PcieOptions& o = *options;
  o.params.host_credits = {0, 0, 0, 0};
  o.params.tags = 768;
  CLI::App* command = app.add_subcommand("pcie", "What a PCI Express link carries, by simulation");
  command->add_option("--op", o.operation, "read, write or readwrite (in turn, of equal size)")
      ->check(CLI::IsMember({"read", "write", "readwrite"}))
      ->capture_default_str();
  command->add_option("--size", o.size, "Bytes of a request; a table of sizes when not given")
      ->check(CLI::Range(1u, 1u << 20));
  command->add_option("--offset", o.traffic.offset, "Of every request from its aligned address")
      ->check(CLI::Range(0u, 4095u))
      ->capture_default_str();
  command->add_option("--window", o.traffic.window, "Bytes that the requests go round in")
      ->check(CLI::Range(std::uint64_t{4096}, std::uint64_t{1} << 40))
      ->capture_default_str();
  command->add_flag("--json", o.json, "effective_gbps and the rest as JSON");
  add_link_options(*command, o);
  add_limit_options(*command, o);
  add_latency_options(*command, o);
  command->footer(
      "A device reads or writes host memory without a pause. effective_gbps is payload, for\n"
      "readwrite that of the reads, and as much of the writes. Up is towards memory; latency is\n"
      "that of a request under this load, unloaded that of one alone. Credits are unlimited and\n"
      "tags 768 unless given: then the wire is the limit, as in the analytic model of pcie-bench.\n"
      "Examples:\n"
      "  virtio-tlm pcie --gen 4 --lanes 16 --op write\n"
      "  virtio-tlm pcie --size 64 --tags 32          # bound by latency: 32 reads in a round "
      "trip\n"
      "  virtio-tlm pcie --size 1500 --op readwrite --completion-size 64 --json\n"
      "  virtio-tlm pcie --translation iommu --window 16777216   # more pages than the TLB has");
  return [options] { return run(*options); };
}

} // namespace virtio::platform
