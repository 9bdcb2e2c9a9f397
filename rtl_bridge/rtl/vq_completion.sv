// Takes completions: notes each behind the others of its queue, or in order at its chain's place, with what the chain
// table knows of the chain, and which chains were completed. A note is valid when its phase is that of the lap, so nothing has to clear it.
`default_nettype none
module vq_completion #(
    parameter QW = 1,
    parameter OUTSTANDING = 64,
    parameter OW = 6,
    parameter NOTE = 67
) (
    input wire clk,
    input wire rst_n,
    input wire on,  // bits of `noted_queue`
    input wire generation,
    input wire in_order,
    input wire cpl_valid,
    output wire cpl_ready,
    input wire [QW-1:0] cpl_queue,
    input wire [15:0] cpl_chain,
    input wire cpl_generation,
    input wire [31:0] cpl_written,
    input wire cpl_more,
    input wire cpl_full,
    // The chain table.
    input wire chain_we,
    input wire [QW-1:0] chain_queue,
    input wire [15:0] chain_id,
    input wire [31:0] chain_data,
    // When a queue is enabled: its count of completions, then its notes.
    input wire init,
    input wire clear,
    input wire [QW-1:0] init_queue,
    input wire [OW-1:0] clear_at,
    output wire writing,
    input wire [QW-1:0] drain_queue,
    output wire drained,
    output wire noted,
    output wire [QW-1:0] noted_queue,
    output wire [15:0] noted_count,
    input wire [QW-1:0] note_queue,
    input wire [15:0] note_at,
    output wire [NOTE-1:0] note,
    // Whether a chain was completed, a cycle later.
    input wire [QW-1:0] age_queue,
    input wire [OW-1:0] age_at,
    output wire age_phase
);
  reg taken_q, more_q, full_q, generation_q;
  reg [QW-1:0] queue_q;
  reg [15:0] chain_q;
  reg [31:0] written_q;
  wire [15:0] received;
  wire [31:0] known;

  assign cpl_ready = !taken_q;
  wire good = taken_q && on && generation == generation_q;
  wire [15:0] at = in_order ? chain_q : received;
  assign writing = taken_q;
  assign noted = good;
  assign noted_queue = queue_q;
  assign noted_count = received + 16'd1;
  assign drained = !(taken_q && queue_q == drain_queue);

  vq_ram #(
      .WIDTH(16),
      .DEPTH(1 << QW),
      .AW(QW)
  ) received_ram (
      .clk(clk),
      .we(good || init),
      .waddr(init ? init_queue : queue_q),
      .wdata(init ? 16'd0 : received + 16'd1),
      .raddr(cpl_queue),
      .rdata(received)
  );
  vq_ram #(
      .WIDTH(32),
      .DEPTH(OUTSTANDING << QW),
      .AW(QW + OW)
  ) chain_ram (
      .clk(clk),
      .we(chain_we),
      .waddr({chain_queue, chain_id[OW-1:0]}),
      .wdata(chain_data),
      .raddr({cpl_queue, cpl_chain[OW-1:0]}),
      .rdata(known)
  );
  vq_ram #(
      .WIDTH(NOTE),
      .DEPTH(OUTSTANDING << QW),
      .AW(QW + OW)
  ) note_ram (
      .clk(clk),
      .we(good || clear),
      .waddr(clear ? {init_queue, clear_at} : {queue_q, at[OW-1:0]}),
      .wdata(clear ? {NOTE{1'b0}} : {!at[OW], more_q, full_q, known, written_q}),
      .raddr({note_queue, note_at[OW-1:0]}),
      .rdata(note)
  );

  vq_ram #(
      .WIDTH(1),
      .DEPTH(OUTSTANDING << QW),
      .AW(QW + OW)
  ) age_ram (
      .clk(clk),
      .we(good || clear),
      .waddr(clear ? {init_queue, clear_at} : {queue_q, chain_q[OW-1:0]}),
      .wdata(!clear && !chain_q[OW]),
      .raddr({age_queue, age_at}),
      .rdata(age_phase)
  );

  always_ff @(posedge clk) begin
    if (!rst_n) taken_q <= 0;
    else taken_q <= cpl_valid && cpl_ready;
    queue_q <= cpl_queue;
    chain_q <= cpl_chain;
    generation_q <= cpl_generation;
    written_q <= cpl_written;
    more_q <= cpl_more;
    full_q <= cpl_full;
  end
endmodule
`default_nettype wire
