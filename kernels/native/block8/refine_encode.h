/* Coding layers that refine. Included once for each vector width. */

/* The magnitude of a coefficient: the upper bits of what the last layer rounds it to. */
static inline int32_t b8_nested_level(const b8_refinement *r, const b8_step *step, int32_t magnitude)
{
    const int32_t x = (int32_t)(((uint64_t)(uint32_t)magnitude * step->reciprocal) >> 16);
    return (x + r->rounding) >> 8;
}

/* The new level of a coefficient that was known: one bit more. */
static inline int32_t b8_refined_level(const b8_refinement *r, const b8_step *step, int32_t level, int32_t value)
{
    const int32_t along = level < 0 ? -value : value, low = 2 * b8_magnitude(level);
    int32_t magnitude = low + (along > 0 && low < 32767 && b8_nested_level(r, step, along) > low);
    magnitude = magnitude > 32767 ? 32767 : magnitude;
    return level < 0 ? -magnitude : magnitude;
}

/* By how much the squared error of a coefficient falls. */
static inline int64_t b8_gain(int32_t value, int32_t before, int32_t now)
{
    return (int64_t)(value - before) * (value - before) - (int64_t)(value - now) * (value - now);
}

/* Half-size chroma counts for four pixels a sample. */
static inline void b8_add_worth(b8_refinement *r, int model, int64_t gain)
{
    r->worth += model == B8_CHROMA || model == B8_CHROMA_MEANS ? 4 * gain : gain;
}

/* One block: `values` and `b` by place in the scan, `candidates` the places that may become other than 0. Returns
 * those that do; `now` are the levels. */
static uint64_t b8_refine_block(b8_packer *packer, b8_refinement *r, int model, const b8_step *step, const b8_known *b,
                                const int16_t values[64], uint64_t candidates, const b8_surroundings *around,
                                int16_t now[64])
{
    const b8_tables *tables = packer->contexts.tables;
    const b8_set *set = &tables->refinements[step->set];
    const uint64_t open = b8_open_places(b, model);
    int64_t gain = 0;
    uint64_t places = 0;
    uint16_t *queue = b8_queue_room(packer, packer->queued);
    for (uint64_t rest = b->known; rest != 0; rest &= rest - 1) {
        const int k = b8_lowest_bit(rest);
        const int32_t level = b8_refined_level(r, step, b->level[k], values[k]);
        b8_put(&queue, set->changes[b8_change_of(model, b->level[k])], (uint32_t)level & 1u);
        now[k] = (int16_t)level;
        gain += b8_gain(values[k], b8_rebuild_level(b->level[k], &r->wider[step == &packer->contexts.steps[1]], r->later + 1),
                        b8_rebuild_level(level, step, r->later));
    }
    packer->queued = queue;
    if (open == 0) {
        b8_add_worth(r, model, gain);
        return 0;
    }
    int8_t acc[64] = {0}, signs[16] = {0};
    b8_block_rows rows;
    b8_name_rows(&rows, model, around);
    int found = b8_begin_block(acc, signs, set, model, &rows, b);
    uint64_t ahead = open; /* places that were not passed yet */
    queue = b8_queue_room(packer, packer->queued);
    for (uint64_t rest = candidates; rest != 0;) {
        const int k = b8_lowest_bit(rest);
        rest &= rest - 1;
        const int32_t x = (int32_t)(((uint64_t)(uint32_t)b8_magnitude(values[k]) * step->reciprocal) >> 16);
        const int logit = acc[b8_zero_lane[k]], end = acc[b8_end_lane[b8_lowest_bit(ahead)]];
        int32_t magnitude = r->later > 0 ? (x + r->rounding) >> 8
                                         : b8_decide(tables->decisions, x, logit, end, rest == 0);
        if (magnitude == 0) {
            continue;
        }
        magnitude = magnitude > 32767 ? 32767 : magnitude;
        b8_put(&queue, b8_sigmoid(tables->sigmoid, end), 0);
        for (; b8_lowest_bit(ahead) < k; ahead &= ahead - 1) {
            b8_put(&queue, b8_sigmoid(tables->sigmoid, acc[b8_zero_lane[b8_lowest_bit(ahead)]]), 0);
        }
        ahead &= ahead - 1;
        if (ahead != 0) {
            b8_put(&queue, b8_sigmoid(tables->sigmoid, logit), 1);
        }
        const uint32_t negative = values[k] < 0;
        b8_put(&queue, k <= 16 ? b8_sigmoid(tables->sigmoid, signs[k - 1]) : 1u << (B8_PROB_BITS - 1), negative);
        b8_put_level(&queue, set->levels[model], k, b8_level_bin(logit), magnitude);
        b8_take_in(acc, 64, signs, set, model, 2 * b8_group_of(model)[k] + (magnitude > 1), found++, negative);
        now[k] = (int16_t)(negative ? -magnitude : magnitude);
        places |= UINT64_C(1) << k;
        gain += b8_gain(values[k], 0, b8_rebuild_level(now[k], step, r->later));
        queue = b8_queue_room(packer, queue);
    }
    if (ahead != 0) {
        b8_put(&queue, b8_sigmoid(tables->sigmoid, acc[b8_end_lane[b8_lowest_bit(ahead)]]), 1);
    }
    packer->queued = queue;
    b8_add_worth(r, model, gain);
    return places;
}

