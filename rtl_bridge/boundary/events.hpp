// What crosses the ring engine boundary, as one stream of events in the order in which it happened:
// a wrapper around RTL makes them of its ports, a recorder of the reference model, and scoreboards,
// coverage and traces read them. One event is one transfer of a group; a read response carries one
// beat.
#pragma once

#include <virtio/core/ring_engine.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace virtio::rtl {

/// The groups of the boundary (the order is that of their table in README.md).
enum class Group : std::uint8_t {
  command,
  response,
  doorbell,
  read_request,
  read_response,
  write_request,
  write_response,
  credit,
  segment,
  completion,
  abort,
  interrupt,
  error,
};
const char* to_string(Group group);

enum class Command : std::uint8_t {
#define RING_COMMAND(name, code, text) name = code,
#include <virtio/rtl/boundary/commands.def>
#undef RING_COMMAND
};
const char* to_string(Command command);

enum class AccessStatus : std::uint8_t {
#define ACCESS_STATUS(name, code, text) name = code,
#include <virtio/rtl/boundary/access_statuses.def>
#undef ACCESS_STATUS
};
const char* to_string(AccessStatus status);

/// Fields that a group does not have are zero. Which ones it has is said behind each.
struct BoundaryEvent {
  std::uint64_t cycle = 0; ///< of the engine's clock; all groups
  Group group{};
  std::uint16_t function = 0; ///< all groups
  QueueIndex queue{};         ///< all groups

  Command command{};             ///< command, response
  QueueSetup setup;              ///< command enable
  QueueProgress progress;        ///< response of read_state
  bool has_notification = false; ///< doorbell
  NotificationData notification; ///< doorbell with VIRTIO_F_NOTIFICATION_DATA
  std::uint32_t count = 0;       ///< credit: chains

  std::uint16_t tag = 0;    ///< reads and writes
  AccessKind kind{};        ///< read and write requests
  bool after = false;       ///< read request: sampled after the queue's earlier writes are ordered
  bool fence = false;       ///< write request: behind everything the queue wrote before
  AccessStatus status{};    ///< read and write responses
  GuestAddr address{};      ///< read and write requests, segment; read response: of the beat
  std::uint32_t length = 0; ///< read requests, segment: bytes
  std::vector<std::byte>
      data;                  ///< read response: the beat's bytes; write request: all, strobed ones
  std::vector<bool> strobes; ///< write request; empty: all bytes

  std::uint16_t chain = 0;   ///< segment, completion: number in availability order, modulo 2^16
  bool generation = false;   ///< segment; completion: that of its chain's segments
  bool writable = false;     ///< segment: device-writable
  bool first = false;        ///< segment: of its chain
  bool last = false;         ///< segment: of its chain; read response: last beat of its tag
  bool error = false;        ///< segment: without a buffer; its chain ends here, malformed
  std::uint32_t written = 0; ///< completion: bytes
  CompletionHints hints;     ///< completion
  std::uint16_t vector = 0;  ///< interrupt; command enable
  RingError code = RingError::none; ///< error; response of enable
};

/// One line for people and for traces.
std::string to_string(const BoundaryEvent& event);

class BoundarySink {
public:
  virtual ~BoundarySink() = default;
  virtual void on_boundary(const BoundaryEvent& event) = 0;
};

} // namespace virtio::rtl
