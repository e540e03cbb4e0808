/* Decoding layers. Included once for each vector width. */

/* Keeps what a packet of the first layer held of a unit as levels at the layer's step. */
static void b8_keep_first_layer(b8_decoder *d, b8_unit *u, const b8_place *p, uint32_t unit)
{
    b8_refinement *r = d->refinement;
    const b8_step *step = &r->steps[u->plane > 0];
    int16_t *levels = r->now + (size_t)unit * B8_UNIT_SAMPLES + b8_level_base(u->plane, 0, 0);
    const int means_model = u->model + B8_LUMA_MEANS;
    b8_means_transform(u->means, u->side, 0);
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            const uint32_t block = d->base[u->plane] +
                                   (p->y * (uint32_t)u->side + (uint32_t)y) * d->contexts.blocks_x[u->plane] +
                                   p->x * (uint32_t)u->side + (uint32_t)x;
            const uint32_t *entries = d->picture->entries + d->picture->starts[block];
            for (int k = 1; k < 64; ++k) {
                levels[256 * x + 8 * y + r->slots[u->model][k]] = 0;
            }
            for (int i = 0; i < d->picture->counts[block]; ++i) {
                levels[256 * x + 8 * y + (int)(entries[i] >> 16)] = b8_level_of((int16_t)(entries[i] & 0xffff), step);
            }
        }
    }
    for (int k = 1; k < u->side * u->side; ++k) {
        const int natural = d->contexts.tables->scans[means_model][k];
        levels[r->slots[means_model][k]] = b8_level_of(b8_dequantise(u->levels[natural], u->step), step);
    }
    levels[0] = b8_clamp16(u->means[0]);
    b8_keep_refined_means(r, &d->contexts, unit, u, p, levels, levels[0]);
}

static uint32_t b8_decode_change(b8_decoder *d, const b8_set *set, int model, int32_t level)
{
    const uint8_t at = (uint8_t)b8_change_of(model, level);
    const uint32_t bit = b8_decode_bit(&d->range, set->changes[at]);
    if (d->trace != NULL) {
        const int32_t change = (int32_t)bit;
        static const b8_block_rows none;
        b8_trace_block(d->trace, 7, 0, &none, 1, &at, &change);
    }
    return bit;
}

/* A record of the first pass has all places that it visited, one of the second all that the first visited as known
 * to be 0. */
static void b8_trace_refinement(b8_decoder *d, int model, int set, const b8_block_rows *rows, const b8_known *b,
                                uint64_t found, uint64_t visited, const int16_t *now)
{
    uint8_t places[64];
    int32_t levels[64];
    int count = 0;
    for (uint64_t rest = b->known | b->visited | found | visited; rest != 0; rest &= rest - 1) {
        const int k = b8_lowest_bit(rest);
        const int known = (int)(((b->known | b->visited) >> k) & 1u);
        places[count] = (uint8_t)(k | (known ? B8_TRACE_KNOWN : 0));
        levels[count++] = (b->visited >> k) & 1u ? 0 : known ? b->level[k] : (found >> k) & 1u ? now[k] : 0;
    }
    b8_trace_block(d->trace, model, set | (d->refinement->likely ? B8_TRACE_LIKELY : 0), rows, count, places, levels);
}

/* A block that is decoded: `now` are the levels, where they were known, or are `found`, or else `visited`. */
typedef struct {
    const b8_set *set;
    int model, count;
    b8_known was;
    uint64_t found, visited;
    int16_t now[64];
    int8_t acc[64], signs[16];
} b8_decoded_block;

static inline int b8_decode_found(b8_decoder *d, b8_decoded_block *b, int k)
{
    const int logit = b->acc[b8_zero_lane[k]];
    const uint32_t negative = b8_decode_bit(&d->range, k <= 16 ? b8_sigmoid(d->contexts.tables->sigmoid, b->signs[k - 1])
                                                               : 1u << (B8_PROB_BITS - 1));
    const int32_t magnitude = b8_decode_level(&d->range, b->set->levels[b->model], k, b8_level_bin(logit));
    if (magnitude > 32767) {
        return B8_ERROR_STREAM;
    }
    b8_take_in(b->acc, 64, b->signs, b->set, b->model, 2 * b8_group_of(b->model)[k] + (magnitude > 1), b->count++,
               negative);
    b->now[k] = (int16_t)(negative ? -magnitude : magnitude);
    b->found |= UINT64_C(1) << k;
    return B8_OK;
}

static int b8_decode_likely(b8_decoder *d, b8_decoded_block *b)
{
    int status = B8_OK;
    for (uint64_t rest = b8_open_places(&b->was, b->model); rest != 0 && status == B8_OK; rest &= rest - 1) {
        const int k = b8_lowest_bit(rest), logit = b->acc[b8_zero_lane[k]];
        if (logit < B8_LIKELY) {
            continue;
        }
        if (b8_decode_bit(&d->range, b8_sigmoid(d->contexts.tables->sigmoid, logit))) {
            status = b8_decode_found(d, b, k);
        } else {
            b->visited |= UINT64_C(1) << k;
        }
    }
    return status;
}

static int b8_decode_rest(b8_decoder *d, b8_decoded_block *b)
{
    const uint16_t *sigmoid = d->contexts.tables->sigmoid;
    uint64_t ahead = b8_open_places(&b->was, b->model);
    int status = B8_OK;
    while (status == B8_OK && ahead != 0 &&
           !b8_decode_bit(&d->range, b8_sigmoid(sigmoid, b->acc[b8_end_lane[b8_lowest_bit(ahead)]]))) {
        int k = b8_lowest_bit(ahead);
        ahead &= ahead - 1;
        while (ahead != 0 && !b8_decode_bit(&d->range, b8_sigmoid(sigmoid, b->acc[b8_zero_lane[k]]))) {
            k = b8_lowest_bit(ahead);
            ahead &= ahead - 1;
        }
        status = b8_decode_found(d, b, k);
    }
    return status;
}

