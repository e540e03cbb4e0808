/* The layout progressive: checks of what callers pass. Part of block8.c. */

#define B8_TOP_STEP 704 /* index that the first layer's step is nearest to */

static uint32_t b8_last_step(const b8_options *options) { return options->header[1] | (uint32_t)options->header[2] << 8; }

uint32_t b8_layer_count(uint32_t step) { return step < B8_TOP_STEP ? (B8_TOP_STEP + 32 - step) / 64 + 1 : 1; }

uint32_t b8_layer_step(uint32_t step, uint32_t layer) { return step + 64u * (b8_layer_count(step) - 1 - layer); }

/* The steps of layer `layer` of a stream whose last has index `step`; chroma is as much finer in all layers. */
static void b8_layer_steps(const b8_tables *tables, const b8_options *options, uint32_t index, b8_step steps[2])
{
    const uint32_t finer = options->chroma_finer < index ? options->chroma_finer : index;
    for (int chroma = 0; chroma < 2; ++chroma) {
        const uint32_t at = index - (chroma ? finer : 0);
        uint32_t set = 0;
        while (set + 1 < tables->refinement_count && at >= tables->refinement_limits[set]) {
            ++set;
        }
        steps[chroma] = b8_step_of(tables, at);
        steps[chroma].set = (uint8_t)set;
    }
}

static void b8_refinement_start(b8_refinement *r, const b8_geometry *g, const b8_tables *tables,
                                const b8_options *options, const b8_layers *layers)
{
    const uint32_t layer = options->layer;
    memset(r, 0, sizeof *r);
    r->before = layers->levels[(layer + 1) & 1];
    r->means_before = layers->means[(layer + 1) & 1];
    r->now = layers->levels[layer & 1];
    r->means = layers->means[layer & 1];
    (void)b8_plane_bases(g, r->base);
    r->later = b8_layer_count(b8_last_step(options)) - 1 - layer;
    r->rounding = (128 - (int32_t)tables->decisions[6]) >> r->later;
    b8_layer_steps(tables, options, options->step, r->steps);
    b8_layer_steps(tables, options, options->step + 64, r->wider);
    for (int chroma = 0; chroma < 2; ++chroma) {
        const b8_step *step = &r->steps[chroma];
        const int32_t least = (int32_t)(((int64_t)(256 - r->rounding) * step->q8 + 65535) >> 16);
        r->limits[chroma] = r->later > 0 || least < step->limit ? least : step->limit;
    }
    for (int model = 0; model < B8_MODELS; ++model) {
        const int side = b8_sides[model];
        for (int k = 0; k < side * side; ++k) {
            const int u = tables->scans[model][k] / side, v = tables->scans[model][k] % side;
            r->slots[model][k] = (uint16_t)(side == 8 ? 32 * u + v : 256 * v + 8 * u);
        }
    }
}

int b8_encode_first_layer(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables,
                          const b8_options *options, uint32_t begin, uint32_t end, int variant, const int16_t *store,
                          b8_sink *sink)
{
    const uint32_t later = b8_layer_count(b8_last_step(options)) - 1;
    const uint16_t *decisions = tables->decisions;
    const uint16_t rounding = (uint16_t)((128 - decisions[6]) >> later), least = (uint16_t)(256 - rounding);
    const uint16_t nested[8] = {least, least, 0, (uint16_t)(128 - rounding), least, 0, (uint16_t)(128 - rounding), decisions[7]};
    b8_tables cut = *tables;
    if (later > 0) {
        cut.decisions = nested;
    }
    return b8_encode_stored(memory, size, g, &cut, options, begin, end, variant, store, sink);
}

int b8_refine_rows(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables, const b8_options *options,
                   uint32_t begin, uint32_t end, int variant, const int16_t *store, const b8_layers *layers, b8_sink *sink,
                   int64_t *worth)
{
    b8_refinement r;
    int status = options->layer == 0 || tables->refinement_count == 0 ? B8_ERROR_ARGUMENT : B8_OK;
    if (status == B8_OK) {
        status = b8_encoder_start(memory, size, g, tables, options, begin, end, variant);
    }
    if (status != B8_OK) {
        return status;
    }
    b8_refinement_start(&r, g, tables, options, layers);
    return b8_functions_of(variant)->refine_units((b8_encoder *)memory, &r, store, sink, worth);
}

