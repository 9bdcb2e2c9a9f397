// Continuous traffic on a link's timing: a device that sends one request after the other as fast as
// the link takes them, until the rate is steady.
#pragma once

#include <virtio/tlm/pci/link_timing.hpp>

#include <cstdint>
#include <string>

namespace virtio::platform {

enum class LinkOperation : std::uint8_t { read, write, readwrite };

struct LinkTraffic {
  LinkOperation operation = LinkOperation::read;
  std::uint32_t size = 256;           ///< bytes of every request
  std::uint64_t base = 0x1'0000'0000; ///< address of the first request
  std::uint32_t offset = 0;           ///< of every request from its aligned place
  std::uint64_t window = 64 << 10;    ///< bytes that the requests go round in
  std::uint64_t requests = 20'000;    ///< measured, after as many to warm up
};

struct LinkRate {
  double effective_gbps = 0; ///< payload; for readwrite that of either
  double requests_per_second = 0;
  double upstream_busy = 0;   ///< share of the time, 0..1
  double downstream_busy = 0; ///< likewise
  double latency_ns = 0;      ///< mean, from the request's acceptance to its end, under this load
  double unloaded_latency_ns = 0;
  std::string bound_by; ///< what requests waited for most
};

/// The parameters must be possible (error_in).
LinkRate measure(const tlm2::PcieLinkParams& params, const LinkTraffic& traffic);

} // namespace virtio::platform
