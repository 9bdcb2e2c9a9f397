// What `virtio-tlm cosim` starts: Verilated RTL beside the models.
#include <virtio/rtl/cosim/program/ring.hpp>
#include <virtio/rtl/cosim/program/rss.hpp>

namespace {

constexpr int bad_usage = 2;

} // namespace

int main(int argc, char** argv) {
  CLI::App app("RTL beside the models, on random cases", "virtio-tlm cosim");
  app.require_subcommand(1);
  const auto ring = virtio::rtl::cosim::add_ring(app);
  const auto rss = virtio::rtl::cosim::add_rss(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : bad_usage;
  }
  return app.got_subcommand("ring") ? ring() : rss();
}
