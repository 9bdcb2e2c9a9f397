// The libFuzzer target: a guest that does anything. An input is a header and a list of operations
// on one device: registers, ring memory, well-formed and malformed descriptors, answers of the
// memory, stimulus of the device type. What must hold: no crash, bounded work, nothing issued or
// notified for a queue that is off, and at the end the device can be reset, brought up and used.
#include "support.hpp"

#include <virtio/blk/block.hpp>
#include <virtio/console/console.hpp>
#include <virtio/entropy/entropy.hpp>
#include <virtio/net/net.hpp>

#include <algorithm>
#include <memory>
#include <string>

namespace virtio::fuzz {
namespace {

// --- the guest's memory -------------------------------------------------------------------------

constexpr std::size_t memory_bytes = 0x8000;
constexpr std::uint16_t max_queues = 3;
constexpr std::uint64_t ring_bytes = 0x800; // of each queue: its three areas
constexpr std::uint64_t driver_offset = 0x200;
constexpr std::uint64_t device_offset = 0x300;
constexpr std::uint64_t tables_at = 0x1800; // two indirect tables
constexpr std::uint64_t table_bytes = 0x400;
constexpr std::uint64_t headers_at = 0x2000; // block requests of every kind
constexpr std::uint64_t slots_at = 0x2400;   // data
constexpr std::uint64_t slot_bytes = 0x400;
constexpr std::uint64_t frame_bytes = 60;
constexpr std::uint64_t disk_bytes = 16 * blk::sector_size;

// --- limits -------------------------------------------------------------------------------------

constexpr unsigned max_operations = 512;
/// One operation may cause so many transactions, resumptions and chains. A doorbell for 32 chains
/// of 32 pieces comes to a tenth of it.
constexpr std::uint64_t max_work = 400'000;
constexpr std::size_t max_resumptions = 100'000;

enum class Kind : std::uint8_t { holding, entropy, block, console, net };

constexpr std::uint8_t all_on = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK;

/// A timed ring engine that reads ahead, holds back and moderates within few requests.
RingEngineParams small_engine() {
  RingEngineParams p;
  p.available_batch = 2;
  p.available_prefetch = 3;
  p.descriptor_batch = 2;
  p.descriptor_prefetch = 5;
  p.indirect_batch = 2;
  p.chains_in_flight = 3;
  p.outstanding_reads = 4;
  p.outstanding_writes = 2;
  p.used_batch = 3;
  p.used_timeout = 20;
  p.interrupt_chains = 2;
  p.interrupt_timeout = 20;
  return p;
}

class Guest final : Transport, EventSink {
public:
  explicit Guest(Input input) : input_(input) {
    const std::uint8_t first = input_.u8();
    const bool timed = first >= 128;
    kind_ = static_cast<Kind>(first % 5);
    queue_size_ = static_cast<std::uint16_t>(4 << (first / 5 % 4));
    options_ = input_.u8();
    fill_memory();
    port_ = std::make_unique<FuzzPort>(memory_);
    port_->on_issue = [this](const DmaTransaction& t) { check_issue(t); };
    port_->set_mode(static_cast<FuzzPort::Mode>(options_ & 3));
    executor_ = std::make_unique<Executor>();
    executor_->set_error_handler(
        [](std::string_view, std::exception_ptr) { require(false, "no task throws"); });
    DeviceParams params{.name = "fuzzed"};
    params.transport_features.set(VIRTIO_F_IN_ORDER)
        .set(VIRTIO_F_NOTIFICATION_DATA)
        .set(VIRTIO_F_NOTIF_CONFIG_DATA);
    if (timed) params.timed_ring.emplace(small_engine());
    device_ = std::make_unique<Device>(params, *executor_, *port_, make_function(),
                                       static_cast<EventSink*>(this));
    device_->attach(*this);
  }

  void run() {
    for (unsigned i = 0; i < max_operations && !input_.empty(); ++i) {
      work_ = 0;
      operation();
      if (!lazy_) drain();
    }
    work_ = 0;
    if (!option(stop_in_flight)) {
      settle();
      check_usable();
    }
    destroy();
  }

private:
  enum Option : std::uint8_t {
    stop_in_flight = 4, // destroy everything as it is
    final_packed = 8,   // the ring format of the last bring-up
    final_windows = 16, // its memory is reached by pointer
    give_up = 32,       // the last reset gets its answers only after its time-out
    final_event_idx = 64,
    port_first = 128, // destroyed before the device
  };
  bool option(Option o) const { return (options_ & o) != 0; }

