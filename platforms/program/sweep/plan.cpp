#include <virtio/platforms/program/sweep/plan.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace virtio::platform::sweep {

namespace {

constexpr std::size_t most_runs = 100'000;

std::vector<std::string> split_values(const std::string& text) {
  std::vector<std::string> values(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "\\,") == 0)
      values.back() += text[++i];
    else if (text[i] == ',')
      values.emplace_back();
    else
      values.back() += text[i];
  }
  return values;
}

std::string join(const std::vector<Override>& point) {
  std::string text;
  for (const Override& value : point)
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", value.path, value.value);
  return text;
}

// One mistake, however many runs it spoils.
struct Mistake {
  const Axis* axis = nullptr; // whose value is refused
  std::string place;          // --vary path=value, or as load() says it
  std::string sentence;
  std::size_t runs = 0;
  std::size_t first_run = 0;
};

class Mistakes {
public:
  explicit Mistakes(const Plan& plan) : plan_(plan) {}

  void add(const ConfigError& error, std::size_t run) {
    Mistake mistake{nullptr, "", error.text(), 0, run};
    if (error.source == "--set")
      for (std::size_t i = 0; i < plan_.axes.size(); ++i)
        if (plan_.axes[i].path == error.key)
          mistake = {&plan_.axes[i],
                     fmt::format("--vary {}={}", error.key, plan_.point(run)[i].value),
                     error.sentence, 0, run};
    const auto [at, is_new] =
        known_.emplace(std::pair(mistake.place, mistake.sentence), list_.size());
    if (is_new) list_.push_back(std::move(mistake));
    ++list_[at->second].runs;
  }

  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    std::set<std::pair<const Axis*, std::string>> merged;
    for (const Mistake& mistake : list_) {
      if (!of_every_value(mistake))
        all.push_back(text(mistake));
      else if (merged.emplace(mistake.axis, mistake.sentence).second)
        all.push_back(fmt::format("--vary {}: {}", mistake.axis->path, mistake.sentence));
    }
    return all;
  }

private:
  // It is the parameter that is wrong, not this value of it.
  bool of_every_value(const Mistake& mistake) const {
    if (!mistake.axis) return false;
    std::size_t runs = 0;
    for (const Mistake& other : list_)
      if (other.axis == mistake.axis && other.sentence == mistake.sentence) runs += other.runs;
    return runs == plan_.runs();
  }

  std::string text(const Mistake& mistake) const {
    const std::size_t spoilt = mistake.axis ? mistake.axis->values.size() : 1;
    std::string text = mistake.place + (mistake.axis ? ": " : "") + mistake.sentence;
    if (mistake.runs * spoilt < plan_.runs())
      text += fmt::format(" (with {})", plan_.label(mistake.first_run));
    return text;
  }

  const Plan& plan_;
  std::vector<Mistake> list_;
  std::map<std::pair<std::string, std::string>, std::size_t> known_;
};

} // namespace

std::size_t Plan::runs() const {
  std::size_t product = 1;
  for (const Axis& axis : axes)
    product *= axis.values.size();
  return product;
}

std::vector<Override> Plan::point(std::size_t run) const {
  std::vector<Override> values(axes.size());
  std::size_t rest = run - 1;
  for (std::size_t i = axes.size(); i-- > 0;) {
    values[i] = {axes[i].path, axes[i].values[rest % axes[i].values.size()]};
    rest /= axes[i].values.size();
  }
  return values;
}

std::vector<Override> Plan::overrides(std::size_t run) const {
  std::vector<Override> all = fixed;
  const std::vector<Override> varied = point(run);
  all.insert(all.end(), varied.begin(), varied.end());
  return all;
}

std::string Plan::label(std::size_t run) const {
  return join(point(run));
}

tl::expected<Axis, std::string> parse_axis(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    return tl::unexpected(fmt::format(
        "--vary {}: write it as path=value,value, like --vary platform.seed=1,2,3", text));
  Axis axis{text.substr(0, equals), split_values(text.substr(equals + 1))};
  std::set<std::string> different;
  for (const std::string& value : axis.values)
    if (!different.insert(value).second)
      return tl::unexpected(fmt::format("--vary {}: the value \"{}\" is there twice", text, value));
  return axis;
}

tl::expected<Plan, std::string> make_plan(const std::filesystem::path& file,
                                          std::vector<Override> fixed, std::vector<Axis> axes) {
  std::set<std::string> given;
  for (const Override& value : fixed)
    given.insert(value.path);
  for (const Axis& axis : axes)
    if (!given.insert(axis.path).second)
      return tl::unexpected(
          fmt::format("--vary {}: another --vary, --set or --seed gives it already", axis.path));
  std::size_t runs = 1;
  for (const Axis& axis : axes)
    if (runs *= axis.values.size(); runs > most_runs)
      return tl::unexpected(fmt::format("the cross product of all --vary has more than {} runs: "
                                        "vary less, or make several sweeps of it",
                                        most_runs));
  return Plan{std::filesystem::absolute(file).lexically_normal(), std::move(fixed),
              std::move(axes)};
}

std::vector<std::string> configuration_errors(const Plan& plan) {
  Mistakes mistakes(plan);
  for (std::size_t run = 1; run <= plan.runs(); ++run)
    if (const auto config = load(plan.file, plan.overrides(run)); !config)
      for (const ConfigError& error : config.error())
        mistakes.add(error, run);
  return mistakes.texts();
}

} // namespace virtio::platform::sweep
