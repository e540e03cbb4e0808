/* farlook block8 for flight computers: pictures in, row by row; packets out.
 *
 * Written by `farlook export block8 --format c`, farlook @VERSION@. SPDX-License-Identifier: Apache-2.0
 *
 * The encoder writes what farlook's own encoder writes, byte for byte, on every processor. It needs memcpy and
 * memset, and no other library; it uses no heap, no floating point, no recursion and no function pointers. Its
 * memory is one farlook_encoder, whose size the compiler knows. Encoders share nothing: each may have its thread.
 *
 *     static farlook_encoder encoder;
 *     farlook_settings settings = {1024, 1024, 1, 8, FARLOOK_STEP(50u), 1024, 1, NULL};
 *     farlook_begin(&encoder, &settings, NULL);
 *     for (each row) farlook_push(&encoder, row);
 */
#ifndef FARLOOK_BLOCK8_ENCODER_H
#define FARLOOK_BLOCK8_ENCODER_H

#include <stddef.h>
#include <stdint.h>

/* The largest picture and packet. Set them here or with -D, alike for every file; the memory follows. */
#ifndef FARLOOK_MAX_WIDTH
#define FARLOOK_MAX_WIDTH @MAX_WIDTH@u
#endif
#ifndef FARLOOK_MAX_MTU
#define FARLOOK_MAX_MTU @MAX_MTU@u
#endif
#define FARLOOK_MAX_BANDS @BANDS@u /* @KINDS@ */

#define FARLOOK_STEPS @STEPS@u     /* steps of the quantiser: 0.25 * 2^(step / 64) levels of an 8-bit sample */

/* The step of farlook's quality, 1 (smallest) to 100 (best). */
#define FARLOOK_STEP(quality) \
    ((2u * (@COARSEST@u * 99u - ((quality) - 1u) * (@COARSEST@u - @FINEST@u)) + 99u) / 198u)

/* Pictures of a packet or two are not interleaved. */
#define FARLOOK_INTERLEAVE(width, height) \
    ((((((width) + 31u) / 32u) * (((height) + 31u) / 32u)) > @FEW_UNITS@u) ? 1u : 0u)

/* Bytes of working memory. */
#define FARLOOK_FRONT_BYTES @FRONT_BYTES@u
#define FARLOOK_MTU_BYTES ((FARLOOK_MAX_MTU + 63u) / 64u * 64u)
#define FARLOOK_WIDTH_BYTES ((FARLOOK_MAX_WIDTH + 63u) / 64u * @COLUMN_BYTES@u)
#define FARLOOK_ENCODER_BYTES (FARLOOK_FRONT_BYTES + @CORE_BYTES@u + FARLOOK_WIDTH_BYTES + 3u * FARLOOK_MTU_BYTES)

#define FARLOOK_OK 0
#define FARLOOK_ERROR_ARGUMENT (-1) /* a setting that is out of its range, or a row too many */
#define FARLOOK_ERROR_SPACE (-2)    /* a picture wider, or a packet larger, than FARLOOK_MAX_... */
#define FARLOOK_ERROR_SEND (-3)     /* farlook_send refused a packet */

typedef union {
    uint64_t alignment;
    uint8_t bytes[FARLOOK_ENCODER_BYTES];
} farlook_encoder;

typedef struct {
    uint32_t width;       /* pixels, 1 to FARLOOK_MAX_WIDTH */
    uint32_t height;      /* rows, 1 to 16384 */
    uint32_t bands;       /* 1: grey; 3: red, green, blue */
    uint32_t depth;       /* bits a sample, 8 to 16 */
    uint32_t step;        /* FARLOOK_STEP(quality), or any below FARLOOK_STEPS; 64 less, and the error is half */
    uint32_t mtu;         /* most bytes of a packet, 64 to FARLOOK_MAX_MTU */
    uint32_t interleave;  /* 1: units that touch go into different packets, so that losses are easily filled in;
                             0: 2 to 4 % fewer bytes; FARLOOK_INTERLEAVE(width, height): as farlook itself does */
    const uint8_t *finer; /* by how many steps each unit of 32x32 pixels is finer, row by row; or NULL: all alike */
} farlook_settings;

/* Begins a picture. `context` is passed on to farlook_send. The encoder may have been used before. */
int32_t farlook_begin(farlook_encoder *encoder, const farlook_settings *settings, void *context);

/* Takes the next row: `bands` samples a pixel, uint8_t or, if depth > 8, uint16_t of this processor's byte order.
 * Sends the packets that became whole; after the picture's last row, all that is left. */
int32_t farlook_push(farlook_encoder *encoder, const void *row);

/* Another step for packets that are begun from now on: for a rate that is controlled while the picture comes in. */
void farlook_set_step(farlook_encoder *encoder, uint32_t step);

/* Yours to write: takes a packet. Packets one after the other are the stream; each decodes alone, and a lost one
 * costs the units in it. Anything but 0 ends the picture: farlook_push returns FARLOOK_ERROR_SEND. */
int32_t farlook_send(void *context, const uint8_t *packet, uint32_t size);

/* Trained tables, in farlook_block8_tables.c. */
@TABLES@

#endif