  // --- set-up -----------------------------------------------------------------------------------

  /// Rings of zeros, block requests of every kind, and a pattern.
  static std::vector<std::byte> fresh_memory() {
    std::vector<std::byte> memory(memory_bytes);
    for (std::size_t i = tables_at; i < memory.size(); ++i)
      memory[i] = static_cast<std::byte>(i * 7);
    const std::uint32_t types[] = {blk::VIRTIO_BLK_T_IN, blk::VIRTIO_BLK_T_OUT,
                                   blk::VIRTIO_BLK_T_FLUSH, blk::VIRTIO_BLK_T_GET_ID};
    for (std::uint32_t i = 0; i < 16; ++i) {
      blk::virtio_blk_req request;
      request.type = i < 14 ? types[i % 4] : i;
      request.sector = i < 12 ? i : i * 0x1000'0000ull;
      std::memcpy(&memory[headers_at + 16 * i], static_cast<void*>(&request), sizeof request);
    }
    return memory;
  }
  void fill_memory() {
    static const std::vector<std::byte> fresh = fresh_memory();
    std::copy(fresh.begin(), fresh.end(), memory_.begin());
  }
  void put_header(std::uint64_t at, std::uint32_t type, std::uint64_t sector) {
    blk::virtio_blk_req request;
    request.type = type;
    request.sector = sector;
    std::memcpy(&memory_[at], static_cast<void*>(&request), sizeof request);
  }

  std::unique_ptr<DeviceFunction> make_function() {
    switch (kind_) {
    case Kind::holding: {
      auto f = std::make_unique<HoldingFunction>(queue_size_, input_.u8() % queue_size_ + 1u);
      holding_ = f.get();
      return f;
    }
    case Kind::entropy:
      return std::make_unique<entropy::Entropy>(
          entropy::EntropyParams{.queue_size = queue_size_, .max_bytes_per_request = 5000},
          "fuzzed");
    case Kind::block:
      return std::make_unique<blk::Block>(
          blk::BlockParams{.serial = "fuzzed", .queue_size = queue_size_},
          std::make_unique<blk::RamStore>(disk_bytes));
    case Kind::console: {
      auto f = std::make_unique<console::Console>(
          console::ConsoleParams{.queue_size = queue_size_, .input_limit = 64},
          [this](std::span<const std::byte> bytes) { printed_ += bytes.size(); });
      console_ = f.get();
      return f;
    }
    case Kind::net:
      break;
    }
    auto f = std::make_unique<net::Net>(net::NetParams{.queue_size = queue_size_,
                                                       .transmit_window = 4,
                                                       .receive_frames = 4,
                                                       .features = net::all_net_features},
                                        std::make_unique<net::LoopbackWire>());
    net_ = f.get();
    return f;
  }

  // --- what the device does, watched ------------------------------------------------------------

  void count_work() { require(++work_ < max_work, "an operation causes bounded work"); }
  bool queue_runs(QueueIndex q) const {
    const QueueConfig* config = device_->queue(q);
    return config && config->enabled && !config->resetting && !device_->resetting();
  }
  void check_issue(const DmaTransaction& t) {
    count_work();
    require(queue_runs(QueueIndex{t.queue}), "a queue that is off or resetting issues nothing");
  }
  void used_buffer_notification(QueueIndex q) override {
    require(device_->live() && queue_runs(q), "a queue that is off or resetting does not notify");
    react();
  }
  void config_change_notification() override { react(); }
  void on_device_reset() override {
    for (const DmaTransaction* t : port_->waiting)
      require(t->state == DmaTransaction::State::orphaned, "after a reset nothing is outstanding");
  }
  void on_event(const Event& event) override {
    count_work();
    if (event.kind != EventKind::queue_reset) return;
    for (const DmaTransaction* t : port_->waiting)
      require(t->queue != event.queue || t->state == DmaTransaction::State::orphaned,
              "after a queue's reset nothing of it is outstanding");
  }

