// ConsoleScript: what a person would do at the UART. Its steps run in order: wait until the
// software has printed something, then type something. A step that waits too long ends the script
// with a report.
#pragma once

#include <systemc>

#include <regex.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace virtio::platform {

struct ScriptStep {
  std::string expect; ///< empty: do not wait
  bool regex =
      false; ///< `expect` is a POSIX extended regular expression that matches within one line
  std::string send;         ///< typed byte for byte
  sc_core::sc_time timeout; ///< from the end of the step before; zero: no limit
};

class ConsoleScript : public sc_core::sc_module {
public:
  /// Types `bytes` at the UART.
  std::function<void(std::string_view bytes)> on_send;
  /// Called when a step begins, counted from 0, and with size() when the last one is done.
  std::function<void(std::size_t step)> on_step;
  /// Called once, when the last step is done or a step failed.
  std::function<void()> on_end;

  /// Throws std::invalid_argument, naming the step, for a regular expression that is not one.
  ConsoleScript(sc_core::sc_module_name name, std::vector<ScriptStep> steps);

  /// What the UART transmits. A step sees only what comes after the match of the step before.
  void print(std::uint8_t byte);

  bool done() const { return current_ == steps_.size(); }
  /// The step that waits, counted from 0.
  std::size_t current() const { return current_; }
  std::size_t size() const { return steps_.size(); }
  const std::vector<ScriptStep>& steps() const { return steps_; }
  /// The step and what it expected, once it has waited too long.
  const std::optional<std::string>& failure() const { return failure_; }

  static constexpr std::size_t longest_match = 4096; ///< bytes of output that a step looks back on

private:
  using Pattern = std::unique_ptr<regex_t, void (*)(regex_t*)>;
  static Pattern compile(const ScriptStep& step, std::size_t number);

  void end_of_elaboration() override;
  void begin_step();
  bool matches() const;
  void pass();
  void check_timeout();
  void end();

  std::vector<ScriptStep> steps_;
  std::vector<Pattern> patterns_; // by step; null for those without
  std::size_t current_ = 0;
  std::string seen_; // the printed text since the last match; for a regex, since the last line end
  sc_core::sc_time deadline_;
  std::optional<std::string> failure_;
  bool ended_ = false;
  sc_core::sc_event timeout_;
  sc_core::sc_event start_;
};

/// For people: in quotes, on one line.
std::string in_quotes(std::string_view text);

} // namespace virtio::platform
