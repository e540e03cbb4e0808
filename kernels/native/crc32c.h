/* CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), as in RFC 3720 appendix B.4. */
#ifndef FARLOOK_CRC32C_H
#define FARLOOK_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* `crc` is 0 for the first piece and the previous result for the next ones. */
uint32_t fl_crc32c(uint32_t crc, const uint8_t *data, size_t size);

#endif
