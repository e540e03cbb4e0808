/* block8's coefficients to a frame of bytes, in one pass.
 *
 *   coefficients --inverse DCT across, filter across, inverse DCT down, filter down--> samples --colour--> pixels
 *
 * A block of threads makes a tile, with a rim of one block: the filters and chroma's interpolation reach into it. All
 * steps work in shared memory, in place. Coefficients come from a store, as the analysis writes it, or as lists of
 * what is not zero, as b8_pack_entries of the C core gives them: lists are a tenth of the bytes.
 */
#include "transform.cuh"

#define B8_SYNTHESIS_THREADS 256
#define B8_LUMA_SPAN (B8_TILE_X + 16) /* columns of a tile with its rim */
#define B8_CHROMA_SPAN (B8_TILE_X / 2 + 16)
#define B8_LUMA_ROOM (10 * B8_LUMA_SPAN) /* chunks: 8 of the tile and 2 of the rim for each column */
#define B8_CHROMA_ROOM (12 * B8_CHROMA_SPAN)

/* Columns of one plane, or of both planes of chroma, in shared memory. */
struct b8_columns {
    int4 *chunks;
    int span;         /* columns */
    int planes, rows; /* block rows of each plane in the tile; the rim's are -1 and `rows` */

    /* Where the chunk of a column in a block row is. */
    __device__ __forceinline__ int4 *at(int column, int plane, int row) const
    {
        if (row >= 0 && row < rows) {
            return chunks + b8_slot(column, plane * rows + row);
        }
        return chunks + 8 * span + 2 * (planes * column + plane) + (row < 0 ? 0 : 1);
    }
};

/* What is known of a tile's place in one or two planes. */
struct b8_region {
    b8_columns columns;
    int first_x, first_y;   /* block column and row of the rim */
    int blocks_x, blocks_y; /* of the picture */
    int across, down;       /* blocks of the tile with its rim */
};

B8_DEVICE b8_region b8_region_of(const b8_extent &e, int chroma, int4 *chunks)
{
    b8_region r;
    r.columns.chunks = chunks;
    r.columns.span = chroma ? B8_CHROMA_SPAN : B8_LUMA_SPAN;
    r.columns.planes = chroma ? 2 : 1;
    r.columns.rows = chroma ? 4 : 8;
    r.across = r.columns.span / 8;
    r.down = r.columns.rows + 2;
    r.first_x = (r.across - 2) * (int)blockIdx.x - 1;
    r.first_y = r.columns.rows * (int)blockIdx.y - 1;
    r.blocks_x = e.blocks_x[chroma];
    r.blocks_y = e.blocks_y[chroma];
    return r;
}

/* Where coefficients come from: a store, or lists. */
struct b8_source {
    const short *store;
    const short *means;
    const unsigned *starts;
    const b8_byte *counts;
    const unsigned *entries;
};

/* One column of coefficients of a block from a store. */
B8_DEVICE void b8_take_stored(const b8_extent &e, const b8_region &r, const short *store, int task)
{
    const int rows = r.columns.planes * r.down, row = task % r.down, plane = task % rows / r.down, column = task / rows;
    const int x = r.first_x + column / 8, y = r.first_y + row, side = r.columns.planes == 1 ? 4 : 2;
    int4 *to = r.columns.at(column, plane, row - 1);
    if (x < 0 || y < 0 || x >= r.blocks_x || y >= r.blocks_y) {
        *to = make_int4(0, 0, 0, 0);
        return;
    }
    const long long unit = (long long)(y / side) * e.units_x + x / side;
    const int at = 256 * (side == 2 ? 4 + x % 2 : x % 4) + 32 * (column % 8) + 16 * plane + 8 * (y % side);
    *to = *(const int4 *)(store + 2 * B8_UNIT_WORDS * unit + at);
}

/* One block's coefficients from lists, into chunks of zeros. `base` is the plane's first block. */
B8_DEVICE void b8_take_listed(const b8_region &r, const b8_source &s, int base, int task)
{
    const int blocks = r.across * r.down, plane = task / blocks, column = task % r.across, row = task % blocks / r.across;
    const int x = r.first_x + column, y = r.first_y + row;
    if (x < 0 || y < 0 || x >= r.blocks_x || y >= r.blocks_y) {
        return;
    }
    const int block = base + (plane * r.blocks_y + y) * r.blocks_x + x;
    const unsigned *entry = s.entries + s.starts[block];
    *(short *)r.columns.at(8 * column, plane, row - 1) = s.means[block];
    for (int i = 0; i < s.counts[block]; ++i) {
        const int u = (int)(entry[i] >> 21) & 7, v = (int)(entry[i] >> 16) & 7;
        ((short *)r.columns.at(8 * column + u, plane, row - 1))[v] = (short)entry[i];
    }
}

