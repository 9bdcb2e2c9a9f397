// virtio-tlm pcie: what a PCI Express link carries, measured by simulating nothing but the link
// under continuous reads or writes.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

namespace virtio::platform {

/// Adds the command; what it returns runs it after parsing and gives the exit code.
std::function<int()> add_pcie_command(CLI::App& app);

} // namespace virtio::platform
