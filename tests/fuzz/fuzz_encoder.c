/* Any picture, however it is coded: all variants and ways to feed them give the same packets, none is larger than the
 * mtu, and they decode to the whole picture, near the original. */
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../kernels/native/crc32c.h"

#define SINK_PACKETS 4096
#define SINK_BYTES (1u << 21)
#define PIXELS 40   /* width and height of the picture in an input */
#define MAX_UNITS 64

typedef struct {
    b8_geometry geometry;
    const b8_tables *tables;
    b8_options options;
    uint32_t bounds[4], slices; /* rows of units where slices begin, and how many slices */
    uint8_t *frame;
    size_t stride;
    uint32_t seed;
    int trained, changing;      /* steps change while rows come in */
} job;

typedef struct {
    b8_sink sink;
    uint32_t count_at[4], packets_at[4]; /* of the slices */
} coded;

/* Level of a pixel, 0 to `top`, by one of the patterns that are hard on a transform. */
static uint32_t pattern_at(uint32_t kind, uint32_t x, uint32_t y, uint32_t size, uint32_t top, uint32_t *state)
{
    switch (kind) {
    case 0: /* flat */
        return size % 2 ? top : 0;
    case 1: /* checkerboard */
        return (x / (1 + size % 64) + y / (1 + size % 64)) % 2 ? top : 0;
    case 2: /* edges */
        return (x > size % 128) != (y > size / 128) ? top : 0;
    case 3: /* noise */
        return random_next(state) & top;
    case 4: /* white or black blocks, by chance */
        return ((size * 2654435761u ^ (x / 8) * 40503u ^ (y / 8) * 69069u) * 2246822519u) >> 31 ? top : 0;
    case 5: /* what the border filter amplifies: signs that go with its rows */
        return ((0x3cc3u >> (x % 16)) ^ (0x3cc3u >> (y % 16))) & 1u ? top : 0;
    case 6: /* slope */
        return (x * (1 + size % 16) + y * (1 + size / 16 % 16)) & top;
    default: /* lines */
        return x % (2 + size % 31) == 0 || y % (2 + size / 32 % 31) == 0 ? top : 0;
    }
}

static void fill_frame(job *j, input *in)
{
    const b8_geometry *g = &j->geometry;
    const uint32_t top = (1u << g->depth) - 1, kind = take(in, 12), size = take(in, 65536);
    const uint32_t band_kinds = take(in, 4), bytes = (uint32_t)(in->end - in->at);
    const uint8_t *pixels = in->at;
    uint32_t state = size | 65536u;
    size_t at = 0;
    for (uint32_t y = 0; y < g->height; ++y) {
        for (uint32_t x = 0; x < g->width; ++x) {
            for (uint32_t band = 0; band < g->bands; ++band, ++at) {
                uint32_t level = pattern_at((kind + band * band_kinds) % 8, x, y, size, top, &state);
                if (kind >= 8 && bytes > 2) { /* the input's own pixels, of a picture of as many bands */
                    uint32_t from = ((y % PIXELS) * PIXELS + x % PIXELS) * g->bands + band;
                    level = (uint32_t)pixels[from % bytes] << (g->depth - 8);
                    level ^= kind == 9 ? random_next(&state) & (top >> 4) : 0;
                    level = kind == 10 && (x / 32 + y / 32) % 2 ? top - level : level;
                }
                uint8_t *to = j->frame + y * j->stride;
                if (g->depth == 8) {
                    to[x * g->bands + band] = (uint8_t)level;
                } else {
                    uint16_t sample = (uint16_t)level;
                    memcpy(to + 2 * ((size_t)x * g->bands + band), &sample, 2);
                }
            }
        }
    }
}

