#include <virtio/platforms/riscv_virt/finisher.hpp>

namespace virtio::platform {

Finisher::Finisher(sc_core::sc_module_name name) : RegisterTarget(name, size, 2 | 4) {}

std::uint64_t Finisher::read(const RegisterAccess&) {
  return 0;
}

void Finisher::write(const RegisterAccess& access, std::uint64_t value) {
  if (access.offset != 0 || !on_request) return;
  switch (value & 0xffff) {
  case pass:
    on_request(Request::poweroff, 0);
    break;
  case reset:
    on_request(Request::reboot, 0);
    break;
  case fail:
    on_request(Request::failure, static_cast<std::uint16_t>(value >> 16));
    break;
  default:
    break;
  }
}

} // namespace virtio::platform
