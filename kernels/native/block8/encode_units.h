/* Coding units and packets, once the coefficients are known. Included once for each vector width. */

/* Puts a decision into the queue; `one` is 2^15 times the probability of bit 1. */
static inline void b8_put(uint16_t **queue, uint32_t one, uint32_t bit) { *(*queue)++ = (uint16_t)(2u * one + bit); }

static inline void b8_put_even_bits(uint16_t **queue, uint32_t value, int count)
{
    while (count > 0) {
        --count;
        b8_put(queue, 1u << (B8_PROB_BITS - 1), (value >> count) & 1u);
    }
}

static inline void b8_put_level(uint16_t **queue, const uint16_t *levels, int k, int bin, int32_t magnitude)
{
    const int near = k < 3 ? 0 : k < 10 ? 16 : 32;
    (*queue)[0] = (uint16_t)(2u * levels[near + bin] + (magnitude > 1));
    (*queue)[1] = (uint16_t)(2u * levels[48 + bin] + (magnitude > 2)); /* counts only where the first was 1 */
    *queue += 1 + (magnitude > 1);
    if (magnitude < 3) {
        return;
    }
    uint32_t rest = (uint32_t)magnitude - 2u; /* Elias gamma */
    int bits = b8_bit_length(rest) - 1;
    for (int i = 0; i < bits; ++i) {
        b8_put(queue, levels[64 + (i < 7 ? i : 7)], 1);
    }
    b8_put(queue, levels[64 + (bits < 7 ? bits : 7)], 0);
    b8_put_even_bits(queue, rest, bits);
}

/* The level that a candidate is coded as: 0 where its bits are not worth it. One near 1 must exceed half a step by the
 * more, the less likely its model finds it; the last of a block must also be worth going on for. `end` is the logit
 * of "no more" before it. */
static inline int32_t b8_decide(const uint16_t *decisions, int32_t x, int logit, int end, int last)
{
    const int32_t more = (x + 128 - decisions[6]) >> 8;
    const int32_t least = last ? decisions[4] - ((decisions[5] * (logit - end)) >> 4)
                               : decisions[1] - ((decisions[2] * logit) >> 4);
    return x >= 384 + decisions[3] ? more : x >= least;
}

/* One block: values[offsets[k]] is the k-th coefficient, `mask` has the bits of those that may count. */
static void b8_encode_block(b8_encoder *e, int model, const b8_step *step, const int16_t *values, uint64_t mask,
                            const b8_surroundings *around, b8_list *list, int32_t *levels)
{
    const b8_set *set = &e->contexts.tables->sets[step->set];
    const uint16_t *sigmoid = e->contexts.tables->sigmoid;
    const uint8_t *group = b8_group_of(model), *offsets = e->offsets[model];
    const int last = b8_sides[model] * b8_sides[model];
    int end = 0;
    int8_t acc[64] = {0}, signs[16] = {0};
    uint16_t *queue = b8_queue_room(e);
    const int lanes = mask >> B8_HOT_PLACES != 0 ? 64 : 32;
    list->count = 0;
    if (mask != 0) {
        b8_gather_rows(acc, lanes, set->rows[model], model, around);
        b8_gather_signs(signs, set->signs[model], model, around);
        end = acc[b8_end_lane[1]];
    } else {
        end = b8_sum_ends(set->ends[model], model, around);
    }
    int position = 1, found = 0;
    while (mask != 0) {
        const int k = b8_lowest_bit(mask);
        mask &= mask - 1;
        const int32_t value = values[offsets[k]];
        const int32_t x = (int32_t)(((uint64_t)(uint32_t)b8_magnitude(value) * step->reciprocal) >> 16);
        const int logit = acc[b8_zero_lane[k]];
        const int32_t magnitude = b8_decide(e->contexts.tables->decisions, x, logit, end, mask == 0);
        if (magnitude == 0) {
            continue;
        }
        b8_put(&queue, b8_sigmoid(sigmoid, end), 0);
        /* Most often there are none to two zeros before a coefficient: no branches for these. */
        queue[0] = (uint16_t)(2u * b8_sigmoid(sigmoid, acc[b8_zero_lane[position]]));
        queue[1] = (uint16_t)(2u * b8_sigmoid(sigmoid, acc[b8_zero_lane[position + (position < 63)]]));
        queue += k - position < 2 ? k - position : 2;
        for (position += 2; position < k; ++position) {
            b8_put(&queue, b8_sigmoid(sigmoid, acc[b8_zero_lane[position]]), 0);
        }
        if (k < last - 1) {
            b8_put(&queue, b8_sigmoid(sigmoid, logit), 1);
        }
        const uint32_t negative = value < 0;
        b8_put(&queue, k <= 16 ? b8_sigmoid(sigmoid, signs[k - 1]) : 1u << (B8_PROB_BITS - 1), negative);
        b8_put_level(&queue, set->levels[model], k, b8_level_bin(logit), magnitude);
        const int item = 2 * group[k] + (magnitude > 1);
        b8_push_item(list, item, negative);
        if (levels != NULL) {
            levels[offsets[k]] = negative ? -magnitude : magnitude;
        }
        position = k + 1;
        if (position < last) {
            b8_take_in(acc, lanes, signs, set, model, item, found++, negative);
            end = acc[b8_end_lane[position]];
        }
        e->queued = queue;
        queue = b8_queue_room(e);
    }
    if (position < last) {
        b8_put(&queue, b8_sigmoid(sigmoid, end), 1);
    }
    e->queued = queue;
}

