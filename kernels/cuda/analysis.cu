/* A frame of bytes to block8's coefficients, in one pass: the frame is read once and the store is written once.
 *
 *   pixels --colour, filter down--> columns of samples --DCT down--> in place --filter and DCT across--> store
 *
 * A block of threads makes a tile. The filter reaches 4 samples beyond it, which its neighbours make again for
 * themselves: nothing passes between tiles. The store is what b8_store_rows of the C core makes, [units][1536]:
 * four block columns of luma and two of chroma, each [u: 8][row: 32], a row being 8 * block row + v in luma and
 * 16 * plane + 8 * block row + v in chroma. Block columns beyond the picture are 0.
 */
#include "transform.cuh"

#define B8_ANALYSIS_THREADS 192
#define B8_LUMA_COLUMNS (B8_TILE_X + 8)
#define B8_CHROMA_COLUMNS (B8_TILE_X / 2 + 8)

/* Pixels x to x + 3 of a row, x a multiple of 4 or that much below 0; those beyond the row are its first or last. */
template <int bands> B8_DEVICE void b8_load_pixels(const b8_byte *row, int x, int width, int out[4][bands])
{
    const b8_byte *from = row + bands * x;
    const unsigned skipped = (unsigned)((b8_address)from & 3);
    /* Whole words, shifted to where the pixels begin: what lies around them must be of the same row. */
    if (skipped == 0 ? x >= 0 && x + 4 <= width : x >= 4 && x + 8 <= width) {
        const unsigned *words = (const unsigned *)(from - skipped);
        unsigned w[bands + 1];
#pragma unroll
        for (int i = 0; i < bands; ++i) {
            w[i] = words[i];
        }
        w[bands] = skipped == 0 ? 0 : words[bands];
#pragma unroll
        for (int i = 0; i < bands; ++i) {
            w[i] = __funnelshift_r(w[i], w[i + 1], 8 * skipped);
        }
#pragma unroll
        for (int i = 0; i < 4 * bands; ++i) {
            out[i / bands][i % bands] = (int)((w[i / 4] >> (8 * (i % 4))) & 255u);
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const b8_byte *pixel = row + bands * b8_clamp(x + i, 0, width - 1);
#pragma unroll
        for (int band = 0; band < bands; ++band) {
            out[i][band] = pixel[band];
        }
    }
}

/* Eight times (level - 128). Samples are 128 times a byte in the C core: here that is left out, and of the shift. */
template <int bands> B8_DEVICE int b8_luma_of(const int pixel[bands])
{
    if (bands == 1) {
        return 8 * pixel[0] - 1024;
    }
    const int sum = ((pixel[0] * 9798 + 128) >> 8) + ((pixel[bands / 2] * 19235 + 128) >> 8) +
                    ((pixel[bands - 1] * 3735 + 128) >> 8);
    return ((sum + 8) >> 4) - 1024;
}

/* From the sum of four pixels' bytes: the C core's means of 2x2 samples are 32 times it, without remainder. */
template <int red, int green, int blue> B8_DEVICE int b8_chroma_of(const int sum[3])
{
    const int value = ((sum[0] * red + 512) >> 10) + ((sum[1] * green + 512) >> 10) + ((sum[2] * blue + 512) >> 10);
    return (value + 8) >> 4;
}

/* Keeps eight samples of a column around the border above chunk `chunk` of `first` to `first + count - 1`. */
B8_DEVICE void b8_keep_around(int4 *columns, int column, int chunk, int first, int count, const int x[8])
{
    int2 *halves = (int2 *)columns;
    if (chunk > first) {
        halves[2 * b8_slot(column, chunk - 1) + 1] = make_int2(b8_pack(x[0], x[1]), b8_pack(x[2], x[3]));
    }
    if (chunk < first + count) {
        halves[2 * b8_slot(column, chunk)] = make_int2(b8_pack(x[4], x[5]), b8_pack(x[6], x[7]));
    }
}

/* Luma of four columns around border `border` of the tile's nine, filtered. */
template <int bands>
B8_DEVICE void b8_luma_task(const b8_extent &e, const b8_byte *image, long long stride, int tile_x, int tile_y, int group,
                            int border, int4 *luma)
{
    const int x = B8_TILE_X * tile_x - 4 + 4 * group, y = B8_TILE_Y * tile_y + 8 * border - 4;
    const int block = 8 * tile_y + border;
    if (x >= 8 * e.blocks_x[0] || y >= 32 * e.units_y) {
        return;
    }
    int v[4][8];
#pragma unroll
    for (int row = 0; row < 8; ++row) {
        int pixels[4][bands];
        b8_load_pixels<bands>(image + b8_clamp(y + row, 0, e.height - 1) * stride, x, e.width, pixels);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            v[i][row] = b8_luma_of<bands>(pixels[i]);
        }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        if (block > 0 && block < e.blocks_y[0]) {
            b8_lap(v[i]);
        }
        b8_keep_around(luma, 4 * group + i, border, 0, 8, v[i]);
    }
}

