/* What each vector width brings. */
#ifndef B8_DISPATCH_H
#define B8_DISPATCH_H

#include "decode.h"
#include "encode.h"

typedef struct {
    int (*push)(b8_encoder *e, const void *rows, size_t stride, uint32_t count, b8_sink *sink);
    int (*code_stored)(b8_encoder *e, const int16_t *store, b8_sink *sink);
    int (*decode_packet)(b8_decoder *d, const b8_packet *packet, const uint8_t *payload);
    int (*refine_units)(b8_encoder *e, b8_refinement *r, const int16_t *store, b8_sink *sink, int64_t *worth);
    int (*decode_refinement)(b8_decoder *d, const b8_packet *packet, const uint8_t *payload);
    void (*synthesise)(b8_synthesis *s, uint32_t begin, uint32_t end, const b8_picture *picture, uint8_t *frame,
                       size_t stride);
} b8_functions;

extern const b8_functions b8_scalar;
extern const b8_functions b8_avx2;
extern const b8_functions b8_avx512;
extern const b8_functions b8_neon;

#endif
