/* The layout progressive: a layer that is being coded, beside the one that it refines. */
#ifndef B8_LAYERS_H
#define B8_LAYERS_H

#include "contexts.h"

#define B8_VISITED (-32768) /* a level that the first pass found to be 0 */

typedef struct {
    const int16_t *before;       /* [units][B8_UNIT_SAMPLES] levels of the layer before, ... */
    const int16_t *means_before; /* ... and the blocks' means */
    int16_t *now, *means;        /* those of this layer */
    uint32_t base[3];            /* first block of each plane */
    b8_step steps[2];            /* of luma and chroma; `set` counts refinements */
    int likely;                  /* the first pass of two over a step: only coefficients that are likely not to be 0 */
    uint32_t later;              /* steps that come after this one */
    b8_step wider[2];            /* twice the steps */
    int32_t rounding;            /* for the encoder: what is added before levels are cut off, in 1/256 step, ... */
    int32_t limits[2];           /* ... and the least magnitudes of luma and chroma that may count */
    uint16_t slots[B8_MODELS][64]; /* where the level of the k-th coefficient lies, from its block's first */
    int64_t worth;               /* by how much the packet's units lower the squared error */
} b8_refinement;

/* What a level stands for, between layers. The last step rounds coefficients to levels, and the steps before have the
 * upper bits of these: a level m is a coefficient of m to m + 1 steps, less half a step of the last. Small ones are
 * more likely than large ones. */
static inline int32_t b8_rebuild_level(int32_t level, const b8_step *step, uint32_t later)
{
    static const int8_t more[4][2] = {{0, -8}, {29, 46}, {54, 70}, {60, 76}}; /* in 1/256 step, of 1 and of others */
    const int32_t magnitude = b8_magnitude(level);
    const int64_t whole = 256 * (int64_t)magnitude + more[later < 3 ? later : 3][magnitude > 1];
    const int64_t value = magnitude == 0 ? 0 : (whole * step->q8 + 32768) >> 16;
    const int32_t bounded = (int32_t)(value > 32767 ? 32767 : value);
    return level < 0 ? -bounded : bounded;
}

/* The same within a layer. After its first pass even levels are known at twice the step still. */
static inline int32_t b8_rebuild(const b8_refinement *r, int32_t level, int chroma)
{
    if (level == B8_VISITED) {
        return 0;
    }
    return r->likely && (level & 1) == 0 ? b8_rebuild_level(level / 2, &r->wider[chroma], r->later + 1)
                                         : b8_rebuild_level(level, &r->steps[chroma], r->later);
}

#endif