  /// What the input wants done inside the next notification.
  void react() {
    switch (std::exchange(reaction_, Reaction::none)) {
    case Reaction::none:
      return;
    case Reaction::reset:
      return device_->write_status(0);
    case Reaction::reset_queue:
      return device_->reset_queue(QueueIndex{0});
    case Reaction::disable_queue:
      return device_->disable_queue(QueueIndex{1});
    case Reaction::notify:
      return device_->notify(QueueIndex{0}, std::nullopt);
    }
  }

  void drain(std::size_t limit = max_resumptions) {
    const std::size_t n = executor_->run(limit);
    require(n < max_resumptions, "the ready list runs dry");
    executor_->flush_errors();
  }

  // --- operations -------------------------------------------------------------------------------

  QueueIndex pick_queue() { return QueueIndex{static_cast<std::uint16_t>(input_.u8() % 4)}; }
  /// One of those that have memory of their own.
  std::uint16_t pick_ring() { return input_.u8() % max_queues; }

  void operation() {
    const std::uint8_t op = input_.u8() % 28;
    if (op < 10)
      register_operation(op);
    else if (op < 20)
      memory_operation(op);
    else
      environment_operation(op);
  }

  void register_operation(std::uint8_t op) {
    Device& d = *device_;
    switch (op) {
    case 0:
      return d.write_status(input_.u8());
    case 1: {
      const std::uint8_t select = input_.u8() % 5;
      return d.write_driver_features(select, input_.u32());
    }
    case 2: {
      const QueueIndex q = pick_queue();
      return d.write_queue_size(q, input_.u16());
    }
    case 3: {
      const QueueIndex q = pick_queue();
      const std::uint8_t which = input_.u8();
      const auto area = static_cast<Device::Area>(which % 3);
      return d.write_queue_address(q, area, (which & 4) != 0, input_.u32());
    }
    case 4:
      return d.enable_queue(pick_queue());
    case 5:
      return d.disable_queue(pick_queue());
    case 6:
      return d.reset_queue(pick_queue());
    case 7: {
      const QueueIndex q = pick_queue();
      const std::uint8_t data = input_.u8();
      if (data & 1) return d.notify(q, NotificationData{data, (data & 2) != 0});
      return d.notify(q, std::nullopt);
    }
    case 8: {
      std::array<std::byte, 8> bytes;
      const std::uint8_t offset = input_.u8();
      const auto part = std::span(bytes).first(input_.u8() % 9);
      if (offset & 1) return d.read_config(offset / 2, part);
      for (std::byte& b : part)
        b = std::byte{input_.u8()};
      return d.write_config(offset / 2, part);
    }
    default: { // what a proper driver does, with the features that the input likes
      const std::uint8_t features = input_.u8();
      const std::uint8_t size = input_.u8();
      d.write_status(0);
      return bring_up(features, static_cast<std::uint16_t>(size % queue_size_ + 1));
    }
    }
  }