static job take_job(input *in, uint8_t *finer)
{
    static const uint8_t digest[2] = {0x12, 0x34};
    job j;
    memset(&j, 0, sizeof j);
    const uint32_t kind = take(in, 8);
    j.seed = 1 + take(in, 65535);
    j.trained = kind != 1;
    j.changing = kind == 2;
    j.tables = tables_of(j.trained ? 0 : j.seed);
    b8_geometry *g = &j.geometry;
    g->bands = take(in, 2) ? 3 : 1;
    g->depth = 8 + take(in, 9);
    g->width = 1 + take(in, 80);
    g->height = 1 + take(in, 80);
    const uint32_t units_x = (g->width + 31) / 32, rows = (g->height + 31) / 32;
    j.options.step = take(in, B8_STEPS);
    j.options.mtu = B8_MIN_MTU + take(in, take(in, 2) ? 256 : B8_MAX_MTU - B8_MIN_MTU + 1);
    j.options.chroma_finer = tables_chroma_finer();
    const uint32_t finer_kind = take(in, 4);
    for (uint32_t i = 0, state = j.seed; i < units_x * rows; ++i) {
        finer[i] = (uint8_t)(random_next(&state) >> (finer_kind == 1 ? 24 : 28));
    }
    j.options.finer = finer_kind == 0 ? NULL : finer;
    const int layout = take(in, 2) ? B8_INTERLEAVED : B8_TILES;
    j.options.header_size =
        b8_write_header(g, j.options.step, j.options.finer != NULL, layout, digest, j.options.header);
    for (uint32_t begin = 0; begin < rows && j.slices < 3; ++j.slices) {
        j.bounds[j.slices] = begin;
        begin += 1 + take(in, rows);
        j.bounds[j.slices + 1] = begin < rows && j.slices < 2 ? begin : rows;
    }
    j.stride = (size_t)g->width * g->bands * (g->depth > 8 ? 2 : 1) + take(in, 5);
    j.frame = malloc(j.stride * g->height);
    CHECK(j.frame != NULL);
    fill_frame(&j, in);
    return j;
}

static coded new_coded(void)
{
    coded c;
    memset(&c, 0, sizeof c);
    c.sink.data = malloc(SINK_BYTES);
    c.sink.packets = malloc(SINK_PACKETS * sizeof(b8_packet));
    CHECK(c.sink.data != NULL && c.sink.packets != NULL);
    c.sink.capacity = SINK_BYTES;
    c.sink.packet_capacity = SINK_PACKETS;
    return c;
}

static void free_coded(coded *c)
{
    free(c->sink.data);
    free(c->sink.packets);
}

static void check_same_packets(const coded *a, const coded *b)
{
    CHECK(a->sink.used == b->sink.used && a->sink.count == b->sink.count);
    CHECK(memcmp(a->sink.data, b->sink.data, a->sink.used) == 0);
    CHECK(memcmp(a->sink.packets, b->sink.packets, a->sink.count * sizeof(b8_packet)) == 0);
}

/* Rows pushed a few at a time; the step changes with the row, if at all. */
static void push_rows(const job *j, uint32_t slice, int variant, int whole, void *memory, size_t size, b8_sink *sink)
{
    const b8_geometry *g = &j->geometry;
    const uint32_t begin = j->bounds[slice], end = j->bounds[slice + 1], last = b8_last_row(g, end);
    const size_t row_bytes = (size_t)g->width * g->bands * (g->depth > 8 ? 2 : 1);
    uint32_t state = j->seed;
    CHECK(b8_encoder_start(memory, size, g, j->tables, &j->options, begin, end, variant) == B8_OK);
    for (uint32_t row = b8_first_row(begin); row < last;) {
        uint32_t count = whole ? last - row : 1 + random_next(&state) % 40;
        count = count > last - row ? last - row : count;
        if (j->changing) {
            count = 1;
            b8_encoder_set_step(memory, (j->options.step + row * j->seed) % (B8_STEPS + 8));
        }
        /* Rows of their own, so that reading beyond them is seen. */
        uint8_t *rows = malloc((count - 1) * j->stride + row_bytes);
        CHECK(rows != NULL);
        memcpy(rows, j->frame + row * j->stride, (count - 1) * j->stride + row_bytes);
        CHECK(b8_encoder_push(memory, rows, j->stride, count, sink) == B8_OK);
        free(rows);
        row += count;
    }
}

static coded encode(const job *j, int variant, int whole)
{
    const size_t size = b8_encoder_bytes(&j->geometry, j->options.mtu);
    void *memory = reserve(size);
    coded c = new_coded();
    memset(memory, variant + 1, size); /* what it held before does not matter */
    for (uint32_t slice = 0; slice < j->slices; ++slice) {
        push_rows(j, slice, variant, whole, memory, size, &c.sink);
    }
    free(memory);
    return c;
}

