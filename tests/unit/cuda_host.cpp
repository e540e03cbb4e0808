/* block8's CUDA kernels as functions of a host, for tests. */
#include "cuda_host.h"

#include "analysis.cu"
#include "synthesis.cu"

static int tiles(int side, int tile) { return (side + tile - 1) / tile; }

extern "C" void host_analysis(int bands, const b8_byte *image, long long stride, int width, int height, short *store,
                              int backwards)
{
    host_launch(tiles(width, B8_TILE_X), tiles(height, B8_TILE_Y), B8_ANALYSIS_THREADS, backwards, [&] {
        (bands == 1 ? b8_analysis_grey : b8_analysis_rgb)(image, stride, width, height, store);
    });
}

extern "C" void host_synthesis(int bands, const short *store, int width, int height, b8_byte *image, long long stride,
                               int backwards)
{
    host_launch(tiles(width, B8_TILE_X), tiles(height, B8_TILE_Y), B8_SYNTHESIS_THREADS, backwards,
                [&] { (bands == 1 ? b8_synthesis_grey : b8_synthesis_rgb)(store, width, height, image, stride); });
}

extern "C" void host_lists(int bands, const short *means, const unsigned *starts, const b8_byte *counts,
                           const unsigned *entries, int width, int height, b8_byte *image, long long stride, int backwards)
{
    host_launch(tiles(width, B8_TILE_X), tiles(height, B8_TILE_Y), B8_SYNTHESIS_THREADS, backwards, [&] {
        (bands == 1 ? b8_lists_grey : b8_lists_rgb)(means, starts, counts, entries, width, height, image, stride);
    });
}
