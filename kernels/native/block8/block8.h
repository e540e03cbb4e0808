/* block8: the flagship's C99 core. Integer from pixels to bytes and back.
 *
 * No dependencies, no floating point, no heap, no global state that changes: every function may be called from
 * several threads at once, each with its own working memory. All vector widths give the same bytes.
 * docs/block8-format.md is the specification of what the bytes mean.
 *
 * A picture is cut into units of 32x32 pixels. A packet holds a run of units and shares nothing with other packets;
 * slices, whole rows of units that no packet crosses, can be coded in parallel. Units are numbered row by row or, in
 * the layout B8_INTERLEAVED, as on a chessboard: around a packet that is lost are others.
 */
#ifndef FARLOOK_BLOCK8_H
#define FARLOOK_BLOCK8_H

#include <stddef.h>
#include <stdint.h>

#define B8_UNIT 32          /* pixels along a unit's side */
#define B8_STEPS 832        /* step indices: 0.25 * 2^(i / 64) levels of an 8-bit sample */
#define B8_MAX_SIDE 16384
#define B8_MIN_MTU 64
#define B8_MAX_MTU 16384
#define B8_HEADER_BYTES 12  /* most bytes of a stream's header */
#define B8_PREAMBLE_BYTES 6
#define B8_UNIT_SAMPLES 1536 /* coefficients of a unit in a store */
#define B8_UNIT_ENTRIES 1512 /* most coefficients of a unit that are not means: 24 blocks of 63 */

#define B8_LUMA 0           /* models of a set: the blocks of luma and of chroma, ... */
#define B8_CHROMA 1
#define B8_LUMA_MEANS 2     /* ... and the transforms of a unit's 4x4 or 2x2 block means */
#define B8_CHROMA_MEANS 3
#define B8_MODELS 4

#define B8_TILES 0          /* layouts */
#define B8_PROGRESSIVE 1
#define B8_INTERLEAVED 2    /* tiles, with units that touch in different packets */

/* Rows of a model's table, all of 64 lanes: by how many neighbours' coefficients are not zero, by 5 gradients of
 * block means at 8 levels, by each coefficient of the left block, of the one above and of the block so far, at 2
 * magnitudes, and by how many of the block are not zero so far. `groups` groups of coefficients: 48, 24, 15, 3. */
#define B8_ROW_COUNT 0
#define B8_ROW_GRADIENT 16
#define B8_ROW_LEFT 56
#define B8_ROWS(groups) (64 + 6 * (groups))
#define B8_SIGN_ROWS(groups) (40 + 6 * ((groups) < 16 ? (groups) : 16))
#define B8_LEVEL_PROBS 72   /* of a model: [3][16] above 1, [16] above 2, [8] of the escape's length */
#define B8_ROOT_PROBS 112   /* of luma's or chroma's roots: [6][16] length, [16] second bit */
#define B8_SKIP_PROBS 5
#define B8_CHANGE_PROBS 32   /* of a level that is refined: whether and which way it changes */

enum {
    B8_OK = 0,
    B8_ERROR_ARGUMENT = -1, /* a geometry, step or table that cannot be coded */
    B8_ERROR_SPACE = -2,    /* the output or working memory is too small */
    B8_ERROR_STREAM = -3    /* a payload that no encoder writes */
};

enum { B8_SCALAR = 0, B8_AVX2 = 1, B8_AVX512 = 2, B8_NEON = 3 };

/* One set of trained tables, for a range of steps. Logits are in sixteenths. */
typedef struct {
    const int8_t *rows[B8_MODELS];      /* [B8_ROWS][32]: logit of each decision, the lanes that most blocks need ... */
    const int8_t *rest[B8_MODELS];      /* [B8_ROWS][32]: ... and the other 32 lanes, apart: caches are small */
    const int8_t *ends[B8_MODELS];      /* [B8_ROWS]: column 0 of `rows`, which every block asks for */
    const int8_t *signs[B8_MODELS];     /* [B8_SIGN_ROWS][16]: logit of a sign, for the first 16 coefficients */
    const uint16_t *levels[B8_MODELS];  /* [B8_LEVEL_PROBS] */
    const uint16_t *roots[2];           /* [B8_ROOT_PROBS] */
    const uint16_t *skip;               /* [B8_SKIP_PROBS] */
    const uint16_t *changes;            /* [B8_CHANGE_PROBS] of a set for refinements, else NULL */
} b8_set;

