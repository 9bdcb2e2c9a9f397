// The rss_hash of rtl_bridge/rtl as a Dut, Verilated in the data widths that are built. Only this
// file's code includes Verilator's headers.
#pragma once

#include <virtio/rtl/cosim/rss/dut.hpp>

#include <memory>

namespace virtio::rtl::cosim::rss {

/// In bytes.
inline constexpr unsigned built_widths[] = {16, 64};

/// Null when that width is not built. `seed`: of what is undefined at the beginning.
std::unique_ptr<Dut> make_rtl(unsigned beat_bytes, std::uint32_t seed);

} // namespace virtio::rtl::cosim::rss
