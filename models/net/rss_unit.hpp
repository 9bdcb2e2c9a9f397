// Hardware in place of the model's own hashes: an RSS block in RTL, for example. It is told what
// the driver asks for and says of each received packet what hash it has and which pair it is for.
#pragma once

#include <virtio/net/hash.hpp>

#include <array>
#include <string>
#include <vector>

namespace virtio::net {

struct RssUnitSetup {
  HashRules rules;
  std::array<std::uint8_t, used_key_bytes> key{};
  std::vector<std::uint16_t> table{0}; ///< of pairs; a power of two
  std::uint16_t unclassified = 0;      ///< a pair
};

class RssUnit {
public:
  virtual ~RssUnit() = default;
  /// Holds for the packets that follow.
  virtual void configure(const RssUnitSetup& setup) = 0;
  struct Verdict {
    HashResult hash;
    std::uint16_t pair = 0;
  };
  virtual Verdict judge(Frame packet) = 0;
  /// Why its verdicts cannot be relied on, as a sentence; empty while they can.
  virtual const std::string& problem() const = 0;
};

} // namespace virtio::net
