// Interrupt moderation: an interrupt that the driver wants waits until CHAINS chains of its queue are signalled, or for
// TIMEOUT cycles: as many at most, and QUEUES fewer at least, as one queue's context is looked at in a cycle.
`default_nettype none
module vq_moderate #(
    parameter QUEUES = 1,
    parameter QW = 1,
    parameter TIMEOUT = 0,
    parameter CHAINS = 16
) (
    input wire clk,
    input wire rst_n,
    input wire told_on,  // bits of `told_queue` and `seen_queue`
    input wire seen_on,
    output wire [QW-1:0] seen_queue,
    input wire init,
    input wire [QW-1:0] init_queue,
    // What was decided about a question, and the queue's chains published until then.
    input wire told_valid,
    output wire told_ready,
    input wire [QW-1:0] told_queue,
    input wire [15:0] told_vector,
    input wire told_wants,
    input wire [15:0] told_published,
    output wire int_valid,
    input wire int_ready,
    output wire [QW-1:0] int_queue,
    output wire [15:0] int_vector,
    input wire [QW-1:0] drain_queue,
    output wire drained
);
  generate
    if (TIMEOUT == 0) begin : none
      assign int_valid  = told_valid;
      assign told_ready = int_ready;
      assign int_queue  = told_queue;
      assign int_vector = told_vector;
      assign seen_queue = 0;
      /* verilator lint_off UNUSEDSIGNAL */
      wire unused = &{clk, rst_n, told_on, seen_on, init, init_queue, told_wants, told_published};
      /* verilator lint_on UNUSEDSIGNAL */
    end else begin : some
      localparam LEAST = TIMEOUT - QUEUES;
      localparam SW = $clog2(TIMEOUT + QUEUES) + 2;
      localparam CONTEXT = 1 + SW + 16 + 16 + 17;
      reg out_q, read_q, wrote_q;
      reg [QW-1:0] queue_q, seen_q;
      reg [15:0] vector_q;
      reg [SW-1:0] now_q;
      wire free = !out_q || int_ready;
      assign int_valid  = out_q;
      assign int_queue  = queue_q;
      assign int_vector = vector_q;
      assign seen_queue = seen_q;

      // A decision: its queue's context is read, then judged.
      wire marked, seen_marked;
      wire [SW-1:0] since, seen_since;
      wire [15:0] vector_unused, seen_vector, last, seen_last;
      wire [16:0] held, seen_held_unused;
      wire [15:0] chains = told_published - last;
      wire [16:0] held_next = held + {1'b0, chains};
      wire fire = told_on && told_wants && held_next >= 17'(CHAINS);
      wire step = told_valid && read_q && (!fire || free) && !init;
      assign told_ready = step;
      wire [CONTEXT-1:0] decided = {
        told_wants ? !fire : marked,
        marked ? since : now_q,
        told_vector,
        told_published,
        fire ? 17'd0 : told_wants ? held_next : held
      };

      // One queue after the other: whether what is held has waited long enough.
      wire [SW-1:0] age = now_q - seen_since;
      wire late = seen_marked && seen_on && age >= SW'(LEAST);
      wire act = late && !told_valid && !wrote_q && !init && free;
      wire [QW-1:0] next = seen_q == QW'(QUEUES - 1) ? 0 : seen_q + 1'b1;
      wire [QW-1:0] look = late && !act ? seen_q : next;

      wire we = init || step || act;
      wire [QW-1:0] at = init ? init_queue : step ? told_queue : seen_q;
      wire [CONTEXT-1:0] context_d = init ? {CONTEXT{1'b0}} :
          step ? decided : {1'b0, seen_since, seen_vector, seen_last, 17'd0};
      vq_ram #(
          .WIDTH(CONTEXT),
          .DEPTH(1 << QW),
          .AW(QW)
      ) decide_ram (
          .clk(clk),
          .we(we),
          .waddr(at),
          .wdata(context_d),
          .raddr(told_queue),
          .rdata({marked, since, vector_unused, last, held})
      );
      vq_ram #(
          .WIDTH(CONTEXT),
          .DEPTH(1 << QW),
          .AW(QW)
      ) look_ram (
          .clk(clk),
          .we(we),
          .waddr(at),
          .wdata(context_d),
          .raddr(look),
          .rdata({seen_marked, seen_since, seen_vector, seen_last, seen_held_unused})
      );
      always_ff @(posedge clk) begin
        if (!rst_n) begin
          out_q   <= 0;
          read_q  <= 0;
          wrote_q <= 0;
          seen_q  <= 0;
          now_q   <= 0;
        end else begin
          now_q   <= now_q + 1'b1;
          seen_q  <= look;
          wrote_q <= we;
          read_q  <= told_valid && !step && !init;
          if (int_ready) out_q <= 0;
          if ((step && fire) || act) begin
            out_q <= 1;
            queue_q <= act ? seen_q : told_queue;
            vector_q <= act ? seen_vector : told_vector;
          end
        end
      end
    end
  endgenerate
  assign drained = !(told_valid && told_queue == drain_queue) && !(int_valid && int_queue == drain_queue);
endmodule
`default_nettype wire
