// Sixteen registers of 32 bits behind AXI4-Lite; beyond them SLVERR. Register 15 counts the writes and
// cannot be written.
`default_nettype none

module axi4_lite_registers (
    input wire clk,
    input wire rst_n,

    input  wire        s_axil_awvalid,
    output wire        s_axil_awready,
    input  wire [31:0] s_axil_awaddr,
    input  wire        s_axil_wvalid,
    output wire        s_axil_wready,
    input  wire [31:0] s_axil_wdata,
    input  wire [3:0]  s_axil_wstrb,
    output wire        s_axil_bvalid,
    input  wire        s_axil_bready,
    output wire [1:0]  s_axil_bresp,

    input  wire        s_axil_arvalid,
    output wire        s_axil_arready,
    input  wire [31:0] s_axil_araddr,
    output wire        s_axil_rvalid,
    input  wire        s_axil_rready,
    output wire [31:0] s_axil_rdata,
    output wire [1:0]  s_axil_rresp
);
  localparam [1:0] OKAY = 2'd0;
  localparam [1:0] SLVERR = 2'd2;

  reg [31:0] registers[0:15];
  reg [31:0] writes_q;
  reg        bvalid_q, rvalid_q;
  reg [1:0]  bresp_q, rresp_q;
  reg [31:0] rdata_q;

  // Address and data are taken together.
  wire take = s_axil_awvalid && s_axil_wvalid && !bvalid_q;
  wire write_inside = s_axil_awaddr[31:6] == 26'd0;
  wire read_inside = s_axil_araddr[31:6] == 26'd0;
  wire [3:0] written = s_axil_awaddr[5:2];
  wire [3:0] read = s_axil_araddr[5:2];
  wire unused = &{s_axil_awaddr[1:0], s_axil_araddr[1:0]};

  assign s_axil_awready = take;
  assign s_axil_wready = take;
  assign s_axil_bvalid = bvalid_q;
  assign s_axil_bresp = bresp_q;
  assign s_axil_arready = !rvalid_q;
  assign s_axil_rvalid = rvalid_q;
  assign s_axil_rdata = rdata_q;
  assign s_axil_rresp = rresp_q;

  integer i;
  always @(posedge clk) begin
    if (s_axil_bready) bvalid_q <= 1'b0;
    if (take) begin
      bvalid_q <= 1'b1;
      bresp_q <= write_inside ? OKAY : SLVERR;
      writes_q <= writes_q + 32'd1;
      for (i = 0; i < 4; i = i + 1)
        if (write_inside && s_axil_wstrb[i]) registers[written][8*i+:8] <= s_axil_wdata[8*i+:8];
    end
    if (s_axil_rready) rvalid_q <= 1'b0;
    if (s_axil_arvalid && s_axil_arready) begin
      rvalid_q <= 1'b1;
      rresp_q <= read_inside ? OKAY : SLVERR;
      rdata_q <= read == 4'd15 ? writes_q : registers[read];
    end
    if (!rst_n) begin
      bvalid_q <= 1'b0;
      rvalid_q <= 1'b0;
      writes_q <= 32'd0;
    end
  end
endmodule

`default_nettype wire
