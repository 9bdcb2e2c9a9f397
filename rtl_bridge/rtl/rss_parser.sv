// Finds what is hashed of one packet, one header a cycle: the packet's first MAX_PARSE_BYTES in `bytes`, the first one
// highest, and its length. From `done` on, report, tunnel and input stand until `take`.
`default_nettype none
module rss_parser #(
    parameter integer MAX_PARSE_BYTES = 256,
    parameter integer LENGTH_BITS = 17,
    localparam integer AT_BITS = $clog2(MAX_PARSE_BYTES) + 1
) (
    input wire clk,
    input wire rst_n,
    input wire start,
    input wire [LENGTH_BITS-1:0] length,
    input wire [8*MAX_PARSE_BYTES-1:0] bytes,
    input wire take,
    output wire idle,
    output wire done,
    // configuration, constant while a packet is in work
    input wire [11:0] hash_types,
    input wire [8:0] tunnel_types,
    input wire first_fragment_ports,
    input wire [15:0] vxlan_port,
    input wire [15:0] vxlan_gpe_port,
    input wire [15:0] geneve_port,
    input wire [15:0] gre_udp_port,
    // result: hash_report, hash_report_tunnel, and the bytes to hash from the highest on, then zeroes
    output reg [3:0] report,
    output wire [1:0] tunnel_report,
    output wire [287:0] hash_input
);
  localparam [2:0] IDLE = 3'd0, ETHERNET = 3'd1, IP = 3'd2, EXTENSION = 3'd3, OPTION = 3'd4;
  localparam [2:0] TRANSPORT = 3'd5, TUNNEL = 3'd6, DONE = 3'd7;

  localparam [15:0] TYPE_IPV4 = 16'h0800, TYPE_IPV6 = 16'h86dd, TYPE_BRIDGED = 16'h6558;
  localparam [15:0] TYPE_VLAN = 16'h8100, TYPE_SERVICE_VLAN = 16'h88a8;
  localparam [7:0] HOP_BY_HOP = 8'd0, ROUTING = 8'd43, FRAGMENT = 8'd44, AUTHENTICATION = 8'd51;
  localparam [7:0] DESTINATION = 8'd60, MOBILITY = 8'd135, HOST_IDENTITY = 8'd139, SHIM6 = 8'd140;
  localparam [7:0] IPV4_IN_IP = 8'd4, TCP = 8'd6, UDP = 8'd17, IPV6_IN_IP = 8'd41, GRE = 8'd47;
  localparam [7:0] PAD1 = 8'd0, HOME_ADDRESS = 8'd201;
  localparam [2:0] IN_GRE = 3'd0, IN_GRE_UDP = 3'd1, IN_VXLAN = 3'd2, IN_GPE = 3'd3, IN_GENEVE = 3'd4;

  reg [2:0] state_q, state_d;
  reg [AT_BITS-1:0] at_q, at_d;
  reg [LENGTH_BITS-1:0] end_q, end_d;  // of what the header at `at` is in
  reg [AT_BITS-1:0] option_end_q, option_end_d;
  reg ip6_q, ip6_d;  // the header at `at` is announced as IPv6
  reg v4_q, v4_d, v6_q, v6_d;
  reg [7:0] protocol_q, protocol_d;
  reg extended_q, extended_d;
  reg more_q, more_d, offset_q, offset_d;
  reg tcp_q, tcp_d, udp_q, udp_d;
  reg inner_q, inner_d;
  reg [1:0] tunnel_q, tunnel_d;
  reg [2:0] kind_q, kind_d;
  reg [255:0] addresses_q, addresses_d;
  reg home_q, home_d, routed_q, routed_d;
  reg [127:0] home_address_q, home_address_d, routing_address_q, routing_address_d;
  reg [31:0] ports_q, ports_d;

  wire [319:0] w;  // byte n of the header: w[319-8*n-:8]
  rss_window #(
      .BUFFER_BYTES(MAX_PARSE_BYTES),
      .WINDOW_BYTES(40)
  ) selector (
      .bytes(bytes),
      .at(at_q[AT_BITS-2:0]),
      .window(w)
  );

  // Bytes that are there from `at` on: of the packet, and of them those that are looked at.
  wire [LENGTH_BITS-1:0] remaining = end_q - {{LENGTH_BITS - AT_BITS{1'b0}}, at_q};
  wire [LENGTH_BITS-1:0] limit =
      end_q > LENGTH_BITS'(MAX_PARSE_BYTES) ? LENGTH_BITS'(MAX_PARSE_BYTES) : end_q;
  wire [LENGTH_BITS-1:0] room = limit - {{LENGTH_BITS - AT_BITS{1'b0}}, at_q};

  wire [7:0] byte0 = w[319:312];
  wire [7:0] byte1 = w[311:304];
  wire [15:0] half2 = w[303:288];
  wire [15:0] half4 = w[287:272];

  // Ethernet
  function automatic is_vlan(input [15:0] ethertype);
    is_vlan = ethertype == TYPE_VLAN || ethertype == TYPE_SERVICE_VLAN;
  endfunction
  wire [15:0] type0 = w[319-8*12-:16];
  wire [15:0] type1 = w[319-8*16-:16];
  wire [15:0] type2 = w[319-8*20-:16];
  wire tagged_once = is_vlan(type0);
  wire tagged_twice = tagged_once && is_vlan(type1);
  wire tagged_thrice = tagged_twice && is_vlan(type2);
  wire [4:0] ethernet_bytes = tagged_twice ? 5'd22 : tagged_once ? 5'd18 : 5'd14;
  wire [15:0] ethernet_type = tagged_twice ? type2 : tagged_once ? type1 : type0;
  // What lies behind the bytes that are there is no tag.
  wire ethernet_whole = room >= LENGTH_BITS'(ethernet_bytes) && !tagged_thrice;

  // IPv4 and IPv6
  wire [5:0] ipv4_bytes = {byte0[3:0], 2'b00};
  wire ipv4_whole = room >= LENGTH_BITS'(20) && byte0[7:4] == 4'd4 && byte0[3:0] >= 4'd5 &&
      room >= LENGTH_BITS'(ipv4_bytes);
  wire ipv4_length_right = half2 >= 16'(ipv4_bytes) && LENGTH_BITS'(half2) <= remaining;
  wire ipv6_whole = room >= LENGTH_BITS'(40) && byte0[7:4] == 4'd6;
  wire ipv6_length_right = LENGTH_BITS'(half4) <= remaining - LENGTH_BITS'(40);

  // Extension headers
  function automatic is_extension(input [7:0] protocol);
    is_extension = protocol == HOP_BY_HOP || protocol == ROUTING || protocol == FRAGMENT ||
        protocol == AUTHENTICATION || protocol == DESTINATION || protocol == MOBILITY ||
        protocol == HOST_IDENTITY || protocol == SHIM6;
  endfunction
  wire [11:0] extension_bytes = protocol_q == FRAGMENT ? 12'd8 :
      protocol_q == AUTHENTICATION ? {2'b00, byte1, 2'b00} + 12'd8 : {1'b0, byte1, 3'b000} + 12'd8;
  wire extension_whole = room >= LENGTH_BITS'(8) && room >= LENGTH_BITS'(extension_bytes);
  wire [AT_BITS-1:0] extension_end = at_q + extension_bytes[AT_BITS-1:0];
  wire routing_type2 = w[319-8*2-:8] == 8'd2;  // RFC 6275, 6.4
  wire fragment_moved = half2[15:3] != 13'd0;
  wire fragmented = more_q || offset_q;

  // Options
  wire [AT_BITS-1:0] option_room = option_end_q - at_q;
  wire [8:0] option_bytes = {1'b0, byte1} + 9'd2;
  wire option_whole = option_room >= AT_BITS'(2) &&
      LENGTH_BITS'(option_bytes) <= LENGTH_BITS'(option_room);

  // Transport
  wire [5:0] tcp_bytes = {w[319-8*12-:4], 2'b00};
  wire tcp_whole = room >= LENGTH_BITS'(20) && w[319-8*12-:4] >= 4'd5 &&
      room >= LENGTH_BITS'(tcp_bytes);
  wire udp_whole = room >= LENGTH_BITS'(8) && half4 >= 16'd8 &&
      (fragmented || LENGTH_BITS'(half4) <= remaining);
  wire to_vxlan = half2 == vxlan_port;
  wire to_geneve = half2 == geneve_port;
  wire to_gpe = half2 == vxlan_gpe_port;
  wire to_gre = half2 == gre_udp_port;

  // Tunnels
  wire any_tunnel = tunnel_types != 9'd0 || hash_types[11:9] != 3'd0;
  wire gre_kind = kind_q == IN_GRE || kind_q == IN_GRE_UDP;
  wire gre_key = byte0[5];
  wire gre_sequence = byte0[4];
  reg [8:0] tunnel_bytes;
  reg tunnel_sound;
  reg [15:0] tunnel_type;
  always @(*) begin
    tunnel_bytes = 9'd8;
    tunnel_sound = 1'b0;
    tunnel_type = TYPE_BRIDGED;
    if (gre_kind) begin
      tunnel_bytes = 9'd4 + (byte0[7] ? 9'd4 : 9'd0) + (gre_key ? 9'd4 : 9'd0) +
          (gre_sequence ? 9'd4 : 9'd0);
      tunnel_sound = room >= LENGTH_BITS'(4) && !byte0[6] && byte1[2:0] == 3'd0;
      tunnel_type = half2;
    end else if (kind_q == IN_VXLAN) begin
      tunnel_sound = room >= LENGTH_BITS'(8) && byte0[3];
    end else if (kind_q == IN_GPE) begin
      tunnel_sound = room >= LENGTH_BITS'(8) && byte0[5:4] == 2'd0;
      if (byte0[2])
        tunnel_type = w[295:288] == 8'd1 ? TYPE_IPV4 : w[295:288] == 8'd2 ? TYPE_IPV6 :
            w[295:288] == 8'd3 ? TYPE_BRIDGED : 16'd0;
    end else begin
      tunnel_bytes = {1'b0, byte0[5:0], 2'b00} + 9'd8;
      tunnel_sound = room >= LENGTH_BITS'(8) && byte0[7:6] == 2'd0;
      tunnel_type = half2;
    end
  end
  wire tunnel_whole = tunnel_sound && room >= LENGTH_BITS'(tunnel_bytes);
  wire gre_ipv6 = v6_q || tunnel_type == TYPE_IPV6;
  wire gre_enabled =
      (tunnel_types[0] && !gre_key && !gre_sequence && !gre_ipv6) ||
      (tunnel_types[1] && (gre_key || gre_sequence)) || (tunnel_types[2] && gre_ipv6) ||
      (tunnel_types[8] && gre_key && !gre_sequence && tunnel_type == TYPE_BRIDGED);
  reg tunnel_enabled;
  reg [1:0] tunnel_number;
  always @(*) begin
    tunnel_number = 2'd0;
    case (kind_q)
      IN_GRE: begin
        if (hash_types[9]) tunnel_number = 2'd1;
        tunnel_enabled = gre_enabled || hash_types[9];
      end
      IN_GRE_UDP: tunnel_enabled = tunnel_types[3];
      IN_VXLAN: begin
        if (hash_types[10]) tunnel_number = 2'd2;
        tunnel_enabled = tunnel_types[4] || hash_types[10];
      end
      IN_GPE: tunnel_enabled = tunnel_types[5];
      IN_GENEVE: begin
        if (hash_types[11]) tunnel_number = 2'd3;
        tunnel_enabled = tunnel_types[6] || hash_types[11];
      end
      default: tunnel_enabled = 1'b0;
    endcase
  end

  always @(*) begin
    state_d = state_q;
    at_d = at_q;
    end_d = end_q;
    option_end_d = option_end_q;
    ip6_d = ip6_q;
    v4_d = v4_q;
    v6_d = v6_q;
    protocol_d = protocol_q;
    extended_d = extended_q;
    more_d = more_q;
    offset_d = offset_q;
    tcp_d = tcp_q;
    udp_d = udp_q;
    inner_d = inner_q;
    tunnel_d = tunnel_q;
    kind_d = kind_q;
    addresses_d = addresses_q;
    home_d = home_q;
    routed_d = routed_q;
    home_address_d = home_address_q;
    routing_address_d = routing_address_q;
    ports_d = ports_q;
    case (state_q)
      IDLE:
      if (start) begin
        state_d = ETHERNET;
        at_d = '0;
        end_d = length;
        v4_d = 1'b0;
        v6_d = 1'b0;
        inner_d = 1'b0;
        tunnel_d = 2'd0;
        extended_d = 1'b0;
        more_d = 1'b0;
        offset_d = 1'b0;
        tcp_d = 1'b0;
        udp_d = 1'b0;
        home_d = 1'b0;
        routed_d = 1'b0;
      end
      ETHERNET: begin
        at_d = at_q + AT_BITS'(ethernet_bytes);
        ip6_d = ethernet_type == TYPE_IPV6;
        state_d = ethernet_whole && (ethernet_type == TYPE_IPV4 || ethernet_type == TYPE_IPV6) ?
            IP : DONE;
      end
      IP:
      if (!ip6_q) begin
        state_d = DONE;
        if (ipv4_whole) begin
          v4_d = 1'b1;
          addresses_d = {w[319-8*12-:64], 192'd0};
          protocol_d = w[319-8*9-:8];
          more_d = w[319-8*6-2];
          offset_d = w[319-8*6-3-:13] != 13'd0;
          at_d = at_q + AT_BITS'(ipv4_bytes);
          if (ipv4_length_right) begin
            end_d = {{LENGTH_BITS - AT_BITS{1'b0}}, at_q} + LENGTH_BITS'(half2);
            state_d = TRANSPORT;
          end
        end
      end else begin
        state_d = DONE;
        if (ipv6_whole) begin
          v6_d = 1'b1;
          addresses_d = w[319-8*8-:256];
          protocol_d = w[319-8*6-:8];
          at_d = at_q + AT_BITS'(40);
          if (ipv6_length_right) begin
            end_d = {{LENGTH_BITS - AT_BITS{1'b0}}, at_q} + LENGTH_BITS'(half4) + LENGTH_BITS'(40);
            state_d = is_extension(protocol_d) ? EXTENSION : TRANSPORT;
          end
        end
      end
      EXTENSION: begin
        state_d = DONE;
        if (extension_whole) begin
          extended_d = 1'b1;
          protocol_d = byte0;
          at_d = extension_end;
          if (protocol_q == FRAGMENT) begin
            more_d = half2[0];
            offset_d = fragment_moved;
          end else if (protocol_q == ROUTING && routing_type2 && !fragmented && !routed_q &&
                       extension_bytes == 12'd24) begin
            routed_d = 1'b1;
            routing_address_d = w[319-8*8-:128];
          end
          state_d = is_extension(byte0) && !offset_d ? EXTENSION : TRANSPORT;
          if (protocol_q == DESTINATION && !fragmented) begin
            at_d = at_q + AT_BITS'(2);
            option_end_d = extension_end;
            state_d = OPTION;
          end
        end
      end
      OPTION:
      if (at_q == option_end_q) begin
        state_d = is_extension(protocol_q) ? EXTENSION : TRANSPORT;
      end else if (byte0 == PAD1) begin
        at_d = at_q + AT_BITS'(1);
      end else if (!option_whole) begin
        at_d = option_end_q;
      end else begin
        if (byte0 == HOME_ADDRESS && byte1 == 8'd16 && !home_q) begin
          home_d = 1'b1;
          home_address_d = w[319-8*2-:128];
        end
        at_d = at_q + AT_BITS'(option_bytes);
      end
      TRANSPORT: begin
        state_d = DONE;
        if (!offset_q) begin
          if (protocol_q == TCP && tcp_whole) tcp_d = 1'b1;
          if (protocol_q == UDP && udp_whole) udp_d = 1'b1;
          ports_d = w[319:288];
        end
        if (any_tunnel && !inner_q && !fragmented) begin
          if (protocol_q == GRE) begin
            kind_d = IN_GRE;
            state_d = TUNNEL;
          end else if (protocol_q == IPV4_IN_IP || protocol_q == IPV6_IN_IP) begin
            if (tunnel_types[7]) begin
              state_d = IP;
              ip6_d = protocol_q == IPV6_IN_IP;
              inner_d = 1'b1;
              v4_d = 1'b0;
              v6_d = 1'b0;
              extended_d = 1'b0;
              home_d = 1'b0;
              routed_d = 1'b0;
            end
          end else if (udp_d && (to_vxlan || to_geneve || to_gpe || to_gre)) begin
            kind_d = to_vxlan ? IN_VXLAN : to_geneve ? IN_GENEVE : to_gpe ? IN_GPE : IN_GRE_UDP;
            at_d = at_q + AT_BITS'(8);
            end_d = {{LENGTH_BITS - AT_BITS{1'b0}}, at_q} + LENGTH_BITS'(half4);
            state_d = TUNNEL;
          end
        end
      end
      TUNNEL: begin
        state_d = DONE;
        if (tunnel_whole && tunnel_enabled) begin
          inner_d = 1'b1;
          tunnel_d = tunnel_number;
          v4_d = 1'b0;
          v6_d = 1'b0;
          extended_d = 1'b0;
          home_d = 1'b0;
          routed_d = 1'b0;
          tcp_d = 1'b0;
          udp_d = 1'b0;
          at_d = at_q + AT_BITS'(tunnel_bytes);
          ip6_d = tunnel_type == TYPE_IPV6;
          if (tunnel_type == TYPE_BRIDGED) state_d = ETHERNET;
          else if (tunnel_type == TYPE_IPV4 || tunnel_type == TYPE_IPV6) state_d = IP;
        end
      end
      default: if (take) state_d = IDLE;
    endcase
  end

  always @(posedge clk)
    if (!rst_n) state_q <= IDLE;
    else state_q <= state_d;

  always @(posedge clk)
    if (state_q != IDLE || start) begin
      at_q <= at_d;
      end_q <= end_d;
      option_end_q <= option_end_d;
      ip6_q <= ip6_d;
      v4_q <= v4_d;
      v6_q <= v6_d;
      protocol_q <= protocol_d;
      extended_q <= extended_d;
      more_q <= more_d;
      offset_q <= offset_d;
      tcp_q <= tcp_d;
      udp_q <= udp_d;
      inner_q <= inner_d;
      tunnel_q <= tunnel_d;
      kind_q <= kind_d;
      addresses_q <= addresses_d;
      home_q <= home_d;
      routed_q <= routed_d;
      home_address_q <= home_address_d;
      routing_address_q <= routing_address_d;
      ports_q <= ports_d;
    end

  // The first enabled hash type that the packet is of (virtio 1.4, 5.1.6.4.3).
  wire with_ports = !fragmented || first_fragment_ports;
  wire tcp = tcp_q && with_ports;
  wire udp = udp_q && with_ports;
  always @(*) begin
    report = 4'd0;
    if (v4_q) begin
      if (tcp && hash_types[1]) report = 4'd2;
      else if (udp && hash_types[2]) report = 4'd3;
      else if (hash_types[0]) report = 4'd1;
    end else if (v6_q) begin
      if (extended_q && tcp && hash_types[7]) report = 4'd8;
      else if (extended_q && udp && hash_types[8]) report = 4'd9;
      else if (extended_q && hash_types[6]) report = 4'd7;
      else if (tcp && hash_types[4]) report = 4'd5;
      else if (udp && hash_types[5]) report = 4'd6;
      else if (hash_types[3]) report = 4'd4;
    end
  end
  wire ported = report != 4'd0 && report != 4'd1 && report != 4'd4 && report != 4'd7;
  wire [31:0] hashed_ports = ported ? ports_q : 32'd0;
  wire extended_report = report >= 4'd7;
  wire [127:0] source = extended_report && home_q ? home_address_q : addresses_q[255:128];
  wire [127:0] destination =
      extended_report && routed_q ? routing_address_q : addresses_q[127:0];
  assign hash_input = v4_q ? {addresses_q[255:192], hashed_ports, 192'd0} :
      {source, destination, hashed_ports};
  assign tunnel_report = report != 4'd0 ? tunnel_q : 2'd0;
  assign idle = state_q == IDLE;
  assign done = state_q == DONE;
endmodule
`default_nettype wire
