/* What AVX2 and AVX-512 share: shuffles in 128-bit registers. */
#ifndef B8_SIMD_SSE_H
#define B8_SIMD_SSE_H

#include <immintrin.h>
#include <stdint.h>

#include "coder.h"

static inline void b8_transpose_8x8(__m128i r[8])
{
    __m128i a0 = _mm_unpacklo_epi16(r[0], r[1]), a1 = _mm_unpackhi_epi16(r[0], r[1]);
    __m128i a2 = _mm_unpacklo_epi16(r[2], r[3]), a3 = _mm_unpackhi_epi16(r[2], r[3]);
    __m128i a4 = _mm_unpacklo_epi16(r[4], r[5]), a5 = _mm_unpackhi_epi16(r[4], r[5]);
    __m128i a6 = _mm_unpacklo_epi16(r[6], r[7]), a7 = _mm_unpackhi_epi16(r[6], r[7]);
    __m128i b0 = _mm_unpacklo_epi32(a0, a2), b1 = _mm_unpackhi_epi32(a0, a2);
    __m128i b2 = _mm_unpacklo_epi32(a1, a3), b3 = _mm_unpackhi_epi32(a1, a3);
    __m128i b4 = _mm_unpacklo_epi32(a4, a6), b5 = _mm_unpackhi_epi32(a4, a6);
    __m128i b6 = _mm_unpacklo_epi32(a5, a7), b7 = _mm_unpackhi_epi32(a5, a7);
    r[0] = _mm_unpacklo_epi64(b0, b4);
    r[1] = _mm_unpackhi_epi64(b0, b4);
    r[2] = _mm_unpacklo_epi64(b1, b5);
    r[3] = _mm_unpackhi_epi64(b1, b5);
    r[4] = _mm_unpacklo_epi64(b2, b6);
    r[5] = _mm_unpackhi_epi64(b2, b6);
    r[6] = _mm_unpacklo_epi64(b3, b7);
    r[7] = _mm_unpackhi_epi64(b3, b7);
}

static inline void b8_transpose(const int16_t *const rows[8], int x, int16_t *out, int stride)
{
    __m128i r[8];
    for (int i = 0; i < 8; ++i) {
        r[i] = _mm_loadu_si128((const __m128i *)(rows[i] + x));
    }
    b8_transpose_8x8(r);
    for (int j = 0; j < 8; ++j) {
        _mm_storeu_si128((__m128i *)(out + j * stride), r[j]);
    }
}

static inline void b8_untranspose(const int16_t *in, int stride, int16_t *const rows[8], int x)
{
    __m128i r[8];
    for (int j = 0; j < 8; ++j) {
        r[j] = _mm_loadu_si128((const __m128i *)(in + j * stride));
    }
    b8_transpose_8x8(r);
    for (int i = 0; i < 8; ++i) {
        _mm_storeu_si128((__m128i *)(rows[i] + x), r[i]);
    }
}

static inline void b8_add_rows(int8_t acc[32], const int8_t *rows, const uint16_t *ids, int count)
{
    __m256i sum = _mm256_loadu_si256((const __m256i *)acc);
    for (int r = 0; r < count; ++r) {
        const __m256i *row = (const __m256i *)(rows + 32 * (int32_t)ids[r]);
        sum = _mm256_adds_epi8(sum, _mm256_loadu_si256(row));
    }
    _mm256_storeu_si256((__m256i *)acc, sum);
}

static inline void b8_add_signs(int8_t *acc, const int8_t *rows, const uint16_t *ids, int count)
{
    __m128i sum = _mm_loadu_si128((const __m128i *)acc);
    for (int r = 0; r < count; ++r) {
        const __m128i *row = (const __m128i *)(rows + 16 * (int32_t)(ids[r] & 0x7fff));
        const __m128i flip = _mm_set1_epi8((char)-(ids[r] >> 15));
        sum = _mm_adds_epi8(sum, _mm_sub_epi8(_mm_xor_si128(_mm_loadu_si128(row), flip), flip));
    }
    _mm_storeu_si128((__m128i *)acc, sum);
}

/* sum += the rows of a list's coefficients, from row `base` on. */
static inline __m256i b8_list_rows(__m256i sum, const int8_t *base, const b8_list *list)
{
    for (int i = 0; list != NULL && i < list->count; ++i) {
        const int8_t *row = base + 32 * (int32_t)(list->item[i] & 0x7f);
        sum = _mm256_adds_epi8(sum, _mm256_loadu_si256((const __m256i *)row));
    }
    return sum;
}

static inline void b8_gather_rows(int8_t acc[32], const int8_t *rows, int model, const b8_surroundings *s)
{
    __m256i sum = _mm256_setzero_si256();
    for (int i = 0; i < 5; ++i) {
        const int8_t *row = rows + 32 * (B8_ROW_GRADIENT + 8 * i + s->level[i]);
        sum = _mm256_adds_epi8(sum, _mm256_loadu_si256((const __m256i *)row));
    }
    sum = _mm256_adds_epi8(sum, _mm256_loadu_si256((const __m256i *)(rows + 32 * (B8_ROW_COUNT + s->count_row))));
    sum = b8_list_rows(sum, rows + 32 * B8_ROW_LEFT, s->left);
    sum = b8_list_rows(sum, rows + 32 * (B8_ROW_LEFT + 2 * b8_groups[model]), s->above);
    _mm256_storeu_si256((__m256i *)acc, sum);
}

