// virtio-tlm migrate-check: whether devices can move from one configuration to another.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

namespace virtio::platform {

/// Adds the command; what it returns runs it after parsing and gives the exit code.
std::function<int()> add_migrate_command(CLI::App& app);

} // namespace virtio::platform
