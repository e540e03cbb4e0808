#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SETS 32
#define MAX_ROWS B8_ROWS(48)
#define CANARY 0xa5

static const uint32_t GROUPS[B8_MODELS] = {48, 24, 15, 3};
static const uint32_t PLACES[B8_MODELS] = {64, 64, 16, 4};

/* `sets` are those of a picture and, after them, those of its refinements. */
typedef struct {
    uint32_t chroma_finer, count;
    uint16_t limits[2 * MAX_SETS], decisions[8], sigmoid[256];
    b8_set sets[2 * MAX_SETS];
    int8_t ends[2 * MAX_SETS][B8_MODELS][MAX_ROWS];
    b8_tables native;
} table_file;

static table_file trained, made;

void check(int holds, const char *what, const char *file, int line)
{
    if (!holds) {
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
        abort();
    }
}

uint32_t take(input *in, uint32_t limit)
{
    uint32_t value = 0;
    for (int i = 0; i < 2; ++i) {
        value |= (in->at < in->end ? *in->at++ : 0u) << (8 * i);
    }
    return value % limit;
}

uint32_t random_next(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

void *reserve(size_t size)
{
    void *memory = NULL;
    CHECK(posix_memalign(&memory, 64, size > 0 ? size : 1) == 0);
    memset(memory, 0, size);
    return memory;
}

int variants(int out[4])
{
    int count = 0;
    for (int variant = B8_SCALAR; variant <= B8_NEON; ++variant) {
        if (b8_variant_works(variant)) {
            out[count++] = variant;
        }
    }
    return count;
}

/* 2^15 / (1 + exp(-(i - 128) / 16)), rounded, never 0 or 1. */
static void fill_sigmoid(uint16_t out[256])
{
    for (int i = 0; i < 256; ++i) {
        long value = lround(32768 / (1 + exp(-(i - 128) / 16.0)));
        out[i] = (uint16_t)(value > 32767 ? 32767 : value < 1 ? 1 : value);
    }
}

/* The logits' first column, as the coder wants it besides. */
static void fill_ends(table_file *t)
{
    for (uint32_t i = 0; i < t->count; ++i) {
        for (int model = 0; model < B8_MODELS; ++model) {
            for (uint32_t row = 0; row < B8_ROWS(GROUPS[model]); ++row) {
                t->ends[i][model][row] = t->sets[i].rows[model][32 * row];
            }
            t->sets[i].ends[model] = t->ends[i][model];
        }
    }
}

/* Lays a set out over what begins at `at`; returns where it ends. */
static size_t lay_out_set(b8_set *set, const uint8_t *data, size_t at, int refines)
{
    for (int model = 0; model < B8_MODELS; ++model) {
        set->rows[model] = (const int8_t *)data + at;
        at += 32 * B8_ROWS(GROUPS[model]);
        set->rest[model] = (const int8_t *)data + at;
        at += 32 * B8_ROWS(GROUPS[model]);
    }
    for (int model = 0; model < B8_MODELS; ++model) {
        set->signs[model] = (const int8_t *)data + at;
        at += 16 * B8_SIGN_ROWS(GROUPS[model]);
    }
    CHECK(at % 2 == 0);
    const uint16_t *probs = (const uint16_t *)(const void *)(data + at);
    for (int model = 0; model < B8_MODELS; ++model, probs += B8_LEVEL_PROBS) {
        set->levels[model] = probs;
    }
    for (int chroma = 0; chroma < 2; ++chroma, probs += B8_ROOT_PROBS) {
        set->roots[chroma] = probs;
    }
    set->skip = probs;
    probs += B8_SKIP_PROBS;
    set->changes = refines ? probs : NULL;
    probs += refines ? B8_CHANGE_PROBS : 0;
    return (size_t)((const uint8_t *)probs - data);
}

/* Lays tables out over `data`, a copy of tables.bin; returns its size, or 0 if it is none. */
static size_t lay_out(table_file *t, const uint8_t *data, size_t size)
{
    uint16_t head[3];
    if (size < 10 || memcmp(data, "B8T2", 4) != 0) {
        return 0;
    }
    memcpy(head, data + 4, sizeof head);
    t->count = (uint32_t)head[0] + head[1];
    t->chroma_finer = head[2];
    CHECK(head[0] <= MAX_SETS && head[1] <= MAX_SETS);
    size_t at = 4 + sizeof head;
    memcpy(t->limits, data + at, 2u * t->count);
    at += 2u * t->count;
    memcpy(t->decisions, data + at, sizeof t->decisions);
    at += sizeof t->decisions;
    for (int model = 0; model < B8_MODELS; ++model) {
        t->native.scans[model] = data + at;
        at += PLACES[model];
    }
    for (uint32_t i = 0; i < t->count && at < size; ++i) {
        at = lay_out_set(&t->sets[i], data, at, i >= head[0]);
    }
    t->native.set_count = head[0];
    t->native.sets = t->sets;
    t->native.set_limits = t->limits;
    t->native.refinement_count = head[1];
    t->native.refinements = t->sets + head[0];
    t->native.refinement_limits = t->limits + head[0];
    t->native.sigmoid = t->sigmoid;
    t->native.decisions = t->decisions;
    fill_sigmoid(t->sigmoid);
    if (at == size) {
        fill_ends(t);
    }
    return at;
}

static void load(void)
{
    const char *path = getenv("FARLOOK_TABLES");
    FILE *file = path == NULL ? NULL : fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "FARLOOK_TABLES does not name the tables of the block8 bundle\n");
        exit(1);
    }
    CHECK(fseek(file, 0, SEEK_END) == 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = reserve(size), *copy = reserve(size);
    CHECK(fread(data, 1, size, file) == size);
    fclose(file);
    memcpy(copy, data, size);
    CHECK(lay_out(&trained, data, size) == size && lay_out(&made, copy, size) == size);
}

