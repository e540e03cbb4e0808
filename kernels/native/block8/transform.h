/* The lapped block transform: a pre-filter over the block borders, then the 8x8 DCT, in 16-bit integers.
 *
 * Samples are 8 times (level - 128) of an 8-bit sample; coefficients are 4 times the orthonormal ones of levels.
 * The pre-filter acts on the four samples each side of a border (Tran, Liang, Tu: Lapped transform via
 * time-domain pre- and post-filtering, IEEE TSP 2003): with d_i = b_i - a_i, a_0 and b_0 next to the border,
 * b += W d, a -= W d. V = I + 2 W has the best coding gain for a first-order process of correlation 0.88.
 * Every function is lane-wise, so that all widths give the same integers.
 */
#ifndef B8_TRANSFORM_H
#define B8_TRANSFORM_H

/* W times 2^15. */
static const int16_t b8_lap[4][4] = {
    {-885, 12411, 5050, 2905}, {-9089, -1933, 9461, 2856}, {1791, -6106, 1016, 5486}, {-521, 55, -2163, 2393}};

/* 2^15 times sqrt(1/8), cos(pi/8)/2, sin(pi/8)/2 and cos((2i+1)(2m+1)pi/16)/2, and half or twice of them. */
#define B8_DCT_CONSTANTS(name, c0, c2, c6, c1, c3, c5, c7)                                             \
    static const int16_t name##_even[3] = {c0, c2, c6};                                                \
    static const int16_t name##_odd[4][4] = {                                                          \
        {c1, c3, c5, c7}, {c3, -c7, -c1, -c5}, {c5, -c1, c7, c3}, {c7, -c5, c3, -c1}}
B8_DCT_CONSTANTS(b8_dct, 11585, 15137, 6270, 16069, 13623, 9102, 3196);
B8_DCT_CONSTANTS(b8_dct_half, 5793, 7568, 3135, 8035, 6811, 4551, 1598);

static inline b8_v b8_dot4(const b8_v d[4], const int16_t w[4])
{
    return v_add(v_add(v_mulr(d[0], w[0]), v_mulr(d[1], w[1])), v_add(v_mulr(d[2], w[2]), v_mulr(d[3], w[3])));
}

/* One border: a[3] a[2] a[1] a[0] | b[0] b[1] b[2] b[3]. */
static inline void b8_border(b8_v a[4], b8_v b[4], const int16_t w[4][4])
{
    b8_v d[4];
    for (int i = 0; i < 4; ++i) {
        d[i] = v_sub(b[i], a[i]);
    }
    for (int i = 0; i < 4; ++i) {
        b8_v e = b8_dot4(d, w[i]);
        b[i] = v_add(b[i], e);
        a[i] = v_sub(a[i], e);
    }
}

static inline void b8_dct8(b8_v x[8], const int16_t even[3], const int16_t odd[4][4])
{
    b8_v s[4], d[4];
    for (int i = 0; i < 4; ++i) {
        s[i] = v_add(x[i], x[7 - i]);
        d[i] = v_sub(x[i], x[7 - i]);
    }
    b8_v p = v_add(s[0], s[3]), q = v_add(s[1], s[2]);
    b8_v t = v_sub(s[0], s[3]), u = v_sub(s[1], s[2]);
    x[0] = v_mulr(v_add(p, q), even[0]);
    x[4] = v_mulr(v_sub(p, q), even[0]);
    x[2] = v_add(v_mulr(t, even[1]), v_mulr(u, even[2]));
    x[6] = v_sub(v_mulr(t, even[2]), v_mulr(u, even[1]));
    for (int m = 0; m < 4; ++m) {
        x[2 * m + 1] = b8_dot4(d, odd[m]);
    }
}

/* Filters the border above row `y` of a plane's window, columns 0 to `width`. */
static void b8_rows_border(int16_t *plane, size_t stride, int32_t y, uint32_t width, const int16_t w[4][4])
{
    int16_t *at = plane + (size_t)y * stride;
    for (uint32_t x = 0; x < width; x += B8_LANES) {
        b8_v a[4], b[4];
        for (int i = 0; i < 4; ++i) {
            a[i] = v_load(at - (size_t)(i + 1) * stride + x);
            b[i] = v_load(at + (size_t)i * stride + x);
        }
        b8_border(a, b, w);
        for (int i = 0; i < 4; ++i) {
            v_store(at - (size_t)(i + 1) * stride + x, a[i]);
            v_store(at + (size_t)i * stride + x, b[i]);
        }
    }
}

