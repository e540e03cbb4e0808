/* Which neighbours of a unit are known in its packet, and the gradients of block means around a block. */
#ifndef B8_CONTEXTS_H
#define B8_CONTEXTS_H

#include "coder.h"

typedef struct {
    uint32_t x, y;            /* of the unit */
    int left, above;          /* the units beside and above are known, in this packet */
    int apart;                /* units that touch are in different packets: */
    int before, over[2];      /* ... which of those two to the left, and above to both sides, are known; ... */
    uint32_t phase;           /* ... 0 or 1, as on a chessboard */
} b8_place;

/* Interleaved, the units of a slice are numbered as on a chessboard: first those of phase 0, where x + y is even (y
 * counted from the slice's first row), row by row, then those of phase 1. */
static inline uint32_t b8_in_row(const b8_contexts *c, uint32_t phase, uint32_t y)
{
    return (c->units_x + ((phase + y + 1u) & 1u)) / 2;
}

static inline uint32_t b8_phase_units(const b8_contexts *c, uint32_t phase, uint32_t rows)
{
    return rows / 2 * c->units_x + (rows & 1u ? b8_in_row(c, phase, 0) : 0);
}

static inline uint32_t b8_rows_of_slice(const b8_contexts *c, uint32_t slice)
{
    const uint32_t rows = c->units_y - slice * c->slice_rows;
    return rows < c->slice_rows ? rows : c->slice_rows;
}

/* The number of a phase's first unit in row y. */
static inline uint32_t b8_first_of_row(const b8_contexts *c, uint32_t phase, uint32_t y)
{
    const uint32_t slice = y / c->slice_rows, top = slice * c->slice_rows;
    const uint32_t even = phase ? b8_phase_units(c, 0, b8_rows_of_slice(c, slice)) : 0;
    return top * c->units_x + even + b8_phase_units(c, phase, y - top);
}

static inline uint32_t b8_unit_number(const b8_contexts *c, uint32_t x, uint32_t y)
{
    return b8_first_of_row(c, (x + y % c->slice_rows) & 1u, y) + x / 2;
}

static inline b8_place b8_interleaved_place(const b8_contexts *c, uint32_t number)
{
    b8_place p;
    const uint32_t slice_units = c->slice_rows * c->units_x, slice = number / slice_units, top = slice * c->slice_rows;
    const uint32_t even = b8_phase_units(c, 0, b8_rows_of_slice(c, slice));
    uint32_t at = number - slice * slice_units;
    memset(&p, 0, sizeof p);
    p.apart = 1;
    p.phase = at >= even;
    at -= p.phase ? even : 0;
    uint32_t row = at / c->units_x * 2;
    at %= c->units_x;
    if (at >= b8_in_row(c, p.phase, 0)) {
        at -= b8_in_row(c, p.phase, 0);
        ++row;
    }
    p.x = 2 * at + ((p.phase + row) & 1u);
    p.y = top + row;
    p.before = p.x >= 2 && number > c->first;
    p.over[0] = row > 0 && p.x > 0 && b8_unit_number(c, p.x - 1, p.y - 1) >= c->first;
    p.over[1] = row > 0 && p.x + 1 < c->units_x && b8_unit_number(c, p.x + 1, p.y - 1) >= c->first;
    return p;
}

static inline b8_place b8_place_of(const b8_contexts *c, uint32_t number)
{
    if (c->interleaved) {
        return b8_interleaved_place(c, number);
    }
    b8_place p;
    memset(&p, 0, sizeof p);
    p.x = number % c->units_x;
    p.y = number / c->units_x;
    p.left = p.x > 0 && number > c->first;
    p.above = p.y > 0 && number - c->units_x >= c->first && number >= c->units_x;
    return p;
}

/* Blocks of a unit along x (or y) that lie in the picture. */
static inline int b8_blocks_in(uint32_t unit, uint32_t blocks, int side)
{
    uint32_t from = unit * (uint32_t)side;
    uint32_t left = blocks > from ? blocks - from : 0;
    return left > (uint32_t)side ? side : (int)left;
}

static inline int b8_knows_left(const b8_place *p) { return p->left || p->before; }
static inline int b8_knows_above(const b8_place *p) { return p->above || p->over[0] || p->over[1]; }

