/* What encoder and decoder share: contexts, and the binary range coder.
 *
 * A decision's probability is a logistic model: the logits of all lanes are sums of table rows, one row for each
 * thing that is known of the block's surroundings and of the block so far. A lane stands for "coefficient k is not
 * zero", or for "no more from position p on", for one or several k or p.
 */
#ifndef B8_CODER_H
#define B8_CODER_H

#include <string.h>

#include "block8.h"

#define B8_PROB_BITS 15
#define B8_LIST 15
#define B8_ROOT_BITS 16    /* of a root's residual, in steps */
#define B8_FINER_PROB 1024 /* of a unit's steps differing from those of the unit before */

static const uint8_t b8_groups[B8_MODELS] = {48, 24, 15, 3};
static const uint8_t b8_sides[B8_MODELS] = {8, 8, 4, 2};

/* Lanes and row groups by position in the scan. */
static const uint8_t b8_zero_lane[64] = {
    63, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53,
    54, 54, 54, 54, 54, 55, 55, 55, 55, 55, 56, 56, 56, 56, 56, 57, 57, 57, 57, 57};
static const uint8_t b8_end_lane[65] = {
    0, 0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 9, 10,
    10, 10, 10, 10, 58, 58, 58, 58, 58, 58, 59, 59, 59, 59, 59, 59, 59, 60, 60, 60, 60, 60,
    60, 60, 60, 61, 61, 61, 61, 61, 61, 61, 61, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62};
#define B8_HOT_PLACES 22 /* the lanes of places before this one, and of ends up to it, are the first 32 */

static const uint8_t b8_fine_group[64] = {
    0,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42,
    43, 43, 43, 43, 43, 44, 44, 44, 44, 44, 45, 45, 45, 45, 45, 46, 46, 46, 46, 46};
static const uint8_t b8_coarse_group[64] = {
    0,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 16, 17, 17, 18,
    18, 18, 19, 19, 19, 19, 20, 20, 20, 20, 20, 20, 21, 21, 21, 21, 21, 21, 21, 21, 22, 22,
    22, 22, 22, 22, 22, 22, 22, 22, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23, 23};

/* Rows by how many coefficients of the left and the upper block are not zero; the last: neither is known. */
static const uint8_t b8_count_row[31] = {0, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 7, 8, 8, 8, 8,
                                         9, 9, 9, 9, 9, 9, 10, 10, 10, 10, 10, 10, 11, 11, 11};
#define B8_COUNT_UNKNOWN 12

/* A block's coefficients that are not zero, the first 15: 2 * group + (magnitude above 1), bit 7: negative. */
typedef struct {
    uint8_t count;
    uint8_t item[B8_LIST];
} b8_list;

/* A step, ready to divide and multiply by. */
typedef struct {
    int32_t q8;          /* 256 times the step */
    uint32_t reciprocal; /* 2^32 / q8 */
    int16_t limit;       /* magnitudes below it are zero, whatever the context */
    uint8_t set;
} b8_step;

/* What is kept of the units above, by column, and of the unit to the left, a plane each. */
typedef struct {
    b8_list *blocks;     /* [blocks along x] */
    b8_list *means;      /* [units along x] */
    int16_t *dc;         /* [blocks along x]: DC of the lowest blocks; interleaved, the roots of both phases */
    uint8_t *root;       /* [2 units along x]: length of the root's residual, of each phase */
    b8_list left[4];
    b8_list left_means;
    int16_t left_dc[4];
    uint8_t left_root;
} b8_plane_lines;

typedef struct {
    const b8_tables *tables;
    uint32_t bands, units_x, units_y;
    uint32_t blocks_x[3], blocks_y[3];
    b8_plane_lines lines[3];
    uint8_t *skipped;    /* [2 units along x], of each phase */
    uint8_t left_skipped;
    uint32_t skip_run;   /* units skipped one after the other, until now */
    uint32_t first;      /* first unit of the packet */
    uint32_t step, finer; /* indices: of the packet, and by which the unit's is finer */
    uint32_t chroma_finer;
    int has_finer;       /* units say how much finer they are */
    int interleaved;     /* packets hold every second unit */
    uint32_t slice_rows;
    b8_step steps[2];    /* of luma and chroma */
} b8_contexts;

/* What is known around a block: levels of five gradients and which are negative, and its neighbours or NULL. */
typedef struct {
    uint8_t level[5];
    uint8_t negative; /* bit i: gradient i */
    uint8_t count_row;
    const b8_list *left, *above;
} b8_surroundings;