typedef struct {
    uint32_t set_count;
    const b8_set *sets;
    const uint16_t *set_limits;         /* [set_count]: first step index that is too coarse for the set */
    uint32_t refinement_count;
    const b8_set *refinements;          /* sets for layers that refine a picture known at twice the step */
    const uint16_t *refinement_limits;  /* [refinement_count] */
    const uint16_t *sigmoid;            /* [256]: 2^15 / (1 + exp(-(i - 128) / 16)) */
    const uint8_t *scans[B8_MODELS];    /* [64], [64], [16], [4]: index u * side + v of the k-th coefficient */
    const uint16_t *decisions;          /* [8]: the encoder's thresholds, see docs */
} b8_tables;

typedef struct {
    uint32_t width;
    uint32_t height;                    /* pixels, 1 to B8_MAX_SIDE */
    uint32_t bands;                     /* 1 grey, 3 RGB */
    uint32_t depth;                     /* bits a sample: 8 to 16 */
} b8_geometry;

/* A packet: `count` units from `first` on. For an encoder, bytes [offset, offset + size) of its sink are the packet;
 * for a decoder, of its data, the payload. */
typedef struct {
    uint32_t first, count;
    uint32_t offset, size;
    uint32_t step;                      /* index */
    uint32_t layer;                     /* of the layout progressive, else 0 */
} b8_packet;

typedef struct {
    uint32_t step;                      /* index below B8_STEPS */
    uint32_t chroma_finer;              /* indices by which chroma's step is finer; at most `step` counts */
    uint32_t mtu;                       /* most bytes of a packet, B8_MIN_MTU to B8_MAX_MTU */
    uint32_t header_size;
    uint8_t header[B8_HEADER_BYTES];    /* the stream's header, from b8_write_header; decoders need its first byte */
    const uint8_t *finer;               /* [units]: row by row: indices by which a unit's steps are finer, or NULL */
#ifndef B8_ENCODER_ONLY
    uint32_t layer;                     /* of the layout progressive */
#endif
} b8_options;

/* Where an encoder writes: whole packets, one after the other. `used` and `count` grow; the rest is the caller's. */
typedef struct {
    uint8_t *data;
    size_t capacity, used;
    b8_packet *packets;
    uint32_t packet_capacity, count;
} b8_sink;

#ifndef B8_ENCODER_ONLY
/* Coefficients of a decoded picture. Entries, (u * 32 + v << 16 | value & 0xffff), begin at
 * starts[] of its blocks; `means` are the blocks' DC coefficients. Blocks are numbered row by row, planes follow. */
typedef struct {
    int16_t *means;                     /* [blocks] */
    uint32_t *starts;                   /* [blocks] index into entries */
    uint8_t *counts;                    /* [blocks] */
    uint32_t *entries;                  /* [units * B8_UNIT_ENTRIES]; only what is used is written */
    uint8_t *known;                     /* [units], row by row: 1 where a packet held the unit */
} b8_picture;

/* A picture in the layout progressive, while its layers are coded: what is known after layer k is at [k & 1]. */
typedef struct {
    int16_t *levels[2];                 /* [units][B8_UNIT_SAMPLES]; those of means where a store has the means */
    int16_t *means[2];                  /* [blocks] DC coefficients */
    uint8_t *known;                     /* [units]: how many layers are known */
} b8_layers;

/* Training: one record a block that was coded, see b8_trace_block. */
typedef struct {
    uint16_t *data;
    size_t capacity, used;
} b8_trace;

const char *b8_variant_name(int variant);
int b8_variant_works(int variant);      /* 1 if this build and this processor have it */
int b8_best_variant(void);
#endif

int32_t b8_step_q8(uint32_t index);     /* a step in 1/256 of a coefficient's unit */

/* Rows of units of a slice: no packet goes over its end, so that slices can be coded in parallel. Slices begin at
 * multiples of it. */
uint32_t b8_slice_rows(const b8_geometry *g);

/* A stream's header: bands, depth, whether units have steps of their own, layout, step, two bytes of the tables'
 * digest, width and height. Returns its size. */
uint32_t b8_write_header(const b8_geometry *g, uint32_t step, int has_finer, int layout, const uint8_t digest[2],
                         uint8_t out[B8_HEADER_BYTES]);

/* Number of blocks in a plane (0 luma, 1 and 2 chroma) along x and y; 0 where there is no such plane. */
uint32_t b8_blocks_x(const b8_geometry *g, uint32_t plane);
uint32_t b8_blocks_y(const b8_geometry *g, uint32_t plane);

/* Working memory that an encoder takes; 0 if the geometry cannot be coded. */
size_t b8_encoder_bytes(const b8_geometry *g, uint32_t mtu);

