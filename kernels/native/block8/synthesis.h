/* Coefficients to rows of pixels. Included once for each vector width. */

/* 2^15 times what JFIF's coefficients have beyond whole numbers: R = Y + Cr + 0.402 Cr, B = Y + 2 Cb - 0.228 Cb. */
static const int16_t b8_red = 13173, b8_green_cb = -11277, b8_green_cr = -23401, b8_blue = -7471;

/* A block column of 32 rows, from entries to samples across; rows are still frequencies. */
static void b8_fill_column(const b8_synthesis *s, const b8_picture *picture, int chroma, uint32_t row_unit, uint32_t block,
                           int16_t *out)
{
    memset(out, 0, 256 * sizeof *out);
    for (int group = 0; group < 4; ++group) {
        const int plane = chroma ? 1 + group / 2 : 0;
        const uint32_t y = chroma ? 2 * row_unit + (uint32_t)(group & 1) : 4 * row_unit + (uint32_t)group;
        if (y >= s->blocks_y[plane]) {
            continue;
        }
        const uint32_t at = s->base[plane] + y * s->blocks_x[plane] + block;
        const uint32_t *entry = picture->entries + picture->starts[at];
        out[8 * group] = picture->means[at];
        for (int i = 0; i < picture->counts[at]; ++i) {
            out[8 * group + (entry[i] >> 16)] = (int16_t)(uint16_t)entry[i];
        }
    }
    b8_columns_idct(out);
}

static void b8_store_column(const b8_synthesis *s, int chroma, uint32_t block, const int16_t *in)
{
    for (int group = 0; group < 4; ++group) {
        int16_t *plane = s->window[chroma ? 1 + group / 2 : 0];
        int16_t *rows[8];
        int32_t y = chroma ? 8 + 8 * (group & 1) : 16 + 8 * group;
        for (int i = 0; i < 8; ++i) {
            rows[i] = plane + (size_t)(y + i) * s->stride[chroma];
        }
        b8_untranspose(in + 8 * group, 32, rows, (int)(8 * block));
    }
}

/* Fills the window's unit row; `first` if no row above it is in the window. */
static void b8_fill_unit_row(b8_synthesis *s, const b8_picture *picture, uint32_t row_unit, int first)
{
    for (int chroma = 0; chroma < (s->geometry.bands == 1 ? 1 : 2); ++chroma) {
        const uint32_t blocks = s->blocks_x[chroma];
        b8_fill_column(s, picture, chroma, row_unit, 0, s->columns[0]);
        for (uint32_t x = 0; x < blocks; ++x) {
            if (x + 1 < blocks) {
                b8_fill_column(s, picture, chroma, row_unit, x + 1, s->columns[(x + 1) & 1]);
                b8_columns_border(s->columns[x & 1], s->columns[(x + 1) & 1], b8_unlap);
            }
            b8_store_column(s, chroma, x, s->columns[x & 1]);
        }
    }
    for (int plane = 0; plane < (s->geometry.bands == 1 ? 1 : 3); ++plane) {
        const int chroma = plane > 0, side = chroma ? 2 : 4;
        const int32_t top = chroma ? 8 : 16;
        const uint32_t from = row_unit * (uint32_t)side, width = 8 * s->blocks_x[plane];
        for (int i = 0; i < side && from + (uint32_t)i < s->blocks_y[plane]; ++i) {
            b8_rows_idct(s->window[plane], s->stride[chroma], top + 8 * i, width);
        }
        for (int i = first ? 1 : 0; i < side && from + (uint32_t)i < s->blocks_y[plane]; ++i) {
            b8_rows_border(s->window[plane], s->stride[chroma], top + 8 * i, width, b8_unlap);
        }
    }
}

/* A row of chroma at luma's width: 3/4 of the nearer and 1/4 of the farther sample, both ways. `sums` has room for
 * a sample before and a vector after `count`. */
static void b8_upsample(const int16_t *near, const int16_t *far, uint32_t count, int16_t *sums, int16_t *out)
{
    const b8_v three = v_splat(3);
    for (uint32_t x = 0; x < count; x += B8_LANES) {
        v_store(sums + 1 + x, v_add(v_times(v_load(near + x), three), v_load(far + x)));
    }
    sums[0] = sums[1];
    sums[count + 1] = sums[count];
    for (uint32_t x = 0; x < count; x += B8_LANES) {
        const b8_v here = v_times(v_load(sums + 1 + x), three);
        const b8_v even = v_round_shift(v_add(here, v_load(sums + x)), 4);
        const b8_v odd = v_round_shift(v_add(here, v_load(sums + 2 + x)), 4);
        v_store_pairs(out + 2 * x, even, odd);
    }
}

/* A sample of `depth` bits from 8 times (level - 128). */
static inline uint32_t b8_to_sample(int16_t value, uint32_t depth)
{
    int32_t level = (int32_t)value + 1024;
    level = depth <= 11 ? (level + ((1 << (11 - depth)) >> 1)) >> (11 - depth) : level * (1 << (depth - 11));
    int32_t top = (1 << depth) - 1;
    return (uint32_t)(level < 0 ? 0 : level > top ? top : level);
}

