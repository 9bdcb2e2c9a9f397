// First in, first out; the oldest word is there without asking.
`default_nettype none
module vq_fifo #(
    parameter WIDTH = 8,
    parameter LOG2 = 2
) (
    input wire clk,
    input wire rst_n,
    input wire push,
    input wire [WIDTH-1:0] in,
    output wire full,
    input wire pop,
    output wire [WIDTH-1:0] out,
    output wire valid
);
  reg [WIDTH-1:0] mem[0:(1<<LOG2)-1];
  reg [LOG2:0] head_q, tail_q;
  assign full = tail_q - head_q == (LOG2 + 1)'(1 << LOG2);
  assign valid = tail_q != head_q;
  assign out = mem[head_q[LOG2-1:0]];
  always_ff @(posedge clk) begin
    if (push) mem[tail_q[LOG2-1:0]] <= in;
    if (!rst_n) begin
      head_q <= 0;
      tail_q <= 0;
    end else begin
      if (push) tail_q <= tail_q + 1'b1;
      if (pop) head_q <= head_q + 1'b1;
    end
  end
endmodule
`default_nettype wire
