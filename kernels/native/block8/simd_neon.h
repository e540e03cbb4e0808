/* NEON (aarch64): 8 lanes. */
#ifndef B8_SIMD_H
#define B8_SIMD_H

#include <arm_neon.h>
#include <stdint.h>

#include "coder.h"

#define B8_LANES 8

typedef int16x8_t b8_v;

static inline b8_v v_load(const int16_t *p) { return vld1q_s16(p); }
static inline void v_store(int16_t *p, b8_v a) { vst1q_s16(p, a); }
static inline b8_v v_add(b8_v a, b8_v b) { return vaddq_s16(a, b); }
static inline b8_v v_sub(b8_v a, b8_v b) { return vsubq_s16(a, b); }
static inline b8_v v_splat(int16_t a) { return vdupq_n_s16(a); }
static inline b8_v v_halve(b8_v a) { return vshrq_n_s16(a, 1); }

static inline b8_v v_pair_mean(b8_v a, b8_v b)
{
    return vcombine_s16(vshrn_n_s32(vpaddlq_s16(a), 1), vshrn_n_s32(vpaddlq_s16(b), 1));
}

static inline b8_v v_mulr(b8_v a, int16_t c) { return vqrdmulhq_n_s16(a, c); }
static inline b8_v v_round_shift(b8_v a, int s) { return vrshlq_s16(a, vdupq_n_s16((int16_t)-s)); }

static inline void b8_transpose_8x8(int16x8_t r[8])
{
    int16x8x2_t a0 = vtrnq_s16(r[0], r[1]), a1 = vtrnq_s16(r[2], r[3]);
    int16x8x2_t a2 = vtrnq_s16(r[4], r[5]), a3 = vtrnq_s16(r[6], r[7]);
    for (int i = 0; i < 2; ++i) {
        int32x4x2_t b0 = vtrnq_s32(vreinterpretq_s32_s16(a0.val[i]), vreinterpretq_s32_s16(a1.val[i]));
        int32x4x2_t b1 = vtrnq_s32(vreinterpretq_s32_s16(a2.val[i]), vreinterpretq_s32_s16(a3.val[i]));
        for (int j = 0; j < 2; ++j) {
            r[i + 2 * j] = vreinterpretq_s16_s32(
                vcombine_s32(vget_low_s32(b0.val[j]), vget_low_s32(b1.val[j])));
            r[i + 2 * j + 4] = vreinterpretq_s16_s32(
                vcombine_s32(vget_high_s32(b0.val[j]), vget_high_s32(b1.val[j])));
        }
    }
}

static inline void b8_transpose(const int16_t *const rows[8], int x, int16_t *out, int stride)
{
    int16x8_t r[8];
    for (int i = 0; i < 8; ++i) {
        r[i] = vld1q_s16(rows[i] + x);
    }
    b8_transpose_8x8(r);
    for (int j = 0; j < 8; ++j) {
        vst1q_s16(out + j * stride, r[j]);
    }
}

static inline void b8_untranspose(const int16_t *in, int stride, int16_t *const rows[8], int x)
{
    int16x8_t r[8];
    for (int j = 0; j < 8; ++j) {
        r[j] = vld1q_s16(in + j * stride);
    }
    b8_transpose_8x8(r);
    for (int i = 0; i < 8; ++i) {
        vst1q_s16(rows[i] + x, r[i]);
    }
}

static inline uint32_t b8_exceeding(const int16_t *in, int16_t limit)
{
    static const uint8_t bits[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x8_t weights = vld1_u8(bits);
    uint32_t mask = 0;
    for (int i = 0; i < 4; ++i) {
        uint16x8_t above = vcgeq_s16(vqabsq_s16(vld1q_s16(in + 8 * i)), vdupq_n_s16(limit));
        mask |= (uint32_t)vaddv_u8(vand_u8(vmovn_u16(above), weights)) << (8 * i);
    }
    return mask;
}

static inline void b8_add_rows(int8_t acc[32], const int8_t *rows, const uint16_t *ids, int count)
{
    int8x16_t lo = vld1q_s8(acc), hi = vld1q_s8(acc + 16);
    for (int r = 0; r < count; ++r) {
        const int8_t *row = rows + 32 * (int32_t)ids[r];
        lo = vqaddq_s8(lo, vld1q_s8(row));
        hi = vqaddq_s8(hi, vld1q_s8(row + 16));
    }
    vst1q_s8(acc, lo);
    vst1q_s8(acc + 16, hi);
}

static inline void b8_add_signs(int8_t *acc, const int8_t *rows, const uint16_t *ids, int count)
{
    int8x16_t sum = vld1q_s8(acc);
    for (int r = 0; r < count; ++r) {
        const int8x16_t row = vld1q_s8(rows + 16 * (int32_t)(ids[r] & 0x7fff));
        const int8x16_t flip = vdupq_n_s8((int8_t)-(ids[r] >> 15));
        sum = vqaddq_s8(sum, vsubq_s8(veorq_s8(row, flip), flip));
    }
    vst1q_s8(acc, sum);
}

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

static inline b8_v v_times(b8_v a, b8_v b) { return vmulq_s16(a, b); }

static inline void v_store_pairs(int16_t *p, b8_v a, b8_v b)
{
    const int16x8x2_t pairs = {{a, b}};
    vst2q_s16(p, pairs);
}

static inline void b8_store_rgb(uint8_t *out, const b8_v colour[3])
{
    uint8x8x3_t bytes;
    for (int band = 0; band < 3; ++band) {
        bytes.val[band] = vqmovun_s16(v_round_shift(vaddq_s16(colour[band], vdupq_n_s16(1024)), 3));
    }
    vst3_u8(out, bytes);
}

static inline void b8_load_rgb(const uint8_t *in, b8_v out[3])
{
    const uint8x8x3_t bytes = vld3_u8(in);
    for (int band = 0; band < 3; ++band) {
        out[band] = vreinterpretq_s16_u16(vshll_n_u8(bytes.val[band], 7));
    }
}

#endif