/* Both planes of chroma of two columns around border `border` of the tile's five, filtered. */
B8_DEVICE void b8_chroma_task(const b8_extent &e, const b8_byte *image, long long stride, int tile_x, int tile_y, int group,
                              int border, int4 *chroma)
{
    const int x = B8_TILE_X * tile_x - 8 + 4 * group, y = B8_TILE_Y / 2 * tile_y + 8 * border - 4;
    const int block = 4 * tile_y + border;
    if (x >= 16 * e.blocks_x[1] || y >= 16 * e.units_y) {
        return;
    }
    int v[2][2][8];
#pragma unroll
    for (int row = 0; row < 8; ++row) {
        const int above = 2 * b8_clamp(y + row, 0, (e.height - 1) / 2), below = b8_clamp(above + 1, 0, e.height - 1);
        int a[4][3], b[4][3];
        b8_load_pixels<3>(image + above * stride, x, e.width, a);
        b8_load_pixels<3>(image + below * stride, x, e.width, b);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            int sum[3];
#pragma unroll
            for (int band = 0; band < 3; ++band) {
                sum[band] = a[2 * i][band] + a[2 * i + 1][band] + b[2 * i][band] + b[2 * i + 1][band];
            }
            v[0][i][row] = b8_chroma_of<-5529, -10855, 16384>(sum);
            v[1][i][row] = b8_chroma_of<16384, -13720, -2664>(sum);
        }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        if (block > 0 && block < e.blocks_y[1]) {
            b8_lap(v[i / 2][i % 2]);
        }
        b8_keep_around(chroma, 2 * group + i % 2, 4 * (i / 2) + border, 4 * (i / 2), 4, v[i / 2][i % 2]);
    }
}

/* The vertical DCT of a column of a block. */
B8_DEVICE void b8_down_task(int4 *columns, int column, int chunk)
{
    int x[8];
    const int slot = b8_slot(column, chunk);
    b8_unpack8(columns[slot], x);
    b8_dct_down(x);
    columns[slot] = b8_pack8(x);
}

/* Two rows of a run of four blocks: filters their borders, transforms them, and writes them to units. Lane 4 chunk + pair
 * has rows 2 pair and 2 pair + 1 of the chunk. `blocks` are there in a row of the picture, `first` is the first of
 * these, `column` its first column less 4. to[i] is where block i's u = 0 goes. */
B8_DEVICE void b8_across_task(const int4 *columns, int column, int lane, int first, int blocks, int *const to[4])
{
    const int *words = (const int *)columns;
    int x[2][12];
#pragma unroll
    for (int n = 0; n < 5; ++n) {
        int around[2][8];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int word = words[4 * b8_slot(column + 8 * n + i, lane >> 2) + (lane & 3)];
            around[0][i] = b8_low(word);
            around[1][i] = b8_high(word);
        }
#pragma unroll
        for (int row = 0; row < 2; ++row) {
            if (first + n > 0 && first + n < blocks) {
                b8_lap(around[row]);
            }
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                x[row][4 + i] = around[row][i];
            }
            if (n > 0) {
                b8_dct_across(x[row]);
            }
        }
        if (n > 0 && to[n - 1] != 0) {
            const bool there = first + n - 1 < blocks;
#pragma unroll
            for (int u = 0; u < 8; ++u) {
                to[n - 1][16 * u] = there ? b8_pack(x[0][u], x[1][u]) : 0;
            }
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            x[0][i] = around[0][4 + i];
            x[1][i] = around[1][4 + i];
        }
    }
}

/* Where the coefficients of lane `lane` of block column `at` of a unit go, or 0 if there is no such unit. */
B8_DEVICE int *b8_unit_of(const b8_extent &e, short *store, int x, int y, int at, int lane)
{
    if (x >= e.units_x || y >= e.units_y) {
        return 0;
    }
    return (int *)store + ((long long)y * e.units_x + x) * B8_UNIT_WORDS + 128 * at + lane;
}

