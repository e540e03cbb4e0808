#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#include <string.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512bitalg"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512bitalg")
#endif
#include "simd_avx512.h"
#define B8_VARIANT b8_avx512
#include "variant.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
typedef int b8_no_avx512; /* a translation unit may not be empty */
#endif
