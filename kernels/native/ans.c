#include "ans.h"

#define ONE ((uint32_t)1 << FL_ANS_BITS)
#define HINTS (((size_t)1 << FL_ANS_HINT_BITS) + 1u)
#define LEAST_STATE ((uint64_t)1 << 32)

/* Puts a symbol of this probability, with this sum of probabilities before it, on the state. */
static int push(fl_ans *coder, uint64_t *state, uint32_t before, uint32_t probability)
{
    if (*state >> (64 - FL_ANS_BITS) >= probability) {
        if (coder->size >= coder->capacity) {
            return FL_ERROR_SPACE;
        }
        coder->words[coder->size++] = (uint32_t)*state;
        *state >>= 32;
    }
    *state = (*state / probability << FL_ANS_BITS) + before + *state % probability;
    return FL_OK;
}

/* Takes that symbol off the state again. */
static uint64_t pop(fl_ans *coder, uint64_t state, uint32_t before, uint32_t probability)
{
    const uint32_t quantile = (uint32_t)state & (ONE - 1u);
    state = (state >> FL_ANS_BITS) * probability + (quantile - before);
    if (state < LEAST_STATE && coder->size != 0u) {
        state = state << 32 | coder->words[--coder->size];
    }
    return state;
}

int fl_ans_open(fl_ans *coder)
{
    coder->state = 0;
    if (coder->size != 0u && coder->words[coder->size - 1u] == 0u) {
        return FL_ERROR_CODE;
    }
    for (int i = 0; i < 2 && coder->size != 0u; i++) {
        coder->state = coder->state << 32 | coder->words[--coder->size];
    }
    return FL_OK;
}

int fl_ans_close(fl_ans *coder)
{
    while (coder->state != 0u) {
        if (coder->size >= coder->capacity) {
            return FL_ERROR_SPACE;
        }
        coder->words[coder->size++] = (uint32_t)coder->state;
        coder->state >>= 32;
    }
    return FL_OK;
}

int fl_ans_encode(fl_ans *coder, const int32_t *symbols, const int32_t *tables, size_t n,
                  const uint32_t *cumulative, const uint32_t *starts, uint32_t table_count)
{
    uint64_t state = coder->state;
    int status = FL_OK;
    while (n-- != 0u && status == FL_OK) {
        const uint32_t table = (uint32_t)tables[n];
        const uint32_t symbol = (uint32_t)symbols[n];
        if (table >= table_count || symbol >= starts[table + 1u] - starts[table] - 1u) {
            status = FL_ERROR_RANGE;
        } else {
            const uint32_t *entry = cumulative + starts[table] + symbol;
            status = push(coder, &state, entry[0], entry[1] - entry[0]);
        }
    }
    coder->state = state;
    return status;
}

/* The symbol that holds a quantile. Most parts lie in one symbol: nothing is left to search. */
static uint32_t find(const uint32_t *entries, const uint16_t *hints, uint32_t quantile)
{
    const uint32_t part = quantile >> (FL_ANS_BITS - FL_ANS_HINT_BITS);
    uint32_t low = hints[part];
    uint32_t high = hints[part + 1u];
    while (low < high) {
        const uint32_t middle = (low + high + 1u) / 2u;
        if (entries[middle] <= quantile) {
            low = middle;
        } else {
            high = middle - 1u;
        }
    }
    return low;
}

int fl_ans_decode(fl_ans *coder, int32_t *symbols, const int32_t *tables, size_t n,
                  const uint32_t *cumulative, const uint32_t *starts, const uint16_t *hints,
                  uint32_t table_count)
{
    uint64_t state = coder->state;
    int status = FL_OK;
    for (size_t i = 0; i < n; i++) {
        const uint32_t table = (uint32_t)tables[i];
        const uint32_t *entries;
        uint32_t symbol;
        if (table >= table_count) {
            status = FL_ERROR_RANGE;
            break;
        }
        entries = cumulative + starts[table];
        symbol = find(entries, hints + (size_t)table * HINTS, (uint32_t)state & (ONE - 1u));
        state = pop(coder, state, entries[symbol], entries[symbol + 1u] - entries[symbol]);
        symbols[i] = (int32_t)symbol;
    }
    coder->state = state;
    return status;
}

/* The probability of one of `size` symbols: the last has the rest. */
static uint32_t share(uint32_t symbol, uint32_t size)
{
    const uint32_t equal = ONE / size;
    return symbol + 1u == size ? ONE - equal * (size - 1u) : equal;
}

int fl_ans_encode_uniform(fl_ans *coder, const int32_t *symbols, size_t n, uint32_t size)
{
    uint64_t state = coder->state;
    int status = size == 0u || size > ONE ? FL_ERROR_RANGE : FL_OK;
    while (status == FL_OK && n-- != 0u) {
        const uint32_t symbol = (uint32_t)symbols[n];
        status = symbol < size ? push(coder, &state, ONE / size * symbol, share(symbol, size)) : FL_ERROR_RANGE;
    }
    coder->state = state;
    return status;
}

int fl_ans_decode_uniform(fl_ans *coder, int32_t *symbols, size_t n, uint32_t size)
{
    uint64_t state = coder->state;
    if (size == 0u || size > ONE) {
        return FL_ERROR_RANGE;
    }
    for (size_t i = 0; i < n; i++) {
        const uint32_t equal = ONE / size;
        uint32_t symbol = ((uint32_t)state & (ONE - 1u)) / equal;
        symbol = symbol < size ? symbol : size - 1u;
        state = pop(coder, state, equal * symbol, share(symbol, size));
        symbols[i] = (int32_t)symbol;
    }
    coder->state = state;
    return FL_OK;
}
