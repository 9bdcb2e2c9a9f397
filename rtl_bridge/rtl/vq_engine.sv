// A virtqueue engine with the ports of the ring engine boundary: rtl_bridge/README.md says what each group carries.
// A visit of a queue passes vq_visit, vq_avail, vq_heads and vq_walk, many visits and reads at a time, in order;
// completions pass vq_completion, vq_used and vq_event. Each stage has its own copy of what it needs of a queue.
`default_nettype none
module vq_engine #(
    parameter QUEUES = 4,  // 1..1024
    parameter DATA_WIDTH = 256,  // 128, 256, 512
    parameter TAGS = 64,  // of reads: a power of two, 32..256
    parameter WRITE_TAGS = 32,  // 2..256
    parameter OUTSTANDING = 64,  // chains of a queue with the function: a power of two, 2..4096
    parameter VISIT_CHAINS = 256,  // chains of a queue in one visit
    parameter AVAILABLE_BATCH = DATA_WIDTH / 16,  // available entries in one read
    parameter DESCRIPTOR_BATCH = DATA_WIDTH / 128,  // descriptors in one read
    parameter INDIRECT_BATCH = 8,  // entries of an indirect table that are read at once, a beat each
    parameter WALKERS = 16,  // first reads of chains that wait with what was read behind them: a power of two
    parameter DESCRIPTOR_PREFETCH = 16,  // descriptors of a packed ring that a visit reads ahead
    parameter USED_BATCH = 16,  // completions written back in one go; groups stay whole
    parameter USED_TIMEOUT = 0,  // cycles for which fewer wait for others, at most; 0: they do not
    parameter EVENT_POLICY = 0,  // the driver's event suppression is read after 0: each write-back; 1: the last that has work waiting
    parameter INTERRUPT_TIMEOUT = 0,  // cycles for which an interrupt waits for others, at most; 0: it does not
    parameter INTERRUPT_CHAINS = 16,  // chains that are signalled without waiting for more
    parameter [8*QUEUES-1:0] WEIGHTS = 0,  // 8 bits a queue: its visits in a row, 0 is 1
    parameter [3*QUEUES-1:0] PRIORITIES = 0,  // 3 bits a queue, 0 is visited first; equal ones by turns
    parameter QW = QUEUES > 1 ? $clog2(QUEUES) : 1,
    parameter TW = $clog2(TAGS),
    parameter WTW = $clog2(WRITE_TAGS)
) (
    input wire clk,
    input wire rst_n,
    input wire cmd_valid,
    output wire cmd_ready,
    input wire [15:0] cmd_function,  // enable: whose queue it is from now on
    input wire [1:0] cmd_command,
    input wire [QW-1:0] cmd_queue,
    input wire [15:0] cmd_size,
    input wire [63:0] cmd_desc,
    input wire [63:0] cmd_driver,
    input wire [63:0] cmd_device,
    input wire [15:0] cmd_vector,
    input wire cmd_packed,
    input wire cmd_event_idx,
    input wire cmd_indirect,
    input wire cmd_in_order,
    input wire [15:0] cmd_avail,
    input wire cmd_avail_wrap,
    input wire [15:0] cmd_used,
    input wire cmd_used_wrap,

    output wire rsp_valid,
    input wire rsp_ready,
    output wire [15:0] rsp_function,
    output wire [1:0] rsp_command,
    output wire [QW-1:0] rsp_queue,
    output wire [7:0] rsp_code,
    output wire [15:0] rsp_avail,
    output wire rsp_avail_wrap,
    output wire [15:0] rsp_used,
    output wire rsp_used_wrap,
    output wire [15:0] rsp_outstanding,

    // Always taken. The data is a hint, and is not used.
    input wire db_valid,
    output wire db_ready,
    input wire [QW-1:0] db_queue,
    input wire [15:0] db_next_off,
    input wire db_next_wrap,

    output wire rd_valid,
    input wire rd_ready,
    output wire [15:0] rd_function,
    output wire [TW-1:0] rd_tag,
    output wire [QW-1:0] rd_queue,
    output wire [2:0] rd_kind,
    output wire [63:0] rd_address,
    output wire [15:0] rd_length,
    output wire rd_after,

    // Always taken; one beat, whose first byte is the one at the address.
    input wire rd_rsp_valid,
    output wire rd_rsp_ready,
    input wire [TW-1:0] rd_rsp_tag,
    input wire [DATA_WIDTH-1:0] rd_rsp_data,
    input wire [1:0] rd_rsp_status,

    // The first byte of the data is the one at the address.
    output wire wr_valid,
    input wire wr_ready,
    output wire [15:0] wr_function,
    output wire [WTW-1:0] wr_tag,
    output wire [QW-1:0] wr_queue,
    output wire [2:0] wr_kind,
    output wire [63:0] wr_address,
    output wire [DATA_WIDTH-1:0] wr_data,
    output wire [DATA_WIDTH/8-1:0] wr_strobes,
    output wire wr_fence,

    input wire wr_rsp_valid,
    output wire wr_rsp_ready,
    input wire [WTW-1:0] wr_rsp_tag,
    input wire [1:0] wr_rsp_status,

    input wire credit_valid,
    output wire credit_ready,
    input wire [QW-1:0] credit_queue,
    input wire [15:0] credit_count,

    output wire seg_valid,
    input wire seg_ready,
    output wire [15:0] seg_function,
    output wire [QW-1:0] seg_queue,
    output wire [15:0] seg_chain,
    output wire seg_generation,
    output wire [63:0] seg_address,
    output wire [31:0] seg_length,
    output wire seg_writable,
    output wire seg_first,
    output wire seg_last,
    output wire seg_error,

    input wire cpl_valid,
    output wire cpl_ready,
    input wire [QW-1:0] cpl_queue,
    input wire [15:0] cpl_chain,
    input wire cpl_generation,
    input wire [31:0] cpl_written,
    input wire cpl_more,
    input wire cpl_full,

    output wire abort_valid,
    input wire abort_ready,
    output wire [15:0] abort_function,
    output wire [QW-1:0] abort_queue,

    output wire int_valid,
    input wire int_ready,
    output wire [15:0] int_function,
    output wire [QW-1:0] int_queue,
    output wire [15:0] int_vector,

    output wire err_valid,
    input wire err_ready,
    output wire [15:0] err_function,
    output wire [QW-1:0] err_queue,
    output wire [7:0] err_code
);
  `include "virtio_boundary.svh"
  localparam OW = $clog2(OUTSTANDING);
  localparam SETUP = 228, WALK = 35, VISIT = 37, USED = 33, OWED = 34, NOTE = 67;

  generate
    if (QUEUES < 1 || QUEUES > 1024) vq_engine_QUEUES_is_1_to_1024 wrong_queues ();
    if (DATA_WIDTH != 128 && DATA_WIDTH != 256 && DATA_WIDTH != 512)
      vq_engine_DATA_WIDTH_is_128_256_or_512 wrong_width ();
    if (TAGS < 32 || TAGS > 256 || TAGS != 1 << TW) vq_engine_TAGS_is_a_power_of_two_32_to_256 wrong_tags ();
    if (WRITE_TAGS < 2 || WRITE_TAGS > 256) vq_engine_WRITE_TAGS_is_2_to_256 wrong_write_tags ();
    if (OUTSTANDING < 2 || OUTSTANDING > 4096 || OUTSTANDING != 1 << OW)
      vq_engine_OUTSTANDING_is_a_power_of_two_2_to_4096 wrong_outstanding ();
    if (AVAILABLE_BATCH < 1 || AVAILABLE_BATCH > DATA_WIDTH / 16)
      vq_engine_AVAILABLE_BATCH_fits_a_beat wrong_available_batch ();
    if (DESCRIPTOR_BATCH < 1 || DESCRIPTOR_BATCH > DATA_WIDTH / 128)
      vq_engine_DESCRIPTOR_BATCH_fits_a_beat wrong_descriptor_batch ();
    if (INDIRECT_BATCH < 1 || INDIRECT_BATCH > 64) vq_engine_INDIRECT_BATCH_is_1_to_64 wrong_indirect_batch ();
    if (WALKERS < 2 || WALKERS > TAGS || WALKERS != 1 << $clog2(WALKERS))
      vq_engine_WALKERS_is_a_power_of_two_2_to_TAGS wrong_walkers ();
    if (DESCRIPTOR_PREFETCH < DESCRIPTOR_BATCH || DESCRIPTOR_PREFETCH > 32768)
      vq_engine_DESCRIPTOR_PREFETCH_is_a_batch_or_more wrong_prefetch ();
    if (VISIT_CHAINS < 1 || VISIT_CHAINS > 32768) vq_engine_VISIT_CHAINS_is_1_to_32768 wrong_visit ();
    if (USED_BATCH < 1 || USED_BATCH > 4096) vq_engine_USED_BATCH_is_1_to_4096 wrong_used_batch ();
    if (EVENT_POLICY != 0 && EVENT_POLICY != 1) vq_engine_EVENT_POLICY_is_0_or_1 wrong_policy ();
    if (INTERRUPT_TIMEOUT != 0 && INTERRUPT_TIMEOUT <= QUEUES)
      vq_engine_INTERRUPT_TIMEOUT_is_0_or_more_than_QUEUES wrong_interrupt_timeout ();
    if (INTERRUPT_CHAINS < 1 || INTERRUPT_CHAINS > 65535)
      vq_engine_INTERRUPT_CHAINS_is_1_to_65535 wrong_interrupt_chains ();
    if (USED_TIMEOUT == 1) vq_engine_USED_TIMEOUT_is_0_or_2_and_more wrong_used_timeout ();
  endgenerate

  /* verilator lint_off UNUSEDSIGNAL */
  wire unused_hint = &{db_next_off, db_next_wrap};
  /* verilator lint_on UNUSEDSIGNAL */

  // --- one bit of each queue ---------------------------------------------------------------------
  reg [10:0] begun_q, ended_q;
  wire avail_we, avail_busy_clear, avail_again, visit_we, epoch_flip, bell_restore, visit_done;
  wire [1:0] visit_state;
  wire [15:0] walk_position, walk_emitted;
  wire [VISIT-1:0] avail_walk;
  wire turn_on, turn_off, setup_we, control_halt, walk_halt, busy_set, visit_busy_clear, walk_busy_clear, bell_clear;
  wire [QW-1:0] control_queue, walk_queue, walk_halt_queue, visit_queue;
  wire used_fault;
  wire [QW-1:0] used_fault_queue;
  wire err_done = err_valid && err_ready;
  assign db_ready = 1'b1;
  // After the reset no queue is on; that takes a cycle for each.
  reg [QW-1:0] sweep_q;
  reg ready_q;
  always_ff @(posedge clk)
    if (!rst_n) begin
      sweep_q <= 0;
      ready_q <= 0;
    end else begin
      sweep_q <= sweep_q + 1'b1;
      if (sweep_q == QW'(QUEUES - 1)) ready_q <= 1;
    end
  wire visit_on, avail_on, heads_on, ahead_on, walk_on, fault_on, noted_on, used_on, event_on, told_on, seen_on, credited_on, db_on;
  wire [QW-1:0] told_queue, seen_queue;
  vq_bits #(
      .QW(QW),
      .READERS(13),
      .WRITERS(1)
  ) on_bits (
      .clk(clk),
      .a_we(turn_on || turn_off || !ready_q),
      .a_queue(ready_q ? control_queue : sweep_q),
      .a_value(turn_on && ready_q),
      .b_we(1'b0),
      .b_queue({QW{1'b0}}),
      .b_value(1'b0),
      .queues({
        visit_queue, avail_queue, heads_queue, ahead_queue, walk_queue, fault_queue, noted_queue, used_queue, event_queue,
        told_queue, seen_queue, credited_queue, db_queue
      }),
      .bits({
        visit_on, avail_on, heads_on, ahead_on, walk_on, fault_on, noted_on, used_on, event_on, told_on, seen_on, credited_on, db_on
      })
  );
  wire visit_halted, avail_halted, heads_halted, ahead_halted, walk_halted;
  vq_bits #(
      .QW(QW),
      .READERS(5)
  ) halted_bits (
      .clk(clk),
      .a_we(turn_on || control_halt),
      .a_queue(control_queue),
      .a_value(!turn_on),
      .b_we(walk_halt && !((turn_on || control_halt) && walk_halt_queue == control_queue)),
      .b_queue(walk_halt_queue),
      .b_value(1'b1),
      .queues({visit_queue, avail_queue, heads_queue, ahead_queue, walk_queue}),
      .bits({visit_halted, avail_halted, heads_halted, ahead_halted, walk_halted})
  );
  wire walk_failed, fault_failed, used_failed, avail_epoch, heads_epoch, walk_epoch;
  vq_bits #(
      .QW(QW),
      .READERS(2)
  ) failed_bits (
      .clk(clk),
      .a_we(turn_on),
      .a_queue(control_queue),
      .a_value(1'b0),
      .b_we(err_done && !(turn_on && err_queue == control_queue)),
      .b_queue(err_queue),
      .b_value(1'b1),
      .queues({walk_queue, fault_queue}),
      .bits({walk_failed, fault_failed})
  );
  wire used_mended = turn_on;
  vq_bits #(
      .QW(QW)
  ) used_failed_bits (
      .clk(clk),
      .a_we(used_mended || !ready_q),
      .a_queue(ready_q ? control_queue : sweep_q),
      .a_value(1'b0),
      .b_we(used_fault && !(turn_on && used_fault_queue == control_queue)),
      .b_queue(used_fault_queue),
      .b_value(1'b1),
      .queues(used_queue),
      .bits(used_failed)
  );
  vq_bits #(
      .QW(QW),
      .READERS(3)
  ) epoch_bits (
      .clk(clk),
      .a_we(turn_on),
      .a_queue(control_queue),
      .a_value(1'b0),
      .b_we(epoch_flip && !(turn_on && walk_queue == control_queue)),
      .b_queue(walk_queue),
      .b_value(!walk_epoch),
      .queues({avail_queue, heads_queue, walk_queue}),
      .bits({avail_epoch, heads_epoch, walk_epoch})
  );
  wire control_generation, noted_generation, noted_in_order;
  vq_bits #(
      .QW(QW),
      .READERS(3),
      .WRITERS(1)
  ) generation_bits (
      .clk(clk),
      .a_we(turn_on || !ready_q),
      .a_queue(ready_q ? control_queue : sweep_q),
      .a_value(ready_q && !control_generation),
      .b_we(1'b0),
      .b_queue({QW{1'b0}}),
      .b_value(1'b0),
      .queues({control_queue, noted_queue, seg_queue}),
      .bits({control_generation, noted_generation, seg_generation})
  );
  vq_bits #(
      .QW(QW),
      .WRITERS(1)
  ) in_order_bits (
      .clk(clk),
      .a_we(turn_on),
      .a_queue(control_queue),
      .a_value(cmd_in_order_q),
      .b_we(1'b0),
      .b_queue({QW{1'b0}}),
      .b_value(1'b0),
      .queues(noted_queue),
      .bits(noted_in_order)
  );

  wire bell_set = db_valid && db_on && ready_q;
  reg [QUEUES-1:0] busy_q, bell_q;
  wire [QUEUES-1:0] at_visit, at_walk, at_avail, bell_gone, bell_back, bell_rung, bell_new;
  vq_select #(QUEUES, QW) busy_visit (.valid(busy_set || visit_busy_clear), .index(visit_queue), .one(at_visit));
  vq_select #(QUEUES, QW) busy_walk (.valid(walk_busy_clear), .index(walk_queue), .one(at_walk));
  vq_select #(QUEUES, QW) busy_avail (.valid(avail_busy_clear), .index(avail_queue), .one(at_avail));
  vq_select #(QUEUES, QW) bell_visit (.valid(bell_clear), .index(visit_queue), .one(bell_gone));
  vq_select #(QUEUES, QW) bell_on (.valid(turn_on), .index(control_queue), .one(bell_new));
  vq_select #(QUEUES, QW) bell_walk (.valid(bell_restore), .index(walk_queue), .one(bell_back));
  vq_select #(QUEUES, QW) bell_db (.valid(bell_set), .index(db_queue), .one(bell_rung));
  wire visit_bell = bell_q[visit_queue], walk_bell = bell_q[walk_queue];
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      busy_q  <= 0;
      bell_q  <= 0;
      begun_q <= 0;
      ended_q <= 0;
    end else begin
      busy_q <= (busy_set ? busy_q | at_visit : busy_q & ~at_visit) & ~at_walk & ~at_avail;
      bell_q <= (bell_q & ~bell_gone & ~bell_new) | bell_back | bell_rung;
      if (alloc1) begun_q <= begun_q + 1'b1;
      if (visit_done) ended_q <= ended_q + 1'b1;
    end
  end

  reg [15:0] function_mem[0:(1<<QW)-1];
  reg [15:0] command_function_q;
  always_ff @(posedge clk) begin
    if (cmd_valid && cmd_ready) command_function_q <= cmd_function;
    if (setup_we) function_mem[control_queue] <= command_function_q;
  end
  assign rsp_function = command_function_q;
  assign abort_function = command_function_q;
  assign rd_function = function_mem[rd_queue];
  assign wr_function = function_mem[wr_queue];
  assign seg_function = function_mem[seg_queue];
  assign int_function = function_mem[int_queue];
  assign err_function = function_mem[err_queue];

  // --- contexts ----------------------------------------------------------------------------------
  wire init, clear, walk_we, used_we, writers_idle;
  wire [OW-1:0] clear_at;
  wire [SETUP-1:0] setup_new, visit_setup, used_setup;
  wire cmd_in_order_q = setup_new[211];
  wire [WALK-1:0] walk_init, walk_next, control_walk;
  wire [VISIT-1:0] visit_walk;
  wire [31:0] visit_commit;
  wire [USED-1:0] used_init, control_used;
  wire [OWED+USED-1:0] used_next, used_context;
  wire [15:0] granted_next, visit_granted, credit_granted, visit_retired;
  wire granted_we;
  wire [QW-1:0] granted_queue, visit_context, walk_context, used_queue, used_context_queue, credited_queue;

  vq_ram #(
      .WIDTH(SETUP),
      .DEPTH(1 << QW),
      .AW(QW)
  ) visit_setup_ram (
      .clk(clk),
      .we(setup_we),
      .waddr(control_queue),
      .wdata(setup_new),
      .raddr(visit_context),
      .rdata(visit_setup)
  );
  vq_ram #(
      .WIDTH(SETUP),
      .DEPTH(1 << QW),
      .AW(QW)
  ) used_setup_ram (
      .clk(clk),
      .we(setup_we),
      .waddr(control_queue),
      .wdata(setup_new),
      .raddr(used_context_queue),
      .rdata(used_setup)
  );
  wire [QW-1:0] walk_write_queue = init ? control_queue : walk_queue;
  wire visit_walk_we = visit_we || avail_we || init;
  wire [WALK-1:0] walk_write = init ? walk_init : walk_next;
  wire [VISIT-1:0] visit_walk_next = {visit_state, walk_next[34:33], walk_position, walk_next[16:0]};
  vq_ram #(
      .WIDTH(VISIT),
      .DEPTH(1 << QW),
      .AW(QW)
  ) visit_walk_ram (
      .clk(clk),
      .we(visit_walk_we),
      .waddr(init ? control_queue : avail_we ? avail_queue : walk_queue),
      .wdata(init ? {2'b00, walk_init} : avail_we ? avail_walk : visit_walk_next),
      .raddr(visit_context),
      .rdata(visit_walk)
  );
  vq_ram #(
      .WIDTH(32),
      .DEPTH(1 << QW),
      .AW(QW)
  ) visit_commit_ram (
      .clk(clk),
      .we(walk_we || init),
      .waddr(walk_write_queue),
      .wdata(init ? 32'd0 : {walk_position, walk_next[32:17]}),
      .raddr(visit_context),
      .rdata(visit_commit)
  );
  vq_ram #(
      .WIDTH(16),
      .DEPTH(1 << QW),
      .AW(QW)
  ) walk_emitted_ram (
      .clk(clk),
      .we(walk_we || init),
      .waddr(walk_write_queue),
      .wdata(walk_write[32:17]),
      .raddr(walk_context),
      .rdata(walk_emitted)
  );
  vq_ram #(
      .WIDTH(WALK),
      .DEPTH(1 << QW),
      .AW(QW)
  ) control_walk_ram (
      .clk(clk),
      .we(walk_we || init),
      .waddr(walk_write_queue),
      .wdata(walk_write),
      .raddr(control_queue),
      .rdata(control_walk)
  );
  wire [QW-1:0] used_write_queue = init ? control_queue : used_queue;
  wire [OWED+USED-1:0] used_write = init ? {{OWED{1'b0}}, used_init} : used_next;
  vq_ram #(
      .WIDTH(OWED + USED),
      .DEPTH(1 << QW),
      .AW(QW)
  ) used_ram (
      .clk(clk),
      .we(used_we || init),
      .waddr(used_write_queue),
      .wdata(used_write),
      .raddr(used_context_queue),
      .rdata(used_context)
  );
  vq_ram #(
      .WIDTH(USED),
      .DEPTH(1 << QW),
      .AW(QW)
  ) control_used_ram (
      .clk(clk),
      .we(used_we || init),
      .waddr(used_write_queue),
      .wdata(used_write[USED-1:0]),
      .raddr(control_queue),
      .rdata(control_used)
  );
  vq_ram #(
      .WIDTH(16),
      .DEPTH(1 << QW),
      .AW(QW)
  ) retired_ram (
      .clk(clk),
      .we(used_we || init),
      .waddr(used_write_queue),
      .wdata(used_write[32:17]),
      .raddr(visit_context),
      .rdata(visit_retired)
  );
  wire answered, given, given_writing;
  wire [QW-1:0] answered_queue, given_queue;
  wire [32:0] answered_place, visit_given;
  vq_given #(
      .QW(QW)
  ) given_back (
      .clk(clk),
      .rst_n(rst_n),
      .init(init),
      .init_queue(control_queue),
      .init_place(used_init[16:0]),
      .writing(given_writing),
      .answered(answered),
      .answered_queue(answered_queue),
      .answered_place(answered_place),
      .given(given),
      .given_queue(given_queue),
      .queue(visit_context),
      .place(visit_given)
  );
  wire [15:0] oldest, oldest_next, age_at;
  wire oldest_we, age_phase;
  vq_ram #(
      .WIDTH(16),
      .DEPTH(1 << QW),
      .AW(QW)
  ) oldest_ram (
      .clk(clk),
      .we(oldest_we || init),
      .waddr(init ? control_queue : visit_queue),
      .wdata(init ? 16'd0 : oldest_next),
      .raddr(visit_context),
      .rdata(oldest)
  );
  vq_ram #(
      .WIDTH(16),
      .DEPTH(1 << QW),
      .AW(QW)
  ) visit_granted_ram (
      .clk(clk),
      .we(granted_we),
      .waddr(granted_queue),
      .wdata(granted_next),
      .raddr(visit_context),
      .rdata(visit_granted)
  );
  vq_ram #(
      .WIDTH(16),
      .DEPTH(1 << QW),
      .AW(QW)
  ) credit_granted_ram (
      .clk(clk),
      .we(granted_we),
      .waddr(granted_queue),
      .wdata(granted_next),
      .raddr(credit_queue),
      .rdata(credit_granted)
  );

  // --- commands and credits ----------------------------------------------------------------------
  wire credited, published, write_drained, used_drained, event_drained, completion_drained, fault_valid;
  wire drained = write_drained && used_drained && event_drained && completion_drained && !fault_valid;
  assign published = used_drained && completion_drained && event_drained;
  vq_control #(
      .QW(QW),
      .SETUP(SETUP),
      .WALK(WALK),
      .USED(USED),
      .OUTSTANDING(OUTSTANDING),
      .OW(OW)
  ) control (
      .clk(clk),
      .rst_n(rst_n),
      .cmd_valid(cmd_valid && ready_q),
      .cmd_ready(control_ready),
      .cmd_command(cmd_command),
      .cmd_queue(cmd_queue),
      .cmd_setup({
        cmd_vector, cmd_in_order, cmd_indirect, cmd_event_idx, cmd_packed, cmd_size, cmd_device, cmd_driver, cmd_desc
      }),
      .cmd_avail(cmd_avail),
      .cmd_avail_wrap(cmd_avail_wrap),
      .cmd_used(cmd_used),
      .cmd_used_wrap(cmd_used_wrap),
      .rsp_valid(rsp_valid),
      .rsp_ready(rsp_ready),
      .rsp_command(rsp_command),
      .rsp_code(rsp_code),
      .rsp_outstanding(rsp_outstanding),
      .abort_valid(abort_valid),
      .abort_ready(abort_ready),
      .queue(control_queue),
      .credit_valid(credit_valid),
      .credit_ready(credit_ready),
      .credit_queue(credit_queue),
      .credit_count(credit_count),
      .credited(credited),
      .credited_queue(credited_queue),
      .granted(credit_granted),
      .granted_we(granted_we),
      .granted_queue(granted_queue),
      .granted_next(granted_next),
      .on(credited_on && ready_q),
      .busy(busy_q[control_queue]),
      .walk(control_walk),
      .used(control_used),
      .begun(begun_q),
      .ended_visits(ended_q),
      .writers_idle(writers_idle),
      .drained(drained),
      .published(published),
      .init(init),
      .clear(clear),
      .clear_at(clear_at),
      .setup_we(setup_we),
      .setup(setup_new),
      .walk_init(walk_init),
      .used_init(used_init),
      .turn_on(turn_on),
      .turn_off(turn_off),
      .halt(control_halt)
  );
  wire control_ready;
  assign cmd_ready = control_ready && ready_q;
  assign rsp_queue = control_queue;
  assign abort_queue = control_queue;
  assign rsp_avail = control_walk[15:0];
  assign rsp_avail_wrap = control_walk[16];
  assign rsp_used = control_used[15:0];
  assign rsp_used_wrap = control_used[16];

  // --- reads: all tags are for every stage -------------------------------------------------------
  localparam READ = 64 + 16 + QW + 3 + 1;
  // How many reads of each kind may wait for what goes before them, and which tags do not bound.
  localparam HW = TW + 1, AW = TW - 1, IW = TW - 1;
  // A queue has one question about its event suppression under way.
  localparam EW = QW < TW ? QW : TW;
  wire [5:0] read_valid, read_grant, rsp_of;
  wire [63:0] visit_address, avail_address, ahead_address, heads_address, walk_address, event_address;
  wire [15:0] ahead_length, avail_length, heads_length, walk_length, event_length;
  wire visit_after, walk_indirect, ahead_indirect;
  wire [QW-1:0] avail_queue, heads_queue, event_queue, ahead_queue;
  wire [HW-1:0] heads_index, rsp_index;
  wire [AW-1:0] avail_index;
  // Reads behind tokens: two a chain, and all of one token.
  localparam TOKEN_CHUNKS = DESCRIPTOR_BATCH * (1 + (INDIRECT_BATCH * 128 - 1) / DATA_WIDTH);
  localparam CW = $clog2(2 * WALKERS > TOKEN_CHUNKS ? 2 * WALKERS : TOKEN_CHUNKS);
  wire [CW-1:0] ahead_index;
  wire [IW-1:0] visit_index;
  wire [EW-1:0] event_index;
  vq_read_port #(
      .SOURCES(6),
      .WIDTH(READ),
      .INDEX(HW),
      .TW(TW)
  ) read_port (
      .clk(clk),
      .rst_n(rst_n),
      .valid(read_valid),
      .grant(read_grant),
      .requests({
        {heads_index, heads_queue, ACCESS_KIND_DESCRIPTOR[2:0], 1'b0, heads_length, heads_address},
        {HW'(avail_index), avail_queue, ACCESS_KIND_AVAILABLE[2:0], 1'b0, avail_length, avail_address},
        {HW'(visit_index), visit_queue, ACCESS_KIND_AVAILABLE[2:0], visit_after, 16'd2, visit_address},
        {
          HW'(ahead_index),
          ahead_queue,
          ahead_indirect ? ACCESS_KIND_INDIRECT[2:0] : ACCESS_KIND_DESCRIPTOR[2:0],
          1'b0,
          ahead_length,
          ahead_address
        },
        {
          {HW{1'b0}},
          walk_queue,
          walk_indirect ? ACCESS_KIND_INDIRECT[2:0] : ACCESS_KIND_DESCRIPTOR[2:0],
          1'b0,
          walk_length,
          walk_address
        },
        {HW'(event_index), used_queue, ACCESS_KIND_DRIVER_EVENT[2:0], 1'b1, event_length, event_address}
      }),
      .out_valid(rd_valid),
      .out_ready(rd_ready),
      .out_tag(rd_tag),
      .out({rd_queue, rd_kind, rd_after, rd_length, rd_address}),
      .rsp(rd_rsp_valid),
      .rsp_tag(rd_rsp_tag),
      .rsp_source(rsp_of),
      .rsp_index(rsp_index)
  );
  assign rd_rsp_ready = 1'b1;
  wire rsp_bad = rd_rsp_status != ACCESS_STATUS_OK[1:0];
  wire rsp_event = rsp_of[0], rsp_walk = rsp_of[1], rsp_ahead = rsp_of[2], rsp_visit = rsp_of[3], rsp_avail_read = rsp_of[4], rsp_heads = rsp_of[5];

  // --- visits ------------------------------------------------------------------------------------
  // Bits of a question that moderation needs.
  localparam PUBLISHED = INTERRUPT_TIMEOUT != 0 ? 16 : 0;
  localparam META1 = QW + 198, META2 = QW + 123, META3 = 30, META4 = QW + 68 + PUBLISHED, HEADER = QW + 137;
  wire visit_turn, visit_take, again;
  wire [QW-1:0] visit_turn_queue;
  vq_sched #(
      .QUEUES(QUEUES),
      .QW(QW),
      .PRIORITIES(PRIORITIES)
  ) visit_sched (
      .clk(clk),
      .rst_n(rst_n),
      .set_a(bell_set),
      .queue_a(db_queue),
      .set_b(credited),
      .queue_b(credited_queue),
      .set_c(again),
      .queue_c(walk_queue),
      .set_d(used_we),
      .queue_d(used_queue),
      .set_e(avail_again),
      .queue_e(avail_queue),
      .set_f(given),
      .queue_f(given_queue),
      .set_all({QUEUES{1'b0}}),
      .hold(busy_q),
      .valid(visit_turn),
      .queue(visit_turn_queue),
      .take(visit_take)
  );

  wire arm_valid, arm_grant, arm_idle, arm_ordered, arm_packed;
  wire [63:0] arm_address;
  wire [31:0] arm_data;
  wire alloc1, done1, full1, alloc2, done2, full2, alloc3, done3, full3, full4;
  wire [META1-1:0] new1, meta1;
  wire [META2-1:0] new2, meta2;
  wire [META3-1:0] new3, meta3;
  wire [META4-1:0] new4, meta4;
  wire valid1, valid2, valid3, valid4, pop1, pop2, pop3, pop4, bad1, bad2, bad3, bad4;
  wire [15:0] data1;
  wire [DATA_WIDTH-1:0] data2, data3;
  wire [31:0] data4;
  wire [HEADER-1:0] header_new, header;
  wire header_full, header_valid, header_pop;

  vq_visit #(
      .QUEUES(QUEUES),
      .QW(QW),
      .SETUP(SETUP),
      .WALK(VISIT),
      .META(META1),
      .HEADER(HEADER),
      .OUTSTANDING(OUTSTANDING),
      .VISIT_CHAINS(VISIT_CHAINS),
      .PREFETCH(DESCRIPTOR_PREFETCH),
      .WEIGHTS(WEIGHTS)
  ) visit_stage (
      .clk(clk),
      .rst_n(rst_n),
      .turn_valid(visit_turn),
      .turn_queue(visit_turn_queue),
      .turn_take(visit_take),
      .context_queue(visit_context),
      .setup(visit_setup),
      .walk(visit_walk),
      .commit(visit_commit),
      .granted(visit_granted),
      .retired(visit_retired),
      .given(visit_given),
      .oldest(oldest),
      .oldest_we(oldest_we),
      .oldest_next(oldest_next),
      .age_at(age_at),
      .age_phase(age_phase),
      .on(visit_on),
      .halted(visit_halted),
      .bell(visit_bell),
      .bell_clear(bell_clear),
      .busy_set(busy_set),
      .busy_clear(visit_busy_clear),
      .queue(visit_queue),
      .write_valid(arm_valid),
      .write_grant(arm_grant),
      .write_idle(arm_idle),
      .write_ordered(arm_ordered),
      .write_address(arm_address),
      .write_data(arm_data),
      .write_packed(arm_packed),
      .read_valid(read_valid[3]),
      .read_grant(read_grant[3]),
      .read_address(visit_address),
      .read_after(visit_after),
      .alloc(alloc1),
      .alloc_done(done1),
      .alloc_meta(new1),
      .alloc_full(full1),
      .header(header_new),
      .header_full(header_full)
  );
  vq_fifo #(
      .WIDTH(HEADER),
      .LOG2(TW)
  ) headers (
      .clk(clk),
      .rst_n(rst_n),
      .push(alloc1),
      .in(header_new),
      .full(header_full),
      .pop(header_pop),
      .out(header),
      .valid(header_valid)
  );
  wire [IW-1:0] index1_unused;
  wire [AW-1:0] index2_unused;
  wire [HW-1:0] index3_unused;
  vq_rob #(
      .LOG2(IW),
      .META(META1),
      .DATA(16)
  ) indices (
      .clk(clk),
      .rst_n(rst_n),
      .alloc(alloc1),
      .alloc_done(done1),
      .alloc_meta(new1),
      .alloc_index(visit_index),
      .full(full1),
      .rsp(rsp_visit),
      .rsp_index(rsp_index[IW-1:0]),
      .rsp_data(rd_rsp_data[15:0]),
      .rsp_error(rsp_bad),
      .valid(valid1),
      .index(index1_unused),
      .meta(meta1),
      .data(data1),
      .error(bad1),
      .pop(pop1)
  );
  vq_avail #(
      .QUEUES(QUEUES),
      .QW(QW),
      .META_IN(META1),
      .META_OUT(META2),
      .BATCH(AVAILABLE_BATCH),
      .PREFETCH(DESCRIPTOR_PREFETCH),
      .WEIGHTS(WEIGHTS)
  ) avail_stage (
      .clk(clk),
      .rst_n(rst_n),
      .live(avail_on && !avail_halted),
      .epoch_now(avail_epoch),
      .valid(valid1),
      .meta(meta1),
      .data(data1),
      .error(bad1),
      .pop(pop1),
      .queue(avail_queue),
      .walk_we(avail_we),
      .walk_busy(walk_we || init),
      .walk(avail_walk),
      .busy_clear(avail_busy_clear),
      .again(avail_again),
      .read_valid(read_valid[4]),
      .read_grant(read_grant[4]),
      .read_address(avail_address),
      .read_length(avail_length),
      .alloc(alloc2),
      .alloc_done(done2),
      .alloc_meta(new2),
      .alloc_full(full2)
  );
  vq_rob #(
      .LOG2(AW),
      .META(META2),
      .DATA(DATA_WIDTH)
  ) entries (
      .clk(clk),
      .rst_n(rst_n),
      .alloc(alloc2),
      .alloc_done(done2),
      .alloc_meta(new2),
      .alloc_index(avail_index),
      .full(full2),
      .rsp(rsp_avail_read),
      .rsp_index(rsp_index[AW-1:0]),
      .rsp_data(rd_rsp_data),
      .rsp_error(rsp_bad),
      .valid(valid2),
      .index(index2_unused),
      .meta(meta2),
      .data(data2),
      .error(bad2),
      .pop(pop2)
  );
  vq_heads #(
      .QUEUES(QUEUES),
      .QW(QW),
      .META_IN(META2),
      .META_OUT(META3),
      .DATA_WIDTH(DATA_WIDTH),
      .BATCH(DESCRIPTOR_BATCH),
      .PREFETCH(DESCRIPTOR_PREFETCH),
      .WEIGHTS(WEIGHTS)
  ) heads_stage (
      .clk(clk),
      .rst_n(rst_n),
      .live(heads_on && !heads_halted),
      .epoch_now(heads_epoch),
      .valid(valid2),
      .meta(meta2),
      .data(data2),
      .error(bad2),
      .pop(pop2),
      .queue(heads_queue),
      .read_valid(read_valid[5]),
      .read_grant(read_grant[5]),
      .read_address(heads_address),
      .read_length(heads_length),
      .alloc(alloc3),
      .alloc_done(done3),
      .alloc_meta(new3),
      .alloc_full(full3)
  );
  vq_rob #(
      .LOG2(HW),
      .META(META3),
      .DATA(DATA_WIDTH)
  ) descriptors (
      .clk(clk),
      .rst_n(rst_n),
      .alloc(alloc3),
      .alloc_done(done3),
      .alloc_meta(new3),
      .alloc_index(heads_index),
      .full(full3),
      .rsp(rsp_heads),
      .rsp_index(rsp_index[HW-1:0]),
      .rsp_data(rd_rsp_data),
      .rsp_error(rsp_bad),
      .valid(valid3),
      .index(index3_unused),
      .meta(meta3),
      .data(data3),
      .error(bad3),
      .pop(pop3)
  );

  wire walk_header_valid, walk_header_pop, token_valid, token_error, token_pop, chunk_valid, chunk_error, chunk_pop;
  wire [HEADER-1:0] walk_header;
  wire [META3-1:0] token;
  wire [6:0] token_chunks;
  wire [23:0] chunk;
  wire [DATA_WIDTH-1:0] token_data, chunk_data;
  vq_ahead #(
      .QW(QW),
      .DATA_WIDTH(DATA_WIDTH),
      .META(META3),
      .HEADER(HEADER),
      .BATCH(DESCRIPTOR_BATCH),
      .INDIRECT_BATCH(INDIRECT_BATCH),
      .WALKERS(WALKERS),
      .LOG2(CW)
  ) ahead_stage (
      .clk(clk),
      .rst_n(rst_n),
      .live(ahead_on && !ahead_halted),
      .header_valid(header_valid),
      .header(header),
      .header_pop(header_pop),
      .token_valid(valid3),
      .token(meta3),
      .token_data(data3),
      .token_error(bad3),
      .token_pop(pop3),
      .queue(ahead_queue),
      .read_valid(read_valid[2]),
      .read_grant(read_grant[2]),
      .read_address(ahead_address),
      .read_length(ahead_length),
      .read_indirect(ahead_indirect),
      .read_index(ahead_index),
      .rsp(rsp_ahead),
      .rsp_index(rsp_index[CW-1:0]),
      .rsp_data(rd_rsp_data),
      .rsp_error(rsp_bad),
      .out_header_valid(walk_header_valid),
      .out_header(walk_header),
      .out_header_pop(walk_header_pop),
      .out_valid(token_valid),
      .out_token(token),
      .out_chunks(token_chunks),
      .out_data(token_data),
      .out_error(token_error),
      .out_pop(token_pop),
      .chunk_valid(chunk_valid),
      .chunk(chunk),
      .chunk_data(chunk_data),
      .chunk_error(chunk_error),
      .chunk_pop(chunk_pop)
  );

  wire [QW-1:0] fault_queue;
  wire [7:0] fault_code;
  wire fault_pop, fault_full, chain_we;
  wire [15:0] chain_id;
  wire [31:0] chain_data;
  vq_walk #(
      .QUEUES(QUEUES),
      .QW(QW),
      .DATA_WIDTH(DATA_WIDTH),
      .META(META3),
      .HEADER(HEADER),
      .WALK(WALK),
      .BATCH(DESCRIPTOR_BATCH),
      .INDIRECT_BATCH(INDIRECT_BATCH),
      .PREFETCH(DESCRIPTOR_PREFETCH),
      .WEIGHTS(WEIGHTS)
  ) walk_stage (
      .clk(clk),
      .rst_n(rst_n),
      .on(walk_on),
      .halted(walk_halted),
      .failed(walk_failed),
      .epoch_now(walk_epoch),
      .bell_now(walk_bell),
      .header_valid(walk_header_valid),
      .header(walk_header),
      .header_pop(walk_header_pop),
      .token_valid(token_valid),
      .token(token),
      .token_data(token_data),
      .token_error(token_error),
      .token_pop(token_pop),
      .token_chunks(token_chunks),
      .chunk_valid(chunk_valid),
      .chunk(chunk),
      .chunk_data(chunk_data),
      .chunk_error(chunk_error),
      .chunk_pop(chunk_pop),
      .read_valid(read_valid[1]),
      .read_grant(read_grant[1]),
      .read_address(walk_address),
      .read_length(walk_length),
      .read_indirect(walk_indirect),
      .rsp(rsp_walk),
      .rsp_data(rd_rsp_data),
      .rsp_error(rsp_bad),
      .queue(walk_queue),
      .fault_valid(fault_valid),
      .fault_queue(fault_queue),
      .fault_code(fault_code),
      .fault_on(fault_on),
      .fault_failed(fault_failed),
      .fault_pop(fault_pop),
      .chain_we(chain_we),
      .chain_id(chain_id),
      .chain_data(chain_data),
      .walk_we(walk_we),
      .context_queue(walk_context),
      .emitted(walk_emitted),
      .position(walk_position),
      .visit_we(visit_we),
      .visit(visit_state),
      .epoch_flip(epoch_flip),
      .bell(bell_restore),
      .done(visit_done),
      .walk(walk_next),
      .again(again),
      .busy_clear(walk_busy_clear),
      .halt(walk_halt),
      .halt_queue(walk_halt_queue),
      .segment_valid(seg_valid),
      .segment_ready(seg_ready),
      .segment_queue(seg_queue),
      .segment_chain(seg_chain),
      .segment_address(seg_address),
      .segment_length(seg_length),
      .segment_writable(seg_writable),
      .segment_first(seg_first),
      .segment_last(seg_last),
      .segment_error(seg_error),
      .error_valid(err_valid),
      .error_ready(err_ready),
      .error_queue(err_queue),
      .error_code(err_code)
  );

  // --- completions -------------------------------------------------------------------------------
  reg [QUEUES-1:0] used_busy_q;
  wire noted, completion_writing, used_turn, used_take, used_again, used_idle_now;
  wire [QW-1:0] noted_queue, used_turn_queue;
  wire [15:0] note_at;
  wire [NOTE-1:0] note;
  assign writers_idle = !walk_we && !used_we && !completion_writing && !credited && !given_writing;
  vq_completion #(
      .QW(QW),
      .OUTSTANDING(OUTSTANDING),
      .OW(OW),
      .NOTE(NOTE)
  ) completion (
      .clk(clk),
      .rst_n(rst_n),
      .on(noted_on),
      .generation(noted_generation),
      .in_order(noted_in_order),
      .cpl_valid(cpl_valid),
      .cpl_ready(cpl_ready),
      .cpl_queue(cpl_queue),
      .cpl_chain(cpl_chain),
      .cpl_generation(cpl_generation),
      .cpl_written(cpl_written),
      .cpl_more(cpl_more),
      .cpl_full(cpl_full),
      .chain_we(chain_we),
      .chain_queue(walk_queue),
      .chain_id(chain_id),
      .chain_data(chain_data),
      .init(init),
      .clear(clear),
      .init_queue(control_queue),
      .clear_at(clear_at),
      .writing(completion_writing),
      .drain_queue(control_queue),
      .drained(completion_drained),
      .noted(noted),
      .noted_queue(noted_queue),
      .noted_count(noted_count),
      .note_queue(used_queue),
      .note_at(note_at),
      .note(note),
      .age_queue(visit_queue),
      .age_at(age_at[OW-1:0]),
      .age_phase(age_phase)
  );
  // How many completions of the queue wait: what came, without what was published.
  wire [15:0] noted_count, noted_published;
  wire used_ready;
  wire [QUEUES-1:0] used_due;
  vq_ram #(
      .WIDTH(16),
      .DEPTH(1 << QW),
      .AW(QW)
  ) noted_published_ram (
      .clk(clk),
      .we(used_we || init),
      .waddr(used_write_queue),
      .wdata(used_write[32:17]),
      .raddr(cpl_queue),
      .rdata(noted_published)
  );
  vq_gather #(
      .QUEUES(QUEUES),
      .QW(QW),
      .BATCH(USED_BATCH),
      .TIMEOUT(USED_TIMEOUT)
  ) gather (
      .clk(clk),
      .rst_n(rst_n),
      .noted(noted),
      .queue(noted_queue),
      .waiting(noted_count - noted_published),
      .ready(used_ready),
      .due(used_due)
  );
  vq_sched #(
      .QUEUES(QUEUES),
      .QW(QW)
  ) used_sched (
      .clk(clk),
      .rst_n(rst_n),
      .set_a(used_ready),
      .queue_a(noted_queue),
      .set_b(used_again),
      .queue_b(used_queue),
      .set_c(pop4 && event_owes),
      .queue_c(event_queue),
      .set_d(1'b0),
      .queue_d({QW{1'b0}}),
      .set_e(1'b0),
      .queue_e({QW{1'b0}}),
      .set_f(1'b0),
      .queue_f({QW{1'b0}}),
      .set_all(used_due),
      .hold(used_busy_q),
      .valid(used_turn),
      .queue(used_turn_queue),
      .take(used_take)
  );
  wire used_owes;
  wire used_valid, used_grant, used_idle, used_fence;
  wire [63:0] used_address;
  wire [DATA_WIDTH-1:0] used_data;
  wire [DATA_WIDTH/8-1:0] used_strobes;
  wire used_gives;
  wire [32:0] used_place;
  vq_used #(
      .QW(QW),
      .DATA_WIDTH(DATA_WIDTH),
      .SETUP(SETUP),
      .USED(OWED + USED),
      .NOTE(NOTE),
      .META(META4),
      .OUTSTANDING(OUTSTANDING),
      .OW(OW),
      .BATCH(USED_BATCH),
      .EVENT_POLICY(EVENT_POLICY)
  ) used_stage (
      .clk(clk),
      .rst_n(rst_n),
      .on(used_on),
      .used_failed(used_failed),
      .asking(used_asking),
      .answered(pop4 && event_queue == used_queue),
      .owes(used_owes),
      .turn_valid(used_turn),
      .turn_queue(used_turn_queue),
      .turn_take(used_take),
      .context_queue(used_context_queue),
      .setup(used_setup),
      .used(used_context),
      .used_we(used_we),
      .used_next(used_next),
      .queue(used_queue),
      .again(used_again),
      .idle(used_idle_now),
      .note_at(note_at),
      .note(note),
      .write_valid(used_valid),
      .write_grant(used_grant),
      .write_idle(used_idle),
      .write_address(used_address),
      .write_data(used_data),
      .write_strobes(used_strobes),
      .write_fence(used_fence),
      .write_gives(used_gives),
      .write_place(used_place),
      .read_valid(read_valid[0]),
      .read_grant(read_grant[0]),
      .read_address(event_address),
      .read_length(event_length),
      .read_meta(new4),
      .read_full(full4),
      .read_left(rd_ready),
      .drain_queue(control_queue),
      .drained(used_drained)
  );

  // --- interrupts --------------------------------------------------------------------------------
  wire [EW-1:0] index4_unused;
  vq_rob #(
      .LOG2(EW),
      .META(META4),
      .DATA(32)
  ) events (
      .clk(clk),
      .rst_n(rst_n),
      .alloc(read_grant[0]),
      .alloc_done(1'b0),
      .alloc_meta(new4),
      .alloc_index(event_index),
      .full(full4),
      .rsp(rsp_event),
      .rsp_index(rsp_index[EW-1:0]),
      .rsp_data(rd_rsp_data[31:0]),
      .rsp_error(rsp_bad),
      .valid(valid4),
      .index(index4_unused),
      .meta(meta4),
      .data(data4),
      .error(bad4),
      .pop(pop4)
  );
  // A queue has one question about its event suppression; what is written meanwhile is asked about behind it.
  wire [QUEUES-1:0] used_begun, used_ended;
  vq_select #(QUEUES, QW) used_begins (.valid(used_take), .index(used_turn_queue), .one(used_begun));
  vq_select #(QUEUES, QW) used_ends (.valid(used_idle_now), .index(used_queue), .one(used_ended));
  always_ff @(posedge clk)
    if (!rst_n) used_busy_q <= 0;
    else used_busy_q <= (used_busy_q | used_begun) & ~used_ended;
  wire used_asking, control_asking, event_owes;
  vq_bits #(
      .QW(QW),
      .READERS(2)
  ) asking_bits (
      .clk(clk),
      .a_we(read_grant[0] || !ready_q),
      .a_queue(ready_q ? used_queue : sweep_q),
      .a_value(ready_q),
      .b_we(pop4),
      .b_queue(event_queue),
      .b_value(1'b0),
      .queues({used_queue, control_queue}),
      .bits({used_asking, control_asking})
  );
  vq_bits #(
      .QW(QW)
  ) owes_bits (
      .clk(clk),
      .a_we(used_owes || !ready_q),
      .a_queue(ready_q ? used_queue : sweep_q),
      .a_value(ready_q),
      .b_we(pop4),
      .b_queue(event_queue),
      .b_value(1'b0),
      .queues(event_queue),
      .bits(event_owes)
  );
  assign event_drained = !used_busy_q[control_queue] && !control_asking && moderate_drained;

  wire event_fault, event_fault_grant;
  vq_event #(
      .QW(QW),
      .META(META4),
      .ALL(INTERRUPT_TIMEOUT != 0 ? 1 : 0),
      .PUBLISHED(PUBLISHED)
  ) decide (
      .clk(clk),
      .rst_n(rst_n),
      .on(event_on),
      .valid(valid4),
      .meta(meta4),
      .data(data4),
      .error(bad4),
      .pop(pop4),
      .fault(event_fault),
      .fault_grant(event_fault_grant),
      .queue(event_queue),
      .int_valid(told_valid),
      .int_ready(told_ready),
      .int_queue(told_queue),
      .int_vector(told_vector),
      .int_wants(told_wants),
      .int_published(told_published)
  );
  wire told_valid, told_ready, told_wants, moderate_drained;
  wire [15:0] told_vector, told_published;
  vq_moderate #(
      .QUEUES(QUEUES),
      .QW(QW),
      .TIMEOUT(INTERRUPT_TIMEOUT),
      .CHAINS(INTERRUPT_CHAINS)
  ) moderate (
      .clk(clk),
      .rst_n(rst_n),
      .told_on(told_on),
      .seen_on(seen_on),
      .seen_queue(seen_queue),
      .init(init),
      .init_queue(control_queue),
      .told_valid(told_valid),
      .told_ready(told_ready),
      .told_queue(told_queue),
      .told_vector(told_vector),
      .told_wants(told_wants),
      .told_published(told_published),
      .int_valid(int_valid),
      .int_ready(int_ready),
      .int_queue(int_queue),
      .int_vector(int_vector),
      .drain_queue(control_queue),
      .drained(moderate_drained)
  );

  // --- writes, and failures of writes and of event reads -----------------------------------------
  wire write_fault, write_fault_used;
  wire [QW-1:0] write_fault_queue;
  vq_write_port #(
      .QW(QW),
      .DATA_WIDTH(DATA_WIDTH),
      .TAGS(WRITE_TAGS),
      .WTW(WTW)
  ) write_port (
      .clk(clk),
      .rst_n(rst_n),
      .a_valid(arm_valid),
      .a_grant(arm_grant),
      .a_idle(arm_idle),
      .a_ordered(arm_ordered),
      .a_queue(visit_queue),
      .a_address(arm_address),
      .a_data(arm_data),
      .a_packed(arm_packed),
      .b_valid(used_valid),
      .b_grant(used_grant),
      .b_idle(used_idle),
      .b_queue(used_queue),
      .b_address(used_address),
      .b_data(used_data),
      .b_strobes(used_strobes),
      .b_fence(used_fence),
      .b_gives(used_gives),
      .b_place(used_place),
      .wr_valid(wr_valid),
      .wr_ready(wr_ready),
      .wr_tag(wr_tag),
      .wr_queue(wr_queue),
      .wr_kind(wr_kind),
      .wr_address(wr_address),
      .wr_data(wr_data),
      .wr_strobes(wr_strobes),
      .wr_fence(wr_fence),
      .rsp_valid(wr_rsp_valid && wr_rsp_ready),
      .rsp_tag(wr_rsp_tag),
      .rsp_error(wr_rsp_status != ACCESS_STATUS_OK[1:0]),
      .given(answered),
      .given_queue(answered_queue),
      .given_place(answered_place),
      .fault(write_fault),
      .fault_queue(write_fault_queue),
      .fault_used(write_fault_used),
      .drain_queue(control_queue),
      .drained(write_drained)
  );
  assign wr_rsp_ready = !fault_full;
  assign event_fault_grant = !write_fault && !fault_full;
  wire event_fault_push = event_fault && event_fault_grant;
  assign used_fault = (write_fault && write_fault_used) || event_fault_push;
  assign used_fault_queue = write_fault ? write_fault_queue : event_queue;
  vq_fifo #(
      .WIDTH(QW + 8),
      .LOG2(2)
  ) faults (
      .clk(clk),
      .rst_n(rst_n),
      .push(write_fault || event_fault_push),
      .in({
        used_fault_queue,
        !write_fault ? RING_ERROR_RING_UNREADABLE :
            write_fault_used ? RING_ERROR_USED_UNWRITABLE : RING_ERROR_EVENT_UNWRITABLE
      }),
      .full(fault_full),
      .pop(fault_pop),
      .out({fault_queue, fault_code}),
      .valid(fault_valid)
  );
endmodule
`default_nettype wire
