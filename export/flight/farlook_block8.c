/* farlook block8: the encoder. Written by `farlook export block8 --format c`, farlook @VERSION@, out of the files
 * of farlook's own core that are named between the lines. SPDX-License-Identifier: Apache-2.0 */
#include "farlook_block8.h"

#define B8_ENCODER_ONLY
#include "block8/block8.h"

static int farlook_hand_over(b8_sink *sink);
#define B8_SEND(sink) farlook_hand_over(sink)

#include "block8/simd_scalar.h"
#include "block8/variant.h"
#include "block8/block8.c"
#include "block8/packets.c"
#include "crc32c.c"

#include "tables.h"

/* ---- The interface of farlook_block8.h ---- */

static const uint8_t farlook_preamble[B8_PREAMBLE_BYTES] = {@PREAMBLE@};

/* The front of an encoder's memory; room for one packet follows, then what the core works in. */
typedef struct {
    b8_sink sink; /* first, so that a sink's address is its state's */
    b8_packet packet;
    void *context;
    void *core;
    uint32_t row_bytes;
    uint32_t rows_left;
    int32_t status;
} farlook_state;

typedef char farlook_state_fits[(sizeof(farlook_state) <= FARLOOK_FRONT_BYTES) ? 1 : -1];

static farlook_state *farlook_state_of(farlook_encoder *encoder) { return (farlook_state *)(void *)encoder->bytes; }

/* Sends the packet in the sink, the preamble before the first, and empties the sink. */
static int farlook_hand_over(b8_sink *sink)
{
    farlook_state *state = (farlook_state *)(void *)sink;
    const uint32_t size = (uint32_t)sink->used;
    sink->used = 0u;
    sink->count = 0u;
    return (farlook_send(state->context, sink->data, size) == 0) ? B8_OK : FARLOOK_ERROR_SEND;
}

int32_t farlook_begin(farlook_encoder *encoder, const farlook_settings *settings, void *context)
{
    farlook_state *state = farlook_state_of(encoder);
    const b8_geometry geometry = {settings->width, settings->height, settings->bands, settings->depth};
    const uint32_t front = FARLOOK_FRONT_BYTES + FARLOOK_MTU_BYTES;
    const int has_finer = (settings->finer != NULL) ? 1 : 0;
    const int layout = (settings->interleave != 0u) ? B8_INTERLEAVED : B8_TILES;
    b8_options options;
    int32_t status;
    (void)memset(state, 0, sizeof(*state));
    state->status = FARLOOK_ERROR_ARGUMENT;
    if ((b8_geometry_fits(&geometry) == 0) || (settings->bands > FARLOOK_MAX_BANDS)) {
        return FARLOOK_ERROR_ARGUMENT;
    }
    if ((settings->width > FARLOOK_MAX_WIDTH) || (settings->mtu > FARLOOK_MAX_MTU)) {
        return FARLOOK_ERROR_SPACE;
    }
    (void)memset(&options, 0, sizeof(options));
    options.step = settings->step;
    options.chroma_finer = FARLOOK_CHROMA_FINER;
    options.mtu = settings->mtu;
    options.header_size =
        b8_write_header(&geometry, settings->step, has_finer, layout, farlook_digest, options.header);
    options.finer = settings->finer;
    state->core = encoder->bytes + front;
    status = b8_encoder_start(state->core, FARLOOK_ENCODER_BYTES - front, &geometry, &farlook_tables, &options, 0u,
                              b8_units_y(&geometry), B8_SCALAR);
    if (status != B8_OK) {
        return status;
    }
    state->sink.data = encoder->bytes + FARLOOK_FRONT_BYTES;
    state->sink.capacity = FARLOOK_MTU_BYTES;
    state->sink.packets = &state->packet;
    state->sink.packet_capacity = 1u;
    (void)memcpy(state->sink.data, farlook_preamble, sizeof(farlook_preamble));
    state->sink.used = sizeof(farlook_preamble);
    state->context = context;
    state->row_bytes = settings->width * settings->bands * ((settings->depth > 8u) ? 2u : 1u);
    state->rows_left = settings->height;
    state->status = FARLOOK_OK;
    return FARLOOK_OK;
}

int32_t farlook_push(farlook_encoder *encoder, const void *row)
{
    farlook_state *state = farlook_state_of(encoder);
    if (state->status == FARLOOK_OK) {
        if (state->rows_left == 0u) {
            return FARLOOK_ERROR_ARGUMENT;
        }
        --state->rows_left;
        state->status = b8_encoder_push(state->core, row, state->row_bytes, 1u, &state->sink);
    }
    return state->status;
}

void farlook_set_step(farlook_encoder *encoder, uint32_t step)
{
    farlook_state *state = farlook_state_of(encoder);
    if (state->status == FARLOOK_OK) {
        b8_encoder_set_step(state->core, step);
    }
}
