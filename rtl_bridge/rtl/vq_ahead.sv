// Stage 3b: reads ahead what a chain goes on with behind its first read: the beginning of its indirect table, in reads
// of a beat all at once, or the descriptors that its `next` leads to. Many chains have such reads under way; what was
// read follows its descriptors to stage 4 in order.
`default_nettype none
module vq_ahead #(
    parameter QW = 1,
    parameter DATA_WIDTH = 256,
    parameter META = 30,
    parameter HEADER = 1,
    parameter BATCH = 2,
    parameter INDIRECT_BATCH = 8,
    parameter WALKERS = 16,
    parameter LOG2 = 5  // chunks under way
) (
    input wire clk,
    input wire rst_n,
    input wire live,  // the bit of `queue`
    input wire header_valid,
    input wire [HEADER-1:0] header,
    output wire header_pop,
    input wire token_valid,
    input wire [META-1:0] token,
    input wire [DATA_WIDTH-1:0] token_data,
    input wire token_error,
    output wire token_pop,
    output wire [QW-1:0] queue,
    output wire read_valid,
    input wire read_grant,
    output wire [63:0] read_address,
    output wire [15:0] read_length,
    output wire read_indirect,
    output wire [LOG2-1:0] read_index,
    input wire rsp,
    input wire [LOG2-1:0] rsp_index,
    input wire [DATA_WIDTH-1:0] rsp_data,
    input wire rsp_error,
    // To stage 4.
    output wire out_header_valid,
    output wire [HEADER-1:0] out_header,
    input wire out_header_pop,
    output wire out_valid,
    output wire [META-1:0] out_token,
    output wire [6:0] out_chunks,  // that belong to it
    output wire [DATA_WIDTH-1:0] out_data,
    output wire out_error,
    input wire out_pop,
    output wire chunk_valid,
    output wire [23:0] chunk,  // descriptor of its token, whether of a table, how many, from where on
    output wire [DATA_WIDTH-1:0] chunk_data,
    output wire chunk_error,
    input wire chunk_pop
);
  localparam [1:0] DESC = 2'd0, END = 2'd1;
  localparam BEAT = INDIRECT_BATCH < DATA_WIDTH / 128 ? INDIRECT_BATCH : DATA_WIDTH / 128;
  localparam WL = $clog2(WALKERS);
  localparam JUDGE = 2'd0, READ = 2'd1, NEXT = 2'd2, DONE = 2'd3;
  reg open_q;
  reg [1:0] state_q, off_q;
  reg [6:0] chunks_q;

  // The visit.
  reg [QW-1:0] queue_q;
  reg [63:0] desc_q;
  reg [15:0] size_q, avail_q;
  reg packed_q, indirect_q, wrap_q;
  assign queue = queue_q;
  wire headers_full, tokens_full, chunks_full;
  assign header_pop = !open_q && header_valid && !headers_full;

  wire [1:0] kind = token[1:0];
  wire [15:0] at = token[17:2];
  wire [3:0] n = token[21:18];
  wire [DATA_WIDTH-1:0] shifted = token_data >> {off_q, 7'd0};
  wire [127:0] d = shifted[127:0];
  wire [31:0] d_len = d[95:64];
  wire [15:0] d_flags = packed_q ? d[127:112] : d[111:96];
  wire [15:0] d_next = d[127:112];
  wire [64:0] d_end = {1'b0, d[63:0]} + {33'd0, d_len};
  wire table_there = d_flags[2] && !d_flags[0] && indirect_q && d_len != 0 && d_len[3:0] == 0 && !d_end[64];
  wire [15:0] here = at + {14'd0, off_q};
  wire here_wrap = here < avail_q ? !wrap_q : wrap_q;
  wire available = d_flags[7] == here_wrap && d_flags[15] != here_wrap;
  wire last = {2'd0, off_q} + 4'd1 >= n;
  wire [15:0] ahead = d_next - at;
  wire in_window = d_next > here && ahead < {12'd0, n};

  wire plain = kind != DESC || token_error || !live || (packed_q && (!indirect_q || !available));
  wire goes_on = packed_q ? !last : !d_flags[2] && d_flags[0] && in_window;
  wire reads_table = table_there;
  wire reads_on = !packed_q && !d_flags[2] && d_flags[0] && !in_window && d_next < size_q;
  wire ends = plain || (!reads_table && !reads_on && !goes_on);

  // What is being read.
  reg table_q;
  reg [63:0] from_q;
  reg [15:0] at_q;
  reg [6:0] left_q;
  wire [6:0] most = table_q ? 7'(BEAT) : 7'(BATCH);
  wire [6:0] now = left_q < most ? left_q : most;
  wire [15:0] to_end = size_q - d_next;
  assign read_valid = open_q && state_q == READ && live && !chunks_full;
  assign read_address = from_q + {44'd0, at_q, 4'd0};
  assign read_length = {5'd0, now, 4'd0};
  assign read_indirect = table_q;

  wire push = open_q && token_valid && !tokens_full && ((state_q == JUDGE && ends) || state_q == DONE);
  assign token_pop = push;
  always_ff @(posedge clk) begin
    if (!rst_n) begin
      open_q   <= 0;
      state_q  <= JUDGE;
      off_q    <= 0;
      chunks_q <= 0;
    end else if (!open_q) begin
      open_q <= header_pop;
      queue_q <= header[QW-1:0];
      desc_q <= header[QW+:64];
      size_q <= header[QW+64+:16];
      packed_q <= header[QW+80];
      indirect_q <= header[QW+82];
      avail_q <= header[QW+100+:16];
      wrap_q <= header[QW+116];
    end else if (push) begin
      state_q  <= JUDGE;
      off_q    <= 0;
      chunks_q <= 0;
      if (kind == END) open_q <= 0;
    end else if (token_valid)
      case (state_q)
        JUDGE:
        if (!ends) begin
          table_q <= reads_table;
          from_q  <= reads_table ? d[63:0] : desc_q;
          at_q    <= reads_table ? 16'd0 : d_next;
          left_q  <= reads_table ? (d_len[31:4] < 28'(INDIRECT_BATCH) ? d_len[10:4] : 7'(INDIRECT_BATCH)) :
              to_end < 16'(BATCH) ? to_end[6:0] : 7'(BATCH);
          if (reads_table || reads_on) state_q <= READ;
          else off_q <= packed_q ? off_q + 1'b1 : ahead[1:0];
        end
        READ:
        if (!live) state_q <= DONE;
        else if (read_grant) begin
          chunks_q <= chunks_q + 1'b1;
          at_q <= at_q + {9'd0, now};
          left_q <= left_q - now;
          if (left_q == now) state_q <= packed_q && !last ? NEXT : DONE;
        end
        NEXT: begin
          off_q   <= off_q + 1'b1;
          state_q <= JUDGE;
        end
        default: ;
      endcase
  end

  vq_fifo #(
      .WIDTH(HEADER),
      .LOG2(WL)
  ) headers (
      .clk(clk),
      .rst_n(rst_n),
      .push(header_pop),
      .in(header),
      .full(headers_full),
      .pop(out_header_pop),
      .out(out_header),
      .valid(out_header_valid)
  );
  vq_fifo #(
      .WIDTH(META + 8 + DATA_WIDTH),
      .LOG2(WL)
  ) tokens (
      .clk(clk),
      .rst_n(rst_n),
      .push(push),
      .in({token, chunks_q, token_error, token_data}),
      .full(tokens_full),
      .pop(out_pop),
      .out({out_token, out_chunks, out_error, out_data}),
      .valid(out_valid)
  );
  wire [LOG2-1:0] index_unused;
  vq_rob #(
      .LOG2(LOG2),
      .META(24),
      .DATA(DATA_WIDTH)
  ) chunks (
      .clk(clk),
      .rst_n(rst_n),
      .alloc(read_grant),
      .alloc_done(1'b0),
      .alloc_meta({off_q, table_q, now[4:0], at_q}),
      .alloc_index(read_index),
      .full(chunks_full),
      .rsp(rsp),
      .rsp_index(rsp_index),
      .rsp_data(rsp_data),
      .rsp_error(rsp_error),
      .valid(chunk_valid),
      .index(index_unused),
      .meta(chunk),
      .data(chunk_data),
      .error(chunk_error),
      .pop(chunk_pop)
  );
endmodule
`default_nettype wire
