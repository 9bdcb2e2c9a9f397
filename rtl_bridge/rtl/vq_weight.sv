// A queue's weight: 1..255.
`default_nettype none
module vq_weight #(
    parameter QUEUES = 1,
    parameter QW = 1,
    parameter [8*QUEUES-1:0] WEIGHTS = 0
) (
    input wire [QW-1:0] queue,
    output wire [7:0] weight
);
  generate
    if (WEIGHTS == 0) begin : equal
      assign weight = 1;
      /* verilator lint_off UNUSEDSIGNAL */
      wire unused = &queue;
      /* verilator lint_on UNUSEDSIGNAL */
    end else begin : list
      wire [7:0] listed = WEIGHTS[8*queue+:8];
      assign weight = listed == 0 ? 8'd1 : listed;
    end
  endgenerate
endmodule
`default_nettype wire
