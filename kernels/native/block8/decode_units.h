/* Decoding units. Included once for each vector width. */

static int32_t b8_decode_level(b8_range_decoder *d, const uint16_t *levels, int k, int bin)
{
    if (!b8_decode_bit(d, levels[16 * (k < 3 ? 0 : k < 10 ? 1 : 2) + bin])) {
        return 1;
    }
    if (!b8_decode_bit(d, levels[48 + bin])) {
        return 2;
    }
    int bits = 0;
    while (bits < 15 && b8_decode_bit(d, levels[64 + (bits < 7 ? bits : 7)])) {
        ++bits;
    }
    return 2 + (int32_t)((1u << bits) | b8_decode_even_bits(d, bits));
}

/* The lanes beyond the first 32, which most blocks do without, once `count` coefficients are known. */
static B8_RARELY void b8_gather_rest(int8_t acc[64], const b8_set *set, int model, const b8_surroundings *around,
                                     int count, const uint8_t places[64], const int32_t values[64])
{
    memset(acc + 32, 0, 32);
    b8_gather_rows(acc + 32, set->rest[model], model, around);
    for (int i = 0; i < count; ++i) {
        const int item = 2 * b8_group_of(model)[places[i]] + (b8_magnitude(values[i]) > 1);
        uint16_t rows[2];
        b8_name_item(rows, model, item, i);
        b8_add_rows(acc + 32, set->rest[model], rows, 2);
    }
}

/* One block: places in the scan and levels of the coefficients that are not zero. Returns how many. */
static int b8_decode_block(b8_decoder *d, int model, const b8_step *step, const b8_surroundings *around, b8_list *list,
                           uint8_t places[64], int32_t values[64])
{
    const b8_set *set = &d->contexts.tables->sets[step->set];
    const uint16_t *sigmoid = d->contexts.tables->sigmoid;
    const uint8_t *group = b8_group_of(model);
    const int last = b8_sides[model] * b8_sides[model];
    b8_range_decoder *r = &d->range;
    int count = 0;
    list->count = 0;
    if (!b8_decode_bit(r, b8_sigmoid(sigmoid, b8_sum_ends(set->ends[model], model, around)))) {
        int8_t acc[64] = {0}, signs[16] = {0};
        int lanes = 32, k = 1;
        b8_gather_lanes(acc, lanes, set, model, around);
        b8_gather_signs(signs, set->signs[model], model, around);
        do {
            for (;; ++k) {
                if (k >= B8_HOT_PLACES && lanes == 32) {
                    b8_gather_rest(acc, set, model, around, count, places, values);
                    lanes = 64;
                }
                if (k == last - 1 || b8_decode_bit(r, b8_sigmoid(sigmoid, acc[b8_zero_lane[k]]))) {
                    break;
                }
            }
            uint32_t negative = b8_decode_bit(r, k <= 16 ? b8_sigmoid(sigmoid, signs[k - 1]) : 1u << (B8_PROB_BITS - 1));
            int32_t magnitude = b8_decode_level(r, set->levels[model], k, b8_level_bin(acc[b8_zero_lane[k]]));
            int item = 2 * group[k] + (magnitude > 1);
            places[count] = (uint8_t)k;
            values[count] = negative ? -magnitude : magnitude;
            b8_push_item(list, item, negative);
            b8_take_in(acc, lanes, signs, set, model, item, count, negative);
            ++count;
            ++k;
            if (k > B8_HOT_PLACES && lanes == 32) {
                b8_gather_rest(acc, set, model, around, count, places, values);
                lanes = 64;
            }
        } while (k < last && !b8_decode_bit(r, b8_sigmoid(sigmoid, acc[b8_end_lane[k]])));
    }
    if (d->trace != NULL) {
        b8_block_rows rows;
        b8_name_rows(&rows, model, around);
        b8_trace_block(d->trace, model, step->set, &rows, count, places, values);
    }
    return count;
}

static int b8_decode_root(b8_decoder *d, b8_unit *u, const b8_place *p)
{
    const uint16_t *probs = d->contexts.tables->sets[u->step->set].roots[u->plane > 0];
    const int context = b8_root_context(u->lines, p);
    int length = 0;
    while (length <= B8_ROOT_BITS && b8_decode_bit(&d->range, probs[16 * context + (length < 15 ? length : 15)])) {
        ++length;
    }
    if (length > B8_ROOT_BITS) {
        return B8_ERROR_STREAM;
    }
    uint32_t magnitude = length > 0;
    if (length > 1) {
        magnitude = 2u | b8_decode_bit(&d->range, probs[96 + (length < 15 ? length : 15)]);
        magnitude = (magnitude << (length - 2)) | b8_decode_even_bits(&d->range, length - 2);
    }
    int negative = length > 0 && b8_decode_even_bits(&d->range, 1);
    u->root = negative ? -(int32_t)magnitude : (int32_t)magnitude;
    if (d->trace != NULL) {
        const int32_t level = u->root;
        const uint8_t at = (uint8_t)context;
        static const b8_block_rows none;
        b8_trace_block(d->trace, 4 + (u->plane > 0), u->step->set, &none, 1, &at, &level);
    }
    return B8_OK;
}