static void b8_emit_grey(const b8_synthesis *s, const int16_t *luma, uint8_t *out)
{
    for (uint32_t x = 0; x < s->geometry.width; ++x) {
        const uint32_t sample = b8_to_sample(luma[x], s->geometry.depth);
        if (s->geometry.depth == 8) {
            out[x] = (uint8_t)sample;
        } else {
            const uint16_t deep = (uint16_t)sample;
            memcpy(out + 2 * (size_t)x, &deep, sizeof deep);
        }
    }
}

/* Writes up to B8_LANES pixels from red, green and blue. */
static void b8_emit_pixels(const b8_geometry *g, const b8_v colour[3], uint32_t count, uint8_t *out)
{
    if (g->depth == 8) {
        uint8_t pixels[3 * B8_LANES];
        if (count == B8_LANES) {
            b8_store_rgb(out, colour);
            return;
        }
        b8_store_rgb(pixels, colour);
        memcpy(out, pixels, 3 * (size_t)count);
        return;
    }
    for (uint32_t band = 0; band < 3; ++band) {
        int16_t values[B8_LANES];
        v_store(values, colour[band]);
        for (uint32_t i = 0; i < count; ++i) {
            const uint16_t deep = (uint16_t)b8_to_sample(values[i], g->depth);
            memcpy(out + 2 * (3 * (size_t)i + band), &deep, sizeof deep);
        }
    }
}

static void b8_emit_colour(const b8_synthesis *s, int32_t at, uint32_t y, const int16_t *luma, uint8_t *out)
{
    const b8_geometry *g = &s->geometry;
    const uint32_t rows = (g->height + 1) / 2, row = y / 2, pixel = g->depth == 8 ? 3 : 6;
    const int32_t near = at / 2;
    const int32_t far = (y & 1) == 0 ? (row > 0 ? near - 1 : near) : (row + 1 < rows ? near + 1 : near);
    int16_t *planes[2] = {s->upsampled, s->upsampled + s->stride[0]};
    for (int plane = 0; plane < 2; ++plane) {
        const int16_t *from = s->window[plane + 1];
        b8_upsample(from + (size_t)near * s->stride[1], from + (size_t)far * s->stride[1], (g->width + 1) / 2,
                    s->upsampled + 2 * s->stride[0], planes[plane]);
    }
    for (uint32_t x = 0; x < g->width; x += B8_LANES) {
        const b8_v grey = v_load(luma + x), cb = v_load(planes[0] + x), cr = v_load(planes[1] + x);
        const b8_v colour[3] = {
            v_add(v_add(grey, cr), v_mulr(cr, b8_red)),
            v_add(grey, v_add(v_mulr(cb, b8_green_cb), v_mulr(cr, b8_green_cr))),
            v_add(v_add(grey, v_add(cb, cb)), v_mulr(cb, b8_blue)),
        };
        const uint32_t left = g->width - x;
        b8_emit_pixels(g, colour, left < B8_LANES ? left : B8_LANES, out + (size_t)pixel * x);
    }
}

static void b8_emit_row(const b8_synthesis *s, int32_t at, uint32_t y, uint8_t *out)
{
    const int16_t *luma = s->window[0] + (size_t)at * s->stride[0];
    if (s->geometry.bands == 1) {
        b8_emit_grey(s, luma, out);
    } else {
        b8_emit_colour(s, at, y, luma, out);
    }
}

/* Rows [32 begin, 32 end): also reads the unit rows before and after, whose borders reach in. */
static void b8_synthesise_rows(b8_synthesis *s, uint32_t begin, uint32_t end, const b8_picture *picture, uint8_t *frame,
                               size_t stride)
{
    const uint32_t units_y = (s->geometry.height + B8_UNIT - 1) / B8_UNIT;
    const uint32_t from = begin > 0 ? begin - 1 : 0, to = end < units_y ? end + 1 : end;
    const uint32_t stop = end * B8_UNIT < s->geometry.height ? end * B8_UNIT : s->geometry.height;
    uint32_t y = begin * B8_UNIT;
    for (uint32_t row_unit = from; row_unit < to; ++row_unit) {
        b8_fill_unit_row(s, picture, row_unit, row_unit == from);
        /* Six rows may still change, or want chroma that may. */
        uint32_t ready = row_unit + 1 == to && to == units_y ? stop : (row_unit + 1) * B8_UNIT - 10;
        for (; y < ready && y < stop; ++y) {
            b8_emit_row(s, (int32_t)(y + 16 - row_unit * B8_UNIT), y, frame + (size_t)y * stride);
        }
        for (int plane = 0; plane < (s->geometry.bands == 1 ? 1 : 3); ++plane) {
            const size_t width = s->stride[plane > 0];
            const size_t keep = plane == 0 ? 16 : 8;
            memmove(s->window[plane], s->window[plane] + 2 * keep * width, keep * width * sizeof(int16_t));
        }
    }
}
