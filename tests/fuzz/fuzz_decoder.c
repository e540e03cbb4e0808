/* Any bytes as the packets of a picture: the decoder stays in its memory, and all variants give the same. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#define TRACE_WORDS 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, data + size};
    const uint32_t random = take(&in, 4);
    const uint32_t seed = take(&in, 65536);
    const b8_tables *tables = tables_of(random == 1 ? seed : 0);
    const b8_geometry g = take_geometry(&in);
    const uint8_t mark = 0;
    const uint32_t kind = take(&in, 4);
    const b8_options options = {
        .chroma_finer = tables_chroma_finer(),
        .finer = kind & 1 ? &mark : NULL,
        .header = {(kind & 2 ? B8_INTERLEAVED : B8_TILES) << 2},
    };
    const size_t stride = (size_t)g.width * g.bands * (g.depth > 8 ? 2 : 1) + take(&in, 5);
    const uint32_t cut = take(&in, 65536);
    b8_packet packets[MAX_PACKETS];
    const uint32_t count = take_packets(&in, &g, packets);

    const size_t payload_size = (size_t)(in.end - in.at);
    uint8_t *payload = copy_of(in.at, payload_size);

    const size_t memory_size = b8_decoder_bytes(&g);
    void *memory = reserve(memory_size);
    int widths[4];
    const int width_count = variants(widths);
    b8_picture pictures[4];
    b8_trace trace = {reserve(TRACE_WORDS * sizeof(uint16_t)), TRACE_WORDS - size % 64, 0};
    int status = B8_OK;
    uint32_t failed = 0;
    for (int i = 0; i < width_count; ++i) {
        uint32_t at = 0;
        pictures[i] = new_picture(&g);
        int result = b8_decode_packets(memory, memory_size, &g, tables, &options, packets, count, payload,
                                       payload_size, widths[i], &pictures[i], i == 1 ? &trace : NULL, &at);
        if (i == 0) {
            status = result;
            failed = at;
        }
        CHECK(result == B8_OK || result == B8_ERROR_STREAM);
        CHECK(result == status && at == failed);
        check_same(&g, &pictures[0], &pictures[i]);
    }
    CHECK(trace.used <= trace.capacity);
    free(synthesise_all(&g, &pictures[0], stride, cut));
    for (int i = 0; i < width_count; ++i) {
        free_picture(&pictures[i]);
    }
    free(trace.data);
    free(memory);
    free(payload);
    return 0;
}