static void b8_keep_means(b8_decoder *d, const b8_unit *u, const b8_place *p)
{
    for (int y = 0; y < u->blocks_y; ++y) {
        for (int x = 0; x < u->blocks_x; ++x) {
            uint32_t block = d->base[u->plane] +
                             (p->y * (uint32_t)u->side + (uint32_t)y) * d->contexts.blocks_x[u->plane] +
                             p->x * (uint32_t)u->side + (uint32_t)x;
            d->picture->means[block] = (int16_t)u->means[y * u->side + x];
            d->picture->starts[block] = d->entry;
            d->picture->counts[block] = 0;
        }
    }
}

static int b8_decode_plane(b8_decoder *d, b8_unit *u, const b8_place *p)
{
    const int means_model = u->model + B8_LUMA_MEANS;
    b8_surroundings around;
    b8_list list;
    uint8_t places[64];
    int32_t values[64];
    int status = b8_decode_root(d, u, p);
    if (status != B8_OK) {
        return status;
    }
    int32_t root = b8_root_surroundings(u, p, &around);
    int count = b8_decode_block(d, means_model, u->step, &around, &list, places, values);
    for (int i = 0; i < count; ++i) {
        u->levels[d->offsets[means_model][places[i]]] = values[i];
    }
    b8_rebuild_means(u, p, root);
    b8_remember_means(u, p, &list);
    b8_keep_means(d, u, p);
    for (int y = 0; y < u->blocks_y; ++y) {
        uint32_t block = d->base[u->plane] +
                         (p->y * (uint32_t)u->side + (uint32_t)y) * d->contexts.blocks_x[u->plane] +
                         p->x * (uint32_t)u->side;
        for (int x = 0; x < u->blocks_x; ++x, ++block) {
            b8_block_surroundings(u, p, x, y, &around);
            count = b8_decode_block(d, u->model, u->step, &around, &u->lists[y][x], places, values);
            d->picture->starts[block] = d->entry;
            d->picture->counts[block] = (uint8_t)count;
            for (int i = 0; i < count; ++i) {
                int16_t value = b8_dequantise(values[i], u->step);
                d->picture->entries[d->entry++] =
                    (uint32_t)d->offsets[u->model][places[i]] << 16 | (uint16_t)value;
            }
        }
    }
    b8_remember_blocks(u, p);
    return B8_OK;
}

static void b8_keep_first_layer(b8_decoder *d, b8_unit *u, const b8_place *p, uint32_t unit);

static int b8_decode_unit(b8_decoder *d, uint32_t number)
{
    b8_contexts *c = &d->contexts;
    const b8_place p = b8_place_of(c, number);
    if (c->has_finer && b8_decode_bit(&d->range, B8_FINER_PROB)) {
        b8_take_steps(c, b8_decode_even_bits(&d->range, 8));
    }
    uint32_t skip = b8_decode_bit(&d->range, c->tables->sets[c->steps[0].set].skip[b8_skip_context(c, &p)]);
    if (d->trace != NULL) {
        const int32_t level = (int32_t)skip;
        const uint8_t at = (uint8_t)b8_skip_context(c, &p);
        static const b8_block_rows none;
        b8_trace_block(d->trace, 6, c->steps[0].set, &none, 1, &at, &level);
    }
    for (int plane = 0; plane < (c->bands == 1 ? 1 : 3); ++plane) {
        b8_unit u;
        b8_unit_begin(&u, c, &p, plane);
        int status = B8_OK;
        if (skip) {
            b8_skip_plane(&u, &p);
            b8_keep_means(d, &u, &p);
        } else {
            status = b8_decode_plane(d, &u, &p);
        }
        if (status != B8_OK) {
            return status;
        }
        if (d->refinement != NULL) {
            b8_keep_first_layer(d, &u, &p, number);
        }
    }
    b8_remember_skip(c, &p, (int)skip);
    d->picture->known[p.y * c->units_x + p.x] = 1;
    return B8_OK;
}

/* Units [first, end) count as lost: their packet is damaged. */
static void b8_forget_units(b8_decoder *d, uint32_t first, uint32_t end)
{
    for (uint32_t number = first; number < end; ++number) {
        const b8_place p = b8_place_of(&d->contexts, number);
        d->picture->known[p.y * d->contexts.units_x + p.x] = 0;
    }
}

static int b8_decode_packet(b8_decoder *d, const b8_packet *packet, const uint8_t *payload)
{
    b8_contexts *c = &d->contexts;
    b8_contexts_open(c, packet->first, packet->step);
    b8_range_open(&d->range, payload, packet->size);
    d->entry = packet->first * B8_UNIT_ENTRIES;
    for (uint32_t number = packet->first; number < packet->first + packet->count; ++number) {
        int status = b8_decode_unit(d, number);
        if (status != B8_OK) {
            b8_forget_units(d, packet->first, number);
            return status;
        }
    }
    return B8_OK;
}
