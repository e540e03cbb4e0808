/* Layers that refine a picture known at twice the step: what their encoder and decoder share. Included once for each
 * vector width.
 *
 * A layer's contexts are the units of its packet that were coded before, at the new step, and all other units as the
 * layer before left them. Levels of a unit lie like its coefficients in a store; where a store has the means of
 * blocks, they have the levels of the means' transform, the first the root itself.
 */

#define B8_TRACE_KNOWN 64 /* in a record's place: known before, at the level that follows */

/* The level nearest to a value. */
static inline int16_t b8_level_of(int32_t value, const b8_step *step)
{
    const int32_t level = (int32_t)(((int64_t)b8_magnitude(value) * 256 + step->q8 / 2) / step->q8);
    return b8_clamp16(value < 0 ? -level : level);
}

/* What is known of one block: its levels at twice the step, by place in the scan. */
typedef struct {
    int16_t level[64];
    uint64_t known;      /* places where they are not 0 */
} b8_known;

/* Places that may become other than 0. */
static inline uint64_t b8_open_places(const b8_known *b, int model)
{
    const uint64_t places = model < B8_LUMA_MEANS ? ~UINT64_C(1) : model == B8_LUMA_MEANS ? 0xfffe : 0xe;
    return places & ~b->known;
}

/* Where the levels of block (x, y) begin in a unit; those of the means' transform begin at block (0, 0). */
static inline uint32_t b8_level_base(int plane, int x, int y)
{
    return (uint32_t)(256 * ((plane > 0 ? 4 : 0) + x) + (plane == 2 ? 16 : 0) + 8 * y);
}

static inline void b8_recall(b8_known *b, const int16_t *levels, const uint16_t *slots, int model)
{
    const int last = b8_sides[model] * b8_sides[model];
    b->known = 0;
    for (int k = 1; k < last; ++k) {
        b->level[k] = levels[slots[k]];
        b->known |= (uint64_t)(b->level[k] != 0) << k;
    }
}

/* The list of a block that this packet does not hold: its levels are of twice the step. */
static inline void b8_recall_list(b8_list *list, const int16_t *levels, const uint16_t *slots, int model)
{
    b8_known b;
    list->count = 0;
    b8_recall(&b, levels, slots, model);
    for (uint64_t rest = b.known; rest != 0 && list->count < B8_LIST; rest &= rest - 1) {
        const int k = b8_lowest_bit(rest);
        b8_push_item(list, 2 * b8_group_of(model)[k] + 1, b.level[k] < 0);
    }
}

/* Keeps a block's levels at the new step, and makes their list. */
static inline void b8_keep_levels(b8_list *list, int16_t *levels, const uint16_t *slots, int model, const b8_known *b,
                                  const int16_t *now, uint64_t places)
{
    const int last = b8_sides[model] * b8_sides[model];
    list->count = 0;
    for (int k = 1; k < last; ++k) {
        levels[slots[k]] = 0;
    }
    for (uint64_t rest = b->known | places; rest != 0; rest &= rest - 1) {
        const int k = b8_lowest_bit(rest);
        levels[slots[k]] = now[k];
        b8_push_item(list, 2 * b8_group_of(model)[k] + (b8_magnitude(now[k]) > 1), now[k] < 0);
    }
}

/* Which probability a level's next bit has, or (for level 0) a root's. */
static inline int b8_change_of(int model, int32_t level)
{
    const int32_t magnitude = b8_magnitude(level);
    return 8 * model + (magnitude < 7 ? magnitude : 7);
}

/* The root after a bit: half a step up or down. */
static inline int32_t b8_refined_root(int32_t root, uint32_t down, const b8_step *step)
{
    const int32_t half = b8_scale(1, step) / 2;
    return b8_clamp16(down ? root - half : root + half);
}

/* The logits of a block of which some places are known; returns how many. */
static inline int b8_begin_block(int8_t acc[64], int8_t signs[16], const b8_set *set, int model, const b8_block_rows *rows,
                                 const b8_known *b)
{
    int found = 0;
    b8_add_rows(acc, set->rows[model], rows->rows, rows->row_count);
    b8_add_rows(acc + 32, set->rest[model], rows->rows, rows->row_count);
    b8_add_signs(signs, set->signs[model], rows->signs, rows->sign_count);
    for (uint64_t rest = b->known; rest != 0; rest &= rest - 1) {
        const int k = b8_lowest_bit(rest);
        b8_take_in(acc, 64, signs, set, model, 2 * b8_group_of(model)[k] + (b8_magnitude(b->level[k]) > 1), found++,
                   b->level[k] < 0);
    }
    return found;
}

