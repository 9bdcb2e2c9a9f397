// What a driver of a network device may be caught at (virtio 1.4, 5.1): features, what it reads of
// the configuration, headers of transmitted packets, room for received ones, commands. Packets and
// commands are known from the device's reads of them, and judged when the driver has them back.
#pragma once

#include <virtio/analyser/buffer_content.hpp>
#include <virtio/analyser/type_rules.hpp>
#include <virtio/net/config.hpp>
#include <virtio/net/packet.hpp>

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace virtio::analyser {

class NetRules final : public TypeRules {
public:
  explicit NetRules(Report& report) : report_(report) {}

  void available(std::uint16_t queue, std::uint64_t number) override;
  void complete(std::uint16_t queue, std::uint64_t number, std::uint64_t readable_len,
                std::uint64_t writable_len) override;
  void data(std::uint16_t queue, std::uint64_t number, bool written, std::uint64_t offset,
            std::span<const std::byte> bytes) override;
  void used(std::uint16_t queue, std::uint64_t number) override;
  void caught_up(std::uint16_t queue) override;

  void features_settled(const FeatureSet& offered, const FeatureSet& accepted) override;
  void config_read(std::uint64_t offset, unsigned width, std::uint64_t value) override;
  void config_change_told() override;
  void queue_live(std::uint16_t queue) override;
  void queue_gone(std::uint16_t queue) override;
  void notified(std::uint16_t queue) override { queues_[queue].notified = true; }
  void reset() override;
  void finish() override;

private:
  enum class Role : std::uint8_t { unknown, receive, transmit, control };
  struct Queue {
    std::map<std::uint64_t, BufferContent> buffers; // the device's, by number
    bool was_live = false;                          // since the last reset of the device
    bool notified = false;                          // since the device last saw all there was
    bool populated = false;                         // some buffer was seen
    bool looked_into = false;    // seen to its end since the number of pairs was last set
    std::uint64_t unknown = 0;   // buffers whose lengths are not known
    std::uint64_t room = 0;      // device-writable bytes in `buffers`
    std::uint64_t best_room = 0; // the most that one packet could have had
  };
  /// A packet on a transmit queue that is not enabled, unless a command says so that the device has
  /// not read yet.
  struct Suspicion {
    Rule rule{};
    std::uint16_t queue = 0;
    std::string evidence;
  };

  template <class Evidence>
  void add(Rule rule, std::optional<std::uint16_t> queue, Evidence&& evidence) {
    report_.add(rule, queue, std::forward<Evidence>(evidence));
  }
  bool has(unsigned feature) const { return features_.has(feature); }
  Role role(std::uint16_t queue) const;
  std::size_t header_bytes() const;
  template <class Value> std::optional<Value> config(std::size_t offset) const;
  std::uint64_t room_for_mtu(std::uint16_t mtu) const;

  void receive_buffer(std::uint16_t queue, std::uint64_t room);
  void transmit_available(std::uint16_t queue);
  void confirm_suspicions();
  void judge_session();
  void judge_receive_room();
  void judge_addresses();
  void judge_multiqueue();

  // net_transmit_rules.cpp
  void transmitted(std::uint16_t queue, const BufferContent& content);
  void judge_header(std::uint16_t queue, const net::virtio_net_hdr& header);
  void judge_segmentation(std::uint16_t queue, const net::virtio_net_hdr& header);
  void judge_packet(std::uint16_t queue, const net::virtio_net_hdr& header, net::Frame packet);
  void judge_checksum(std::uint16_t queue, const net::virtio_net_hdr& header, net::Frame packet);
  void remember_source(net::Frame packet);

  // net_command_rules.cpp
  using Bytes = std::span<const std::byte>;
  void commanded(std::uint16_t queue, const BufferContent& content);
  void command(std::uint16_t queue, const net::virtio_net_ctrl& header, Bytes data, bool done);
  void command_rx(std::uint16_t queue, std::uint8_t command, Bytes data);
  void command_mac(std::uint16_t queue, std::uint8_t command, Bytes data);
  void command_mq(std::uint16_t queue, std::uint8_t command, Bytes data, bool done);
  void command_pairs(std::uint16_t queue, Bytes data, bool done);
  void command_rss(std::uint16_t queue, Bytes data, bool done);
  void command_hash(std::uint16_t queue, Bytes data);
  void command_offloads(std::uint16_t queue, Bytes data);
  void judge_hash_types(std::uint16_t queue, std::uint32_t types);
  void judge_key(std::uint16_t queue, Bytes data);
  void require(std::uint16_t queue, unsigned feature, const char* what);
  void require_length(std::uint16_t queue, Bytes data, std::size_t length, const char* what);
  void transmit_queues_set(std::uint16_t pairs);

  Report& report_;
  std::size_t kept_ = 0; // bytes in all buffers
  FeatureSet features_;
  std::array<std::optional<std::uint8_t>, sizeof(net::virtio_net_config)> config_{};
  std::map<std::uint16_t, Queue> queues_;
  std::vector<Suspicion> suspicions_;
  std::uint16_t transmit_pairs_ = 1; // that may be used
  std::uint16_t receive_pairs_ = 1;  // that VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET enabled
  bool pairs_set_ = false;           // by any command

  std::uint64_t sent_ = 0;       // frames whose source is known
  std::uint64_t sent_mac_ = 0;   // with the device's own address
  std::uint64_t sent_local_ = 0; // with a locally administered address
  bool traffic_ = false;
  bool address_set_ = false;
  bool speed_due_ = false; // to be read again
  bool duplex_due_ = false;
  bool announce_due_ = false; // by a frame
  bool ack_due_ = false;      // of the announcement
};

} // namespace virtio::analyser