/* Where a unit's own byte lies in lines that both phases share. */
static inline uint32_t b8_slot(const b8_place *p) { return 2 * p->x + p->phase; }

/* A unit's root (its mean, times its side) as the blocks to the left, and those above, would have it; interleaved,
 * as the roots of units near it are. */
static inline int32_t b8_left_root(const b8_plane_lines *l, const b8_place *p, int side, int blocks_y)
{
    if (p->apart) {
        return l->left_dc[0];
    }
    int32_t sum = 0;
    for (int i = 0; i < blocks_y; ++i) {
        sum += l->left_dc[i];
    }
    return sum * side / blocks_y;
}

static inline int32_t b8_above_root(const b8_plane_lines *l, const b8_place *p, int side, int blocks_x)
{
    int32_t sum = 0;
    if (p->apart) {
        for (int i = 0; i < 2; ++i) {
            sum += p->over[i] ? l->dc[(p->x - 1 + 2 * (uint32_t)i) * (uint32_t)side + p->phase] : 0;
        }
        return p->over[0] && p->over[1] ? sum / 2 : sum;
    }
    for (int i = 0; i < blocks_x; ++i) {
        sum += l->dc[p->x * (uint32_t)side + (uint32_t)i];
    }
    return sum * side / blocks_x;
}

static inline int32_t b8_predict_root(const b8_plane_lines *l, const b8_place *p, int side, int blocks_x, int blocks_y)
{
    int32_t left = b8_knows_left(p) ? b8_left_root(l, p, side, blocks_y) : 0;
    int32_t above = b8_knows_above(p) ? b8_above_root(l, p, side, blocks_x) : 0;
    return b8_knows_left(p) && b8_knows_above(p) ? (left + above) / 2 : left + above;
}

/* Block means of a unit with a rim of one, in quarters of a step; what is not known goes on as it went. */
static inline void b8_fill_around(int32_t g[6][6], const b8_plane_lines *l, const b8_place *p, const b8_step *step,
                                  const int32_t *means, int side, int blocks_x, int blocks_y)
{

    for (int y = 0; y < blocks_y; ++y) {
        for (int x = 0; x < blocks_x; ++x) {
            g[y + 1][x + 1] = b8_in_quarters(means[y * side + x], step);
        }
    }
    for (int x = 1; x <= blocks_x; ++x) {
        g[0][x] = p->above ? b8_in_quarters(l->dc[p->x * (uint32_t)side + (uint32_t)x - 1], step)
                           : blocks_y > 1 ? 2 * g[1][x] - g[2][x] : g[1][x];
        g[blocks_y + 1][x] = 2 * g[blocks_y][x] - g[blocks_y - 1][x];
    }
    for (int y = 0; y <= blocks_y + 1; ++y) {
        int known = p->left && y > 0 && y <= blocks_y;
        g[y][0] = known ? b8_in_quarters(l->left_dc[y - 1], step)
                        : blocks_x > 1 ? 2 * g[y][1] - g[y][2] : g[y][1];
        g[y][blocks_x + 1] = 2 * g[y][blocks_x] - g[y][blocks_x - 1];
    }
}

/* What gradients around a unit's blocks are: of gradient i, block (x, y) is at 16 i + 4 y + x. */
typedef struct {
    uint8_t level[80];
    uint8_t negative[16]; /* bit i: gradient i */
} b8_gradients;

/* The gradients around the blocks, that of row y and column x being g[y + 1][x + 1]: slopes, curvatures and twist.
 * Loops without branches, so that compilers make vectors of them. */
