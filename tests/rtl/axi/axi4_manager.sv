// Writes and reads at random within 4 KiB behind AXI4 (64 bit; INCR, FIXED and WRAP, every size, some strobes), one
// burst after the other, and compares each byte with a copy of its own. A judge of the target: its arithmetic of bursts
// is its own.
`default_nettype none

module axi4_manager (
    input wire clk,
    input wire rst_n,
    output reg [15:0] rounds,  // a write and a read each
    output reg [15:0] errors,

    output wire        m_axi_awvalid,
    input  wire        m_axi_awready,
    output wire [3:0]  m_axi_awid,
    output wire [31:0] m_axi_awaddr,
    output wire [7:0]  m_axi_awlen,
    output wire [2:0]  m_axi_awsize,
    output wire [1:0]  m_axi_awburst,

    output wire        m_axi_wvalid,
    input  wire        m_axi_wready,
    output wire [63:0] m_axi_wdata,
    output wire [7:0]  m_axi_wstrb,
    output wire        m_axi_wlast,

    input  wire       m_axi_bvalid,
    output wire       m_axi_bready,
    input  wire [3:0] m_axi_bid,
    input  wire [1:0] m_axi_bresp,

    output wire        m_axi_arvalid,
    input  wire        m_axi_arready,
    output wire [3:0]  m_axi_arid,
    output wire [31:0] m_axi_araddr,
    output wire [7:0]  m_axi_arlen,
    output wire [2:0]  m_axi_arsize,
    output wire [1:0]  m_axi_arburst,

    input  wire        m_axi_rvalid,
    output wire        m_axi_rready,
    input  wire [3:0]  m_axi_rid,
    input  wire [63:0] m_axi_rdata,
    input  wire [1:0]  m_axi_rresp,
    input  wire        m_axi_rlast
);
  localparam [2:0] PICK = 3'd0, AW = 3'd1, W = 3'd2, B = 3'd3, AR = 3'd4, R = 3'd5;
  localparam [1:0] FIXED = 2'd0, WRAP = 2'd2;

  reg [2:0] state_q;
  reg reading_q;
  reg [63:0] random_q;
  reg [3:0] id_q;
  reg [11:0] start_q;
  reg [7:0] len_q, beat_q;
  reg [1:0] size_q, burst_q;
  reg [63:0] data_q;
  reg [7:0] strobes_q;
  reg [7:0] copy[0:4095];

  // What is picked: INCR within 4 KiB, the others aligned.
  wire [1:0] pick_burst = random_q[3:2] == 2'd3 ? 2'd1 : random_q[3:2];
  wire [1:0] pick_size = random_q[1:0];
  wire [7:0] pick_len = pick_burst == FIXED ? {4'd0, random_q[7:4]} :
      pick_burst == WRAP ? {4'd0, random_q[5] && random_q[4], random_q[5], random_q[5] || random_q[4], 1'b1} :
      {2'd0, random_q[9:4]};
  wire [11:0] pick_any = {1'b0, random_q[20:10]} + {1'b0, random_q[21], 10'd0};
  wire [11:0] pick_start = pick_burst == 2'd1 ? pick_any : pick_any >> pick_size << pick_size;

  // A beat's first byte: so many bytes from the burst's first, or round within it.
  wire [11:0] bytes = ({4'd0, len_q} + 12'd1) << size_q;
  wire [11:0] first = start_q >> size_q << size_q;
  wire [11:0] gone = {4'd0, beat_q} << size_q;
  wire [11:0] round = start_q & (bytes - 12'd1);
  wire [11:0] at = beat_q == 0 || burst_q == FIXED ? start_q :
      burst_q == WRAP ? (start_q - round) + ((round + gone) & (bytes - 12'd1)) : first + gone;
  wire [2:0] upper = (3'd1 << size_q) - 3'd1;  // 7 for a size of 3
  reg [7:0] lanes;
  always_comb for (int i = 0; i < 8; i = i + 1) lanes[i] = 3'(i) >= at[2:0] && 3'(i) <= (at[2:0] | upper);
  wire last = beat_q == len_q;

  assign m_axi_awvalid = state_q == AW;
  assign m_axi_awid = id_q;
  assign m_axi_awaddr = {20'd0, start_q};
  assign m_axi_awlen = len_q;
  assign m_axi_awsize = {1'b0, size_q};
  assign m_axi_awburst = burst_q;
  assign m_axi_wvalid = state_q == W;
  assign m_axi_wdata = data_q;
  assign m_axi_wstrb = strobes_q & lanes;
  assign m_axi_wlast = last;
  assign m_axi_bready = state_q == B;
  assign m_axi_arvalid = state_q == AR;
  assign m_axi_arid = id_q;
  assign m_axi_araddr = {20'd0, start_q};
  assign m_axi_arlen = len_q;
  assign m_axi_arsize = {1'b0, size_q};
  assign m_axi_arburst = burst_q;
  assign m_axi_rready = state_q == R && random_q[0];

  reg wrong;
  always_comb begin
    wrong = m_axi_rid != id_q || m_axi_rresp != 0 || m_axi_rlast != last;
    for (int i = 0; i < 8; i = i + 1)
      if (lanes[i] && m_axi_rdata[8*i+:8] != copy[{at[11:3], 3'(i)}]) wrong = 1;
  end

  initial for (int i = 0; i < 4096; i = i + 1) copy[i] = 0;

  always_ff @(posedge clk)
    if (!rst_n) begin
      state_q <= PICK;
      reading_q <= 0;
      random_q <= 64'h9e37_79b9_7f4a_7c15;
      rounds <= 0;
      errors <= 0;
    end else begin
      random_q <= {random_q[50:0], random_q[63:51] ^ random_q[62:50] ^ random_q[60:48] ^ random_q[59:47]};
      case (state_q)
        PICK: begin
          burst_q <= pick_burst;
          size_q <= pick_size;
          len_q <= pick_len;
          start_q <= pick_start;
          id_q <= random_q[25:22];
          beat_q <= 0;
          data_q <= random_q;
          strobes_q <= random_q[33:26] | random_q[41:34];
          reading_q <= !reading_q;
          state_q <= reading_q ? AR : AW;
        end
        AW: if (m_axi_awready) state_q <= W;
        W:
        if (m_axi_wready) begin
          for (int i = 0; i < 8; i = i + 1) if (m_axi_wstrb[i]) copy[{at[11:3], 3'(i)}] <= data_q[8*i+:8];
          data_q <= {data_q[54:0], data_q[63:55]} ^ random_q;
          strobes_q <= random_q[33:26] | random_q[41:34];
          beat_q <= beat_q + 8'd1;
          if (last) state_q <= B;
        end
        B:
        if (m_axi_bvalid) begin
          if (m_axi_bid != id_q || m_axi_bresp != 0) errors <= errors + 16'd1;
          state_q <= PICK;
        end
        AR: if (m_axi_arready) state_q <= R;
        R:
        if (m_axi_rvalid && m_axi_rready) begin
          if (wrong) errors <= errors + 16'd1;
          beat_q <= beat_q + 8'd1;
          if (last) begin
            rounds  <= rounds + 16'd1;
            state_q <= PICK;
          end
        end
        default: state_q <= PICK;
      endcase
    end
endmodule

`default_nettype wire
