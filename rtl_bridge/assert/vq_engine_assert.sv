// What vq_engine promises at its ports, and what it expects there; bound to each instance.
`default_nettype none
module vq_engine_assert #(
    parameter TAGS = 64,
    parameter WRITE_TAGS = 32,
    parameter DATA_WIDTH = 256,
    parameter QW = 1,
    parameter TW = 6,
    parameter WTW = 5
) (
    input wire clk,
    input wire rst_n,
    input wire rd_valid,
    input wire rd_ready,
    input wire [TW-1:0] rd_tag,
    input wire [QW-1:0] rd_queue,
    input wire [63:0] rd_address,
    input wire [15:0] rd_length,
    input wire rd_rsp_valid,
    input wire [TW-1:0] rd_rsp_tag,
    input wire wr_valid,
    input wire wr_ready,
    input wire [WTW-1:0] wr_tag,
    input wire [63:0] wr_address,
    input wire [DATA_WIDTH/8-1:0] wr_strobes,
    input wire wr_rsp_valid,
    input wire wr_rsp_ready,
    input wire [WTW-1:0] wr_rsp_tag,
    input wire seg_valid,
    input wire seg_ready,
    input wire [QW-1:0] seg_queue,
    input wire [15:0] seg_chain,
    input wire seg_first,
    input wire seg_last,
    input wire seg_error,
    input wire [31:0] seg_length,
    input wire int_valid,
    input wire int_ready,
    input wire [QW-1:0] int_queue,
    input wire err_valid,
    input wire err_ready,
    input wire [QW-1:0] err_queue,
    input wire [7:0] err_code,
    input wire rsp_valid,
    input wire rsp_ready,
    input wire abort_valid,
    input wire abort_ready
);
  // A group that is held up stays as it is.
  read_stable :
  assert property (@(posedge clk) disable iff (!rst_n)
      rd_valid && !rd_ready |=> rd_valid && $stable({rd_tag, rd_queue, rd_address, rd_length}));
  write_stable :
  assert property (@(posedge clk) disable iff (!rst_n)
      wr_valid && !wr_ready |=> wr_valid && $stable({wr_tag, wr_address, wr_strobes}));
  segment_stable :
  assert property (@(posedge clk) disable iff (!rst_n)
      seg_valid && !seg_ready |=> seg_valid && $stable({seg_queue, seg_chain, seg_first, seg_last, seg_length}));
  interrupt_stable :
  assert property (@(posedge clk) disable iff (!rst_n) int_valid && !int_ready |=> int_valid && $stable(int_queue));
  error_stable :
  assert property (@(posedge clk) disable iff (!rst_n)
      err_valid && !err_ready |=> err_valid && $stable({err_queue, err_code}));
  response_stable :
  assert property (@(posedge clk) disable iff (!rst_n) rsp_valid && !rsp_ready |=> rsp_valid);
  abort_stable :
  assert property (@(posedge clk) disable iff (!rst_n) abort_valid && !abort_ready |=> abort_valid);

  // Accesses are one beat, and not empty.
  read_length :
  assert property (@(posedge clk) disable iff (!rst_n)
      rd_valid |-> rd_length != 0 && rd_length <= 16'(DATA_WIDTH / 8));
  write_strobes :
  assert property (@(posedge clk) disable iff (!rst_n)
      wr_valid |-> wr_strobes[0] && (wr_strobes & (wr_strobes + 1'b1)) == 0);

  // A tag has one access at a time, and answers come to those that have.
  reg [TAGS-1:0] reading_q;
  reg [WRITE_TAGS-1:0] writing_q;
  always_ff @(posedge clk)
    if (!rst_n) begin
      reading_q <= 0;
      writing_q <= 0;
    end else begin
      if (rd_rsp_valid) reading_q[rd_rsp_tag] <= 0;
      if (rd_valid && rd_ready) reading_q[rd_tag] <= 1;
      if (wr_rsp_valid && wr_rsp_ready) writing_q[wr_rsp_tag] <= 0;
      if (wr_valid && wr_ready) writing_q[wr_tag] <= 1;
    end
  read_tag_free :
  assert property (@(posedge clk) disable iff (!rst_n) rd_valid |-> !reading_q[rd_tag]);
  write_tag_free :
  assert property (@(posedge clk) disable iff (!rst_n) wr_valid |-> !writing_q[wr_tag]);
  read_answer_expected :
  assert property (@(posedge clk) disable iff (!rst_n) rd_rsp_valid |-> reading_q[rd_rsp_tag]);
  write_answer_expected :
  assert property (@(posedge clk) disable iff (!rst_n) wr_rsp_valid |-> writing_q[wr_rsp_tag]);

  // A malformed chain ends with its error segment, which has no buffer.
  segment_error :
  assert property (@(posedge clk) disable iff (!rst_n)
      seg_valid && seg_error |-> seg_last && !seg_first && seg_length == 0);
  // None is there while an error is told.
  error_alone :
  assert property (@(posedge clk) disable iff (!rst_n) err_valid |-> !seg_valid && err_code != 0);
endmodule

bind vq_engine vq_engine_assert #(
    .TAGS(TAGS),
    .WRITE_TAGS(WRITE_TAGS),
    .DATA_WIDTH(DATA_WIDTH),
    .QW(QW),
    .TW(TW),
    .WTW(WTW)
) asserts (
    .*
);
`default_nettype wire
