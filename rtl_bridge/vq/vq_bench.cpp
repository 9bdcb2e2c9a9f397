#include <virtio/rtl/vq/vq_bench.hpp>

#include <Vvq_engine.h>

#include <algorithm>
#include <stdexcept>

namespace virtio::rtl {

namespace {

constexpr std::size_t beat_bytes = 32; // as built

template <typename Pin> void set(Pin& pin, std::uint64_t value) {
  pin = static_cast<Pin>(value);
}
template <typename Wide> void put(Wide& pins, const std::vector<std::byte>& bytes) {
  std::array<std::uint32_t, beat_bytes / 4> words{};
  std::memcpy(words.data(), bytes.data(), std::min(bytes.size(), beat_bytes));
  for (std::size_t i = 0; i < words.size(); ++i)
    pins[i] = words[i];
}

} // namespace

VqBench::VqBench(const VqBenchConfig& config, BoundarySink* sink)
    : config_(config), sink_(sink), dut_(std::make_unique<Vvq_engine>()),
      random_(config.seed, "vq bench"), memory_(config.memory) {
  dut_->rst_n = 0;
  for (int i = 0; i < 4; ++i) {
    dut_->clk = 0;
    dut_->eval();
    dut_->clk = 1;
    dut_->eval();
  }
  dut_->rst_n = 1;
}
VqBench::~VqBench() {
  dut_->final();
}

void VqBench::tell(BoundaryEvent event, Group group, QueueIndex queue) {
  if (sink_ == nullptr) return;
  event.cycle = cycle_;
  event.group = group;
  event.queue = queue;
  switch (group) {
  case Group::command:
  case Group::doorbell:
  case Group::credit:
  case Group::completion:
    event.function = function_of(queue);
    break;
  default:; // what the engine says, or said
  }
  sink_->on_boundary(event);
}

bool VqBench::bad(GuestAddr at, std::uint64_t length, const Range& range) const {
  const std::uint64_t begin = raw(at);
  if (begin > memory_.size() || length > memory_.size() - begin) return true;
  return begin < range.second && begin + length > range.first;
}

void VqBench::post_command(Command command, QueueIndex queue, const QueueSetup& setup) {
  BoundaryEvent e;
  e.command = command;
  e.queue = queue;
  e.setup = setup;
  e.vector = static_cast<std::uint16_t>(raw(queue) + 7);
  commands_.push_back(e);
}

BoundaryEvent VqBench::command(Command command, QueueIndex queue, const QueueSetup& setup) {
  post_command(command, queue, setup);
  for (int i = 0; i < 100'000; ++i) {
    tick();
    if (!command_pending()) return response_;
  }
  throw std::runtime_error("the engine does not answer a command");
}

void VqBench::step_memory() {
  for (auto& [tag, read] : reads_) {
    if (!read.started && writes_answered_ >= read.barrier) {
      read.started = true;
      read.due = later(config_.read_latency, config_.read_spread);
      const std::uint64_t first = raw(read.event.address) / 16;
      const std::uint64_t last = (raw(read.event.address) + read.event.length - 1) / 16;
      for (std::uint64_t block = first; block <= last; ++block)
        read.sample_at.push_back(cycle_ + random_.below(read.due - cycle_ + 1));
      read.data.resize(read.event.length);
      read.failed = bad(read.event.address, read.event.length, bad_read_);
    }
    if (!read.started || read.failed) continue;
    const std::uint64_t begin = raw(read.event.address);
    for (std::size_t i = 0; i < read.sample_at.size(); ++i) {
      if (read.sample_at[i] == 0 || read.sample_at[i] > cycle_) continue;
      read.sample_at[i] = 0;
      for (std::uint64_t at = std::max(begin, (begin / 16 + i) * 16);
           at < std::min(begin + read.event.length, (begin / 16 + i + 1) * 16); ++at)
        read.data[at - begin] = memory_[at];
    }
  }
  for (Write& write : writes_) {
    if (write.performed) continue;
    if (write.perform_at > cycle_) break;
    write.performed = true;
    const std::uint64_t begin = raw(write.event.address);
    if (bad(write.event.address, write.event.data.size(), bad_write_)) {
      write.event.status = AccessStatus::address_error;
      continue;
    }
    for (std::size_t i = 0; i < write.event.data.size(); ++i)
      memory_[begin + i] = write.event.data[i];
  }
}

void VqBench::drive() {
  Vvq_engine& d = *dut_;
  d.cmd_valid = !commands_.empty();
  if (!commands_.empty()) {
    const BoundaryEvent& c = commands_.front();
    const QueueSetup& s = c.setup;
    d.cmd_function = function_of(c.queue);
    d.cmd_command = static_cast<std::uint8_t>(c.command);
    set(d.cmd_queue, raw(c.queue));
    d.cmd_size = s.size;
    d.cmd_desc = raw(s.desc);
    d.cmd_driver = raw(s.driver);
    d.cmd_device = raw(s.device);
    d.cmd_vector = c.vector;
    d.cmd_packed = s.features.has(VIRTIO_F_RING_PACKED);
    d.cmd_event_idx = s.features.has(VIRTIO_F_EVENT_IDX);
    d.cmd_indirect = s.features.has(VIRTIO_F_INDIRECT_DESC);
    d.cmd_in_order = s.features.has(VIRTIO_F_IN_ORDER);
    d.cmd_avail = s.start_avail.index;
    d.cmd_avail_wrap = s.start_avail.wrap;
    d.cmd_used = s.start_used.index;
    d.cmd_used_wrap = s.start_used.wrap;
  }
  d.db_valid = !doorbells_.empty();
  if (!doorbells_.empty()) set(d.db_queue, raw(doorbells_.front()));
  d.credit_valid = !credits_.empty();
  if (!credits_.empty()) {
    set(d.credit_queue, raw(credits_.front().first));
    d.credit_count = credits_.front().second;
  }
  d.rsp_ready = !chance(config_.stalls);
  d.rd_ready = !chance(config_.stalls);
  d.wr_ready = !chance(config_.stalls);
  d.seg_ready = !chance(config_.stalls);
  d.abort_ready = !chance(config_.stalls);
  d.int_ready = !chance(config_.stalls);
  d.err_ready = !chance(config_.stalls);

  std::vector<int> due;
  for (const auto& [tag, read] : reads_)
    if (read.started && read.due <= cycle_) due.push_back(tag);
  answering_ = due.empty() ? -1 : due[random_.below(due.size())];
  d.rd_rsp_valid = answering_ >= 0;
  if (answering_ >= 0) {
    const Read& read = reads_.at(static_cast<std::uint16_t>(answering_));
    d.rd_rsp_tag = static_cast<std::uint8_t>(answering_);
    d.rd_rsp_status =
        static_cast<std::uint8_t>(read.failed ? AccessStatus::address_error : AccessStatus::ok);
    put(d.rd_rsp_data, read.data);
  }
  d.wr_rsp_valid =
      !writes_.empty() && writes_.front().performed && writes_.front().answer_at <= cycle_;
  if (d.wr_rsp_valid) {
    d.wr_rsp_tag = static_cast<std::uint8_t>(writes_.front().event.tag);
    d.wr_rsp_status = static_cast<std::uint8_t>(writes_.front().event.status);
  }
  // What is on the pins stays there until it is taken.
  if (completing_ < 0 && !hold_) {
    std::vector<int> ready;
    for (std::size_t i = 0; i < completions_.size(); ++i)
      if (completions_[i].at <= cycle_) ready.push_back(static_cast<int>(i));
    if (!ready.empty()) completing_ = ready[random_.below(ready.size())];
    if (completing_ >= 0) choose_more(completions_[static_cast<std::size_t>(completing_)]);
  }
  d.cpl_valid = completing_ >= 0;
  if (completing_ >= 0) {
    const Completion& c = completions_[static_cast<std::size_t>(completing_)];
    set(d.cpl_queue, raw(c.queue));
    d.cpl_chain = c.chain;
    d.cpl_generation = c.generation;
    d.cpl_written = c.done.written;
    d.cpl_more = c.done.hints.more;
    d.cpl_full = c.done.hints.full;
  }
}

// A group ends with a chain that the function still has.
void VqBench::choose_more(Completion& c) {
  const bool another =
      std::any_of(completions_.begin(), completions_.end(), [&](const Completion& o) {
        return o.queue == c.queue && o.done.order > c.done.order;
      });
  c.done.hints.more = another && chance(config_.groups);
}

void VqBench::chain_done(QueueIndex queue, FunctionChain& chain) {
  if (on_chain) on_chain(queue, chain);
  if (chain.segments.back().error) return;
  std::uint64_t writable = 0;
  for (const BoundaryEvent& s : chain.segments)
    if (s.writable) writable += s.length;
  Completion c;
  c.queue = queue;
  c.chain = chain.id;
  c.generation = chain.generation;
  c.at = later(config_.work, config_.work_spread);
  c.done.order = chains_[queue]++;
  c.done.written = static_cast<std::uint32_t>(
      writable == 0 ? 0 : random_.below(std::min<std::uint64_t>(writable, 0xffff'ffff) + 1));
  c.done.hints.full = chance(config_.full);
  completions_.push_back(c);
}

void VqBench::observe() {
  Vvq_engine& d = *dut_;
  BoundaryEvent e;
  if (d.cmd_valid && d.cmd_ready) {
    e = commands_.front();
    commands_.pop_front();
    ++asked_;
    tell(e, Group::command, e.queue);
  }
  if (d.db_valid && d.db_ready) {
    tell({}, Group::doorbell, doorbells_.front());
    doorbells_.pop_front();
  }
  if (d.credit_valid && d.credit_ready) {
    e = {};
    e.count = credits_.front().second;
    tell(e, Group::credit, credits_.front().first);
    credits_.pop_front();
  }
  if (d.wr_rsp_valid && d.wr_rsp_ready) {
    e = {};
    e.function = writes_.front().event.function;
    e.tag = writes_.front().event.tag;
    e.status = writes_.front().event.status;
    tell(e, Group::write_response, writes_.front().event.queue);
    writes_.pop_front();
    ++writes_answered_;
  }
  if (d.rd_rsp_valid && d.rd_rsp_ready) {
    const Read read = reads_.at(static_cast<std::uint16_t>(answering_));
    reads_.erase(static_cast<std::uint16_t>(answering_));
    e = {};
    e.function = read.event.function;
    e.tag = static_cast<std::uint16_t>(answering_);
    e.address = read.event.address;
    e.data = read.data;
    e.last = true;
    if (read.failed) e.status = AccessStatus::address_error;
    tell(e, Group::read_response, read.event.queue);
  }
  if (d.cpl_valid && d.cpl_ready) {
    const Completion c = completions_[static_cast<std::size_t>(completing_)];
    completions_.erase(completions_.begin() + completing_);
    completing_ = -1;
    e = {};
    e.chain = c.chain;
    e.written = c.done.written;
    e.hints = c.done.hints;
    // One of before a reset, which the engine drops.
    if (!c.late) {
      tell(e, Group::completion, c.queue);
      done[c.queue].push_back(c.done);
    }
  }
  if (d.abort_valid && d.abort_ready) {
    const QueueIndex queue{d.abort_queue};
    e = {};
    e.function = d.abort_function;
    tell(e, Group::abort, queue);
    open_.erase(queue);
    aborted_.insert(queue);
    // Completions that the function gave already may still come; the others are off.
    if (completing_ < 0 || completions_[static_cast<std::size_t>(completing_)].queue != queue) {
      const Completion* keep =
          completing_ < 0 ? nullptr : &completions_[static_cast<std::size_t>(completing_)];
      std::vector<Completion> left;
      int place = -1;
      for (const Completion& c : completions_) {
        if (c.queue == queue) continue;
        if (&c == keep) place = static_cast<int>(left.size());
        left.push_back(c);
      }
      completions_ = left;
      completing_ = place;
    } else {
      Completion late = completions_[static_cast<std::size_t>(completing_)];
      std::erase_if(completions_, [&](const Completion& c) { return c.queue == queue; });
      late.late = true;
      completing_ = static_cast<int>(completions_.size());
      completions_.push_back(late);
    }
    if (on_abort) on_abort(queue);
  }
  if (d.seg_valid && d.seg_ready) {
    const QueueIndex queue{d.seg_queue};
    e = {};
    e.function = d.seg_function;
    e.chain = d.seg_chain;
    e.address = GuestAddr{d.seg_address};
    e.length = d.seg_length;
    e.writable = d.seg_writable;
    e.first = d.seg_first;
    e.last = d.seg_last;
    e.error = d.seg_error;
    ++segments;
    tell(e, Group::segment, queue);
    FunctionChain& chain = open_[queue];
    if (aborted_.contains(queue)) chain = {};
    chain.id = e.chain;
    chain.generation = d.seg_generation;
    chain.segments.push_back(e);
    if (e.last && !aborted_.contains(queue)) {
      FunctionChain whole = std::exchange(chain, {});
      chain_done(queue, whole);
    }
  }
  if (d.wr_valid && d.wr_ready) {
    Write write;
    write.event.function = d.wr_function;
    write.event.tag = d.wr_tag;
    write.event.queue = QueueIndex{d.wr_queue};
    write.event.kind = static_cast<AccessKind>(d.wr_kind);
    write.event.address = GuestAddr{d.wr_address};
    write.event.fence = d.wr_fence;
    std::size_t n = 0;
    while (n < beat_bytes && (d.wr_strobes >> n & 1) != 0)
      ++n;
    std::array<std::byte, beat_bytes> bytes;
    for (std::size_t i = 0; i < beat_bytes / 4; ++i)
      std::memcpy(&bytes[4 * i], &d.wr_data[i], 4);
    write.event.data.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    tell(write.event, Group::write_request, write.event.queue);
    const std::uint64_t before = writes_.empty() ? 0 : writes_.back().answer_at;
    write.perform_at = std::max(later(config_.write_latency, config_.write_spread), before);
    write.answer_at = write.perform_at + random_.below(3);
    writes_.push_back(write);
    ++writes_asked_;
  }
  if (d.rd_valid && d.rd_ready) {
    Read read;
    read.event.function = d.rd_function;
    read.event.tag = d.rd_tag;
    read.event.queue = QueueIndex{d.rd_queue};
    read.event.kind = static_cast<AccessKind>(d.rd_kind);
    read.event.address = GuestAddr{d.rd_address};
    read.event.length = d.rd_length;
    read.event.after = d.rd_after;
    tell(read.event, Group::read_request, read.event.queue);
    if (reads_.contains(read.event.tag)) throw std::runtime_error("a read tag is used twice");
    if (read.event.length == 0 || read.event.length > beat_bytes)
      throw std::runtime_error("a read does not fit a beat");
    if (read.event.after) read.barrier = writes_asked_;
    ++reads;
    ++reads_of[read.event.kind];
    reads_[read.event.tag] = read;
  }
  if (d.err_valid && d.err_ready) {
    e = {};
    e.function = d.err_function;
    e.code = static_cast<RingError>(d.err_code);
    tell(e, Group::error, QueueIndex{d.err_queue});
    if (on_error) on_error(QueueIndex{d.err_queue}, e.code);
  }
  if (d.int_valid && d.int_ready) {
    e = {};
    e.function = d.int_function;
    e.vector = d.int_vector;
    tell(e, Group::interrupt, QueueIndex{d.int_queue});
    if (on_interrupt) on_interrupt(QueueIndex{d.int_queue});
  }
  if (d.rsp_valid && d.rsp_ready) {
    e = {};
    e.function = d.rsp_function;
    e.queue = QueueIndex{d.rsp_queue};
    e.command = static_cast<Command>(d.rsp_command);
    e.code = static_cast<RingError>(d.rsp_code);
    if (e.command == Command::read_state) {
      e.progress.next_avail = {d.rsp_avail, d.rsp_avail_wrap != 0};
      e.progress.next_used = {d.rsp_used, d.rsp_used_wrap != 0};
      e.progress.outstanding = d.rsp_outstanding;
    }
    if (e.command == Command::enable) chains_[e.queue] = 0;
    if (e.command == Command::reset) {
      aborted_.erase(e.queue);
      open_.erase(e.queue);
    }
    response_ = e;
    ++answered_;
    tell(e, Group::response, e.queue);
  }
}

void VqBench::tick() {
  step_memory();
  drive();
  dut_->clk = 0;
  dut_->eval();
  observe();
  dut_->clk = 1;
  dut_->eval();
  ++cycle_;
}

} // namespace virtio::rtl
