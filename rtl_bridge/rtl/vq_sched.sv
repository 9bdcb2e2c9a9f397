// A pending bit for each queue and whose turn it is: the lowest priority value first, round robin within it. It looks at 32 queues in a cycle, so a pending queue
// that is not held back waits for QUEUES/32 cycles and for one turn of each other queue, at most.
`default_nettype none
module vq_sched #(
    parameter QUEUES = 1,
    parameter QW = 1,
    parameter [3*QUEUES-1:0] PRIORITIES = 0
) (
    input wire clk,
    input wire rst_n,
    input wire set_a,
    input wire [QW-1:0] queue_a,
    input wire set_b,
    input wire [QW-1:0] queue_b,
    input wire set_c,
    input wire [QW-1:0] queue_c,
    input wire set_d,
    input wire [QW-1:0] queue_d,
    input wire set_e,
    input wire [QW-1:0] queue_e,
    input wire set_f,
    input wire [QW-1:0] queue_f,
    input wire [QUEUES-1:0] set_all,
    input wire [QUEUES-1:0] hold,
    output wire valid,
    output wire [QW-1:0] queue,
    input wire take
);
  localparam WORDS = (QUEUES + 31) / 32;
  localparam WW = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam ALL = WORDS * 32;

  reg [QUEUES-1:0] pending_q;
  reg [WW-1:0] word_q;
  reg [31:0] above_q;
  reg valid_q;
  reg [QW-1:0] queue_q;
  assign valid  = valid_q;
  assign queue  = queue_q;

  wire [QUEUES-1:0] ready = pending_q & ~hold;
  // Those of the first level that has any.
  reg [QUEUES-1:0] first;
  always_comb begin
    first = ready;
    for (int level = 7; level >= 0; level = level - 1)
    if ((ready & of_level(level)) != 0) first = ready & of_level(level);
  end
  function automatic [QUEUES-1:0] of_level(input int level);
    for (int i = 0; i < QUEUES; i = i + 1) of_level[i] = 32'(PRIORITIES[3*i+:3]) == level;
  endfunction
  wire [ALL-1:0] open = ALL'(first);
  wire [31:0] here = open[32*word_q+:32] & above_q;
  reg [4:0] bit_d;
  always_comb begin
    bit_d = 0;
    for (int i = 31; i >= 0; i = i - 1) if (here[i]) bit_d = 5'(i);
  end
  wire found = !valid_q && here != 0;
  wire [WW+4:0] place = {word_q, bit_d};
  wire [QUEUES-1:0] at_found, at_a, at_b, at_c, at_d, at_e, at_f;
  vq_select #(QUEUES, QW) of_found (.valid(found), .index(QW'(place)), .one(at_found));
  vq_select #(QUEUES, QW) of_a (.valid(set_a), .index(queue_a), .one(at_a));
  vq_select #(QUEUES, QW) of_b (.valid(set_b), .index(queue_b), .one(at_b));
  vq_select #(QUEUES, QW) of_c (.valid(set_c), .index(queue_c), .one(at_c));
  vq_select #(QUEUES, QW) of_d (.valid(set_d), .index(queue_d), .one(at_d));
  vq_select #(QUEUES, QW) of_e (.valid(set_e), .index(queue_e), .one(at_e));
  vq_select #(QUEUES, QW) of_f (.valid(set_f), .index(queue_f), .one(at_f));

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      pending_q <= 0;
      word_q <= 0;
      above_q <= '1;
      valid_q <= 0;
    end else begin
      if (valid_q && take) valid_q <= 0;
      if (found) begin
        valid_q <= 1;
        queue_q <= QW'(place);
        above_q <= 32'hffff_fffe << bit_d;
      end else if (!valid_q) begin
        above_q <= '1;
        word_q  <= word_q == WW'(WORDS - 1) ? 0 : word_q + 1'b1;
      end
      pending_q <= (pending_q & ~at_found) | set_all | at_a | at_b | at_c | at_d | at_e | at_f;
    end
  end
endmodule
`default_nettype wire
