// How far the driver has had back what it gave: what was published of a queue by writes that are answered. Answers of
// one queue's writes may come in any order, so only a later place counts.
`default_nettype none
module vq_given #(
    parameter QW = 1
) (
    input wire clk,
    input wire rst_n,
    input wire init,
    input wire [QW-1:0] init_queue,
    input wire [16:0] init_place,
    output wire writing,  // not in a cycle with `init`
    input wire answered,
    input wire [QW-1:0] answered_queue,
    input wire [32:0] answered_place,  // chains, wrap counter and index
    output wire given,
    output wire [QW-1:0] given_queue,
    // A cycle after `queue`.
    input wire [QW-1:0] queue,
    output wire [32:0] place
);
  reg answered_q, wrote_q;
  reg [QW-1:0] queue_q, wrote_queue_q;
  reg [32:0] place_q;
  reg [15:0] wrote_count_q;
  wire [15:0] stored;
  wire [15:0] latest = wrote_q && wrote_queue_q == queue_q ? wrote_count_q : stored;
  wire [15:0] further = latest - place_q[32:17];  // less than none
  assign writing = answered_q;
  assign given = answered_q && further[15];
  assign given_queue = queue_q;
  vq_ram #(
      .WIDTH(33),
      .DEPTH(1 << QW),
      .AW(QW)
  ) places (
      .clk(clk),
      .we(given || init),
      .waddr(init ? init_queue : queue_q),
      .wdata(init ? {16'd0, init_place} : place_q),
      .raddr(queue),
      .rdata(place)
  );
  vq_ram #(
      .WIDTH(16),
      .DEPTH(1 << QW),
      .AW(QW)
  ) counts (
      .clk(clk),
      .we(given || init),
      .waddr(init ? init_queue : queue_q),
      .wdata(init ? 16'd0 : place_q[32:17]),
      .raddr(answered_queue),
      .rdata(stored)
  );

  always_ff @(posedge clk) begin
    if (!rst_n) begin
      answered_q <= 0;
      wrote_q <= 0;
    end else begin
      answered_q <= answered;
      wrote_q <= given;
    end
    queue_q <= answered_queue;
    place_q <= answered_place;
    wrote_queue_q <= queue_q;
    wrote_count_q <= place_q[32:17];
  end
endmodule
`default_nettype wire
