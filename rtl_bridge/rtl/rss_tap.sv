// rss_hash beside a stream that it must not stall: it watches what passes. A packet that begins while all contexts are
// taken, or within a change of configuration, has no result; `missed` is up in the cycle of its last beat and `misses`
// counts. A result is there for one cycle.
`default_nettype none
module rss_tap #(
    parameter integer DATA_WIDTH = 512,
    parameter integer MAX_PARSE_BYTES = 256,
    parameter integer CONTEXTS = 8,
    parameter integer TABLE_ENTRIES = 128,
    parameter integer QUEUES = 1024
) (
    input wire clk,
    input wire rst_n,

    input wire s_axis_tvalid,  // and taken: in a cycle in which the stream that is watched has valid and ready
    input wire [DATA_WIDTH-1:0] s_axis_tdata,
    input wire [DATA_WIDTH/8-1:0] s_axis_tkeep,
    input wire s_axis_tlast,
    output wire missed,
    output wire [31:0] misses,

    input wire cfg_valid,
    output wire cfg_ready,
    input wire [16:0] cfg_address,
    input wire [31:0] cfg_data,
    input wire cfg_last,

    output wire result_valid,
    output wire [31:0] result_hash,
    output wire result_hashed,
    output wire [3:0] result_report,
    output wire [1:0] result_tunnel_report,
    output wire [15:0] result_queue,
    output wire result_drop
);
  reg packet_q;  // within a packet
  reg missing_q;  // and it has no result
  reg [31:0] misses_q;
  wire ready;
  wire missing = packet_q ? missing_q : !ready;
  assign missed = s_axis_tvalid && s_axis_tlast && missing;
  assign misses = misses_q;
  always @(posedge clk)
    if (!rst_n) begin
      packet_q <= 1'b0;
      missing_q <= 1'b0;
      misses_q <= 32'd0;
    end else if (s_axis_tvalid) begin
      packet_q <= !s_axis_tlast;
      missing_q <= missing;
      if (missed) misses_q <= misses_q + 32'd1;
    end

  rss_hash #(
      .DATA_WIDTH(DATA_WIDTH),
      .MAX_PARSE_BYTES(MAX_PARSE_BYTES),
      .CONTEXTS(CONTEXTS),
      .TABLE_ENTRIES(TABLE_ENTRIES),
      .QUEUES(QUEUES)
  ) core (
      .clk(clk),
      .rst_n(rst_n),
      .s_axis_tvalid(s_axis_tvalid && !missing),
      .s_axis_tready(ready),
      .s_axis_tdata(s_axis_tdata),
      .s_axis_tkeep(s_axis_tkeep),
      .s_axis_tlast(s_axis_tlast),
      .cfg_valid(cfg_valid),
      .cfg_ready(cfg_ready),
      .cfg_address(cfg_address),
      .cfg_data(cfg_data),
      .cfg_last(cfg_last),
      .result_valid(result_valid),
      .result_ready(1'b1),
      .result_hash(result_hash),
      .result_hashed(result_hashed),
      .result_report(result_report),
      .result_tunnel_report(result_tunnel_report),
      .result_queue(result_queue),
      .result_drop(result_drop)
  );
endmodule
`default_nettype wire
