// A bit of each queue, in RAM: two writers, which do not write the same queue at once, and any number of readers, who see
// it at once. The bit is the difference of the writers' own.
`default_nettype none
module vq_bits #(
    parameter QW = 1,
    parameter READERS = 1,
    parameter WRITERS = 2
) (
    input wire clk,
    input wire a_we,
    input wire [QW-1:0] a_queue,
    input wire a_value,
    input wire b_we,
    input wire [QW-1:0] b_queue,
    input wire b_value,
    input wire [READERS*QW-1:0] queues,
    output wire [READERS-1:0] bits
);
  reg a_mem[0:(1<<QW)-1];
  genvar i;
  generate
    if (WRITERS == 1) begin : one
      always_ff @(posedge clk) if (a_we) a_mem[a_queue] <= a_value;
      for (i = 0; i < READERS; i = i + 1) begin : reader
        assign bits[i] = a_mem[queues[i*QW+:QW]];
      end
      /* verilator lint_off UNUSEDSIGNAL */
      wire unused = &{b_we, b_queue, b_value};
      /* verilator lint_on UNUSEDSIGNAL */
    end else begin : two
      reg b_mem[0:(1<<QW)-1];
      always_ff @(posedge clk) begin
        if (a_we) a_mem[a_queue] <= a_value ^ b_mem[a_queue];
        if (b_we) b_mem[b_queue] <= b_value ^ a_mem[b_queue];
      end
      for (i = 0; i < READERS; i = i + 1) begin : reader
        assign bits[i] = a_mem[queues[i*QW+:QW]] ^ b_mem[queues[i*QW+:QW]];
      end
    end
  endgenerate
endmodule
`default_nettype wire
