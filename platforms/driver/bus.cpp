#include <virtio/platforms/driver/bus.hpp>

#include <fmt/format.h>

#include <cstring>

namespace virtio::driver {

Bus::Bus(sc_core::sc_module_name name) : sc_module(name), socket("socket") {
  socket.register_invalidate_direct_mem_ptr(this, &Bus::invalidate);
}

void Bus::invalidate(sc_dt::uint64 start, sc_dt::uint64 end) {
  latest_ = {};
  std::erase_if(windows_,
                [&](const Window& w) { return w.base <= end && start <= w.base + (w.size - 1); });
}

std::byte* Bus::find_host(std::uint64_t addr, std::size_t length, bool write) {
  for (const Window& w : windows_) {
    const std::uint64_t offset = addr - w.base;
    if (offset >= w.size || length > w.size - offset || !(write ? w.writable : w.readable))
      continue;
    if (w.readable && w.writable) latest_ = w;
    return w.host + offset;
  }
  return nullptr;
}

Bus::Borrowed::Borrowed(Bus& owner) : bus(owner) {
  if (bus.spare_.empty()) bus.spare_.push_back(std::make_unique<tlm::tlm_generic_payload>());
  payload = std::move(bus.spare_.back());
  bus.spare_.pop_back();
}

Bus::Borrowed::~Borrowed() {
  bus.spare_.push_back(std::move(payload));
}

void Bus::access(std::uint64_t addr, std::byte* data, std::size_t length, bool write) {
  if (length == 0) return;
  if (std::byte* memory = host(addr, length, write)) {
    std::memcpy(write ? memory : data, write ? data : memory, length);
    return;
  }
  const Borrowed borrowed(*this);
  tlm::tlm_generic_payload& payload = *borrowed.payload;
  payload.set_dmi_allowed(false);
  payload.set_command(write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
  payload.set_address(addr);
  payload.set_data_ptr(reinterpret_cast<unsigned char*>(data));
  payload.set_data_length(static_cast<unsigned>(length));
  payload.set_streaming_width(static_cast<unsigned>(length));
  payload.set_byte_enable_ptr(nullptr);
  payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
  sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
  socket->b_transport(payload, delay);
  if (annotated_)
    annotated_->delay += delay;
  else if (delay != sc_core::SC_ZERO_TIME)
    wait(delay);
  if (!payload.is_response_ok())
    throw DriverError(fmt::format("{} of {} bytes at {:#x}: {}", write ? "write" : "read", length,
                                  addr, payload.get_response_string()));
  if (!payload.is_dmi_allowed()) return;
  tlm::tlm_dmi dmi;
  if (!socket->get_direct_mem_ptr(payload, dmi)) return;
  windows_.push_back({dmi.get_start_address(), dmi.get_end_address() - dmi.get_start_address() + 1,
                      reinterpret_cast<std::byte*>(dmi.get_dmi_ptr()), dmi.is_read_allowed(),
                      dmi.is_write_allowed()});
}

void Bus::read(std::uint64_t addr, std::span<std::byte> to) {
  access(addr, to.data(), to.size(), false);
}

void Bus::write(std::uint64_t addr, std::span<const std::byte> from) {
  access(addr, const_cast<std::byte*>(from.data()), from.size(), true);
}

std::uint64_t Arena::take(std::uint64_t bytes, std::uint64_t align) {
  const std::uint64_t start = (next_ + align - 1) & ~(align - 1);
  if (start > end_ || bytes > end_ - start)
    throw DriverError(fmt::format("the driver's memory is used up: {} bytes more were asked for; "
                                  "give it a larger range",
                                  bytes));
  next_ = start + bytes;
  return start;
}

} // namespace virtio::driver
