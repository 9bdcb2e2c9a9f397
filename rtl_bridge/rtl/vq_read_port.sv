// The engine's reads: the stage furthest on goes first, so that what is under way ends.
`default_nettype none
module vq_read_port #(
    parameter SOURCES = 5,
    parameter WIDTH = 96
) (
    input wire clk,
    input wire rst_n,
    input wire [SOURCES-1:0] valid,
    output wire [SOURCES-1:0] grant,
    input wire [SOURCES*WIDTH-1:0] requests,
    output reg out_valid,
    input wire out_ready,
    output reg [WIDTH-1:0] out
);
  wire may = !out_valid || out_ready;
  wire [SOURCES-1:0] first = valid & (~valid + 1'b1);
  assign grant = may ? first : 0;
  reg [WIDTH-1:0] chosen;
  always_comb begin
    chosen = 0;
    for (int i = 0; i < SOURCES; i = i + 1) if (first[i]) chosen = chosen | requests[i*WIDTH+:WIDTH];
  end
  always_ff @(posedge clk) begin
    if (!rst_n) out_valid <= 0;
    else if (may) begin
      out_valid <= valid != 0;
      out <= chosen;
    end
  end
endmodule
`default_nettype wire
