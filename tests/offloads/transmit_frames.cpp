// Sends packets through a network device with every transmit offload, for check-offloads. Standard
// input: for each packet its length (le32), then virtio_net_hdr and packet. Standard output: for
// each packet the number of frames (le32), for each frame its length (le32) and its bytes.
#include "models/net_bench.hpp"

#include <cstdio>

namespace virtio::net {
namespace {

bool read_bytes(void* to, std::size_t size) {
  return std::fread(to, 1, size, stdin) == size;
}
void write_number(std::size_t number) {
  const le32 n = static_cast<std::uint32_t>(number);
  std::fwrite(static_cast<const void*>(&n), 1, sizeof n, stdout);
}

int run() {
  auto made = std::make_unique<TestWire>();
  TestWire& wire = *made;
  test::FunctionBench bench(
      std::make_unique<Net>(NetParams{.mtu = 65'535, .features = plain_features}, std::move(made)));
  // VIRTIO_NET_F_GUEST_HDRLEN makes hdr_len exact; without it, it is a hint.
  bench.start(bench.function().features());
  le32 size;
  while (read_bytes(&size, sizeof size)) {
    test::Bytes packet(size);
    if (!read_bytes(packet.data(), packet.size())) return 1;
    wire.sent.clear();
    const auto& request = bench.submit(Net::transmitq, packet, {});
    bench.run();
    if (!request.completed) return 1;
    write_number(wire.sent.size());
    for (const test::Bytes& frame : wire.sent) {
      write_number(frame.size());
      std::fwrite(frame.data(), 1, frame.size(), stdout);
    }
  }
  return 0;
}

} // namespace
} // namespace virtio::net

int main() {
  return virtio::net::run();
}
