// Stage 1: begins a visit of a queue whose turn it is. Asks the driver to be notified when the queue was left without
// that, then reads the available index. What a visit needs travels with it. A queue's next visit begins when it is
// known how far this one goes: behind stage 2; of a packed ring at its end, or, when the last one found all that it had
// fetched available, behind stage 2 as if this one did so too. An epoch says whether it was so.
`default_nettype none
module vq_visit #(
    parameter QUEUES = 1,
    parameter QW = 1,
    parameter SETUP = 228,
    parameter WALK = 37,
    parameter META = 1,
    parameter HEADER = 1,
    parameter OUTSTANDING = 64,
    parameter VISIT_CHAINS = 256,
    parameter PREFETCH = 16,
    parameter [8*QUEUES-1:0] WEIGHTS = 0
) (
    input wire clk,
    input wire rst_n,
    input wire turn_valid,
    input wire [QW-1:0] turn_queue,
    output wire turn_take,
    // Context of the queue, a cycle after `context_queue`.
    output wire [QW-1:0] context_queue,
    input wire [SETUP-1:0] setup,
    input wire [WALK-1:0] walk,
    input wire [31:0] commit,  // packed: descriptors and chains of the visits that have ended
    input wire [15:0] granted,
    input wire [15:0] retired,
    input wire [32:0] given,  // packed: what the driver has had back: chains, and where it ends
    input wire [15:0] oldest,  // no chain before it is with the function
    output wire oldest_we,
    output wire [15:0] oldest_next,
    output wire [15:0] age_at,  // of `queue`: whether it was completed, a cycle later
    input wire age_phase,
    input wire on,  // bits of `queue`
    input wire halted,
    input wire bell,
    output wire bell_clear,
    output wire busy_set,
    output wire busy_clear,
    output wire [QW-1:0] queue,
    // avail_event, or the packed ring's structure.
    output wire write_valid,
    input wire write_grant,
    input wire write_idle,
    input wire write_ordered,
    output wire [63:0] write_address,
    output wire [31:0] write_data,
    output wire write_packed,
    output wire read_valid,
    input wire read_grant,
    output wire [63:0] read_address,
    output wire read_after,
    output wire alloc,
    output wire alloc_done,
    output wire [META-1:0] alloc_meta,
    input wire alloc_full,
    output wire [HEADER-1:0] header,
    input wire header_full
);
  localparam IDLE = 3'd0, DECIDE = 3'd1, ARM = 3'd2, READ = 3'd3, AGE = 3'd4, AGED = 3'd5;
  localparam OW = $clog2(OUTSTANDING);
  reg [2:0] state_q;
  reg aged_q;
  reg [15:0] oldest_q, wanted_q, emitted_q;
  reg [QW-1:0] queue_q;
  reg armed_q, wrote_q, stream_q, rang_q;
  reg [15:0] limit_q;

  wire [63:0] desc = setup[63:0];
  wire [63:0] driver = setup[127:64];
  wire [63:0] device = setup[191:128];
  wire [15:0] size = setup[207:192];
  wire packed_ring = setup[208];
  wire event_idx = setup[209];
  wire [15:0] avail = walk[15:0];
  wire wrap = walk[16];
  wire [15:0] chain = walk[32:17];
  wire armed = walk[33];
  wire more = walk[34];
  wire stream = walk[35];
  wire epoch = walk[36];

  // Packed: `chain` counts descriptors, and those under way may be as many chains.
  wire [15:0] ahead = packed_ring ? chain - commit[31:16] : 16'd0;
  wire [15:0] emitted = packed_ring ? commit[15:0] : chain;
  wire [15:0] credits = granted - emitted;
  wire [15:0] room = 16'(OUTSTANDING) - (emitted - retired);
  wire [15:0] most_now = credits < room ? credits : room;
  // What is known of chains has a place for so many behind the oldest that was not completed. Where that is the least,
  // `oldest` is brought up to date first, as far as it matters.
  wire [15:0] span = 16'(OUTSTANDING) - (emitted - oldest);
  wire stale = !aged_q && span < most_now && oldest != emitted;
  wire [15:0] least_now = most_now < span ? most_now : span;
  wire [15:0] least = least_now > ahead ? least_now - ahead : 16'd0;
  // A queue's weight is its visits in a row, which are one of as many chains.
  wire [7:0] weight;
  vq_weight #(
      .QUEUES(QUEUES),
      .QW(QW),
      .WEIGHTS(WEIGHTS)
  ) weights (
      .queue (queue_q),
      .weight(weight)
  );
  wire [23:0] most = 24'(VISIT_CHAINS) * {16'd0, weight};
  wire [15:0] limit = {8'd0, least} < most ? least : most[15:0];
  wire [15:0] window;
  vq_window #(
      .QUEUES(QUEUES),
      .QW(QW),
      .PREFETCH(PREFETCH),
      .WEIGHTS(WEIGHTS)
  ) windows (
      .queue (queue_q),
      .size  (size),
      .window(window)
  );
  // What is read was used once since the driver last wrote it: not further than a round ahead. What the driver has not
  // had back cannot be available: reading it would only end what runs ahead.
  wire [17:0] back = {2'b00, given[15:0]} - {2'b00, avail} + (wrap == given[16] ? {2'b00, size} : 18'd0);
  wire had = !back[17] && back[16:0] >= {1'b0, window};
  wire reads_ahead = packed_ring && stream && limit >= window && {1'b0, ahead} + {1'b0, window} <= {1'b0, size};
  wire streams = reads_ahead && had;
  // Soon the driver will have had it back, and a whole window can be read ahead of others.
  wire awaits = reads_ahead && !had && window <= {1'b0, size[15:1]} && given[32:17] != retired;
  wire live = on && !halted;
  wire unarmed = event_idx && !armed;
  wire look = bell || more || unarmed;
  wire go = live && !stale && least != 0 && look && (ahead == 0 ? !awaits : streams);
  wire aging = live && stale && look;

  wire older = age_phase == !oldest_q[OW] && oldest_q != emitted_q && oldest_q != wanted_q;
  assign age_at = state_q == AGE ? oldest_q + {15'd0, older} : oldest;
  assign oldest_we = state_q == AGE && on && !older;
  assign oldest_next = oldest_q;

  assign context_queue = state_q == IDLE ? turn_queue : queue_q;
  assign turn_take = state_q == IDLE && turn_valid;
  assign busy_set = turn_take;
  assign queue = state_q == IDLE ? turn_queue : queue_q;
  assign bell_clear = state_q == DECIDE && go;
  assign busy_clear = (state_q == DECIDE && !go && !aging) || (state_q != IDLE && state_q != DECIDE && !on);

  assign write_valid = state_q == ARM && on;
  assign write_address = packed_ring ? device : device + 64'd4 + {45'd0, size, 3'd0};
  assign write_data = packed_ring ? {16'd2, wrap, avail[14:0]} : {16'd0, avail};
  assign write_packed = packed_ring;

  // A read behind the write: not asked for before the write has left. A packed ring's are asked for further on.
  wire may = state_q == READ && on && !alloc_full && !header_full && (!wrote_q || (packed_ring ? write_ordered : write_idle));
  assign read_valid = may && !packed_ring;
  assign read_address = driver + 64'd2;
  assign read_after = wrote_q;
  assign alloc = may && (packed_ring || read_grant);
  assign alloc_done = packed_ring;
  assign alloc_meta = {epoch, stream_q, event_idx, armed_q, wrap, chain, limit_q, avail, size, desc, driver, packed_ring, queue_q};
  assign header = {
    rang_q, stream_q, epoch, armed_q, chain, wrap, avail, limit_q, setup[211:208], size, desc, queue_q
  };

  always_ff @(posedge clk) begin
    if (!rst_n) state_q <= IDLE;
    else
      case (state_q)
        IDLE:
        if (turn_valid) begin
          queue_q <= turn_queue;
          aged_q  <= 0;
          state_q <= DECIDE;
        end
        DECIDE: begin
          limit_q <= limit;
          stream_q <= streams;
          rang_q <= bell;
          wrote_q <= unarmed && !bell && !more;
          armed_q <= armed || (unarmed && !bell && !more);
          oldest_q <= oldest;
          emitted_q <= emitted;
          wanted_q <= emitted - 16'(OUTSTANDING) + most_now;
          state_q <= aging ? AGE : !go ? IDLE : unarmed && !bell && !more ? ARM : READ;
        end
        ARM:
        if (!on) state_q <= IDLE;
        else if (write_grant) state_q <= READ;
        READ: if (!on || alloc) state_q <= IDLE;
        AGE:
        if (!on) state_q <= IDLE;
        else if (older) oldest_q <= oldest_q + 16'd1;
        else begin
          aged_q  <= 1;
          state_q <= AGED;
        end
        AGED: state_q <= on ? DECIDE : IDLE;
        default: state_q <= IDLE;
      endcase
  end
endmodule
`default_nettype wire
