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
static void b8_encode_block(const b8_encoder *e, b8_packer *packer, int model, const b8_step *step, const int16_t *values, uint64_t mask,
                            const b8_surroundings *around, b8_list *list, int32_t *levels)
{
    const b8_set *set = &packer->contexts.tables->sets[step->set];
    const uint16_t *sigmoid = packer->contexts.tables->sigmoid;
    const uint8_t *group = b8_group_of(model), *offsets = e->offsets[model];
    const int last = b8_sides[model] * b8_sides[model];
    int end = 0;
    int8_t acc[64] = {0}, signs[16] = {0};
    uint16_t *queue = b8_queue_room(packer, packer->queued);
    const int lanes = mask >> B8_HOT_PLACES != 0 ? 64 : 32;
    list->count = 0;
    if (mask != 0) {
        b8_gather_lanes(acc, lanes, set, model, around);
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
        const int32_t magnitude = b8_decide(packer->contexts.tables->decisions, x, logit, end, mask == 0);
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
        queue = b8_queue_room(packer, queue);
    }
    if (position < last) {
        b8_put(&queue, b8_sigmoid(sigmoid, end), 1);
    }
    packer->queued = queue;
}

static void b8_encode_root(b8_packer *packer, const b8_unit *u, const b8_place *p)
{
    const uint16_t *probs = packer->contexts.tables->sets[u->step->set].roots[u->plane > 0];
    const uint16_t *lengths = probs + 16 * b8_root_context(u->lines, p);
    uint32_t magnitude = (uint32_t)b8_magnitude(u->root);
    int length = b8_bit_length(magnitude);
    for (int i = 0; i < length; ++i) {
        b8_put(&packer->queued, lengths[i < 15 ? i : 15], 1);
    }
    b8_put(&packer->queued, lengths[length < 15 ? length : 15], 0);
    if (length > 1) {
        b8_put(&packer->queued, probs[96 + (length < 15 ? length : 15)], (magnitude >> (length - 2)) & 1u);
        b8_put_even_bits(&packer->queued, magnitude, length - 2);
    }
    if (length > 0) {
        b8_put_even_bits(&packer->queued, u->root < 0, 1);
    }
}

#ifndef B8_HAS_SHUFFLE_BITS
/* Bit i of `bits` becomes bit `to[i]`, which is where `from` says i. */
static inline uint64_t b8_shuffle_bits(uint64_t bits, const uint8_t from[64], const uint8_t to[64])
{
    uint64_t shuffled = 0;
    (void)from;
    for (; bits != 0; bits &= bits - 1) {
        shuffled |= UINT64_C(1) << to[b8_lowest_bit(bits)];
    }
    return shuffled;
}
#endif

/* What the encoder knows of one plane's part of a unit besides. */
typedef struct {
    b8_unit unit;
    int16_t means[16];          /* the means' transform, to be quantised */
    uint64_t means_mask;
    uint64_t masks[4][4];       /* of the blocks, by column and row: bit u * 8 + v */
    uint64_t any;
} b8_source;

static inline const int16_t *b8_column_of(const b8_packer *packer, int plane, int x)
{
    return packer->source + 256 * ((plane > 0 ? 4 : 0) + x);
}