/* Warp `warp` of six: a unit's width of luma in both rows of units, or that of two units of chroma. */
B8_DEVICE void b8_store_task(const b8_extent &e, const int4 *luma, const int4 *chroma, int tile_x, int tile_y, int warp,
                             int lane, short *store)
{
    const int chunk = lane >> 2, pair = lane & 3;
    int *to[4];
    if (warp < 4) {
        const int x = B8_TILE_UNITS_X * tile_x + warp, y = B8_TILE_UNITS_Y * tile_y + chunk / 4;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            to[i] = b8_unit_of(e, store, x, y, i, 4 * (chunk % 4) + pair);
        }
        if (x < e.units_x) {
            b8_across_task(luma, 32 * warp, lane, 4 * x, e.blocks_x[0], to);
        }
        return;
    }
    const int x = B8_TILE_UNITS_X * tile_x + 2 * (warp - 4), y = B8_TILE_UNITS_Y * tile_y + chunk % 4 / 2;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        to[i] = b8_unit_of(e, store, x + i / 2, y, 4 + i % 2, 8 * (chunk / 4) + 4 * (chunk % 2) + pair);
    }
    if (x < e.units_x) {
        b8_across_task(chroma, 32 * (warp - 4), lane, 2 * x, e.blocks_x[1], to);
    }
}

template <int bands>
B8_DEVICE void b8_analyse(const b8_byte *image, long long stride, int width, int height, short *store, int4 *luma,
                          int4 *chroma)
{
    const b8_extent e = b8_extent_of(width, height);
    const int tile_x = (int)blockIdx.x, tile_y = (int)blockIdx.y;
    const int luma_tasks = B8_LUMA_COLUMNS / 4 * 9, chroma_tasks = bands == 1 ? 0 : B8_CHROMA_COLUMNS / 2 * 5;
    B8_PHASE
    {
        for (int task = thread; task < luma_tasks + chroma_tasks; task += B8_ANALYSIS_THREADS) {
            if (task < luma_tasks) {
                b8_luma_task<bands>(e, image, stride, tile_x, tile_y, task % (B8_LUMA_COLUMNS / 4),
                                    task / (B8_LUMA_COLUMNS / 4), luma);
            } else if (bands > 1) {
                b8_chroma_task(e, image, stride, tile_x, tile_y, (task - luma_tasks) % (B8_CHROMA_COLUMNS / 2),
                               (task - luma_tasks) / (B8_CHROMA_COLUMNS / 2), chroma);
            }
        }
    }
    B8_BARRIER();
    B8_PHASE
    {
        for (int task = thread; task < 8 * B8_LUMA_COLUMNS; task += B8_ANALYSIS_THREADS) {
            const int chunk = task / B8_LUMA_COLUMNS;
            if (8 * tile_y + chunk < e.blocks_y[0]) {
                b8_down_task(luma, task % B8_LUMA_COLUMNS, chunk);
            }
        }
        for (int task = thread; bands > 1 && task < 8 * B8_CHROMA_COLUMNS; task += B8_ANALYSIS_THREADS) {
            const int chunk = task / B8_CHROMA_COLUMNS;
            if (4 * tile_y + chunk % 4 < e.blocks_y[1]) {
                b8_down_task(chroma, task % B8_CHROMA_COLUMNS, chunk);
            }
        }
    }
    B8_BARRIER();
    B8_PHASE
    {
        if (bands > 1 || thread < 128) {
            b8_store_task(e, luma, chroma, tile_x, tile_y, thread / 32, thread % 32, store);
        }
    }
}

extern "C" __global__ void __launch_bounds__(B8_ANALYSIS_THREADS)
    b8_analysis_rgb(const b8_byte *image, long long stride, int width, int height, short *store)
{
    __shared__ int4 luma[8 * B8_LUMA_COLUMNS], chroma[8 * B8_CHROMA_COLUMNS];
    b8_analyse<3>(image, stride, width, height, store, luma, chroma);
}

extern "C" __global__ void __launch_bounds__(B8_ANALYSIS_THREADS)
    b8_analysis_grey(const b8_byte *image, long long stride, int width, int height, short *store)
{
    __shared__ int4 luma[8 * B8_LUMA_COLUMNS];
    b8_analyse<1>(image, stride, width, height, store, luma, 0);
}
