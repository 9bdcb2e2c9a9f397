// What a run says at its end: summary.json, and the same for people.
#pragma once

#include <virtio/platforms/pcie_host/platform.hpp>

#include <nlohmann/json.hpp>

#include <string>

namespace virtio::platform::pcie_host {

/// The same for the same configuration and seed, on any host. The schema is in README.md.
nlohmann::ordered_json summary(const Platform& platform);
std::string summary_text(const nlohmann::ordered_json& summary);

} // namespace virtio::platform::pcie_host
