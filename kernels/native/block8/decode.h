/* The decoder's side: range decoder, and the working memory. */
#ifndef B8_DECODE_H
#define B8_DECODE_H

#include "contexts.h"
#include "layers.h"

typedef struct {
    uint64_t code, range;
    const uint8_t *at, *end;
} b8_range_decoder;

/* Four more bytes; zeros after the payload's end. */
static inline void b8_range_next(b8_range_decoder *r)
{
    uint32_t word = 0;
    for (int i = 0; i < 4; ++i) {
        word = word << 8 | (r->at < r->end ? *r->at++ : 0u);
    }
    r->code = r->code << 32 | word;
}

static inline void b8_range_open(b8_range_decoder *r, const uint8_t *data, uint32_t size)
{
    r->code = 0;
    r->range = UINT64_MAX;
    r->at = data;
    r->end = data + size;
    b8_range_next(r);
    b8_range_next(r);
}

static inline uint32_t b8_decode_bit(b8_range_decoder *r, uint32_t one)
{
    const uint64_t split = (r->range >> B8_PROB_BITS) * one;
    const uint32_t bit = r->code < split;
    const uint64_t if_zero = (uint64_t)bit - 1u;
    r->code -= split & if_zero;
    r->range = (split & ~if_zero) + ((r->range - split) & if_zero);
    if (r->range <= UINT32_MAX) {
        r->range <<= 32;
        b8_range_next(r);
    }
    return bit;
}

static inline uint32_t b8_decode_even_bits(b8_range_decoder *d, int count)
{
    uint32_t value = 0;
    for (; count > 0; --count) {
        value = (value << 1) | b8_decode_bit(d, 1u << (B8_PROB_BITS - 1));
    }
    return value;
}

typedef struct {
    b8_contexts contexts;
    b8_range_decoder range;
    uint8_t offsets[B8_MODELS][64];
    b8_picture *picture;
    b8_trace *trace;
    uint32_t entry;          /* next free entry */
    uint32_t base[3];        /* first block of each plane */
    uint32_t units;
    b8_refinement *refinement; /* of the layout progressive, else NULL */
} b8_decoder;

typedef struct {
    b8_geometry geometry;
    uint32_t blocks_x[3], blocks_y[3], base[3];
    size_t stride[2];
    int16_t *window[3];  /* [48], [24] rows: a third of what was, then the unit row */
    int16_t *upsampled;  /* [2][stride]: chroma of a row at luma's width; then room for `b8_upsample` */
    int16_t columns[2][256];
} b8_synthesis;

/* A block's record: words in all, model, set, rows, signs, coefficients; then the rows, the signs, and for each
 * coefficient its place in the scan and its level. */
static inline void b8_trace_block(b8_trace *trace, int model, int set, const b8_block_rows *rows, int count,
                           const uint8_t *places, const int32_t *levels)
{
    size_t words = 6u + (size_t)rows->row_count + (size_t)rows->sign_count + 2u * (size_t)count;
    if (trace->capacity - trace->used < words) {
        trace->used = trace->capacity;
        return;
    }
    uint16_t *out = trace->data + trace->used;
    trace->used += words;
    *out++ = (uint16_t)words;
    *out++ = (uint16_t)model;
    *out++ = (uint16_t)set;
    *out++ = (uint16_t)rows->row_count;
    *out++ = (uint16_t)rows->sign_count;
    *out++ = (uint16_t)count;
    memcpy(out, rows->rows, (size_t)rows->row_count * sizeof *out);
    out += rows->row_count;
    memcpy(out, rows->signs, (size_t)rows->sign_count * sizeof *out);
    out += rows->sign_count;
    for (int i = 0; i < count; ++i) {
        *out++ = places[i];
        *out++ = (uint16_t)(int16_t)levels[i];
    }
}

#endif
