/* The layout progressive. Either any bytes as the packets of layers: the decoder stays in its memory, and all variants
 * give the same. Or a picture: all variants code the same layers, and decoding them gives what the encoder kept. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#define SINK_PACKETS 4096
#define SINK_BYTES (1u << 20)
#define MAX_LAYERS 24

typedef struct {
    b8_geometry geometry;
    const b8_tables *tables;
    uint32_t last_step, count; /* of layers */
    uint32_t mtu;
} job;

static b8_options options_of(const job *j, uint32_t layer)
{
    static const uint8_t digest[2] = {0x12, 0x34};
    b8_options o;
    memset(&o, 0, sizeof o);
    o.step = b8_layer_step(j->last_step, layer);
    o.chroma_finer = tables_chroma_finer() < j->last_step ? tables_chroma_finer() : j->last_step;
    o.mtu = j->mtu;
    o.layer = layer;
    o.header_size = b8_write_header(&j->geometry, j->last_step, 0, 1, digest, o.header);
    return o;
}

static b8_layers new_layers(const b8_geometry *g)
{
    const size_t levels = (size_t)unit_count(g) * B8_UNIT_SAMPLES, means = block_count(g);
    b8_layers l;
    for (int i = 0; i < 2; ++i) {
        l.levels[i] = reserve(levels * sizeof(int16_t));
        l.means[i] = reserve(means * sizeof(int16_t));
    }
    l.known = reserve(unit_count(g));
    return l;
}

static void free_layers(b8_layers *l)
{
    for (int i = 0; i < 2; ++i) {
        free(l->levels[i]);
        free(l->means[i]);
    }
    free(l->known);
}

static void check_same_layers(const b8_geometry *g, const b8_layers *a, const b8_layers *b)
{
    const size_t levels = (size_t)unit_count(g) * B8_UNIT_SAMPLES * sizeof(int16_t);
    for (int i = 0; i < 2; ++i) {
        CHECK(memcmp(a->levels[i], b->levels[i], levels) == 0);
        CHECK(memcmp(a->means[i], b->means[i], block_count(g) * sizeof(int16_t)) == 0);
    }
    CHECK(memcmp(a->known, b->known, unit_count(g)) == 0);
}

/* One variant's decoder of a picture's layers. */
typedef struct {
    int variant;
    void *memory;
    size_t size;
    b8_layers layers;
    b8_picture picture;
} decoder;

static decoder new_decoder(const job *j, int variant)
{
    decoder d = {.variant = variant, .size = b8_decoder_bytes(&j->geometry)};
    d.memory = reserve(d.size);
    d.layers = new_layers(&j->geometry);
    d.picture = new_picture(&j->geometry);
    return d;
}

static int decode_layer(decoder *d, const job *j, uint32_t layer, const b8_packet *packets, uint32_t count,
                        const uint8_t *data, size_t size)
{
    const b8_options o = options_of(j, layer);
    uint32_t failed;
    return b8_decode_layer(d->memory, d->size, &j->geometry, j->tables, &o, packets, count, data, size, d->variant,
                           &d->layers, &d->picture, NULL, &failed);
}

static void finish(decoder *d, const job *j)
{
    const b8_options o = options_of(j, j->count - 1);
    CHECK(b8_finish_layers(&j->geometry, j->tables, &o, &d->layers, &d->picture) == B8_OK);
}

static void free_decoder(decoder *d)
{
    free(d->memory);
    free_layers(&d->layers);
    free_picture(&d->picture);
}