/* Mean of a block near `unit`; blocks of the unit itself, and of those after it, are as the layer before left them. */
static inline int32_t b8_mean_near(const b8_refinement *r, const b8_contexts *c, uint32_t unit, int plane, uint32_t x,
                                   uint32_t y)
{
    const uint32_t side = plane == 0 ? 4 : 2, owner = y / side * c->units_x + x / side;
    const int16_t *means = owner >= c->first && owner < unit ? r->means : r->means_before;
    return means[r->base[plane] + y * c->blocks_x[plane] + x];
}

/* A unit's root as the blocks along one of its sides would have it; they begin at (x, y). */
static inline int32_t b8_root_beside(const b8_refinement *r, const b8_contexts *c, uint32_t unit, const b8_unit *u,
                                     uint32_t x, uint32_t y, int along_x)
{
    const int count = along_x ? u->blocks_x : u->blocks_y;
    int32_t sum = 0;
    for (int i = 0; i < count; ++i) {
        sum += b8_mean_near(r, c, unit, u->plane, x + (along_x ? (uint32_t)i : 0), y + (along_x ? 0 : (uint32_t)i));
    }
    return sum * u->side / count;
}

/* What is known around the transform of a unit's means: slopes, curvatures and twist of the means around the unit. */
static inline void b8_refined_root_surroundings(const b8_refinement *r, const b8_contexts *c, uint32_t unit,
                                                const b8_unit *u, const b8_place *p, int32_t root, b8_list near[2],
                                                b8_surroundings *s)
{
    const uint32_t x = p->x * (uint32_t)u->side, y = p->y * (uint32_t)u->side;
    const int has[4] = {x > 0, p->x + 1 < c->units_x, y > 0, p->y + 1 < c->units_y}; /* left, right, above, below */
    int32_t near_root[4] = {root, root, root, root};
    for (int i = 0; i < 4; ++i) {
        if (has[i]) {
            const uint32_t from_x = i == 0 ? x - 1 : i == 1 ? x + (uint32_t)u->side : x;
            const uint32_t from_y = i == 2 ? y - 1 : i == 3 ? y + (uint32_t)u->side : y;
            near_root[i] = b8_root_beside(r, c, unit, u, from_x, from_y, i > 1);
        }
    }
    for (int i = 0; i < 4; ++i) {
        if (!has[i]) {
            near_root[i] = 2 * root - near_root[i ^ 1];
        }
    }
    memset(s, 0, sizeof *s);
    b8_take_gradient(s, 0, b8_in_quarters(near_root[1] - near_root[0], u->step));
    b8_take_gradient(s, 1, b8_in_quarters(near_root[3] - near_root[2], u->step));
    b8_take_gradient(s, 2, b8_in_quarters(near_root[0] + near_root[1] - 2 * root, u->step));
    b8_take_gradient(s, 3, b8_in_quarters(near_root[2] + near_root[3] - 2 * root, u->step));
    if (has[0] && has[1] && has[2] && has[3]) {
        const uint32_t side = (uint32_t)u->side;
        const int32_t twist = b8_mean_near(r, c, unit, u->plane, x - 1, y - 1) +
                              b8_mean_near(r, c, unit, u->plane, x + side, y + side) -
                              b8_mean_near(r, c, unit, u->plane, x + side, y - 1) -
                              b8_mean_near(r, c, unit, u->plane, x - 1, y + side);
        b8_take_gradient(s, 4, b8_in_quarters(twist * u->side, u->step));
    }
    const int model = u->model + B8_LUMA_MEANS;
    const b8_list *left = NULL, *above = NULL;
    if (p->left) {
        left = &u->lines->left_means;
    } else if (has[0]) {
        b8_recall_list(&near[0], r->before + (size_t)(unit - 1) * B8_UNIT_SAMPLES + b8_level_base(u->plane, 0, 0),
                       r->slots[model], model);
        left = &near[0];
    }
    if (p->above) {
        above = &u->lines->means[p->x];
    } else if (has[2]) {
        b8_recall_list(&near[1],
                       r->before + (size_t)(unit - c->units_x) * B8_UNIT_SAMPLES + b8_level_base(u->plane, 0, 0),
                       r->slots[model], model);
        above = &near[1];
    }
    b8_take_neighbours(s, left, above);
}

