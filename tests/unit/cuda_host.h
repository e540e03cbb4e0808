/* Stands for CUDA where block8's kernels are compiled as C++: a block's threads take each phase one after the other,
 * forwards or backwards, which gives the same unless they race. */
#ifndef CUDA_HOST_H
#define CUDA_HOST_H

#include <cstdint>

#define __device__
#define __global__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)

struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift)
{
    return (unsigned)(((std::uint64_t)high << 32 | low) >> (shift & 31u));
}

static struct {
    unsigned x, y, z;
} blockIdx;
static int host_threads, host_backwards;

#define B8_PHASE                                                                                                           \
    for (int turn = 0, thread = host_backwards ? host_threads - 1 : 0; turn < host_threads;                                \
         ++turn, thread += host_backwards ? -1 : 1)
#define B8_BARRIER() (void)0

/* Calls a kernel as a grid of tiles. */
template <class Kernel> static void host_launch(int tiles_x, int tiles_y, int threads, int backwards, Kernel kernel)
{
    host_threads = threads;
    host_backwards = backwards;
    for (int y = 0; y < tiles_y; ++y) {
        for (int x = 0; x < tiles_x; ++x) {
            blockIdx = {(unsigned)x, (unsigned)y, 0};
            kernel();
        }
    }
}

#endif
