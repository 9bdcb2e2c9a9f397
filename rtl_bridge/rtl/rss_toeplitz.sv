// The Toeplitz hash in three stages of 12 bytes each: every input bit masks the 32 key bits that it meets. All stages move
// when `advance` is up.
`default_nettype none
module rss_toeplitz #(
    parameter integer SIDE_BITS = 8
) (
    input wire clk,
    input wire rst_n,
    input wire advance,
    // verilator lint_off UNUSEDSIGNAL
    input wire [319:0] key,  // the last bit meets none
    // verilator lint_on UNUSEDSIGNAL
    input wire in_valid,
    input wire [287:0] in_bytes,
    input wire [SIDE_BITS-1:0] in_side,
    output wire busy,
    output wire out_valid,
    output wire [31:0] out_hash,
    output wire [SIDE_BITS-1:0] out_side
);
  // What `bits` adds to a hash, met by the key bits from the highest of `window` on.
  function automatic [31:0] partial(input [95:0] bits, input [126:0] window);
    reg [31:0] sum;
    sum = 32'd0;
    for (integer i = 0; i < 96; i = i + 1) sum = sum ^ ({32{bits[95-i]}} & window[126-i-:32]);
    partial = sum;
  endfunction

  reg valid1_q, valid2_q, valid3_q;
  reg [31:0] hash1_q, hash2_q, hash3_q;
  reg [191:0] left1_q;
  reg [95:0] left2_q;
  reg [SIDE_BITS-1:0] side1_q, side2_q, side3_q;
  always @(posedge clk)
    if (!rst_n) begin
      valid1_q <= 1'b0;
      valid2_q <= 1'b0;
      valid3_q <= 1'b0;
    end else if (advance) begin
      valid1_q <= in_valid;
      valid2_q <= valid1_q;
      valid3_q <= valid2_q;
    end
  always @(posedge clk)
    if (advance) begin
      if (in_valid) begin
        hash1_q <= partial(in_bytes[287:192], key[319-:127]);
        left1_q <= in_bytes[191:0];
        side1_q <= in_side;
      end
      if (valid1_q) begin
        hash2_q <= hash1_q ^ partial(left1_q[191:96], key[319-96-:127]);
        left2_q <= left1_q[95:0];
        side2_q <= side1_q;
      end
      if (valid2_q) begin
        hash3_q <= hash2_q ^ partial(left2_q, key[319-192-:127]);
        side3_q <= side2_q;
      end
    end
  assign busy = valid1_q || valid2_q || valid3_q;
  assign out_valid = valid3_q;
  assign out_hash = hash3_q;
  assign out_side = side3_q;
endmodule
`default_nettype wire