static inline __m128i b8_add_sign(__m128i sum, const int8_t *row, int negative)
{
    const __m128i flip = _mm_set1_epi8((char)-negative);
    const __m128i value = _mm_loadu_si128((const __m128i *)row);
    return _mm_adds_epi8(sum, _mm_sub_epi8(_mm_xor_si128(value, flip), flip));
}

static inline __m128i b8_list_signs(__m128i sum, const int8_t *base, const b8_list *list, int items)
{
    for (int i = 0; list != NULL && i < list->count; ++i) {
        const int item = list->item[i] & 0x7f;
        if (item < items) {
            sum = b8_add_sign(sum, base + 16 * item, list->item[i] >> 7);
        }
    }
    return sum;
}

static inline void b8_gather_signs(int8_t *acc, const int8_t *rows, int model, const b8_surroundings *s)
{
    const int groups = b8_groups[model], items = 2 * (groups < 16 ? groups : 16);
    __m128i sum = _mm_setzero_si128();
    for (int i = 0; i < 5; ++i) {
        sum = b8_add_sign(sum, rows + 16 * (8 * i + s->level[i]), (s->negative >> i) & 1);
    }
    sum = b8_list_signs(sum, rows + 16 * 40, s->left, items);
    sum = b8_list_signs(sum, rows + 16 * (40 + items), s->above, items);
    _mm_storeu_si128((__m128i *)acc, sum);
}

/* 16 pixels of three interleaved bytes: 16 bytes of each band. */
static inline void b8_split_rgb(const uint8_t *in, __m128i out[3])
{
    const char z = (char)0x80; /* gives a zero */
    const __m128i a = _mm_loadu_si128((const __m128i *)in);
    const __m128i b = _mm_loadu_si128((const __m128i *)(in + 16));
    const __m128i c = _mm_loadu_si128((const __m128i *)(in + 32));
    const __m128i red[3] = {_mm_setr_epi8(0, 3, 6, 9, 12, 15, z, z, z, z, z, z, z, z, z, z),
                            _mm_setr_epi8(z, z, z, z, z, z, 2, 5, 8, 11, 14, z, z, z, z, z),
                            _mm_setr_epi8(z, z, z, z, z, z, z, z, z, z, z, 1, 4, 7, 10, 13)};
    const __m128i green[3] = {_mm_setr_epi8(1, 4, 7, 10, 13, z, z, z, z, z, z, z, z, z, z, z),
                              _mm_setr_epi8(z, z, z, z, z, 0, 3, 6, 9, 12, 15, z, z, z, z, z),
                              _mm_setr_epi8(z, z, z, z, z, z, z, z, z, z, z, 2, 5, 8, 11, 14)};
    const __m128i blue[3] = {_mm_setr_epi8(2, 5, 8, 11, 14, z, z, z, z, z, z, z, z, z, z, z),
                             _mm_setr_epi8(z, z, z, z, z, 1, 4, 7, 10, 13, z, z, z, z, z, z),
                             _mm_setr_epi8(z, z, z, z, z, z, z, z, z, z, 0, 3, 6, 9, 12, 15)};
    const __m128i *const order[3] = {red, green, blue};
    for (int band = 0; band < 3; ++band) {
        out[band] = _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(a, order[band][0]), _mm_shuffle_epi8(b, order[band][1])),
                                 _mm_shuffle_epi8(c, order[band][2]));
    }
}

/* 16 bytes of each band to 16 pixels of three bytes. */
static inline void b8_join_rgb(uint8_t *out, const __m128i in[3])
{
    const char z = (char)0x80;
    const __m128i order[3][3] = {{_mm_setr_epi8(0, z, z, 1, z, z, 2, z, z, 3, z, z, 4, z, z, 5),
                                  _mm_setr_epi8(z, 0, z, z, 1, z, z, 2, z, z, 3, z, z, 4, z, z),
                                  _mm_setr_epi8(z, z, 0, z, z, 1, z, z, 2, z, z, 3, z, z, 4, z)},
                                 {_mm_setr_epi8(z, z, 6, z, z, 7, z, z, 8, z, z, 9, z, z, 10, z),
                                  _mm_setr_epi8(5, z, z, 6, z, z, 7, z, z, 8, z, z, 9, z, z, 10),
                                  _mm_setr_epi8(z, 5, z, z, 6, z, z, 7, z, z, 8, z, z, 9, z, z)},
                                 {_mm_setr_epi8(z, 11, z, z, 12, z, z, 13, z, z, 14, z, z, 15, z, z),
                                  _mm_setr_epi8(z, z, 11, z, z, 12, z, z, 13, z, z, 14, z, z, 15, z),
                                  _mm_setr_epi8(10, z, z, 11, z, z, 12, z, z, 13, z, z, 14, z, z, 15)}};
    for (int i = 0; i < 3; ++i) {
        const __m128i joined = _mm_or_si128(
            _mm_or_si128(_mm_shuffle_epi8(in[0], order[i][0]), _mm_shuffle_epi8(in[1], order[i][1])),
            _mm_shuffle_epi8(in[2], order[i][2]));
        _mm_storeu_si128((__m128i *)(out + 16 * i), joined);
    }
}

#endif
