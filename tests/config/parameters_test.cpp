// The tables behind `virtio-tlm params`.
#include "toml_folder.hpp"

#include <algorithm>
#include <set>

namespace virtio::platform {

namespace {

class Parameters : public TomlFolder {};

const ParameterInfo& find(const std::vector<ParameterInfo>& all, const std::string& path) {
  return *std::find_if(all.begin(), all.end(), [&](const auto& p) { return p.path == path; });
}

TEST_F(Parameters, EachStatesUnitDefaultSourceAndMeaning) {
  std::set<std::string> paths;
  for (const ParameterInfo& parameter : parameters()) {
    EXPECT_TRUE(paths.insert(parameter.component + " " + parameter.path).second) << parameter.path;
    EXPECT_FALSE(parameter.unit.empty()) << parameter.path;
    EXPECT_FALSE(parameter.fallback.empty()) << parameter.path;
    EXPECT_FALSE(parameter.source.empty()) << parameter.path;
    EXPECT_TRUE(parameter.description.ends_with(".")) << parameter.path;
  }
  EXPECT_GT(paths.size(), 30u);
}

TEST_F(Parameters, ShowTheDefaultsThatAreInForce) {
  const auto all = parameters();
  EXPECT_EQ(find(all, "platform.ram").fallback, "\"" + text(PlatformConfig{}.ram) + "\"");
  EXPECT_EQ(find(all, "platform.cpu.timebase").fallback, "\"10 MHz\"");
  EXPECT_EQ(find(all, "device.NAME.queue_size").range, "1 .. 32768, a power of two");
  EXPECT_EQ(find(all, "device.NAME.transport").range, "mmio | pci");
  EXPECT_EQ(find(all, "device.NAME.transport").fallback, "required");
}

TEST_F(Parameters, FeaturesAreShownUnderTheirTable) {
  const auto all = parameters();
  EXPECT_EQ(find(all, "device.NAME.features.packed").fallback, "true");
  EXPECT_EQ(find(all, "device.NAME.features.in_order").fallback, "false");
  EXPECT_EQ(find(all, "device.NAME.features.mrg_rxbuf").component, "net.features");
}

TEST_F(Parameters, APrintedDefaultIsAcceptedBack) {
  std::vector<Override> overrides;
  for (const ParameterInfo& parameter : parameters()) {
    const std::string& shown = parameter.fallback;
    if (!parameter.path.starts_with("platform.") || shown == "required" || shown == "none")
      continue;
    // Of another kind of platform.
    if (parameter.path.starts_with("platform.host.") || parameter.path.starts_with("platform.link"))
      continue;
    if (parameter.path == "platform.firmware") continue; // may not be installed here
    const bool quoted = shown.starts_with('"');
    overrides.push_back({parameter.path, quoted ? shown.substr(1, shown.size() - 2) : shown});
  }
  EXPECT_GT(overrides.size(), 5u);
  EXPECT_EQ(errors("", overrides), "");
}

TEST_F(Parameters, APrintedDefaultOfAWorkloadIsAcceptedBack) {
  const std::string toml = "[platform]\nkind = \"pcie_host\"\n"
                           "[[device]]\nname = \"NAME\"\ntype = \"net\"\ntransport = \"pci\"\n"
                           "[[workload]]\ndevice = \"NAME\"\nrequests = 1\n";
  std::vector<Override> overrides;
  for (const ParameterInfo& parameter : parameters()) {
    const std::string& shown = parameter.fallback;
    const bool of_host = parameter.component == "platform.host" ||
                         (parameter.component.starts_with("platform.link") &&
                          parameter.component != "platform.link.CREDITS");
    const bool of_workload =
        parameter.component == "workload" || parameter.component == "workload.net";
    if (!of_host && !of_workload) continue;
    if (shown == "required" || shown == "none" || shown.find(' ') < shown.find('"')) continue;
    const bool quoted = shown.starts_with('"');
    std::string path = parameter.path;
    if (of_workload) path.replace(path.find("DEVICE"), 6, "NAME");
    overrides.push_back({path, quoted ? shown.substr(1, shown.size() - 2) : shown});
  }
  EXPECT_GT(overrides.size(), 20u);
  EXPECT_EQ(errors_of(write("platform.toml", toml), overrides), "");
}

} // namespace

} // namespace virtio::platform
