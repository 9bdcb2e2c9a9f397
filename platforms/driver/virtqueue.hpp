// The driver's side of a virtqueue, split or packed as negotiated (virtio 1.4, 2.7 and 2.8): rings,
// free descriptors and indirect tables in guest memory that an Arena gave out.
#pragma once

#include <virtio/platforms/driver/interrupts.hpp>
#include <virtio/platforms/driver/transport.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace virtio::driver {

/// A piece of guest memory offered to the device.
struct Buffer {
  std::uint64_t addr = 0;
  std::uint32_t len = 0;
  bool device_writable = false;
};

/// How a driver uses one queue.
struct QueueOptions {
  std::uint16_t size = 256; ///< entries, cut down to what the device takes
  /// Chains of at least this many pieces go into an indirect table, where that is negotiated. 0:
  /// never.
  std::uint16_t indirect_from = 0;
  std::uint16_t indirect_entries = 32; ///< the most that a table holds
  std::uint16_t depth = 0;             ///< most chains with the device at a time; 0: what fits
  /// Ask for used buffer notifications. Without, the device is polled.
  bool interrupts = true;
  /// The MSI-X vector of its used buffers; DeviceAccess::no_vector: none. Nothing: as
  /// SessionOptions::vectors says.
  std::optional<std::uint16_t> vector = std::nullopt;
  /// Between two looks at the ring where nothing interrupts; more than 0 (assumed).
  sc_core::sc_time poll_interval{1, sc_core::SC_US};
  /// How often a thread that waits in vain asks whether the device needs a reset; a device that
  /// does says so by a configuration interrupt, too (assumed).
  sc_core::sc_time status_interval{100, sc_core::SC_US};
};

class Virtqueue {
public:
  /// Sets the queue up in `arena`'s memory and enables it. `negotiated` decides the format;
  /// `interrupt`, which may be null, tells of used buffers.
  Virtqueue(Bus& bus, DeviceAccess& device, std::uint16_t index, const QueueOptions& options,
            const FeatureSet& negotiated, Arena& arena, Interrupt* interrupt = nullptr);

  /// Resets the queue and waits for the end of that; needs VIRTIO_F_RING_RESET. Returns the tokens
  /// whose chains were with the device or not yet taken: their buffers are the driver's again.
  /// Throws DriverError when it takes too long.
  std::vector<std::uint16_t> reset();
  /// After reset(): sets it up anew in fresh memory, perhaps with another size, and enables it.
  void restart(const QueueOptions& options, Interrupt* interrupt);

  std::uint16_t index() const { return index_; }
  std::uint16_t size() const { return size_; }
  std::uint16_t free_descriptors() const { return free_count_; }
  /// Chains with the device, and used ones that were not taken yet.
  std::uint16_t in_flight() const { return in_flight_; }
  const QueueOptions& options() const { return options_; }
  DeviceAccess& device() { return device_; }

  /// Makes a chain available; readable buffers come first. Returns its token (below size()), or
  /// nothing when descriptors are short or `depth` is reached. Split: the device sees it with the
  /// next kick().
  std::optional<std::uint16_t> add(std::span<const Buffer> chain);
  /// Shows the device what was added and notifies it, if it wants to be. Returns whether it did.
  bool kick();
  /// kick() in its two parts: shows the device what was added and returns whether it wants to be
  /// notified; then notify().
  bool publish();
  void notify();

  struct Used {
    std::uint16_t token = 0;
    std::uint32_t written = 0;
  };
  std::optional<Used> take_used();
  /// Waits until a buffer is used, at most `timeout`: for its interrupt, where it has one and
  /// asks for it, or polling. Throws DriverError, naming place and queue, on time-out and when the
  /// device needs a reset.
  Used wait_used(sc_core::sc_time timeout);

  // For those who wait for several queues (completion.hpp).
  /// Whether take_used() would give something.
  bool has_used() { return batch_ || peek_used(); }
  /// Asks for used buffer notifications, or not. After asking, look at take_used() once more.
  void set_interrupts(bool on);
  /// Null: it must be polled.
  Interrupt* interrupt() const { return interrupt_; }
  /// Throws DriverError when the device needs a reset; a register read.
  void check_device();

private:
  /// What a token stands for while its chain is with the device.
  struct Pending {
    std::uint16_t descriptors = 0; ///< of the ring; 0: the token is free
    std::uint16_t first = 0;       ///< split: the head
    std::uint64_t writable = 0;    ///< bytes
  };

  void set_up(const QueueOptions& options);
  std::uint16_t take_free();
  void give_back(const Pending& pending);
  void write_split(std::uint16_t slot, const Buffer& b, std::uint16_t flags, std::uint16_t next);
  void write_packed(std::uint16_t slot, const Buffer& b, std::uint16_t id, std::uint16_t flags,
                    bool with_flags);
  Buffer fill_table(std::uint16_t token, std::span<const Buffer> chain);
  void add_split(std::span<const Buffer> ring, std::uint16_t token, std::uint16_t extra_flags);
  void add_packed(std::span<const Buffer> ring, std::uint16_t token, std::uint16_t extra_flags);
  bool device_wants_notification();
  std::optional<Used> peek_used();
  Used finish(std::uint16_t token, std::uint32_t written);

  Bus& bus_;
  DeviceAccess& device_;
  Arena& arena_;
  Interrupt* interrupt_;
  std::uint16_t index_;
  std::uint16_t size_ = 0;
  QueueOptions options_;
  FeatureSet negotiated_;
  bool packed_;
  bool event_idx_;
  bool in_order_;
  bool notification_data_;
  QueueAddresses at_;
  std::uint64_t tables_ = 0; // indirect tables, one for each token

  // Free descriptors (split) or buffer ids (packed), used first-in first-out, which is what
  // IN_ORDER asks for.
  std::vector<std::uint16_t> free_;
  std::uint16_t free_head_ = 0;
  std::uint16_t free_entries_ = 0; // in free_
  std::uint16_t free_count_ = 0;   // descriptors of the ring
  std::uint16_t in_flight_ = 0;
  std::vector<std::uint16_t> next_;  // split: how chains are linked
  std::vector<Pending> pending_;     // by token
  std::vector<std::uint16_t> order_; // in order: tokens as made available, a ring
  std::uint16_t order_head_ = 0;
  std::uint16_t order_count_ = 0;
  std::optional<Used> batch_; // in order: the used element whose batch is being taken

  std::uint16_t avail_ = 0; // split: index; packed: offset
  std::uint16_t used_ = 0;
  bool avail_wrap_ = true; // packed
  bool used_wrap_ = true;
  std::uint32_t added_ = 0; // since the last kick: entries (split) or descriptors (packed)
};

} // namespace virtio::driver
