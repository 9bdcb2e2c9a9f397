#include <virtio/rtl/boundary/events.hpp>

#include <fmt/format.h>

namespace virtio::rtl {

const char* to_string(Group group) {
  switch (group) {
  case Group::command:
    return "command";
  case Group::response:
    return "response";
  case Group::doorbell:
    return "doorbell";
  case Group::read_request:
    return "read request";
  case Group::read_response:
    return "read response";
  case Group::write_request:
    return "write request";
  case Group::write_response:
    return "write response";
  case Group::credit:
    return "credit";
  case Group::segment:
    return "segment";
  case Group::completion:
    return "completion";
  case Group::abort:
    return "abort";
  case Group::interrupt:
    return "interrupt";
  case Group::error:
    return "error";
  }
  return "?";
}

const char* to_string(Command command) {
  switch (command) {
#define RING_COMMAND(name, code, text)                                                             \
  case Command::name:                                                                              \
    return text;
#include <virtio/rtl/boundary/commands.def>
#undef RING_COMMAND
  }
  return "?";
}

const char* to_string(AccessStatus status) {
  switch (status) {
#define ACCESS_STATUS(name, code, text)                                                            \
  case AccessStatus::name:                                                                         \
    return text;
#include <virtio/rtl/boundary/access_statuses.def>
#undef ACCESS_STATUS
  }
  return "?";
}

namespace {

std::string hex(const std::vector<std::byte>& data) {
  std::string text;
  for (const std::byte b : data)
    fmt::format_to(std::back_inserter(text), "{:02x}", std::to_integer<unsigned>(b));
  return text;
}

std::string index(RingIndex at) {
  return fmt::format("{}{}", at.index, at.wrap ? "" : " (wrapped)");
}

std::string details(const BoundaryEvent& e) {
  switch (e.group) {
  case Group::command:
    if (e.command != Command::enable) return to_string(e.command);
    return fmt::format("enable size {} descriptors {:#x} driver {:#x} device {:#x} from {}, {}",
                       e.setup.size, raw(e.setup.desc), raw(e.setup.driver), raw(e.setup.device),
                       index(e.setup.start_avail), index(e.setup.start_used));
  case Group::response:
    if (e.command == Command::read_state)
      return fmt::format("available {} used {} outstanding {}", index(e.progress.next_avail),
                         index(e.progress.next_used), e.progress.outstanding);
    return fmt::format("{}: {}", to_string(e.command), to_string(e.code));
  case Group::doorbell:
    return e.has_notification ? fmt::format("{}{}", e.notification.next_off,
                                            e.notification.next_wrap ? " wrap" : "")
                              : "";
  case Group::read_request:
    return fmt::format("tag {} {} {:#x} +{}{}", e.tag, to_string(e.kind), raw(e.address), e.length,
                       e.after ? " after" : "");
  case Group::read_response:
    return fmt::format("tag {} {:#x} {}{} {}", e.tag, raw(e.address), to_string(e.status),
                       e.last ? " last" : "", hex(e.data));
  case Group::write_request:
    return fmt::format("tag {} {} {:#x}{} {}", e.tag, to_string(e.kind), raw(e.address),
                       e.fence ? " fence" : "", hex(e.data));
  case Group::write_response:
    return fmt::format("tag {} {}", e.tag, to_string(e.status));
  case Group::credit:
    return fmt::format("{}", e.count);
  case Group::segment:
    return fmt::format("chain {} {:#x} +{}{}{}{}{}", e.chain, raw(e.address), e.length,
                       e.writable ? " writable" : "", e.first ? " first" : "",
                       e.last ? " last" : "", e.error ? " error" : "");
  case Group::completion:
    return fmt::format("chain {} written {}{}{}", e.chain, e.written, e.hints.more ? " more" : "",
                       e.hints.full ? " full" : "");
  case Group::abort:
    return "";
  case Group::interrupt:
    return fmt::format("vector {}", e.vector);
  case Group::error:
    return to_string(e.code);
  }
  return "";
}

} // namespace

std::string to_string(const BoundaryEvent& event) {
  return fmt::format("{} f{} q{} {} {}", event.cycle, event.function, raw(event.queue),
                     to_string(event.group), details(event));
}

} // namespace virtio::rtl
