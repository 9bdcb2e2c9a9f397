#include <virtio/tlm/bus.hpp>
#include <virtio/tlm/dma_info.hpp>
#include <virtio/tlm/executor.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

namespace virtio::tlm2 {
namespace {

constexpr std::uint64_t picoseconds_per_second = 1'000'000'000'000;
__extension__ using Wide = unsigned __int128;

std::uint64_t bursts_of(std::uint64_t address, std::uint64_t length, unsigned width) {
  std::uint64_t bursts = 0;
  while (length > 0) {
    const auto in_page = OnChipBusParams::boundary - address % OnChipBusParams::boundary;
    const auto part = std::min<std::uint64_t>(length, in_page);
    const auto beats = (address % width + part + width - 1) / width;
    bursts += (beats + OnChipBusParams::max_beats - 1) / OnChipBusParams::max_beats;
    address += part;
    length -= part;
  }
  return std::max<std::uint64_t>(bursts, 1);
}

} // namespace

struct OnChipBus::Request {
  struct Arrival : Wake {
    OnChipBus* bus = nullptr;
    Request* request = nullptr;
  };
  struct Transfer : DmaTransaction { // to an AT target
    Request* request = nullptr;
  };

  Request* next = nullptr;       // in one of the lists
  Request* next_of_id = nullptr; // in under_way
  Payload* payload = nullptr;
  Initiator* from = nullptr;
  Id* id = nullptr;
  std::uint16_t queue = 0;
  std::size_t kind = 0;
  bool write = false;
  bool blocking = false;     // a thread brought it
  bool thread_waits = false; // for `event`
  bool is_performed = false;
  std::uint64_t bursts = 0;
  std::uint64_t beats = 0;
  unsigned slots_needed = 0;
  unsigned slots = 0;
  std::uint64_t writes_before = 0; // of a read: which it follows; of a write: its number
  std::uint64_t came = 0;          // cycles from here on
  std::uint64_t start = 0;
  std::uint64_t ready = 0;
  std::uint64_t delivered = 0;
  Arrival arrival;
  Transfer transfer;
  sc_core::sc_event event;
};

void OnChipBus::List::push(Request& request) {
  request.next = nullptr;
  (head ? tail->next : head) = &request;
  tail = &request;
}

OnChipBus::Request& OnChipBus::List::pop() {
  Request& first = *head;
  head = first.next;
  return first;
}

OnChipBus::OnChipBus(sc_core::sc_module_name name, Executor& executor,
                     const OnChipBusParams& params)
    : sc_module(name), initiators("initiators"), target("target"), params_(params),
      executor_(executor) {
  if (const std::string wrong = check(params); !wrong.empty())
    SC_REPORT_FATAL("/virtio-tlm/bus", (std::string(this->name()) + ": " + wrong).c_str());
  const std::uint64_t common = std::gcd(picoseconds_per_second, params.clock);
  cycles_ = params.clock / common;
  picoseconds_ = picoseconds_per_second / common;
  channels_[0].limit = params.outstanding_reads;
  channels_[1].limit = params.outstanding_writes;
  for (Channels& channels : channels_)
    channels.slots.assign(channels.limit, 0);
  initiators.register_nb_transport_fw(this, &OnChipBus::nb_transport_fw);
  initiators.register_b_transport(this, &OnChipBus::b_transport);
  initiators.register_transport_dbg(this, &OnChipBus::transport_dbg);
  initiators.register_get_direct_mem_ptr(this, &OnChipBus::get_direct_mem_ptr);
  target.register_nb_transport_bw(this, &OnChipBus::nb_transport_bw);
  if (params.at_target)
    at_ = std::make_unique<AtInitiator>(this->name(), static_cast<AtInitiator::Port&>(*this),
                                        params.outstanding_reads + params.outstanding_writes);
}

OnChipBus::~OnChipBus() {
  for (Request& request : requests_)
    if (request.payload && !request.blocking) request.payload->release();
}

// Edge k is at floor(k * 10^12 / clock) ps, so that no remainder is ever lost. The fraction is
// reduced, so that a division of 64 bits is enough for all but odd clocks and long times.
std::uint64_t OnChipBus::cycle(SimTime time) const {
  std::uint64_t scaled;
  if (!__builtin_mul_overflow(time.ps, cycles_, &scaled) &&
      !__builtin_add_overflow(scaled, picoseconds_ - 1, &scaled))
    return scaled / picoseconds_;
  return static_cast<std::uint64_t>((Wide{time.ps} * cycles_ + (picoseconds_ - 1)) / picoseconds_);
}

SimTime OnChipBus::time(std::uint64_t cycle) const {
  std::uint64_t scaled;
  if (!__builtin_mul_overflow(cycle, picoseconds_, &scaled)) return {scaled / cycles_};
  return {static_cast<std::uint64_t>(Wide{cycle} * picoseconds_ / cycles_)};
}

OnChipBus::Initiator& OnChipBus::initiator(int index) {
  while (by_initiator_.size() <= static_cast<std::size_t>(index)) {
    Initiator& added = by_initiator_.emplace_back();
    added.next.bus = this;
    added.next.index = static_cast<int>(by_initiator_.size()) - 1;
    added.next.call = [](Wake& wake) {
      auto& next = static_cast<Initiator::Next&>(wake);
      next.bus->send_responses(next.bus->initiator(next.index));
    };
  }
  return by_initiator_[static_cast<std::size_t>(index)];
}

OnChipBus::Id& OnChipBus::id(Initiator& from, std::uint16_t queue) {
  if (from.ids.size() <= queue) from.ids.resize(queue + 1u);
  return from.ids[queue];
}

// --- from the initiators ------------------------------------------------------------------------

::tlm::tlm_sync_enum OnChipBus::nb_transport_fw(int index, Payload& payload, Phase& phase,
                                                sc_core::sc_time& time) {
  if (phase == ::tlm::BEGIN_REQ) {
    if (!payload.has_mm()) {
      SC_REPORT_ERROR("/virtio-tlm/bus",
                      fmt::format("{}: initiator {} calls nb_transport with a payload without "
                                  "memory management",
                                  name(), index)
                          .c_str());
      payload.set_response_status(::tlm::TLM_GENERIC_ERROR_RESPONSE);
      return ::tlm::TLM_COMPLETED;
    }
    payload.acquire();
    submit(index, payload, time, false);
    phase = ::tlm::END_REQ;
    time = sc_core::SC_ZERO_TIME;
    return ::tlm::TLM_UPDATED;
  }
  Initiator& from = initiator(index);
  if (phase == ::tlm::END_RESP && from.responding && from.responding->payload == &payload) {
    end(*std::exchange(from.responding, nullptr));
    if (from.responses.head) executor_.post(from.next);
    return ::tlm::TLM_COMPLETED;
  }
  if (phase <= ::tlm::END_RESP)
    SC_REPORT_ERROR(
        "/virtio-tlm/bus",
        fmt::format("{}: initiator {} sends a phase that must not follow", name(), index).c_str());
  return ::tlm::TLM_ACCEPTED;
}

void OnChipBus::b_transport(int index, Payload& payload, sc_core::sc_time& delay) {
  if (delay != sc_core::SC_ZERO_TIME) wait(delay);
  Request& request = submit(index, payload, sc_core::SC_ZERO_TIME, true);
  const auto wait_for_bus = [&] {
    request.thread_waits = true;
    wait(request.event);
  };
  wait_for_bus();
  if (!at_) { // it has reached the target
    delay = sc_core::SC_ZERO_TIME;
    target->b_transport(payload, delay);
    performed(request, delay);
    if (!request.delivered) wait_for_bus(); // behind another of its id
  }
  delay = until(request.delivered);
  end(request);
}

unsigned OnChipBus::transport_dbg(int, Payload& payload) {
  return target->transport_dbg(payload);
}

bool OnChipBus::get_direct_mem_ptr(int, Payload&, ::tlm::tlm_dmi& dmi) {
  dmi.allow_none();
  dmi.set_start_address(0);
  dmi.set_end_address(~0ull);
  return false;
}

// --- a request's way ----------------------------------------------------------------------------

OnChipBus::Request& OnChipBus::submit(int index, Payload& payload, const sc_core::sc_time& delay,
                                      bool blocking) {
  if (free_.empty()) {
    Request& added = requests_.emplace_back();
    added.arrival.bus = this;
    added.arrival.request = &added;
    added.arrival.call = [](Wake& wake) {
      auto& arrival = static_cast<Request::Arrival&>(wake);
      arrival.bus->arrive(*arrival.request);
    };
    added.transfer.request = &added;
    free_.push_back(&added);
  }
  Request& r = *free_.back();
  free_.pop_back();
  const DmaInfo* info = payload.get_extension<DmaInfo>();
  r.payload = &payload;
  r.from = &initiator(index);
  r.queue = info ? info->queue : 0;
  r.id = &id(*r.from, r.queue);
  r.kind = info ? static_cast<std::size_t>(info->kind) : BusTraffic::other;
  r.write = payload.is_write();
  r.blocking = blocking;
  r.is_performed = false;
  r.slots = 0;
  r.delivered = 0;
  const std::uint64_t address = payload.get_address();
  const std::uint64_t length = payload.get_data_length();
  r.beats = std::max<std::uint64_t>(
      (address % params_.width + length + params_.width - 1) / params_.width, 1);
  r.bursts = bursts_of(address, length, params_.width);
  Channels& channels = channels_[r.write];
  r.slots_needed = static_cast<unsigned>(std::min<std::uint64_t>(r.bursts, channels.limit));
  r.came = r.start = cycle(executor_.now() + to_sim_time(delay));

  Id& of = *r.id;
  r.writes_before = r.write ? ++of.writes : of.writes;
  List& order = of.under_way[r.write];
  r.next_of_id = nullptr;
  (order.head ? order.tail->next_of_id : order.head) = &r;
  order.tail = &r;

  channels.waiting.push(r);
  issue_waiting(channels);
  return r;
}

void OnChipBus::issue_waiting(Channels& channels) {
  while (Request* r = channels.waiting.head) {
    for (; r->slots < r->slots_needed; ++r->slots) {
      if (channels.slots.empty()) return;
      std::pop_heap(channels.slots.begin(), channels.slots.end(), std::greater<>());
      r->start = std::max(r->start, channels.slots.back());
      channels.slots.pop_back();
    }
    channels.waiting.pop();
    issue(*r, channels);
  }
}

void OnChipBus::issue(Request& r, Channels& channels) {
  r.start = std::max(r.start, channels.address_free);
  channels.address_free = r.start + r.bursts;
  channels.traffic.request_stall += r.start - r.came;
  std::uint64_t sent = r.start + r.bursts;
  if (r.write) {
    const std::uint64_t data = std::max(r.start, channels.data_free);
    channels.traffic.data_stall += data - r.start;
    sent = channels.data_free = data + r.beats;
  }
  executor_.post_at(r.arrival, time(sent + params_.request_latency));
}

/// A write of its queue that came before is not performed.
bool OnChipBus::must_follow_writes(const Request& r) {
  const Request* write = r.id->under_way[1].head;
  return write && write->writes_before <= r.writes_before;
}

void OnChipBus::arrive(Request& r) {
  if (!r.write && (r.id->held_reads.head || must_follow_writes(r)))
    r.id->held_reads.push(r);
  else
    access(r);
}

void OnChipBus::access(Request& r) {
  if (at_) {
    access_at_target(r);
  } else if (r.blocking) {
    wake_thread(r);
  } else {
    sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
    target->b_transport(*r.payload, delay);
    performed(r, delay);
  }
}

void OnChipBus::access_at_target(Request& r) {
  const Payload& p = *r.payload;
  const auto refuse = [&](::tlm::tlm_response_status status) {
    r.payload->set_response_status(status);
    performed(r, sc_core::SC_ZERO_TIME);
  };
  if (p.get_byte_enable_ptr()) return refuse(::tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
  if (p.get_data_length() == 0 || p.get_streaming_width() < p.get_data_length())
    return refuse(::tlm::TLM_BURST_ERROR_RESPONSE);
  if (!p.is_read() && !p.is_write()) return refuse(::tlm::TLM_COMMAND_ERROR_RESPONSE);
  DmaTransaction& t = r.transfer;
  t.addr = GuestAddr{p.get_address()};
  t.len = p.get_data_length();
  t.write = r.write;
  t.kind = r.kind == BusTraffic::other ? AccessKind::data : static_cast<AccessKind>(r.kind);
  t.queue = r.queue;
  if (t.buffer.size() < t.len) t.buffer.resize(t.len);
  if (t.write) std::memcpy(t.buffer.data(), p.get_data_ptr(), t.len);
  at_->issue(t, executor_);
}

void OnChipBus::on_response(DmaTransaction& t, DmaStatus status) {
  Request& r = *static_cast<Request::Transfer&>(t).request;
  if (status == DmaStatus::ok) {
    if (!t.write) std::memcpy(r.payload->get_data_ptr(), t.buffer.data(), t.len);
    r.payload->set_response_status(::tlm::TLM_OK_RESPONSE);
  } else {
    r.payload->set_response_status(status == DmaStatus::address_error
                                       ? ::tlm::TLM_ADDRESS_ERROR_RESPONSE
                                       : ::tlm::TLM_GENERIC_ERROR_RESPONSE);
  }
  performed(r, sc_core::SC_ZERO_TIME);
}

/// The target has answered, for `delay` later. Responses leave in the order of their id.
void OnChipBus::performed(Request& r, const sc_core::sc_time& delay) {
  r.is_performed = true;
  r.ready = cycle(executor_.now() + to_sim_time(delay));
  Id& of = *r.id;
  List& order = of.under_way[r.write];
  while (order.head && order.head->is_performed) {
    Request& first = *order.head;
    order.head = first.next_of_id;
    finish(first);
  }
  while (of.held_reads.head && !must_follow_writes(*of.held_reads.head))
    access(of.held_reads.pop());
}

void OnChipBus::finish(Request& r) {
  Channels& channels = channels_[r.write];
  std::uint64_t& channel = r.write ? channels.response_free : channels.data_free;
  const std::uint64_t begin = std::max(r.ready, channel);
  channel = begin + (r.write ? r.bursts : r.beats);
  if (!r.write) channels.traffic.data_stall += begin - r.ready;
  r.delivered = channel + params_.response_latency;

  BusTraffic& traffic = channels.traffic;
  for (BusTraffic::Share* share : {&traffic.total, &traffic.by_kind[r.kind]}) {
    ++share->requests;
    share->bytes += r.payload->get_data_length();
    share->beats += r.beats;
  }
  traffic.bursts += r.bursts;
  traffic.busy += r.beats;
  traffic.latency += r.delivered - r.came;

  for (; r.slots > 0; --r.slots) {
    channels.slots.push_back(r.delivered);
    std::push_heap(channels.slots.begin(), channels.slots.end(), std::greater<>());
  }
  respond(r);
  issue_waiting(channels);
}

// --- back to the initiators ---------------------------------------------------------------------

/// A notification that nobody waits for would meet whoever uses the request next.
void OnChipBus::wake_thread(Request& r) {
  if (std::exchange(r.thread_waits, false)) r.event.notify(sc_core::SC_ZERO_TIME);
}

sc_core::sc_time OnChipBus::until(std::uint64_t cycle) const {
  const SimTime now = executor_.now();
  const SimTime then = time(cycle);
  return then > now ? to_sc_time(then - now) : sc_core::SC_ZERO_TIME;
}

void OnChipBus::respond(Request& r) {
  if (r.blocking) {
    wake_thread(r);
    return;
  }
  r.from->responses.push(r);
  if (!r.from->responding) send_responses(*r.from);
}

void OnChipBus::send_responses(Initiator& to) {
  while (!to.responding && to.responses.head) {
    Request& r = to.responses.pop();
    sc_core::sc_time delay = until(r.delivered);
    Phase phase = ::tlm::BEGIN_RESP;
    to.responding = &r;
    const auto sync = initiators[to.next.index]->nb_transport_bw(*r.payload, phase, delay);
    if (to.responding == &r && (sync == ::tlm::TLM_COMPLETED ||
                                (sync == ::tlm::TLM_UPDATED && phase == ::tlm::END_RESP))) {
      to.responding = nullptr;
      end(r);
    }
  }
}

void OnChipBus::end(Request& r) {
  Payload& payload = *std::exchange(r.payload, nullptr);
  free_.push_back(&r);
  if (!r.blocking) payload.release();
}

// --- to an AT target ----------------------------------------------------------------------------

::tlm::tlm_sync_enum OnChipBus::nb_transport_fw(Payload& payload, Phase& phase,
                                                sc_core::sc_time& time) {
  return target->nb_transport_fw(payload, phase, time);
}

std::optional<DmaStatus> OnChipBus::withdrawn_answer(const DmaTransaction&) const {
  return std::nullopt;
}

::tlm::tlm_sync_enum OnChipBus::nb_transport_bw(Payload& payload, Phase& phase,
                                                sc_core::sc_time& time) {
  if (at_) return at_->nb_transport_bw(payload, phase, time);
  SC_REPORT_ERROR(
      "/virtio-tlm/bus",
      fmt::format("the target of {} calls nb_transport_bw, but at_target is not set", name())
          .c_str());
  return ::tlm::TLM_ACCEPTED;
}

} // namespace virtio::tlm2