/* Logits of one kind: random, small, or all extreme; the shape stays that of the trained tables. */
static void randomise(uint32_t seed)
{
    uint8_t *begin = (uint8_t *)(uintptr_t)made.native.scans[0];
    const uint32_t kind = seed % 4;
    uint32_t state = seed | 1u;
    for (int model = 0; model < B8_MODELS; ++model) {
        for (uint32_t k = PLACES[model] - 1; k > 1; --k) { /* the first stays 0: the mean */
            uint32_t other = 1 + random_next(&state) % k;
            uint8_t *scan = (uint8_t *)(uintptr_t)made.native.scans[model];
            uint8_t swapped = scan[k];
            scan[k] = scan[other];
            scan[other] = swapped;
        }
    }
    int8_t *at = (int8_t *)begin + PLACES[0] + PLACES[1] + PLACES[2] + PLACES[3];
    for (uint32_t i = 0; i < made.count; ++i) {
        const b8_set *set = &made.sets[i];
        const uint16_t *end = set->changes != NULL ? set->changes + B8_CHANGE_PROBS : set->skip + B8_SKIP_PROBS;
        for (; (const void *)at < (const void *)set->levels[0]; ++at) {
            int value = (int)(random_next(&state) >> 24) - 128;
            *at = (int8_t)(kind == 0 ? value : kind == 1 ? value / 16 : kind == 2 ? -128 : value < 0 ? -128 : 127);
        }
        uint16_t *prob = (uint16_t *)(void *)at;
        for (; prob < end; ++prob) {
            uint32_t value = random_next(&state);
            *prob = (uint16_t)(1 + value % 32767);
        }
        at = (int8_t *)prob;
    }
    fill_ends(&made);
    for (int i = 0; i < 8; ++i) {
        made.decisions[i] = (uint16_t)(random_next(&state) >> (kind == 0 ? 16 : 23));
    }
}

const b8_tables *tables_of(uint32_t seed)
{
    if (trained.count == 0) {
        load();
    }
    if (seed == 0) {
        return &trained.native;
    }
    randomise(seed);
    return &made.native;
}

uint32_t tables_chroma_finer(void) { return trained.chroma_finer; }

b8_geometry take_geometry(input *in)
{
    b8_geometry g;
    g.bands = take(in, 2) ? 3 : 1;
    g.depth = 8 + take(in, 9);
    g.width = 1 + take(in, 110);
    g.height = 1 + take(in, 110);
    if (take(in, 64) == 1) { /* long and thin */
        g.width = 1 + g.width * 100;
        g.height = 1 + g.height % 40;
    }
    return g;
}