static inline void b8_find_gradients(b8_gradients *s, int32_t g[6][6])
{
    int32_t d[80];
    for (int y = 0; y < 4; ++y) {
        const int32_t *over = g[y], *here = g[y + 1], *under = g[y + 2];
        int32_t *to = d + 4 * y;
        for (int x = 0; x < 4; ++x) {
            to[x] = here[x + 2] - here[x];
            to[x + 16] = under[x + 1] - over[x + 1];
            to[x + 32] = here[x + 2] + here[x] - 2 * here[x + 1];
            to[x + 48] = under[x + 1] + over[x + 1] - 2 * here[x + 1];
            to[x + 64] = over[x] + under[x + 2] - over[x + 2] - under[x];
        }
    }
    for (int i = 0; i < 16; ++i) {
        s->negative[i] = (uint8_t)((d[i] < 0) | (d[i + 16] < 0) << 1 | (d[i + 32] < 0) << 2 | (d[i + 48] < 0) << 3 |
                                   (d[i + 64] < 0) << 4);
    }
    for (int i = 0; i < 80; ++i) { /* as b8_gradient_level */
        const int32_t m = b8_magnitude(d[i]);
        s->level[i] = (uint8_t)((m > 0) + (m > 1) + (m > 3) + (m > 7) + (m > 15) + (m > 31) + (m > 63));
    }
}

/* A byte kept of the units above: interleaved, the greater of two. */
static inline uint32_t b8_above_byte(const uint8_t *line, const b8_place *p)
{
    if (!p->apart) {
        return line[b8_slot(p)];
    }
    const uint32_t a = p->over[0] ? line[b8_slot(p) - 2] : 0, b = p->over[1] ? line[b8_slot(p) + 2] : 0;
    return a > b ? a : b;
}

/* How long the residual of a root is likely to be: from those beside and above. */
static inline int b8_root_context(const b8_plane_lines *l, const b8_place *p)
{
    const int left = b8_knows_left(p), above = b8_knows_above(p);
    if (!left && !above) {
        return 5;
    }
    const uint32_t over = above ? b8_above_byte(l->root, p) : l->left_root;
    const uint32_t sum = over + (left ? l->left_root : over);
    return sum > 8 ? 4 : (int)sum / 2;
}

static inline int b8_skip_context(const b8_contexts *c, const b8_place *p)
{
    const int left = b8_knows_left(p), above = b8_knows_above(p);
    const int over = above && b8_above_byte(c->skipped, p);
    if (c->skip_run >= B8_LONG_RUN && (!above || over)) {
        return 4;
    }
    if (!left && !above) {
        return 3;
    }
    return (left && c->left_skipped) + over;
}

/* One plane's part of a unit. */
typedef struct {
    int plane, model, side, blocks_x, blocks_y;
    const b8_step *step;
    b8_plane_lines *lines;
    int32_t root;        /* residual, in steps */
    int32_t mean;        /* the root itself */
    int32_t levels[16];  /* of the means' transform, by natural index; [0] is not used */
    int32_t means[16];   /* DC of the blocks as the decoder knows them */
    int32_t around[6][6]; /* means in quarters of a step, with a rim of one */
    b8_gradients gradients;
    b8_list lists[4][4]; /* of the blocks that were coded, by row and column */
} b8_unit;

static inline void b8_unit_begin(b8_unit *u, b8_contexts *c, const b8_place *p, int plane)
{
    memset(u, 0, offsetof(b8_unit, means));
    u->plane = plane;
    u->model = plane == 0 ? B8_LUMA : B8_CHROMA;
    u->side = plane == 0 ? 4 : 2;
    u->blocks_x = b8_blocks_in(p->x, c->blocks_x[plane], u->side);
    u->blocks_y = b8_blocks_in(p->y, c->blocks_y[plane], u->side);
    u->step = &c->steps[plane > 0];
    u->lines = &c->lines[plane];
    if (u->blocks_x < 4 || u->blocks_y < 4) { /* the rest is looked at, but not used */
        memset(u->around, 0, sizeof u->around);
    }
}

/* The root, from its residual, and what is known around the transform of the unit's means: how the root differs
 * from what the blocks to the left and above would have it. */
static inline int32_t b8_root_surroundings(const b8_unit *u, const b8_place *p, b8_surroundings *s)
{
    const b8_plane_lines *l = u->lines;
    int32_t root = b8_predict_root(l, p, u->side, u->blocks_x, u->blocks_y);
    root = b8_clamp16(root + b8_scale(u->root, u->step));
    int32_t left = b8_knows_left(p) ? b8_left_root(l, p, u->side, u->blocks_y) : root;
    int32_t above = b8_knows_above(p) ? b8_above_root(l, p, u->side, u->blocks_x) : root;
    memset(s, 0, sizeof *s);
    b8_take_gradient(s, 0, b8_in_quarters(root - left, u->step));
    b8_take_gradient(s, 1, b8_in_quarters(root - above, u->step));
    b8_take_gradient(s, 2, u->root);
    b8_take_neighbours(s, p->left ? &l->left_means : NULL, p->above ? &l->means[p->x] : NULL);
    return root;
}

