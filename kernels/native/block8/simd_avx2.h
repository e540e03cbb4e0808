/* AVX2: 16 lanes. */
#ifndef B8_SIMD_H
#define B8_SIMD_H

#include "simd_sse.h"

#define B8_LANES 16

typedef __m256i b8_v;

static inline b8_v v_load(const int16_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void v_store(int16_t *p, b8_v a) { _mm256_storeu_si256((__m256i *)p, a); }
static inline b8_v v_add(b8_v a, b8_v b) { return _mm256_add_epi16(a, b); }
static inline b8_v v_sub(b8_v a, b8_v b) { return _mm256_sub_epi16(a, b); }
static inline b8_v v_splat(int16_t a) { return _mm256_set1_epi16(a); }
static inline b8_v v_halve(b8_v a) { return _mm256_srai_epi16(a, 1); }

static inline b8_v v_pair_mean(b8_v a, b8_v b)
{
    const __m256i one = _mm256_set1_epi16(1);
    __m256i lo = _mm256_srai_epi32(_mm256_madd_epi16(a, one), 1);
    __m256i hi = _mm256_srai_epi32(_mm256_madd_epi16(b, one), 1);
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(lo, hi), 0xd8);
}

static inline b8_v v_mulr(b8_v a, int16_t c) { return _mm256_mulhrs_epi16(a, _mm256_set1_epi16(c)); }

static inline b8_v v_round_shift(b8_v a, int s)
{
    return _mm256_srai_epi16(_mm256_add_epi16(_mm256_srai_epi16(a, s - 1), _mm256_set1_epi16(1)), 1);
}

static inline uint32_t b8_exceeding(const int16_t *in, int16_t limit)
{
    const __m256i least = _mm256_set1_epi16((int16_t)(limit - 1));
    __m256i lo = _mm256_cmpgt_epi16(_mm256_abs_epi16(v_load(in)), least);
    __m256i hi = _mm256_cmpgt_epi16(_mm256_abs_epi16(v_load(in + 16)), least);
    __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi16(lo, hi), 0xd8);
    return (uint32_t)_mm256_movemask_epi8(both);
}

static inline b8_v v_times(b8_v a, b8_v b) { return _mm256_mullo_epi16(a, b); }

static inline void v_store_pairs(int16_t *p, b8_v a, b8_v b)
{
    const __m256i lo = _mm256_unpacklo_epi16(a, b), hi = _mm256_unpackhi_epi16(a, b);
    v_store(p, _mm256_permute2x128_si256(lo, hi, 0x20));
    v_store(p + 16, _mm256_permute2x128_si256(lo, hi, 0x31));
}

static inline void b8_store_rgb(uint8_t *out, const b8_v colour[3])
{
    __m128i bytes[3];
    for (int band = 0; band < 3; ++band) {
        const __m256i level = v_round_shift(v_add(colour[band], v_splat(1024)), 3);
        bytes[band] = _mm_packus_epi16(_mm256_castsi256_si128(level), _mm256_extracti128_si256(level, 1));
    }
    b8_join_rgb(out, bytes);
}

static inline void b8_load_rgb(const uint8_t *in, b8_v out[3])
{
    __m128i bytes[3];
    b8_split_rgb(in, bytes);
    for (int band = 0; band < 3; ++band) {
        out[band] = _mm256_slli_epi16(_mm256_cvtepu8_epi16(bytes[band]), 7);
    }
}

#endif