/* What the encoder knows of one plane's part of a unit. */
typedef struct {
    b8_unit unit;
    b8_known known[17];          /* blocks at 4 * row + column, and the means' transform */
    int16_t values[17][64];      /* the same, by place in the scan */
    uint64_t candidates[17];
    int32_t root, target;        /* the root as it was, and as it should be */
} b8_refined_plane;

static uint64_t b8_prepare_refined_block(const b8_refinement *r, b8_refined_plane *s, int at, int model,
                                         const uint16_t *slots, const int16_t *before, const int16_t *values,
                                         const uint8_t *offsets, uint64_t reach)
{
    const int last = b8_sides[model] * b8_sides[model];
    const b8_step *step = s->unit.step;
    uint64_t any = 0;
    b8_recall(&s->known[at], before, slots, model);
    s->candidates[at] = 0;
    for (int k = 1; k < last; ++k) {
        const int16_t value = s->values[at][k] = values[offsets[k]];
        const int32_t level = s->known[at].level[k];
        if (level == 0) {
            s->candidates[at] |= (uint64_t)(b8_magnitude(value) >= r->limits[s->unit.plane > 0]) << k;
        } else {
            any |= b8_refined_level(r, step, level, value) != 2 * level;
        }
    }
    s->candidates[at] &= reach;
    return any | s->candidates[at];
}

/* Finds what may change in a plane's part of a unit; 0 if nothing does. */
static uint64_t b8_prepare_refinement(const b8_encoder *e, const b8_refinement *r, const int16_t *before, uint64_t reach,
                                      b8_refined_plane *s)
{
    b8_unit *u = &s->unit;
    const int means_model = u->model + B8_LUMA_MEANS;
    const int lane = u->plane == 2 ? 16 : 0;
    int32_t means[16];
    int16_t values[16];
    uint64_t any = 0;
    for (int y = 0; y < u->side; ++y) {
        const int from = 8 * (y < u->blocks_y ? y : u->blocks_y - 1) + lane;
        for (int x = 0; x < u->side; ++x) {
            means[y * u->side + x] = b8_column_of(&e->packers[0], u->plane, x < u->blocks_x ? x : u->blocks_x - 1)[from];
        }
    }
    b8_means_transform(means, u->side, 0);
    for (int i = 0; i < u->side * u->side; ++i) {
        values[i] = b8_clamp16(means[i]);
    }
    before += b8_level_base(u->plane, 0, 0);
    s->root = before[0];
    s->target = means[0];
    any |= 2 * b8_magnitude(s->target - s->root) > b8_scale(1, u->step);
    any |= b8_prepare_refined_block(r, s, 16, means_model, r->slots[means_model], before, values,
                                    e->offsets[means_model], reach);
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            any |= b8_prepare_refined_block(r, s, 4 * y + x, u->model, r->slots[u->model], before + 256 * x + 8 * y,
                                            b8_column_of(&e->packers[0], u->plane, x) + 8 * y + lane, e->offsets[u->model], reach);
        }
    }
    return any;
}

