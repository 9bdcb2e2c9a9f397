// Commands, one at a time, and credits. A reset is answered when nothing of the queue is under way any more; a quiesce
// when it begins no further chain.
`default_nettype none
module vq_control #(
    parameter QW = 1,
    parameter SETUP = 228,
    parameter WALK = 35,
    parameter USED = 33,
    parameter OUTSTANDING = 64,
    parameter OW = 6
) (
    input wire clk,
    input wire rst_n,
    input wire cmd_valid,
    output wire cmd_ready,
    input wire [1:0] cmd_command,
    input wire [QW-1:0] cmd_queue,
    input wire [SETUP-1:0] cmd_setup,
    input wire [15:0] cmd_avail,
    input wire cmd_avail_wrap,
    input wire [15:0] cmd_used,
    input wire cmd_used_wrap,
    output wire rsp_valid,
    input wire rsp_ready,
    output wire [1:0] rsp_command,
    output wire [7:0] rsp_code,
    output wire [15:0] rsp_outstanding,
    output wire abort_valid,
    input wire abort_ready,
    output wire [QW-1:0] queue,
    input wire credit_valid,
    output wire credit_ready,
    input wire [QW-1:0] credit_queue,
    input wire [15:0] credit_count,
    output wire credited,
    output wire [QW-1:0] credited_queue,
    input wire [15:0] granted,
    output wire granted_we,
    output wire [QW-1:0] granted_queue,
    output wire [15:0] granted_next,
    input wire on,  // the bit of `credited_queue`
    input wire busy,  // of `queue`
    input wire [WALK-1:0] walk,
    input wire [USED-1:0] used,
    input wire [10:0] begun,  // visits, and those that have ended
    input wire [10:0] ended_visits,
    input wire writers_idle,
    input wire drained,
    input wire published,
    output wire init,
    output wire clear,
    output wire [OW-1:0] clear_at,
    output wire setup_we,
    output wire [SETUP-1:0] setup,
    output wire [WALK-1:0] walk_init,
    output wire [USED-1:0] used_init,
    output wire turn_on,
    output wire turn_off,
    output wire halt
);
  `include "virtio_boundary.svh"
  localparam IDLE = 3'd0, CHECK = 3'd1, CLEAR = 3'd2, INIT = 3'd3, ABORT = 3'd4, SETTLE = 3'd5, ANSWER = 3'd6;
  reg [2:0] state_q;
  reg [1:0] command_q;
  reg [QW-1:0] queue_q;
  reg [SETUP-1:0] setup_q;
  reg [15:0] avail_q, used_q;
  reg avail_wrap_q, used_wrap_q;
  reg [7:0] code_q;
  reg [OW-1:0] clear_q;
  reg [2:0] since_q;
  reg quiesced_q;

  // virtio 1.4, 2.7, 2.8 and 2.8.10.1: sizes, alignments, and that no part goes past the end of the address space.
  wire [63:0] desc = setup_q[63:0];
  wire [63:0] driver = setup_q[127:64];
  wire [63:0] device = setup_q[191:128];
  wire [15:0] size = setup_q[207:192];
  wire packed_ring = setup_q[208];
  wire [63:0] wide = {48'd0, size};
  wire [64:0] desc_end = {1'b0, desc} + {1'b0, wide << 4} - 65'd1;
  wire [64:0] driver_end = {1'b0, driver} + (packed_ring ? 65'd3 : {1'b0, wide << 1} + 65'd5);
  wire [64:0] device_end = {1'b0, device} + (packed_ring ? 65'd3 : {1'b0, wide << 3} + 65'd5);
  wire bad_size = size == 0 || size > 16'd32768 || (!packed_ring && (size & (size - 16'd1)) != 0);
  // The parts are looked at one after the other.
  reg [7:0] code;
  always_comb begin
    code = RING_ERROR_NONE;
    if (bad_size) code = RING_ERROR_BAD_QUEUE_SIZE;
    else if (desc[3:0] != 0) code = RING_ERROR_MISALIGNED;
    else if (desc_end[64]) code = RING_ERROR_ADDRESS_WRAPS;
    else if (driver[0] || (packed_ring && driver[1])) code = RING_ERROR_MISALIGNED;
    else if (driver_end[64]) code = RING_ERROR_ADDRESS_WRAPS;
    else if (device[1:0] != 0) code = RING_ERROR_MISALIGNED;
    else if (device_end[64]) code = RING_ERROR_ADDRESS_WRAPS;
  end

  wire settled = since_q == 3'd7;
  // The visits that had begun when the queue was no longer busy have ended.
  reg waits_q;
  reg [10:0] until_q;
  wire [10:0] left = until_q - ended_visits;
  wire still = waits_q && (left == 0 || left[10]);
  reg ended;
  always_comb
    case (command_q)
      RING_COMMAND_RESET[1:0]: ended = settled && still && drained;
      RING_COMMAND_QUIESCE[1:0]: ended = settled && still;
      // Of a queue that goes on it is a snapshot.
      default: ended = settled && (!quiesced_q || (still && published));
    endcase

  assign cmd_ready = state_q == IDLE;
  assign rsp_valid = state_q == ANSWER;
  assign rsp_command = command_q;
  assign rsp_code = code_q;
  assign rsp_outstanding = walk[32:17] - used[32:17];
  assign abort_valid = state_q == ABORT;
  assign queue = queue_q;
  assign init = state_q == INIT && writers_idle;
  assign clear = state_q == CLEAR && writers_idle;
  assign clear_at = clear_q;
  assign setup_we = state_q == INIT;
  assign setup = setup_q;
  assign walk_init = {2'b00, 16'd0, avail_wrap_q, avail_q};
  assign used_init = {16'd0, used_wrap_q, used_q};
  assign turn_on = init;
  assign turn_off = state_q == CHECK && command_q == RING_COMMAND_RESET[1:0];
  assign halt = state_q == CHECK && command_q == RING_COMMAND_QUIESCE[1:0];

  // Credits.
  reg taken_q;
  reg [QW-1:0] to_q;
  reg [15:0] count_q;
  assign credit_ready = !taken_q && state_q != INIT;
  assign credited = taken_q && on;
  assign credited_queue = to_q;
  assign granted_we = credited || init;
  assign granted_queue = init ? queue_q : to_q;
  assign granted_next = init ? 16'd0 : granted + count_q;

  always_ff @(posedge clk) begin
    to_q <= credit_queue;
    count_q <= credit_count;
    if (!rst_n) begin
      state_q <= IDLE;
      taken_q <= 0;
      quiesced_q <= 0;
    end else begin
      taken_q <= credit_valid && credit_ready;
      if (state_q != SETTLE || !settled) waits_q <= 0;
      else if (!busy && !waits_q) begin
        waits_q <= 1;
        until_q <= begun;
      end
      if (state_q != SETTLE) since_q <= 0;
      else if (!settled) since_q <= since_q + 1'b1;
      case (state_q)
        IDLE: begin
          command_q <= cmd_command;
          queue_q <= cmd_queue;
          setup_q <= cmd_setup;
          avail_q <= cmd_avail;
          avail_wrap_q <= cmd_avail_wrap;
          used_q <= cmd_used;
          used_wrap_q <= cmd_used_wrap;
          clear_q <= 0;
          if (cmd_valid) begin
            quiesced_q <= command_q == RING_COMMAND_QUIESCE[1:0] && queue_q == cmd_queue && cmd_command == RING_COMMAND_READ_STATE[1:0];
            state_q <= CHECK;
          end
        end
        CHECK: begin
          code_q <= command_q == RING_COMMAND_ENABLE[1:0] ? code : RING_ERROR_NONE;
          case (command_q)
            RING_COMMAND_ENABLE[1:0]: state_q <= code == RING_ERROR_NONE ? CLEAR : ANSWER;
            RING_COMMAND_RESET[1:0]: state_q <= ABORT;
            default: state_q <= SETTLE;
          endcase
        end
        CLEAR:
        if (writers_idle) begin
          clear_q <= clear_q + 1'b1;
          if (clear_q == OW'(OUTSTANDING - 1)) state_q <= INIT;
        end
        INIT: if (writers_idle) state_q <= ANSWER;
        ABORT: if (abort_ready) state_q <= SETTLE;
        SETTLE: if (ended) state_q <= ANSWER;
        ANSWER: if (rsp_ready) state_q <= IDLE;
        default: state_q <= IDLE;
      endcase
    end
  end
endmodule
`default_nettype wire
