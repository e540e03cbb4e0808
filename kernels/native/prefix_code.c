#include "farlook_core.h"

/* Bits wait in `pending`, right-aligned, until whole bytes of them can leave. */
typedef struct {
    uint8_t *out;
    size_t capacity;
    size_t size;
    uint64_t pending;
    uint32_t count;
} writer;

static int put(writer *w, uint32_t bits, uint32_t count)
{
    w->pending = (w->pending << count) | bits;
    w->count += count;
    while (w->count >= 8u) {
        if (w->size == w->capacity) {
            return FL_ERROR_SPACE;
        }
        w->count -= 8u;
        w->out[w->size++] = (uint8_t)(w->pending >> w->count);
    }
    return FL_OK;
}

static uint32_t bit_length(uint32_t value)
{
    uint32_t length = 0;
    while (value != 0u) {
        length++;
        value >>= 1;
    }
    return length;
}

/* Elias gamma: as many zeros as the value has bits after its first, then the value. */
static int put_gamma(writer *w, uint32_t value)
{
    const uint32_t length = bit_length(value);
    const int status = put(w, 0u, length - 1u);
    return status != FL_OK ? status : put(w, value, length);
}

static int put_value(writer *w, uint32_t value, const uint16_t *words, const uint8_t *lengths, uint32_t escape)
{
    const uint32_t symbol = value < escape ? value : escape;
    int status;
    if (value > FL_MAX_VALUE || lengths[symbol] == 0u) {
        return FL_ERROR_RANGE;
    }
    status = put(w, words[symbol], lengths[symbol]);
    if (status == FL_OK && symbol == escape) {
        status = put_gamma(w, value - escape + 1u);
    }
    return status;
}

int64_t fl_prefix_encode(const uint32_t *values, const uint16_t *tables, size_t n,
                         const uint16_t *words, const uint8_t *lengths, const uint16_t *escapes,
                         uint32_t table_count, uint32_t stride, uint8_t *out, size_t capacity)
{
    writer w = {out, capacity, 0, 0, 0};
    int status = FL_OK;
    for (size_t i = 0; i < n; i++) {
        const size_t row = (size_t)tables[i] * stride;
        if (tables[i] >= table_count) {
            return FL_ERROR_RANGE;
        }
        status = put_value(&w, values[i], words + row, lengths + row, escapes[tables[i]]);
        if (status != FL_OK) {
            return status;
        }
    }
    if (w.count != 0u) {
        status = put(&w, 0u, 8u - w.count);
    }
    return status != FL_OK ? status : (int64_t)w.size;
}

typedef struct {
    const uint8_t *data;
    uint64_t size;     /* bytes */
    uint64_t position; /* bits */
} reader;

/* The next `count` bits (at most 25) without moving on; zeros stand in for bits past the end. */
static uint32_t peek(const reader *r, uint32_t count)
{
    const uint64_t byte = r->position >> 3;
    uint32_t window = 0;
    for (uint64_t i = 0; i < 4u; i++) {
        window = (window << 8) | (byte + i < r->size ? r->data[byte + i] : 0u);
    }
    window <<= (uint32_t)(r->position & 7u);
    return count == 0u ? 0u : window >> (32u - count);
}

static int skip(reader *r, uint32_t count)
{
    r->position += count;
    return r->position <= 8u * r->size ? FL_OK : FL_ERROR_TRUNCATED;
}

static int get_gamma(reader *r, uint32_t *value)
{
    const uint32_t window = peek(r, 25u);
    const uint32_t zeros = 25u - bit_length(window);
    int status;
    if (zeros > 24u) {
        return r->position + 25u <= 8u * r->size ? FL_ERROR_CODE : FL_ERROR_TRUNCATED;
    }
    status = skip(r, zeros);
    if (status == FL_OK) {
        *value = peek(r, zeros + 1u);
        status = skip(r, zeros + 1u);
    }
    return status;
}

static int get_value(reader *r, const uint16_t *lookup, uint32_t escape, uint32_t *value)
{
    const uint32_t entry = lookup[peek(r, FL_MAX_BITS)];
    const uint32_t symbol = entry >> 4;
    uint32_t excess = 0;
    int status;
    if (entry == 0u) {
        return r->position + FL_MAX_BITS <= 8u * r->size ? FL_ERROR_CODE : FL_ERROR_TRUNCATED;
    }
    status = skip(r, entry & 15u);
    if (status == FL_OK && symbol == escape) {
        status = get_gamma(r, &excess);
        excess -= 1u;
    }
    *value = symbol + excess;
    return status == FL_OK && *value > FL_MAX_VALUE ? FL_ERROR_CODE : status;
}

int fl_prefix_decode(const uint8_t *data, const uint64_t *begin, const uint64_t *end, uint64_t *position,
                     const uint32_t *counts, size_t runs, const uint16_t *tables,
                     const uint16_t *lookup, const uint16_t *escapes, uint32_t table_count,
                     uint32_t *values, uint32_t *failed)
{
    size_t next = 0;
    for (size_t run = 0; run < runs; run++) {
        reader r = {data + begin[run], end[run] - begin[run], position[run]};
        *failed = (uint32_t)run;
        for (uint32_t i = 0; i < counts[run]; i++, next++) {
            int status = FL_ERROR_RANGE;
            const uint16_t table = tables[next];
            if (table < table_count) {
                status = get_value(&r, lookup + ((size_t)table << FL_MAX_BITS), escapes[table], &values[next]);
            }
            if (status != FL_OK) {
                return status;
            }
        }
        position[run] = r.position;
    }
    return FL_OK;
}
