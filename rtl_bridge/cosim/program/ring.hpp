// `virtio-tlm cosim ring`.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

namespace virtio::rtl::cosim {

/// What to do when it was chosen; the result is the exit code.
std::function<int()> add_ring(CLI::App& app);

} // namespace virtio::rtl::cosim
