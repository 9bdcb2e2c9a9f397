// The bit of one queue among those of all, decoded in two halves.
`default_nettype none
module vq_select #(
    parameter QUEUES = 1,
    parameter QW = 1
) (
    input wire valid,
    input wire [QW-1:0] index,
    output wire [QUEUES-1:0] one
);
  localparam WORDS = (QUEUES + 31) / 32;
  wire [9:0] place = 10'(index);
  wire [31:0] low = 32'd1 << place[4:0];
  wire [31:0] high = valid ? 32'd1 << place[9:5] : 32'd0;
  genvar i;
  generate
    for (i = 0; i < QUEUES; i = i + 1) begin : queues
      assign one[i] = high[i/32] && low[i%32];
    end
  endgenerate
  /* verilator lint_off UNUSEDSIGNAL */
  wire unused = &{high >> WORDS, low};
  /* verilator lint_on UNUSEDSIGNAL */
endmodule
`default_nettype wire
