#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#include <string.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt")
#endif
#include "simd_avx2.h"
#define B8_VARIANT b8_avx2
#include "variant.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
typedef int b8_no_avx2; /* a translation unit may not be empty */
#endif
