/* Working memory, choice of vector width, and checks of what callers pass. */
#include "block8.h"

#include <string.h>

#include "encode.h"
#ifndef B8_ENCODER_ONLY
#include "decode.h"
#include "dispatch.h"
#endif

#define B8_SLICE_UNITS 512

#ifdef B8_ENCODER_ONLY /* one width, in the same translation unit */
static int b8_variant_works(int variant) { return variant == B8_SCALAR; }
#define B8_CALL(variant, function) b8_##function
#else
#define B8_CALL(variant, function) b8_functions_of(variant)->function

static const b8_functions *b8_functions_of(int variant)
{
    switch (variant) {
    case B8_SCALAR:
        return &b8_scalar;
#if defined(__x86_64__) && defined(__GNUC__)
    case B8_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") ? &b8_avx2 : NULL;
    case B8_AVX512:
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi") &&
                       __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("bmi2")
                   ? &b8_avx512
                   : NULL;
#elif defined(__aarch64__)
    case B8_NEON:
        return &b8_neon;
#endif
    default:
        return NULL;
    }
}

const char *b8_variant_name(int variant)
{
    static const char *const names[] = {"scalar", "avx2", "avx512", "neon"};
    return variant >= 0 && variant <= B8_NEON ? names[variant] : "";
}

int b8_variant_works(int variant) { return b8_functions_of(variant) != NULL; }

int b8_best_variant(void)
{
    for (int variant = B8_NEON; variant > B8_SCALAR; --variant) {
        if (b8_variant_works(variant)) {
            return variant;
        }
    }
    return B8_SCALAR;
}
#endif

/* 2^(i / 64) * 256, rounded. */
static const uint16_t b8_octave[64] = {
    256, 259, 262, 264, 267, 270, 273, 276, 279, 282, 285, 288, 292, 295, 298, 301,
    304, 308, 311, 314, 318, 321, 325, 328, 332, 336, 339, 343, 347, 350, 354, 358,
    362, 366, 370, 374, 378, 382, 386, 391, 395, 399, 403, 408, 412, 417, 421, 426,
    431, 435, 440, 445, 450, 454, 459, 464, 470, 475, 480, 485, 490, 496, 501, 506};

int32_t b8_step_q8(uint32_t index)
{
    if (index >= B8_STEPS) {
        index = B8_STEPS - 1;
    }
    return (int32_t)b8_octave[index & 63u] << (index >> 6);
}

static int b8_geometry_fits(const b8_geometry *g)
{
    return g->width >= 1 && g->width <= B8_MAX_SIDE && g->height >= 1 && g->height <= B8_MAX_SIDE &&
           (g->bands == 1 || g->bands == 3) && g->depth >= 8 && g->depth <= 16;
}

static uint32_t b8_units_x(const b8_geometry *g) { return (g->width + B8_UNIT - 1) / B8_UNIT; }
static uint32_t b8_units_y(const b8_geometry *g) { return (g->height + B8_UNIT - 1) / B8_UNIT; }

uint32_t b8_blocks_x(const b8_geometry *g, uint32_t plane)
{
    uint32_t width = plane == 0 ? g->width : (g->width + 1) / 2;
    return plane < g->bands ? (width + 7) / 8 : 0;
}

uint32_t b8_blocks_y(const b8_geometry *g, uint32_t plane)
{
    uint32_t height = plane == 0 ? g->height : (g->height + 1) / 2;
    return plane < g->bands ? (height + 7) / 8 : 0;
}

uint32_t b8_slice_rows(const b8_geometry *g)
{
    return (B8_SLICE_UNITS + b8_units_x(g) - 1) / b8_units_x(g);
}

static void b8_contexts_start(b8_contexts *c, const b8_geometry *g, const b8_tables *tables, const b8_options *options)
{
    memset(c, 0, sizeof *c);
    c->tables = tables;
    c->bands = g->bands;
    c->units_x = b8_units_x(g);
    c->units_y = b8_units_y(g);
    for (uint32_t plane = 0; plane < 3; ++plane) {
        c->blocks_x[plane] = b8_blocks_x(g, plane);
        c->blocks_y[plane] = b8_blocks_y(g, plane);
    }
    c->chroma_finer = options->chroma_finer;
    c->has_finer = options->finer != NULL;
    c->interleaved = (options->header[0] >> 2 & 3u) == B8_INTERLEAVED;
    c->slice_rows = b8_slice_rows(g);
}