/* The vertical DCT of the eight rows from row `y` on, in place, at half scale. */
static void b8_rows_dct(int16_t *plane, size_t stride, int32_t y, uint32_t width)
{
    int16_t *at = plane + (size_t)y * stride;
    for (uint32_t x = 0; x < width; x += B8_LANES) {
        b8_v v[8];
        for (int i = 0; i < 8; ++i) {
            v[i] = v_load(at + (size_t)i * stride + x);
        }
        b8_dct8(v, b8_dct_half_even, b8_dct_half_odd);
        for (int i = 0; i < 8; ++i) {
            v_store(at + (size_t)i * stride + x, v[i]);
        }
    }
}

/* Columns of 32 rows (4 block rows, or 2 of each of two planes): 8 columns of 32 lanes, transposed. */
static inline void b8_columns_border(int16_t *left, int16_t *right, const int16_t w[4][4])
{
    for (int lane = 0; lane < 32; lane += B8_LANES) {
        b8_v a[4], b[4];
        for (int i = 0; i < 4; ++i) {
            a[i] = v_load(left + 32 * (7 - i) + lane);
            b[i] = v_load(right + 32 * i + lane);
        }
        b8_border(a, b, w);
        for (int i = 0; i < 4; ++i) {
            v_store(left + 32 * (7 - i) + lane, a[i]);
            v_store(right + 32 * i + lane, b[i]);
        }
    }
}

static inline void b8_columns_dct(const int16_t *in, int16_t *out)
{
    for (int lane = 0; lane < 32; lane += B8_LANES) {
        b8_v v[8];
        for (int i = 0; i < 8; ++i) {
            v[i] = v_load(in + 32 * i + lane);
        }
        b8_dct8(v, b8_dct_even, b8_dct_odd);
        for (int i = 0; i < 8; ++i) {
            v_store(out + 32 * i + lane, v[i]);
        }
    }
}

#ifndef B8_ENCODER_ONLY
/* The inverse. */

static const int16_t b8_unlap[4][4] = {
    {-4744, -9324, 1586, -846}, {6594, -6557, -7304, -381}, {984, 4341, -4148, -4387}, {417, 213, 1475, -2616}};
B8_DCT_CONSTANTS(b8_dct_twice, 23170, 30274, 12540, 32138, 27246, 18205, 6393);

static inline void b8_idct8(b8_v x[8], const int16_t even[3], const int16_t odd[4][4])
{
    const b8_v o[4] = {x[1], x[3], x[5], x[7]};
    b8_v p = v_mulr(v_add(x[0], x[4]), even[0]), q = v_mulr(v_sub(x[0], x[4]), even[0]);
    b8_v t = v_add(v_mulr(x[2], even[1]), v_mulr(x[6], even[2]));
    b8_v u = v_sub(v_mulr(x[2], even[2]), v_mulr(x[6], even[1]));
    const b8_v s[4] = {v_add(p, t), v_add(q, u), v_sub(q, u), v_sub(p, t)};
    for (int i = 0; i < 4; ++i) { /* the matrix of the odd frequencies is symmetric */
        b8_v d = b8_dot4(o, odd[i]);
        x[i] = v_add(s[i], d);
        x[7 - i] = v_sub(s[i], d);
    }
}

static void b8_rows_idct(int16_t *plane, size_t stride, int32_t y, uint32_t width)
{
    int16_t *at = plane + (size_t)y * stride;
    for (uint32_t x = 0; x < width; x += B8_LANES) {
        b8_v v[8];
        for (int i = 0; i < 8; ++i) {
            v[i] = v_load(at + (size_t)i * stride + x);
        }
        b8_idct8(v, b8_dct_twice_even, b8_dct_twice_odd);
        for (int i = 0; i < 8; ++i) {
            v_store(at + (size_t)i * stride + x, v[i]);
        }
    }
}

static inline void b8_columns_idct(int16_t *block)
{
    for (int lane = 0; lane < 32; lane += B8_LANES) {
        b8_v v[8];
        for (int i = 0; i < 8; ++i) {
            v[i] = v_load(block + 32 * i + lane);
        }
        b8_idct8(v, b8_dct_even, b8_dct_odd);
        for (int i = 0; i < 8; ++i) {
            v_store(block + 32 * i + lane, v[i]);
        }
    }
}
#endif

#endif
