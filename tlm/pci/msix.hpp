// MSI-X of one function: the table of vectors and the pending bits, which lie in a BAR, and the
// rule that a masked vector's message waits in its pending bit. Whoever owns it sends the messages.
#pragma once

#include <virtio/core/types.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace virtio::tlm2 {

class Msix {
public:
  static constexpr std::uint8_t capability_id = 0x11;
  static constexpr unsigned max_vectors = 0x800; ///< virtio 1.4, 4.1.5.1.2.1
  /// Message Control, in the capability: what the driver can write.
  static constexpr std::uint16_t control_enable = 1 << 15;
  static constexpr std::uint16_t control_function_mask = 1 << 14;

  /// A four-byte write of `data` to `address`.
  struct Message {
    GuestAddr address{};
    std::uint32_t data = 0;
  };

  /// 0 vectors: the function has no MSI-X. Throws std::invalid_argument above max_vectors.
  explicit Msix(unsigned vectors);

  unsigned vectors() const { return static_cast<unsigned>(table_.size()); }

  // Where things lie in the BAR, in bytes.
  std::uint32_t pending_offset() const;
  std::uint32_t bar_size() const;
  /// `offset` is a multiple of 4; what lies outside table and pending bits reads as zero and
  /// ignores writes. Writes to the pending bits are ignored.
  std::uint32_t read(std::uint64_t offset) const;
  void write(std::uint64_t offset, std::uint32_t value);

  /// Message Control changed.
  void set_control(std::uint16_t control);
  bool enabled() const { return enabled_; }

  /// An interrupt of `vector` is due: its message if it may go now; nothing if it is held back,
  /// MSI-X is disabled or the vector does not exist.
  std::optional<Message> raise(std::uint16_t vector);
  /// After a change of masks: the next message that was held back and may go, if any.
  std::optional<Message> take_released();
  /// The reason for the interrupt is gone.
  void clear_pending(std::uint16_t vector);
  void clear_pending();
  /// Back to the state after power-on: every vector masked.
  void reset();

private:
  struct Entry {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    bool masked = true;
    bool pending = false;
  };
  std::uint32_t pending_bits(std::size_t first) const;
  bool may_send(const Entry& entry) const { return enabled_ && !function_masked_ && !entry.masked; }

  std::vector<Entry> table_;
  std::size_t pending_ = 0; // how many entries are
  bool enabled_ = false;
  bool function_masked_ = false;
};

} // namespace virtio::tlm2
