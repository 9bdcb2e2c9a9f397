// Completions that wait for others of their queue: a queue's turn comes when BATCH of them wait, or when the first has
// waited for TIMEOUT cycles, or half of them at least.
`default_nettype none
module vq_gather #(
    parameter QUEUES = 1,
    parameter QW = 1,
    parameter BATCH = 16,
    parameter TIMEOUT = 0
) (
    input wire clk,
    input wire rst_n,
    input wire noted,
    input wire [QW-1:0] queue,
    input wire [15:0] waiting,  // of the queue, the one that is noted included
    output wire ready,
    output wire [QUEUES-1:0] due
);
  generate
    if (TIMEOUT == 0) begin : none
      assign ready = noted;
      assign due   = 0;
      /* verilator lint_off UNUSEDSIGNAL */
      wire unused = &{clk, rst_n, queue, waiting};
      /* verilator lint_on UNUSEDSIGNAL */
    end else begin : some
      localparam HALF = (TIMEOUT + 1) / 2;
      reg [31:0] ticks_q;
      reg [QUEUES-1:0] young_q, old_q;
      wire tick = ticks_q == 32'(HALF - 1);
      assign ready = noted && waiting >= 16'(BATCH);
      assign due = tick ? old_q : 0;
      always_ff @(posedge clk) begin
        if (!rst_n) begin
          ticks_q <= 0;
          young_q <= 0;
          old_q   <= 0;
        end else begin
          ticks_q <= tick ? 0 : ticks_q + 1'b1;
          if (tick) begin
            old_q   <= young_q;
            young_q <= 0;
          end
          if (noted && !ready) young_q[queue] <= 1;
        end
      end
    end
  endgenerate
endmodule
`default_nettype wire
