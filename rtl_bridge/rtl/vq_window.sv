// How many descriptors of a packed ring a visit reads ahead, by the queue's weight; not more than the ring has.
`default_nettype none
module vq_window #(
    parameter QUEUES = 1,
    parameter QW = 1,
    parameter PREFETCH = 16,
    parameter [8*QUEUES-1:0] WEIGHTS = 0
) (
    input wire [QW-1:0] queue,
    input wire [15:0] size,
    output wire [15:0] window
);
  wire [7:0] weight;
  vq_weight #(
      .QUEUES(QUEUES),
      .QW(QW),
      .WEIGHTS(WEIGHTS)
  ) of_queue (
      .queue (queue),
      .weight(weight)
  );
  wire [23:0] most = 24'(PREFETCH) * {16'd0, weight};
  assign window = {8'd0, size} < most ? size : most[15:0];
endmodule
`default_nettype wire
