/* Which neighbours of a unit are known in its packet, and the gradients of block means around a block. */
#ifndef B8_CONTEXTS_H
#define B8_CONTEXTS_H

#include "coder.h"

typedef struct {
    uint32_t x, y;            /* of the unit */
    int left, above;          /* known, in this packet */
} b8_place;

static inline b8_place b8_place_of(const b8_contexts *c, uint32_t unit)
{
    b8_place p;
    p.x = unit % c->units_x;
    p.y = unit / c->units_x;
    p.left = p.x > 0 && unit > c->first;
    p.above = p.y > 0 && unit - c->units_x >= c->first && unit >= c->units_x;
    return p;
}

/* Blocks of a unit along x (or y) that lie in the picture. */
static inline int b8_blocks_in(uint32_t unit, uint32_t blocks, int side)
{
    uint32_t from = unit * (uint32_t)side;
    uint32_t left = blocks > from ? blocks - from : 0;
    return left > (uint32_t)side ? side : (int)left;
}

/* A unit's root (its mean, times its side) as the blocks to the left, and those above, would have it. */
static inline int32_t b8_left_root(const b8_plane_lines *l, int side, int blocks_y)
{
    int32_t sum = 0;
    for (int i = 0; i < blocks_y; ++i) {
        sum += l->left_dc[i];
    }
    return sum * side / blocks_y;
}

static inline int32_t b8_above_root(const b8_plane_lines *l, const b8_place *p, int side, int blocks_x)
{
    int32_t sum = 0;
    for (int i = 0; i < blocks_x; ++i) {
        sum += l->dc[p->x * (uint32_t)side + (uint32_t)i];
    }
    return sum * side / blocks_x;
}

static inline int32_t b8_predict_root(const b8_plane_lines *l, const b8_place *p, int side, int blocks_x, int blocks_y)
{
    int32_t left = p->left ? b8_left_root(l, side, blocks_y) : 0;
    int32_t above = p->above ? b8_above_root(l, p, side, blocks_x) : 0;
    return p->left && p->above ? (left + above) / 2 : left + above;
}

