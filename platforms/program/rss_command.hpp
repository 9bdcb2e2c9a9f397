// virtio-tlm rss: what receive-side scaling makes of the packets of a capture.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

namespace virtio::platform {

/// Adds the command; what it returns runs it after parsing and gives the exit code.
std::function<int()> add_rss_command(CLI::App& app);

} // namespace virtio::platform
