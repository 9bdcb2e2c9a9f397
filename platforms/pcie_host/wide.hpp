// Integers that a product of two 64-bit ones fits into, and the models' simulated time, which in
// this folder is what SimTime means.
#pragma once

#include <virtio/core/types.hpp>

namespace virtio::platform::pcie_host {

__extension__ using Wide = unsigned __int128;

using virtio::SimTime;

} // namespace virtio::platform::pcie_host