static coded encode_frame(const job *j, int variant)
{
    const size_t size = b8_encoder_bytes(&j->geometry, j->options.mtu);
    void *memory = reserve(size);
    coded c = new_coded();
    for (uint32_t slice = 0; slice < j->slices; ++slice) {
        CHECK(b8_encode_rows(memory, size, &j->geometry, j->tables, &j->options, j->bounds[slice],
                             j->bounds[slice + 1], variant, j->frame, j->stride, &c.sink) == B8_OK);
    }
    free(memory);
    return c;
}

static coded encode_by_store(const job *j, int store_variant, int variant)
{
    const size_t size = b8_encoder_bytes(&j->geometry, j->options.mtu);
    const uint32_t units_x = (j->geometry.width + 31) / 32;
    void *memory = reserve(size);
    coded c = new_coded();
    for (uint32_t slice = 0; slice < j->slices; ++slice) {
        const uint32_t begin = j->bounds[slice], end = j->bounds[slice + 1];
        const size_t samples = (size_t)(end - begin) * units_x * B8_UNIT_SAMPLES;
        int16_t *store = reserve(samples * sizeof *store);
        memset(store, 0x7f, samples * sizeof *store);
        CHECK(b8_store_rows(memory, size, &j->geometry, j->tables, &j->options, begin, end, store_variant, j->frame,
                            j->stride, store) == B8_OK);
        CHECK(b8_encode_stored(memory, size, &j->geometry, j->tables, &j->options, begin, end, variant, store,
                               &c.sink) == B8_OK);
        free(store);
    }
    free(memory);
    return c;
}

static uint32_t take_varint(const uint8_t **at, const uint8_t *end)
{
    uint32_t value = 0;
    for (int shift = 0;; shift += 7) {
        CHECK(*at < end && shift < 28);
        value |= (uint32_t)(**at & 127u) << shift;
        if (*(*at)++ < 128) {
            return value;
        }
    }
}

/* Reads the frame of a packet as a decoder would; returns it with its payload's place. */
static b8_packet read_packet(const job *j, const b8_packet *p, const uint8_t *data)
{
    const uint8_t *begin = data + p->offset, *at = begin + 5, *end = begin + p->size;
    const uint32_t word = begin[0] | (uint32_t)begin[1] << 8;
    uint32_t crc = fl_crc32c(0, j->options.header, j->options.header_size);
    b8_packet read = *p;
    CHECK(p->size <= j->options.mtu && p->size == (word & 0x3fffu) + 5);
    crc = fl_crc32c(fl_crc32c(crc, begin, 2), at, p->size - 5);
    CHECK((crc & 0xffffffu) == (begin[2] | (uint32_t)begin[3] << 8 | (uint32_t)begin[4] << 16));
    if (word & 0x4000u) {
        CHECK(memcmp(at, j->options.header, j->options.header_size) == 0);
        at += j->options.header_size;
    }
    read.first = take_varint(&at, end);
    read.count = take_varint(&at, end) + 1;
    read.step = j->options.header[1] | (uint32_t)j->options.header[2] << 8;
    if (word & 0x8000u) {
        CHECK(end - at >= 2);
        read.step = at[0] | (uint32_t)at[1] << 8;
        at += 2;
    }
    CHECK(read.first == p->first && read.count == p->count && read.step == p->step);
    read.offset = (uint32_t)(at - data);
    read.size = (uint32_t)(end - at);
    return read;
}

/* Grey pictures come out near what went in: the error's root mean square is at most some steps. */
static void check_near(const job *j, const uint8_t *decoded, uint32_t coarsest)
{
    const b8_geometry *g = &j->geometry;
    const double step = b8_step_q8(coarsest) / 1024.0, unit = pow(2, (int)g->depth - 8);
    double sum = 0;
    for (uint32_t y = 0; y < g->height; ++y) {
        for (uint32_t x = 0; x < g->width; ++x) {
            double error;
            if (g->depth == 8) {
                error = (double)j->frame[y * j->stride + x] - decoded[y * j->stride + x];
            } else {
                uint16_t a, b;
                memcpy(&a, j->frame + y * j->stride + 2 * x, 2);
                memcpy(&b, decoded + y * j->stride + 2 * x, 2);
                error = ((double)a - b) / unit;
            }
            sum += error * error;
        }
    }
    CHECK(sqrt(sum / ((double)g->width * g->height)) <= 1.5 + 2 * step);
}

