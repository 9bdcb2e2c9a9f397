// What a device's accesses look like in tests of ways to memory.
#pragma once

#include <virtio/core/dma.hpp>

#include <systemc>

#include <cstdint>
#include <vector>

namespace virtio::test {

/// One access of a device, how often it came back, when and with what.
struct Access {
  std::vector<std::byte> bytes;
  DmaStatus status = DmaStatus::bus_error;
  sc_core::sc_time at;
  int resumed = 0;

  Task<> read(Dma dma, std::uint64_t addr, std::uint32_t count, AccessKind kind) {
    bytes.resize(count);
    const DmaStatus s = co_await dma.read(GuestAddr{addr}, bytes.data(), count, kind);
    done(s);
  }
  Task<> write(Dma dma, std::uint64_t addr, AccessKind kind) {
    const auto count = static_cast<std::uint32_t>(bytes.size());
    const DmaStatus s = co_await dma.write(GuestAddr{addr}, bytes.data(), count, kind);
    done(s);
  }
  void done(DmaStatus s) {
    status = s;
    at = sc_core::sc_time_stamp();
    ++resumed;
  }
};

} // namespace virtio::test
