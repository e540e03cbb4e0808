/* Rows of pixels to coefficients. Included once for each vector width. */

#define B8_CHUNK (2 * B8_LANES) /* pixels converted at a time */

/* 2^15 times the coefficients of JFIF's Y, Cb and Cr (ITU-T T.871, section 7). */
static const int16_t b8_to_luma[3] = {9798, 19235, 3735};
static const int16_t b8_to_chroma[2][3] = {{-5529, -10855, 16384}, {16384, -13720, -2664}};

/* Where a row's last pixel goes on to: whole blocks of luma and of chroma. */
static inline uint32_t b8_padded_width(const b8_geometry *g) { return (g->width + 15u) & ~15u; }

/* One band of pixels [x, x + B8_CHUNK) of a row as 15-bit samples; the last pixel goes on past the row's end. */
static void b8_load_band(const b8_geometry *g, const uint8_t *row, uint32_t x, uint32_t band, int16_t *out)
{
    const uint32_t last = g->width - 1;
    if (g->depth == 8 && g->bands == 1 && x + B8_CHUNK <= g->width) {
        for (uint32_t i = 0; i < B8_CHUNK; ++i) {
            out[i] = (int16_t)(row[x + i] << 7);
        }
        return;
    }
    for (uint32_t i = 0; i < B8_CHUNK; ++i) {
        const size_t at = (size_t)(x + i < last ? x + i : last) * g->bands + band;
        if (g->depth == 8) {
            out[i] = (int16_t)(row[at] << 7);
        } else {
            uint16_t sample;
            memcpy(&sample, row + 2 * at, sizeof sample);
            sample = (uint16_t)(sample & ((1u << g->depth) - 1u));
            out[i] = (int16_t)(g->depth == 16 ? sample >> 1 : sample << (15 - g->depth));
        }
    }
}

/* The same of red, green and blue, each in two vectors. */
static inline void b8_load_pixels(const b8_geometry *g, const uint8_t *row, uint32_t x, b8_v out[2][3])
{
    if (g->depth == 8 && x + B8_CHUNK <= g->width) {
        b8_load_rgb(row + 3 * (size_t)x, out[0]);
        b8_load_rgb(row + 3 * ((size_t)x + B8_LANES), out[1]);
        return;
    }
    for (uint32_t band = 0; band < 3; ++band) {
        int16_t samples[B8_CHUNK];
        b8_load_band(g, row, x, band, samples);
        out[0][band] = v_load(samples);
        out[1][band] = v_load(samples + B8_LANES);
    }
}

static inline b8_v b8_weigh(const b8_v in[3], const int16_t w[3])
{
    return v_add(v_add(v_mulr(in[0], w[0]), v_mulr(in[1], w[1])), v_mulr(in[2], w[2]));
}

/* Converts one row of pixels into row `at` of luma's window. */
static void b8_convert_grey(b8_encoder *e, const uint8_t *row, int32_t at)
{
    const b8_v middle = v_splat(1024);
    int16_t *luma = e->window[0] + (size_t)at * e->stride[0];
    for (uint32_t x = 0; x < b8_padded_width(&e->geometry); x += B8_CHUNK) {
        int16_t in[B8_CHUNK];
        b8_load_band(&e->geometry, row, x, 0, in);
        for (int i = 0; i < B8_CHUNK; i += B8_LANES) {
            v_store(luma + x + i, v_sub(v_round_shift(v_load(in + i), 4), middle));
        }
    }
}

/* Converts one row of pixels into row `at` of luma's window and, from every second row on, into chroma's. */
static void b8_convert_colour(b8_encoder *e, const uint8_t *row, int32_t at, int odd)
{
    const b8_v middle = v_splat(1024);
    int16_t *luma = e->window[0] + (size_t)at * e->stride[0];
    for (uint32_t x = 0; x < b8_padded_width(&e->geometry); x += B8_CHUNK) {
        b8_v in[2][3], half[3];
        b8_load_pixels(&e->geometry, row, x, in);
        for (int i = 0; i < 2; ++i) {
            v_store(luma + x + i * B8_LANES, v_sub(v_round_shift(b8_weigh(in[i], b8_to_luma), 4), middle));
        }
        for (int band = 0; band < 3; ++band) {
            int16_t *sums = e->sums + (size_t)band * e->stride[1] + x / 2;
            const b8_v mean = v_pair_mean(in[0][band], in[1][band]);
            if (odd) {
                half[band] = v_add(v_halve(mean), v_halve(v_load(sums)));
            } else {
                v_store(sums, mean);
            }
        }
        for (int plane = 1; plane < 3 && odd; ++plane) {
            int16_t *chroma = e->window[plane] + (size_t)(at / 2) * e->stride[1] + x / 2;
            v_store(chroma, v_round_shift(b8_weigh(half, b8_to_chroma[plane - 1]), 4));
        }
    }
}

