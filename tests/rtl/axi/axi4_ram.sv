// A RAM of 16 KiB behind AXI4 (INCR, FIXED and WRAP), one burst at a time in each direction; beyond it
// DECERR. A judge of the adapters: its arithmetic of bursts is its own.
`default_nettype none

module axi4_ram #(
    parameter integer DATA_WIDTH = 64,
    parameter integer ID_WIDTH = 4,
    localparam integer BYTES = DATA_WIDTH / 8,
    localparam integer OFFSET = $clog2(BYTES),
    localparam integer WORDS = 16384 / BYTES
) (
    input wire clk,
    input wire rst_n,

    input  wire                s_axi_awvalid,
    output wire                s_axi_awready,
    input  wire [ID_WIDTH-1:0] s_axi_awid,
    input  wire [31:0]         s_axi_awaddr,
    input  wire [7:0]          s_axi_awlen,
    input  wire [2:0]          s_axi_awsize,
    input  wire [1:0]          s_axi_awburst,

    input  wire                  s_axi_wvalid,
    output wire                  s_axi_wready,
    input  wire [DATA_WIDTH-1:0] s_axi_wdata,
    input  wire [BYTES-1:0]      s_axi_wstrb,
    input  wire                  s_axi_wlast,

    output wire                s_axi_bvalid,
    input  wire                s_axi_bready,
    output wire [ID_WIDTH-1:0] s_axi_bid,
    output wire [1:0]          s_axi_bresp,

    input  wire                s_axi_arvalid,
    output wire                s_axi_arready,
    input  wire [ID_WIDTH-1:0] s_axi_arid,
    input  wire [31:0]         s_axi_araddr,
    input  wire [7:0]          s_axi_arlen,
    input  wire [2:0]          s_axi_arsize,
    input  wire [1:0]          s_axi_arburst,

    output wire                  s_axi_rvalid,
    input  wire                  s_axi_rready,
    output wire [ID_WIDTH-1:0]   s_axi_rid,
    output wire [DATA_WIDTH-1:0] s_axi_rdata,
    output wire [1:0]            s_axi_rresp,
    output wire                  s_axi_rlast
);
  localparam [1:0] OKAY = 2'd0;
  localparam [1:0] DECERR = 2'd3;

  // The bits below `mask` count, the others stay: for INCR all count, for WRAP those of the burst.
  function automatic [31:0] next_address(input [31:0] address, input [2:0] size,
                                         input [1:0] burst, input [7:0] len);
    reg [31:0] step;
    reg [31:0] mask;
    begin
      step = 32'd1 << size;
      mask = burst == 2'd2 ? ({24'd0, len} + 32'd1) * step - 32'd1 : 32'hffff_ffff;
      next_address = burst == 2'd0 ? address
          : (address & ~mask) | (((address & ~(step - 32'd1)) + step) & mask);
    end
  endfunction

  reg [DATA_WIDTH-1:0] memory[0:WORDS-1];

  // Writes
  reg                writing_q, responding_q;
  reg [ID_WIDTH-1:0] write_id_q;
  reg [31:0]         write_addr_q;
  reg [7:0]          write_len_q;
  reg [2:0]          write_size_q;
  reg [1:0]          write_burst_q;
  reg                write_error_q;
  wire write_inside = write_addr_q[31:14] == 18'd0;
  wire write_beat = s_axi_wvalid && s_axi_wready;

  assign s_axi_awready = !writing_q && !responding_q;
  assign s_axi_wready = writing_q;
  assign s_axi_bvalid = responding_q;
  assign s_axi_bid = write_id_q;
  assign s_axi_bresp = write_error_q ? DECERR : OKAY;

  always @(posedge clk) begin
    if (s_axi_awvalid && s_axi_awready) begin
      writing_q <= 1'b1;
      write_id_q <= s_axi_awid;
      write_addr_q <= s_axi_awaddr;
      write_len_q <= s_axi_awlen;
      write_size_q <= s_axi_awsize;
      write_burst_q <= s_axi_awburst;
      write_error_q <= 1'b0;
    end
    if (write_beat) begin
      write_addr_q <= next_address(write_addr_q, write_size_q, write_burst_q, write_len_q);
      write_error_q <= write_error_q || !write_inside;
      if (s_axi_wlast) begin
        writing_q <= 1'b0;
        responding_q <= 1'b1;
      end
    end
    if (s_axi_bvalid && s_axi_bready) responding_q <= 1'b0;
    if (!rst_n) begin
      writing_q <= 1'b0;
      responding_q <= 1'b0;
    end
  end

  integer i;
  always @(posedge clk)
    for (i = 0; i < BYTES; i = i + 1)
      if (write_beat && write_inside && s_axi_wstrb[i])
        memory[write_addr_q[13:OFFSET]][8*i+:8] <= s_axi_wdata[8*i+:8];

  // Reads
  reg                reading_q;
  reg [ID_WIDTH-1:0] read_id_q;
  reg [31:0]         read_addr_q;
  reg [7:0]          read_len_q, read_left_q;
  reg [2:0]          read_size_q;
  reg [1:0]          read_burst_q;

  assign s_axi_arready = !reading_q;
  assign s_axi_rvalid = reading_q;
  assign s_axi_rid = read_id_q;
  assign s_axi_rdata = memory[read_addr_q[13:OFFSET]];
  assign s_axi_rresp = read_addr_q[31:14] == 18'd0 ? OKAY : DECERR;
  assign s_axi_rlast = read_left_q == 8'd0;

  always @(posedge clk) begin
    if (s_axi_arvalid && s_axi_arready) begin
      reading_q <= 1'b1;
      read_id_q <= s_axi_arid;
      read_addr_q <= s_axi_araddr;
      read_len_q <= s_axi_arlen;
      read_left_q <= s_axi_arlen;
      read_size_q <= s_axi_arsize;
      read_burst_q <= s_axi_arburst;
    end
    if (s_axi_rvalid && s_axi_rready) begin
      read_addr_q <= next_address(read_addr_q, read_size_q, read_burst_q, read_len_q);
      read_left_q <= read_left_q - 8'd1;
      if (s_axi_rlast) reading_q <= 1'b0;
    end
    if (!rst_n) reading_q <= 1'b0;
  end
endmodule

`default_nettype wire
