#include <virtio/rtl/cosim/ring_case.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace virtio::rtl::cosim {

const std::vector<RingProfile>& ring_profiles() {
  static const std::vector<RingProfile> profiles{
      {.name = "default",
       .text = "every feature, several queues, mistakes, faults of memory, resets, back-pressure",
       .items = 80,
       .queues = 4,
       .mistakes = 3,
       .resets = 3,
       .faults = 1,
       .stall = 40},
      {.name = "legal",
       .text = "drivers that make no mistake, no resets",
       .queues = 4,
       .stall = 40},
      {.name = "hostile",
       .text = "short cases, mistakes and faults of memory everywhere",
       .items = 40,
       .queues = 2,
       .mistakes = 40,
       .resets = 15,
       .faults = 8,
       .stall = 20},
      {.name = "reset",
       .text = "resets at any moment",
       .items = 60,
       .queues = 3,
       .resets = 25,
       .stall = 40},
      {.name = "calm", .text = "one queue, memory at once, no back-pressure", .latency = 1},
  };
  return profiles;
}

const RingProfile* ring_profile(const std::string& name) {
  const auto& all = ring_profiles();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const RingProfile& p) { return p.name == name; });
  return found == all.end() ? nullptr : &*found;
}

namespace {

Item chain_item(const Choice& choose, std::uint64_t n, std::uint64_t queue, unsigned mistakes,
                std::uint64_t size) {
  n *= 64;
  Item item = fmt::format("chain {}", queue);
  auto mistake = Mistake::none;
  if (choose.chance(n + 1, mistakes))
    mistake = static_cast<Mistake>(1 + choose.below(n + 2, num_mistakes - 1));
  const bool of_table = mistake == Mistake::table_length || mistake == Mistake::nested ||
                        mistake == Mistake::table_next;
  if (of_table || choose.chance(n, 40)) item += " indirect";
  if (mistake != Mistake::none) item += fmt::format(" {}", name(mistake));
  const std::uint64_t most = std::min<std::uint64_t>(size, choose.chance(n + 3, 10) ? 16 : 4);
  const std::uint64_t count = 1 + choose.below(n + 4, most);
  const std::uint64_t readable = choose.below(n + 5, count + 1);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t kind = choose.below(n + 6 + 2 * i, 10);
    const std::uint64_t length = kind == 0   ? 0
                                 : kind == 2 ? 1
                                 : kind == 1 ? 1 + choose.below(n + 7 + 2 * i, 1u << 20)
                                             : 1 + choose.below(n + 7 + 2 * i, 4096);
    item += fmt::format(" {}{}", i < readable ? 'r' : 'w', length);
  }
  return item;
}

} // namespace

