/* Sums of table rows. Included once for each vector width. */

/* Takes a coefficient that was coded into the logits of the rest of its block. */
static inline void b8_take_in(int8_t acc[64], int lanes, int8_t signs[16], const b8_set *set, int model, int item, int found,
                              uint32_t negative)
{
    const int groups = b8_groups[model], sign_items = 2 * (groups < 16 ? groups : 16);
    const uint16_t rows[2] = {(uint16_t)(B8_ROW_LEFT + 4 * groups + item),
                              (uint16_t)(B8_ROW_LEFT + 6 * groups + (found < 7 ? found : 7))};
    b8_add_rows(acc, lanes, set->rows[model], rows, 2);
    if (item < sign_items) {
        const uint16_t id = (uint16_t)((40 + 2 * sign_items + item) | (negative << 15));
        b8_add_signs(signs, set->signs[model], &id, 1);
    }
}
