// What always holds at the pins of rss_hash, for any bench: both streams stand while they are stalled, configuration and
// packets do not overlap, there is a result for every packet and no other. Taken in by naming this file after the RTL.
`default_nettype none
module rss_hash_assert #(
    parameter integer DATA_WIDTH = 512
) (
    input wire clk,
    input wire rst_n,
    input wire s_axis_tvalid,
    input wire s_axis_tready,
    input wire [DATA_WIDTH-1:0] s_axis_tdata,
    input wire [DATA_WIDTH/8-1:0] s_axis_tkeep,
    input wire s_axis_tlast,
    input wire cfg_valid,
    input wire cfg_ready,
    input wire [16:0] cfg_address,
    input wire [31:0] cfg_data,
    input wire cfg_last,
    input wire result_valid,
    input wire result_ready,
    input wire [31:0] result_hash,
    input wire result_hashed,
    input wire [3:0] result_report,
    input wire [1:0] result_tunnel_report,
    input wire [15:0] result_queue,
    input wire result_drop
);
  // Packets that have been taken and have no result, and whether one is on its way in.
  reg [31:0] owed_q;
  reg packet_q;
  reg change_q;
  wire taken = s_axis_tvalid && s_axis_tready;
  always @(posedge clk)
    if (!rst_n) begin
      owed_q <= 32'd0;
      packet_q <= 1'b0;
      change_q <= 1'b0;
    end else begin
      owed_q <= owed_q + {31'd0, taken && s_axis_tlast} - {31'd0, result_valid && result_ready};
      if (taken) packet_q <= !s_axis_tlast;
      if (cfg_valid && cfg_ready) change_q <= !cfg_last;
    end

  // The bench's part
  packet_stands: assert property (@(posedge clk) disable iff (!rst_n)
      s_axis_tvalid && !s_axis_tready |=> s_axis_tvalid && $stable(s_axis_tdata) &&
      $stable(s_axis_tkeep) && $stable(s_axis_tlast))
    else $error("rss_hash: a stalled beat has changed");
  packet_has_no_holes: assert property (@(posedge clk) disable iff (!rst_n)
      s_axis_tvalid |-> s_axis_tkeep[0] && (s_axis_tkeep & (s_axis_tkeep + 1'b1)) == '0 &&
      (s_axis_tlast || &s_axis_tkeep))
    else $error("rss_hash: the kept bytes of a beat do not stand together, or only the last beat may be partial");
  change_stands: assert property (@(posedge clk) disable iff (!rst_n)
      cfg_valid && !cfg_ready |=> cfg_valid && $stable(cfg_address) && $stable(cfg_data) && $stable(cfg_last))
    else $error("rss_hash: a stalled write of the configuration has changed");

  // The block's part
  result_stands: assert property (@(posedge clk) disable iff (!rst_n)
      result_valid && !result_ready |=> result_valid && $stable(result_hash) && $stable(result_hashed) &&
      $stable(result_report) && $stable(result_tunnel_report) && $stable(result_queue) && $stable(result_drop))
    else $error("rss_hash: a stalled result has changed");
  result_has_a_packet: assert property (@(posedge clk) disable iff (!rst_n) result_valid |-> owed_q != 32'd0)
    else $error("rss_hash: a result without a packet");
  result_is_whole: assert property (@(posedge clk) disable iff (!rst_n)
      result_valid |-> result_hashed == (result_report != 4'd0) && result_report <= 4'd9 &&
      (result_hashed || (result_hash == 32'd0 && result_tunnel_report == 2'd0)))
    else $error("rss_hash: a result contradicts itself");
  change_is_between_packets: assert property (@(posedge clk) disable iff (!rst_n)
      cfg_valid && cfg_ready |-> !packet_q && !taken && owed_q == 32'd0)
    else $error("rss_hash: configuration changes while a packet is in work");
  packets_wait_for_change: assert property (@(posedge clk) disable iff (!rst_n)
      taken && !packet_q |-> !change_q && !cfg_valid)
    else $error("rss_hash: a packet begins within a change of configuration");
  packet_flows: assert property (@(posedge clk) disable iff (!rst_n) packet_q |-> s_axis_tready)
    else $error("rss_hash: a packet that has begun is stalled");

  stalled_result: cover property (@(posedge clk) result_valid && !result_ready);
  stalled_packet: cover property (@(posedge clk) s_axis_tvalid && !s_axis_tready);
  pending_change: cover property (@(posedge clk) cfg_valid && !cfg_ready);
endmodule

bind rss_hash rss_hash_assert #(.DATA_WIDTH(DATA_WIDTH)) rss_hash_assertions (.*);
`default_nettype wire
