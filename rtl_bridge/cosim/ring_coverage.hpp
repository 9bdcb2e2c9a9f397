// What of a ring engine's work a set of cases has shown: a plan of bins and crosses over the events
// of its boundary, so that any ring engine has it, in any bench.
#pragma once

#include <virtio/rtl/boundary/events.hpp>
#include <virtio/rtl/cosim/coverage.hpp>

#include <map>
#include <set>

namespace virtio::rtl::cosim {

/// Groups, bins and crosses; what no case can reach is waived.
CoverPlan ring_cover_plan();

/// Counts into a plan that ring_cover_plan() made. One for each run.
class RingCoverage final : public BoundarySink {
public:
  explicit RingCoverage(CoverPlan& plan) : plan_(plan) {}
  void on_boundary(const BoundaryEvent& event) override;

private:
  struct Queue {
    QueueSetup setup;
    bool on = false; // enabling was answered, without an error
    std::uint16_t vector = 0;
    std::uint64_t reads = 0, writes = 0;         // open
    std::map<std::uint16_t, bool> with_function; // generations
    std::set<std::pair<std::uint16_t, bool>> aborted;
    std::uint16_t next_chain = 0;
    std::uint32_t segments = 0; // of the chain that comes
    bool readable = false, writable = false;
    bool in_chain = false;
    std::uint64_t bytes = 0; // of the chain that comes
    std::uint64_t credits = 0;
    bool few = false;            // credits for fewer chains than the ring has
    std::uint64_t emitted = 0;   // chains
    std::uint64_t rung = 0;      // how many they were at the last doorbell
    std::uint64_t published = 0; // used writes since the last look at the driver's wishes
    bool group = false;          // the last completion had `more`
    bool reset = false;          // is under way
    bool after_reset = false;
    bool looked = false; // at the driver's wishes, and no interrupt since
    std::string format() const;
    /// As it is before anything happened, but for what can come of before.
    void begin(QueueSetup with);
  };
  using Bins = std::vector<std::pair<std::string, std::string>>;

  void on_command(Queue& queue, const BoundaryEvent& event);
  void on_response(Queue& queue, const BoundaryEvent& event);
  void on_doorbell(Queue& queue, const BoundaryEvent& event);
  void on_interrupt(Queue& queue, const BoundaryEvent& event);
  void on_failure(const Queue& queue, AccessKind kind, AccessStatus status);
  void on_late_completion(Queue& queue, const BoundaryEvent& event);
  void found(const Queue& queue, const std::string& group);
  void on_segment(Queue& queue, const BoundaryEvent& event);
  void on_completion(Queue& queue, const BoundaryEvent& event);
  void on_read_answer(const BoundaryEvent& event);
  void hit(const Queue& queue, Bins bins) {
    bins.emplace_back("format", queue.format());
    plan_.hit(bins);
  }

  CoverPlan& plan_;
  std::map<std::uint16_t, Queue> queues_;
  struct Access {
    std::uint16_t queue = 0;
    std::uint64_t order = 0;
    AccessKind kind{};
  };
  std::map<std::uint16_t, Access> reads_, writes_; // by tag
  std::uint64_t order_ = 0;
};

} // namespace virtio::rtl::cosim