static void decode_anything(const job *j, input *in)
{
    int widths[4];
    const int width_count = variants(widths);
    decoder decoders[4];
    b8_packet packets[MAX_LAYERS][MAX_PACKETS];
    uint32_t counts[MAX_LAYERS];
    for (uint32_t layer = 0; layer < j->count; ++layer) {
        const b8_options o = options_of(j, layer);
        counts[layer] = take_packets(in, &j->geometry, packets[layer]);
        for (uint32_t i = 0; i < counts[layer]; ++i) {
            packets[layer][i].layer = layer;
            packets[layer][i].step = packets[layer][i].step % 64 == 1 ? packets[layer][i].step : o.step;
        }
    }
    const size_t size = (size_t)(in->end - in->at);
    uint8_t *payload = copy_of(in->at, size);
    for (int i = 0; i < width_count; ++i) {
        decoders[i] = new_decoder(j, widths[i]);
        for (uint32_t layer = 0; layer < j->count; ++layer) {
            const int status = decode_layer(&decoders[i], j, layer, packets[layer], counts[layer], payload, size);
            CHECK(status == B8_OK || status == B8_ERROR_STREAM);
        }
        check_same_layers(&j->geometry, &decoders[0].layers, &decoders[i].layers);
        finish(&decoders[i], j);
        check_same(&j->geometry, &decoders[0].picture, &decoders[i].picture);
    }
    const size_t stride = (size_t)j->geometry.width * j->geometry.bands * (j->geometry.depth > 8 ? 2 : 1);
    free(synthesise_all(&j->geometry, &decoders[0].picture, stride, 1));
    for (int i = 0; i < width_count; ++i) {
        free_decoder(&decoders[i]);
    }
    free(payload);
}

/* Noise, squares or the input's bytes. */
static int16_t *take_store(const job *j, input *in)
{
    const b8_geometry *g = &j->geometry;
    const uint32_t kind = take(in, 3), side = 1 + take(in, 40), top = (1u << g->depth) - 1;
    const size_t samples = (size_t)g->width * g->bands, stride = samples * (g->depth > 8 ? 2 : 1);
    uint32_t state = side;
    uint8_t *frame = reserve(stride * g->height);
    for (size_t y = 0; y < g->height; ++y) {
        for (size_t x = 0; x < samples; ++x) {
            uint32_t level = kind == 0 ? random_next(&state) & top : (x / g->bands / side + y / side) % 2 ? top : 0;
            if (kind == 2 && in->at < in->end) {
                level = (uint32_t)*in->at++ << (g->depth - 8);
            }
            const uint16_t deep = (uint16_t)level;
            if (g->depth == 8) {
                frame[y * stride + x] = (uint8_t)level;
            } else {
                memcpy(frame + y * stride + 2 * x, &deep, sizeof deep);
            }
        }
    }
    const b8_options o = options_of(j, 0);
    const size_t size = b8_encoder_bytes(g, o.mtu);
    int16_t *store = reserve((size_t)unit_count(g) * B8_UNIT_SAMPLES * sizeof *store);
    void *memory = reserve(size);
    CHECK(b8_store_rows(memory, size, g, j->tables, &o, 0, (g->height + 31) / 32, B8_SCALAR, frame, stride, store) ==
          B8_OK);
    free(memory);
    free(frame);
    return store;
}

/* Codes a layer; `layers` are taken along. */
static void encode_layer(const job *j, uint32_t layer, int variant, const int16_t *store, b8_layers *layers,
                         b8_sink *sink)
{
    static int64_t worth[SINK_PACKETS];
    const b8_geometry *g = &j->geometry;
    const b8_options o = options_of(j, layer);
    const size_t size = b8_encoder_bytes(g, o.mtu);
    const uint32_t rows = (g->height + 31) / 32;
    void *memory = reserve(size);
    sink->used = sink->count = 0;
    if (layer == 0) {
        CHECK(b8_encode_first_layer(memory, size, g, j->tables, &o, 0, rows, variant, store, sink) == B8_OK);
    } else {
        CHECK(b8_refine_rows(memory, size, g, j->tables, &o, 0, rows, variant, store, layers, sink, worth) == B8_OK);
        memset(layers->known, (int)layer + 1, unit_count(g));
    }
    free(memory);
}

