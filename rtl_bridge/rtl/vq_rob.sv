// Reads in the order in which they were asked for: an entry is taken with each request, filled by its response in
// any order, and leaves in order. An entry may also be taken without a read (`alloc_done`).
`default_nettype none
module vq_rob #(
    parameter LOG2 = 3,
    parameter META = 8,
    parameter DATA = 256
) (
    input wire clk,
    input wire rst_n,
    input wire alloc,
    input wire alloc_done,
    input wire [META-1:0] alloc_meta,
    output wire [LOG2-1:0] alloc_index,
    output wire full,
    input wire rsp,
    input wire [LOG2-1:0] rsp_index,
    input wire [DATA-1:0] rsp_data,
    input wire rsp_error,
    output wire valid,
    output wire [LOG2-1:0] index,
    output wire [META-1:0] meta,
    output wire [DATA-1:0] data,
    output wire error,
    input wire pop
);
  localparam DEPTH = 1 << LOG2;
  reg [META-1:0] meta_mem[0:DEPTH-1];
  reg [DATA-1:0] data_mem[0:DEPTH-1];
  reg [DEPTH-1:0] done_q, error_q;
  reg [LOG2:0] head_q, tail_q;

  assign full = tail_q - head_q == (LOG2 + 1)'(DEPTH);
  assign alloc_index = tail_q[LOG2-1:0];
  assign index = head_q[LOG2-1:0];
  assign valid = tail_q != head_q && done_q[index];
  assign meta = meta_mem[index];
  assign data = data_mem[index];
  assign error = error_q[index];

  always_ff @(posedge clk) begin
    if (alloc) meta_mem[alloc_index] <= alloc_meta;
    if (rsp) data_mem[rsp_index] <= rsp_data;
    if (!rst_n) begin
      head_q <= 0;
      tail_q <= 0;
    end else begin
      if (alloc) begin
        tail_q <= tail_q + 1'b1;
        done_q[alloc_index] <= alloc_done;
        error_q[alloc_index] <= 1'b0;
      end
      if (rsp) begin
        done_q[rsp_index] <= 1'b1;
        error_q[rsp_index] <= rsp_error;
      end
      if (pop) head_q <= head_q + 1'b1;
    end
  end
endmodule
`default_nettype wire