/* The rows of the tables that a block's surroundings name. */
typedef struct {
    uint16_t rows[8 + 2 * B8_LIST];
    uint16_t signs[8 + 2 * B8_LIST]; /* bit 15: negative */
    int row_count, sign_count;
} b8_block_rows;

#define B8_LONG_RUN 8

static inline const uint8_t *b8_group_of(int model)
{
    return model == B8_CHROMA ? b8_coarse_group : b8_fine_group;
}

#if defined(__GNUC__)
#define B8_RARELY __attribute__((noinline, cold, unused))
static inline int b8_lowest_bit(uint64_t value) { return __builtin_ctzll(value); }
static inline int b8_bit_length(uint32_t value) { return value == 0 ? 0 : 32 - __builtin_clz(value); }
#else
#define B8_RARELY
static inline int b8_lowest_bit(uint64_t value)
{
    int at = 0;
    while ((value & 1u) == 0) {
        value >>= 1;
        ++at;
    }
    return at;
}

static inline int b8_bit_length(uint32_t value)
{
    int bits = 0;
    while (value != 0) {
        value >>= 1;
        ++bits;
    }
    return bits;
}
#endif

static inline int8_t b8_saturate(int32_t value)
{
    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}

static inline int32_t b8_magnitude(int32_t value) { return value < 0 ? -value : value; }

