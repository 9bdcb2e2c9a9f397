// The WINDOW_BYTES bytes of a buffer from byte `at` on, the first one highest; behind the buffer are zeroes. Halves what
// can still be in the window with each bit of `at`, so that the multiplexers become narrower from level to level.
`default_nettype none
module rss_window #(
    parameter integer BUFFER_BYTES = 256,
    parameter integer WINDOW_BYTES = 40,
    localparam integer AT_BITS = $clog2(BUFFER_BYTES)
) (
    input wire [8*BUFFER_BYTES-1:0] bytes,
    input wire [AT_BITS-1:0] at,
    output wire [8*WINDOW_BYTES-1:0] window
);
  // Level l has taken bits AT_BITS - 1 .. AT_BITS - l; what is left can still be shifted by less than 2**(AT_BITS - l).
  localparam integer ALL = 8 * (BUFFER_BYTES + WINDOW_BYTES);
  // verilator lint_off UNUSEDSIGNAL
  // verilator lint_off UNOPTFLAT
  wire [ALL-1:0] level[0:AT_BITS];
  // verilator lint_on UNOPTFLAT
  // verilator lint_on UNUSEDSIGNAL
  assign level[0] = {bytes, {8 * WINDOW_BYTES{1'b0}}};
  generate
    for (genvar l = 1; l <= AT_BITS; l = l + 1) begin : g_level
      localparam integer SHIFT = 8 * (1 << (AT_BITS - l));
      localparam integer LEFT = SHIFT + 8 * WINDOW_BYTES;
      assign level[l][ALL-1-:LEFT] =
          at[AT_BITS-l] ? level[l-1][ALL-1-SHIFT-:LEFT] : level[l-1][ALL-1-:LEFT];
      assign level[l][ALL-1-LEFT:0] = '0;
    end
  endgenerate
  assign window = level[AT_BITS][ALL-1-:8*WINDOW_BYTES];
endmodule
`default_nettype wire
