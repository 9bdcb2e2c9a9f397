#include <virtio/platforms/riscv_virt/console_script.hpp>
#include <virtio/platforms/riscv_virt/uart_log.hpp>

#include <fmt/format.h>

#include <array>
#include <stdexcept>

namespace virtio::platform {

std::string in_quotes(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '\n')
      result += "\\n";
    else if (c == '\r')
      result += "\\r";
    else
      result += c;
  }
  return result + "\"";
}

ConsoleScript::ConsoleScript(sc_core::sc_module_name name, std::vector<ScriptStep> steps)
    : sc_module(name), steps_(std::move(steps)) {
  for (const auto& step : steps_)
    patterns_.push_back(compile(step, patterns_.size() + 1));
}

/// POSIX's matcher and not the standard library's: that one recurses with every byte of what the
/// guest prints.
ConsoleScript::Pattern ConsoleScript::compile(const ScriptStep& step, std::size_t number) {
  constexpr auto free = [](regex_t* pattern) {
    regfree(pattern);
    delete pattern;
  };
  if (!step.regex) return {nullptr, free};
  auto pattern = std::make_unique<regex_t>();
  if (const int error = regcomp(pattern.get(), step.expect.c_str(), REG_EXTENDED | REG_NOSUB)) {
    std::array<char, 128> reason;
    regerror(error, pattern.get(), reason.data(), reason.size());
    throw std::invalid_argument(fmt::format("step {}: {} is not a regular expression: {}", number,
                                            in_quotes(step.expect), reason.data()));
  }
  return {pattern.release(), free};
}

void ConsoleScript::end_of_elaboration() {
  sc_core::sc_spawn_options on_timeout;
  on_timeout.spawn_method();
  on_timeout.dont_initialize();
  on_timeout.set_sensitivity(&timeout_);
  sc_core::sc_spawn([this] { check_timeout(); }, "check_timeout", &on_timeout);
  sc_core::sc_spawn_options at_start;
  at_start.spawn_method();
  sc_core::sc_spawn([this] { begin_step(); }, "begin", &at_start);
}

void ConsoleScript::print(std::uint8_t byte) {
  if (ended_) return;
  const bool regex = steps_[current_].regex;
  if (regex && byte == '\n') {
    seen_.clear();
    return;
  }
  if (byte == '\r' && regex) return;
  seen_.push_back(static_cast<char>(byte));
  if (seen_.size() > longest_match) seen_.erase(0, longest_match / 2);
  if (matches()) pass();
}

/// Called after every byte, so a plain text can only match at the end.
bool ConsoleScript::matches() const {
  const auto& step = steps_[current_];
  if (step.regex) return regexec(patterns_[current_].get(), seen_.c_str(), 0, nullptr, 0) == 0;
  return std::string_view(seen_).ends_with(step.expect);
}

void ConsoleScript::pass() {
  if (on_send && !steps_[current_].send.empty()) on_send(steps_[current_].send);
  ++current_;
  begin_step();
}

void ConsoleScript::begin_step() {
  seen_.clear();
  timeout_.cancel();
  if (on_step) on_step(current_);
  if (done()) return end();
  const auto& step = steps_[current_];
  if (step.expect.empty()) return pass();
  deadline_ = sc_core::sc_time_stamp() + step.timeout;
  if (step.timeout != sc_core::SC_ZERO_TIME) timeout_.notify(step.timeout);
}

void ConsoleScript::check_timeout() {
  if (ended_ || sc_core::sc_time_stamp() < deadline_) return;
  const auto& step = steps_[current_];
  failure_ = fmt::format("step {} of {}: expected {}{} on the UART within {} s of simulated time",
                         current_ + 1, steps_.size(), step.regex ? "a match of " : "",
                         in_quotes(step.expect), seconds_text(step.timeout));
  end();
}

void ConsoleScript::end() {
  ended_ = true;
  if (on_end) on_end();
}

} // namespace virtio::platform
