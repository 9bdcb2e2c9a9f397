// How far a sweep is: a bar that is redrawn on a terminal, otherwise a line for each finished run.
#pragma once

#include <virtio/platforms/program/sweep/store.hpp>

#include <chrono>
#include <cstdio>

namespace virtio::platform::sweep {

// "40 s", "12 min 05 s", "3 h 20 min".
std::string duration_text(std::chrono::seconds duration);

class Progress {
public:
  Progress(std::FILE* stream, const Store& store);
  Progress(const Progress&) = delete;
  ~Progress();

  void finished(std::size_t run, bool ok);
  // The bar, with what is going on.
  void draw(std::string_view state);

private:
  std::string remaining() const;

  std::FILE* stream_;
  const Plan& plan_;
  bool redraws_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::size_t before_; // finished when this began
  std::size_t finished_;
  std::size_t failed_;
};

} // namespace virtio::platform::sweep