uint32_t take_packets(input *in, const b8_geometry *g, b8_packet packets[MAX_PACKETS])
{
    const uint32_t units = ((g->width + 31) / 32) * ((g->height + 31) / 32);
    const uint32_t count = take(in, MAX_PACKETS);
    const int wild = take(in, 8) == 1;
    const uint32_t fields = 8 * count, left = (uint32_t)(in->end - in->at);
    uint32_t offset = 0, next = 0;
    for (uint32_t i = 0; i < count; ++i) {
        b8_packet *p = &packets[i];
        memset(p, 0, sizeof *p);
        uint32_t first = take(in, 65536);
        p->first = first % 16 == 0 ? first / 16 % (units + 1) : next;
        p->count = 1 + take(in, wild ? 65536 : units);
        if (!wild && p->first + p->count > units) {
            p->count = p->first < units ? units - p->first : 1;
        }
        p->step = take(in, wild ? 65536 : B8_STEPS);
        p->size = take(in, 1024);
        p->offset = offset;
        if (!wild && left > fields && p->size > left - fields - offset) {
            p->size = left - fields - offset;
        }
        offset += left > fields ? p->size : 0;
        next = (p->first + p->count) % units;
    }
    return count;
}

uint8_t *copy_of(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + (size == 0));
    CHECK(copy != NULL);
    memcpy(copy, data, size);
    return copy;
}

uint32_t block_count(const b8_geometry *g)
{
    uint32_t blocks = 0;
    for (uint32_t plane = 0; plane < 3; ++plane) {
        blocks += b8_blocks_x(g, plane) * b8_blocks_y(g, plane);
    }
    return blocks;
}

uint32_t unit_count(const b8_geometry *g)
{
    return ((g->width + 31) / 32) * ((g->height + 31) / 32);
}

b8_picture new_picture(const b8_geometry *g)
{
    const uint32_t blocks = block_count(g), units = unit_count(g);
    b8_picture p = {reserve(blocks * sizeof(int16_t)), reserve(blocks * sizeof(uint32_t)), reserve(blocks),
                    reserve(units * B8_UNIT_ENTRIES * sizeof(uint32_t)), reserve(units)};
    return p;
}

void free_picture(b8_picture *p)
{
    free(p->means);
    free(p->starts);
    free(p->counts);
    free(p->entries);
    free(p->known);
}

void check_same(const b8_geometry *g, const b8_picture *a, const b8_picture *b)
{
    const uint32_t blocks = block_count(g);
    CHECK(memcmp(a->means, b->means, blocks * sizeof *a->means) == 0);
    CHECK(memcmp(a->starts, b->starts, blocks * sizeof *a->starts) == 0);
    CHECK(memcmp(a->counts, b->counts, blocks) == 0);
    CHECK(memcmp(a->known, b->known, unit_count(g)) == 0);
    for (uint32_t i = 0; i < blocks; ++i) {
        CHECK(memcmp(a->entries + a->starts[i], b->entries + b->starts[i], a->counts[i] * sizeof *a->entries) == 0);
    }
}

uint8_t *synthesise_all(const b8_geometry *g, const b8_picture *p, size_t stride, uint32_t cut)
{
    const uint32_t rows = (g->height + 31) / 32;
    const size_t row_bytes = (size_t)g->width * g->bands * (g->depth > 8 ? 2 : 1);
    const size_t size = stride * (g->height - 1) + row_bytes; /* nothing after the last row */
    const size_t memory_size = b8_synthesis_bytes(g);
    void *memory = reserve(memory_size);
    uint8_t *first = NULL;
    int widths[4];
    const int count = variants(widths);
    for (int i = 0; i < 2 * count; ++i) {
        uint8_t *frame = malloc(size);
        CHECK(frame != NULL);
        memset(frame, CANARY, size);
        const uint32_t middle = i < count || cut % rows == 0 ? rows : cut % rows;
        memset(memory, i, memory_size); /* what it held before does not matter */
        CHECK(b8_synthesise(memory, memory_size, g, 0, middle, widths[i % count], p, frame, stride) == B8_OK);
        if (middle < rows) {
            CHECK(b8_synthesise(memory, memory_size, g, middle, rows, widths[i % count], p, frame, stride) == B8_OK);
        }
        for (uint32_t y = 0; y + 1 < g->height; ++y) {
            for (size_t x = row_bytes; x < stride; ++x) {
                CHECK(frame[y * stride + x] == CANARY);
            }
        }
        if (first == NULL) {
            first = frame;
            continue;
        }
        CHECK(memcmp(first, frame, size) == 0);
        free(frame);
    }
    free(memory);
    return first;
}