static int by_first(const void *a, const void *b)
{
    const uint32_t first = ((const b8_packet *)a)->first, second = ((const b8_packet *)b)->first;
    return (first > second) - (first < second);
}

static void check_decodes(const job *j, const coded *c)
{
    const b8_geometry *g = &j->geometry;
    const uint32_t units = ((g->width + 31) / 32) * ((g->height + 31) / 32);
    const size_t memory_size = b8_decoder_bytes(g);
    b8_packet *packets = malloc((c->sink.count + 1) * sizeof *packets);
    void *memory = reserve(memory_size);
    uint32_t next = 0, coarsest = 0;
    CHECK(packets != NULL);
    for (uint32_t i = 0; i < c->sink.count; ++i) {
        packets[i] = read_packet(j, &c->sink.packets[i], c->sink.data);
    }
    qsort(packets, c->sink.count, sizeof *packets, by_first); /* interleaved, they come in another order */
    for (uint32_t i = 0; i < c->sink.count; ++i) {
        CHECK(packets[i].first == next && packets[i].count > 0);
        next += packets[i].count;
        coarsest = packets[i].step > coarsest ? packets[i].step : coarsest;
    }
    CHECK(next == units && c->sink.packets[0].size + B8_PREAMBLE_BYTES <= j->options.mtu);
    int widths[4];
    const int width_count = variants(widths);
    b8_picture pictures[4];
    uint32_t failed;
    for (int i = 0; i < width_count; ++i) {
        pictures[i] = new_picture(g);
        CHECK(b8_decode_packets(memory, memory_size, g, j->tables, &j->options, packets, c->sink.count, c->sink.data,
                                c->sink.used, widths[i], &pictures[i], NULL, &failed) == B8_OK);
        check_same(g, &pictures[0], &pictures[i]);
    }
    for (uint32_t i = 0; i < units; ++i) {
        CHECK(pictures[0].known[i] == 1);
    }
    uint8_t *decoded = synthesise_all(g, &pictures[0], j->stride, j->seed);
    if (g->bands == 1 && j->trained) {
        check_near(j, decoded, coarsest);
    }
    free(decoded);
    for (int i = 0; i < width_count; ++i) {
        free_picture(&pictures[i]);
    }
    free(memory);
    free(packets);
}

/* A sink too small is said, and nothing written beyond it. */
static void check_small_sink(const job *j, const coded *whole, int variant)
{
    const size_t size = b8_encoder_bytes(&j->geometry, j->options.mtu);
    void *memory = reserve(size);
    b8_sink sink = whole->sink;
    sink.capacity = whole->sink.used - 1 - j->seed % whole->sink.used;
    sink.used = sink.count = 0;
    sink.data = malloc(sink.capacity + (sink.capacity == 0));
    CHECK(sink.data != NULL);
    int status = B8_OK;
    for (uint32_t slice = 0; slice < j->slices && status == B8_OK; ++slice) {
        status = b8_encode_rows(memory, size, &j->geometry, j->tables, &j->options, j->bounds[slice],
                                j->bounds[slice + 1], variant, j->frame, j->stride, &sink);
    }
    CHECK(status == B8_ERROR_SPACE && sink.used <= sink.capacity);
    free(sink.data);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t finer[MAX_UNITS];
    input in = {data, data + size};
    job j = take_job(&in, finer);
    int widths[4];
    const int count = variants(widths);
    coded first = encode(&j, B8_SCALAR, 0);
    for (int i = 1; i < count; ++i) {
        coded other = encode(&j, widths[i], 0);
        check_same_packets(&first, &other);
        free_coded(&other);
    }
    if (!j.changing) {
        const int one = widths[j.seed % (uint32_t)count], two = widths[j.seed / 4 % (uint32_t)count];
        const int way = (int)(j.seed / 16 % 4);
        coded other = way == 0 ? encode(&j, one, 1) : way == 1 ? encode_frame(&j, two) : encode_by_store(&j, one, two);
        check_same_packets(&first, &other);
        free_coded(&other);
        if (way == 3) {
            check_small_sink(&j, &first, two);
        }
    }
    check_decodes(&j, &first);
    free_coded(&first);
    free(j.frame);
    return 0;
}