static void b8_refine_plane(b8_packer *packer, b8_refinement *r, uint32_t unit, const b8_place *p, b8_refined_plane *s)
{
    b8_contexts *c = &packer->contexts;
    b8_unit *u = &s->unit;
    const int means_model = u->model + B8_LUMA_MEANS;
    const b8_set *set = &c->tables->refinements[u->step->set];
    int16_t *levels = r->now + (size_t)unit * B8_UNIT_SAMPLES + b8_level_base(u->plane, 0, 0);
    b8_surroundings around;
    b8_list list, near[2];
    int16_t now[64];
    uint16_t *queue = b8_queue_room(packer, packer->queued);
    b8_put(&queue, set->changes[b8_change_of(means_model, 0)], s->target < s->root);
    packer->queued = queue;
    const int32_t root = b8_refined_root(s->root, s->target < s->root, u->step);
    b8_add_worth(r, means_model, b8_gain(s->target, s->root, root));
    b8_refined_root_surroundings(r, c, unit, u, p, root, near, &around);
    uint64_t places = b8_refine_block(packer, r, means_model, u->step, &s->known[16], s->values[16], s->candidates[16], &around,
                                      now);
    b8_keep_levels(&list, levels, r->slots[means_model], means_model, &s->known[16], now, places);
    levels[0] = (int16_t)root;
    b8_keep_refined_means(r, c, unit, u, p, levels, root);
    u->lines->means[p->x] = list;
    u->lines->left_means = list;
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            const int at = 4 * y + x;
            b8_refined_surroundings(r, c, unit, u, p, x, y, near, &around);
            places = b8_refine_block(packer, r, u->model, u->step, &s->known[at], s->values[at], s->candidates[at], &around, now);
            b8_keep_levels(&u->lists[y][x], levels + 256 * x + 8 * y, r->slots[u->model], u->model, &s->known[at], now,
                           places);
        }
    }
    b8_remember_blocks(u, p);
}

static void b8_refine_unit(b8_encoder *e, b8_refinement *r, uint64_t reach)
{
    b8_packer *packer = &e->packers[0];
    b8_contexts *c = &packer->contexts;
    const uint32_t unit = packer->next;
    const b8_place p = b8_place_of(c, unit);
    const int16_t *before = r->before + (size_t)unit * B8_UNIT_SAMPLES;
    const int planes = c->bands == 1 ? 1 : 3;
    b8_refined_plane parts[3];
    uint64_t any = 0;
    for (int plane = 0; plane < planes; ++plane) {
        b8_unit_begin(&parts[plane].unit, c, &p, plane);
        any |= b8_prepare_refinement(e, r, before, reach, &parts[plane]);
    }
    any = reach == 0 ? 0 : any;
    b8_put(&packer->queued, c->tables->refinements[r->steps[0].set].skip[b8_skip_context(c, &p)], any == 0);
    b8_remember_skip(c, &p, any == 0);
    for (int plane = 0; plane < planes; ++plane) {
        if (any == 0) {
            b8_skip_refinement(r, c, unit, &parts[plane].unit, &p);
        } else {
            b8_refine_plane(packer, r, unit, &p, &parts[plane]);
        }
    }
}

/* Codes the next unit into the open packet, or into a new one where it does not fit. Of one that fits into no packet,
 * fewer coefficients are sent, and at last none: later layers may send them. */
static int b8_refine_next(b8_encoder *e, b8_refinement *r, b8_sink *sink, int64_t *worth)
{
    b8_packer *packer = &e->packers[0];
    uint64_t reach = UINT64_MAX;
    int status = B8_OK;
    while (status == B8_OK) {
        if (!packer->open) {
            packer->number = e->slice_packets++;
            b8_open_packet(e, packer, e->options.step);
            memcpy(packer->contexts.steps, r->steps, sizeof r->steps);
            r->worth = 0;
        }
        const b8_range_encoder before = packer->range;
        const int64_t worth_before = r->worth;
        b8_refine_unit(e, r, reach);
        b8_flush_queue(packer);
        if (b8_range_size(&packer->range) <= packer->room || reach == 0) {
            ++packer->next;
            return B8_OK;
        }
        if (packer->next > packer->contexts.first) {
            packer->range = before;
            worth[sink->count] = worth_before;
            status = b8_close_packet(e, packer, sink);
        } else {
            reach = reach == UINT64_MAX ? 0xffff : 0;
            packer->open = 0;
        }
    }
    return status;
}

/* Codes the units of a slice, whose coefficients are in a store. */
static int b8_refine_units(b8_encoder *e, b8_refinement *r, const int16_t *store, b8_sink *sink, int64_t *worth)
{
    b8_packer *packer = &e->packers[0];
    const uint32_t units = (e->end - e->begin) * packer->contexts.units_x;
    int status = e->end - e->begin > packer->contexts.slice_rows ? B8_ERROR_ARGUMENT : b8_begin_row(e, e->begin, sink);
    for (uint32_t i = 0; i < units && status == B8_OK; ++i) {
        if (sink->count + 1 >= sink->packet_capacity) {
            return B8_ERROR_SPACE;
        }
        packer->source = store + (size_t)i * B8_UNIT_SAMPLES;
        status = b8_refine_next(e, r, sink, worth);
    }
    if (status == B8_OK && packer->open) {
        worth[sink->count] = r->worth;
        status = b8_close_packet(e, packer, sink);
    }
    return status;
}