/* Block means of a unit with a rim of one, in quarters of a step; what is not known goes on as it went. */
static inline void b8_fill_gradients(int32_t g[6][6], const b8_plane_lines *l, const b8_place *p, const b8_step *step,
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

/* The gradients around the block at g[y + 1][x + 1]: slopes, curvatures and twist. */
static inline void b8_take_gradients(b8_surroundings *s, int32_t g[6][6], int x, int y)
{
    int32_t here = 2 * g[y + 1][x + 1];
    b8_take_gradient(s, 0, g[y + 1][x + 2] - g[y + 1][x]);
    b8_take_gradient(s, 1, g[y + 2][x + 1] - g[y][x + 1]);
    b8_take_gradient(s, 2, g[y + 1][x + 2] + g[y + 1][x] - here);
    b8_take_gradient(s, 3, g[y + 2][x + 1] + g[y][x + 1] - here);
    b8_take_gradient(s, 4, g[y][x] + g[y + 2][x + 2] - g[y][x + 2] - g[y + 2][x]);
}

/* How long the residual of a root is likely to be: from those beside and above. */
static inline int b8_root_context(const b8_plane_lines *l, const b8_place *p)
{
    int sum = 0;
    if (!p->left && !p->above) {
        return 5;
    }
    sum += p->left ? l->left_root : l->root[p->x];
    sum += p->above ? l->root[p->x] : l->left_root;
    return sum > 8 ? 4 : sum / 2;
}

static inline int b8_skip_context(const b8_contexts *c, const b8_place *p)
{
    if (c->skip_run >= B8_LONG_RUN && (!p->above || c->skipped[p->x])) {
        return 4;
    }
    if (!p->left && !p->above) {
        return 3;
    }
    return (p->left && c->left_skipped) + (p->above && c->skipped[p->x]);
}

/* One plane's part of a unit. */
typedef struct {
    int plane, model, side, blocks_x, blocks_y;
    const b8_step *step;
    b8_plane_lines *lines;
    int32_t root;        /* residual, in steps */
    int32_t levels[16];  /* of the means' transform, by natural index; [0] is not used */
    int32_t means[16];   /* DC of the blocks as the decoder knows them */
    int32_t gradients[6][6];
} b8_unit;

static inline b8_unit b8_unit_of(b8_contexts *c, const b8_place *p, int plane)
{
    b8_unit u;
    memset(&u, 0, sizeof u);
    u.plane = plane;
    u.model = plane == 0 ? B8_LUMA : B8_CHROMA;
    u.side = plane == 0 ? 4 : 2;
    u.blocks_x = b8_blocks_in(p->x, c->blocks_x[plane], u.side);
    u.blocks_y = b8_blocks_in(p->y, c->blocks_y[plane], u.side);
    u.step = &c->steps[plane > 0];
    u.lines = &c->lines[plane];
    return u;
}

/* The root, from its residual, and what is known around the transform of the unit's means: how the root differs
 * from what the blocks to the left and above would have it. */
static inline int32_t b8_root_surroundings(const b8_unit *u, const b8_place *p, b8_surroundings *s)
{
    const b8_plane_lines *l = u->lines;
    int32_t root = b8_predict_root(l, p, u->side, u->blocks_x, u->blocks_y);
    root = b8_clamp16(root + b8_scale(u->root, u->step));
    int32_t left = p->left ? b8_left_root(l, u->side, u->blocks_y) : root;
    int32_t above = p->above ? b8_above_root(l, p, u->side, u->blocks_x) : root;
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
    u->means[0] = root;
    for (int i = 1; i < u->side * u->side; ++i) {
        u->means[i] = u->levels[i] == 0 ? 0 : b8_dequantise(u->levels[i], u->step);
    }
    b8_means_transform(u->means, u->side, 1);
    for (int i = 0; i < u->side * u->side; ++i) {
        u->means[i] = b8_clamp16(u->means[i]);
    }
    b8_fill_gradients(u->gradients, u->lines, p, u->step, u->means, u->side, u->blocks_x, u->blocks_y);
}

/* What is known around block (x, y) of the unit. */
static inline void b8_block_surroundings(b8_unit *u, const b8_place *p, int x, int y, b8_surroundings *s)
{
    s->negative = 0;
    b8_take_gradients(s, u->gradients, x, y);
    b8_take_neighbours(s, x > 0 || p->left ? &u->lines->left[y] : NULL,
                       y > 0 || p->above ? &u->lines->blocks[p->x * (uint32_t)u->side + (uint32_t)x] : NULL);
}

static inline void b8_remember_block(b8_unit *u, const b8_place *p, int x, int y, const b8_list *list)
{
    u->lines->left[y] = *list;
    u->lines->blocks[p->x * (uint32_t)u->side + (uint32_t)x] = *list;
}

static inline void b8_remember_skip(b8_contexts *c, const b8_place *p, int skipped)
{
    c->skipped[p->x] = c->left_skipped = (uint8_t)skipped;
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
    for (int x = 0; x < u->blocks_x; ++x) {
        l->dc[p->x * (uint32_t)u->side + (uint32_t)x] = (int16_t)u->means[(u->blocks_y - 1) * u->side + x];
    }
    for (int y = 0; y < u->blocks_y; ++y) {
        l->left_dc[y] = (int16_t)u->means[y * u->side + u->blocks_x - 1];
    }
    l->means[p->x] = *list;
    l->left_means = *list;
    l->left_root = (uint8_t)b8_bit_length((uint32_t)b8_magnitude(u->root));
    l->root[p->x] = l->left_root;
}

/* A unit of which nothing was sent: its means are predicted, its blocks empty. */
static inline void b8_skip_plane(b8_unit *u, const b8_place *p)
{
    static const b8_list none = {0, {0}};
    b8_surroundings around;
    b8_rebuild_means(u, p, b8_root_surroundings(u, p, &around));
    b8_remember_means(u, p, &none);
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            b8_remember_block(u, p, x, y, &none);
        }
    }
}

#endif
