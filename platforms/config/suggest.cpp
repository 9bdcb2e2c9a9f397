#include <virtio/platforms/config/suggest.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstddef>

namespace virtio::platform {

namespace {

bool same_letter(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

// Edits (insert, delete, replace, swap of neighbours) that turn one word into the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i)
    d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j)
    d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = d[i - 1][j - 1] + !same_letter(a[i - 1], b[j - 1]);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]))
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

} // namespace

std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& candidates) {
  // A third of the letters may be wrong, one in a word of two. The cap keeps hostile names from
  // costing quadratic time.
  if (wrong.size() < 2 || wrong.size() > 64) return {};
  const std::size_t limit = std::max<std::size_t>(1, wrong.size() / 3);
  // Among equals, the one with the same first letter.
  const auto rank = [&](const std::string& candidate) {
    return 2 * edit_distance(wrong, candidate) + !same_letter(wrong[0], candidate[0]);
  };
  std::size_t best = 2 * limit + 2;
  const std::string* nearest = nullptr;
  for (const std::string& candidate : candidates)
    if (!candidate.empty() && rank(candidate) < best) {
      best = rank(candidate);
      nearest = &candidate;
    }
  return nearest ? fmt::format("; did you mean \"{}\"?", *nearest) : std::string{};
}

std::string quoted_list(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("\"{}\"", fmt::join(words, "\", \""));
}

} // namespace virtio::platform
