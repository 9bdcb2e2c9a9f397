// Stage 5: gathers completions of a queue, as many as may become visible together, writes their used elements and what
// publishes them, and asks behind that for the driver's event suppression.
`default_nettype none
module vq_used #(
    parameter QW = 1,
    parameter DATA_WIDTH = 256,
    parameter SETUP = 228,
    parameter USED = 67,
    parameter NOTE = 67,
    parameter META = 1,
    parameter OUTSTANDING = 64,
    parameter OW = 6,
    parameter BATCH = 16,
    parameter EVENT_POLICY = 0
) (
    input wire clk,
    input wire rst_n,
    input wire on,  // bits of `queue`
    input wire used_failed,
    // A question about the queue's event suppression is under way, or answered in this cycle.
    input wire asking,
    input wire answered,
    output wire owes,  // a turn behind the answer
    input wire turn_valid,
    input wire [QW-1:0] turn_queue,
    output wire turn_take,
    output wire [QW-1:0] context_queue,
    input wire [SETUP-1:0] setup,
    input wire [USED-1:0] used,
    output wire used_we,
    output wire [USED-1:0] used_next,
    output wire [QW-1:0] queue,
    output wire again,
    output wire idle,  // ended
    output wire [15:0] note_at,
    input wire [NOTE-1:0] note,
    output wire write_valid,
    input wire write_grant,
    input wire write_idle,
    output wire [63:0] write_address,
    output wire [DATA_WIDTH-1:0] write_data,
    output wire [DATA_WIDTH/8-1:0] write_strobes,
    output wire write_fence,
    output wire write_gives,
    output wire [32:0] write_place,
    output wire read_valid,
    input wire read_grant,
    output wire [63:0] read_address,
    output wire [15:0] read_length,
    output wire [META-1:0] read_meta,
    input wire read_full,
    input wire read_left,
    input wire [QW-1:0] drain_queue,
    output wire drained
);
  localparam IDLE = 3'd0, LOAD = 3'd1, SCAN = 3'd2, COPY = 3'd4, PUBLISH = 3'd5, EVENT = 3'd6, SAVE = 3'd7;
  localparam PER_WRITE = DATA_WIDTH / 64;
  localparam PW = $clog2(PER_WRITE + 1);
  reg [2:0] state_q;
  reg [QW-1:0] queue_q;

  wire [63:0] desc = setup[63:0];
  wire [63:0] driver = setup[127:64];
  wire [63:0] device = setup[191:128];
  wire [15:0] size = setup[207:192];
  wire packed_ring = setup[208];
  wire event_idx = setup[209];
  wire in_order = setup[211];
  wire [15:0] vector = setup[227:212];

  reg [15:0] index_q, published_q, before_q, run_q;
  reg wrap_q, before_wrap_q, run_wrap_q;
  reg [16:0] advanced_q;
  reg [15:0] ptr_q, whole_q;
  reg in_run_q, more_q, held_q, asked_q;
  reg [15:0] seen_at_q;
  // Split: elements that go into one write. Packed: the batch's first descriptor.
  reg [DATA_WIDTH-1:0] gather_q;
  reg [PW-1:0] gathered_q;
  reg [15:0] gather_at_q, gather_end_q;
  reg [63:0] hold_q;
  reg [15:0] hold_at_q;

  wire [31:0] written = note[31:0];
  wire [15:0] head = note[47:32];
  wire [15:0] slots = note[63:48];
  wire full = note[64];
  wire more = note[65];
  wire phase = note[66];
  wire [15:0] scanned = published_q + seen_at_q;
  wire there = phase == !scanned[OW];

  wire live = on && !used_failed;
  wire saved = state_q == SAVE && (!asked_q || read_left);
  // The next queue's turn begins as this one's ends.
  wire ends = state_q == IDLE || saved;
  assign context_queue = ends ? turn_queue : queue_q;
  assign turn_take = ends && turn_valid;
  assign queue = queue_q;
  assign drained = state_q == IDLE || queue_q != drain_queue;

  // The note at ptr_q, in COPY.
  wire skip = in_order && full && ptr_q + 16'd1 < whole_q;
  wire [15:0] to = in_run_q ? run_q : index_q;
  wire to_wrap = in_run_q ? run_wrap_q : wrap_q;
  wire [15:0] slot = to & (size - 16'd1);
  wire joins = gathered_q != 0 && gathered_q != PW'(PER_WRITE) && slot != 0 && slot == gather_end_q;
  wire flush = !packed_ring && gathered_q != 0 && !joins;
  wire [15:0] used_flags = {to_wrap, 7'd0, to_wrap, 5'd0, written != 0, 1'b0};
  wire [63:0] used_desc = {used_flags, head, written};
  wire copy = state_q == COPY && live;
  wire needs_write = copy && !skip && (packed_ring ? held_q : flush);
  wire step = copy && (skip || !(needs_write) || (packed_ring && write_grant));
  wire [15:0] taken = packed_ring ? slots : 16'd1;
  wire [16:0] past = {1'b0, index_q} + {1'b0, taken};
  wire over = packed_ring && past >= {1'b0, size};

  // PUBLISH: what was gathered, then the index; packed: the first descriptor.
  wire rest = !packed_ring && gathered_q != 0;
  assign write_valid = needs_write || (state_q == PUBLISH && live);
  wire index_write = state_q == PUBLISH && !packed_ring && !rest;
  assign write_address = packed_ring ? desc + {44'd0, state_q == PUBLISH ? hold_at_q : to, 4'd8} :
      index_write ? device + 64'd2 : device + 64'd4 + {45'd0, gather_at_q, 3'd0};
  wire [63:0] one = state_q == PUBLISH ? hold_q : used_desc;
  assign write_data = packed_ring ? DATA_WIDTH'(one) :
      index_write ? DATA_WIDTH'(index_q) : gather_q;
  reg [DATA_WIDTH/8-1:0] gathered_strobes;
  always_comb begin
    gathered_strobes = 0;
    for (int i = 0; i < PER_WRITE; i = i + 1)
    if (i < 32'(gathered_q)) gathered_strobes[8*i+:8] = 8'hff;
  end
  assign write_strobes = packed_ring ? (DATA_WIDTH / 8)'(255) : index_write ? (DATA_WIDTH / 8)'(3) : gathered_strobes;
  assign write_fence = state_q == PUBLISH && !rest;
  assign write_gives = state_q == PUBLISH && packed_ring;
  assign write_place = used_next[32:0];

  assign read_valid = state_q == EVENT && live && write_idle && !read_full;
  assign read_address = packed_ring || !event_idx ? driver : driver + 64'd4 + {47'd0, size, 1'b0};
  assign read_length = packed_ring ? 16'd4 : 16'd2;
  assign read_meta = META'({published_q + whole_q, vector, event_idx, packed_ring, size, advanced_q, before_wrap_q, before_q, queue_q});

  assign used_we = saved;
  // What was published since the last question, and from where on.
  wire unasked = advanced_q != 0 && !asked_q;
  wire waits = asking && !answered;
  assign used_next = {
    unasked ? {advanced_q, before_wrap_q, before_q} : 34'd0, published_q + whole_q, wrap_q, index_q
  };
  assign owes = saved && unasked && waits;
  // Whether a completion came that the next turn takes.
  wire there_too = phase == !next_at[OW] && !more;
  wire [15:0] next_at = published_q + whole_q;
  assign again = saved && (more_q || (unasked && !waits));
  assign idle = ((state_q == LOAD || state_q == COPY || state_q == PUBLISH) && !live) ||
      (scanned_all && whole == 0 && state_next != EVENT) || saved;
  wire scanned_all = state_q == SCAN && (!there || seen_at_q == 16'(OUTSTANDING - 1) || (!more && seen_at_q >= 16'(BATCH - 1)));
  wire [15:0] whole = there && !more ? seen_at_q + 16'd1 : whole_q;
  wire [2:0] state_next = whole != 0 ? COPY : advanced_q != 0 && !asking ? EVENT : IDLE;
  assign note_at = state_q == LOAD ? used[32:17] : published_q + (scanned_all ? 16'd0 : step ? ptr_q + 16'd1 : ptr_q);

  always_ff @(posedge clk) begin
    if (!rst_n) state_q <= IDLE;
    else
      case (state_q)
        IDLE:
        if (turn_valid) begin
          queue_q <= turn_queue;
          state_q <= LOAD;
        end
        LOAD: begin
          {published_q, wrap_q, index_q} <= used[32:0];
          {before_wrap_q, before_q} <= used[66:50] == 0 ? used[16:0] : used[49:33];
          ptr_q <= 1;
          whole_q <= 0;
          seen_at_q <= 0;
          asked_q <= 0;
          more_q <= 0;
          gathered_q <= 0;
          held_q <= 0;
          in_run_q <= 0;
          advanced_q <= used[66:50];
          state_q <= live ? SCAN : IDLE;
        end
        SCAN: begin
          // A note is asked for in each cycle and judged in the next.
          seen_at_q <= ptr_q;
          ptr_q <= ptr_q + 1'b1;
          whole_q <= whole;
          if (scanned_all) begin
            more_q  <= there;
            ptr_q   <= 0;
            state_q <= state_next;
          end
        end
        COPY:
        if (!live) state_q <= IDLE;
        else begin
          if (!skip && !packed_ring) begin
            if (flush) begin
              if (write_grant) gathered_q <= 0;
            end else begin
              if (gathered_q == 0) gather_at_q <= slot;
              gather_q[64*gathered_q[PW-2:0]+:64] <= {written, 16'd0, head};
              gather_end_q <= slot + 16'd1;
              gathered_q <= gathered_q + 1'b1;
            end
          end
          if (!skip && packed_ring && !held_q) begin
            held_q <= 1;
            hold_q <= used_desc;
            hold_at_q <= to;
          end
          if (step) begin
            in_run_q <= skip;
            if (!in_run_q) {run_wrap_q, run_q} <= {wrap_q, index_q};
            index_q <= over ? 16'(past - {1'b0, size}) : past[15:0];
            if (over) wrap_q <= !wrap_q;
            advanced_q <= advanced_q + {1'b0, taken};
            ptr_q <= ptr_q + 1'b1;
            if (ptr_q + 16'd1 == whole_q) state_q <= PUBLISH;
          end
        end
        PUBLISH:
        if (!live) state_q <= IDLE;
        else if (write_grant) begin
          gathered_q <= 0;
          if (!rest) state_q <= waits || (EVENT_POLICY != 0 && there_too) ? SAVE : EVENT;
        end
        EVENT:
        if (!live) state_q <= SAVE;
        else if (read_grant) begin
          asked_q <= 1;
          state_q <= SAVE;
        end
        default:
        if (saved) begin
          if (turn_valid) queue_q <= turn_queue;
          state_q <= turn_valid ? LOAD : IDLE;
        end
      endcase
  end
endmodule
`default_nettype wire