/* The unit's block means with a rim of one, in quarters of a step; beyond the picture they go on as they went. */
static inline void b8_fill_known_around(const b8_refinement *r, const b8_contexts *c, uint32_t unit, b8_unit *u,
                                        const b8_place *p)
{
    const uint32_t x0 = p->x * (uint32_t)u->side, y0 = p->y * (uint32_t)u->side;
    const int right = u->blocks_x + 1, below = u->blocks_y + 1;
    const int top = y0 > 0 ? 0 : 1, bottom = p->y + 1 < c->units_y ? below : below - 1;
    const int first = x0 > 0 ? 0 : 1, last = p->x + 1 < c->units_x ? right : right - 1;
    for (int y = top; y <= bottom; ++y) {
        int32_t *row = u->around[y];
        for (int x = first; x <= last; ++x) {
            const int inside = x > 0 && x < right && y > 0 && y < below;
            row[x] = b8_in_quarters(inside ? u->means[(y - 1) * u->side + x - 1]
                                           : b8_mean_near(r, c, unit, u->plane, x0 + (uint32_t)x - 1,
                                                          y0 + (uint32_t)y - 1),
                                    u->step);
        }
        if (first > 0) {
            row[0] = u->blocks_x > 1 ? 2 * row[1] - row[2] : row[1];
        }
        if (last < right) {
            row[right] = 2 * row[right - 1] - row[right - 2];
        }
    }
    for (int x = 0; x <= right; ++x) {
        if (top > 0) {
            u->around[0][x] = u->blocks_y > 1 ? 2 * u->around[1][x] - u->around[2][x] : u->around[1][x];
        }
        if (bottom < below) {
            u->around[below][x] = 2 * u->around[below - 1][x] - u->around[below - 2][x];
        }
    }
}

/* What is known around block (x, y) of the unit. */
static inline void b8_refined_surroundings(const b8_refinement *r, const b8_contexts *c, uint32_t unit, b8_unit *u,
                                           const b8_place *p, int x, int y, b8_list near[2], b8_surroundings *s)
{
    b8_block_surroundings(u, p, x, y, s);
    const b8_list *left = s->left, *above = s->above;
    if (left == NULL && p->x > 0) {
        b8_recall_list(&near[0],
                       r->before + (size_t)(unit - 1) * B8_UNIT_SAMPLES + b8_level_base(u->plane, u->side - 1, y),
                       r->slots[u->model], u->model);
        left = &near[0];
    }
    if (above == NULL && p->y > 0) {
        b8_recall_list(&near[1],
                       r->before + (size_t)(unit - c->units_x) * B8_UNIT_SAMPLES +
                           b8_level_base(u->plane, x, u->side - 1),
                       r->slots[u->model], u->model);
        above = &near[1];
    }
    b8_take_neighbours(s, left, above);
}

/* Rebuilds the unit's block means from the root and the levels of their transform, and keeps them. */
static inline void b8_keep_refined_means(b8_refinement *r, const b8_contexts *c, uint32_t unit, b8_unit *u,
                                         const b8_place *p, const int16_t *levels, int32_t root)
{
    const int model = u->model + B8_LUMA_MEANS;
    u->means[0] = root;
    for (int k = 1; k < u->side * u->side; ++k) {
        u->means[c->tables->scans[model][k]] = b8_rebuild_level(levels[r->slots[model][k]], u->step, r->later);
    }
    b8_means_transform(u->means, u->side, 1);
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            int32_t *mean = &u->means[y * u->side + x];
            *mean = b8_clamp16(*mean);
            r->means[r->base[u->plane] + (p->y * (uint32_t)u->side + (uint32_t)y) * c->blocks_x[u->plane] +
                     p->x * (uint32_t)u->side + (uint32_t)x] = (int16_t)*mean;
        }
    }
    b8_fill_known_around(r, c, unit, u, p);
    b8_find_gradients(&u->gradients, u->around);
}

/* One plane of a unit whose next bits are all 0. */
static inline void b8_skip_refinement(b8_refinement *r, const b8_contexts *c, uint32_t unit, b8_unit *u, const b8_place *p)
{
    const int16_t *before = r->before + (size_t)unit * B8_UNIT_SAMPLES;
    int16_t *now = r->now + (size_t)unit * B8_UNIT_SAMPLES;
    b8_list list;
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            b8_recall_list(&u->lists[y][x], before + b8_level_base(u->plane, x, y), r->slots[u->model], u->model);
        }
    }
    b8_remember_blocks(u, p);
    b8_recall_list(&list, before + b8_level_base(u->plane, 0, 0), r->slots[u->model + B8_LUMA_MEANS],
                   u->model + B8_LUMA_MEANS);
    u->lines->means[p->x] = list;
    u->lines->left_means = list;
    for (int x = 0; x < u->side; ++x) {
        for (int i = 0; i < 256; ++i) {
            const uint32_t at = b8_level_base(u->plane, x, 0) + (uint32_t)i;
            if ((i & 31) < 8 * u->side) {
                now[at] = b8_clamp16(2 * before[at]);
            }
        }
    }
    now += b8_level_base(u->plane, 0, 0);
    now[0] = before[b8_level_base(u->plane, 0, 0)];
    b8_keep_refined_means(r, c, unit, u, p, now, now[0]);
}