/* The blocks' coefficients that may count. */
static void b8_find_candidates(const b8_packer *packer, b8_source *s)
{
    int lane = s->unit.plane == 2 ? 16 : 0;
    memset(s->masks, 0, sizeof s->masks);
    s->any = 0;
    for (int x = 0; x < s->unit.blocks_x; ++x) {
        const int16_t *column = b8_column_of(packer, s->unit.plane, x);
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
static void b8_prepare_means(const b8_encoder *e, const b8_packer *packer, const b8_place *p, b8_source *s)
{
    b8_unit *u = &s->unit;
    const uint8_t *offsets = e->offsets[u->model + B8_LUMA_MEANS];
    const int lane = u->plane == 2 ? 16 : 0;
    int32_t means[16];
    for (int y = 0; y < u->side; ++y) {
        int from = 8 * (y < u->blocks_y ? y : u->blocks_y - 1) + lane;
        for (int x = 0; x < u->side; ++x) {
            means[y * u->side + x] = b8_column_of(packer, u->plane, x < u->blocks_x ? x : u->blocks_x - 1)[from];
        }
    }
    b8_means_transform(means, u->side, 0);
    int32_t residual = means[0] - b8_predict_root(u->lines, p, u->side, u->blocks_x, u->blocks_y);
    uint64_t product = (uint64_t)(uint32_t)b8_magnitude(residual) * u->step->reciprocal;
    int32_t level = (int32_t)(((product >> 16) + packer->contexts.tables->decisions[7]) >> 8);
    level = level >> B8_ROOT_BITS == 0 ? level : (1 << B8_ROOT_BITS) - 1;
    u->root = residual < 0 ? -level : level;
    s->means_mask = 0;
    for (int k = 1; k < u->side * u->side; ++k) {
        s->means[offsets[k]] = b8_clamp16(means[offsets[k]]);
        s->means_mask |= (uint64_t)(b8_magnitude(means[offsets[k]]) >= u->step->limit) << k;
    }
    s->any |= s->means_mask | (uint32_t)level;
}

static void b8_encode_plane(const b8_encoder *e, b8_packer *packer, const b8_place *p, b8_source *s)
{
    b8_unit *u = &s->unit;
    const int lane = u->plane == 2 ? 16 : 0;
    b8_surroundings around;
    b8_list list;
    b8_encode_root(packer, u, p);
    int32_t root = b8_root_surroundings(u, p, &around);
    b8_encode_block(e, packer, u->model + B8_LUMA_MEANS, u->step, s->means, s->means_mask, &around, &list, u->levels);
    b8_rebuild_means(u, p, root);
    b8_remember_means(u, p, &list);
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            const uint64_t mask = b8_shuffle_bits(s->masks[x][y], packer->contexts.tables->scans[u->model],
                                                  e->positions[u->plane > 0]);
            b8_block_surroundings(u, p, x, y, &around);
            b8_encode_block(e, packer, u->model, u->step, b8_column_of(packer, u->plane, x) + 8 * y + lane, mask,
                            &around, &u->lists[y][x], NULL);
        }
    }
    b8_remember_blocks(u, p);
}

static void b8_encode_unit(const b8_encoder *e, b8_packer *packer)
{
    b8_contexts *c = &packer->contexts;
    const b8_place p = b8_place_of(c, packer->next);
    const int planes = c->bands == 1 ? 1 : 3;
    b8_source sources[3];
    uint64_t any = 0;
    if (c->has_finer) {
        uint32_t finer = packer->coarse ? 0 : e->options.finer[p.y * c->units_x + p.x];
        b8_put(&packer->queued, B8_FINER_PROB, finer != c->finer);
        if (finer != c->finer) {
            b8_put_even_bits(&packer->queued, finer, 8);
            b8_take_steps(c, finer);
        }
    }
    for (int plane = 0; plane < planes; ++plane) {
        b8_unit_begin(&sources[plane].unit, c, &p, plane);
        b8_find_candidates(packer, &sources[plane]);
        b8_prepare_means(e, packer, &p, &sources[plane]);
        any |= sources[plane].any;
    }
    b8_put(&packer->queued, c->tables->sets[c->steps[0].set].skip[b8_skip_context(c, &p)], any == 0);
    b8_remember_skip(c, &p, any == 0);
    for (int plane = 0; plane < planes; ++plane) {
        if (any == 0) {
            b8_skip_plane(&sources[plane].unit, &p);
        } else {
            b8_encode_plane(e, packer, &p, &sources[plane]);
        }
    }
}

static void b8_open_packet(b8_encoder *e, b8_packer *packer, uint32_t step)
{
    packer->room = e->options.mtu - b8_frame_bytes(&e->options, e->slice, packer->number, packer->next, step);
    b8_range_start(&packer->range, packer->payload, packer->room);
    b8_contexts_open(&packer->contexts, packer->next, step);
    packer->open = 1;
}

static int b8_close_packet(b8_encoder *e, b8_packer *packer, b8_sink *sink)
{
    const b8_contexts *c = &packer->contexts;
    if (!packer->open) {
        return B8_OK;
    }
    const uint32_t size = b8_range_finish(&packer->range);
    packer->open = 0;
    return b8_frame_packet(&e->options, e->slice, packer->number, c->first, packer->next - c->first, c->step,
                           packer->payload, size, sink);
}

