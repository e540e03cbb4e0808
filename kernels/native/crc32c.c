#include "crc32c.h"

#ifndef B8_ENCODER_ONLY
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define HAS_WORDS() __builtin_cpu_supports("sse4.2")
#define ADD_WORD(crc, word) __asm__("crc32q %1, %q0" : "+r"(crc) : "r"(word))
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#define HAS_WORDS() ((getauxval(AT_HWCAP) & HWCAP_CRC32) != 0)
#define ADD_WORD(crc, word) __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word))
#else
#define HAS_WORDS() 0
#define ADD_WORD(crc, word) ((void)(crc), (void)(word))
#endif

/* Takes eight bytes at a time where the processor has an instruction for it; returns how many bytes were taken. */
static size_t take_words(uint32_t *crc, const uint8_t *data, size_t size)
{
    size_t at = 0;
    for (const size_t end = HAS_WORDS() ? size & ~(size_t)7 : 0; at < end; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, sizeof word);
        ADD_WORD(*crc, word);
    }
    return at;
}
#endif

/* Half-byte table: 64 bytes of read-only memory; flight computers have little cache to spare. */
static const uint32_t NIBBLE[16] = {
    0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u, 0x417b1dbcu, 0x5125dad3u, 0x61c69362u, 0x7198540du,
    0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u, 0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u,
};

uint32_t fl_crc32c(uint32_t crc, const uint8_t *data, size_t size)
{
    size_t at = 0;
    crc = ~crc;
#ifndef B8_ENCODER_ONLY
    at = take_words(&crc, data, size);
#endif
    for (; at < size; at++) {
        crc ^= data[at];
        crc = (crc >> 4) ^ NIBBLE[crc & 15u];
        crc = (crc >> 4) ^ NIBBLE[crc & 15u];
    }
    return ~crc;
}
