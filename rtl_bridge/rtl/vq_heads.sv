// Stage 3: from available entries to reads of the descriptors that they name; of a packed ring, reads of so many
// descriptors as are fetched ahead.
`default_nettype none
module vq_heads #(
    parameter QUEUES = 1,
    parameter QW = 1,
    parameter META_IN = 1,
    parameter META_OUT = 1,
    parameter DATA_WIDTH = 256,
    parameter BATCH = 2,
    parameter PREFETCH = 16,
    parameter [8*QUEUES-1:0] WEIGHTS = 0
) (
    input wire clk,
    input wire rst_n,
    input wire live,  // bits of `queue`
    input wire epoch_now,
    input wire valid,
    input wire [META_IN-1:0] meta,
    input wire [DATA_WIDTH-1:0] data,
    input wire error,
    output wire pop,
    output wire [QW-1:0] queue,
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
  localparam [1:0] DESC = 2'd0;
  reg [15:0] done_q;  // entries, or packed: descriptors
  assign queue = meta[QW-1:0];
  wire [1:0] kind = meta[QW+:2];
  wire [7:0] code = meta[QW+2+:8];
  wire [63:0] desc = meta[QW+10+:64];
  wire [15:0] size = meta[QW+74+:16];
  wire [15:0] avail = meta[QW+90+:16];
  wire [15:0] count = meta[QW+106+:16];
  wire epoch = meta[QW+122];

  localparam ENTRY_BITS = $clog2(DATA_WIDTH / 16);
  wire [15:0] entry = data[16*done_q[ENTRY_BITS-1:0]+:16];
  wire [16:0] sum = {1'b0, avail} + {1'b0, done_q};
  wire [15:0] ring_at = sum >= {1'b0, size} ? 16'(sum - {1'b0, size}) : sum[15:0];
  wire [15:0] at = kind == PACKED ? ring_at : entry;
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
  wire [15:0] left = window - done_q;
  wire [15:0] to_end = size - at;
  wire [15:0] n_a = to_end < 16'(BATCH) ? to_end : 16'(BATCH);
  wire [15:0] n = kind == PACKED && left < n_a ? left : n_a;

  wire bad = kind == ENTRIES && (error || entry >= size);
  wire reads = kind == PACKED || (kind == ENTRIES && !bad);
  wire dead = !live || (kind == PACKED && epoch != epoch_now);
  wire now = valid && !alloc_full && !(dead && kind != END);
  wire step = now && (!reads || read_grant);
  assign read_valid = now && reads;
  assign read_address = desc + {44'd0, at, 4'd0};
  assign read_length = {n[11:0], 4'd0};
  assign alloc = step;
  assign alloc_done = !reads;
  wire [7:0] code_out = kind == END || kind == WRONG ? code :
      error ? RING_ERROR_RING_UNREADABLE : RING_ERROR_HEAD_OUT_OF_RANGE;
  assign alloc_meta = {code_out, n[3:0], at, kind == END ? END : reads ? DESC : WRONG};
  wire last = kind == ENTRIES ? done_q + 16'd1 == count : kind == PACKED ? left == n : 1'b1;
  assign pop = (step && last) || (valid && dead && kind != END);

  always_ff @(posedge clk) begin
    if (!rst_n || pop) done_q <= 0;
    else if (step) done_q <= done_q + (kind == PACKED ? n : 16'd1);
  end
endmodule
`default_nettype wire