/* Loads or stores two rows of eight columns. */
B8_DEVICE void b8_take_rows(const b8_region &r, int column, int plane, int row, int pair, int x[2][8])
{
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int word = ((const int *)r.columns.at(column + i, plane, row))[pair];
        x[0][i] = b8_low(word);
        x[1][i] = b8_high(word);
    }
}

B8_DEVICE void b8_keep_rows(const b8_region &r, int column, int plane, int row, int pair, const int x[2][8])
{
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        ((int *)r.columns.at(column + i, plane, row))[pair] = b8_pack(x[0][i], x[1][i]);
    }
}

/* Two rows of a block across: frequencies to samples. */
B8_DEVICE void b8_across_block(const b8_region &r, int task)
{
    const int rows = 4 * r.columns.planes * r.down;
    const int pair = task % 4, row = task / 4 % r.down - 1, plane = task % rows / (4 * r.down), column = task / rows * 8;
    int x[2][8];
    b8_take_rows(r, column, plane, row, pair, x);
    b8_idct_across(x[0]);
    b8_idct_across(x[1]);
    b8_keep_rows(r, column, plane, row, pair, x);
}

/* Two rows of the border to the right of a block. */
B8_DEVICE void b8_across_border(const b8_region &r, int task)
{
    const int rows = 4 * r.columns.planes * r.down;
    const int pair = task % 4, row = task / 4 % r.down - 1, plane = task % rows / (4 * r.down), block = task / rows;
    const int right = r.first_x + block + 1;
    int x[2][8];
    if (right <= 0 || right >= r.blocks_x) {
        return;
    }
    b8_take_rows(r, 8 * block + 4, plane, row, pair, x);
    b8_unlap(x[0]);
    b8_unlap(x[1]);
    b8_keep_rows(r, 8 * block + 4, plane, row, pair, x);
}

/* A column of a block down: frequencies to samples. `first` is the first column that is needed, of `count`. */
B8_DEVICE void b8_down_block(const b8_region &r, int first, int count, int task)
{
    int4 *chunk = r.columns.at(first + task % count, task / count / r.down, task / count % r.down - 1);
    int x[8];
    b8_unpack8(*chunk, x);
    b8_idct_down(x);
    *chunk = b8_pack8(x);
}

/* A column of the border below a block. */
B8_DEVICE void b8_down_border(const b8_region &r, int first, int count, int task)
{
    const int borders = r.down - 1, column = first + task % count, plane = task / count / borders;
    const int row = task / count % borders - 1, below = r.first_y + row + 2;
    if (below <= 0 || below >= r.blocks_y) {
        return;
    }
    int2 *over = (int2 *)r.columns.at(column, plane, row) + 1, *under = (int2 *)r.columns.at(column, plane, row + 1);
    int x[8];
    b8_unpack8(make_int4(over->x, over->y, under->x, under->y), x);
    b8_unlap(x);
    *over = make_int2(b8_pack(x[0], x[1]), b8_pack(x[2], x[3]));
    *under = make_int2(b8_pack(x[4], x[5]), b8_pack(x[6], x[7]));
}

