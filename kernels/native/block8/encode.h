/* The encoder's side: range encoder, blocks, units, packets, and the window of rows. */
#ifndef B8_ENCODE_H
#define B8_ENCODE_H

#include "contexts.h"
#include "packets.h"

/* Range encoder: 64-bit range, 32-bit words out, carries kept back (as in LZMA): bytes once written stay, so that a
 * unit can be taken back by restoring this structure. Decisions wait in a queue, so that the contexts of one block
 * are found while those before it are still being coded. */
#define B8_QUEUE 1024
#define B8_QUEUE_ROOM 160 /* more than the decisions between two looks at how full the queue is */

typedef struct {
    uint64_t low, range;
    uint32_t carry;   /* out of `low` since the last word was taken from it */
    uint32_t cache;   /* a word that a carry may still reach ... */
    uint32_t held;    /* ... and, with it, how many; those after it are all ones */
    uint32_t begun;   /* the first word, always 0, is not written */
    uint32_t used, capacity;
    uint8_t *out;
} b8_range_encoder;

static inline void b8_range_start(b8_range_encoder *r, uint8_t *out, uint32_t capacity)
{
    memset(r, 0, sizeof *r);
    r->range = UINT64_MAX;
    r->held = 1;
    r->out = out;
    r->capacity = capacity;
}

static inline void b8_range_emit(b8_range_encoder *r, uint32_t word)
{
    for (int shift = 24; shift >= 0 && r->begun; shift -= 8) {
        if (r->used < r->capacity) {
            r->out[r->used] = (uint8_t)(word >> shift);
        }
        ++r->used;
    }
    r->begun = 1;
}

/* Takes the upper word of `low` out. */
static B8_RARELY void b8_range_shift(b8_range_encoder *r)
{
    uint32_t word = (uint32_t)(r->low >> 32);
    if (word != UINT32_MAX || r->carry != 0) {
        b8_range_emit(r, r->cache + r->carry);
        for (; r->held > 1; --r->held) {
            b8_range_emit(r, UINT32_MAX + r->carry);
        }
        r->held = 0;
        r->cache = word;
    }
    ++r->held;
    r->low <<= 32;
    r->carry = 0;
}

/* Codes decisions: 2 * (2^15 times the probability of bit 1) + bit. */
static inline void b8_range_encode(b8_range_encoder *r, const uint16_t *queue, const uint16_t *end)
{
    uint64_t low = r->low, range = r->range;
    uint32_t carry = r->carry;
    for (; queue != end; ++queue) {
        const uint64_t if_zero = (uint64_t)(*queue & 1u) - 1u; /* all ones for bit 0: no branch to mispredict */
        const uint64_t split = (range >> B8_PROB_BITS) * (uint64_t)(*queue >> 1);
        const uint64_t add = split & if_zero;
        range = split + ((range - 2 * split) & if_zero);
        low += add;
        carry += low < add;
        if (range <= UINT32_MAX) {
            range <<= 32;
            r->low = low;
            r->carry = carry;
            b8_range_shift(r);
            low = r->low;
            carry = 0;
        }
    }
    r->low = low;
    r->range = range;
    r->carry = carry;
}

/* The same for two coders at a time: a decision waits for the one before it, but not for the other coder's. */
static inline void b8_range_encode_two(b8_range_encoder *a, b8_range_encoder *b, const uint16_t *queue_a,
                                       const uint16_t *queue_b, size_t count)
{
    uint64_t low[2] = {a->low, b->low}, range[2] = {a->range, b->range};
    for (size_t i = 0; i < count; ++i) {
        const uint32_t one[2] = {queue_a[i], queue_b[i]};
        for (int j = 0; j < 2; ++j) {
            b8_range_encoder *r = j == 0 ? a : b;
            const uint64_t if_zero = (uint64_t)(one[j] & 1u) - 1u;
            const uint64_t split = (range[j] >> B8_PROB_BITS) * (uint64_t)(one[j] >> 1);
            const uint64_t add = split & if_zero;
            range[j] = split + ((range[j] - 2 * split) & if_zero);
            low[j] += add;
            r->carry += low[j] < add;
            if (range[j] <= UINT32_MAX) {
                range[j] <<= 32;
                r->low = low[j];
                b8_range_shift(r);
                low[j] = r->low;
            }
        }
    }
    a->low = low[0];
    b->low = low[1];
    a->range = range[0];
    b->range = range[1];
}

