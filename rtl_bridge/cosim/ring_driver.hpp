// A driver of one virtqueue in host memory, split or packed, that keeps its own record of what it
// asked for and checks what comes back against what the device function did. It asks for interrupts
// and notifies as the specification has it, so that it sleeps when nobody wakes it.
#pragma once

#include <virtio/core/packed_ring.hpp>
#include <virtio/core/ring_engine.hpp>
#include <virtio/core/split_ring.hpp>

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace virtio::rtl::cosim {

/// Mistakes that a driver can make.
enum class Mistake : std::uint8_t {
  none,
  order,        ///< device-readable behind device-writable
  loop,         ///< split: a descriptor is its own next; packed: a list longer than what is free
  next,         ///< split: next outside the table
  head,         ///< split: the entry is outside the ring
  jump,         ///< split: the available index is too far ahead
  wrap,         ///< a buffer wraps past the end of the address space
  table_length, ///< an indirect table of a length that is no multiple of 16
  nested,       ///< an indirect descriptor in an indirect table
  table_next,   ///< an indirect descriptor that has a next
  sum,          ///< a chain of more than 2^32 bytes
  no_feature,   ///< an indirect descriptor that was not negotiated
  table_wrap,   ///< an indirect table wraps past the end of the address space
};
inline constexpr std::size_t num_mistakes = 13;
std::optional<Mistake> mistake_of(const std::string& name);
const char* name(Mistake mistake);

struct DriverSegment {
  GuestAddr address{};
  std::uint32_t length = 0;
  bool writable = false;
};

class RingDriver {
public:
  /// The ring takes `bytes_of(size)` bytes from the guest address `base` on; `memory` is at
  /// `origin`.
  RingDriver(std::span<std::byte> memory, std::uint64_t origin, std::uint64_t base,
             std::uint16_t size, FeatureSet features, RingIndex start);
  static std::uint64_t bytes_of(std::uint16_t size);
  /// Of those bytes, from the descriptors at the front on.
  static std::uint64_t offset_of_available(std::uint16_t size);
  static std::uint64_t offset_of_used(std::uint16_t size);

  /// Writes an empty ring. Everything before is forgotten.
  QueueSetup set_up();

  /// Puts a chain into the ring, if there is room. Only publish() makes it available. With
  /// a mistake, what follows is forgotten until set_up().
  bool add(const std::vector<DriverSegment>& segments, bool indirect, Mistake mistake);
  /// Makes available what was added. True: the device asked to be notified of it.
  bool publish();
  /// next_off and next_wrap of a notification.
  NotificationData notification() const;

  /// The n-th chain as the function got it, and as it was completed. Not the driver's: a sentence.
  std::optional<std::string> check_segments(std::uint64_t n,
                                            const std::vector<DriverSegment>& segments) const;
  void completed(std::uint64_t n, std::uint32_t written);

  /// Takes used buffers back; returns what is wrong with them. Groups and in-order batches are
  /// taken as they come.
  std::optional<std::string> reclaim();
  /// Asks for an interrupt with the next used buffer but `ahead`; then looks once more, and says
  /// whether there is nothing to be taken back now: it may sleep.
  bool ask_for_interrupt(std::uint16_t ahead);
  void no_interrupts();

  bool broken() const { return broken_; }
  std::uint64_t submitted() const { return submitted_; }
  std::uint64_t available() const { return available_; }
  std::uint64_t returned() const { return returned_; }
  std::size_t outstanding() const { return chains_.size(); }
  bool room_for(std::size_t segments, bool indirect) const;

private:
  struct Sent {
    std::uint64_t number = 0;
    std::uint16_t id = 0; // head (split), buffer id (packed)
    std::uint16_t slots = 0;
    std::vector<DriverSegment> segments;
    std::optional<std::uint32_t> written;
    std::vector<std::uint16_t> descriptors; // split: taken
  };

  bool has(unsigned feature) const { return features_.has(feature); }
  bool possible(Mistake mistake, bool indirect) const;
  bool used_at_next(std::uint16_t& id, std::uint32_t& length) const;
  void add_split(Sent& chain, bool indirect, Mistake mistake);
  void add_packed(Sent& chain, bool indirect, Mistake mistake);
  std::uint32_t write_table(const Sent& chain, Mistake mistake);
  template <class T> void store(std::uint64_t at, T value);
  template <class T> T load(std::uint64_t at) const;
  std::uint64_t table_at(std::uint16_t id) const;

  std::span<std::byte> memory_;
  std::uint64_t origin_, base_, desc_, driver_, device_, tables_;
  std::uint16_t size_;
  FeatureSet features_;
  RingIndex start_;
  bool packed_;

  std::deque<Sent> chains_; // with the device, in availability order
  // First in, first out: in order, that is the ring's order (2.7.9).
  std::deque<std::uint16_t> free_;
  std::deque<std::uint16_t> free_ids_;
  std::uint16_t entries_ = 0; // split: available index, what was added included
  std::uint16_t shown_ = 0;   // split: published
  std::uint16_t used_ = 0;
  RingIndex next_, next_used_, published_;
  std::uint16_t taken_ = 0;       // packed: descriptors
  std::uint16_t held_flags_ = 0;  // packed: of the first list that is not published
  std::optional<RingIndex> held_; // its place
  std::uint64_t submitted_ = 0, available_ = 0, returned_ = 0;
  std::uint32_t unpublished_slots_ = 0;
  bool broken_ = false;
};

} // namespace virtio::rtl::cosim