/* Writes `count` bytes, up to 4 * words, of which the first is to be at `to`. */
template <int words> B8_DEVICE void b8_emit(b8_byte *to, const b8_byte *bytes, int count)
{
    if (count == 4 * words && ((b8_address)to & 3) == 0) {
#pragma unroll
        for (int i = 0; i < words; ++i) {
            const b8_byte *b = bytes + 4 * i;
            ((unsigned *)to)[i] = b[0] | (unsigned)b[1] << 8 | (unsigned)b[2] << 16 | (unsigned)b[3] << 24;
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < 4 * words; ++i) {
        if (i < count) {
            to[i] = bytes[i];
        }
    }
}

/* The rows of one column of chroma that four rows of it and those around reach. */
struct b8_chroma_column {
    int n[6]; /* the row before, four rows, and the row after */
};

/* Column `x` of the picture's chroma, rows 4 `half` to 4 `half` + 3 of a block row; beyond the picture goes what is at its
 * rim. */
B8_DEVICE b8_chroma_column b8_chroma_at(const b8_extent &e, const b8_region &r, int x, int plane, int row, int half)
{
    const int column = b8_clamp(x, 0, (e.width - 1) / 2) - 8 * r.first_x;
    const int y = 8 * (r.first_y + 1 + row) + 4 * half, last = (e.height - 1) / 2;
    const int2 four = ((const int2 *)r.columns.at(column, plane, row))[half];
    b8_chroma_column c;
    c.n[1] = b8_low(four.x), c.n[2] = b8_high(four.x), c.n[3] = b8_low(four.y), c.n[4] = b8_high(four.y);
    c.n[0] = half ? ((const short *)r.columns.at(column, plane, row))[3] : ((const short *)r.columns.at(column, plane, row - 1))[7];
    c.n[5] = half ? ((const short *)r.columns.at(column, plane, row + 1))[0] : ((const short *)r.columns.at(column, plane, row))[4];
    if (y == 0) {
        c.n[0] = c.n[1];
    }
#pragma unroll
    for (int i = 1; i < 5; ++i) {
        if (y + i - 1 == last) {
            c.n[i + 1] = c.n[i];
        }
    }
    return c;
}

B8_DEVICE b8_byte b8_level(int sum) { return (b8_byte)b8_clamp(((int)(short)(sum + 1024) + 4) >> 3, 0, 255); }

/* Eight rows of four pixels. */
B8_DEVICE void b8_pixels_rgb(const b8_extent &e, const b8_region &luma, const b8_region &chroma, int group, int row,
                             b8_byte *image, long long stride)
{
    const int x = B8_TILE_X * (int)blockIdx.x + 4 * group, y = B8_TILE_Y * (int)blockIdx.y + 8 * row;
    if (x >= e.width || y >= e.height) {
        return;
    }
    int grey[4][8];
    b8_chroma_column colour[2][4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        b8_unpack8(*luma.columns.at(8 + 4 * group + i, 0, row), grey[i]);
        colour[0][i] = b8_chroma_at(e, chroma, x / 2 - 1 + i, 0, row / 2, row % 2);
        colour[1][i] = b8_chroma_at(e, chroma, x / 2 - 1 + i, 1, row / 2, row % 2);
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) {
        if (y + j >= e.height) {
            return;
        }
        int h[2][4];
        b8_byte bytes[12];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int *n = colour[i / 4][i % 4].n + 1 + j / 2;
            h[i / 4][i % 4] = 3 * n[0] + n[j % 2 == 0 ? -1 : 1];
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int near = 1 + i / 2, far = i % 2 == 0 ? near - 1 : near + 1;
            const int cb = ((int)(short)(3 * h[0][near] + h[0][far]) + 8) >> 4;
            const int cr = ((int)(short)(3 * h[1][near] + h[1][far]) + 8) >> 4;
            bytes[3 * i] = b8_level(grey[i][j] + cr + b8_mul(cr, 13173));
            bytes[3 * i + 1] = b8_level(grey[i][j] + b8_mul(cb, -11277) + b8_mul(cr, -23401));
            bytes[3 * i + 2] = b8_level(grey[i][j] + 2 * cb + b8_mul(cb, -7471));
        }
        const int left = e.width - x;
        b8_emit<3>(image + (y + j) * stride + 3 * (long long)x, bytes, 3 * (left < 4 ? left : 4));
    }
}

B8_DEVICE void b8_pixels_grey(const b8_extent &e, const b8_region &luma, int group, int row, b8_byte *image, long long stride)
{
    const int x = B8_TILE_X * (int)blockIdx.x + 4 * group, y = B8_TILE_Y * (int)blockIdx.y + 8 * row;
    const int left = e.width - x;
    int grey[4][8];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        b8_unpack8(*luma.columns.at(8 + 4 * group + i, 0, row), grey[i]);
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) {
        b8_byte bytes[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) { /* not cut to 16 bits before it is clamped, unlike colours */
            bytes[i] = (b8_byte)b8_clamp((grey[i][j] + 1024 + 4) >> 3, 0, 255);
        }
        if (left > 0 && y + j < e.height) {
            b8_emit<1>(image + (y + j) * stride + x, bytes, left < 4 ? left : 4);
        }
    }
}

