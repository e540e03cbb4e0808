/* The frame of a packet in a stream. */
#ifndef B8_PACKETS_H
#define B8_PACKETS_H

#include "block8.h"

#define B8_FRAME_HEADER 0x4000u /* the stream's header is repeated */
#define B8_FRAME_STEP 0x8000u   /* the packet's step is not the stream's */

/* Bytes that a packet takes besides its payload, at most. */
uint32_t b8_frame_bytes(const b8_options *options, uint32_t slice, uint32_t number, uint32_t first, uint32_t step);

/* Writes a packet into `sink`. */
int b8_frame_packet(const b8_options *options, uint32_t slice, uint32_t number, uint32_t first, uint32_t count,
                    uint32_t step, const uint8_t *payload, uint32_t size, b8_sink *sink);

#endif
