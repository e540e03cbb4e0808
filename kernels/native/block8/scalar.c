#include "simd_scalar.h"
#define B8_VARIANT b8_scalar
#include "variant.h"
