/* The layout progressive: a layer that is being coded, beside the one that it refines. */
#ifndef B8_LAYERS_H
#define B8_LAYERS_H

#include "contexts.h"

typedef struct {
    const int16_t *before;       /* [units][B8_UNIT_SAMPLES] levels of the layer before, ... */
    const int16_t *means_before; /* ... and the blocks' means */
    int16_t *now, *means;        /* those of this layer */
    uint32_t base[3];            /* first block of each plane */
    b8_step steps[2];            /* of luma and chroma; `set` counts refinements */
    uint32_t later;              /* layers that come after this one */
    b8_step wider[2];            /* the steps of the layer before */
    int32_t rounding;            /* for the encoder: what is added before levels are cut off, in 1/256 step, ... */
    int32_t limits[2];           /* ... and the least magnitudes of luma and chroma that may count */
    uint16_t slots[B8_MODELS][64]; /* where the level of the k-th coefficient lies, from its block's first */
    int64_t worth;               /* by how much the packet's units lower the squared error */
} b8_refinement;

/* What a level stands for while `later` layers are to come. The last layer rounds coefficients to levels, and the
 * others have the upper bits of these: a level m is a coefficient of m to m + 1 steps, less half a step of the last
 * layer. Small ones are more likely than large ones. */
static inline int32_t b8_rebuild_level(int32_t level, const b8_step *step, uint32_t later)
{
    static const int8_t more[4][2] = {{0, -8}, {29, 46}, {54, 70}, {60, 76}}; /* in 1/256 step, of 1 and of others */
    const int64_t magnitude = 256 * (int64_t)b8_magnitude(level) + more[later < 3 ? later : 3][b8_magnitude(level) > 1];
    const int64_t value = level == 0 ? 0 : (magnitude * step->q8 + 32768) >> 16;
    const int32_t bounded = (int32_t)(value > 32767 ? 32767 : value);
    return level < 0 ? -bounded : bounded;
}

#endif