static void b8_block_offsets(const b8_tables *tables, uint8_t offsets[B8_MODELS][64])
{
    for (int model = 0; model < B8_MODELS; ++model) {
        const int side = b8_sides[model];
        for (int k = 0; k < side * side; ++k) {
            int natural = tables->scans[model][k];
            offsets[model][k] = (uint8_t)(side == 8 ? natural / 8 * 32 + natural % 8 : natural);
        }
    }
}

static size_t b8_align(size_t size) { return (size + 63u) & ~(size_t)63u; }
static size_t b8_stride(const b8_geometry *g) { return ((size_t)g->width + 63u) & ~(size_t)63u; }

/* Lays the lines out in `memory`; returns how many bytes they take (memory may be NULL). */
static size_t b8_lines_layout(b8_contexts *c, uint8_t *memory)
{
    size_t used = 0;
    for (uint32_t plane = 0; plane < (c->bands == 1 ? 1u : 3u); ++plane) {
        b8_plane_lines *l = &c->lines[plane];
        size_t blocks = (size_t)c->units_x * (plane == 0 ? 4 : 2);
        if (memory != NULL) {
            l->blocks = (b8_list *)(void *)(memory + used);
            l->means = l->blocks + blocks;
            l->dc = (int16_t *)(void *)(l->means + c->units_x);
            l->root = (uint8_t *)(void *)(l->dc + blocks);
        }
        used += blocks * (sizeof(b8_list) + sizeof(int16_t)) + c->units_x * (sizeof(b8_list) + 2);
        used = (used + 63) & ~(size_t)63;
    }
    if (memory != NULL) {
        c->skipped = memory + used;
    }
    return (used + 2 * c->units_x + 63) & ~(size_t)63;
}

/* Windows of `rows` rows of luma and half as many of each chroma plane; NULL memory: only their size. */
static size_t b8_windows(const b8_geometry *g, size_t rows, size_t stride[2], int16_t *window[3], uint8_t *memory)
{
    size_t used = 0;
    stride[0] = b8_stride(g);
    stride[1] = stride[0] / 2;
    for (uint32_t plane = 0; plane < g->bands; ++plane) {
        if (memory != NULL) {
            window[plane] = (int16_t *)(void *)(memory + used);
        }
        used += b8_align((plane == 0 ? rows * stride[0] : rows / 2 * stride[1]) * sizeof(int16_t));
    }
    return used;
}

/* Lays the encoder's memory out, which `e` begins; returns how many bytes it takes (e may be NULL). */
static size_t b8_encoder_layout(b8_encoder *e, b8_contexts *c, const b8_geometry *g, uint32_t mtu)
{
    uint8_t *memory = (uint8_t *)e;
    size_t stride[2];
    int16_t *window[3] = {NULL, NULL, NULL};
    const size_t windows = b8_align(sizeof *e);
    const size_t sums = windows + b8_windows(g, 48, stride, window, memory == NULL ? NULL : memory + windows);
    const size_t lines = sums + (g->bands == 1 ? 0 : b8_align(3 * stride[1] * sizeof(int16_t)));
    const size_t payload = lines + b8_lines_layout(c, memory == NULL ? NULL : memory + lines);
    if (e != NULL) {
        memcpy(e->stride, stride, sizeof stride);
        memcpy(e->window, window, sizeof window);
        e->sums = (int16_t *)(void *)(memory + sums);
        e->packers[0].payload = memory + payload;
        e->packers[1].payload = memory + payload + b8_align(mtu);
    }
    return payload + 2 * b8_align(mtu);
}

size_t b8_encoder_bytes(const b8_geometry *g, uint32_t mtu)
{
    static const b8_options options = {0};
    b8_contexts c;
    if (!b8_geometry_fits(g) || mtu > B8_MAX_MTU) {
        return 0;
    }
    b8_contexts_start(&c, g, NULL, &options);
    return b8_encoder_layout(NULL, &c, g, mtu);
}

uint32_t b8_first_row(uint32_t begin) { return begin == 0 ? 0 : begin * B8_UNIT - 8; }

uint32_t b8_last_row(const b8_geometry *g, uint32_t end)
{
    uint32_t row = end * B8_UNIT + 8;
    return end >= b8_units_y(g) || row > g->height ? g->height : row;
}

