// What the driver has set up, written word by word. The indirection table is not here but beside its reader.
//   0 hash types  1 tunnel types  2 policy: bit 0 ports of first fragments  3 table mask  4 unclassified queue
//   5 VXLAN  6 VXLAN-GPE  7 GENEVE  8 GRE-in-UDP ports  16..25 the key's 40 bytes, the first one highest
//   0x8000 + q: bit 0, queue q is in reset
`default_nettype none
module rss_config #(
    parameter integer QUEUES = 1024
) (
    input wire clk,
    input wire rst_n,
    input wire write,
    input wire [16:0] address,
    input wire [31:0] data,
    output reg [11:0] hash_types,
    output reg [8:0] tunnel_types,
    output reg first_fragment_ports,
    output reg [14:0] table_mask,
    output reg [15:0] unclassified_queue,
    output reg [15:0] vxlan_port,
    output reg [15:0] vxlan_gpe_port,
    output reg [15:0] geneve_port,
    output reg [15:0] gre_udp_port,
    output reg [319:0] key,
    output reg [QUEUES-1:0] queues_in_reset
);
  always @(posedge clk)
    if (!rst_n) begin
      hash_types <= 12'd0;
      tunnel_types <= 9'd0;
      first_fragment_ports <= 1'b0;
      table_mask <= 15'd0;
      unclassified_queue <= 16'd0;
      vxlan_port <= 16'd4789;
      vxlan_gpe_port <= 16'd4790;
      geneve_port <= 16'd6081;
      gre_udp_port <= 16'd4754;
      key <= 320'd0;
    end else if (write && address[16:15] == 2'b00) begin
      case (address[14:0])
        15'd0: hash_types <= data[11:0];
        15'd1: tunnel_types <= data[8:0];
        15'd2: first_fragment_ports <= data[0];
        15'd3: table_mask <= data[14:0];
        15'd4: unclassified_queue <= data[15:0];
        15'd5: vxlan_port <= data[15:0];
        15'd6: vxlan_gpe_port <= data[15:0];
        15'd7: geneve_port <= data[15:0];
        15'd8: gre_udp_port <= data[15:0];
        default: ;
      endcase
      for (integer i = 0; i < 10; i = i + 1)
        if (address[14:0] == 15'(16 + i)) key[319-32*i-:32] <= data;
    end
  always @(posedge clk)
    if (!rst_n) queues_in_reset <= '0;
    else if (write && address[16:15] == 2'b01 && address[14:0] < 15'(QUEUES))
      queues_in_reset[address[$clog2(QUEUES)-1:0]] <= data[0];
endmodule
`default_nettype wire