static void b8_encode_root(b8_encoder *e, const b8_unit *u, const b8_place *p)
{
    const uint16_t *probs = e->contexts.tables->sets[u->step->set].roots[u->plane > 0];
    const uint16_t *lengths = probs + 16 * b8_root_context(u->lines, p);
    uint32_t magnitude = (uint32_t)b8_magnitude(u->root);
    int length = b8_bit_length(magnitude);
    for (int i = 0; i < length; ++i) {
        b8_put(&e->queued, lengths[i < 15 ? i : 15], 1);
    }
    b8_put(&e->queued, lengths[length < 15 ? length : 15], 0);
    if (length > 1) {
        b8_put(&e->queued, probs[96 + (length < 15 ? length : 15)], (magnitude >> (length - 2)) & 1u);
        b8_put_even_bits(&e->queued, magnitude, length - 2);
    }
    if (length > 0) {
        b8_put_even_bits(&e->queued, u->root < 0, 1);
    }
}

/* What the encoder knows of one plane's part of a unit besides. */
typedef struct {
    b8_unit unit;
    int16_t means[16];          /* the means' transform, to be quantised */
    uint64_t means_mask;
    uint64_t masks[4][4];       /* of the blocks, by column and row: bit u * 8 + v */
    uint64_t any;
} b8_source;

static inline const int16_t *b8_column_of(const b8_encoder *e, int plane, int x)
{
    return e->source + 256 * ((plane > 0 ? 4 : 0) + x);
}

/* The blocks' coefficients that may count. */
static void b8_find_candidates(const b8_encoder *e, b8_source *s)
{
    int lane = s->unit.plane == 2 ? 16 : 0;
    for (int x = 0; x < s->unit.blocks_x; ++x) {
        const int16_t *column = b8_column_of(e, s->unit.plane, x);
        for (int u = 0; u < 8; ++u) {
            uint32_t bits = b8_exceeding(column + 32 * u, s->unit.step->limit) >> lane;
            for (int y = 0; y < s->unit.blocks_y; ++y) {
                s->masks[x][y] |= (uint64_t)((bits >> (8 * y)) & 255u) << (8 * u);
            }
        }
        for (int y = 0; y < s->unit.blocks_y; ++y) {
            s->masks[x][y] &= ~UINT64_C(1);
            s->any |= s->masks[x][y];
        }
    }
}

/* Transforms the blocks' means and quantises the root against its prediction. */
static void b8_prepare_means(const b8_encoder *e, const b8_place *p, b8_source *s)
{
    b8_unit *u = &s->unit;
    const uint8_t *offsets = e->offsets[u->model + B8_LUMA_MEANS];
    const int lane = u->plane == 2 ? 16 : 0;
    int32_t means[16];
    for (int y = 0; y < u->side; ++y) {
        int from = 8 * (y < u->blocks_y ? y : u->blocks_y - 1) + lane;
        for (int x = 0; x < u->side; ++x) {
            means[y * u->side + x] = b8_column_of(e, u->plane, x < u->blocks_x ? x : u->blocks_x - 1)[from];
        }
    }
    b8_means_transform(means, u->side, 0);
    int32_t residual = means[0] - b8_predict_root(u->lines, p, u->side, u->blocks_x, u->blocks_y);
    uint64_t product = (uint64_t)(uint32_t)b8_magnitude(residual) * u->step->reciprocal;
    int32_t level = (int32_t)(((product >> 16) + e->contexts.tables->decisions[7]) >> 8);
    level = level >> B8_ROOT_BITS == 0 ? level : (1 << B8_ROOT_BITS) - 1;
    u->root = residual < 0 ? -level : level;
    for (int k = 1; k < u->side * u->side; ++k) {
        s->means[offsets[k]] = b8_clamp16(means[offsets[k]]);
        s->means_mask |= (uint64_t)(b8_magnitude(means[offsets[k]]) >= u->step->limit) << k;
    }
    s->any |= s->means_mask | (uint32_t)level;
}

