/* AVX-512 (F, BW, VL): 32 lanes. */
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

static inline void b8_load_rgb(const uint8_t *in, b8_v out[3])
{
    __m128i lo[3], hi[3];
    b8_split_rgb(in, lo);
    b8_split_rgb(in + 48, hi);
    for (int band = 0; band < 3; ++band) {
        const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(lo[band]), hi[band], 1);
        out[band] = _mm512_slli_epi16(_mm512_cvtepu8_epi16(bytes), 7);
    }
}

#endif
