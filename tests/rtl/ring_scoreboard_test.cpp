// The ring scoreboard on recorded streams: those of both model engines are clean; with one event
// dropped, doubled, moved or altered they are not, and the rule is named.
#include "rtl/recorded_ring.hpp"

#include <virtio/rtl/scoreboard/ring_scoreboard.hpp>

#include <gtest/gtest.h>

namespace virtio::rtl {
namespace {

using test::RecordedRing;
using test::RingCase;
using Stream = std::vector<BoundaryEvent>;

std::vector<Violation> judge(const Stream& events) {
  RingScoreboard scoreboard;
  for (const BoundaryEvent& e : events)
    scoreboard.on_boundary(e);
  scoreboard.settle(events.empty() ? 0 : events.back().cycle);
  return scoreboard.violations();
}

std::string messages(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& v : violations)
    text += v.message() + "\n";
  return text;
}

std::vector<RingCase> all_cases() {
  std::vector<RingCase> cases;
  for (unsigned bits = 0; bits < 32; ++bits)
    cases.push_back({.packed = (bits & 1) != 0,
                     .event_idx = (bits & 2) != 0,
                     .indirect = (bits & 4) != 0,
                     .in_order = (bits & 8) != 0,
                     .timed = (bits & 16) != 0});
  for (const bool timed : {false, true})
    cases.push_back({.event_idx = true, .timed = timed, .start = 0xfff0});
  return cases;
}

class LegalStream : public testing::TestWithParam<RingCase> {};

TEST_P(LegalStream, IsClean) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    RecordedRing ring(GetParam(), seed);
    ring.traffic(400);
    RingScoreboard scoreboard;
    for (const BoundaryEvent& e : ring.events)
      scoreboard.on_boundary(e);
    scoreboard.settle(ring.events.back().cycle);
    ASSERT_TRUE(scoreboard.clean()) << "seed " << seed << "\n" << messages(scoreboard.violations());
    EXPECT_GT(ring.submitted(), 20u);
    EXPECT_EQ(scoreboard.emitted(), ring.submitted());
    EXPECT_EQ(scoreboard.published(), ring.submitted());
  }
}

// A driver that breaks the ring, and a reset after which it works again.
TEST_P(LegalStream, OfABrokenRingIsCleanToo) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    RecordedRing ring(GetParam(), seed);
    ring.enable();
    ring.submit();
    ring.submit(true);
    ring.submit();
    ring.finish();
    EXPECT_EQ(std::count_if(ring.events.begin(), ring.events.end(),
                            [](const auto& e) { return e.group == Group::error; }),
              1);
    ring.reset();
    const auto violations = judge(ring.events);
    ASSERT_TRUE(violations.empty()) << "seed " << seed << "\n" << messages(violations);
  }
}

// At any moment.
TEST_P(LegalStream, WithAResetIsClean) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    RecordedRing ring(GetParam(), seed);
    ring.enable();
    for (unsigned i = 0; i < 4; ++i)
      ring.submit();
    ring.publish();
    ring.doorbell();
    ring.pass(seed * 100);
    ring.complete();
    ring.pass(ring.random().below(100));
    ring.reset();
    const auto violations = judge(ring.events);
    ASSERT_TRUE(violations.empty()) << "seed " << seed << "\n" << messages(violations);
  }
}

TEST_P(LegalStream, OfAQuiescedQueueIsClean) {
  RecordedRing ring(GetParam(), 1);
  ring.enable();
  ring.submit();
  ring.submit();
  ring.finish();
  ring.submit();
  ring.quiesce();
  ring.finish();
  ring.read_state();
  const auto violations = judge(ring.events);
  EXPECT_TRUE(violations.empty()) << messages(violations);
}

INSTANTIATE_TEST_SUITE_P(All, LegalStream, testing::ValuesIn(all_cases()),
                         [](const auto& i) { return i.param.name(); });

// --- one event wrong ----------------------------------------------------------------------------

