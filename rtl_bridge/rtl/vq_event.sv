// Stage 6: decides about interrupts by what the driver's event suppression said behind the used write.
`default_nettype none
module vq_event #(
    parameter QW = 1,
    parameter META = 1,
    parameter ALL = 0,  // what the driver does not want is told, too
    parameter PUBLISHED = 0  // bits that say how many chains were published
) (
    input wire clk,
    input wire rst_n,
    input wire on,  // the bit of `queue`
    input wire valid,
    input wire [META-1:0] meta,
    input wire [31:0] data,
    input wire error,
    output wire pop,
    output wire fault,
    input wire fault_grant,
    output wire [QW-1:0] queue,
    output reg int_valid,
    input wire int_ready,
    output reg [QW-1:0] int_queue,
    output reg [15:0] int_vector,
    output reg int_wants,
    output reg [15:0] int_published
);
  wire [15:0] start = meta[QW+:16];
  wire before_wrap = meta[QW+16];
  wire [16:0] advanced = meta[QW+17+:17];
  wire [15:0] size = meta[QW+34+:16];
  wire packed_ring = meta[QW+50];
  wire event_idx = meta[QW+51];
  wire [15:0] vector = meta[QW+52+:16];
  assign queue = meta[QW-1:0];

  wire [15:0] past = data[15:0] - start;
  wire split_wants = event_idx ? {1'b0, past} < advanced : !data[0];
  wire [17:0] distance = {3'd0, data[14:0]} - {2'd0, start} + (data[15] != before_wrap ? {2'd0, size} : 18'd0);
  wire packed_wants = data[17:16] != 2'd2 || !event_idx ? data[17:16] != 2'd1 :
      !distance[17] && distance < {1'b0, advanced};
  wire wants = packed_ring ? packed_wants : split_wants;
  wire live = on;
  wire free = !int_valid || int_ready;
  wire tells = live && !error && wants;
  assign fault = valid && live && error;
  assign pop = valid && (!live || (error ? fault_grant : (!(wants || ALL != 0) || free)));

  always_ff @(posedge clk) begin
    if (!rst_n) int_valid <= 0;
    else begin
      if (int_ready) int_valid <= 0;
      if (pop && (tells || (ALL != 0 && live && !error))) begin
        int_valid  <= 1;
        int_wants  <= wants;
        int_published <= PUBLISHED == 0 ? 16'd0 : 16'(meta >> (QW + 68));
        int_queue  <= queue;
        int_vector <= vector;
      end
    end
  end
endmodule
`default_nettype wire