int b8_encoder_start(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables,
                     const b8_options *options, uint32_t begin, uint32_t end, int variant)
{
    b8_encoder *e = (b8_encoder *)memory;
    if (!b8_geometry_fits(g) || begin >= end || end > b8_units_y(g) || options->step >= B8_STEPS ||
        options->mtu < B8_MIN_MTU || options->mtu > B8_MAX_MTU || options->header_size > B8_HEADER_BYTES ||
        !b8_variant_works(variant)) {
        return B8_ERROR_ARGUMENT;
    }
    if (size < b8_encoder_bytes(g, options->mtu)) {
        return B8_ERROR_SPACE;
    }
    memset(e, 0, sizeof *e);
    b8_contexts *c = &e->packers[0].contexts;
    b8_contexts_start(c, g, tables, options);
    (void)b8_encoder_layout(e, c, g, options->mtu);
    e->packers[1].contexts = *c; /* they share their lines */
    memset(e->window[0], 0, (size_t)(e->packers[0].payload - (uint8_t *)e->window[0]));
    e->geometry = *g;
    e->options = *options;
    e->begin = begin;
    e->end = end;
    e->row_unit = begin;
    e->next_row = b8_first_row(begin);
    e->last_row = b8_last_row(g, end);
    e->variant = variant;
    for (int phase = 0; phase < 2; ++phase) {
        e->packers[phase].queued = e->packers[phase].queue;
    }
    b8_block_offsets(tables, e->offsets);
    for (int chroma = 0; chroma < 2; ++chroma) {
        for (int k = 0; k < 64; ++k) {
            e->positions[chroma][tables->scans[chroma][k]] = (uint8_t)k;
        }
    }
    return B8_OK;
}

int b8_encoder_push(void *memory, const void *rows, size_t stride, uint32_t count, b8_sink *sink)
{
    b8_encoder *e = (b8_encoder *)memory;
    return B8_CALL(e->variant, push)(e, rows, stride, count, sink);
}

void b8_encoder_set_step(void *memory, uint32_t step)
{
    b8_encoder *e = (b8_encoder *)memory;
    e->options.step = step < B8_STEPS ? step : B8_STEPS - 1;
}

#ifndef B8_ENCODER_ONLY
int b8_encode_rows(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables,
                   const b8_options *options, uint32_t begin, uint32_t end, int variant, const void *frame,
                   size_t stride, b8_sink *sink)
{
    int status = b8_encoder_start(memory, size, g, tables, options, begin, end, variant);
    if (status != B8_OK) {
        return status;
    }
    uint32_t first = b8_first_row(begin);
    return b8_encoder_push(memory, (const uint8_t *)frame + (size_t)first * stride, stride,
                           b8_last_row(g, end) - first, sink);
}

int b8_store_rows(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables, const b8_options *options,
                  uint32_t begin, uint32_t end, int variant, const void *frame, size_t stride, int16_t *store)
{
    b8_encoder *e = (b8_encoder *)memory;
    int status = b8_encoder_start(memory, size, g, tables, options, begin, end, variant);
    if (status != B8_OK) {
        return status;
    }
    e->store = store;
    uint32_t first = b8_first_row(begin);
    return b8_encoder_push(memory, (const uint8_t *)frame + (size_t)first * stride, stride,
                           b8_last_row(g, end) - first, NULL);
}

int b8_encode_stored(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables,
                     const b8_options *options, uint32_t begin, uint32_t end, int variant, const int16_t *store,
                     b8_sink *sink)
{
    int status = b8_encoder_start(memory, size, g, tables, options, begin, end, variant);
    return status == B8_OK ? B8_CALL(variant, code_stored)((b8_encoder *)memory, store, sink) : status;
}

static uint32_t b8_plane_bases(const b8_geometry *g, uint32_t base[3])
{
    uint32_t blocks = 0;
    for (uint32_t plane = 0; plane < 3; ++plane) {
        base[plane] = blocks;
        blocks += b8_blocks_x(g, plane) * b8_blocks_y(g, plane);
    }
    return blocks;
}

size_t b8_decoder_bytes(const b8_geometry *g)
{
    static const b8_options options = {0};
    b8_contexts c;
    if (!b8_geometry_fits(g)) {
        return 0;
    }
    b8_contexts_start(&c, g, NULL, &options);
    return b8_align(sizeof(b8_decoder)) + b8_lines_layout(&c, NULL);
}

