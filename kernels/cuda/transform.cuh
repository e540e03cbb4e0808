/* block8's lapped transform on one thread's samples, and how tiles lie in shared memory.
 *
 * The same integers as kernels/native/block8/transform.h: one lane of it is one thread here. Sums are kept in 32 bits;
 * what is stored, and what a synthesis multiplies, is cut to 16 as the C core's lanes are. Nothing here is specific to
 * a GPU but the names that a host may define for itself: tests/unit/cuda_host.h compiles these files as C++.
 */
#ifndef B8_TRANSFORM_CUH
#define B8_TRANSFORM_CUH

#ifndef B8_PHASE /* what every thread of a block does between two barriers */
#define B8_PHASE for (int thread = (int)threadIdx.x, once = 1; once; once = 0)
#define B8_BARRIER() __syncthreads()
#endif
#define B8_DEVICE static __device__ __forceinline__

typedef unsigned char b8_byte;
typedef unsigned long long b8_address;

/* A tile is 4x2 units: 128x64 pixels, 8 block rows of luma, 4 of each plane of chroma. */
#define B8_TILE_UNITS_X 4
#define B8_TILE_UNITS_Y 2
#define B8_TILE_X (32 * B8_TILE_UNITS_X)
#define B8_TILE_Y (32 * B8_TILE_UNITS_Y)
#define B8_UNIT_WORDS 768 /* of a unit in a store: 1536 coefficients */

/* A picture's size in all the ways that are asked for. */
struct b8_extent {
    int width, height, units_x, units_y;
    int blocks_x[2], blocks_y[2]; /* of luma and chroma */
};

B8_DEVICE b8_extent b8_extent_of(int width, int height)
{
    b8_extent e;
    e.width = width;
    e.height = height;
    e.units_x = (width + 31) / 32;
    e.units_y = (height + 31) / 32;
    e.blocks_x[0] = (width + 7) / 8;
    e.blocks_y[0] = (height + 7) / 8;
    e.blocks_x[1] = ((width + 1) / 2 + 7) / 8;
    e.blocks_y[1] = ((height + 1) / 2 + 7) / 8;
    return e;
}

B8_DEVICE int b8_clamp(int value, int low, int high) { return value < low ? low : value > high ? high : value; }

/* Shared memory holds columns of 8 chunks of 8 samples (one block's, 16 bytes), one below the other. Where a chunk lies
 * in its column changes with the column, so that eight neighbouring columns, and eight that are 4 apart, use all banks. */
B8_DEVICE int b8_slot(int column, int chunk) { return 8 * column + (chunk ^ ((column ^ (column >> 2)) & 7)); }

/* a * c / 2^15, rounded to nearest, halves up. */
B8_DEVICE int b8_mul(int a, int c) { return (a * c + 0x4000) >> 15; }

/* The same of what a lane of 16 bits would hold. */
B8_DEVICE int b8_mul_cut(int a, int c) { return ((int)(short)a * c + 0x4000) >> 15; }

struct b8_exact { /* for samples of a picture: no sum leaves 16 bits (tests/unit/test_cuda_block8.py) */
    static __device__ __forceinline__ int mul(int a, int c) { return b8_mul(a, c); }
};

struct b8_wrapping { /* for coefficients from a stream, which may be anything */
    static __device__ __forceinline__ int mul(int a, int c) { return b8_mul_cut(a, c); }
};

template <class Sums> B8_DEVICE int b8_dot(int a, int b, int c, int d, int wa, int wb, int wc, int wd)
{
    return Sums::mul(a, wa) + Sums::mul(b, wb) + Sums::mul(c, wc) + Sums::mul(d, wd);
}

/* The filter over the border in the middle of eight samples. */
template <class Sums>
B8_DEVICE void b8_border(int x[8], const int w00, const int w01, const int w02, const int w03, const int w10, const int w11,
                         const int w12, const int w13, const int w20, const int w21, const int w22, const int w23,
                         const int w30, const int w31, const int w32, const int w33)
{
    const int d0 = x[4] - x[3], d1 = x[5] - x[2], d2 = x[6] - x[1], d3 = x[7] - x[0];
    const int e0 = b8_dot<Sums>(d0, d1, d2, d3, w00, w01, w02, w03);
    const int e1 = b8_dot<Sums>(d0, d1, d2, d3, w10, w11, w12, w13);
    const int e2 = b8_dot<Sums>(d0, d1, d2, d3, w20, w21, w22, w23);
    const int e3 = b8_dot<Sums>(d0, d1, d2, d3, w30, w31, w32, w33);
    x[4] += e0, x[5] += e1, x[6] += e2, x[7] += e3;
    x[3] -= e0, x[2] -= e1, x[1] -= e2, x[0] -= e3;
}