/* Loads a block column of 32 rows, transposed: rows of the unit, or of both chroma planes. */
static void b8_load_column(const b8_encoder *e, int chroma, uint32_t block, int16_t *out)
{
    for (int group = 0; group < 4; ++group) {
        const int16_t *plane = e->window[chroma ? 1 + group / 2 : 0];
        const int16_t *rows[8];
        int32_t y = chroma ? 4 + 8 * (group & 1) : 8 + 8 * group;
        for (int i = 0; i < 8; ++i) {
            rows[i] = plane + (size_t)(y + i) * e->stride[chroma];
        }
        b8_transpose(rows, (int)(8 * block), out + 8 * group, 32);
    }
}

/* The coefficients of block column `block`, the `at`-th of its unit. The column to its right is loaded and
 * the border between them filtered. */
static void b8_transform_column(b8_encoder *e, int chroma, uint32_t block, int at, int16_t *unit)
{
    int16_t *column = e->columns[chroma][block & 1], *next = e->columns[chroma][(block + 1) & 1];
    if (block == 0) {
        b8_load_column(e, chroma, 0, column);
    }
    if (block + 1 < e->packers[0].contexts.blocks_x[chroma]) {
        b8_load_column(e, chroma, block + 1, next);
        b8_columns_border(column, next, b8_lap);
    }
    b8_columns_dct(column, unit + 256 * ((chroma ? 4 : 0) + at));
}

/* Filters the borders of block rows and transforms the rows of the unit row in the window. `first_row` is the
 * window row where the unit row begins. */
static void b8_transform_rows(b8_encoder *e, int plane, int32_t first_row)
{
    const int chroma = plane > 0, side = chroma ? 2 : 4;
    const uint32_t blocks = e->packers[0].contexts.blocks_y[plane], from = e->row_unit * (uint32_t)side;
    const uint32_t width = 8 * e->packers[0].contexts.blocks_x[plane];
    for (int i = 0; i <= side && from + (uint32_t)i < blocks; ++i) {
        int top_of_slice = i == 0 && e->row_unit == e->begin;
        if (from + (uint32_t)i > 0 && (i > 0 || top_of_slice)) {
            b8_rows_border(e->window[plane], e->stride[chroma], first_row + 8 * i, width, b8_lap);
        }
    }
    for (int i = 0; i < side && from + (uint32_t)i < blocks; ++i) {
        b8_rows_dct(e->window[plane], e->stride[chroma], first_row + 8 * i, width);
    }
}

/* Copies a row to rows [begin, end) of a window. */
static void b8_fill_rows(int16_t *window, size_t stride, const int16_t *row, int32_t begin, int32_t end)
{
    for (int32_t y = begin; y < end; ++y) {
        memcpy(window + (size_t)y * stride, row, stride * sizeof *row);
    }
}

/* Repeats row `last` of luma's window, and chroma's beside it, down to the windows' ends. */
static void b8_repeat_rows(b8_encoder *e, int32_t last)
{
    for (int plane = 0; plane < (e->geometry.bands == 1 ? 1 : 3); ++plane) {
        const size_t stride = e->stride[plane > 0];
        const int32_t from = plane == 0 ? last : last / 2;
        b8_fill_rows(e->window[plane], stride, e->window[plane] + (size_t)from * stride, from + 1,
                     plane == 0 ? 48 : 24);
    }
}

/* Moves the window on by a unit row. */
static void b8_move_window(b8_encoder *e)
{
    for (int plane = 0; plane < (e->geometry.bands == 1 ? 1 : 3); ++plane) {
        const size_t stride = e->stride[plane > 0];
        const size_t from = plane == 0 ? 40 : 20, to = plane == 0 ? 8 : 4;
        memcpy(e->window[plane] + to * stride, e->window[plane] + from * stride, to * stride * sizeof(int16_t));
    }
    ++e->row_unit;
}