Stimulus ring_case(const RingProfile& p, std::uint64_t seed) {
  const Choice settings(seed, "settings");
  const Choice kinds(seed, "kind");
  const Choice queues(seed, "queue");
  const Choice numbers(seed, "number");
  const Choice chains(seed, "chain");
  const Choice faults(seed, "fault");
  Stimulus s;
  const auto set = [&](const char* name, std::uint64_t value) {
    s.settings[name] = std::to_string(value);
  };
  const bool packed = settings.chance(0, 50);
  const std::uint64_t count = 1 + settings.below(1, p.queues);
  static constexpr std::uint64_t sizes[] = {1, 2, 4, 8, 16, 16, 32, 64, 256};
  static constexpr std::uint64_t odd[] = {1, 2, 3, 5, 7, 12, 16, 33, 100};
  const std::uint64_t size = (packed ? odd : sizes)[settings.below(2, 9)];
  set("seed", seed);
  set("queues", count);
  set("size", size);
  set("packed", packed);
  set("event_idx", settings.chance(3, 50));
  set("indirect", settings.chance(4, 60));
  set("in_order", settings.chance(5, 30));
  set("notification_data", settings.chance(6, 30));
  // Where the indices wrap soon.
  set("start", settings.chance(7, 30) ? (packed                    ? settings.below(8, 2 * size)
                                         : settings.chance(15, 30) ? settings.below(8, 0x10000)
                                                                   : 0xfff0 + settings.below(8, 16))
                                      : 0);
  set("latency", settings.below(9, p.latency + 1));
  set("spread", settings.below(10, p.latency + 1));
  set("slow", settings.below(11, 200));
  set("stall", settings.below(12, p.stall + 1));
  set("groups", settings.chance(13, 40) ? settings.below(14, 60) : 0);
  for (std::uint64_t n = 0; n < p.items; ++n) {
    const std::uint64_t q = queues.below(n, count);
    const std::uint64_t kind = kinds.below(n, 100);
    if (faults.chance(2 * n, p.faults))
      s.items.push_back(fmt::format("fault {} {}", q, faults.below(2 * n + 1, 12)));
    if (kind < p.resets)
      s.items.push_back(
          fmt::format("{} {}", numbers.chance(n, 30) && count > 0 ? "quiesce" : "reset", q));
    else if (kind < 50)
      s.items.push_back(chain_item(chains, n, q, p.mistakes, size));
    else if (kind < 75)
      s.items.push_back(fmt::format("kick {}", q));
    else if (kind < 82)
      s.items.push_back(fmt::format("wish {} {}", q, numbers.below(n, 4)));
    else if (kind < 86)
      s.items.push_back(fmt::format("deaf {}", q));
    else if (kind < 90)
      s.items.push_back(fmt::format("sleep {}", q));
    else
      s.items.push_back(fmt::format("wait {}", numbers.below(n, 300)));
  }
  for (std::uint64_t q = 0; q < count; ++q)
    s.items.push_back(fmt::format("sleep {}", q));
  return s;
}

std::vector<Item> simpler_ring_items(const Item& item) {
  std::istringstream words(item);
  std::vector<std::string> all;
  for (std::string word; words >> word;)
    all.push_back(word);
  std::vector<Item> simpler;
  const auto without = [&](std::size_t i) {
    auto fewer = all;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    return fmt::format("{}", fmt::join(fewer, " "));
  };
  if (all[0] == "wait" && all[1] != "0")
    simpler.push_back(fmt::format("wait {}", std::stoul(all[1]) / 2));
  if (all[0] == "wish" && all[2] != "0") simpler.push_back(fmt::format("wish {} 0", all[1]));
  if (all[0] == "quiesce") simpler.push_back(fmt::format("reset {}", all[1]));
  if (all[0] != "chain") return simpler;
  const auto segments = std::count_if(all.begin() + 2, all.end(), [](const std::string& w) {
    return (w[0] == 'r' || w[0] == 'w') && w.size() > 1 && w[1] >= '0' && w[1] <= '9';
  });
  for (std::size_t i = 2; i < all.size(); ++i) {
    const bool segment =
        (all[i][0] == 'r' || all[i][0] == 'w') && all[i][1] >= '0' && all[i][1] <= '9';
    if (!segment || segments > 1) simpler.push_back(without(i));
    if (segment && all[i].substr(1) != "16" && all[i].substr(1) != "0") {
      auto shorter = all;
      shorter[i] = fmt::format("{}16", all[i][0]);
      simpler.push_back(fmt::format("{}", fmt::join(shorter, " ")));
    }
  }
  return simpler;
}

std::vector<Stimulus> simpler_ring_settings(const Stimulus& stimulus) {
  std::vector<Stimulus> simpler;
  for (const char* name : {"stall", "groups", "spread", "slow", "latency", "start", "in_order",
                           "indirect", "event_idx", "notification_data"})
    if (stimulus.number(name) != 0) {
      Stimulus s = stimulus;
      s.settings[name] = std::to_string(0);
      simpler.push_back(s);
    }
  // Queues that no item names.
  std::uint64_t highest = 0;
  for (const Item& item : stimulus.items) {
    std::istringstream words(item);
    std::string what;
    std::uint64_t queue = 0;
    words >> what >> queue;
    if (what != "wait") highest = std::max(highest, queue);
  }
  if (stimulus.number("queues", 1) > highest + 1) {
    Stimulus s = stimulus;
    s.settings["queues"] = std::to_string(highest + 1);
    simpler.push_back(s);
  }
  return simpler;
}

} // namespace virtio::rtl::cosim
