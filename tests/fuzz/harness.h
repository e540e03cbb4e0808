/* What the fuzz harnesses share: input fields, trained tables, checks, and memory that ends where it should.
 *
 * The tables come from the file that FARLOOK_TABLES names: `tables.bin` of the block8 bundle. Some inputs are coded
 * with random tables instead, as a hostile bundle may hold.
 */
#ifndef FARLOOK_FUZZ_HARNESS_H
#define FARLOOK_FUZZ_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#include "../../kernels/native/block8/block8.h"

#define MAX_PACKETS 24

#define CHECK(condition) check((condition) != 0, #condition, __FILE__, __LINE__)

/* Reads fields off an input; zeros after its end. */
typedef struct {
    const uint8_t *at, *end;
} input;

void check(int holds, const char *what, const char *file, int line);

uint32_t take(input *in, uint32_t limit); /* 0 to limit - 1, of two bytes */
uint32_t random_next(uint32_t *state);    /* 32 bits; the state is never 0 */

void *reserve(size_t size);               /* zeros, on a boundary of 64; accesses beyond are errors */

/* Trained tables; or random ones, from `seed`, if it is not 0. Valid until the next call. */
const b8_tables *tables_of(uint32_t seed);
uint32_t tables_chroma_finer(void);

/* Variants that this processor has, scalar first; returns how many. */
int variants(int out[4]);

uint32_t block_count(const b8_geometry *g);
uint32_t unit_count(const b8_geometry *g);
b8_geometry take_geometry(input *in);

/* Packets that may overlap, or lie beyond the picture or the data. */
uint32_t take_packets(input *in, const b8_geometry *g, b8_packet packets[MAX_PACKETS]);

/* Bytes in memory that ends with them. */
uint8_t *copy_of(const uint8_t *data, size_t size);

b8_picture new_picture(const b8_geometry *g);
void free_picture(b8_picture *p);

/* Fails unless both hold the same coefficients. */
void check_same(const b8_geometry *g, const b8_picture *a, const b8_picture *b);

/* Rebuilds the picture with every variant, whole and in two parts, into rows `stride` bytes apart; fails unless all are
 * the same and nothing beside the rows is touched. Returns the pixels, to be freed. */
uint8_t *synthesise_all(const b8_geometry *g, const b8_picture *p, size_t stride, uint32_t cut);

#endif
