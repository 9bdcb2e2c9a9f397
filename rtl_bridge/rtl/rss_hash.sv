// Receive-side scaling for a stream of packets: exactly one result per packet, in order. A packet's first MAX_PARSE_BYTES
// are kept in one of CONTEXTS buffers, each with a parser of its own; what they find goes in order through one Toeplitz
// pipeline and the indirection table. A packet's beats are taken one a cycle once its first one is.
//
// Configuration: writes up to the one with cfg_last are one change. From its first word on no packet begins; it is taken
// once the results of all packets before it are gone.
`default_nettype none
module rss_hash #(
    parameter integer DATA_WIDTH = 512,
    parameter integer MAX_PARSE_BYTES = 256,
    parameter integer CONTEXTS = 8,
    parameter integer TABLE_ENTRIES = 128,
    parameter integer QUEUES = 1024
) (
    input wire clk,
    input wire rst_n,

    input wire s_axis_tvalid,
    output wire s_axis_tready,
    input wire [DATA_WIDTH-1:0] s_axis_tdata,
    input wire [DATA_WIDTH/8-1:0] s_axis_tkeep,
    input wire s_axis_tlast,

    input wire cfg_valid,
    output wire cfg_ready,
    input wire [16:0] cfg_address,  // bit 16: indirection table, the entry in the bits below; else as in rss_config
    input wire [31:0] cfg_data,
    input wire cfg_last,

    output wire result_valid,
    input wire result_ready,
    output wire [31:0] result_hash,
    output wire result_hashed,
    output wire [3:0] result_report,
    output wire [1:0] result_tunnel_report,
    output wire [15:0] result_queue,
    output wire result_drop  // the queue is in reset
);
  localparam integer BEAT_BYTES = DATA_WIDTH / 8;
  localparam integer BEATS = MAX_PARSE_BYTES / BEAT_BYTES;
  localparam integer BEAT_BITS = $clog2(BEATS + 1);
  localparam integer LENGTH_BITS = 17;
  localparam integer CONTEXT_BITS = $clog2(CONTEXTS);
  localparam integer ENTRY_BITS = $clog2(TABLE_ENTRIES);
  generate
    if (DATA_WIDTH != 128 && DATA_WIDTH != 256 && DATA_WIDTH != 512) begin : g_data_width
      $error("rss_hash: DATA_WIDTH is 128, 256 or 512");
    end
    if (MAX_PARSE_BYTES < 64 || MAX_PARSE_BYTES > 1024 ||
        (MAX_PARSE_BYTES & (MAX_PARSE_BYTES - 1)) != 0) begin : g_max_parse_bytes
      $error("rss_hash: MAX_PARSE_BYTES is a power of two, 64 .. 1024");
    end
    if (CONTEXTS < 2 || (CONTEXTS & (CONTEXTS - 1)) != 0) begin : g_contexts
      $error("rss_hash: CONTEXTS is a power of two from 2 on");
    end
    if (TABLE_ENTRIES < 2 || TABLE_ENTRIES > 32768 ||
        (TABLE_ENTRIES & (TABLE_ENTRIES - 1)) != 0) begin : g_table_entries
      $error("rss_hash: TABLE_ENTRIES is a power of two, 2 .. 32768");
    end
    if (QUEUES < 2 || QUEUES > 8192) begin : g_queues
      $error("rss_hash: QUEUES is 2 .. 8192");
    end
  endgenerate

  // Configuration
  wire quiet;
  reg packet_q;  // within a packet
  reg cfg_open_q;  // within a change
  wire cfg_take = cfg_valid && cfg_ready;
  assign cfg_ready = quiet && !packet_q;
  always @(posedge clk)
    if (!rst_n) cfg_open_q <= 1'b0;
    else if (cfg_take) cfg_open_q <= !cfg_last;

  wire [11:0] hash_types;
  wire [8:0] tunnel_types;
  wire first_fragment_ports;
  // verilator lint_off UNUSEDSIGNAL
  wire [14:0] table_mask;  // of the bits that there are entries for
  // verilator lint_on UNUSEDSIGNAL
  wire [15:0] unclassified_queue, vxlan_port, vxlan_gpe_port, geneve_port, gre_udp_port;
  wire [319:0] key;
  wire [QUEUES-1:0] queues_in_reset;
  rss_config #(
      .QUEUES(QUEUES)
  ) configuration (
      .clk(clk),
      .rst_n(rst_n),
      .write(cfg_take),
      .address(cfg_address),
      .data(cfg_data),
      .hash_types(hash_types),
      .tunnel_types(tunnel_types),
      .first_fragment_ports(first_fragment_ports),
      .table_mask(table_mask),
      .unclassified_queue(unclassified_queue),
      .vxlan_port(vxlan_port),
      .vxlan_gpe_port(vxlan_gpe_port),
      .geneve_port(geneve_port),
      .gre_udp_port(gre_udp_port),
      .key(key),
      .queues_in_reset(queues_in_reset)
  );

  // Packets in
  reg [CONTEXT_BITS-1:0] fill_q;
  reg [BEAT_BITS-1:0] beat_q;  // stays at BEATS behind what is kept
  reg [LENGTH_BITS-1:0] length_q;  // without the last beat; stays at its highest value
  wire [CONTEXTS-1:0] idle;
  wire take = s_axis_tvalid && s_axis_tready;
  assign s_axis_tready = rst_n && (packet_q || (idle[fill_q] && !cfg_valid && !cfg_open_q));

  reg [LENGTH_BITS-1:0] last_bytes;
  always @(*) begin
    last_bytes = '0;
    for (integer i = 0; i < BEAT_BYTES; i = i + 1)
      last_bytes = last_bytes + {{LENGTH_BITS - 1{1'b0}}, s_axis_tkeep[i]};
  end
  wire [LENGTH_BITS:0] sum = {1'b0, length_q} + {1'b0, last_bytes};
  wire [LENGTH_BITS-1:0] length = sum[LENGTH_BITS] ? '1 : sum[LENGTH_BITS-1:0];
  always @(posedge clk)
    if (!rst_n) begin
      packet_q <= 1'b0;
      fill_q <= '0;
      beat_q <= '0;
      length_q <= '0;
    end else if (take) begin
      packet_q <= !s_axis_tlast;
      beat_q <= s_axis_tlast ? '0 : beat_q == BEAT_BITS'(BEATS) ? beat_q : beat_q + 1'b1;
      length_q <= s_axis_tlast ? '0 : length;
      if (s_axis_tlast) fill_q <= fill_q + 1'b1;
    end

  wire [DATA_WIDTH-1:0] beat;  // the first byte highest
  generate
    for (genvar i = 0; i < BEAT_BYTES; i = i + 1) begin : g_turn
      assign beat[DATA_WIDTH-1-8*i-:8] = s_axis_tdata[8*i+:8];
    end
  endgenerate

  // Contexts
  reg [CONTEXT_BITS-1:0] drain_q;
  wire [CONTEXTS-1:0] done;
  wire advance;
  wire hand_over = advance && done[drain_q];
  wire [3:0] reports[0:CONTEXTS-1];
  wire [1:0] tunnel_reports[0:CONTEXTS-1];
  wire [287:0] hash_inputs[0:CONTEXTS-1];
  generate
    for (genvar c = 0; c < CONTEXTS; c = c + 1) begin : g_context
      reg [8*MAX_PARSE_BYTES-1:0] bytes_q;
      wire mine = take && fill_q == CONTEXT_BITS'(c);
      for (genvar b = 0; b < BEATS; b = b + 1) begin : g_beat
        always @(posedge clk)
          if (mine && beat_q == BEAT_BITS'(b))
            bytes_q[8*MAX_PARSE_BYTES-1-DATA_WIDTH*b-:DATA_WIDTH] <= beat;
      end
      rss_parser #(
          .MAX_PARSE_BYTES(MAX_PARSE_BYTES),
          .LENGTH_BITS(LENGTH_BITS)
      ) parser (
          .clk(clk),
          .rst_n(rst_n),
          .start(mine && s_axis_tlast),
          .length(length),
          .bytes(bytes_q),
          .take(hand_over && drain_q == CONTEXT_BITS'(c)),
          .idle(idle[c]),
          .done(done[c]),
          .hash_types(hash_types),
          .tunnel_types(tunnel_types),
          .first_fragment_ports(first_fragment_ports),
          .vxlan_port(vxlan_port),
          .vxlan_gpe_port(vxlan_gpe_port),
          .geneve_port(geneve_port),
          .gre_udp_port(gre_udp_port),
          .report(reports[c]),
          .tunnel_report(tunnel_reports[c]),
          .hash_input(hash_inputs[c])
      );
    end
  endgenerate
  always @(posedge clk)
    if (!rst_n) drain_q <= '0;
    else if (hand_over) drain_q <= drain_q + 1'b1;

  // Hash
  wire hash_valid, hashing;
  wire [31:0] hash;
  wire [3:0] report;
  wire [1:0] tunnel_report;
  rss_toeplitz #(
      .SIDE_BITS(6)
  ) toeplitz (
      .clk(clk),
      .rst_n(rst_n),
      .advance(advance),
      .key(key),
      .in_valid(done[drain_q]),
      .in_bytes(hash_inputs[drain_q]),
      .in_side({reports[drain_q], tunnel_reports[drain_q]}),
      .busy(hashing),
      .out_valid(hash_valid),
      .out_hash(hash),
      .out_side({report, tunnel_report})
  );

  // Indirection table
  reg [15:0] entries[0:TABLE_ENTRIES-1];
  reg [15:0] entry_q;
  wire [ENTRY_BITS-1:0] index = hash[ENTRY_BITS-1:0] & table_mask[ENTRY_BITS-1:0];
  always @(posedge clk) begin
    if (cfg_take && cfg_address[16]) entries[cfg_address[ENTRY_BITS-1:0]] <= cfg_data[15:0];
    if (advance && hash_valid) entry_q <= entries[index];
  end
  reg looked_up_q;
  reg [31:0] hash_q;
  reg [3:0] report_q;
  reg [1:0] tunnel_report_q;
  always @(posedge clk)
    if (!rst_n) looked_up_q <= 1'b0;
    else if (advance) looked_up_q <= hash_valid;
  always @(posedge clk)
    if (advance && hash_valid) begin
      hash_q <= report != 4'd0 ? hash : 32'd0;
      report_q <= report;
      tunnel_report_q <= tunnel_report;
    end

  // Result
  wire [15:0] queue = report_q != 4'd0 ? entry_q : unclassified_queue;
  wire in_reset = {16'd0, queue} < QUEUES && queues_in_reset[queue[$clog2(QUEUES)-1:0]];
  reg valid_q;
  reg [31:0] result_hash_q;
  reg [3:0] result_report_q;
  reg [1:0] result_tunnel_report_q;
  reg [15:0] result_queue_q;
  reg result_drop_q;
  assign advance = !valid_q || result_ready;
  always @(posedge clk)
    if (!rst_n) valid_q <= 1'b0;
    else if (advance) valid_q <= looked_up_q;
  always @(posedge clk)
    if (advance && looked_up_q) begin
      result_hash_q <= hash_q;
      result_report_q <= report_q;
      result_tunnel_report_q <= tunnel_report_q;
      result_queue_q <= queue;
      result_drop_q <= in_reset;
    end
  assign result_valid = valid_q;
  assign result_hash = result_hash_q;
  assign result_hashed = result_report_q != 4'd0;
  assign result_report = result_report_q;
  assign result_tunnel_report = result_tunnel_report_q;
  assign result_queue = result_queue_q;
  assign result_drop = result_drop_q;

  assign quiet = &idle && !hashing && !looked_up_q && !valid_q;
endmodule
`default_nettype wire