static void b8_encode_plane(b8_encoder *e, const b8_place *p, b8_source *s)
{
    b8_unit *u = &s->unit;
    const int lane = u->plane == 2 ? 16 : 0;
    b8_surroundings around;
    b8_list list;
    b8_encode_root(e, u, p);
    int32_t root = b8_root_surroundings(u, p, &around);
    b8_encode_block(e, u->model + B8_LUMA_MEANS, u->step, s->means, s->means_mask, &around, &list, u->levels);
    b8_rebuild_means(u, p, root);
    b8_remember_means(u, p, &list);
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            uint64_t natural = s->masks[x][y], mask = 0;
            for (; natural != 0; natural &= natural - 1) {
                mask |= UINT64_C(1) << e->positions[u->plane > 0][b8_lowest_bit(natural)];
            }
            b8_block_surroundings(u, p, x, y, &around);
            b8_encode_block(e, u->model, u->step, b8_column_of(e, u->plane, x) + 8 * y + lane, mask, &around, &list,
                            NULL);
            b8_remember_block(u, p, x, y, &list);
        }
    }
}

static void b8_encode_unit(b8_encoder *e, uint32_t unit)
{
    b8_contexts *c = &e->contexts;
    const b8_place p = b8_place_of(c, unit);
    const int planes = c->bands == 1 ? 1 : 3;
    b8_source sources[3];
    uint64_t any = 0;
    if (c->has_finer) {
        uint32_t finer = e->coarse ? 0 : e->options.finer[unit];
        b8_put(&e->queued, B8_FINER_PROB, finer != c->finer);
        if (finer != c->finer) {
            b8_put_even_bits(&e->queued, finer, 8);
            b8_take_steps(c, finer);
        }
    }
    for (int plane = 0; plane < planes; ++plane) {
        memset(&sources[plane], 0, sizeof sources[plane]);
        sources[plane].unit = b8_unit_of(c, &p, plane);
        b8_find_candidates(e, &sources[plane]);
        b8_prepare_means(e, &p, &sources[plane]);
        any |= sources[plane].any;
    }
    b8_put(&e->queued, c->tables->sets[c->steps[0].set].skip[b8_skip_context(c, &p)], any == 0);
    b8_remember_skip(c, &p, any == 0);
    for (int plane = 0; plane < planes; ++plane) {
        if (any == 0) {
            b8_skip_plane(&sources[plane].unit, &p);
        } else {
            b8_encode_plane(e, &p, &sources[plane]);
        }
    }
}

static void b8_open_packet(b8_encoder *e, uint32_t step)
{
    const uint32_t frame = b8_frame_bytes(&e->options, e->slice, e->slice_packets, e->unit, step);
    e->room = e->options.mtu - frame;
    b8_range_start(&e->range, e->payload, e->room);
    b8_contexts_open(&e->contexts, e->unit, step);
    e->open = 1;
}

static int b8_close_packet(b8_encoder *e, b8_sink *sink)
{
    uint32_t size = b8_range_finish(&e->range);
    e->open = 0;
    return b8_frame_packet(&e->options, e->slice, e->slice_packets++, e->contexts.first,
                           e->unit - e->contexts.first, e->contexts.step, e->payload, size, sink);
}

/* Begins the next slice: no packet goes over its start. */
static int b8_cross_slice(b8_encoder *e, b8_sink *sink)
{
    int status = e->open ? b8_close_packet(e, sink) : B8_OK;
    e->slice_end += e->slice_units;
    ++e->slice;
    e->slice_packets = 0;
    return status;
}

/* Codes the next unit into the open packet, or into a new one where it does not fit. One that fits into no packet
 * is coded with coarser steps until it does. */
static int b8_add_unit(b8_encoder *e, b8_sink *sink)
{
    uint32_t step = e->options.step;
    int status = B8_OK;
    if (e->unit == e->slice_end) {
        status = b8_cross_slice(e, sink);
    } else if (e->open && e->coarse) {
        status = b8_close_packet(e, sink);
    }
    e->coarse = 0;
    while (status == B8_OK) {
        if (!e->open) {
            b8_open_packet(e, step);
        }
        const b8_range_encoder before = e->range;
        b8_encode_unit(e, e->unit);
        b8_flush_queue(e);
        if (b8_range_size(&e->range) <= e->room || step >= B8_STEPS - 1) {
            ++e->unit;
            return B8_OK;
        }
        if (e->unit > e->contexts.first) {
            e->range = before;
            status = b8_close_packet(e, sink);
        } else {
            step = step + 16 < B8_STEPS ? step + 16 : B8_STEPS - 1;
            e->coarse = 1;
            e->open = 0;
        }
    }
    return status;
}