/* Every step of the transform takes its tasks in luma and then in chroma. */
#define B8_STEP(luma_tasks, luma_call, chroma_tasks, chroma_call)                                                          \
    B8_PHASE                                                                                                               \
    {                                                                                                                      \
        for (int task = thread; task < (luma_tasks); task += B8_SYNTHESIS_THREADS) {                                       \
            luma_call;                                                                                                     \
        }                                                                                                                  \
        for (int task = thread; bands > 1 && task < (chroma_tasks); task += B8_SYNTHESIS_THREADS) {                        \
            chroma_call;                                                                                                   \
        }                                                                                                                  \
    }                                                                                                                      \
    B8_BARRIER()

template <int bands, bool listed>
B8_DEVICE void b8_synthesise(const b8_source &s, int width, int height, b8_byte *image, long long stride, int4 *luma_room,
                             int4 *chroma_room)
{
    const b8_extent e = b8_extent_of(width, height);
    const b8_region luma = b8_region_of(e, 0, luma_room), chroma = b8_region_of(e, 1, chroma_room);
    const int4 nothing = make_int4(0, 0, 0, 0);
    if (listed) {
        const int base = e.blocks_x[0] * e.blocks_y[0];
        B8_STEP(B8_LUMA_ROOM, luma_room[task] = nothing, B8_CHROMA_ROOM, chroma_room[task] = nothing);
        B8_STEP(18 * 10, b8_take_listed(luma, s, 0, task), 10 * 12, b8_take_listed(chroma, s, base, task));
    } else {
        B8_STEP(B8_LUMA_ROOM, b8_take_stored(e, luma, s.store, task), B8_CHROMA_ROOM,
                b8_take_stored(e, chroma, s.store, task));
    }
    B8_STEP(18 * 40, b8_across_block(luma, task), 10 * 48, b8_across_block(chroma, task));
    B8_STEP(17 * 40, b8_across_border(luma, task), 9 * 48, b8_across_border(chroma, task));
    /* Of the rim's columns, chroma's interpolation takes the nearest ones. */
    B8_STEP(B8_TILE_X * 10, b8_down_block(luma, 8, B8_TILE_X, task), (B8_TILE_X / 2 + 2) * 12,
            b8_down_block(chroma, 7, B8_TILE_X / 2 + 2, task));
    B8_STEP(B8_TILE_X * 9, b8_down_border(luma, 8, B8_TILE_X, task), (B8_TILE_X / 2 + 2) * 10,
            b8_down_border(chroma, 7, B8_TILE_X / 2 + 2, task));
    B8_PHASE
    {
        if (bands > 1) {
            b8_pixels_rgb(e, luma, chroma, thread % 32, thread / 32, image, stride);
        } else {
            b8_pixels_grey(e, luma, thread % 32, thread / 32, image, stride);
        }
    }
}

#define B8_KERNEL extern "C" __global__ void __launch_bounds__(B8_SYNTHESIS_THREADS)

B8_KERNEL b8_synthesis_rgb(const short *store, int width, int height, b8_byte *image, long long stride)
{
    __shared__ int4 luma[B8_LUMA_ROOM], chroma[B8_CHROMA_ROOM];
    const b8_source source = {store, 0, 0, 0, 0};
    b8_synthesise<3, false>(source, width, height, image, stride, luma, chroma);
}

B8_KERNEL b8_synthesis_grey(const short *store, int width, int height, b8_byte *image, long long stride)
{
    __shared__ int4 luma[B8_LUMA_ROOM];
    const b8_source source = {store, 0, 0, 0, 0};
    b8_synthesise<1, false>(source, width, height, image, stride, luma, 0);
}

B8_KERNEL b8_lists_rgb(const short *means, const unsigned *starts, const b8_byte *counts, const unsigned *entries, int width,
                       int height, b8_byte *image, long long stride)
{
    __shared__ int4 luma[B8_LUMA_ROOM], chroma[B8_CHROMA_ROOM];
    const b8_source source = {0, means, starts, counts, entries};
    b8_synthesise<3, true>(source, width, height, image, stride, luma, chroma);
}

B8_KERNEL b8_lists_grey(const short *means, const unsigned *starts, const b8_byte *counts, const unsigned *entries,
                        int width, int height, b8_byte *image, long long stride)
{
    __shared__ int4 luma[B8_LUMA_ROOM];
    const b8_source source = {0, means, starts, counts, entries};
    b8_synthesise<1, true>(source, width, height, image, stride, luma, 0);
}
