#include <virtio/rtl/verilated/clocked.hpp>
#include <virtio/rtl/vq/vq_dut.hpp>

#include <Vvq_engine.h>

#include <bit>
#include <cstring>

namespace virtio::rtl {

namespace {

// As built.
constexpr std::uint32_t data_bytes = 32;
#ifdef VIRTIO_VQ_QUEUES
constexpr std::uint16_t queues = VIRTIO_VQ_QUEUES;
constexpr std::uint32_t outstanding = VIRTIO_VQ_OUTSTANDING;
#else
constexpr std::uint16_t queues = 4;
constexpr std::uint32_t outstanding = 64;
#endif

template <class Pin> void put(Pin& pin, std::uint64_t value) {
  pin = static_cast<Pin>(value);
}

} // namespace

struct VqDut::Model : verilated::Clocked<Vvq_engine> {
  using Clocked::Clocked;
};

VqDut::VqDut(std::uint64_t seed)
    : model_(std::make_unique<Model>(
          static_cast<std::uint32_t>(seed == 0 ? 0 : seed % 0x7fff'ffff + 1))) {
  pins().rst_n = 0;
  for (int i = 0; i < 4; ++i) {
    model_->settle();
    model_->tick();
  }
  pins().rst_n = 1;
}
VqDut::~VqDut() = default;

Vvq_engine& VqDut::pins() {
  return model_->pins();
}
int VqDut::failed_assertions() const {
  return model_->failed_assertions();
}
void VqDut::write_waves(const std::filesystem::path& file, std::uint64_t from, std::uint64_t to) {
  model_->write_waves(file, {.from = from, .to = to});
}
void VqDut::write_coverage(const std::filesystem::path& file) {
  model_->write_coverage(file);
}

std::uint32_t VqDut::beat_bytes() const {
  return data_bytes;
}
std::uint16_t VqDut::num_queues() const {
  return queues;
}

std::uint32_t VqDut::chains_with_function() const {
  return outstanding;
}

void VqDut::drive(const cosim::RingSide& bench) {
  Vvq_engine& d = pins();
  const BoundaryEvent* e = bench.offer(Group::command);
  d.cmd_valid = e != nullptr;
  if (e != nullptr) {
    d.cmd_function = e->function;
    const QueueSetup& s = e->setup;
    put(d.cmd_command, static_cast<std::uint8_t>(e->command));
    put(d.cmd_queue, raw(e->queue));
    d.cmd_size = s.size;
    d.cmd_desc = raw(s.desc);
    d.cmd_driver = raw(s.driver);
    d.cmd_device = raw(s.device);
    d.cmd_vector = e->vector;
    d.cmd_packed = s.features.has(VIRTIO_F_RING_PACKED);
    d.cmd_event_idx = s.features.has(VIRTIO_F_EVENT_IDX);
    d.cmd_indirect = s.features.has(VIRTIO_F_INDIRECT_DESC);
    d.cmd_in_order = s.features.has(VIRTIO_F_IN_ORDER);
    d.cmd_avail = s.start_avail.index;
    d.cmd_avail_wrap = s.start_avail.wrap;
    d.cmd_used = s.start_used.index;
    d.cmd_used_wrap = s.start_used.wrap;
  }
  e = bench.offer(Group::doorbell);
  d.db_valid = e != nullptr;
  if (e != nullptr) {
    put(d.db_queue, raw(e->queue));
    d.db_next_off = e->notification.next_off;
    d.db_next_wrap = e->notification.next_wrap;
  }
  e = bench.offer(Group::credit);
  d.credit_valid = e != nullptr;
  if (e != nullptr) {
    put(d.credit_queue, raw(e->queue));
    d.credit_count = static_cast<std::uint16_t>(e->count);
  }
  e = bench.offer(Group::read_response);
  d.rd_rsp_valid = e != nullptr;
  if (e != nullptr) {
    put(d.rd_rsp_tag, e->tag);
    d.rd_rsp_status = static_cast<std::uint8_t>(e->status);
    std::memset(d.rd_rsp_data.data(), 0, data_bytes);
    std::memcpy(d.rd_rsp_data.data(), e->data.data(), e->data.size());
  }
  e = bench.offer(Group::write_response);
  d.wr_rsp_valid = e != nullptr;
  if (e != nullptr) {
    put(d.wr_rsp_tag, e->tag);
    d.wr_rsp_status = static_cast<std::uint8_t>(e->status);
  }
  e = bench.offer(Group::completion);
  d.cpl_valid = e != nullptr;
  if (e != nullptr) {
    put(d.cpl_queue, raw(e->queue));
    d.cpl_chain = e->chain;
    d.cpl_generation = e->generation;
    d.cpl_written = e->written;
    d.cpl_more = e->hints.more;
    d.cpl_full = e->hints.full;
  }
  d.rsp_ready = bench.is_ready(Group::response);
  d.rd_ready = bench.is_ready(Group::read_request);
  d.wr_ready = bench.is_ready(Group::write_request);
  d.seg_ready = bench.is_ready(Group::segment);
  d.abort_ready = bench.is_ready(Group::abort);
  d.int_ready = bench.is_ready(Group::interrupt);
  d.err_ready = bench.is_ready(Group::error);
}

BoundaryEvent* VqDut::offers(Group group, bool valid, std::uint16_t queue) {
  if (!valid) return nullptr;
  BoundaryEvent& e = said_[static_cast<std::size_t>(group)]; // a group's fields are always the same
  e.group = group;
  e.queue = QueueIndex{queue};
  side_.offer(group) = &e;
  return &e;
}

void VqDut::look() {
  const Vvq_engine& d = pins();
  side_ = {};
  if (auto* e = offers(Group::response, d.rsp_valid, d.rsp_queue)) {
    e->function = d.rsp_function;
    e->command = static_cast<Command>(d.rsp_command);
    e->code = static_cast<RingError>(d.rsp_code);
    e->progress = {};
    if (e->command == Command::read_state) {
      e->progress.next_avail = {d.rsp_avail, d.rsp_avail_wrap != 0};
      e->progress.next_used = {d.rsp_used, d.rsp_used_wrap != 0};
      e->progress.outstanding = d.rsp_outstanding;
    }
  }
  if (auto* e = offers(Group::read_request, d.rd_valid, d.rd_queue)) {
    e->function = d.rd_function;
    e->tag = d.rd_tag;
    e->kind = static_cast<AccessKind>(d.rd_kind);
    e->address = GuestAddr{d.rd_address};
    e->length = d.rd_length;
    e->after = d.rd_after;
  }
  if (auto* e = offers(Group::write_request, d.wr_valid, d.wr_queue)) {
    e->function = d.wr_function;
    e->tag = d.wr_tag;
    e->kind = static_cast<AccessKind>(d.wr_kind);
    e->address = GuestAddr{d.wr_address};
    e->fence = d.wr_fence;
    const std::uint32_t strobes = d.wr_strobes;
    const auto end = static_cast<std::size_t>(std::bit_width(strobes));
    e->data.resize(end);
    std::memcpy(e->data.data(), d.wr_data.data(), end);
    e->strobes.clear();
    if (!std::has_single_bit(std::uint64_t{strobes} + 1)) // not the first bytes all
      for (std::size_t i = 0; i < end; ++i)
        e->strobes.push_back((strobes >> i & 1) != 0);
  }
  if (auto* e = offers(Group::segment, d.seg_valid, d.seg_queue)) {
    e->function = d.seg_function;
    e->chain = d.seg_chain;
    e->address = GuestAddr{d.seg_address};
    e->length = d.seg_length;
    e->writable = d.seg_writable;
    e->first = d.seg_first;
    e->last = d.seg_last;
    e->error = d.seg_error;
    e->generation = d.seg_generation != 0;
  }
  if (auto* e = offers(Group::abort, d.abort_valid, d.abort_queue)) e->function = d.abort_function;
  if (auto* e = offers(Group::interrupt, d.int_valid, d.int_queue)) {
    e->function = d.int_function;
    e->vector = d.int_vector;
  }
  if (auto* e = offers(Group::error, d.err_valid, d.err_queue)) {
    e->function = d.err_function;
    e->code = static_cast<RingError>(d.err_code);
  }
  side_.set_ready(Group::command, d.cmd_ready);
  side_.set_ready(Group::doorbell, d.db_ready);
  side_.set_ready(Group::credit, d.credit_ready);
  side_.set_ready(Group::read_response, d.rd_rsp_ready);
  side_.set_ready(Group::write_response, d.wr_rsp_ready);
  side_.set_ready(Group::completion, d.cpl_ready);
}

const cosim::RingSide& VqDut::settle(const cosim::RingSide& bench) {
  drive(bench);
  model_->settle();
  look();
  return side_;
}

void VqDut::edge() {
  model_->tick();
}
void VqDut::skip(std::uint64_t cycles) {
  model_->skip(cycles);
}

} // namespace virtio::rtl
