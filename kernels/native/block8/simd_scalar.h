/* One lane at a time: the reference for every other width, and what the flight computer runs. */
#ifndef B8_SIMD_H
#define B8_SIMD_H

#include <stdint.h>

#include "coder.h"

#define B8_LANES 1

typedef int16_t b8_v;

static inline b8_v v_load(const int16_t *p) { return *p; }
static inline void v_store(int16_t *p, b8_v a) { *p = a; }
static inline b8_v v_add(b8_v a, b8_v b) { return (b8_v)(uint16_t)((uint16_t)a + (uint16_t)b); }
static inline b8_v v_sub(b8_v a, b8_v b) { return (b8_v)(uint16_t)((uint16_t)a - (uint16_t)b); }

static inline b8_v v_splat(int16_t a) { return a; }
static inline b8_v v_halve(b8_v a) { return (b8_v)(a >> 1); }

/* Means, rounded down, of neighbouring samples of the lanes of a and then of b. */
static inline b8_v v_pair_mean(b8_v a, b8_v b) { return (b8_v)(((int32_t)a + b) >> 1); }

/* a * c / 2^15, rounded to nearest, halves up: SSSE3 pmulhrsw, NEON vqrdmulh. */
static inline b8_v v_mulr(b8_v a, int16_t c)
{
    return (b8_v)(((int32_t)a * c + 0x4000) >> 15);
}

/* a / 2^s, rounded to nearest, halves up. */
static inline b8_v v_round_shift(b8_v a, int s)
{
    return (b8_v)(((int32_t)a + (1 << (s - 1))) >> s);
}

static inline void b8_transpose(const int16_t *const rows[8], int x, int16_t *out, int stride)
{
    for (int j = 0; j < 8; ++j) {
        for (int i = 0; i < 8; ++i) {
            out[j * stride + i] = rows[i][x + j];
        }
    }
}

/* Bit i of mask j: |in[32 i' + ...]| >= limit, for the 32 lanes of one frequency. */
static inline uint32_t b8_exceeding(const int16_t *in, int16_t limit)
{
    uint32_t mask = 0;
    for (int i = 0; i < 32; ++i) {
        mask |= (uint32_t)(in[i] >= limit || in[i] <= -limit) << i;
    }
    return mask;
}

/* acc[0..lanes) += the rows `ids` of a table of rows of 64, one after the other, each sum saturated; lanes: 32 or
 * 64. */
static inline void b8_add_rows(int8_t acc[32], const int8_t *rows, const uint16_t *ids, int count)
{
    for (int r = 0; r < count; ++r) {
        const int8_t *row = rows + 32 * (int32_t)ids[r];
        for (int i = 0; i < 32; ++i) {
            acc[i] = b8_saturate(acc[i] + row[i]);
        }
    }
}

/* The same for rows of 16; those where bit 15 of an id is set are subtracted (-128, which no training
 * gives, stays as it is). */
static inline void b8_add_signs(int8_t *acc, const int8_t *rows, const uint16_t *ids, int count)
{
    for (int r = 0; r < count; ++r) {
        const int8_t *row = rows + 16 * (int32_t)(ids[r] & 0x7fff);
        const int flip = -(int)(ids[r] >> 15);
        for (int i = 0; i < 16; ++i) {
            acc[i] = b8_saturate(acc[i] + (int8_t)((row[i] ^ flip) - flip));
        }
    }
}

/* acc = the sum of the rows that the surroundings name. */
static inline void b8_gather_rows(int8_t acc[32], const int8_t *rows, int model, const b8_surroundings *s)
{
    b8_block_rows named;
    b8_name_rows(&named, model, s);
    b8_add_rows(acc, rows, named.rows, named.row_count);
}

static inline void b8_gather_signs(int8_t *acc, const int8_t *rows, int model, const b8_surroundings *s)
{
    b8_block_rows named;
    b8_name_rows(&named, model, s);
    b8_add_signs(acc, rows, named.signs, named.sign_count);
}

/* A pixel of three interleaved bytes as 15-bit samples, 128 times the byte. */
static inline void b8_load_rgb(const uint8_t *in, b8_v out[3])
{
    for (int band = 0; band < 3; ++band) {
        out[band] = (b8_v)(in[band] << 7);
    }
}

#ifndef B8_ENCODER_ONLY
/* For the decoder. */

static inline void b8_untranspose(const int16_t *in, int stride, int16_t *const rows[8], int x)
{
    for (int j = 0; j < 8; ++j) {
        for (int i = 0; i < 8; ++i) {
            rows[i][x + j] = in[j * stride + i];
        }
    }
}

static inline b8_v v_times(b8_v a, b8_v b) { return (b8_v)(uint16_t)((uint32_t)(uint16_t)a * (uint16_t)b); }

/* The lanes of a and b in turn. */
static inline void v_store_pairs(int16_t *p, b8_v a, b8_v b)
{
    p[0] = a;
    p[1] = b;
}

/* Pixels of three bytes from 8 times (level - 128) each. */
static inline void b8_store_rgb(uint8_t *out, const b8_v colour[3])
{
    for (int band = 0; band < 3; ++band) {
        const b8_v level = v_round_shift(v_add(colour[band], 1024), 3);
        out[band] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
}
#endif

#endif
