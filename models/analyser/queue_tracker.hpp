// What the accesses to one virtqueue's memory show, whatever its format: buffers that the driver
// exposed, with the pieces of memory behind them, and what the device did to these. SplitTracker
// and PackedTracker know the rings.
#pragma once

#include <virtio/analyser/descriptor_cache.hpp>
#include <virtio/analyser/type_rules.hpp>
#include <virtio/analyser/violation.hpp>
#include <virtio/core/features.hpp>
#include <virtio/core/ring_engine.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace virtio::analyser {

/// A live virtqueue as the registers describe it.
struct LiveQueue {
  std::uint16_t index = 0;
  std::uint16_t size = 0; ///< 1..32768
  std::uint64_t desc = 0;
  std::uint64_t driver = 0;
  std::uint64_t device = 0;
  FeatureSet features;
};

class QueueTracker {
public:
  virtual ~QueueTracker() = default;
  QueueTracker(const QueueTracker&) = delete;
  QueueTracker& operator=(const QueueTracker&) = delete;

  /// The tracker for the queue's format. `max_pieces` bounds the memory pieces it remembers.
  static std::unique_ptr<QueueTracker> make(const LiveQueue& queue, std::size_t max_pieces,
                                            Report& report);

  /// Who hears of the buffers, if anybody.
  void listen(BufferListener* listener) { listener_ = listener; }

  /// An access of the device. Returns false when it has nothing to do with this queue.
  bool device_access(const MemoryAccess& access);
  /// An access of the driver, where the platform sees it.
  virtual void driver_access(const MemoryAccess& access) = 0;
  virtual void notified(std::optional<NotificationData> data) = 0;
  /// The end of the observation: what should have happened by now.
  virtual void finish() {}

  /// False after a broken ring, or when there was too much to remember: then an access to unknown
  /// memory proves nothing.
  bool sees_everything() const;
  /// How often the device made used buffers visible.
  std::uint64_t used_updates() const { return used_updates_; }

protected:
  SimTime now() const { return report_.now(); }
  /// Whether a read that was `asked` for then may have been performed before `when`.
  static bool may_precede(std::optional<SimTime> asked, SimTime when) {
    return asked && *asked <= when;
  }
  /// Rules that both formats have, each in a statement of its own.
  struct FormatRules {
    Rule writable_first, indirect_not_negotiated, readable_written, table_written, bad_table,
        not_exposed, length;
  };
  struct AreaSizes {
    std::uint64_t desc, driver, device;
  };
  struct Desc {
    std::uint64_t addr = 0;
    std::uint32_t len = 0;
    std::uint16_t flags = 0;
    std::uint16_t next_or_id = 0;
  };
  enum class PieceKind : std::uint8_t { readable, writable, table };
  struct Piece {
    std::uint64_t len;
    PieceKind kind;
    std::uint64_t buffer; // its number
    std::uint64_t offset; // among the buffer's bytes of this kind
  };
  struct Buffer {
    std::uint64_t number = 0; // in availability order
    std::uint16_t key = 0;    // head, or buffer id
    std::uint16_t slots = 1;  // ring entries (packed)
    bool keyed = false;       // `key` is known
    bool complete = false;    // every element is known
    std::uint32_t elements = 0;
    std::uint64_t readable_len = 0;
    std::uint64_t writable_len = 0;
    std::uint64_t written = 0; // bytes the device wrote to it
    std::vector<std::multimap<std::uint64_t, Piece>::iterator> pieces;
    std::vector<std::uint16_t> descriptors; // entries of the ring or table that are its own
  };
  /// An indirect table that is being walked.
  struct OpenTable {
    std::uint64_t buffer = 0;
    std::uint64_t addr = 0;
    std::uint32_t entries = 0;
    std::uint32_t at = 0;
    std::uint32_t seen = 0;
    std::uint64_t opened = 0; // the number of the access that showed it
  };
  enum class Step : std::uint8_t { more, last, broken };

  QueueTracker(const LiveQueue& queue, const FormatRules& rules, const AreaSizes& sizes,
               std::size_t max_pieces, Report& report);

  // The format's part.
  virtual void area_read(const MemoryAccess& access) = 0;
  virtual void area_written(const MemoryAccess& access) = 0;
  /// One descriptor of an indirect table; `table.at` is its index, and becomes the next one's.
  virtual Step table_step(Buffer& buffer, OpenTable& table, const Desc& desc) = 0;
  virtual Desc decode(const std::array<std::byte, 16>& bytes) const = 0;
  /// The buffer is the driver's again.
  virtual void forget(const Buffer& buffer) = 0;

  template <class Evidence> void violation(Rule rule, Evidence&& evidence) {
    report_.add(rule, queue_.index, std::forward<Evidence>(evidence));
  }
  bool has(unsigned feature) const { return queue_.features.has(feature); }

  Buffer& expose();
  void set_key(Buffer& buffer, std::uint16_t key);
  Buffer* find_key(std::uint16_t key);
  /// An element of a buffer, checked for order.
  void append(Buffer& buffer, const Desc& desc);
  /// A descriptor with INDIRECT. False when there is no table to walk.
  bool open_table(Buffer& buffer, const Desc& desc);
  void close_table_of(std::uint64_t buffer);
  void buffer_completed(Buffer& buffer);
  /// The device saw that nothing more is available.
  void caught_up() {
    if (listener_) listener_->caught_up(queue_.index);
  }
  /// What the device says in a used element or descriptor. Returns the buffers that it hands back:
  /// one, or in order a batch; none when there is no such buffer.
  struct Returned {
    std::uint32_t buffers = 0;
    std::uint32_t slots = 0;
  };
  Returned take_back(std::uint16_t key, std::uint64_t written_len);
  /// Stops judging the driver's ring until the queue is reset: what comes next means nothing.
  void give_up() { broken_ = true; }

  const LiveQueue queue_;
  const AreaSizes sizes_;
  const FormatRules rules_;
  std::uint64_t access_number_ = 0;
  DescriptorCache cache_; // of the ring or table
  bool broken_ = false;
  std::map<std::uint64_t, Buffer> buffers_; // exposed, by number
  std::uint64_t used_updates_ = 0;

private:
  bool data_access(const MemoryAccess& access);
  void remember_piece(Buffer& buffer, std::uint64_t addr, std::uint64_t len, PieceKind kind,
                      std::uint64_t offset);
  void show_data(const Piece& piece, const Overlap& part, std::uint64_t addr,
                 const MemoryAccess& access);
  void read_tables(const MemoryAccess& access);
  void walk_tables();
  void release(std::map<std::uint64_t, Buffer>::iterator buffer);
  void check_length(const Buffer& buffer, std::uint64_t written_len);

  Report& report_;
  BufferListener* listener_ = nullptr;
  std::size_t max_pieces_;
  bool pieces_left_out_ = false;
  std::uint64_t next_number_ = 0;
  std::unordered_map<std::uint16_t, std::uint64_t> by_key_;
  std::unordered_set<std::uint16_t> skipped_;  // in the latest in-order batch
  std::multimap<std::uint64_t, Piece> pieces_; // by address
  std::uint64_t longest_piece_ = 0;
  DescriptorCache table_cache_; // of indirect tables
  std::vector<OpenTable> tables_;
};

} // namespace virtio::analyser
