// The engine's writes: two sources, the tags of what is under way, and their failures.
`default_nettype none
module vq_write_port #(
    parameter QW = 1,
    parameter DATA_WIDTH = 256,
    parameter TAGS = 32,
    parameter WTW = 5
) (
    input wire clk,
    input wire rst_n,
    // The visits': 2 or 4 bytes of the device's event suppression.
    input wire a_valid,
    output wire a_grant,
    output wire a_idle,  // all have left
    output wire a_ordered,  // all are answered
    input wire [QW-1:0] a_queue,
    input wire [63:0] a_address,
    input wire [31:0] a_data,
    input wire a_packed,
    // The used rings'.
    input wire b_valid,
    output wire b_grant,
    output wire b_idle,
    input wire [QW-1:0] b_queue,
    input wire [63:0] b_address,
    input wire [DATA_WIDTH-1:0] b_data,
    input wire [DATA_WIDTH/8-1:0] b_strobes,
    input wire b_fence,
    // Packed: how far the driver has its ring back by this write, which is said when it is answered.
    input wire b_gives,
    input wire [32:0] b_place,
    output reg wr_valid,
    input wire wr_ready,
    output reg [WTW-1:0] wr_tag,
    output reg [QW-1:0] wr_queue,
    output reg [2:0] wr_kind,
    output reg [63:0] wr_address,
    output reg [DATA_WIDTH-1:0] wr_data,
    output reg [DATA_WIDTH/8-1:0] wr_strobes,
    output reg wr_fence,
    input wire rsp_valid,
    input wire [WTW-1:0] rsp_tag,
    input wire rsp_error,
    output wire given,
    output wire [QW-1:0] given_queue,
    output wire [32:0] given_place,
    output wire fault,
    output wire [QW-1:0] fault_queue,
    output wire fault_used,
    input wire [QW-1:0] drain_queue,
    output wire drained
);
  `include "virtio_boundary.svh"
  reg [TAGS-1:0] busy_q, used_q, gives_q;
  reg [QW-1:0] queue_mem[0:TAGS-1];
  reg [32:0] place_mem[0:TAGS-1];
  reg source_b_q;
  reg [WTW-1:0] free;
  reg none_there;
  always_comb begin
    free = 0;
    none_there = 1;
    for (int i = 0; i < TAGS; i = i + 1) begin
      if (!busy_q[TAGS-1-i]) free = WTW'(TAGS - 1 - i);
      if (busy_q[i] && queue_mem[i] == drain_queue) none_there = 0;
    end
  end
  wire may = (!wr_valid || wr_ready) && !(&busy_q);
  assign b_grant = may && b_valid;
  assign a_grant = may && a_valid && !b_valid;
  assign a_idle = !(wr_valid && !source_b_q);
  assign a_ordered = (busy_q & ~used_q) == 0;
  assign b_idle = !(wr_valid && source_b_q) || wr_ready;
  assign given = rsp_valid && !rsp_error && gives_q[rsp_tag];
  assign given_queue = queue_mem[rsp_tag];
  assign given_place = place_mem[rsp_tag];
  assign fault = rsp_valid && rsp_error;
  assign fault_queue = queue_mem[rsp_tag];
  assign fault_used = used_q[rsp_tag];
  assign drained = none_there;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      busy_q   <= 0;
      wr_valid <= 0;
    end else begin
      if (wr_ready) wr_valid <= 0;
      if (rsp_valid) busy_q[rsp_tag] <= 0;
      if (a_grant || b_grant) begin
        wr_valid <= 1;
        wr_tag <= free;
        wr_queue <= b_valid ? b_queue : a_queue;
        wr_kind <= b_valid ? ACCESS_KIND_USED[2:0] : ACCESS_KIND_DEVICE_EVENT[2:0];
        wr_address <= b_valid ? b_address : a_address;
        wr_data <= b_valid ? b_data : DATA_WIDTH'(a_data);
        wr_strobes <= b_valid ? b_strobes : a_packed ? (DATA_WIDTH / 8)'(15) : (DATA_WIDTH / 8)'(3);
        wr_fence <= b_valid && b_fence;
        source_b_q <= b_valid;
        busy_q[free] <= 1;
        used_q[free] <= b_valid;
        gives_q[free] <= b_valid && b_gives;
        place_mem[free] <= b_place;
        queue_mem[free] <= b_valid ? b_queue : a_queue;
      end
    end
  end
endmodule
`default_nettype wire