/* Rebuilds the block means from the root and the levels, and the gradients between them. */
static inline void b8_rebuild_means(b8_unit *u, const b8_place *p, int32_t root)
{
    u->means[0] = u->mean = root;
    for (int i = 1; i < u->side * u->side; ++i) {
        u->means[i] = u->levels[i] == 0 ? 0 : b8_dequantise(u->levels[i], u->step);
    }
    b8_means_transform(u->means, u->side, 1);
    for (int i = 0; i < u->side * u->side; ++i) {
        u->means[i] = b8_clamp16(u->means[i]);
    }
    b8_fill_around(u->around, u->lines, p, u->step, u->means, u->side, u->blocks_x, u->blocks_y);
    b8_find_gradients(&u->gradients, u->around);
}

/* What is known around block (x, y) of the unit. */
static inline void b8_block_surroundings(b8_unit *u, const b8_place *p, int x, int y, b8_surroundings *s)
{
    const int at = 4 * y + x;
    for (int i = 0; i < 5; ++i) {
        s->level[i] = u->gradients.level[16 * i + at];
    }
    s->negative = u->gradients.negative[at];
    b8_take_neighbours(s, x > 0 ? &u->lists[y][x - 1] : p->left ? &u->lines->left[y] : NULL,
                       y > 0 ? &u->lists[y - 1][x]
                             : p->above ? &u->lines->blocks[p->x * (uint32_t)u->side + (uint32_t)x] : NULL);
}

/* What the next units will ask of this one's blocks. */
static inline void b8_remember_blocks(const b8_unit *u, const b8_place *p)
{
    b8_plane_lines *l = u->lines;
    for (int y = 0; y < u->blocks_y && !p->apart; ++y) {
        l->left[y] = u->lists[y][u->blocks_x - 1];
    }
    for (int x = 0; x < u->blocks_x && !p->apart; ++x) {
        l->blocks[p->x * (uint32_t)u->side + (uint32_t)x] = u->lists[u->blocks_y - 1][x];
    }
}

static inline void b8_remember_skip(b8_contexts *c, const b8_place *p, int skipped)
{
    c->skipped[b8_slot(p)] = c->left_skipped = (uint8_t)skipped;
    c->skip_run = skipped ? c->skip_run + 1 : 0;
}

/* Begins a packet. */
static inline void b8_contexts_open(b8_contexts *c, uint32_t first, uint32_t step)
{
    c->first = first;
    c->step = step;
    c->skip_run = 0;
    b8_take_steps(c, 0);
}

/* What the next units will ask of this one's means. */
static inline void b8_remember_means(b8_unit *u, const b8_place *p, const b8_list *list)
{
    b8_plane_lines *l = u->lines;
    l->left_root = (uint8_t)b8_bit_length((uint32_t)b8_magnitude(u->root));
    l->root[b8_slot(p)] = l->left_root;
    if (p->apart) {
        l->left_dc[0] = l->dc[p->x * (uint32_t)u->side + p->phase] = (int16_t)u->mean;
        return;
    }
    for (int x = 0; x < u->blocks_x; ++x) {
        l->dc[p->x * (uint32_t)u->side + (uint32_t)x] = (int16_t)u->means[(u->blocks_y - 1) * u->side + x];
    }
    for (int y = 0; y < u->blocks_y; ++y) {
        l->left_dc[y] = (int16_t)u->means[y * u->side + u->blocks_x - 1];
    }
    l->means[p->x] = *list;
    l->left_means = *list;
}

/* A unit of which nothing was sent: its means are predicted, its blocks empty. */
static inline void b8_skip_plane(b8_unit *u, const b8_place *p)
{
    static const b8_list none = {0, {0}};
    b8_surroundings around;
    b8_rebuild_means(u, p, b8_root_surroundings(u, p, &around));
    b8_remember_means(u, p, &none);
    memset(u->lists, 0, sizeof u->lists);
    b8_remember_blocks(u, p);
}

#endif