/* Bytes that the payload would take if it ended here, at most. */
static inline uint32_t b8_range_size(const b8_range_encoder *r) { return r->used + 4u * r->held + 4u; }

/* Ends the payload with the fewest bytes: the decoder reads zeros after the last. Returns its size. */
static inline uint32_t b8_range_finish(b8_range_encoder *r)
{
    const uint64_t high = r->low + (r->range - 1u);
    if (high < r->low) {
        r->carry = 1;
        r->low = 0;
    } else {
        int bits = 63; /* the value in [low, high] with the most trailing zeros */
        while ((high >> bits << bits) < r->low) {
            --bits;
        }
        r->low = high >> bits << bits;
    }
    for (int i = 0; i < 3; ++i) {
        b8_range_shift(r);
    }
    uint32_t size = r->used < r->capacity ? r->used : r->capacity;
    while (size > 0 && r->out[size - 1] == 0) {
        --size;
    }
    return size;
}

/* A packet while it is open, and what is needed to code the next unit into it. */
typedef struct {
    b8_contexts contexts;
    b8_range_encoder range;
    uint16_t *queued;            /* the end of what waits in the queue */
    uint16_t queue[B8_QUEUE];
    uint32_t next;               /* number of the next unit */
    uint32_t number;             /* of the packet, in its slice */
    uint32_t room;               /* most bytes of its payload */
    int open, coarse;            /* it is open; it holds one unit, with coarser steps to make it fit */
    const int16_t *source;       /* the coefficients of the unit that is coded */
    uint8_t *payload;            /* [options.mtu] */
} b8_packer;

typedef struct {
    b8_geometry geometry;
    b8_options options;
    uint32_t begin, end, row_unit; /* rows of units: the first, one past the last, and the one in the window */
    uint32_t next_row, last_row; /* pixel rows */
    int variant;

    b8_packer packers[2];        /* interleaved, one for each phase */
    uint32_t slice, slice_packets; /* number of the slice, and packets that were begun in it */
    uint8_t offsets[B8_MODELS][64];   /* where the k-th coefficient lies in a block */
    uint8_t positions[2][64];         /* k of the coefficient u * 8 + v, in luma and chroma */

    size_t stride[2];            /* of the windows of luma and chroma, in samples */
    int16_t *window[3];          /* [48] rows of luma, [24] of chroma; the unit row begins at 8, at 4 */
    int16_t *sums;               /* [3][stride / 2]: pair means of a row, until the next comes */

    int16_t coefficients[2][B8_UNIT_SAMPLES]; /* of units: luma's four, chroma's two block columns of 256 */
    int16_t *store;              /* where to keep the coefficients instead of coding them, or NULL */
    int16_t columns[2][2][256];  /* two neighbouring block columns, before the horizontal DCT */
} b8_encoder;

static inline void b8_flush_queue(b8_packer *k)
{
    b8_range_encode(&k->range, k->queue, k->queued);
    k->queued = k->queue;
}

static inline void b8_flush_queues(b8_packer *a, b8_packer *b)
{
    const size_t of_a = (size_t)(a->queued - a->queue), of_b = (size_t)(b->queued - b->queue);
    const size_t both = of_a < of_b ? of_a : of_b;
    b8_range_encode_two(&a->range, &b->range, a->queue, b->queue, both);
    b8_range_encode(&a->range, a->queue + both, a->queued);
    b8_range_encode(&b->range, b->queue + both, b->queued);
    a->queued = a->queue;
    b->queued = b->queue;
}

/* `queue`, or where the queue begins if fewer than B8_QUEUE_ROOM decisions more would fit. */
static inline uint16_t *b8_queue_room(b8_packer *k, uint16_t *queue)
{
    if (queue > k->queue + B8_QUEUE - B8_QUEUE_ROOM) {
        k->queued = queue;
        b8_flush_queue(k);
        queue = k->queue;
    }
    return queue;
}

#endif