/* Moves packets on to their payloads. */
static void open_packets(const job *j, b8_sink *sink)
{
    const b8_options o = options_of(j, 0);
    for (uint32_t i = 0; i < sink->count; ++i) {
        b8_packet *p = &sink->packets[i];
        const uint8_t *begin = sink->data + p->offset;
        uint32_t at = 5 + (begin[1] & 0x40 ? o.header_size : 0);
        CHECK(p->size <= j->mtu);
        for (int field = 0; field < 2; ++field) {
            while (begin[at++] >= 128) {
            }
        }
        at += 1 + (begin[1] & 0x80 ? 2 : 0);
        p->offset += at;
        p->size -= at;
    }
}

static void code_picture(const job *j, input *in)
{
    int widths[4];
    const int width_count = variants(widths);
    int16_t *store = take_store(j, in);
    decoder decoders[2] = {new_decoder(j, B8_SCALAR), new_decoder(j, widths[width_count - 1])};
    b8_layers kept[4];
    b8_sink sinks[4];
    for (int i = 0; i < width_count; ++i) {
        b8_sink sink = {reserve(SINK_BYTES), SINK_BYTES, 0, reserve(SINK_PACKETS * sizeof(b8_packet)), SINK_PACKETS, 0};
        sinks[i] = sink;
        kept[i] = new_layers(&j->geometry);
    }
    for (uint32_t layer = 0; layer < j->count; ++layer) {
        for (int i = 0; i < width_count; ++i) {
            encode_layer(j, layer, widths[i], store, &kept[i], &sinks[i]);
            CHECK(sinks[i].used == sinks[0].used && memcmp(sinks[i].data, sinks[0].data, sinks[0].used) == 0);
        }
        open_packets(j, &sinks[0]);
        for (int i = 0; i < 2; ++i) {
            CHECK(decode_layer(&decoders[i], j, layer, sinks[0].packets, sinks[0].count, sinks[0].data,
                               sinks[0].used) == B8_OK);
        }
        check_same_layers(&j->geometry, &decoders[0].layers, &decoders[1].layers);
        for (uint32_t unit = 0; unit < unit_count(&j->geometry); ++unit) {
            CHECK(decoders[0].layers.known[unit] == layer + 1);
        }
        for (int i = 0; i < width_count; ++i) {
            if (layer == 0) { /* as the decoder has it */
                free_layers(&kept[i]);
                kept[i] = new_layers(&j->geometry);
                memcpy(kept[i].levels[0], decoders[0].layers.levels[0],
                       (size_t)unit_count(&j->geometry) * B8_UNIT_SAMPLES * sizeof(int16_t));
                memcpy(kept[i].means[0], decoders[0].layers.means[0], block_count(&j->geometry) * sizeof(int16_t));
                memset(kept[i].known, 1, unit_count(&j->geometry));
            }
            check_same_layers(&j->geometry, &kept[i], &decoders[0].layers);
        }
    }
    for (int i = 0; i < 2; ++i) {
        finish(&decoders[i], j);
    }
    check_same(&j->geometry, &decoders[0].picture, &decoders[1].picture);
    for (int i = 0; i < width_count; ++i) {
        free_layers(&kept[i]);
        free(sinks[i].data);
        free(sinks[i].packets);
    }
    free_decoder(&decoders[0]);
    free_decoder(&decoders[1]);
    free(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, data + size};
    job j;
    const uint32_t kind = take(&in, 4), seed = 1 + take(&in, 65535);
    j.tables = tables_of(kind == 1 ? seed : 0);
    j.geometry = take_geometry(&in);
    j.last_step = take(&in, B8_STEPS);
    j.count = b8_layer_count(j.last_step);
    j.mtu = B8_MIN_MTU + take(&in, 1000);
    CHECK(j.count >= 1 && j.count <= MAX_LAYERS);
    if (j.tables->refinement_count == 0) {
        j.last_step = B8_STEPS - 1; /* these tables know one layer only */
        j.count = 1;
    }
    if (kind == 2) {
        if (unit_count(&j.geometry) <= 16) {
            code_picture(&j, &in);
        }
    } else {
        decode_anything(&j, &in);
    }
    return 0;
}
