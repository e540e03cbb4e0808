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

static void b8_trace_refinement(b8_decoder *d, int model, int set, const b8_block_rows *rows, const b8_known *b,
                                uint64_t found, const int16_t *now)
{
    uint8_t places[64];
    int32_t levels[64];
    int count = 0;
    for (uint64_t rest = b->known | found; rest != 0; rest &= rest - 1) {
        const int k = b8_lowest_bit(rest);
        const int known = (int)((b->known >> k) & 1u);
        places[count] = (uint8_t)(k | (known ? B8_TRACE_KNOWN : 0));
        levels[count++] = known ? b->level[k] : now[k];
    }
    b8_trace_block(d->trace, model, set, rows, count, places, levels);
}

/* One block: its levels at twice the step in `b`, at the new one in `now`. Returns an error or B8_OK. */
static int b8_decode_refined(b8_decoder *d, int model, const b8_step *step, const b8_known *b,
                             const b8_surroundings *around, int16_t now[64], uint64_t *places)
{
    const b8_set *set = &d->contexts.tables->refinements[step->set];
    const uint16_t *sigmoid = d->contexts.tables->sigmoid;
    uint64_t ahead = b8_open_places(b, model);
    b8_range_decoder *range = &d->range;
    *places = 0;
    for (uint64_t rest = b->known; rest != 0; rest &= rest - 1) {
        const int k = b8_lowest_bit(rest);
        const int32_t magnitude = 2 * b8_magnitude(b->level[k]) + (int32_t)b8_decode_change(d, set, model, b->level[k]);
        if (magnitude > 32767) {
            return B8_ERROR_STREAM;
        }
        now[k] = (int16_t)(b->level[k] < 0 ? -magnitude : magnitude);
    }
    if (ahead == 0) {
        return B8_OK;
    }
    int8_t acc[64] = {0}, signs[16] = {0};
    b8_block_rows rows;
    b8_name_rows(&rows, model, around);
    int found = b8_begin_block(acc, signs, set, model, &rows, b);
    while (ahead != 0 && !b8_decode_bit(range, b8_sigmoid(sigmoid, acc[b8_end_lane[b8_lowest_bit(ahead)]]))) {
        int k = b8_lowest_bit(ahead);
        ahead &= ahead - 1;
        while (ahead != 0 && !b8_decode_bit(range, b8_sigmoid(sigmoid, acc[b8_zero_lane[k]]))) {
            k = b8_lowest_bit(ahead);
            ahead &= ahead - 1;
        }
        const int logit = acc[b8_zero_lane[k]];
        uint32_t negative = b8_decode_bit(range, k <= 16 ? b8_sigmoid(sigmoid, signs[k - 1]) : 1u << (B8_PROB_BITS - 1));
        const int32_t magnitude = b8_decode_level(range, set->levels[model], k, b8_level_bin(logit));
        if (magnitude > 32767) {
            return B8_ERROR_STREAM;
        }
        b8_take_in(acc, 64, signs, set, model, 2 * b8_group_of(model)[k] + (magnitude > 1), found++, negative);
        now[k] = (int16_t)(negative ? -magnitude : magnitude);
        *places |= UINT64_C(1) << k;
    }
    if (d->trace != NULL) {
        b8_trace_refinement(d, model, step->set, &rows, b, *places, now);
    }
    return B8_OK;
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
    b8_known known;
    int16_t now[64];
    uint64_t places;
    const uint32_t down = b8_decode_change(d, &c->tables->refinements[u->step->set], means_model, 0);
    const int32_t root = b8_refined_root(before[0], down, u->step);
    b8_refined_root_surroundings(r, c, unit, u, p, root, near, &around);
    b8_recall(&known, before, r->slots[means_model], means_model);
    int status = b8_decode_refined(d, means_model, u->step, &known, &around, now, &places);
    if (status != B8_OK) {
        return status;
    }
    b8_keep_levels(&list, levels, r->slots[means_model], means_model, &known, now, places);
    levels[0] = (int16_t)root;
    b8_keep_refined_means(r, c, unit, u, p, levels, root);
    u->lines->means[p->x] = list;
    u->lines->left_means = list;
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            b8_refined_surroundings(r, c, unit, u, p, x, y, near, &around);
            b8_recall(&known, before + 256 * x + 8 * y, r->slots[u->model], u->model);
            status = b8_decode_refined(d, u->model, u->step, &known, &around, now, &places);
            if (status != B8_OK) {
                return status;
            }
            b8_keep_levels(&u->lists[y][x], levels + 256 * x + 8 * y, r->slots[u->model], u->model, &known, now, places);
        }
    }
    b8_remember_blocks(u, p);
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
        b8_unit u;
        b8_unit_begin(&u, c, &p, plane);
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
