// Stage 4: takes the descriptors in availability order, follows chains and indirect tables, and emits segments. What
// was fetched ahead, by stage 3 or 3b, is used where the chain goes there; the rest it reads itself, one read at a time. The only stage
// that emits segments and errors, so that none of a queue follows its error.
`default_nettype none
module vq_walk #(
    parameter QUEUES = 1,
    parameter QW = 1,
    parameter DATA_WIDTH = 256,
    parameter META = 1,
    parameter HEADER = 1,
    parameter WALK = 35,
    parameter BATCH = 2,
    parameter INDIRECT_BATCH = 2,
    parameter PREFETCH = 16,
    parameter [8*QUEUES-1:0] WEIGHTS = 0
) (
    input wire clk,
    input wire rst_n,
    input wire on,  // bits of `queue`
    input wire halted,
    input wire failed,
    input wire epoch_now,
    input wire bell_now,
    input wire header_valid,
    input wire [HEADER-1:0] header,
    output wire header_pop,
    input wire token_valid,
    input wire [META-1:0] token,
    input wire [DATA_WIDTH-1:0] token_data,
    input wire token_error,
    output wire token_pop,
    // What was read behind the token.
    input wire [6:0] token_chunks,
    input wire chunk_valid,
    input wire [23:0] chunk,
    input wire [DATA_WIDTH-1:0] chunk_data,
    input wire chunk_error,
    output wire chunk_pop,
    output wire read_valid,
    input wire read_grant,
    output wire [63:0] read_address,
    output wire [15:0] read_length,
    output wire read_indirect,
    input wire rsp,
    input wire [DATA_WIDTH-1:0] rsp_data,
    input wire rsp_error,
    output wire [QW-1:0] queue,
    // Errors that other stages found.
    input wire fault_valid,
    input wire [QW-1:0] fault_queue,
    input wire [7:0] fault_code,
    input wire fault_on,  // bits of `fault_queue`
    input wire fault_failed,
    output wire fault_pop,
    // The chain table: head or buffer id, and descriptors, by number.
    output wire chain_we,
    output wire [15:0] chain_id,
    output wire [31:0] chain_data,
    output wire [QW-1:0] context_queue,
    input wire [15:0] emitted,  // chains of a packed queue, a cycle after `context_queue`
    output wire walk_we,
    output wire [WALK-1:0] walk,
    // Packed: where the queue's next visit begins, and that those under way are of no use.
    output wire [15:0] position,
    output wire visit_we,
    output wire [1:0] visit,
    output wire epoch_flip,
    output wire bell,
    output wire done,
    output wire again,
    output wire busy_clear,
    output wire halt,
    output wire [QW-1:0] halt_queue,
    output reg segment_valid,
    input wire segment_ready,
    output reg [QW-1:0] segment_queue,
    output reg [15:0] segment_chain,
    output reg [63:0] segment_address,
    output reg [31:0] segment_length,
    output reg segment_writable,
    output reg segment_first,
    output reg segment_last,
    output reg segment_error,
    output reg error_valid,
    input wire error_ready,
    output reg [QW-1:0] error_queue,
    output reg [7:0] error_code
);
  `include "virtio_boundary.svh"
  localparam INDIRECT_BEAT = INDIRECT_BATCH < DATA_WIDTH / 128 ? INDIRECT_BATCH : DATA_WIDTH / 128;
  localparam [1:0] DESC = 2'd0, END = 2'd1;
  localparam IDLE = 4'd0, TOKEN = 4'd1, EVAL = 4'd2, ASK = 4'd3, WAIT = 4'd4, FAIL = 4'd5, REPORT = 4'd6,
      REPORTED = 4'd7, SAVE = 4'd8, SAVED = 4'd9, FAULT = 4'd10, LOAD = 4'd11;
  reg [3:0] state_q, back_q;

  // The visit.
  reg [QW-1:0] queue_q;
  reg [63:0] desc_q;
  reg [15:0] size_q, limit_q, avail_q, chain_q;
  reg packed_q, event_q, indirect_q, wrap_q, armed_q;
  reg more_q, drop_q, any_q, rang_q, stream_q, epoch_q, stale_q;
  reg [15:0] position_q, fetched_q;
  assign queue = queue_q;
  // The chain.
  reg [15:0] at_q, count_q, head_q, slots_q;
  reg in_table_q, first_q, writable_q;
  reg [63:0] table_q;
  reg [27:0] entries_q;
  reg [33:0] total_q;
  // What was read of its table.
  reg [DATA_WIDTH-1:0] window_q;
  reg [15:0] window_at_q;
  reg [4:0] window_n_q;
  reg window_error_q, window_own_q;
  reg [7:0] code_q;
  // Packed: the window that the chain with the table is in, and which descriptor of it that is.
  reg [DATA_WIDTH-1:0] hold_q;
  reg [15:0] hold_at_q;
  reg [4:0] hold_n_q;
  reg [1:0] sub_q;
  // What was read behind the token and is not taken yet.
  reg [6:0] chunks_q;
  wire clean = chunks_q == 0;
  wire [15:0] chunk_at = chunk[15:0];
  wire [4:0] chunk_n = chunk[20:16];
  wire chunk_table = chunk[21];
  wire [1:0] chunk_sub = chunk[23:22];

  wire [1:0] token_kind = token[1:0];
  wire [15:0] token_at = token[17:2];
  wire [3:0] token_n = token[21:18];
  wire [7:0] token_code = token[29:22];

  // The descriptor at at_q.
  wire [15:0] offset = at_q - window_at_q;
  wire present = at_q >= window_at_q && offset < {11'd0, window_n_q};
  wire [DATA_WIDTH-1:0] shifted = window_q >> {offset, 7'd0};
  wire [127:0] d = shifted[127:0];
  wire [63:0] d_addr = d[63:0];
  wire [31:0] d_len = d[95:64];
  wire [15:0] d_id = packed_q ? d[111:96] : d[127:112];
  wire [15:0] d_raw = packed_q ? d[127:112] : d[111:96];
  wire [15:0] d_flags = packed_q && in_table_q ? d_raw & 16'd2 : d_raw;
  wire [15:0] d_next = d[127:112];
  wire f_next = d_flags[0], f_write = d_flags[1], f_indirect = d_flags[2];
  // The wrap counter there: it toggled if the chain went over the ring's end.
  wire here_wrap = at_q < avail_q ? !wrap_q : wrap_q;
  wire available = d_raw[7] == here_wrap && d_raw[15] != here_wrap;
  wire direct_packed = packed_q && !in_table_q;

  wire [64:0] d_end = {1'b0, d_addr} + {33'd0, d_len};
  wire wraps = d_len != 0 && d_end[64] && d_end[63:0] != 0;
  wire [33:0] total = total_q + {2'd0, d_len};
  wire [27:0] next_at = {12'd0, at_q} + 28'd1;

  reg [7:0] wrong;
  always_comb begin
    wrong = RING_ERROR_NONE;
    if (window_error_q) wrong = RING_ERROR_DESCRIPTOR_UNREADABLE;
    else if (direct_packed && !available) wrong = RING_ERROR_CHAIN_NOT_AVAILABLE;
    else if (f_indirect && in_table_q) wrong = RING_ERROR_NESTED_INDIRECT;
    else if (f_indirect) begin
      if (!indirect_q) wrong = RING_ERROR_INDIRECT_NOT_NEGOTIATED;
      else if (f_next || (packed_q && count_q != 0)) wrong = RING_ERROR_INDIRECT_WITH_NEXT;
      else if (d_len == 0 || d_len[3:0] != 0) wrong = RING_ERROR_BAD_INDIRECT_TABLE;
      else if (wraps) wrong = RING_ERROR_ADDRESS_WRAPS;
    end else if (wraps) wrong = RING_ERROR_ADDRESS_WRAPS;
    else if (!f_write && writable_q) wrong = RING_ERROR_READABLE_AFTER_WRITABLE;
    else if (total > 34'h1_0000_0000) wrong = RING_ERROR_CHAIN_TOO_LARGE;
    else if (f_next && !packed_q && {12'd0, d_next} >= entries_q) wrong = RING_ERROR_NEXT_OUT_OF_RANGE;
  end
  // A bad `next` is found behind the segment of its descriptor.
  wire late = wrong == RING_ERROR_NEXT_OUT_OF_RANGE;
  wire chain_end = packed_q && in_table_q ? next_at == entries_q : !f_next;

  wire [15:0] window;
  vq_window #(
      .QUEUES(QUEUES),
      .QW(QW),
      .PREFETCH(PREFETCH),
      .WEIGHTS(WEIGHTS)
  ) windows (
      .queue (queue_q),
      .size  (size_q),
      .window(window)
  );
  wire segment_free = !segment_valid || segment_ready;
  wire start = count_q == 0 && !in_table_q;
  wire stop = !on || (start && halted);
  wire too_long = count_q == size_q;
  wire not_yet = direct_packed && !window_error_q && !available;
  wire take_ahead = direct_packed && clean && !drop_q && token_valid && token_kind == DESC && token_at == at_q;
  wire wait_ahead = direct_packed && (!clean || (!drop_q && !token_valid));
  // A chunk for this chain, or one that is behind it; a token's are in the order of its descriptors.
  wire mine = !clean && !direct_packed && chunk_table == in_table_q && (!packed_q || chunk_sub == sub_q);
  wire past_it = !clean && (direct_packed || (packed_q && chunk_sub < sub_q));
  wire fits = at_q >= chunk_at && at_q - chunk_at < {11'd0, chunk_n};
  wire judge = state_q == EVAL && !stop && !too_long && present;
  wire fetch = state_q == EVAL && !stop && !too_long && !present;
  wire emit = judge && !not_yet && (wrong == RING_ERROR_NONE || late) && !f_indirect && segment_free;
  wire commit = emit && chain_end && !late;

  wire [16:0] past = {1'b0, avail_q} + {1'b0, packed_q ? (in_table_q ? slots_q : count_q + 16'd1) : 16'd1};
  wire over = packed_q && past >= {1'b0, size_q};
  wire [15:0] avail_next = over ? 16'(past - {1'b0, size_q}) : past[15:0];
  wire [16:0] ring_next = {1'b0, at_q} + 17'd1;

  wire faulty = fault_valid && (state_q == IDLE || state_q == TOKEN);
  assign header_pop = state_q == IDLE && header_valid && !faulty;
  assign token_pop = (state_q == TOKEN && token_valid && clean && !faulty) || (fetch && take_ahead);
  // The chunk is what a table begins with, or where the next descriptor is.
  wire [15:0] go_to = packed_q ? ring_next[15:0] : d_next;
  wire leaves = go_to < window_at_q || go_to - window_at_q >= {11'd0, window_n_q};
  wire enters = judge && !not_yet && wrong == RING_ERROR_NONE && f_indirect && chunk_table && chunk_at == 0 &&
      (!packed_q || chunk_sub == offset[1:0]);
  wire follows = emit && !chain_end && !late && leaves && mine && go_to >= chunk_at && go_to - chunk_at < {11'd0, chunk_n};
  wire take_chunk = chunk_valid && !clean && (enters || follows || (fetch && mine && fits));
  assign chunk_pop = take_chunk || (chunk_valid && !clean && (state_q == TOKEN || (fetch && (mine || past_it))));
  assign fault_pop = state_q == FAULT;

  wire [27:0] left = entries_q - {12'd0, at_q};
  wire [4:0] batch = in_table_q ? 5'(INDIRECT_BEAT) : 5'(BATCH);
  wire [4:0] n = left < {23'd0, batch} ? left[4:0] : batch;
  assign read_valid = state_q == ASK;
  assign read_address = table_q + {44'd0, at_q, 4'd0};
  assign read_length = {7'd0, n, 4'd0};
  assign read_indirect = in_table_q;

  assign chain_we = commit;
  assign chain_id = chain_q;
  assign chain_data = {
    packed_q ? (in_table_q ? slots_q : count_q + 16'd1) : 16'd1,
    packed_q && !in_table_q ? d_id : head_q
  };
  assign context_queue = header[QW-1:0];
  assign walk_we = state_q == SAVE && segment_free && (any_q || packed_q) && !stale_q;
  // All that was fetched was available: the next visit, if it began already, is where it should be.
  wire all = !drop_q && position_q == fetched_q;
  assign position = position_q;
  assign visit_we = walk_we && packed_q && !(stream_q && all);
  assign epoch_flip = visit_we && stream_q;
  assign visit = {epoch_q ^ stream_q, all};
  assign bell = state_q == SAVED && stale_q && rang_q;
  assign done = state_q == SAVED;
  assign walk = {more_q, armed_q, chain_q, wrap_q, avail_q};
  assign busy_clear = state_q == SAVED && packed_q && !stream_q;
  assign again = state_q == SAVED && packed_q && on && !halted &&
      (stale_q ? rang_q : more_q || bell_now || (event_q && !armed_q));
  assign halt = (state_q == FAIL && segment_free && on) || (state_q == FAULT);
  assign halt_queue = state_q == FAULT ? fault_queue : queue_q;

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      state_q <= IDLE;
      chunks_q <= 0;
      segment_valid <= 0;
      error_valid <= 0;
    end else begin
      if (token_pop) chunks_q <= token_chunks;
      else if (chunk_pop) chunks_q <= chunks_q - 1'b1;
      if (segment_ready) segment_valid <= 0;
      if (error_ready) error_valid <= 0;
      case (state_q)
        IDLE:
        if (faulty) begin
          back_q  <= IDLE;
          state_q <= FAULT;
        end else if (header_valid) begin
          {rang_q, stream_q, epoch_q, armed_q, chain_q, wrap_q, avail_q, limit_q} <= header[QW+84+:53];
          {indirect_q, event_q, packed_q} <= header[QW+80+:3];
          size_q <= header[QW+64+:16];
          desc_q <= header[QW+:64];
          queue_q <= header[QW-1:0];
          more_q <= 0;
          drop_q <= 0;
          any_q <= 0;
          stale_q <= 0;
          state_q <= header[QW+80] ? LOAD : TOKEN;
        end
        LOAD: begin
          chain_q <= emitted;
          position_q <= chain_q;
          fetched_q <= chain_q + window;
          stale_q <= epoch_q != epoch_now;
          drop_q <= epoch_q != epoch_now;
          state_q <= TOKEN;
        end
        TOKEN:
        if (faulty) begin
          back_q  <= TOKEN;
          state_q <= FAULT;
        end else if (token_valid && clean) begin
          count_q <= 0;
          slots_q <= 1;
          total_q <= 0;
          in_table_q <= 0;
          writable_q <= 0;
          first_q <= 1;
          at_q <= packed_q ? avail_q : token_at;
          head_q <= token_at;
          table_q <= desc_q;
          entries_q <= {12'd0, size_q};
          window_q <= token_data;
          window_at_q <= token_at;
          window_n_q <= {1'b0, token_n};
          window_error_q <= token_error;
          window_own_q <= 0;
          code_q <= token_code;
          if (token_kind == END) begin
            if (!drop_q) more_q <= token_code[0];
            state_q <= SAVE;
          end else if (!drop_q && on && !halted) state_q <= token_kind == DESC ? EVAL : FAIL;
        end
        EVAL:
        if (stop) begin
          drop_q  <= 1;
          state_q <= TOKEN;
        end else if (too_long) begin
          code_q  <= RING_ERROR_CHAIN_TOO_LONG;
          state_q <= FAIL;
        end else if (!present) begin
          if (take_ahead) begin
            window_q <= token_data;
            window_at_q <= token_at;
            window_n_q <= {1'b0, token_n};
            window_error_q <= token_error;
            window_own_q <= 0;
          end else if (mine || past_it || wait_ahead) begin  // it comes
          end else begin
            if (direct_packed) drop_q <= 1;
            if (direct_packed) more_q <= 1;
            state_q <= ASK;
          end
        end else if (not_yet && start) begin
          // The end of what is available; what was read further on may be older than what the driver writes next.
          drop_q  <= 1;
          more_q  <= 0;
          state_q <= TOKEN;
        end else if (not_yet && !window_own_q) begin
          // Read before the chain's first descriptor proved this one, perhaps.
          drop_q  <= 1;
          more_q  <= 1;
          state_q <= ASK;
        end else if (wrong != RING_ERROR_NONE && !late) begin
          code_q  <= wrong;
          state_q <= FAIL;
        end else if (f_indirect) begin
          if (packed_q) head_q <= d_id;
          hold_q <= window_q;
          hold_at_q <= window_at_q;
          hold_n_q <= window_n_q;
          sub_q <= offset[1:0];
          slots_q <= 1;
          in_table_q <= 1;
          table_q <= d_addr;
          entries_q <= d_len[31:4];
          at_q <= 0;
          window_n_q <= 0;
        end else if (segment_free) begin
          segment_valid <= 1;
          segment_queue <= queue_q;
          segment_chain <= chain_q;
          segment_address <= d_addr;
          segment_length <= d_len;
          segment_writable <= f_write;
          segment_first <= first_q;
          segment_last <= chain_end && !late;
          segment_error <= 0;
          first_q <= 0;
          writable_q <= f_write;
          total_q <= total;
          count_q <= count_q + 1'b1;
          at_q <= packed_q ? (direct_packed && ring_next == {1'b0, size_q} ? 16'd0 : ring_next[15:0]) : d_next;
          if (late) begin
            code_q  <= wrong;
            state_q <= FAIL;
          end else if (chain_end) begin
            avail_q <= avail_next;
            if (over) wrap_q <= !wrap_q;
            chain_q <= chain_q + 1'b1;
            position_q <= position_q + chain_data[31:16];
            any_q <= 1;
            limit_q <= limit_q - 1'b1;
            armed_q <= 0;
            count_q <= 0;
            total_q <= 0;
            writable_q <= 0;
            first_q <= 1;
            if (packed_q && limit_q == 16'd1 && !stream_q) begin
              drop_q <= 1;
              more_q <= 1;
            end
            // The next chain of a packed ring may be in the window, too.
            if (!packed_q || drop_q || limit_q == 16'd1 ||
                (in_table_q ? {3'd0, sub_q} + 5'd1 == hold_n_q : offset + 16'd1 == {11'd0, window_n_q}))
              state_q <= TOKEN;
            else if (in_table_q) begin
              window_q <= hold_q;
              window_at_q <= hold_at_q;
              window_n_q <= hold_n_q;
              window_error_q <= 0;
              in_table_q <= 0;
              table_q <= desc_q;
              entries_q <= {12'd0, size_q};
              at_q <= avail_next;
            end
          end
        end
        ASK: if (read_grant) state_q <= WAIT;
        WAIT:
        if (rsp) begin
          window_q <= rsp_data;
          window_at_q <= at_q;
          window_n_q <= n;
          window_error_q <= rsp_error;
          window_own_q <= 1;
          state_q <= EVAL;
        end
        FAIL:
        if (segment_free) begin
          back_q <= TOKEN;
          drop_q <= 1;
          if (!on) state_q <= TOKEN;
          else begin
            if (!first_q) begin
              segment_valid <= 1;
              segment_length <= 0;
              segment_address <= 0;
              segment_first <= 0;
              segment_last <= 1;
              segment_error <= 1;
              segment_queue <= queue_q;
              segment_chain <= chain_q;
            end
            error_queue <= queue_q;
            error_code <= code_q;
            state_q <= failed ? TOKEN : REPORT;
          end
        end
        FAULT: begin
          error_queue <= fault_queue;
          error_code <= fault_code;
          state_q <= !fault_on || fault_failed ? back_q : REPORT;
        end
        REPORT:
        if (!segment_valid) begin
          error_valid <= 1;
          state_q <= REPORTED;
        end
        REPORTED: if (error_ready) state_q <= back_q;
        SAVE: if (segment_free) state_q <= SAVED;
        default: state_q <= IDLE;
      endcase
      if (take_chunk) begin
        window_q <= chunk_data;
        window_at_q <= chunk_at;
        window_n_q <= chunk_n;
        window_error_q <= chunk_error;
        window_own_q <= 0;
      end
    end
  end
endmodule
`default_nettype wire