static int b8_close_packets(b8_encoder *e, b8_sink *sink)
{
    const int status = b8_close_packet(e, &e->packers[0], sink);
    return status == B8_OK ? b8_close_packet(e, &e->packers[1], sink) : status;
}

/* Begins row of units `y`. No packet goes over the start of a slice. */
static int b8_begin_row(b8_encoder *e, uint32_t y, b8_sink *sink)
{
    const b8_contexts *c = &e->packers[0].contexts;
    int status = B8_OK;
    if (y % c->slice_rows == 0 || y == e->begin) {
        status = b8_close_packets(e, sink);
        e->slice = y / c->slice_rows;
        e->slice_packets = 0;
        for (uint32_t phase = 0; phase < 2; ++phase) {
            e->packers[phase].next = c->interleaved ? b8_first_of_row(c, phase, y) : y * c->units_x;
        }
    }
    return status;
}

/* Sees that a packet is open for a unit to be coded into. */
static int b8_ready_packet(b8_encoder *e, b8_packer *packer, b8_sink *sink)
{
    const int status = packer->coarse ? b8_close_packet(e, packer, sink) : B8_OK;
    packer->coarse = 0;
    if (!packer->open) {
        packer->number = e->slice_packets++;
        b8_open_packet(e, packer, e->options.step);
    }
    return status;
}

/* A unit was coded, `before` it the range coder was as it says. If it does not fit into the packet it is coded into a
 * new one. One that fits into no packet is coded with coarser steps until it does. */
static int b8_settle_unit(b8_encoder *e, b8_packer *packer, const b8_range_encoder *before, b8_sink *sink)
{
    uint32_t step = packer->contexts.step, size;
    while ((size = b8_range_size(&packer->range)) > packer->room && !(packer->coarse && step == B8_STEPS - 1)) {
        if (packer->next > packer->contexts.first) {
            packer->range = *before;
            const int status = b8_close_packet(e, packer, sink);
            if (status != B8_OK) {
                return status;
            }
            packer->number = e->slice_packets++;
            step = e->options.step;
        } else {
            step += 32u * (uint32_t)b8_bit_length(size / packer->room) - 16u;
            step = step < B8_STEPS ? step : B8_STEPS - 1;
            packer->coarse = 1;
        }
        b8_open_packet(e, packer, step);
        b8_encode_unit(e, packer);
        b8_flush_queue(packer);
    }
    ++packer->next;
    return B8_OK;
}

/* Codes `count` units, the next of as many packers, whose sources are set. */
static int b8_add_units(b8_encoder *e, b8_packer *const *packers, int count, b8_sink *sink)
{
    b8_range_encoder before[2];
    int status = B8_OK;
    for (int i = 0; i < count && status == B8_OK; ++i) {
        status = b8_ready_packet(e, packers[i], sink);
        before[i] = packers[i]->range;
        b8_encode_unit(e, packers[i]);
    }
    if (count == 2) {
        b8_flush_queues(packers[0], packers[1]);
    } else {
        b8_flush_queue(packers[0]);
    }
    for (int i = 0; i < count && status == B8_OK; ++i) {
        status = b8_settle_unit(e, packers[i], &before[i], sink);
    }
    return status;
}

/* Codes units x and, if there is one, x + 1 of row y; interleaved, they go into different packets. */
static int b8_add_pair(b8_encoder *e, uint32_t x, uint32_t y, const int16_t *source, b8_sink *sink)
{
    const b8_contexts *c = &e->packers[0].contexts;
    const int count = x + 1 < c->units_x ? 2 : 1;
    b8_packer *packers[2];
    for (int i = 0; i < count; ++i) {
        packers[i] = &e->packers[c->interleaved ? (x + (uint32_t)i + y % c->slice_rows) & 1u : 0];
    }
    packers[0]->source = source;
    if (c->interleaved) {
        packers[count - 1]->source = source + (count - 1) * B8_UNIT_SAMPLES;
        return b8_add_units(e, packers, count, sink);
    }
    int status = b8_add_units(e, packers, 1, sink);
    if (status == B8_OK && count == 2) {
        packers[1]->source = source + B8_UNIT_SAMPLES;
        status = b8_add_units(e, packers + 1, 1, sink);
    }
    return status;
}