std::size_t find(const Stream& s, const std::function<bool(const BoundaryEvent&)>& is,
                 std::size_t from = 0) {
  for (std::size_t i = from; i < s.size(); ++i)
    if (is(s[i])) return i;
  ADD_FAILURE() << "the stream has no such event";
  return 0;
}
auto group(Group g) {
  return [g](const BoundaryEvent& e) { return e.group == g; };
}
auto access(Group g, AccessKind kind) {
  return [=](const BoundaryEvent& e) { return e.group == g && e.kind == kind; };
}
void drop(Stream& s, std::size_t i) {
  s.erase(s.begin() + static_cast<std::ptrdiff_t>(i));
}
void insert(Stream& s, std::size_t i, const BoundaryEvent& e) {
  s.insert(s.begin() + static_cast<std::ptrdiff_t>(i), e);
}
void move(Stream& s, std::size_t from, std::size_t to) {
  const BoundaryEvent e = s[from];
  drop(s, from);
  insert(s, to, e);
}
void drop_access(Stream& s, std::size_t request, Group answer) {
  const std::uint16_t tag = s[request].tag;
  for (bool last = false; !last;) {
    const std::size_t i = find(
        s, [&](const auto& e) { return e.group == answer && e.tag == tag; }, request);
    last = s[i].last || answer == Group::write_response;
    drop(s, i);
  }
  drop(s, request);
}
// A read is asked for earlier, with a tag that is free there.
void move_read(Stream& s, std::size_t from, std::size_t to) {
  const std::uint16_t tag = s[from].tag;
  for (std::size_t i = from + 1;; ++i)
    if (s[i].group == Group::read_response && s[i].tag == tag) {
      s[i].tag = 99;
      if (s[i].last) break;
    }
  s[from].tag = 99;
  move(s, from, to);
}
BoundaryEvent of(Group g) {
  BoundaryEvent e;
  e.group = g;
  return e;
}

struct Wrong {
  const char* name;
  RingRule rule;
  RingCase ring;
  /// What happens on the ring, and then to its stream.
  void (*record)(RecordedRing&);
  void (*change)(Stream&);
};

// Three chains one after the other; the driver wants to hear of each.
void three(RecordedRing& ring) {
  ring.enable();
  for (unsigned i = 0; i < 3; ++i) {
    ring.submit();
    ring.memory()[test::SplitRingDriver::avail_at] = std::byte{0};
    ring.finish();
  }
}
// Two chains at once, completed one after the other.
void two(RecordedRing& ring) {
  ring.enable();
  ring.submit();
  ring.submit();
  ring.memory()[test::SplitRingDriver::avail_at] = std::byte{0};
  ring.finish();
}
void broken_ring(RecordedRing& ring) {
  ring.enable();
  ring.submit(true);
  ring.finish();
}
void three_and_reset(RecordedRing& ring) {
  three(ring);
  ring.reset();
}
void quiesced(RecordedRing& ring) {
  three(ring);
  ring.quiesce();
  ring.read_state();
}

constexpr RingCase split{}, packed{.packed = true}, event{.event_idx = true},
    packed_event{.packed = true, .event_idx = true}, indirect{.indirect = true};

