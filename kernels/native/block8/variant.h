/* One vector width's functions, gathered. Included by scalar.c, avx2.c, avx512.c and neon.c.
 *
 * B8_ENCODER_ONLY leaves out the decoder, stores and the choice of a width: what a flight computer does without.
 * `farlook export block8 --format c` sets it. */

#include "encode.h"
#include "transform.h"
#include "logits.h"
#include "encode_units.h"
#include "encode_rows.h"
#ifndef B8_ENCODER_ONLY
#include "decode.h"
#include "decode_units.h"
#include "refine.h"
#include "refine_encode.h"
#include "refine_decode.h"
#include "synthesis.h"
#include "dispatch.h"

const b8_functions B8_VARIANT = {b8_push, b8_code_stored, b8_decode_packet, b8_refine_units,
                                 b8_decode_refinement, b8_synthesise_rows};
#endif
