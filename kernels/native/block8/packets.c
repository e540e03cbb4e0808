/* A stream is a preamble and packets. A packet is
 *
 *   uint16  bytes that follow, with B8_FRAME_HEADER and B8_FRAME_STEP in its upper bits
 *   uint24  checksum: the lower bits of the CRC-32C of the stream's header, the uint16 and what follows
 *   [header] of the stream; varint first unit; varint count of units less one; [byte layer]; [uint16 step]; payload
 *
 * all little-endian. The header is in the first packet of every slice, and in packets 1, 2, 4, 8, ... of the first
 * slice, in the order in which packets are begun: losing some packets loses no picture. Interleaved, two packets are
 * open at a time, and each of the first two may come first and have the preamble.
 */
#include "packets.h"

#include <string.h>

#include "../crc32c.h"

#ifndef B8_SEND /* where packets leave the sink as soon as they are whole: what takes them out of it */
#define B8_SEND(sink) B8_OK
#endif

static uint32_t b8_put_varint(uint8_t *out, uint32_t value)
{
    uint32_t size = 0;
    while (value > 127u) {
        out[size++] = (uint8_t)(value | 128u);
        value >>= 7;
    }
    out[size++] = (uint8_t)value;
    return size;
}

static int b8_has_header(uint32_t slice, uint32_t number)
{
    return slice == 0 ? (number & (number - 1u)) == 0 : number == 0;
}

static uint32_t b8_layout_of(const b8_options *options) { return options->header[0] >> 2 & 3u; }

#ifdef B8_ENCODER_ONLY
#define B8_LAYERED(options) 0
#define B8_LAYER(options) 0u
#else /* of the layout progressive, whose packets have a byte more */
#define B8_LAYERED(options) (b8_layout_of(options) == B8_PROGRESSIVE)
#define B8_LAYER(options) (options)->layer
#endif

/* The step of packets that have none of their own. */
static uint32_t b8_stream_step(const b8_options *options)
{
    const uint32_t step = options->header[1] | (uint32_t)options->header[2] << 8;
#ifndef B8_ENCODER_ONLY
    if (B8_LAYERED(options)) {
        return b8_layer_step(step, options->layer);
    }
#endif
    return step;
}

uint32_t b8_write_header(const b8_geometry *g, uint32_t step, int has_finer, int layout, const uint8_t digest[2],
                         uint8_t out[B8_HEADER_BYTES])
{
    uint32_t size = 5;
    out[0] = (uint8_t)((g->bands == 3) | (has_finer != 0) << 1 | (layout & 3) << 2 | (g->depth - 1) << 4);
    out[1] = (uint8_t)step;
    out[2] = (uint8_t)(step >> 8);
    out[3] = digest[0];
    out[4] = digest[1];
    size += b8_put_varint(out + size, g->width - 1);
    size += b8_put_varint(out + size, g->height - 1);
    return size;
}

static int b8_may_be_first(const b8_options *options, uint32_t slice, uint32_t number)
{
    return slice == 0 && number <= (b8_layout_of(options) == B8_INTERLEAVED);
}

uint32_t b8_frame_bytes(const b8_options *options, uint32_t slice, uint32_t number, uint32_t first, uint32_t step)
{
    uint8_t scratch[5];
    return 5u + (B8_LAYER(options) == 0 && b8_has_header(slice, number) ? options->header_size : 0u) +
           (b8_may_be_first(options, slice, number) ? B8_PREAMBLE_BYTES : 0u) + b8_put_varint(scratch, first) + 2u +
           (step != b8_stream_step(options) ? 2u : 0u) + (B8_LAYERED(options) ? 1u : 0u);
}

int b8_frame_packet(const b8_options *options, uint32_t slice, uint32_t number, uint32_t first, uint32_t count,
                    uint32_t step, const uint8_t *payload, uint32_t size, b8_sink *sink)
{
    uint8_t head[2], fields[B8_HEADER_BYTES + 12];
    uint32_t used = 0;
    uint32_t flags = 0;
    if (B8_LAYER(options) == 0 && b8_has_header(slice, number)) {
        memcpy(fields, options->header, options->header_size);
        used = options->header_size;
        flags |= B8_FRAME_HEADER;
    }
    used += b8_put_varint(fields + used, first);
    used += b8_put_varint(fields + used, count - 1u);
    if (B8_LAYERED(options)) {
        fields[used++] = (uint8_t)B8_LAYER(options);
    }
    if (step != b8_stream_step(options)) {
        fields[used++] = (uint8_t)step;
        fields[used++] = (uint8_t)(step >> 8);
        flags |= B8_FRAME_STEP;
    }
    const uint32_t length = used + size;
    if (sink->count == sink->packet_capacity || sink->capacity - sink->used < length + 5u) {
        return B8_ERROR_SPACE;
    }
    head[0] = (uint8_t)length;
    head[1] = (uint8_t)((length | flags) >> 8);
    uint32_t crc = fl_crc32c(0, options->header, options->header_size);
    crc = fl_crc32c(crc, head, sizeof head);
    crc = fl_crc32c(crc, fields, used);
    crc = fl_crc32c(crc, payload, size);
    b8_packet *packet = &sink->packets[sink->count++];
    packet->first = first;
    packet->count = count;
    packet->step = step;
    packet->layer = B8_LAYER(options);
    packet->offset = (uint32_t)sink->used;
    packet->size = length + 5u;
    uint8_t *out = sink->data + sink->used;
    out[0] = head[0];
    out[1] = head[1];
    out[2] = (uint8_t)crc;
    out[3] = (uint8_t)(crc >> 8);
    out[4] = (uint8_t)(crc >> 16);
    memcpy(out + 5, fields, used);
    memcpy(out + 5 + used, payload, size);
    sink->used += length + 5u;
    return B8_SEND(sink);
}