const Wrong wrong[] = {
    {"RefusesGoodSetUp", RingRule::enable, split, three,
     [](Stream& s) { s[find(s, group(Group::response))].code = RingError::misaligned; }},
    {"NoResponse", RingRule::response, split, three,
     [](Stream& s) { drop(s, find(s, group(Group::response))); }},
    {"TwoResponses", RingRule::response, split, three_and_reset,
     [](Stream& s) { s.push_back(s.back()); }},
    {"ReadAfterReset", RingRule::stray, split, three_and_reset,
     [](Stream& s) { s.push_back(s[find(s, group(Group::read_request))]); }},
    {"InterruptAfterReset", RingRule::stray, split, three_and_reset,
     [](Stream& s) { s.push_back(of(Group::interrupt)); }},
    {"ResetBeforeAnAnswer", RingRule::reset, split, three_and_reset,
     [](Stream& s) {
       BoundaryEvent read = s[find(s, group(Group::read_request))];
       insert(s, s.size() - 3, read);
     }},
    {"ResetWithoutAbort", RingRule::abort, split, three_and_reset,
     [](Stream& s) { drop(s, find(s, group(Group::abort))); }},
    {"ChainAfterQuiesce", RingRule::quiesce, split, three,
     [](Stream& s) {
       BoundaryEvent e = of(Group::command);
       e.command = Command::quiesce;
       const std::size_t at = find(s, group(Group::segment));
       insert(s, at, e);
       e.group = Group::response;
       insert(s, at + 1, e);
     }},
    {"StateOfAnotherIndex", RingRule::state, split, quiesced,
     [](Stream& s) { ++s.back().progress.next_avail.index; }},
    {"StateOfAnotherWrap", RingRule::state, packed, quiesced,
     [](Stream& s) { s.back().progress.next_used.wrap ^= true; }},
    {"StateOfAnotherCount", RingRule::state, split, quiesced,
     [](Stream& s) { ++s.back().progress.outstanding; }},
    {"TagTwice", RingRule::tag, split, three,
     [](Stream& s) {
       const std::size_t i = find(s, group(Group::read_request));
       insert(s, i, s[i]);
     }},
    {"WriteTagTwice", RingRule::tag, split, three,
     [](Stream& s) {
       const std::size_t i = find(s, group(Group::write_request));
       insert(s, i, s[i]);
     }},
    {"AnswerTwice", RingRule::tag, split, three,
     [](Stream& s) {
       const std::size_t i = find(s, group(Group::read_response));
       insert(s, i, s[i]);
     }},
    {"ReadBehindTheRing", RingRule::address, split, three,
     [](Stream& s) {
       auto& e = s[find(s, access(Group::read_request, AccessKind::descriptor))];
       e.address = e.address + 16 * RecordedRing::size;
     }},
    {"UsedWrittenElsewhere", RingRule::address, split, three,
     [](Stream& s) {
       auto& e = s[find(s, access(Group::write_request, AccessKind::used))];
       e.address = e.address + 8 * RecordedRing::size;
     }},
    {"WithoutCredit", RingRule::credit, split, three,
     [](Stream& s) { drop(s, find(s, group(Group::credit))); }},
    {"ChainNumberSkipped", RingRule::chain_id, split, three,
     [](Stream& s) {
       for (auto& e : s)
         if (e.group == Group::segment && e.chain > 0) ++e.chain;
     }},
    {"LastSegmentUnmarked", RingRule::framing, split, two,
     [](Stream& s) {
       s[find(s, [](const auto& e) { return e.group == Group::segment && e.last; })].last = false;
     }},
    {"FirstSegmentUnmarked", RingRule::framing, split, three,
     [](Stream& s) { s[find(s, group(Group::segment))].first = false; }},
    {"StateWithinAChain", RingRule::framing, split, quiesced,
     [](Stream& s) {
       BoundaryEvent e = of(Group::segment);
       e.chain = 3;
       e.first = true;
       insert(s,
              find(s,
                   [](const auto& r) {
                     return r.group == Group::response && r.command == Command::quiesce;
                   }),
              e);
     }},
    {"TableReadPastItsEnd", RingRule::address, indirect, three,
     [](Stream& s) {
       s[find(s, access(Group::read_request, AccessKind::indirect))].length += 4096;
     }},
    {"EntryReadBeforeTheIndexIsKnown", RingRule::proof, split, three,
     [](Stream& s) {
       const std::size_t index = find(s, group(Group::read_response));
       move_read(s, find(s, group(Group::read_request), index), index);
     }},
    {"DescriptorReadBeforeTheIndexIsKnown", RingRule::proof, split, three,
     [](Stream& s) {
       const std::size_t index = find(s, group(Group::read_response));
       move_read(s, find(s, access(Group::read_request, AccessKind::descriptor), index), index);
     }},
    {"DescriptorNeverRead", RingRule::proof, packed, three,
     [](Stream& s) {
       drop_access(s, find(s, access(Group::read_request, AccessKind::descriptor)),
                   Group::read_response);
     }},
    {"SegmentOfAnotherLength", RingRule::segment, split, three,
     [](Stream& s) { ++s[find(s, group(Group::segment))].length; }},
    {"SegmentElsewhere", RingRule::segment, packed, three,
     [](Stream& s) {
       auto& e = s[find(s, group(Group::segment))];
       e.address = e.address + 1;
     }},
    {"SegmentOfAnotherDirection", RingRule::segment, split, three,
     [](Stream& s) { s[find(s, group(Group::segment))].writable ^= true; }},
    {"ErrorOutOfNothing", RingRule::error, split, three,
     [](Stream& s) {
       BoundaryEvent e = of(Group::error);
       e.code = RingError::chain_too_long;
       s.push_back(e);
     }},
    {"AnotherError", RingRule::error, split, broken_ring,
     [](Stream& s) { s[find(s, group(Group::error))].code = RingError::chain_too_long; }},
    {"ErrorDropped", RingRule::error_missed, split, broken_ring,
     [](Stream& s) { drop(s, find(s, group(Group::error))); }},
    {"ErrorDroppedPacked", RingRule::error_missed, packed, broken_ring,
     [](Stream& s) { drop(s, find(s, group(Group::error))); }},
    {"ChainAfterError", RingRule::after_error, split, broken_ring,
     [](Stream& s) {
       BoundaryEvent e = of(Group::segment);
       e.first = e.last = true;
       s.push_back(e);
     }},
    {"UsedBeforeItsCompletion", RingRule::used_early, split, three,
     [](Stream& s) { drop(s, find(s, group(Group::completion))); }},
    {"UsedBeforeItsCompletionPacked", RingRule::used_early, packed, three,
     [](Stream& s) { drop(s, find(s, group(Group::completion))); }},
    {"UsedLengthAltered", RingRule::used, split, three,
     [](Stream& s) {
       s[find(s, access(Group::write_request, AccessKind::used))].data[4] ^= std::byte{1};
     }},
    {"UsedIdAltered", RingRule::used, split, three,
     [](Stream& s) {
       s[find(s, access(Group::write_request, AccessKind::used))].data[0] ^= std::byte{1};
     }},
    {"UsedIdAlteredPacked", RingRule::used, packed, three,
     [](Stream& s) {
       s[find(s, access(Group::write_request, AccessKind::used))].data[4] ^= std::byte{1};
     }},
    {"UsedFlagsOfTheOtherRound", RingRule::used, packed, three,
     [](Stream& s) {
       auto& data = s[find(s, access(Group::write_request, AccessKind::used))].data;
       data[6] ^= std::byte{0x80};
       data[7] ^= std::byte{0x80};
     }},
    {"CompletionsSwapped", RingRule::used, split, two,
     [](Stream& s) {
       const std::size_t i = find(s, group(Group::completion));
       std::swap(s[i], s[find(s, group(Group::completion), i + 1)]);
     }},
    {"IndexBeforeElement", RingRule::used_order, split, three,
     [](Stream& s) {
       const std::size_t element = find(s, access(Group::write_request, AccessKind::used));
       const std::size_t index =
           find(s, access(Group::write_request, AccessKind::used), element + 1);
       s[index].tag = 99;
       s[find(s, group(Group::write_response), index)].tag = 99;
       move(s, index, element);
     }},
    {"FlagsBeforeId", RingRule::used_order, packed, three,
     [](Stream& s) {
       auto& e = s[find(s, access(Group::write_request, AccessKind::used))];
       e.strobes.assign(e.data.size(), true);
       e.strobes[4] = e.strobes[5] = false;
     }},
    {"IndexMayOvertakeElement", RingRule::used_order, split, three,
     [](Stream& s) {
       const std::size_t element = find(s, access(Group::write_request, AccessKind::used));
       const std::size_t index =
           find(s, access(Group::write_request, AccessKind::used), element + 1);
       s[index].tag = 99;
       s[find(s, group(Group::write_response), index)].tag = 99;
       move(s, find(s, group(Group::write_response), element), index);
     }},
    {"UsedGoesOnAfterAFailedWrite", RingRule::used_order, split, three,
     [](Stream& s) {
       const std::size_t element = find(s, access(Group::write_request, AccessKind::used));
       s[find(s, group(Group::write_response), element)].status = AccessStatus::bus_error;
     }},
    {"GroupInPart", RingRule::group, split, three,
     [](Stream& s) { s[find(s, group(Group::completion))].hints.more = true; }},
    {"GroupInPartPacked", RingRule::group, packed, three,
     [](Stream& s) { s[find(s, group(Group::completion))].hints.more = true; }},
    {"EventNotRead", RingRule::event, event,
     [](RecordedRing& ring) {
       ring.enable();
       ring.submit();
       ring.finish();
     },
     [](Stream& s) {
       drop_access(s, find(s, access(Group::read_request, AccessKind::driver_event)),
                   Group::read_response);
       std::erase_if(s, group(Group::interrupt));
     }},
    {"InterruptDropped", RingRule::interrupt_missed, split, two,
     [](Stream& s) {
       const auto i = std::find_if(s.rbegin(), s.rend(), group(Group::interrupt));
       ASSERT_NE(i, s.rend());
       s.erase(std::next(i).base());
     }},
    {"InterruptTwice", RingRule::interrupt_spurious, split, three,
     [](Stream& s) {
       const std::size_t i = find(s, group(Group::interrupt));
       insert(s, i, s[i]);
     }},
    {"InterruptBeforeItIsAskedFor", RingRule::interrupt_spurious, split, three,
     [](Stream& s) {
       move(s, find(s, group(Group::interrupt)),
            find(s, access(Group::read_request, AccessKind::driver_event)));
     }},
    {"AnotherVector", RingRule::vector, split, three,
     [](Stream& s) { s[find(s, group(Group::interrupt))].vector = 1; }},
    {"NotificationAskedForInHalf", RingRule::notify, packed_event, three,
     [](Stream& s) {
       s[find(s, access(Group::write_request, AccessKind::device_event))].data.resize(2);
     }},
    {"NotificationNotAskedFor", RingRule::notify, event, three,
     [](Stream& s) {
       for (std::size_t i = s.size(); i-- > 0;)
         if (access(Group::write_request, AccessKind::device_event)(s[i])) {
           drop_access(s, i, Group::write_response);
           return;
         }
     }},
    {"NotificationAskedForSomewhereElse", RingRule::notify, packed_event, three,
     [](Stream& s) {
       for (auto& e : s)
         if (access(Group::write_request, AccessKind::device_event)(e)) e.data[0] ^= std::byte{1};
     }},
    {"NotReadAfterAskingForANotification", RingRule::notify, event, three,
     [](Stream& s) {
       for (std::size_t i = s.size(); i-- > 0;)
         if (access(Group::read_request, AccessKind::available)(s[i])) {
           drop_access(s, i, Group::read_response);
           return;
         }
     }},
    {"DoorbellNotServed", RingRule::doorbell, split, three,
     [](Stream& s) { s.push_back(of(Group::doorbell)); }},
    {"DoorbellNotServedPacked", RingRule::doorbell, packed, three,
     [](Stream& s) { s.push_back(of(Group::doorbell)); }},
    {"ReadNotAnswered", RingRule::progress, split, three,
     [](Stream& s) {
       while (s.back().group != Group::read_response)
         s.pop_back();
       s.pop_back();
     }},
    {"ChainNotEmitted", RingRule::progress, split,
     [](RecordedRing& ring) {
       ring.enable();
       ring.submit();
       ring.publish();
       ring.doorbell();
       ring.pass(10'000);
     },
     [](Stream& s) { std::erase_if(s, group(Group::segment)); }},
    {"CompletionNotPublished", RingRule::progress, split, two,
     [](Stream& s) {
       while (s.back().group != Group::completion)
         s.pop_back();
     }},
};

class WrongStream : public testing::TestWithParam<Wrong> {};

TEST_P(WrongStream, IsRejectedByItsRule) {
  for (const bool timed : {false, true}) {
    RingCase c = GetParam().ring;
    c.timed = timed;
    RecordedRing ring(c, 7);
    GetParam().record(ring);
    ASSERT_TRUE(judge(ring.events).empty()) << messages(judge(ring.events));
    Stream altered = ring.events;
    GetParam().change(altered);
    const auto violations = judge(altered);
    ASSERT_FALSE(violations.empty());
    EXPECT_STREQ(id(violations.front().rule), id(GetParam().rule)) << messages(violations);
  }
}
INSTANTIATE_TEST_SUITE_P(Each, WrongStream, testing::ValuesIn(wrong),
                         [](const auto& i) { return std::string(i.param.name); });

TEST(RingScoreboard, EveryRuleHasAStreamThatBreaksIt) {
  std::set<RingRule> shown;
  for (const Wrong& w : wrong)
    shown.insert(w.rule);
#define RING_RULE(name, id, text) EXPECT_TRUE(shown.contains(RingRule::name)) << id;
#include <virtio/rtl/scoreboard/rules.def>
#undef RING_RULE
}

} // namespace
} // namespace virtio::rtl