/* Whether a packet's units, and all around them, are known as far as the layer before. */
static int b8_may_refine(const b8_contexts *c, const b8_packet *p, const b8_layers *layers)
{
    for (uint32_t unit = p->first; unit < p->first + p->count; ++unit) {
        const uint32_t x = unit % c->units_x, y = unit / c->units_x;
        for (uint32_t j = y > 0 ? y - 1 : 0; j <= y + 1 && j < c->units_y; ++j) {
            for (uint32_t i = x > 0 ? x - 1 : 0; i <= x + 1 && i < c->units_x; ++i) {
                if (layers->known[j * c->units_x + i] < p->layer) {
                    return 0;
                }
            }
        }
    }
    return 1;
}

int b8_decode_layer(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables, const b8_options *options,
                    const b8_packet *packets, uint32_t count, const uint8_t *data, size_t data_size, int variant,
                    const b8_layers *layers, b8_picture *picture, b8_trace *trace, uint32_t *failed)
{
    b8_decoder *d = (b8_decoder *)memory;
    b8_refinement r;
    *failed = 0;
    if (options->layer > 0 && tables->refinement_count == 0) {
        return B8_ERROR_ARGUMENT;
    }
    int status = b8_decoder_start(d, size, g, tables, options, variant);
    if (status != B8_OK) {
        return status;
    }
    b8_refinement_start(&r, g, tables, options, layers);
    d->refinement = &r;
    d->picture = picture;
    d->trace = trace;
    for (uint32_t i = 0; i < count && status == B8_OK; ++i) {
        const b8_packet *p = &packets[i];
        *failed = i;
        if (!b8_packet_fits(d, p, data_size) || p->layer != options->layer) {
            return B8_ERROR_STREAM;
        }
        if (p->layer == 0) {
            status = B8_CALL(variant, decode_packet)(d, p, data + p->offset);
        } else if (p->step != options->step) {
            status = B8_ERROR_STREAM;
        } else if (b8_may_refine(&d->contexts, p, layers)) {
            status = b8_functions_of(variant)->decode_refinement(d, p, data + p->offset);
        } else {
            continue;
        }
        for (uint32_t unit = p->first; unit < p->first + p->count && status == B8_OK; ++unit) {
            layers->known[unit] = (uint8_t)(options->layer + 1);
        }
    }
    return status;
}

/* The entries of a block. */
static uint32_t b8_finish_block(const int16_t *levels, const b8_step *step, uint32_t later, uint32_t *entries)
{
    uint32_t count = 0;
    for (uint32_t natural = 1; natural < 64; ++natural) {
        const uint32_t offset = natural / 8 * 32 + natural % 8;
        if (levels[offset] != 0) {
            entries[count++] = offset << 16 | (uint16_t)b8_rebuild_level(levels[offset], step, later);
        }
    }
    return count;
}

int b8_finish_layers(const b8_geometry *g, const b8_tables *tables, const b8_options *options, const b8_layers *layers,
                     b8_picture *picture)
{
    const uint32_t count = b8_layer_count(options->step);
    uint32_t base[3];
    if (!b8_geometry_fits(g)) {
        return B8_ERROR_ARGUMENT;
    }
    (void)b8_plane_bases(g, base);
    for (uint32_t unit = 0; unit < b8_units_x(g) * b8_units_y(g); ++unit) {
        const uint32_t known = layers->known[unit];
        if (known == 0 || known > count) {
            continue;
        }
        b8_step steps[2];
        b8_layer_steps(tables, options, options->step + 64 * (count - known), steps);
        const int16_t *levels = layers->levels[(known - 1) & 1] + (size_t)unit * B8_UNIT_SAMPLES;
        uint32_t entry = unit * B8_UNIT_ENTRIES;
        for (uint32_t plane = 0; plane < g->bands; ++plane) {
            const uint32_t side = plane == 0 ? 4 : 2, blocks_x = b8_blocks_x(g, plane), blocks_y = b8_blocks_y(g, plane);
            const uint32_t x0 = unit % b8_units_x(g) * side, y0 = unit / b8_units_x(g) * side;
            for (uint32_t y = 0; y < side && y0 + y < blocks_y; ++y) {
                for (uint32_t x = 0; x < side && x0 + x < blocks_x; ++x) {
                    const uint32_t block = base[plane] + (y0 + y) * blocks_x + x0 + x;
                    const uint32_t from = 256 * ((plane > 0 ? 4 : 0) + x) + (plane == 2 ? 16 : 0) + 8 * y;
                    const uint32_t size = b8_finish_block(levels + from, &steps[plane > 0], count - known,
                                                        picture->entries + entry);
                    picture->means[block] = layers->means[(known - 1) & 1][block];
                    picture->starts[block] = entry;
                    picture->counts[block] = (uint8_t)size;
                    entry += size;
                }
            }
        }
        picture->known[unit] = 1;
    }
    return B8_OK;
}
