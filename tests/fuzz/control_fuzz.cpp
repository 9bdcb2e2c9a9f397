// The network device's control queue: commands of any bytes, cut in any way, between frames that
// arrive and leave, resets of queues and of the device. Every command is answered with one byte;
// what was refused has changed nothing that a frame or the configuration shows.
#include "fuzz/support.hpp"

#include <virtio/net/net.hpp>

#include <map>

namespace virtio::fuzz {
namespace {

using namespace net;

constexpr unsigned max_operations = 100;

class KeptWire final : public Wire {
public:
  void transmit(Frame) override {}
  using Wire::deliver;
};

/// Plays the device and the ring engine: chains are whole, memory answers at once.
class Host final : public FunctionHost {
public:
  explicit Host(const NetParams& params) {
    auto wire = std::make_unique<KeptWire>();
    wire_ = wire.get();
    net_ = std::make_unique<Net>(params, std::move(wire));
    net_->attach(*this);
    for (std::uint16_t i = 0; i < net_->num_queues(); ++i)
      scopes_.push_back(std::make_unique<Scope>(executor_, "queue"));
  }
  ~Host() override {
    scopes_.clear();
    net_.reset();
  }

  Dma dma(QueueIndex queue) override { return {port_, *scopes_.at(raw(queue)), raw(queue)}; }
  void complete(Chain& chain, std::uint32_t written, CompletionHints) override {
    require(written <= chain.writable_len, "no more is written than there is room for");
    require(done_.emplace(&chain, written).second, "a chain comes back once");
  }
  void fail(Chain& chain, RingError) override { done_.emplace(&chain, 0); }
  void config_changed() override {}
  bool coalesce(QueueIndex, const NotificationCoalescing&) override { return true; }
  bool live() const override { return live_; }
  bool queue_live(QueueIndex) const override { return true; }
  Executor& executor() override { return executor_; }
  const std::string& name() const override { return name_; }

  void start(FeatureSet features) {
    if (!net_->accepts(features)) features = net_->features();
    live_ = true;
    negotiated_ = features;
    net_->start(features);
  }
  void reset() {
    live_ = false;
    for (std::uint16_t i = 0; i < scopes_.size(); ++i) {
      net_->on_abort(QueueIndex{i});
      scopes_[i]->cancel();
      scopes_[i]->when_idle([this, i] { scopes_[i]->reopen(); });
    }
    executor_.run_until_idle();
    net_->reset();
    chains_.clear();
    done_.clear();
  }

  /// The answer; 0xff when the device has no control queue.
  std::uint8_t command(std::span<const std::byte> bytes, Input& cuts) {
    if (net_->window(net_->controlq()) == 0 || !negotiated_.has(VIRTIO_NET_F_CTRL_VQ)) return 0xff;
    std::ranges::copy(bytes, memory_.begin());
    Chain chain;
    chain.queue = net_->controlq();
    for (std::size_t at = 0; at < bytes.size();) {
      const auto size = static_cast<std::uint32_t>(
          std::min<std::size_t>(bytes.size() - at, cuts.u8() % 16u + (cuts.empty() ? 64u : 0u)));
      chain.pieces.push_back({GuestAddr{at}, size});
      at += size;
    }
    chain.readable_pieces = static_cast<std::uint32_t>(chain.pieces.size());
    chain.readable_len = bytes.size();
    chain.pieces.push_back({GuestAddr{answer_at}, 1});
    chain.writable_len = 1;
    memory_[answer_at] = std::byte{0x55};
    net_->on_chain(chain);
    executor_.run_until_idle();
    const auto found = done_.find(&chain);
    require(found != done_.end() && found->second == 1, "a command is answered with one byte");
    done_.erase(found);
    const auto ack = std::to_integer<std::uint8_t>(memory_[answer_at]);
    require(ack <= VIRTIO_NET_ERR, "it is VIRTIO_NET_OK or VIRTIO_NET_ERR");
    return ack;
  }
  /// Whether a frame to that address and VLAN is received.
  bool wants(std::array<std::byte, 60> frame) {
    const auto before = net_->stats().rx_filtered;
    wire_->deliver(frame);
    executor_.run_until_idle();
    return net_->stats().rx_filtered == before;
  }
  Net& net() { return *net_; }

private:
  static constexpr std::uint64_t answer_at = 0x1'8000;

  std::string name_ = "net";
  Executor executor_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(0x2'0000);
  HostMemoryPort port_{GuestAddr{0}, memory_};
  std::vector<std::unique_ptr<Scope>> scopes_;
  std::map<Chain*, std::uint32_t> done_;
  std::deque<Chain> chains_;
  KeptWire* wire_ = nullptr;
  std::unique_ptr<Net> net_;
  FeatureSet negotiated_;
  bool live_ = false;
};

std::array<std::byte, 60> frame_of(Input& input) {
  std::array<std::byte, 60> frame{};
  for (std::size_t i = 0; i < 6; ++i)
    frame[i] = static_cast<std::byte>(input.u8());
  if (input.u8() & 1) frame[12] = std::byte{0x81}; // a VLAN tag
  frame[14] = static_cast<std::byte>(input.u8());
  frame[15] = static_cast<std::byte>(input.u8());
  return frame;
}

void run(Input input) {
  Host host({.receive_frames = 4,
             .queue_pairs = static_cast<std::uint16_t>(1 + input.u8() % 4),
             .features = all_net_features});
  const auto features = [&] {
    FeatureSet set;
    set.set_word32(0, input.u32());
    set.set_word32(1, input.u32());
    return input.u8() & 1 ? set & host.net().features() : host.net().features();
  };
  host.start(features());
  std::vector<std::byte> bytes;
  for (unsigned i = 0; i < max_operations && !input.empty(); ++i) {
    switch (input.u8() % 8) {
    case 0:
      host.reset();
      host.start(features());
      break;
    case 1:
      host.net().announce();
      host.net().set_link(input.u8() & 1);
      break;
    case 2:
      host.wants(frame_of(input));
      break;
    default: {
      bytes.resize(input.u8() + (input.u8() & 7) / 7 * 1024u);
      for (std::byte& byte : bytes)
        byte = static_cast<std::byte>(input.u8());
      const auto probe = frame_of(input);
      const virtio_net_config before =
          *reinterpret_cast<const virtio_net_config*>(host.net().config().data());
      const bool wanted = host.wants(probe);
      if (host.command(bytes, input) == VIRTIO_NET_OK) break;
      require(host.wants(probe) == wanted, "a refused command does not change the filter");
      require(std::memcmp(&before, host.net().config().data(), sizeof before) == 0,
              "nor the configuration");
    }
    }
  }
}

} // namespace
} // namespace virtio::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  virtio::fuzz::run(virtio::fuzz::Input({data, size}));
  return 0;
}
