#if defined(__aarch64__)
#include "simd_neon.h"
#define B8_VARIANT b8_neon
#include "variant.h"
#else
typedef int b8_no_neon; /* a translation unit may not be empty */
#endif
