// What a transaction of a DMA port costs, by protocol and by how the target answers. The target
// does nothing with the data; 16 coroutines read 64 bytes each, again and again.
#include <virtio/tlm/bus.hpp>
#include <virtio/tlm/dma_port.hpp>
#include <virtio/tlm/executor.hpp>

#include <tlm_utils/simple_target_socket.h>

#include <benchmark/benchmark.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace virtio {
namespace {

using tlm2::DmaProtocol;

constexpr std::size_t parallel = 16;
constexpr std::size_t each = 50; // transactions of one coroutine in a batch

enum class Answer : std::uint8_t { completed, completed_with_time, end_req_then_begin_resp };

struct Target : sc_core::sc_module {
  tlm_utils::simple_target_socket<Target> socket{"socket"};

  Target(sc_core::sc_module_name name, Answer answer) : sc_module(name), answer_(answer) {
    socket.register_nb_transport_fw(this, &Target::nb_transport_fw);
    socket.register_b_transport(this, &Target::b_transport);
    SC_HAS_PROCESS(Target);
    SC_METHOD(respond);
    sensitive << respond_;
    dont_initialize();
  }

private:
  tlm::tlm_sync_enum nb_transport_fw(tlm::tlm_generic_payload& payload, tlm::tlm_phase& phase,
                                     sc_core::sc_time& time) {
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    if (answer_ == Answer::completed) return tlm::TLM_COMPLETED;
    if (answer_ == Answer::completed_with_time) {
      time += latency_;
      return tlm::TLM_COMPLETED;
    }
    if (pending_.empty()) respond_.notify(latency_);
    pending_.push_back(&payload);
    phase = tlm::END_REQ;
    return tlm::TLM_UPDATED;
  }
  void b_transport(tlm::tlm_generic_payload& payload, sc_core::sc_time&) {
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
  }
  void respond() {
    for (tlm::tlm_generic_payload* payload : pending_) {
      tlm::tlm_phase phase = tlm::BEGIN_RESP;
      sc_core::sc_time time;
      socket->nb_transport_bw(*payload, phase, time);
    }
    pending_.clear();
  }

  Answer answer_;
  sc_core::sc_time latency_{10, sc_core::SC_NS};
  sc_core::sc_event respond_;
  std::vector<tlm::tlm_generic_payload*> pending_;
};

Task<> reads(Dma dma, std::size_t& done) {
  std::array<std::byte, 64> bytes;
  for (std::size_t i = 0; i < each; ++i) {
    const DmaStatus status =
        co_await dma.read(GuestAddr{0x1000}, bytes.data(), bytes.size(), AccessKind::data);
    done += status == DmaStatus::ok;
  }
}

struct Rig {
  Rig(std::string n, DmaProtocol protocol, Answer answer, Executor& executor, bool over_bus = false)
      : name(std::move(n)), target((name + "_target").c_str(), answer),
        port((name + "_port").c_str(), {.protocol = protocol}), scope(executor, name) {
    if (!over_bus) {
      port.socket.bind(target.socket);
      return;
    }
    bus = std::make_unique<tlm2::OnChipBus>((name + "_bus").c_str(), executor);
    port.socket.bind(bus->initiators);
    bus->target.bind(target.socket);
  }
  void batch() {
    done = 0;
    for (std::size_t i = 0; i < parallel; ++i)
      scope.start([&] { return reads(Dma(port, scope, 0), done); });
    while (done < parallel * each)
      sc_core::sc_start(sc_core::sc_time(1, sc_core::SC_US));
  }

  std::string name;
  Target target;
  tlm2::TlmDmaPort port;
  std::unique_ptr<tlm2::OnChipBus> bus;
  Scope scope;
  std::size_t done = 0;
};

struct Bench {
  tlm2::ExecutorModule executor{"executor"};
  Rig completed{"at_completed", DmaProtocol::at, Answer::completed, executor.executor()};
  Rig with_time{"at_completed_with_time", DmaProtocol::at, Answer::completed_with_time,
                executor.executor()};
  Rig phases{"at_end_req_begin_resp", DmaProtocol::at, Answer::end_req_then_begin_resp,
             executor.executor()};
  Rig threads{"lt", DmaProtocol::lt, Answer::completed, executor.executor()};
  Rig bus{"at_over_bus", DmaProtocol::at, Answer::completed, executor.executor(), true};
  std::array<Rig*, 5> rigs{&completed, &with_time, &phases, &threads, &bus};
};

int run_for_callgrind(Bench& bench, std::string_view name, std::uint64_t transactions) {
  for (Rig* rig : bench.rigs)
    if (rig->name == name)
      for (std::uint64_t i = 0; i < transactions; i += parallel * each)
        rig->batch();
  return 0;
}

} // namespace
} // namespace virtio

int sc_main(int, char**) {
  return 0;
}

int main(int argc, char** argv) {
  using namespace virtio;
  Bench bench;
  if (argc == 2 && std::string_view(argv[1]) == "--list") {
    for (const Rig* rig : bench.rigs)
      std::puts(rig->name.c_str());
    return 0;
  }
  sc_core::sc_start(sc_core::SC_ZERO_TIME);
  if (argc == 5 && std::string_view(argv[1]) == "--count")
    return run_for_callgrind(bench, argv[4], std::strtoull(argv[2], nullptr, 10));
  for (Rig* rig : bench.rigs)
    benchmark::RegisterBenchmark(rig->name.c_str(), [rig](benchmark::State& state) {
      for (auto _ : state)
        rig->batch();
      state.counters["transaction"] =
          benchmark::Counter(static_cast<double>(state.iterations() * parallel * each),
                             benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
    });
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
