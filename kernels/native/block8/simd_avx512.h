/* AVX-512 (F, BW, VL, DQ, VBMI, BITALG): 32 lanes. */
#ifndef B8_SIMD_H
#define B8_SIMD_H

#include "simd_sse.h"

#define B8_LANES 32

typedef __m512i b8_v;

static inline b8_v v_load(const int16_t *p) { return _mm512_loadu_si512(p); }
static inline void v_store(int16_t *p, b8_v a) { _mm512_storeu_si512(p, a); }
static inline b8_v v_add(b8_v a, b8_v b) { return _mm512_add_epi16(a, b); }
static inline b8_v v_sub(b8_v a, b8_v b) { return _mm512_sub_epi16(a, b); }
static inline b8_v v_splat(int16_t a) { return _mm512_set1_epi16(a); }
static inline b8_v v_halve(b8_v a) { return _mm512_srai_epi16(a, 1); }

static inline b8_v v_pair_mean(b8_v a, b8_v b)
{
    const __m512i one = _mm512_set1_epi16(1);
    __m256i lo = _mm512_cvtepi32_epi16(_mm512_srai_epi32(_mm512_madd_epi16(a, one), 1));
    __m256i hi = _mm512_cvtepi32_epi16(_mm512_srai_epi32(_mm512_madd_epi16(b, one), 1));
    return _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);
}

static inline b8_v v_mulr(b8_v a, int16_t c) { return _mm512_mulhrs_epi16(a, _mm512_set1_epi16(c)); }

static inline b8_v v_round_shift(b8_v a, int s)
{
    return _mm512_srai_epi16(_mm512_add_epi16(_mm512_srai_epi16(a, (unsigned)(s - 1)), _mm512_set1_epi16(1)), 1);
}

static inline uint32_t b8_exceeding(const int16_t *in, int16_t limit)
{
    return _mm512_cmpge_epi16_mask(_mm512_abs_epi16(v_load(in)), _mm512_set1_epi16(limit));
}

static inline b8_v v_times(b8_v a, b8_v b) { return _mm512_mullo_epi16(a, b); }

static inline void v_store_pairs(int16_t *p, b8_v a, b8_v b)
{
    const __m512i lo = _mm512_unpacklo_epi16(a, b), hi = _mm512_unpackhi_epi16(a, b);
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    v_store(p, _mm512_permutex2var_epi64(lo, first, hi));
    v_store(p + 32, _mm512_permutex2var_epi64(lo, second, hi));
}

static inline void b8_store_rgb(uint8_t *out, const b8_v colour[3])
{
    __m256i bytes[3];
    for (int band = 0; band < 3; ++band) {
        const __m512i level = v_round_shift(v_add(colour[band], v_splat(1024)), 3);
        bytes[band] = _mm512_cvtusepi16_epi8(_mm512_max_epi16(level, _mm512_setzero_si512()));
    }
    for (int half = 0; half < 2; ++half) {
        __m128i part[3];
        for (int band = 0; band < 3; ++band) {
            part[band] = half == 0 ? _mm256_castsi256_si128(bytes[band]) : _mm256_extracti128_si256(bytes[band], 1);
        }
        b8_join_rgb(out + 48 * half, part);
    }
}

/* Where pixel i's red is, for an odd byte of a pair; from pixel 21 on in the register that begins at byte 32. */
#define B8_RED(i) ((3 * (i) + ((i) < 21 ? 0 : 32)) * 256)
static const int16_t b8_red_at[32] = {
    B8_RED(0),  B8_RED(1),  B8_RED(2),  B8_RED(3),  B8_RED(4),  B8_RED(5),  B8_RED(6),  B8_RED(7),
    B8_RED(8),  B8_RED(9),  B8_RED(10), B8_RED(11), B8_RED(12), B8_RED(13), B8_RED(14), B8_RED(15),
    B8_RED(16), B8_RED(17), B8_RED(18), B8_RED(19), B8_RED(20), B8_RED(21), B8_RED(22), B8_RED(23),
    B8_RED(24), B8_RED(25), B8_RED(26), B8_RED(27), B8_RED(28), B8_RED(29), B8_RED(30), B8_RED(31)};

static inline void b8_load_rgb(const uint8_t *in, b8_v out[3])
{
    const __m512i low = _mm512_loadu_si512(in), high = _mm512_loadu_si512(in + 32);
    for (int band = 0; band < 3; ++band) {
        const __m512i from = v_add(v_load(b8_red_at), v_splat((int16_t)(256 * band)));
        const __m512i levels = _mm512_maskz_permutex2var_epi8(UINT64_C(0xaaaaaaaaaaaaaaaa), low, from, high);
        out[band] = _mm512_srli_epi16(levels, 1);
    }
}

/* Bit k of the result is bit `from[k]` of `bits`. */
#define B8_HAS_SHUFFLE_BITS
static inline uint64_t b8_shuffle_bits(uint64_t bits, const uint8_t from[64], const uint8_t to[64])
{
    (void)to;
    return _mm512_bitshuffle_epi64_mask(_mm512_set1_epi64((long long)bits), _mm512_loadu_si512(from));
}

#endif
