/* Sums of table rows. Included once for each vector width. */

/* acc[0..lanes) = the sum of the rows that a block's surroundings name. */
static inline void b8_gather_lanes(int8_t acc[64], int lanes, const b8_set *set, int model, const b8_surroundings *s)
{
    b8_gather_rows(acc, set->rows[model], model, s);
    if (lanes > 32) {
        b8_gather_rows(acc + 32, set->rest[model], model, s);
    }
}

/* The rows that a block's `found`-th coefficient names. */
static inline void b8_name_item(uint16_t rows[2], int model, int item, int found)
{
    rows[0] = (uint16_t)(B8_ROW_LEFT + 4 * b8_groups[model] + item);
    rows[1] = (uint16_t)(B8_ROW_LEFT + 6 * b8_groups[model] + (found < 7 ? found : 7));
}

/* Takes a coefficient that was coded into the logits of the rest of its block. */
static inline void b8_take_in(int8_t acc[64], int lanes, int8_t signs[16], const b8_set *set, int model, int item, int found,
                              uint32_t negative)
{
    const int groups = b8_groups[model], sign_items = 2 * (groups < 16 ? groups : 16);
    uint16_t rows[2];
    b8_name_item(rows, model, item, found);
    b8_add_rows(acc, set->rows[model], rows, 2);
    if (lanes > 32) {
        b8_add_rows(acc + 32, set->rest[model], rows, 2);
    }
    if (item < sign_items) {
        const uint16_t id = (uint16_t)((40 + 2 * sign_items + item) | (negative << 15));
        b8_add_signs(signs, set->signs[model], &id, 1);
    }
}