/* Codes the unit row in the window and moves the window on. */
static int b8_finish_unit_row(b8_encoder *e, b8_sink *sink)
{
    const b8_contexts *c = &e->packers[0].contexts;
    const int planes = c->bands == 1 ? 1 : 3;
    const int over = e->next_row == e->geometry.height; /* no row comes after the window's */
    for (int plane = 0; plane < planes; ++plane) {
        if (over && plane > 0) { /* the border's filter changes all four rows of chroma below the unit row */
            memcpy(e->sums + (size_t)(plane - 1) * e->stride[1], e->window[plane] + 23 * e->stride[1],
                   e->stride[1] * sizeof(int16_t));
        }
        b8_transform_rows(e, plane, plane == 0 ? 8 : 4);
    }
    int status = e->store == NULL ? b8_begin_row(e, e->row_unit, sink) : B8_OK;
    for (uint32_t x = 0; x < c->units_x && status == B8_OK; ++x) {
        int16_t *unit = e->coefficients[x & 1];
        if (e->store != NULL) {
            unit = e->store;
            e->store += B8_UNIT_SAMPLES;
        }
        for (int chroma = 0; chroma < (planes > 1 ? 2 : 1); ++chroma) {
            const uint32_t side = chroma ? 2 : 4;
            for (uint32_t i = 0; i < side && x * side + i < c->blocks_x[chroma]; ++i) {
                b8_transform_column(e, chroma, x * side + i, (int)i, unit);
            }
        }
        if (e->store == NULL && ((x & 1) == 1 || x + 1 == c->units_x)) {
            status = b8_add_pair(e, x & ~1u, e->row_unit, e->coefficients[0], sink);
        }
    }
    if (status != B8_OK) {
        return status;
    }
    b8_move_window(e);
    if (over) {
        b8_fill_rows(e->window[0], e->stride[0], e->window[0] + 15 * e->stride[0], 16, 48);
        for (int plane = 1; plane < planes; ++plane) {
            b8_fill_rows(e->window[plane], e->stride[1], e->sums + (size_t)(plane - 1) * e->stride[1], 8, 24);
        }
    }
    return B8_OK;
}

static int b8_push(b8_encoder *e, const void *rows, size_t stride, uint32_t count, b8_sink *sink)
{
    const b8_geometry *g = &e->geometry;
    for (uint32_t i = 0; i < count && e->next_row < e->last_row; ++i) {
        const uint8_t *row = (const uint8_t *)rows + (size_t)i * stride;
        int32_t at = (int32_t)(e->next_row + 8 - B8_UNIT * e->row_unit);
        const int bottom = e->next_row + 1 == g->height;
        if (g->bands == 1) {
            b8_convert_grey(e, row, at);
        } else {
            b8_convert_colour(e, row, at, at & 1);
            if (bottom && (at & 1) == 0) {
                b8_convert_colour(e, row, at + 1, 1);
            }
        }
        ++e->next_row;
        if (bottom) {
            b8_repeat_rows(e, at);
        }
        while (e->row_unit < e->end && (at == 47 || e->next_row == e->last_row)) {
            int status = b8_finish_unit_row(e, sink);
            if (status != B8_OK) {
                return status;
            }
            if (e->next_row < e->last_row) {
                break;
            }
        }
    }
    return e->next_row == e->last_row ? b8_close_packets(e, sink) : B8_OK;
}

#ifndef B8_ENCODER_ONLY
/* Codes the units of rows [begin, end) from a store. */
static int b8_code_stored(b8_encoder *e, const int16_t *store, b8_sink *sink)
{
    const uint32_t units_x = e->packers[0].contexts.units_x;
    int status = B8_OK;
    for (uint32_t y = e->begin; y < e->end && status == B8_OK; ++y) {
        status = b8_begin_row(e, y, sink);
        for (uint32_t x = 0; x < units_x && status == B8_OK; x += 2) {
            const size_t at = (size_t)(y - e->begin) * units_x + x;
            status = b8_add_pair(e, x, y, store + at * B8_UNIT_SAMPLES, sink);
        }
    }
    return status == B8_OK ? b8_close_packets(e, sink) : status;
}
#endif
