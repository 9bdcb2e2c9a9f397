// The engine's reads: which stage's goes next, and the tags, which all stages share. What a stage fetches for others
// goes before what it fetches for the function; a tag is given out again when its response is there.
`default_nettype none
module vq_read_port #(
    parameter SOURCES = 5,
    parameter WIDTH = 96,  // of a request
    parameter INDEX = 8,  // of what a source knows its read by
    parameter TW = 6,
    parameter SW = SOURCES > 1 ? $clog2(SOURCES) : 1
) (
    input wire clk,
    input wire rst_n,
    input wire [SOURCES-1:0] valid,
    output wire [SOURCES-1:0] grant,
    input wire [SOURCES*(INDEX+WIDTH)-1:0] requests,
    output reg out_valid,
    input wire out_ready,
    output reg [TW-1:0] out_tag,
    output reg [WIDTH-1:0] out,
    input wire rsp,
    input wire [TW-1:0] rsp_tag,
    output wire [SOURCES-1:0] rsp_source,
    output wire [INDEX-1:0] rsp_index
);
  localparam ALL = INDEX + WIDTH;
  reg [SW+INDEX-1:0] owner_mem[0:(1<<TW)-1];
  // Tags that were never used, then those that came back, oldest first.
  reg [TW:0] fresh_q;
  wire fresh = !fresh_q[TW];
  wire [TW-1:0] back;
  wire back_valid, take, back_full_unused;
  vq_fifo #(
      .WIDTH(TW),
      .LOG2(TW)
  ) returned (
      .clk(clk),
      .rst_n(rst_n),
      .push(rsp),
      .in(rsp_tag),
      .full(back_full_unused),
      .pop(take && !fresh),
      .out(back),
      .valid(back_valid)
  );
  wire [TW-1:0] tag = fresh ? fresh_q[TW-1:0] : back;
  wire may = (!out_valid || out_ready) && (fresh || back_valid);
  wire [SOURCES-1:0] first = valid & (~valid + 1'b1);
  assign grant = may ? first : 0;
  assign take = may && valid != 0;
  reg [ALL-1:0] chosen;
  reg [SW-1:0] source;
  always_comb begin
    chosen = 0;
    source = 0;
    for (int i = 0; i < SOURCES; i = i + 1)
    if (first[i]) begin
      chosen = chosen | requests[i*ALL+:ALL];
      source = source | SW'(i);
    end
  end
  wire [SW-1:0] from;
  assign {from, rsp_index} = owner_mem[rsp_tag];
  assign rsp_source = rsp ? SOURCES'(1) << from : 0;
  always_ff @(posedge clk) begin
    if (take) owner_mem[tag] <= {source, chosen[ALL-1:WIDTH]};
    if (!rst_n) begin
      out_valid <= 0;
      fresh_q   <= 0;
    end else begin
      if (take && fresh) fresh_q <= fresh_q + 1'b1;
      if (!out_valid || out_ready) begin
        out_valid <= take;
        out_tag <= tag;
        out <= chosen[WIDTH-1:0];
      end
    end
  end
endmodule
`default_nettype wire
