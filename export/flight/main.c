/* Example: a PGM or PPM file to a farlook stream. Written by `farlook export block8 --format c`.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     farlook_example [-q QUALITY] [-m MTU] [-o STREAM] [PICTURE]
 *
 * Without PICTURE it reads from standard input, without STREAM it writes to standard output. Rows go from the file
 * to the encoder one by one, as a push-broom scanner would deliver them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "farlook_block8.h"

typedef struct {
    FILE *file;
    uint32_t packets;
    uint32_t bytes;
} output;

static farlook_encoder encoder;
static uint8_t file_row[2u * FARLOOK_MAX_BANDS * FARLOOK_MAX_WIDTH];
static uint16_t deep_row[FARLOOK_MAX_BANDS * FARLOOK_MAX_WIDTH];

int32_t farlook_send(void *context, const uint8_t *packet, uint32_t size)
{
    output *out = (output *)context;
    out->packets += 1u;
    out->bytes += size;
    return (fwrite(packet, 1, size, out->file) == size) ? 0 : 1;
}

static int fail(const char *what)
{
    (void)fprintf(stderr, "farlook_example: %s\n", what);
    return 1;
}

/* A number of a picture's header, comments before it left out; 0 if there is none. */
static uint32_t read_number(FILE *in)
{
    uint32_t value = 0;
    int c = fgetc(in);
    while ((c == ' ') || (c == '\t') || (c == '\n') || (c == '\r') || (c == '#')) {
        if (c == '#') {
            while ((c != '\n') && (c != EOF)) {
                c = fgetc(in);
            }
        }
        c = fgetc(in);
    }
    while ((c >= '0') && (c <= '9') && (value < 1000000u)) {
        value = 10u * value + (uint32_t)(c - '0');
        c = fgetc(in);
    }
    return value;
}

/* Reads a header; returns 0 if it is none of a PGM or PPM whose samples use all of 8 to 16 bits. */
static int read_header(FILE *in, farlook_settings *settings)
{
    uint32_t highest;
    int letter = fgetc(in), kind = fgetc(in);
    settings->bands = (kind == '6') ? 3u : 1u;
    settings->width = read_number(in);
    settings->height = read_number(in);
    highest = read_number(in);
    settings->depth = 8u;
    while ((settings->depth < 16u) && (highest > (1u << settings->depth) - 1u)) {
        settings->depth += 1u;
    }
    return (letter == 'P') && ((kind == '5') || (kind == '6')) && (highest == (1u << settings->depth) - 1u);
}

/* The next row, samples of two bytes turned from big-endian to this processor's order; NULL at the file's end. */
static const void *read_row(FILE *in, const farlook_settings *settings)
{
    const size_t samples = (size_t)settings->width * settings->bands;
    const size_t size = (settings->depth > 8u) ? 2u * samples : samples;
    if (fread(file_row, 1, size, in) != size) {
        return NULL;
    }
    if (settings->depth == 8u) {
        return file_row;
    }
    for (size_t i = 0; i < samples; ++i) {
        deep_row[i] = (uint16_t)(((uint32_t)file_row[2u * i] << 8) | file_row[2u * i + 1u]);
    }
    return deep_row;
}

static int encode(FILE *in, const farlook_settings *settings, output *out)
{
    int32_t status = farlook_begin(&encoder, settings, out);
    for (uint32_t y = 0; (y < settings->height) && (status == FARLOOK_OK); ++y) {
        const void *row = read_row(in, settings);
        if (row == NULL) {
            return fail("the picture is cut short");
        }
        status = farlook_push(&encoder, row);
    }
    if (status == FARLOOK_ERROR_SPACE) {
        return fail("the picture is wider than FARLOOK_MAX_WIDTH, or the packets are larger than FARLOOK_MAX_MTU");
    }
    if (status == FARLOOK_ERROR_SEND) {
        return fail("cannot write the stream");
    }
    return (status == FARLOOK_OK) ? 0 : fail("a setting is out of its range, or the picture of a kind not exported");
}

static int run(FILE *in, farlook_settings *settings, output *out)
{
    int status;
    if (!read_header(in, settings)) {
        return fail("not a PGM or PPM picture with 8 to 16 full bits a sample");
    }
    settings->interleave = FARLOOK_INTERLEAVE(settings->width, settings->height);
    status = encode(in, settings, out);
    if ((status == 0) && (fflush(out->file) != 0)) {
        return fail("cannot write the stream");
    }
    if (status == 0) {
        (void)fprintf(stderr, "%lux%lu pixels: %lu bytes in %lu packets; working memory %lu bytes\n",
                      (unsigned long)settings->width, (unsigned long)settings->height, (unsigned long)out->bytes,
                      (unsigned long)out->packets, (unsigned long)sizeof(encoder));
    }
    return status;
}

int main(int argc, char **argv)
{
    farlook_settings settings = {0, 0, 0, 0, 0, (FARLOOK_MAX_MTU < 1024u) ? FARLOOK_MAX_MTU : 1024u, 0, NULL};
    output out = {stdout, 0, 0};
    FILE *in = stdin;
    uint32_t quality = 50;
    int status;
    for (int i = 1; i < argc; ++i) {
        const char option = ((argv[i][0] == '-') && (strlen(argv[i]) == 2u)) ? argv[i][1] : '\0';
        if (option == '\0') {
            in = fopen(argv[i], "rb");
        } else if ((strchr("qmo", option) == NULL) || (i + 1 == argc)) {
            return fail("usage: farlook_example [-q QUALITY] [-m MTU] [-o STREAM] [PICTURE]");
        } else if (option == 'o') {
            out.file = fopen(argv[++i], "wb");
        } else if (option == 'q') {
            quality = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else {
            settings.mtu = (uint32_t)strtoul(argv[++i], NULL, 10);
        }
        if ((in == NULL) || (out.file == NULL)) {
            return fail("cannot open a file");
        }
    }
    if ((quality < 1u) || (quality > 100u)) {
        return fail("the quality is 1 to 100");
    }
    settings.step = FARLOOK_STEP(quality);
    status = run(in, &settings, &out);
    return (fclose(out.file) == 0) ? status : fail("cannot write the stream");
}