  /// Negotiates, sets all queues up in their own memory and sets DRIVER_OK.
  void bring_up(std::uint8_t features, std::uint16_t size) {
    constexpr unsigned bits[] = {VIRTIO_F_RING_PACKED,   VIRTIO_F_EVENT_IDX,
                                 VIRTIO_F_INDIRECT_DESC, VIRTIO_F_IN_ORDER,
                                 VIRTIO_F_RING_RESET,    blk::VIRTIO_BLK_F_FLUSH,
                                 net::VIRTIO_NET_F_MTU,  VIRTIO_F_NOTIFICATION_DATA};
    Device& d = *device_;
    d.write_status(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    FeatureSet wanted{VIRTIO_F_VERSION_1};
    for (unsigned i = 0; i < std::size(bits); ++i)
      wanted.set(bits[i], (features >> i & 1) != 0);
    wanted.set(net::VIRTIO_NET_F_MRG_RXBUF, (features & 2) == 0);
    wanted = wanted & d.offered();
    if (holding_) wanted.set(5, false);
    for (std::uint32_t word = 0; word < 4; ++word)
      d.write_driver_features(word, wanted.word32(word));
    d.write_status(d.status() | VIRTIO_STATUS_FEATURES_OK);
    if (!(features & 1)) size = std::bit_floor(size);
    for (std::uint16_t i = 0; i < std::min(d.num_queues(), max_queues); ++i) {
      const QueueIndex q{i};
      d.write_queue_size(q, size);
      const auto base = static_cast<std::uint32_t>(ring_bytes * i);
      d.write_queue_address(q, Device::Area::desc, false, base);
      d.write_queue_address(q, Device::Area::driver, false, base + driver_offset);
      d.write_queue_address(q, Device::Area::device, false, base + device_offset);
      d.enable_queue(q);
      rings_[i].start((features & 1) != 0, size);
    }
    d.write_status(all_on);
  }

  /// A descriptor's place and length: mostly useful ones, some impossible.
  GuestQueue::Element pick_element() {
    const std::uint8_t shape = input_.u8();
    const std::uint8_t where = input_.u8();
    GuestQueue::Element e;
    e.flags = static_cast<std::uint16_t>((shape & 1 ? split::VIRTQ_DESC_F_WRITE : 0) |
                                         (shape & 2 ? split::VIRTQ_DESC_F_INDIRECT : 0));
    const std::uint32_t lengths[] = {512, 1, 16, 20, 0, where * 4u, 0xffff'ffff, 72};
    e.len = lengths[shape >> 2 & 7];
    if ((shape & 2) && !(shape & 0x10)) e.len = 16 * (1 + (shape >> 2 & 3));
    switch (shape >> 5) {
    case 2:
      e.addr = headers_at + 16 * (where % 16);
      break;
    case 3:
      e.addr = 16ull * where;
      break;
    case 4:
      e.addr = tables_at + table_bytes * (where % 2);
      break;
    case 5:
      e.addr = 0x10'0000 + 0x1000ull * where;
      break;
    case 6:
      e.addr = ~0ull - where;
      break;
    case 7:
      e.addr = slots_at + slot_bytes * (where % 16) + where / 16;
      break;
    default:
      e.addr = slots_at + slot_bytes * (where % 16);
    }
    return e;
  }

  void memory_operation(std::uint8_t op) {
    switch (op) {
    case 10: // any bytes anywhere
    case 11: {
      const std::uint16_t at = input_.u16() % memory_bytes;
      const std::size_t n = std::min<std::size_t>(input_.u8() % 17, memory_bytes - at);
      for (std::size_t i = 0; i < n; ++i)
        memory_[at + i] = std::byte{input_.u8()};
      return;
    }
    case 12: // any descriptor in a ring or in a table
    case 13: {
      const std::uint8_t table = input_.u8() % 5;
      const std::uint64_t base =
          table < 3 ? ring_bytes * table : tables_at + table_bytes * (table - 3u);
      const std::uint64_t at = base + 16 * (input_.u8() % 32);
      const GuestQueue::Element e = pick_element();
      split::Desc d;
      d.addr = e.addr;
      d.len = e.len;
      d.flags =
          static_cast<std::uint16_t>(e.flags | (op == 12 ? input_.u8() << 8 | input_.u8() : 0));
      d.next = input_.u8();
      std::memcpy(&memory_[at], static_cast<void*>(&d), sizeof d);
      return;
    }
    case 14: { // an index or a flag of an available or used ring
      const std::uint64_t at =
          ring_bytes * pick_ring() + (input_.u8() & 1 ? driver_offset : device_offset);
      const le16 value = input_.u16();
      std::memcpy(&memory_[at + 2], &value, sizeof value);
      return;
    }
    case 15: { // event suppression
      const std::uint64_t at = ring_bytes * pick_ring() + driver_offset;
      const le32 value = input_.u32();
      std::memcpy(&memory_[at], &value, sizeof value);
      return;
    }
    default: { // a well-formed list, perhaps with a doorbell
      const std::uint16_t ring = pick_ring();
      std::array<GuestQueue::Element, 5> list;
      const auto part = std::span(list).first(1 + input_.u8() % list.size());
      for (GuestQueue::Element& e : part)
        e = pick_element();
      rings_[ring].add(part, ring);
      if (op & 1) device_->notify(QueueIndex{ring}, std::nullopt);
    }
    }
  }

  void environment_operation(std::uint8_t op) {
    switch (op) {
    case 20: {
      const std::uint8_t which = input_.u8();
      return port_->answer_one(which / 4, which % 4 == 3   ? DmaStatus::bus_error
                                          : which % 4 == 2 ? DmaStatus::address_error
                                                           : DmaStatus::ok);
    }
    case 21: {
      const std::uint8_t how = input_.u8();
      for (unsigned i = 0; i <= how / 2u % 32; ++i) {
        port_->answer_waiting((how & 1) != 0);
        drain();
      }
      return;
    }
    case 22:
      return port_->set_mode(static_cast<FuzzPort::Mode>(input_.u8() % 4));
    case 23: {
      const std::uint8_t how = input_.u8();
      return port_->fail_one(how / 2, how & 1 ? DmaStatus::bus_error : DmaStatus::address_error);
    }
    case 24: {
      const std::uint8_t how = input_.u8();
      lazy_ = (how & 1) != 0;
      if (how & 2) port_->set_enabled((how & 4) != 0);
      if (how & 8) device_->reset();
      return;
    }
    case 25: {
      const std::uint8_t how = input_.u8();
      if (how & 1) return drain(how);
      // Time passes: a reset that waits for memory gives up.
      require(executor_->run_until_idle(max_resumptions) < max_resumptions, "timers run out");
      return;
    }
    case 26:
      reaction_ = static_cast<Reaction>(input_.u8() % 5);
      return;
    default:
      return stimulate();
    }
  }

  /// What comes from the far side of the device: input, links, decisions.
  void stimulate() {
    const std::uint8_t how = input_.u8();
    if (holding_) {
      switch (how % 8) {
      case 0:
        return holding_->fail(how / 8);
      case 1:
        return holding_->change_config();
      case 2:
        holding_->policy = static_cast<HoldingFunction::Policy>(how / 8 % 3);
        return;
      case 3:
        return holding_->start_echo(how / 8);
      default:
        return holding_->complete(how / 8, how % 4);
      }
    }
    if (console_) {
      if (how & 1) return console_->resize(how, 25);
      const std::array<std::byte, 40> bytes{};
      console_->input(std::span(bytes).first(how % 40u));
    }
    if (net_) net_->set_link((how & 1) != 0);
  }

  // --- the end ----------------------------------------------------------------------------------

  /// After this a reset has ended and nothing of it is left.
  void settle() {
    reaction_ = Reaction::none;
    port_->no_failures();
    port_->set_enabled(true);
    device_->write_status(0);
    if (option(give_up)) {
      executor_->run_until_idle(max_resumptions);
      require(!device_->resetting(), "a reset gives up on memory that does not answer");
    }
    for (int round = 0; round < 10'000 && !port_->waiting.empty(); ++round) {
      port_->answer_waiting(false);
      drain();
    }
    drain();
    // A reset may have been under way, and the write above ignored.
    device_->write_status(0);
    drain();
    require(port_->waiting.empty() && port_->outstanding() == 0, "every access ends");
    require(!device_->resetting() && device_->status() == 0, "a reset ends");
    for (std::uint16_t q = 0; q < device_->num_queues(); ++q)
      if (const QueueConfig* c = device_->queue(QueueIndex{q}))
        require(!c->enabled && !c->resetting && c->size == c->max_size && c->desc == 0,
                "after a reset a queue's configuration is the default");
  }

  /// Brings the device up and lets it serve what its type is for.
  void check_usable() {
    work_ = 0;
    fill_memory();
    port_->set_mode(option(final_windows) ? FuzzPort::Mode::window : FuzzPort::Mode::at_once);
    if (net_) net_->set_link(true);
    bring_up(static_cast<std::uint8_t>((option(final_packed) ? 1 : 0) |
                                       (option(final_event_idx) ? 2 : 0)),
             queue_size_);
    require(device_->status() == all_on, "the device comes up after a reset");
    constexpr std::uint16_t write = split::VIRTQ_DESC_F_WRITE;
    switch (kind_) {
    case Kind::holding: {
      holding_->policy = HoldingFunction::Policy::echo;
      serve(2, {{slot(0), 32}, {slot(1), 32, write}}, 32);
      require(same(slot(0), slot(1), 32), "an echo is what was sent");
      return;
    }
    case Kind::entropy:
      std::memset(&memory_[slot(0)], 0, 64);
      serve(0, {{slot(0), 64, write}}, 64);
      require(!same(slot(0), slot(0) + 32, 32), "random bytes are random");
      return;
    case Kind::block:
      put_header(headers_at, blk::VIRTIO_BLK_T_OUT, 3);
      serve(0, {{headers_at, 16}, {slot(0), 512}, {slot(3), 1, write}}, 1);
      require(memory_[slot(3)] == std::byte{blk::VIRTIO_BLK_S_OK}, "a write succeeds");
      put_header(headers_at, blk::VIRTIO_BLK_T_IN, 3);
      serve(0, {{headers_at, 16}, {slot(1), 512, write}, {slot(3), 1, write}}, 513);
      require(memory_[slot(3)] == std::byte{blk::VIRTIO_BLK_S_OK} && same(slot(0), slot(1), 512),
              "a read returns what was written");
      return;
    case Kind::console: {
      const std::uint64_t before = printed_;
      serve(1, {{slot(0), 5}}, 0);
      require(printed_ == before + 5, "output is printed");
      const std::byte typed[] = {std::byte{'a'}};
      console_->input(typed);
      rings_[0].add(std::array{GuestQueue::Element{slot(1), 64, write}});
      require(kick(0).len >= 1, "input arrives");
      return;
    }
    case Kind::net: {
      rings_[0].add(std::array{GuestQueue::Element{slot(4), 3 * slot_bytes, write}});
      device_->notify(QueueIndex{0}, std::nullopt);
      serve(1, {{slot(0), 12 + frame_bytes}}, 0);
      require(kick(0).len == 12 + frame_bytes, "a frame arrives");
      require(same(slot(0) + 12, slot(4) + 12, frame_bytes), "a frame is what was sent");
      return;
    }
    }
  }

  static std::uint64_t slot(unsigned i) { return slots_at + slot_bytes * i; }
  bool same(std::uint64_t a, std::uint64_t b, std::size_t n) const {
    return std::memcmp(&memory_[a], &memory_[b], n) == 0;
  }
  void serve(std::uint16_t ring, std::initializer_list<GuestQueue::Element> list,
             std::uint32_t used_len) {
    rings_[ring].add(std::span(list.begin(), list.size()));
    require(kick(ring).len == used_len, "the used length is right");
  }
  GuestQueue::Used kick(std::uint16_t ring) {
    device_->notify(QueueIndex{ring}, std::nullopt);
    require(executor_->run_until_idle(max_resumptions) < max_resumptions, "timers run out");
    executor_->flush_errors();
    const auto used = rings_[ring].poll();
    require(used.has_value(), "a request is served after a reset");
    require(!(device_->status() & VIRTIO_STATUS_DEVICE_NEEDS_RESET), "without an error");
    return *used;
  }

  void destroy() {
    if (option(port_first)) {
      port_.reset();
      executor_.reset();
    }
    device_.reset();
  }

  enum class Reaction : std::uint8_t { none, reset, reset_queue, disable_queue, notify };

  Input input_;
  Kind kind_{};
  std::uint16_t queue_size_ = 0;
  std::uint8_t options_ = 0;
  bool lazy_ = false; // operations follow each other without the executor in between
  std::uint64_t work_ = 0;
  Reaction reaction_ = Reaction::none;
  std::uint64_t printed_ = 0;

  std::vector<std::byte> memory_ = std::vector<std::byte>(memory_bytes);
  std::array<GuestQueue, max_queues> rings_{ring(0), ring(1), ring(2)};
  GuestQueue ring(std::uint64_t i) {
    return GuestQueue(memory_, ring_bytes * i, ring_bytes * i + driver_offset,
                      ring_bytes * i + device_offset);
  }
  HoldingFunction* holding_ = nullptr;
  console::Console* console_ = nullptr;
  net::Net* net_ = nullptr;
  std::unique_ptr<FuzzPort> port_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Device> device_;
};

} // namespace
} // namespace virtio::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  virtio::fuzz::Guest(virtio::fuzz::Input({data, size})).run();
  return 0;
}