/* One block, of which `was` is known. */
static int b8_decode_refined(b8_decoder *d, b8_decoded_block *b, int set, const b8_surroundings *around)
{
    const b8_refinement *r = d->refinement;
    b8_block_rows rows;
    b->found = b->visited = 0;
    for (uint64_t rest = b->was.known; rest != 0; rest &= rest - 1) {
        const int k = b8_lowest_bit(rest);
        const int32_t level = b->was.level[k];
        int32_t magnitude = b8_magnitude(b8_in_new_steps(r, level));
        if (b8_has_bit(r, level)) {
            magnitude += (int32_t)b8_decode_change(d, b->set, b->model, level);
        }
        if (magnitude > 32767) {
            return B8_ERROR_STREAM;
        }
        b->now[k] = (int16_t)(level < 0 ? -magnitude : magnitude);
    }
    if (b8_open_places(&b->was, b->model) == 0) {
        return B8_OK;
    }
    memset(b->acc, 0, sizeof b->acc);
    memset(b->signs, 0, sizeof b->signs);
    b->count = b8_begin_block(b->acc, b->signs, b->set, b->model, r->likely, around, &rows, &b->was);
    const int status = r->likely ? b8_decode_likely(d, b) : b8_decode_rest(d, b);
    if (d->trace != NULL) {
        b8_trace_refinement(d, b->model, set, &rows, &b->was, b->found, b->visited, b->now);
    }
    return status;
}

static int b8_decode_refined_plane(b8_decoder *d, uint32_t unit, const b8_place *p, b8_unit *u)
{
    b8_refinement *r = d->refinement;
    const b8_contexts *c = &d->contexts;
    const int means_model = u->model + B8_LUMA_MEANS;
    const size_t base = (size_t)unit * B8_UNIT_SAMPLES + b8_level_base(u->plane, 0, 0);
    const int16_t *before = r->before + base;
    int16_t *levels = r->now + base;
    b8_surroundings around;
    b8_list list, near[2];
    b8_decoded_block b;
    int32_t root = before[0];
    b.set = &c->tables->refinements[u->step->set];
    b.model = means_model;
    if (!r->likely) {
        root = b8_refined_root(root, b8_decode_change(d, b.set, means_model, 0), u->step);
    }
    b8_refined_root_surroundings(r, c, unit, u, p, root, near, &around);
    b8_recall(&b.was, before, r->slots[means_model], means_model);
    int status = b8_decode_refined(d, &b, u->step->set, &around);
    if (status != B8_OK) {
        return status;
    }
    b8_keep_levels(&list, levels, r->slots[means_model], means_model, b.now, b.was.known | b.found, b.visited);
    levels[0] = (int16_t)root;
    b8_keep_refined_means(r, c, unit, u, p, levels, root);
    u->lines->means[p->x] = list;
    u->lines->left_means = list;
    b.model = u->model;
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            b8_refined_surroundings(r, c, unit, u, p, x, y, near, &around);
            b8_recall(&b.was, before + 256 * x + 8 * y, r->slots[u->model], u->model);
            status = b8_decode_refined(d, &b, u->step->set, &around);
            if (status != B8_OK) {
                return status;
            }
            b8_keep_levels(&list, levels + 256 * x + 8 * y, r->slots[u->model], u->model, b.now,
                           b.was.known | b.found, b.visited);
            b8_remember_block(u, p, x, y, &list);
        }
    }
    return B8_OK;
}

static int b8_decode_refined_unit(b8_decoder *d, uint32_t unit)
{
    b8_contexts *c = &d->contexts;
    const b8_place p = b8_place_of(c, unit);
    const int context = b8_skip_context(c, &p);
    const uint32_t skip = b8_decode_bit(&d->range, c->tables->refinements[c->steps[0].set].skip[context]);
    if (d->trace != NULL) {
        const int32_t level = (int32_t)skip;
        const uint8_t at = (uint8_t)context;
        static const b8_block_rows none;
        b8_trace_block(d->trace, 6, c->steps[0].set, &none, 1, &at, &level);
    }
    b8_remember_skip(c, &p, (int)skip);
    for (int plane = 0; plane < (c->bands == 1 ? 1 : 3); ++plane) {
        b8_unit u = b8_unit_of(c, &p, plane);
        int status = B8_OK;
        if (skip) {
            b8_skip_refinement(d->refinement, c, unit, &u, &p);
        } else {
            status = b8_decode_refined_plane(d, unit, &p, &u);
        }
        if (status != B8_OK) {
            return status;
        }
    }
    return B8_OK;
}

static int b8_decode_refinement(b8_decoder *d, const b8_packet *packet, const uint8_t *payload)
{
    b8_contexts *c = &d->contexts;
    b8_contexts_open(c, packet->first, packet->step);
    memcpy(c->steps, d->refinement->steps, sizeof d->refinement->steps);
    b8_range_open(&d->range, payload, packet->size);
    for (uint32_t unit = packet->first; unit < packet->first + packet->count; ++unit) {
        int status = b8_decode_refined_unit(d, unit);
        if (status != B8_OK) {
            return status;
        }
    }
    return d->range.at == d->range.end ? B8_OK : B8_ERROR_STREAM;
}
