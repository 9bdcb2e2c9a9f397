#include <virtio/rtl/cosim/ring_bench.hpp>
#include <virtio/rtl/cosim/ring_case.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

namespace virtio::rtl::cosim {

const std::vector<RingProfile>& ring_profiles() {
  static const std::vector<RingProfile> profiles{
      {.name = "default",
       .text = "every feature, several queues, mistakes, faults of memory, resets, back-pressure",
       .items = 80,
       .queues = 4,
       .mistakes = 5,
       .resets = 3,
       .faults = 1,
       .stall = 40,
       .halts = 20,
       .bursts = 10,
       .rare = 20},
      {.name = "legal",
       .text = "drivers that make no mistake, no resets",
       .queues = 4,
       .stall = 40,
       .bursts = 10,
       .rare = 20},
      {.name = "hostile",
       .text = "short cases, mistakes and faults of memory everywhere",
       .items = 40,
       .queues = 2,
       .mistakes = 40,
       .resets = 15,
       .faults = 8,
       .stall = 20,
       .halts = 40,
       .rare = 20},
      {.name = "reset",
       .text = "resets at any moment",
       .items = 60,
       .queues = 3,
       .resets = 25,
       .stall = 40,
       .halts = 20,
       .bursts = 10,
       .rare = 20},
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
                        mistake == Mistake::table_next || mistake == Mistake::table_wrap;
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
    const bool at_the_end = length != 0 && choose.chance(n + 50, 2) && i + 1 == count;
    item += fmt::format(" {}{}{}", i < readable ? 'r' : 'w', length, at_the_end ? "end" : "");
  }
  // As much as a chain may have.
  if (mistake == Mistake::none && choose.chance(n + 51, 1) && size > 1)
    item = fmt::format("chain {} w4294967295 w1", queue);
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
  const Choice places(seed, "misplaced");
  const Choice bursts(seed, "burst");
  const Choice rare(seed, "rare");
  Stimulus s;
  const auto set = [&](const char* name, std::uint64_t value) {
    s.settings[name] = std::to_string(value);
  };
  const bool packed = settings.chance(0, 50);
  const std::uint64_t count = 1 + settings.below(1, p.queues);
  static constexpr std::uint64_t sizes[] = {1, 2, 4, 8, 16, 16, 32, 64, 256};
  static constexpr std::uint64_t odd[] = {1, 2, 3, 5, 7, 12, 16, 33, 100};
  const std::uint64_t size =
      rare.chance(0, p.rare / 10) ? 32768 : (packed ? odd : sizes)[settings.below(2, 9)];
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
  // Every bit of an address.
  const std::uint64_t origin =
      settings.chance(16, 60) ? settings.at(17) >> settings.below(18, 40) : 0;
  constexpr std::uint64_t last = ~std::uint64_t{0xfff} - (std::uint64_t{1} << 36);
  // Or an end of 4 GiB among the first ring's descriptors, or in the used or available ring behind.
  const auto entries = static_cast<std::uint16_t>(size);
  const std::uint64_t there =
      rare.chance(2, 50) ? 16 * (1 + rare.below(3, size))
      : !packed && size > 1 && rare.chance(11, 40)
          ? RingDriver::offset_of_used(entries) + 16 * (1 + rare.below(3, size / 2))
          : RingDriver::offset_of_available(entries) + 16 * (1 + rare.below(3, size / 8 + 1));
  set("origin", rare.chance(4, p.rare) ? 0x1'0000'0000 - RingBench::first_ring - there
                                       : std::min(origin, last) & ~std::uint64_t{0xfff});
  set("function", settings.chance(19, 40) ? settings.below(20, 0xfff0) : 0);
  const std::uint64_t slower = rare.chance(1, p.rare / 2) ? 16 : 1;
  set("latency", slower * settings.below(9, p.latency + 1));
  set("spread", slower * settings.below(10, p.latency + 1));
  set("slow", settings.below(11, 200));
  set("stall", settings.below(12, p.stall + 1));
  set("halt", settings.chance(21, p.halts) ? settings.below(22, 80) : 0);
  set("groups", settings.chance(13, 40) ? settings.below(14, 60) : 0);
  set("credits", rare.chance(5, p.rare) ? 1 + rare.below(6, 6) : 0);
  set("hoard", rare.chance(10, 50));
  set("stragglers", rare.chance(7, p.rare) ? 1 + rare.below(8, 3) : 0);
  set("late", p.resets != 0 && rare.chance(9, 50) ? 50 : 0);
  for (std::uint64_t n = 0; n < p.items; ++n) {
    const std::uint64_t q = queues.below(n, count);
    const std::uint64_t kind = kinds.below(n, 100);
    if (faults.chance(2 * n, p.faults))
      s.items.push_back(fmt::format("fault {} {}", q, faults.below(2 * n + 1, 12)));
    if (kind < p.resets && places.chance(2 * n, 20))
      s.items.push_back(fmt::format("misplace {} {}", q, places.below(2 * n + 1, num_misplaced)));
    else if (kind < p.resets && numbers.chance(n, 50))
      s.items.push_back(fmt::format("quiesce {}{}", q, numbers.chance(~n, 50) ? " now" : ""));
    else if (kind < p.resets)
      s.items.push_back(fmt::format("reset {}", q));
    else if (kind < 50 && bursts.chance(n, p.bursts))
      s.items.push_back(
          fmt::format("burst {} {}", q, 1 + bursts.below(~n, std::min<std::uint64_t>(size, 300))));
    else if (kind < 50)
      s.items.push_back(chain_item(chains, n, q, p.mistakes, size));
    else if (kind < 50 + p.resets / 3) { // while a chain is on its way
      s.items.push_back(chain_item(chains, n, q, 2 * p.mistakes, size));
      s.items.push_back(fmt::format("kick {}", q));
      s.items.push_back(fmt::format("wait {}", numbers.below(n, 300)));
      s.items.push_back(fmt::format("reset {}", q));
    } else if (kind < 75)
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

std::uint64_t ring_requests(const Stimulus& stimulus) {
  std::uint64_t requests = 0;
  for (const Item& item : stimulus.items) {
    std::istringstream words(item);
    std::string what;
    std::uint64_t queue = 0, count = 0;
    words >> what >> queue >> count;
    requests += what == "chain" ? 1 : what == "burst" ? count : 0;
  }
  return requests;
}

std::uint64_t ring_weight(const Stimulus& stimulus) {
  return std::max(ring_requests(stimulus), 2 * stimulus.number("queues", 1));
}

namespace {

/// Not a mistake's name.
bool is_segment(const std::string& word) {
  return word.size() > 1 && (word[0] == 'r' || word[0] == 'w') && word[1] >= '0' && word[1] <= '9';
}

} // namespace

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
  if (all[0] == "burst" && all[2] != "1") {
    simpler.push_back(fmt::format("burst {} {}", all[1], std::stoul(all[2]) / 2));
    simpler.push_back(fmt::format("burst {} {}", all[1], std::stoul(all[2]) - 1));
  }
  if (all[0] == "quiesce" || all[0] == "misplace")
    simpler.push_back(fmt::format("reset {}", all[1]));
  if (all[0] != "chain") return simpler;
  const auto segments = std::count_if(all.begin() + 2, all.end(), is_segment);
  for (std::size_t i = 2; i < all.size(); ++i) {
    const bool segment = is_segment(all[i]);
    if (!segment || segments > 1) simpler.push_back(without(i));
    if (segment && all[i].substr(1) != "16" && all[i].substr(1) != "0") {
      auto shorter = all;
      shorter[i] = fmt::format("{}16", all[i][0]);
      simpler.push_back(fmt::format("{}", fmt::join(shorter, " ")));
    }
  }
  return simpler;
}

namespace {

/// How far an item moves the ring on, where all of it is right.
std::uint64_t slots_of(const Item& item, bool packed) {
  std::istringstream words(item);
  std::string what;
  std::uint64_t queue = 0, slots = 0;
  words >> what >> queue;
  if (what == "burst") words >> slots;
  if (what != "chain") return slots;
  bool indirect = false;
  for (std::string word; words >> word;) {
    indirect |= word == "indirect";
    slots += is_segment(word);
  }
  return packed && !indirect ? slots : 1;
}

/// Chains move the ring on, which `start` does too: without one of them, or all up to it.
std::vector<Stimulus> with_a_start(const Stimulus& stimulus) {
  std::vector<Stimulus> simpler;
  const std::uint64_t size = stimulus.number("size", 16);
  const bool packed = stimulus.number("packed") != 0;
  const std::uint64_t most = packed ? 2 * size : 0x10000;
  const auto without = [&](std::size_t from, std::size_t to, std::uint64_t slots) {
    Stimulus& s = simpler.emplace_back(stimulus);
    s.settings["start"] = std::to_string((stimulus.number("start") + slots) % most);
    const auto at = [&](std::size_t i) { return s.items.begin() + static_cast<std::ptrdiff_t>(i); };
    s.items.erase(at(from), at(to));
  };
  std::uint64_t before = 0;
  for (std::size_t i = 0; i < stimulus.items.size(); ++i) {
    const std::uint64_t slots = slots_of(stimulus.items[i], packed);
    if (slots == 0) continue;
    before += slots;
    without(0, i + 1, before);
    if (i != 0) without(i, i + 1, slots);
  }
  return simpler;
}

/// Without the queues that no item names: without those in between, or those above the highest.
std::vector<Stimulus> with_fewer_queues(const Stimulus& stimulus) {
  const auto queue_of = [](const Item& item) {
    std::istringstream words(item);
    std::string what;
    std::uint64_t queue = 0;
    words >> what >> queue;
    return what == "wait" ? std::nullopt : std::optional(queue);
  };
  std::map<std::uint64_t, std::uint64_t> named; // to a number without gaps
  for (const Item& item : stimulus.items)
    if (const auto queue = queue_of(item)) named[*queue] = 0;
  std::vector<Stimulus> fewer;
  if (named.empty()) {
    if (stimulus.number("queues", 1) > 1) fewer.emplace_back(stimulus).settings["queues"] = "1";
    return fewer;
  }
  std::uint64_t count = 0;
  for (auto& [queue, number] : named)
    number = count++;

  const std::uint64_t highest = named.rbegin()->first;
  // One that is idle may matter.
  for (std::uint64_t queues = count; queues <= count + 1 && queues <= highest; ++queues) {
    Stimulus& s = fewer.emplace_back(stimulus);
    s.settings["queues"] = std::to_string(queues);
    for (Item& item : s.items)
      if (const auto queue = queue_of(item)) {
        const std::size_t at = item.find(' ') + 1;
        item.replace(at, std::min(item.find(' ', at), item.size()) - at,
                     std::to_string(named[*queue]));
      }
  }
  if (highest + 1 < stimulus.number("queues", 1))
    fewer.emplace_back(stimulus).settings["queues"] = std::to_string(highest + 1);
  return fewer;
}

} // namespace

std::vector<Stimulus> simpler_ring_settings(const Stimulus& stimulus) {
  std::vector<Stimulus> simpler;
  for (const char* name : {"stall", "halt", "groups", "spread", "slow", "latency", "start",
                           "in_order", "indirect", "event_idx", "notification_data", "origin",
                           "function", "stragglers", "late", "hoard", "credits"})
    if (stimulus.number(name) != 0) {
      Stimulus s = stimulus;
      s.settings[name] = std::to_string(0);
      simpler.push_back(s);
    }
  const auto with = [&](const char* name, std::uint64_t value) {
    simpler.emplace_back(stimulus).settings[name] = std::to_string(value);
  };
  if (stimulus.number("credits") > 1) with("credits", 1);
  if (const auto size = stimulus.number("size", 16); size > 1) {
    with("size", size / 2); // of a power of two another
    if (stimulus.number("packed") != 0) with("size", size - 1);
  }
  for (Stimulus& s : with_fewer_queues(stimulus))
    simpler.push_back(std::move(s));
  for (Stimulus& s : with_a_start(stimulus))
    simpler.push_back(std::move(s));
  return simpler;
}

} // namespace virtio::rtl::cosim
