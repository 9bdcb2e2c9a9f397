#include <virtio/tlm/mmio/virtio_mmio.hpp>
#include <virtio/tlm/register_access.hpp>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>

namespace virtio::tlm2 {
namespace {

// virtio 1.4, 4.2.2: MMIO device register layout.
namespace reg {
constexpr std::uint32_t magic_value = 0x000;
constexpr std::uint32_t version = 0x004;
constexpr std::uint32_t device_id = 0x008;
constexpr std::uint32_t vendor_id = 0x00c;
constexpr std::uint32_t device_features = 0x010;
constexpr std::uint32_t device_features_sel = 0x014;
constexpr std::uint32_t driver_features = 0x020;
constexpr std::uint32_t driver_features_sel = 0x024;
constexpr std::uint32_t queue_sel = 0x030;
constexpr std::uint32_t queue_size_max = 0x034;
constexpr std::uint32_t queue_size = 0x038;
constexpr std::uint32_t queue_ready = 0x044;
constexpr std::uint32_t queue_notify = 0x050;
constexpr std::uint32_t interrupt_status = 0x060;
constexpr std::uint32_t interrupt_ack = 0x064;
constexpr std::uint32_t status = 0x070;
constexpr std::uint32_t queue_desc_low = 0x080;
constexpr std::uint32_t queue_desc_high = 0x084;
constexpr std::uint32_t queue_driver_low = 0x090;
constexpr std::uint32_t queue_driver_high = 0x094;
constexpr std::uint32_t queue_device_low = 0x0a0;
constexpr std::uint32_t queue_device_high = 0x0a4;
constexpr std::uint32_t shm_sel = 0x0ac;
constexpr std::uint32_t shm_len_low = 0x0b0;
constexpr std::uint32_t shm_len_high = 0x0b4;
constexpr std::uint32_t shm_base_low = 0x0b8;
constexpr std::uint32_t shm_base_high = 0x0bc;
constexpr std::uint32_t queue_reset = 0x0c0;
constexpr std::uint32_t config_generation = 0x0fc;
constexpr std::uint32_t config = 0x100;
} // namespace reg

constexpr std::uint32_t magic = 0x7472'6976; // "virt"
constexpr std::uint32_t used_buffer_bit = 1;
constexpr std::uint32_t config_change_bit = 2;
constexpr std::uint32_t max_queue = 0xffff;

} // namespace

VirtioMmio::VirtioMmio(sc_core::sc_module_name name, Device& device, VirtioMmioParams params)
    : sc_module(name), socket("socket"), irq("irq"), device_(device), params_(std::move(params)) {
  if (device.offered().has(VIRTIO_F_NOTIF_CONFIG_DATA))
    throw std::invalid_argument("VIRTIO_F_NOTIF_CONFIG_DATA is for PCI (virtio 1.4, 6): leave it "
                                "out of the transport_features of a device on virtio-mmio");
  device_.attach(*this);
  socket.register_b_transport(this, &VirtioMmio::b_transport);
  socket.register_transport_dbg(this, &VirtioMmio::transport_dbg);
  SC_HAS_PROCESS(VirtioMmio);
  SC_METHOD(drive_irq);
  sensitive << irq_changed_;
}

// The line has one writer, this process, whoever raised it.
void VirtioMmio::drive_irq() {
  irq.write(interrupt_status_ != 0);
}

void VirtioMmio::set_interrupt(std::uint32_t status) {
  interrupt_status_ = status;
  irq_changed_.notify(sc_core::SC_ZERO_TIME);
}

void VirtioMmio::used_buffer_notification(QueueIndex) {
  set_interrupt(interrupt_status_ | used_buffer_bit);
}
void VirtioMmio::config_change_notification() {
  set_interrupt(interrupt_status_ | config_change_bit);
}

void VirtioMmio::on_device_reset() {
  // 4.2.2.1: upon reset the device MUST clear all bits in InterruptStatus.
  set_interrupt(0);
  device_features_sel_ = driver_features_sel_ = queue_sel_ = shm_sel_ = 0;
}

std::uint64_t VirtioMmio::shared_memory(bool length) const {
  for (const MmioSharedMemory& region : params_.shared_memory)
    if (region.id == shm_sel_) return length ? region.length : region.base;
  return ~0ull; // a region that does not exist: both are -1
}

std::uint32_t VirtioMmio::read_register(std::uint32_t offset) const {
  const QueueConfig* queue = queue_sel_ <= max_queue
                                 ? device_.queue(QueueIndex{static_cast<std::uint16_t>(queue_sel_)})
                                 : nullptr;
  switch (offset) {
  case reg::magic_value:
    return magic;
  case reg::version:
    return 2;
  case reg::device_id:
    return static_cast<std::uint32_t>(device_.type());
  case reg::vendor_id:
    return params_.vendor_id;
  case reg::device_features:
    return device_.device_features(device_features_sel_);
  case reg::queue_size_max:
    return queue ? queue->max_size : 0;
  case reg::queue_ready:
    return queue && queue->enabled;
  case reg::interrupt_status:
    return interrupt_status_;
  case reg::status:
    return device_.status();
  case reg::shm_len_low:
    return static_cast<std::uint32_t>(shared_memory(true));
  case reg::shm_len_high:
    return static_cast<std::uint32_t>(shared_memory(true) >> 32);
  case reg::shm_base_low:
    return static_cast<std::uint32_t>(shared_memory(false));
  case reg::shm_base_high:
    return static_cast<std::uint32_t>(shared_memory(false) >> 32);
  case reg::queue_reset:
    return queue && queue->resetting;
  case reg::config_generation:
    return device_.config_generation();
  default:
    return 0; // write-only and unknown registers
  }
}

void VirtioMmio::notify(std::uint32_t value) {
  const QueueIndex queue{static_cast<std::uint16_t>(value)};
  if (device_.negotiated().has(VIRTIO_F_NOTIFICATION_DATA))
    device_.notify(queue, NotificationData{static_cast<std::uint16_t>(value >> 16 & 0x7fff),
                                           (value >> 31) != 0});
  else if (value <= max_queue)
    device_.notify(queue, std::nullopt);
}

void VirtioMmio::write_register(std::uint32_t offset, std::uint32_t value) {
  using Area = Device::Area;
  const bool has_queue = queue_sel_ <= max_queue;
  const QueueIndex queue{static_cast<std::uint16_t>(queue_sel_)};
  const auto address = [&](Area area, bool high) {
    if (has_queue) device_.write_queue_address(queue, area, high, value);
  };
  switch (offset) {
  case reg::device_features_sel:
    device_features_sel_ = value;
    break;
  case reg::driver_features:
    device_.write_driver_features(driver_features_sel_, value);
    break;
  case reg::driver_features_sel:
    driver_features_sel_ = value;
    break;
  case reg::queue_sel:
    queue_sel_ = value;
    break;
  case reg::queue_size:
    if (has_queue)
      device_.write_queue_size(queue, static_cast<std::uint16_t>(std::min(value, 0xffffu)));
    break;
  case reg::queue_ready:
    if (!has_queue) break;
    if (value & 1) {
      device_.enable_queue(queue);
    } else {
      device_.disable_queue(queue);
      wait_until_settled();
    }
    break;
  case reg::queue_notify:
    notify(value);
    break;
  case reg::interrupt_ack:
    set_interrupt(interrupt_status_ & ~value);
    break;
  case reg::status:
    device_.write_status(static_cast<std::uint8_t>(value));
    // Linux does not read the status back after writing 0: the write itself takes until nothing is
    // in flight any longer.
    if ((value & 0xff) == 0) wait_until_settled();
    break;
  case reg::queue_desc_low:
    address(Area::desc, false);
    break;
  case reg::queue_desc_high:
    address(Area::desc, true);
    break;
  case reg::queue_driver_low:
    address(Area::driver, false);
    break;
  case reg::queue_driver_high:
    address(Area::driver, true);
    break;
  case reg::queue_device_low:
    address(Area::device, false);
    break;
  case reg::queue_device_high:
    address(Area::device, true);
    break;
  case reg::shm_sel:
    shm_sel_ = value;
    break;
  case reg::queue_reset:
    if (has_queue && (value & 1)) device_.reset_queue(queue);
    break;
  default:
    break; // read-only and unknown registers
  }
}

void VirtioMmio::wait_until_settled() {
  device_.executor().run();
  const auto settled = std::make_shared<bool>(false); // outlives this call if its thread is killed
  device_.when_settled([this, settled] {
    *settled = true;
    settled_.notify(sc_core::SC_ZERO_TIME);
  });
  if (*settled) return;
  if (sc_core::sc_get_current_process_handle().proc_kind() != sc_core::SC_THREAD_PROC_) {
    SC_REPORT_ERROR("/virtio-tlm/mmio",
                    "a reset with DMA in flight takes time, but it was written from a process that "
                    "cannot wait; write it from an SC_THREAD");
    return;
  }
  while (!*settled)
    wait(settled_);
}

void VirtioMmio::b_transport(tlm::tlm_generic_payload& transaction, sc_core::sc_time& delay) {
  const std::uint64_t offset = transaction.get_address();
  const unsigned length = transaction.get_data_length();
  transaction.set_dmi_allowed(false);
  if (offset >= span || length > span - offset) {
    transaction.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    return;
  }
  if (transaction.get_byte_enable_ptr()) {
    transaction.set_response_status(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
    return;
  }
  if (length == 0 || transaction.get_streaming_width() < length) {
    transaction.set_response_status(tlm::TLM_BURST_ERROR_RESPONSE);
    return;
  }
  if (params_.timed) wait_out(delay);
  const std::span data(reinterpret_cast<std::byte*>(transaction.get_data_ptr()), length);
  const auto at = static_cast<std::uint32_t>(offset);
  const bool write = transaction.is_write();
  if (at >= reg::config) {
    if (write)
      device_.write_config(at - reg::config, data);
    else if (transaction.is_read())
      device_.read_config(at - reg::config, data);
  } else if (length == 4 && at % 4 == 0) {
    le32 value;
    if (write) {
      std::memcpy(&value, data.data(), 4);
      write_register(at, value);
    } else if (transaction.is_read()) {
      value = read_register(at);
      std::memcpy(data.data(), &value, 4);
    }
  } else if (transaction.is_read()) {
    // 4.2.2.2: the driver MUST use aligned 32-bit accesses; others read as zero and write nothing.
    std::fill(data.begin(), data.end(), std::byte{0});
  }
  // What the write made ready happens before the driver's next step.
  if (write) device_.executor().run();
  transaction.set_response_status(tlm::TLM_OK_RESPONSE);
}

unsigned VirtioMmio::transport_dbg(tlm::tlm_generic_payload& transaction) {
  const std::uint64_t offset = transaction.get_address();
  const unsigned length = transaction.get_data_length();
  if (!transaction.is_read() || offset >= reg::config || offset % 4 != 0 || length != 4) return 0;
  const le32 value = read_register(static_cast<std::uint32_t>(offset));
  std::memcpy(transaction.get_data_ptr(), &value, 4);
  return 4;
}

} // namespace virtio::tlm2
