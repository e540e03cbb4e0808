/* Codes many pictures in one run: batch PICTURES STREAMS. pictures.py makes PICTURES, and what STREAMS must be.
 *
 * A picture is ten numbers (width, height, bands, depth, step, mtu, whether units have steps of their own, a row and
 * the step from there on, whether packets are interleaved), then by how much units' steps are finer, if they are, then samples; a stream is its size
 * and bytes. Numbers have four bytes, samples one or two; the lowest comes first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "farlook_block8.h"

#define FIELDS 10

typedef struct {
    uint8_t *data;
    size_t used, capacity;
    uint32_t mtu;
} stream;

static farlook_encoder encoder;
static uint8_t raw[2 * FARLOOK_MAX_BANDS * FARLOOK_MAX_WIDTH];
static uint16_t deep[FARLOOK_MAX_BANDS * FARLOOK_MAX_WIDTH];

static int fail(const char *what)
{
    fprintf(stderr, "batch: %s\n", what);
    exit(1);
}

int32_t farlook_send(void *context, const uint8_t *packet, uint32_t size)
{
    stream *out = (stream *)context;
    if (size > out->mtu) {
        fail("a packet is larger than the mtu");
    }
    if (out->capacity - out->used < size) {
        out->capacity = 2 * out->capacity + size;
        out->data = (uint8_t *)realloc(out->data, out->capacity);
    }
    if (out->data == NULL) {
        return 1;
    }
    memcpy(out->data + out->used, packet, size);
    out->used += size;
    return 0;
}

static int read_fields(FILE *in, uint32_t *fields)
{
    uint8_t bytes[4 * FIELDS];
    if (fread(bytes, 1, sizeof bytes, in) != sizeof bytes) {
        return 0;
    }
    for (int i = 0; i < FIELDS; ++i) {
        const uint8_t *b = bytes + 4 * i;
        fields[i] = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    }
    return 1;
}

static const void *read_row(FILE *in, const farlook_settings *s)
{
    const size_t samples = (size_t)s->width * s->bands, size = s->depth > 8 ? 2 * samples : samples;
    if (fread(raw, 1, size, in) != size) {
        fail("PICTURES is cut short");
    }
    for (size_t i = 0; s->depth > 8 && i < samples; ++i) {
        deep[i] = (uint16_t)(raw[2 * i] | raw[2 * i + 1] << 8);
    }
    return s->depth > 8 ? (const void *)deep : raw;
}

static void encode(FILE *in, const uint32_t *fields, stream *out)
{
    const size_t units = (size_t)((fields[0] + 31) / 32) * ((fields[1] + 31) / 32);
    farlook_settings s = {fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[9], NULL};
    uint8_t *finer = (uint8_t *)malloc(units);
    if (finer == NULL || (fields[6] != 0 && fread(finer, 1, units, in) != units)) {
        fail("PICTURES is cut short");
    }
    s.finer = fields[6] != 0 ? finer : NULL;
    out->used = 0;
    out->mtu = s.mtu;
    if (farlook_begin(&encoder, &s, out) != FARLOOK_OK) {
        fail("farlook_begin refused a picture");
    }
    for (uint32_t y = 0; y < s.height; ++y) {
        if (fields[7] != 0 && y == fields[7]) {
            farlook_set_step(&encoder, fields[8]);
        }
        if (farlook_push(&encoder, read_row(in, &s)) != FARLOOK_OK) {
            fail("farlook_push refused a row");
        }
    }
    if (farlook_push(&encoder, raw) != FARLOOK_ERROR_ARGUMENT) {
        fail("farlook_push took a row too many");
    }
    free(finer);
}

int main(int argc, char **argv)
{
    uint32_t fields[FIELDS];
    stream out = {NULL, 0, 0, 0};
    FILE *in = argc == 3 ? fopen(argv[1], "rb") : NULL, *to = argc == 3 ? fopen(argv[2], "wb") : NULL;
    if (in == NULL || to == NULL) {
        fail("usage: batch PICTURES STREAMS");
    }
    while (read_fields(in, fields)) {
        encode(in, fields, &out);
        for (int shift = 0; shift < 32; shift += 8) {
            fputc((int)(out.used >> shift & 255), to);
        }
        fwrite(out.data, 1, out.used, to);
    }
    fclose(in);
    free(out.data);
    return fclose(to) == 0 ? 0 : 1;
}