/* Begins to encode the rows of units [begin, end), of one slice or of several: the packets are the same as if every
 * slice had its own encoder. `memory` is 64-byte aligned and belongs to the encoder until
 * the last row is pushed; tables and options are read until then. Rows are pushed from b8_first_row on. */
int b8_encoder_start(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables,
                     const b8_options *options, uint32_t begin, uint32_t end, int variant);
uint32_t b8_first_row(uint32_t begin);  /* the first pixel row to push */
uint32_t b8_last_row(const b8_geometry *g, uint32_t end); /* one past the last */

/* Pushes `count` rows, `stride` bytes apart: [width][bands] of uint8_t, or uint16_t if depth > 8. */
int b8_encoder_push(void *memory, const void *rows, size_t stride, uint32_t count, b8_sink *sink);

/* Steps of packets that are begun from now on. */
void b8_encoder_set_step(void *memory, uint32_t step);

#ifndef B8_ENCODER_ONLY
/* Transforms a slice of a frame into `store`, [units][B8_UNIT_SAMPLES]; and codes it from there. */
int b8_store_rows(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables, const b8_options *options,
                  uint32_t begin, uint32_t end, int variant, const void *frame, size_t stride, int16_t *store);
int b8_encode_stored(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables,
                     const b8_options *options, uint32_t begin, uint32_t end, int variant, const int16_t *store,
                     b8_sink *sink);

/* A whole slice from a frame in memory; row 0 of the frame is at `frame`. */
int b8_encode_rows(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables,
                   const b8_options *options, uint32_t begin, uint32_t end, int variant, const void *frame,
                   size_t stride, b8_sink *sink);

size_t b8_decoder_bytes(const b8_geometry *g);

/* Decodes packets, whose payloads lie in `data` (size bytes) at their offsets, into `picture`.
 * `trace` may be NULL. Returns the first error; `failed` is then the packet's number. */
int b8_decode_packets(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables,
                      const b8_options *options, const b8_packet *packets, uint32_t count, const uint8_t *data,
                      size_t data_size, int variant, b8_picture *picture, b8_trace *trace, uint32_t *failed);

/* The layout progressive: layers of steps that halve. How many a stream has, whose last layer's step is `step`; the
 * others' indices are 64 more each. */
uint32_t b8_layer_count(uint32_t step);
uint32_t b8_layer_step(uint32_t step, uint32_t layer);

/* Codes layer options->layer, not the first, of a slice's rows of units; `layers` hold the whole picture as the layer
 * before left it. worth[i] is by how much packet i of the sink lowers the squared error. The first layer is coded by
 * b8_encode_stored and taken into `layers` by b8_decode_layer. options->chroma_finer is at most the last layer's
 * step. */
int b8_encode_first_layer(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables,
                          const b8_options *options, uint32_t begin, uint32_t end, int variant, const int16_t *store,
                          b8_sink *sink);
int b8_refine_rows(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables, const b8_options *options,
                   uint32_t begin, uint32_t end, int variant, const int16_t *store, const b8_layers *layers, b8_sink *sink,
                   int64_t *worth);

/* Decodes packets of layer options->layer, whose step is options->step; `picture` is working memory of the first
 * layer. Packets whose units, or those around them, lack a layer before are passed over. */
int b8_decode_layer(void *memory, size_t size, const b8_geometry *g, const b8_tables *tables, const b8_options *options,
                    const b8_packet *packets, uint32_t count, const uint8_t *data, size_t data_size, int variant,
                    const b8_layers *layers, b8_picture *picture, b8_trace *trace, uint32_t *failed);

/* The coefficients of what is known; options->step is the last layer's. */
int b8_finish_layers(const b8_geometry *g, const b8_tables *tables, const b8_options *options, const b8_layers *layers,
                     b8_picture *picture);

/* Copies the blocks' entries, one block after the other, and says where each block's begin: fewer bytes to take to a
 * GPU. Returns how many there are; `entries` may be NULL: they are only counted. */
uint32_t b8_pack_entries(const b8_geometry *g, const b8_picture *picture, uint32_t *starts, uint32_t *entries);

size_t b8_synthesis_bytes(const b8_geometry *g);

/* Rebuilds pixel rows [32 begin, 32 end) of the picture into `frame` (row 0 of the picture). */
int b8_synthesise(void *memory, size_t size, const b8_geometry *g, uint32_t begin, uint32_t end, int variant,
                  const b8_picture *picture, void *frame, size_t stride);
#endif

#endif
