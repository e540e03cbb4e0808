/* farlook's C99 core: prefix codes.
 *
 * No dependencies, no floating point, no heap, no global state that changes: every function may be called
 * from several threads at once. Bits are packed from the most significant bit of each byte on.
 */
#ifndef FARLOOK_CORE_H
#define FARLOOK_CORE_H

#include <stddef.h>
#include <stdint.h>

/* Longest code word of a prefix code, in bits: a decoder's look-up table has 2^FL_MAX_BITS entries. */
#define FL_MAX_BITS 12

/* Largest value that can be coded: symbols above a table's alphabet are escaped up to it. */
#define FL_MAX_VALUE 0x00ffffffu

enum {
    FL_OK = 0,
    FL_ERROR_RANGE = -1,    /* a value or table index that cannot be coded */
    FL_ERROR_SPACE = -2,    /* the output buffer is too small */
    FL_ERROR_TRUNCATED = -3, /* the bits end inside a symbol */
    FL_ERROR_CODE = -4      /* bits that no code word begins with */
};

/* A set of prefix codes: one row of `stride` code words and lengths for each table; length 0: no code word.
 * escapes[t] < stride is the escape of table t: a value that large or larger is the escape's code word,
 * followed by the Elias gamma code of (value - escape + 1). */

/* Codes values[0..n) with tables[0..n) into `out`, zero bits filling the last byte.
 * Returns the number of bytes, or a negative FL_ERROR. */
int64_t fl_prefix_encode(const uint32_t *values, const uint16_t *tables, size_t n,
                         const uint16_t *words, const uint8_t *lengths, const uint16_t *escapes,
                         uint32_t table_count, uint32_t stride, uint8_t *out, size_t capacity);

/* Decodes one run of values from each of `runs` bit strings and moves their positions on.
 * String i is data[begin[i]..end[i]); position[i] counts bits from begin[i]; its run has counts[i] values.
 * `tables` and `values` hold the runs one after the other. `lookup` has 2^FL_MAX_BITS entries a table:
 * (symbol << 4) | length, or 0 where no code word matches.
 * Returns 0, or a negative FL_ERROR with the string's number in *failed. */
int fl_prefix_decode(const uint8_t *data, const uint64_t *begin, const uint64_t *end, uint64_t *position,
                     const uint32_t *counts, size_t runs, const uint16_t *tables,
                     const uint16_t *lookup, const uint16_t *escapes, uint32_t table_count,
                     uint32_t *values, uint32_t *failed);

#endif
