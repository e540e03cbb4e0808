/* Runs the whole core on many pictures, with every vector width that this processor has: core PICTURES STREAMS
 * CHECKSUMS. The widths must agree; the streams, and the CRC-32C of the pixels that they decode to, are written.
 *
 * The files are those of batch.c; checksums, of pixels as little-endian bytes, have four bytes each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block8/block8.h"
#include "crc32c.h"

#include "farlook_block8.h"

#include "tables.h"

#define FIELDS 10
#define VARIANTS 4

typedef struct {
    b8_geometry geometry;
    b8_options options;
    uint32_t later_row, later_step;
    uint8_t *rows;
    size_t stride, units;
} picture;

static void fail(const char *what)
{
    fprintf(stderr, "core: %s\n", what);
    exit(1);
}

/* Zeros, on a boundary of 64 bytes; never freed: the process ends soon. */
static void *room(size_t size)
{
    uint8_t *memory = (uint8_t *)calloc(1, size + 64);
    if (memory == NULL) {
        fail("out of memory");
    }
    return memory + (64 - (uintptr_t)memory % 64) % 64;
}

static void read_all(FILE *in, void *to, size_t size)
{
    if (fread(to, 1, size, in) != size) {
        fail("PICTURES is cut short");
    }
}

static uint32_t number(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void write_number(FILE *to, uint32_t value)
{
    for (int shift = 0; shift < 32; shift += 8) {
        fputc((int)(value >> shift & 255), to);
    }
}

static int read_picture(FILE *in, picture *p)
{
    uint8_t head[4 * FIELDS];
    b8_geometry *g = &p->geometry;
    if (fread(head, 1, sizeof head, in) != sizeof head) {
        return 0;
    }
    memset(p, 0, sizeof *p);
    g->width = number(head);
    g->height = number(head + 4);
    g->bands = number(head + 8);
    g->depth = number(head + 12);
    p->options.step = number(head + 16);
    p->options.mtu = number(head + 20);
    p->options.chroma_finer = FARLOOK_CHROMA_FINER;
    p->later_row = number(head + 28);
    p->later_step = number(head + 32);
    p->units = (size_t)((g->width + 31) / 32) * ((g->height + 31) / 32);
    if (number(head + 24) != 0) {
        uint8_t *finer = (uint8_t *)room(p->units);
        read_all(in, finer, p->units);
        p->options.finer = finer;
    }
    const int layout = number(head + 36) != 0 ? B8_INTERLEAVED : B8_TILES;
    p->options.header_size = b8_write_header(g, p->options.step, p->options.finer != NULL, layout, farlook_digest,
                                             p->options.header);
    p->stride = (size_t)g->width * g->bands * (g->depth > 8 ? 2 : 1);
    p->rows = (uint8_t *)room(p->stride * g->height);
    read_all(in, p->rows, p->stride * g->height);
    for (size_t i = 0; g->depth > 8 && i < p->stride * g->height; i += 2) {
        const uint16_t sample = (uint16_t)(p->rows[i] | p->rows[i + 1] << 8);
        memcpy(p->rows + i, &sample, sizeof sample);
    }
    return 1;
}

static void encode(const picture *p, int variant, b8_sink *sink)
{
    static const uint8_t preamble[B8_PREAMBLE_BYTES] = {0x8f, 0x46, 0x4c, 0x4b, 0x02, 0x02};
    const b8_geometry *g = &p->geometry;
    const size_t size = b8_encoder_bytes(g, p->options.mtu);
    void *memory = room(size);
    sink->capacity = p->units * B8_UNIT_SAMPLES * 3 + p->options.mtu;
    sink->data = (uint8_t *)room(sink->capacity);
    memcpy(sink->data, preamble, sizeof preamble);
    sink->used = sizeof preamble;
    sink->packet_capacity = (uint32_t)p->units + 1;
    sink->packets = (b8_packet *)room(sink->packet_capacity * sizeof(b8_packet));
    sink->count = 0;
    if (b8_encoder_start(memory, size, g, &farlook_tables, &p->options, 0, (g->height + 31) / 32, variant) != B8_OK ||
        b8_encoder_push(memory, p->rows, p->stride, p->later_row, sink) != B8_OK) {
        fail("the encoder refused a picture");
    }
    if (p->later_row != 0) {
        b8_encoder_set_step(memory, p->later_step);
    }
    if (b8_encoder_push(memory, p->rows + p->later_row * p->stride, p->stride, g->height - p->later_row, sink)
        != B8_OK) {
        fail("the encoder refused rows");
    }
}

/* Turns a packet as it was framed into its payload. */
static b8_packet payload(const b8_packet *framed, const picture *p, const uint8_t *data)
{
    b8_packet out = *framed;
    uint32_t at = framed->offset + 5;
    at += (data[framed->offset + 1] & 0x40) != 0 ? p->options.header_size : 0;
    for (int i = 0; i < 2; ++i) {
        while (data[at++] > 127) {
        }
    }
    at += (data[framed->offset + 1] & 0x80) != 0 ? 2 : 0;
    out.offset = at;
    out.size = framed->offset + framed->size - at;
    return out;
}

static uint8_t *decode(const picture *p, int variant, const b8_sink *sink)
{
    const b8_geometry *g = &p->geometry;
    const size_t decoder = b8_decoder_bytes(g), synthesis = b8_synthesis_bytes(g), blocks = p->units * 24;
    b8_picture q;
    b8_packet *packets = (b8_packet *)room(sink->count * sizeof(b8_packet));
    uint8_t *frame = (uint8_t *)room(p->stride * g->height);
    uint32_t failed = 0;
    q.means = (int16_t *)room(blocks * sizeof(int16_t));
    q.starts = (uint32_t *)room(blocks * sizeof(uint32_t));
    q.counts = (uint8_t *)room(blocks);
    q.entries = (uint32_t *)room(p->units * B8_UNIT_ENTRIES * sizeof(uint32_t));
    q.known = (uint8_t *)room(p->units);
    for (uint32_t i = 0; i < sink->count; ++i) {
        packets[i] = payload(&sink->packets[i], p, sink->data);
    }
    if (b8_decode_packets(room(decoder), decoder, g, &farlook_tables, &p->options, packets, sink->count, sink->data,
                          sink->used, variant, &q, NULL, &failed) != B8_OK ||
        b8_synthesise(room(synthesis), synthesis, g, 0, (g->height + 31) / 32, variant, &q, frame, p->stride)
            != B8_OK) {
        fail("the decoder refused a stream");
    }
    return frame;
}

static uint32_t checksum(const picture *p, uint8_t *frame)
{
    const size_t size = p->stride * p->geometry.height;
    for (size_t i = 0; p->geometry.depth > 8 && i < size; i += 2) {
        uint16_t sample;
        memcpy(&sample, frame + i, sizeof sample);
        frame[i] = (uint8_t)sample;
        frame[i + 1] = (uint8_t)(sample >> 8);
    }
    return fl_crc32c(0, frame, size);
}

int main(int argc, char **argv)
{
    picture p;
    FILE *in = argc == 4 ? fopen(argv[1], "rb") : NULL;
    FILE *streams = argc == 4 ? fopen(argv[2], "wb") : NULL, *checksums = argc == 4 ? fopen(argv[3], "wb") : NULL;
    if (in == NULL || streams == NULL || checksums == NULL) {
        fail("usage: core PICTURES STREAMS CHECKSUMS");
    }
    while (read_picture(in, &p)) {
        b8_sink first, sink;
        encode(&p, B8_SCALAR, &first);
        uint8_t *frame = decode(&p, B8_SCALAR, &first);
        for (int variant = B8_SCALAR + 1; variant < VARIANTS; ++variant) {
            if (!b8_variant_works(variant)) {
                continue;
            }
            encode(&p, variant, &sink);
            if (sink.used != first.used || memcmp(sink.data, first.data, sink.used) != 0) {
                fail("two vector widths write different streams");
            }
            if (memcmp(decode(&p, variant, &first), frame, p.stride * p.geometry.height) != 0) {
                fail("two vector widths decode a stream differently");
            }
        }
        write_number(streams, (uint32_t)first.used);
        fwrite(first.data, 1, first.used, streams);
        write_number(checksums, checksum(&p, frame));
    }
    for (int variant = 0; variant < VARIANTS; ++variant) {
        printf("%s%s", variant > 0 && b8_variant_works(variant) ? ", " : "",
               b8_variant_works(variant) ? b8_variant_name(variant) : "");
    }
    printf("\n");
    return fclose(streams) == 0 && fclose(checksums) == 0 ? 0 : 1;
}