static int b8_decoder_start(b8_decoder *d, size_t size, const b8_geometry *g, const b8_tables *tables,
                            const b8_options *options, int variant)
{
    if (!b8_geometry_fits(g) || !b8_variant_works(variant)) {
        return B8_ERROR_ARGUMENT;
    }
    if (size < b8_decoder_bytes(g)) {
        return B8_ERROR_SPACE;
    }
    memset(d, 0, size);
    b8_contexts_start(&d->contexts, g, tables, options);
    (void)b8_lines_layout(&d->contexts, (uint8_t *)d + b8_align(sizeof *d));
    b8_block_offsets(tables, d->offsets);
    (void)b8_plane_bases(g, d->base);
    d->units = d->contexts.units_x * d->contexts.units_y;
    return B8_OK;
}

static int b8_packet_fits(const b8_decoder *d, const b8_packet *p, size_t data_size)
{
    return p->offset <= data_size && p->size <= data_size - p->offset && p->first < d->units &&
           p->count <= d->units - p->first && p->step < B8_STEPS;
}

int b8_decode_packets(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables,
                      const b8_options *options, const b8_packet *packets, uint32_t count, const uint8_t *data,
                      size_t data_size, int variant, b8_picture *picture, b8_trace *trace, uint32_t *failed)
{
    b8_decoder *d = (b8_decoder *)memory;
    int status = b8_decoder_start(d, size, g, tables, options, variant);
    if (status != B8_OK) {
        return status;
    }
    d->picture = picture;
    d->trace = trace;
    for (uint32_t i = 0; i < count; ++i) {
        const b8_packet *p = &packets[i];
        *failed = i;
        if (!b8_packet_fits(d, p, data_size)) {
            return B8_ERROR_STREAM;
        }
        status = B8_CALL(variant, decode_packet)(d, p, data + p->offset);
        if (status != B8_OK) {
            return status;
        }
    }
    return B8_OK;
}

uint32_t b8_pack_entries(const b8_geometry *g, const b8_picture *picture, uint32_t *starts, uint32_t *entries)
{
    uint32_t base[3], used = 0;
    const uint32_t blocks = b8_plane_bases(g, base);
    for (uint32_t block = 0; block < blocks; ++block) {
        const uint32_t count = picture->counts[block];
        if (entries != NULL) {
            starts[block] = used;
            memcpy(entries + used, picture->entries + picture->starts[block], count * sizeof *entries);
        }
        used += count;
    }
    return used;
}

static size_t b8_synthesis_layout(b8_synthesis *s, const b8_geometry *g, uint8_t *memory)
{
    size_t used = b8_align(sizeof *s);
    used += b8_windows(g, 48, s->stride, s->window, memory == NULL ? NULL : memory + used);
    s->upsampled = memory == NULL ? NULL : (int16_t *)(void *)(memory + used);
    return used + (g->bands == 1 ? 0 : b8_align((2 * s->stride[0] + s->stride[1] + 64) * sizeof(int16_t)));
}

size_t b8_synthesis_bytes(const b8_geometry *g)
{
    b8_synthesis s;
    return b8_geometry_fits(g) ? b8_synthesis_layout(&s, g, NULL) : 0;
}

int b8_synthesise(void *memory, size_t size, const b8_geometry *g, uint32_t begin, uint32_t end, int variant,
                  const b8_picture *picture, void *frame, size_t stride)
{
    b8_synthesis *s = (b8_synthesis *)memory;
    if (!b8_geometry_fits(g) || begin >= end || end > b8_units_y(g) || !b8_variant_works(variant)) {
        return B8_ERROR_ARGUMENT;
    }
    if (size < b8_synthesis_bytes(g)) {
        return B8_ERROR_SPACE;
    }
    memset(s, 0, size);
    (void)b8_synthesis_layout(s, g, (uint8_t *)memory);
    s->geometry = *g;
    for (uint32_t plane = 0; plane < 3; ++plane) {
        s->blocks_x[plane] = b8_blocks_x(g, plane);
        s->blocks_y[plane] = b8_blocks_y(g, plane);
    }
    (void)b8_plane_bases(g, s->base);
    B8_CALL(variant, synthesise)(s, begin, end, picture, (uint8_t *)frame, stride);
    return B8_OK;
}

#include "progressive.h"
#endif