B8_DEVICE void b8_lap(int x[8])
{
    b8_border<b8_exact>(x, -885, 12411, 5050, 2905, -9089, -1933, 9461, 2856, 1791, -6106, 1016, 5486, -521, 55, -2163,
                        2393);
}

B8_DEVICE void b8_unlap(int x[8])
{
    b8_border<b8_wrapping>(x, -4744, -9324, 1586, -846, 6594, -6557, -7304, -381, 984, 4341, -4148, -4387, 417, 213, 1475,
                           -2616);
}

/* The DCT of eight samples with constants c0, c2, c6, c1, c3, c5, c7. */
template <int c0, int c2, int c6, int c1, int c3, int c5, int c7> B8_DEVICE void b8_dct(int x[8])
{
    const int s0 = x[0] + x[7], s1 = x[1] + x[6], s2 = x[2] + x[5], s3 = x[3] + x[4];
    const int d0 = x[0] - x[7], d1 = x[1] - x[6], d2 = x[2] - x[5], d3 = x[3] - x[4];
    const int p = s0 + s3, q = s1 + s2, t = s0 - s3, u = s1 - s2;
    x[0] = b8_mul(p + q, c0);
    x[4] = b8_mul(p - q, c0);
    x[2] = b8_mul(t, c2) + b8_mul(u, c6);
    x[6] = b8_mul(t, c6) - b8_mul(u, c2);
    x[1] = b8_dot<b8_exact>(d0, d1, d2, d3, c1, c3, c5, c7);
    x[3] = b8_dot<b8_exact>(d0, d1, d2, d3, c3, -c7, -c1, -c5);
    x[5] = b8_dot<b8_exact>(d0, d1, d2, d3, c5, -c1, c7, c3);
    x[7] = b8_dot<b8_exact>(d0, d1, d2, d3, c7, -c5, c3, -c1);
}

template <int c0, int c2, int c6, int c1, int c3, int c5, int c7> B8_DEVICE void b8_idct(int x[8])
{
    typedef b8_wrapping W;
    const int p = W::mul(x[0] + x[4], c0), q = W::mul(x[0] - x[4], c0);
    const int t = W::mul(x[2], c2) + W::mul(x[6], c6), u = W::mul(x[2], c6) - W::mul(x[6], c2);
    const int s0 = p + t, s1 = q + u, s2 = q - u, s3 = p - t;
    const int e0 = b8_dot<W>(x[1], x[3], x[5], x[7], c1, c3, c5, c7);
    const int e1 = b8_dot<W>(x[1], x[3], x[5], x[7], c3, -c7, -c1, -c5);
    const int e2 = b8_dot<W>(x[1], x[3], x[5], x[7], c5, -c1, c7, c3);
    const int e3 = b8_dot<W>(x[1], x[3], x[5], x[7], c7, -c5, c3, -c1);
    x[0] = s0 + e0, x[7] = s0 - e0;
    x[1] = s1 + e1, x[6] = s1 - e1;
    x[2] = s2 + e2, x[5] = s2 - e2;
    x[3] = s3 + e3, x[4] = s3 - e3;
}

B8_DEVICE void b8_dct_down(int x[8]) { b8_dct<5793, 7568, 3135, 8035, 6811, 4551, 1598>(x); }
B8_DEVICE void b8_dct_across(int x[8]) { b8_dct<11585, 15137, 6270, 16069, 13623, 9102, 3196>(x); }
B8_DEVICE void b8_idct_across(int x[8]) { b8_idct<11585, 15137, 6270, 16069, 13623, 9102, 3196>(x); }
B8_DEVICE void b8_idct_down(int x[8]) { b8_idct<23170, 30274, 12540, 32138, 27246, 18205, 6393>(x); }

/* Two samples in a word, the first in its lower half. */
B8_DEVICE int b8_pack(int low, int high) { return (low & 0xffff) | (int)((unsigned)high << 16); }
B8_DEVICE int b8_low(int word) { return (int)(short)word; }
B8_DEVICE int b8_high(int word) { return word >> 16; }

B8_DEVICE int4 b8_pack8(const int x[8])
{
    return make_int4(b8_pack(x[0], x[1]), b8_pack(x[2], x[3]), b8_pack(x[4], x[5]), b8_pack(x[6], x[7]));
}

B8_DEVICE void b8_unpack8(int4 words, int x[8])
{
    x[0] = b8_low(words.x), x[1] = b8_high(words.x), x[2] = b8_low(words.y), x[3] = b8_high(words.y);
    x[4] = b8_low(words.z), x[5] = b8_high(words.z), x[6] = b8_low(words.w), x[7] = b8_high(words.w);
}

#endif
