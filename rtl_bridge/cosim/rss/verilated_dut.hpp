// The Verilated rss_hash, of any data width, as a Dut. Includes Verilator's headers.
#pragma once

#include <virtio/rtl/cosim/rss/dut.hpp>
#include <virtio/rtl/verilated/clocked.hpp>

#include <cstring>

namespace virtio::rtl::cosim::rss {

template <class Model> class VerilatedDut final : public Dut {
public:
  VerilatedDut(const DutParams& params, std::uint32_t seed) : params_(params), clocked_(seed) {}

  DutParams params() const override { return params_; }
  Outputs cycle(const Inputs& inputs) override {
    Model& pins = clocked_.pins();
    pins.rst_n = !inputs.reset;
    pins.s_axis_tvalid = inputs.packet_valid;
    pins.s_axis_tlast = inputs.packet_last;
    if (inputs.packet_valid) {
      pins.s_axis_tkeep = static_cast<decltype(pins.s_axis_tkeep + 0)>(inputs.packet_keep);
      std::memcpy(&pins.s_axis_tdata[0], inputs.packet_data, params_.beat_bytes);
    }
    pins.cfg_valid = inputs.config_valid;
    pins.cfg_last = inputs.config_last;
    pins.cfg_address = inputs.config_address;
    pins.cfg_data = inputs.config_data;
    pins.result_ready = inputs.result_ready;
    clocked_.settle();
    const Outputs outputs{pins.s_axis_tready != 0,
                          pins.cfg_ready != 0,
                          pins.result_valid != 0,
                          {.hash = pins.result_hash,
                           .hashed = pins.result_hashed != 0,
                           .report = pins.result_report,
                           .tunnel = pins.result_tunnel_report,
                           .queue = pins.result_queue,
                           .drop = pins.result_drop != 0}};
    clocked_.tick();
    return outputs;
  }
  int failed_assertions() const override { return clocked_.failed_assertions(); }
  void write_waves(const std::filesystem::path& file, std::uint64_t from,
                   std::uint64_t to) override {
    clocked_.write_waves(file, {from, to});
  }
  void write_coverage(const std::filesystem::path& file) override { clocked_.write_coverage(file); }

private:
  DutParams params_;
  verilated::Clocked<Model> clocked_;
};

} // namespace virtio::rtl::cosim::rss
