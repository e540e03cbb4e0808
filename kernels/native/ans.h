/* farlook's C99 core: asymmetric numeral systems, the range variant (Duda, arXiv:1311.2540).
 *
 * No dependencies, no floating point, no heap, no global state. A coder is a stack: what is encoded last is
 * decoded first, so every call codes its symbols from the last to the first, and decodes from the first on.
 */
#ifndef FARLOOK_ANS_H
#define FARLOOK_ANS_H

#include <stddef.h>
#include <stdint.h>

#include "farlook_core.h"

/* Probabilities are whole numbers of 2^-FL_ANS_BITS. */
#define FL_ANS_BITS 24

/* A decoder's search for a symbol begins with so many bits of its place. */
#define FL_ANS_HINT_BITS 8

/* A coder: words[0..size) under a state. All zero is the empty coder. The buffer is the caller's; the state is
 * at least 2^32 unless size is 0. */
typedef struct {
    uint64_t state;
    uint32_t *words;
    size_t size;
    size_t capacity; /* of the buffer, in words; decoders do not look at it */
} fl_ans;

/* A set of tables: table t is cumulative[starts[t]..starts[t + 1]), one entry more than it has symbols. It
 * begins with 0, rises strictly, and ends in 2^FL_ANS_BITS. It has at most 65536 symbols. Decoders also take
 * 2^FL_ANS_HINT_BITS + 1 hints a table: which symbol holds the beginning of each equal part of 2^FL_ANS_BITS, and
 * the last symbol. */

/* Takes a decoder's first state from the end of its words. FL_ERROR_CODE if the last word is 0: no encoder
 * leaves such words. */
int fl_ans_open(fl_ans *coder);

/* Moves an encoder's state to its words, low word first, without high words of 0. FL_ERROR_SPACE if there is
 * no room; two words are enough. */
int fl_ans_close(fl_ans *coder);

/* Encodes symbols[0..n), each with its table, from the last to the first. FL_ERROR_RANGE for a symbol or table
 * that does not exist; FL_ERROR_SPACE if the buffer is full: n words are enough. After an error the coder holds
 * the symbols behind the one that failed. */
int fl_ans_encode(fl_ans *coder, const int32_t *symbols, const int32_t *tables, size_t n,
                  const uint32_t *cumulative, const uint32_t *starts, uint32_t table_count);

/* Decodes n symbols, each with its table. A coder without words goes on with what its state holds, and at last
 * with 0: as encoders begin with a state of 0, it is whether the state is 0 again after the last symbol that tells
 * words that were cut or changed. FL_ERROR_RANGE for a table that does not exist. */
int fl_ans_decode(fl_ans *coder, int32_t *symbols, const int32_t *tables, size_t n,
                  const uint32_t *cumulative, const uint32_t *starts, const uint16_t *hints,
                  uint32_t table_count);

/* The same with 0, ..., size - 1 equally probable: 2^FL_ANS_BITS / size each, rounded down, and the last has the
 * rest. FL_ERROR_RANGE if size is 0 or above 2^FL_ANS_BITS. */
int fl_ans_encode_uniform(fl_ans *coder, const int32_t *symbols, size_t n, uint32_t size);
int fl_ans_decode_uniform(fl_ans *coder, int32_t *symbols, size_t n, uint32_t size);

#endif
