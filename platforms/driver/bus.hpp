// What the reference driver sees of the machine: loads and stores. A TLM-2.0 initiator that uses
// DMI where it is granted and b_transport elsewhere. All calls are made from an SC_THREAD, as a
// target may take time; those that only annotate it may come from elsewhere, see Annotated.
#pragma once

#include <virtio/core/dma.hpp>
#include <virtio/core/types.hpp>

#include <systemc>
#include <tlm>
#include <tlm_utils/simple_initiator_socket.h>

#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace virtio::driver {

/// Something the driver cannot go on from. The text says what it was doing and what came back.
class DriverError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

class Bus : public sc_core::sc_module {
public:
  tlm_utils::simple_initiator_socket<Bus> socket;

  explicit Bus(sc_core::sc_module_name name);

  /// Throw DriverError when the bus answers with an error.
  void read(std::uint64_t addr, std::span<std::byte> to);
  void write(std::uint64_t addr, std::span<const std::byte> from);

  /// One access of sizeof(T) bytes, little-endian; in shared memory with acquire and release order.
  template <std::unsigned_integral T> T load(std::uint64_t addr) {
    if (const std::byte* memory = host(addr, sizeof(T), false)) return load_acquire<T>(memory);
    LittleEndian<T> value;
    read(addr, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  template <std::unsigned_integral T> void store(std::uint64_t addr, T value) {
    if (std::byte* memory = host(addr, sizeof(T), true)) {
      store_release<T>(memory, value);
      return;
    }
    const LittleEndian<T> bytes = value;
    write(addr, std::as_bytes(std::span(&bytes, 1)));
  }

  /// An object of the wire, as it is.
  template <class T> void write_object(std::uint64_t addr, const T& object) {
    if (std::byte* memory = host(addr, sizeof(T), true))
      std::memcpy(memory, static_cast<const void*>(&object), sizeof(T));
    else
      write(addr, std::as_bytes(std::span(&object, 1)));
  }

  /// Host memory behind naturally aligned guest memory, or null where the bus must be asked.
  std::byte* host(std::uint64_t addr, std::size_t length, bool write) {
    const std::uint64_t offset = addr - latest_.base;
    if (offset < latest_.size && length <= latest_.size - offset) [[likely]]
      return latest_.host + offset; // readable and writable
    return find_host(addr, length, write);
  }

  /// Lets simulated time pass, so that the device can work: until `event`, at most `time`.
  void pause(sc_core::sc_time time, const sc_core::sc_event* event = nullptr) {
    if (event)
      wait(time, *event);
    else
      wait(time);
  }

  /// While it exists, the delay that targets annotate is added up in it instead of waited for.
  class Annotated {
  public:
    explicit Annotated(Bus& bus) : bus_(bus) { bus_.annotated_ = this; }
    ~Annotated() { bus_.annotated_ = nullptr; }
    Annotated(const Annotated&) = delete;
    Annotated& operator=(const Annotated&) = delete;
    sc_core::sc_time delay;

  private:
    Bus& bus_;
  };

private:
  struct Window {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    std::byte* host = nullptr;
    bool readable = false;
    bool writable = false;
  };
  /// A payload for one access, which may wait while others are under way.
  struct Borrowed {
    explicit Borrowed(Bus& owner);
    ~Borrowed();
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    Bus& bus;
    std::unique_ptr<tlm::tlm_generic_payload> payload;
  };
  void access(std::uint64_t addr, std::byte* data, std::size_t length, bool write);
  void invalidate(sc_dt::uint64 start, sc_dt::uint64 end);

  std::byte* find_host(std::uint64_t addr, std::size_t length, bool write);

  Annotated* annotated_ = nullptr;
  Window latest_; // the one used last, of those that are readable and writable
  std::vector<Window> windows_;
  std::vector<std::unique_ptr<tlm::tlm_generic_payload>> spare_;
};

/// Hands out guest memory from one range, for rings and buffers. Nothing is given back: a driver
/// run starts afresh.
class Arena {
public:
  Arena(std::uint64_t base, std::uint64_t size) : next_(base), end_(base + size) {}
  /// `align` is a power of two. Throws DriverError when the range is used up.
  std::uint64_t take(std::uint64_t bytes, std::uint64_t align);

private:
  std::uint64_t next_;
  std::uint64_t end_;
};

} // namespace virtio::driver