static inline int16_t b8_clamp16(int32_t value)
{
    return (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}

/* level * step, rounded. */
static inline int32_t b8_scale(int32_t level, const b8_step *step)
{
    return (int32_t)(((int64_t)level * step->q8 + 128) >> 8);
}

/* The same as a coefficient; what a hostile stream overstates is clamped. */
static inline int16_t b8_dequantise(int32_t level, const b8_step *step)
{
    const int32_t value = b8_scale(level, step);
    return (int16_t)(value < -32767 ? -32767 : value > 32767 ? 32767 : value);
}

/* Levels of blocks' means, in quarters of a step: what gradients are taken of. */
static inline int32_t b8_in_quarters(int32_t mean, const b8_step *step)
{
    return (int32_t)(((int64_t)mean * step->reciprocal) >> 22);
}

static inline b8_step b8_step_of(const b8_tables *tables, uint32_t index)
{
    b8_step step;
    uint32_t set = 0;
    while (set + 1 < tables->set_count && index >= tables->set_limits[set]) {
        ++set;
    }
    step.q8 = b8_step_q8(index);
    step.reciprocal = (uint32_t)(UINT64_C(0x100000000) / (uint32_t)step.q8);
    int64_t limit = ((int64_t)tables->decisions[0] * step.q8 + 65535) >> 16;
    step.limit = (int16_t)(limit > 32767 ? 32767 : limit < 1 ? 1 : limit);
    step.set = (uint8_t)set;
    return step;
}

/* Takes the steps of a unit that is `finer` indices finer than its packet. */
static inline void b8_take_steps(b8_contexts *c, uint32_t finer)
{
    uint32_t luma = c->step > finer ? c->step - finer : 0;
    c->finer = finer;
    c->steps[0] = b8_step_of(c->tables, luma);
    c->steps[1] = b8_step_of(c->tables, luma > c->chroma_finer ? luma - c->chroma_finer : 0);
}

/* Level of a gradient in quarters of a step: 0, 1, 2-3, 4-7, ... 64 and more. */
static inline int b8_gradient_level(int32_t gradient)
{
    int bits = b8_bit_length((uint32_t)b8_magnitude(gradient));
    return bits > 7 ? 7 : bits;
}

static inline void b8_take_gradient(b8_surroundings *s, int which, int32_t gradient)
{
    s->level[which] = (uint8_t)b8_gradient_level(gradient);
    s->negative = (uint8_t)(s->negative | (gradient < 0) << which);
}

static inline void b8_take_neighbours(b8_surroundings *s, const b8_list *left, const b8_list *above)
{
    s->left = left;
    s->above = above;
    s->count_row = B8_COUNT_UNKNOWN;
    if (left != NULL && above != NULL) {
        s->count_row = b8_count_row[left->count + above->count];
    } else if (left != NULL || above != NULL) {
        s->count_row = b8_count_row[2 * (left != NULL ? left : above)->count];
    }
}

/* The logit of "no more" before the first coefficient, summed as `b8_gather_rows` does; `ends` is its column of the
 * model's table. */
static inline int b8_sum_ends(const int8_t *ends, int model, const b8_surroundings *s)
{
    int sum = 0;
    for (int i = 0; i < 5; ++i) {
        sum = b8_saturate(sum + ends[B8_ROW_GRADIENT + 8 * i + s->level[i]]);
    }
    sum = b8_saturate(sum + ends[B8_ROW_COUNT + s->count_row]);
    for (int i = 0; s->left != NULL && i < s->left->count; ++i) {
        sum = b8_saturate(sum + ends[B8_ROW_LEFT + (s->left->item[i] & 0x7f)]);
    }
    for (int i = 0; s->above != NULL && i < s->above->count; ++i) {
        sum = b8_saturate(sum + ends[B8_ROW_LEFT + 2 * b8_groups[model] + (s->above->item[i] & 0x7f)]);
    }
    return sum;
}

static inline void b8_add_list(b8_block_rows *rows, const b8_list *list, int row_base, int sign_base, int sign_items)
{
    for (int i = 0; list != NULL && i < list->count; ++i) {
        int item = list->item[i] & 0x7f;
        rows->rows[rows->row_count++] = (uint16_t)(row_base + item);
        if (item < sign_items) {
            rows->signs[rows->sign_count++] = (uint16_t)((sign_base + item) | ((list->item[i] & 0x80) << 8));
        }
    }
}

static inline void b8_name_rows(b8_block_rows *rows, int model, const b8_surroundings *s)
{
    const int groups = b8_groups[model];
    const int sign_items = 2 * (groups < 16 ? groups : 16);
    rows->row_count = 6;
    rows->sign_count = 5;
    rows->rows[5] = (uint16_t)(B8_ROW_COUNT + s->count_row);
    for (int i = 0; i < 5; ++i) {
        rows->rows[i] = (uint16_t)(B8_ROW_GRADIENT + 8 * i + s->level[i]);
        rows->signs[i] = (uint16_t)((8 * i + s->level[i]) | ((s->negative >> i) & 1) << 15);
    }
    b8_add_list(rows, s->left, B8_ROW_LEFT, 40, sign_items);
    b8_add_list(rows, s->above, B8_ROW_LEFT + 2 * groups, 40 + sign_items, sign_items);
}

/* 2^15 times a decision's probability, from its logit. */
static inline uint32_t b8_sigmoid(const uint16_t *sigmoid, int logit) { return sigmoid[logit + 128]; }

static inline int b8_level_bin(int logit) { return (logit + 128) >> 4; }

static inline void b8_push_item(b8_list *list, int item, uint32_t negative)
{
    if (list->count < B8_LIST) {
        list->item[list->count++] = (uint8_t)((uint32_t)item | negative << 7);
    }
}

/* The 4x4 (or 2x2) DCT of a unit's block means, orthonormal, in 2^14ths. */
static inline void b8_dct4(int32_t x[4])
{
    int32_t a = x[0] + x[3], b = x[1] + x[2], c = x[0] - x[3], d = x[1] - x[2];
    x[0] = (8192 * (a + b) + 8192) >> 14;
    x[2] = (8192 * (a - b) + 8192) >> 14;
    x[1] = (10703 * c + 4433 * d + 8192) >> 14;
    x[3] = (4433 * c - 10703 * d + 8192) >> 14;
}

static inline void b8_idct4(int32_t x[4])
{
    int32_t a = (8192 * (x[0] + x[2]) + 8192) >> 14, b = (8192 * (x[0] - x[2]) + 8192) >> 14;
    int32_t c = (10703 * x[1] + 4433 * x[3] + 8192) >> 14, d = (4433 * x[1] - 10703 * x[3] + 8192) >> 14;
    x[0] = a + c;
    x[3] = a - c;
    x[1] = b + d;
    x[2] = b - d;
}

static inline void b8_means_transform(int32_t *m, int side, int inverse)
{
    if (side == 2) { /* its own inverse */
        int32_t a = m[0] + m[1], b = m[0] - m[1], c = m[2] + m[3], d = m[2] - m[3];
        m[0] = (a + c + 1) >> 1;
        m[1] = (b + d + 1) >> 1;
        m[2] = (a - c + 1) >> 1;
        m[3] = (b - d + 1) >> 1;
        return;
    }
    for (int pass = 0; pass < 2; ++pass) {
        for (int i = 0; i < 4; ++i) {
            int32_t *at = pass == 0 ? m + 4 * i : m + i;
            int32_t step = pass == 0 ? 1 : 4;
            int32_t x[4] = {at[0], at[step], at[2 * step], at[3 * step]};
            if (inverse) {
                b8_idct4(x);
            } else {
                b8_dct4(x);
            }
            at[0] = x[0];
            at[step] = x[1];
            at[2 * step] = x[2];
            at[3 * step] = x[3];
        }
    }
}

#endif
