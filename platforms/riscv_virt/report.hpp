// What a run says about itself at its end: summary.json, the same for people, and for a run that
// failed what helps to find out why.
#pragma once

#include <virtio/platforms/riscv_virt/platform.hpp>

#include <nlohmann/json.hpp>

#include <string>

namespace virtio::platform {

/// The same for the same configuration and seed, on any host.
nlohmann::ordered_json summary(const Platform& platform);
/// As JSON text. A byte that is not UTF-8, which a guest may have caused, is replaced.
std::string json_text(const nlohmann::ordered_json& summary);
/// For people.
std::string summary_text(const nlohmann::ordered_json& summary);

/// The last UART lines and the registers that the guest touched last, many lines.
std::string post_mortem(const Platform& platform);

} // namespace virtio::platform
