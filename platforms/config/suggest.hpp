// "Did you mean ...?" for misspelt names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace virtio::platform {

// The candidate nearest to `wrong`, as `; did you mean "..."?`, or an empty string if none is near.
std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& candidates);

// `"a", "b", "c"`, for error messages.
std::string quoted_list(const std::vector<std::string>& words);

} // namespace virtio::platform
