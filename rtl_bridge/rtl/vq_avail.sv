// Stage 2: from the available index to reads of the available ring. A packed ring has neither; its visit passes.
`default_nettype none
module vq_avail #(
    parameter QUEUES = 1,
    parameter QW = 1,
    parameter META_IN = 1,
    parameter META_OUT = 1,
    parameter BATCH = 16,
    parameter PREFETCH = 16,
    parameter [8*QUEUES-1:0] WEIGHTS = 0
) (
    input wire clk,
    input wire rst_n,
    input wire live,  // bits of `queue`
    input wire epoch_now,
    input wire valid,
    input wire [META_IN-1:0] meta,
    input wire [15:0] data,
    input wire error,
    output wire pop,
    output wire [QW-1:0] queue,
    // How far the queue's chains are taken.
    output wire walk_we,
    input wire walk_busy,
    output wire [36:0] walk,
    output wire busy_clear,
    output wire again,
    output wire read_valid,
    input wire read_grant,
    output wire [63:0] read_address,
    output wire [15:0] read_length,
    output wire alloc,
    output wire alloc_done,
    output wire [META_OUT-1:0] alloc_meta,
    input wire alloc_full
);
  `include "virtio_boundary.svh"
  localparam [1:0] ENTRIES = 2'd0, END = 2'd1, WRONG = 2'd2, PACKED = 2'd3;
  localparam HEAD = 2'd0, READ = 2'd1, LAST = 2'd2;
  reg [1:0] state_q;
  reg [15:0] left_q, at_q;
  reg more_q, wrong_q;

  wire packed_ring = meta[QW];
  wire [63:0] driver = meta[QW+1+:64];
  wire [63:0] desc = meta[QW+65+:64];
  wire [15:0] size = meta[QW+129+:16];
  wire [15:0] avail = meta[QW+145+:16];
  wire [15:0] limit = meta[QW+161+:16];
  wire [15:0] chain = meta[QW+177+:16];
  wire wrap = meta[QW+193];
  wire armed = meta[QW+194];
  wire event_idx = meta[QW+195];
  wire stream = meta[QW+196];
  wire epoch = meta[QW+197];
  assign queue = meta[QW-1:0];

  wire [15:0] ahead = data - avail;
  wire jump = ahead > size;
  wire wrong = error || jump;
  wire [15:0] slot = at_q & (size - 16'd1);
  wire [15:0] to_end = size - slot;
  wire [15:0] n_a = left_q < 16'(BATCH) ? left_q : 16'(BATCH);
  wire [15:0] n = n_a < to_end ? n_a : to_end;

  reg [1:0] kind;
  reg [7:0] code;
  always_comb begin
    kind = END;
    code = {7'd0, more_q};
    if (state_q == HEAD) begin
      kind = packed_ring ? PACKED : WRONG;
      code = error ? RING_ERROR_RING_UNREADABLE : RING_ERROR_AVAIL_INDEX_JUMP;
    end else if (state_q == READ) kind = ENTRIES;
  end
  wire dead = !live;
  wire now = valid && !alloc_full && !walk_busy;
  assign read_valid = now && state_q == READ && !dead;
  assign read_address = driver + 64'd4 + {47'd0, slot, 1'b0};
  assign read_length = {n[14:0], 1'b0};
  wire head_alloc = state_q == HEAD && !dead && (packed_ring || wrong);
  assign alloc = now && (head_alloc || state_q == LAST || (state_q == READ && read_grant));
  assign alloc_done = state_q != READ;
  assign alloc_meta = {epoch, n, packed_ring ? avail : at_q, size, desc, code, kind, queue};
  assign pop = now && state_q == LAST;
  wire [15:0] taken = at_q - avail;
  wire still_armed = armed && taken == 0;
  assign busy_clear = pop && (!packed_ring || stream);
  // A packed ring's next visit begins behind what this one fetches.
  wire [15:0] window;
  vq_window #(
      .QUEUES(QUEUES),
      .QW(QW),
      .PREFETCH(PREFETCH),
      .WEIGHTS(WEIGHTS)
  ) windows (
      .queue (queue),
      .size  (size),
      .window(window)
  );
  wire [16:0] behind = {1'b0, avail} + {1'b0, window};
  wire over = behind >= {1'b0, size};
  wire [15:0] next = over ? 16'(behind - {1'b0, size}) : behind[15:0];
  wire ahead_too = stream && epoch == epoch_now;
  assign walk_we = pop && (!packed_ring || ahead_too);
  assign walk = packed_ring ? {epoch, 1'b1, 1'b1, 1'b0, chain + window, wrap ^ over, next} :
      {1'b0, 1'b0, more_q, still_armed, chain + taken, wrap, at_q};
  assign again = pop && !dead && (packed_ring ? ahead_too : !wrong_q && (more_q || (event_idx && !still_armed)));

  always_ff @(posedge clk) begin
    if (!rst_n) state_q <= HEAD;
    else if (now)
      case (state_q)
        HEAD: begin
          left_q <= ahead < limit ? ahead : limit;
          at_q <= avail;
          wrong_q <= wrong && !packed_ring;
          more_q <= packed_ring || (!wrong && ahead > limit);
          state_q <= dead || packed_ring || wrong || ahead == 0 ? LAST : READ;
        end
        READ:
        if (dead) state_q <= LAST;
        else if (read_grant) begin
          left_q <= left_q - n;
          at_q <= at_q + n;
          if (left_q == n) state_q <= LAST;
        end
        default: state_q <= HEAD;
      endcase
  end
endmodule
`default_nettype wire
