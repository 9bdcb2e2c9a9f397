// The WINDOW_BYTES bytes of a buffer from byte `at` on, the first one highest; behind the buffer are zeroes. Every bit of
// `at`, from the highest on, halves what can still be in the window, so the multiplexers become narrower.
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
  generate
    for (genvar l = AT_BITS; l >= 0; l = l - 1) begin : g_level
      // Bits below l of `at` have not been looked at.
      localparam integer LEFT = 8 * ((1 << l) + WINDOW_BYTES);
      // verilator lint_off UNUSEDSIGNAL
      wire [LEFT-1:0] part;  // of the last one not all
      // verilator lint_on UNUSEDSIGNAL
      if (l == AT_BITS) begin : g_first
        assign part = {bytes, {8 * WINDOW_BYTES{1'b0}}};
      end else begin : g_next
        assign part = at[l] ? g_level[l+1].part[LEFT-1:0] : g_level[l+1].part[LEFT+8*(1<<l)-1-:LEFT];
      end
    end
  endgenerate
  assign window = g_level[0].part[8*WINDOW_BYTES+7-:8*WINDOW_BYTES];
endmodule
`default_nettype wire
