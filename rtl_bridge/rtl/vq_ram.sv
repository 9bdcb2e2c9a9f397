// One write and one read port; the word read is there in the next cycle, as it was before a write of this one.
`default_nettype none
module vq_ram #(
    parameter WIDTH = 32,
    parameter DEPTH = 2,
    parameter AW = 1
) (
    input wire clk,
    input wire we,
    input wire [AW-1:0] waddr,
    input wire [WIDTH-1:0] wdata,
    input wire [AW-1:0] raddr,
    output reg [WIDTH-1:0] rdata
);
  reg [WIDTH-1:0] mem[0:DEPTH-1];
  always_ff @(posedge clk) begin
    if (we) mem[waddr] <= wdata;
    rdata <= mem[raddr];
  end
endmodule
`default_nettype wire
