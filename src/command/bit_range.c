/* BITCOUNT and BITPOS of L1 alone: what looks at a range of bits.
 *
 *     BITCOUNT key [start end [BYTE | BIT]]
 *     BITPOS key bit [start [end [BYTE | BIT]]] */
#include "command/alone.h"
#include "command/bit_handlers.h"

/* Bits from `first` to `last`, both included; empty when first > last. */
struct bit_range {
    int64_t first;
    int64_t last;
};

/* Counts negative numbers from the end, and cuts the range to what the value has. */
static struct bit_range resolve(struct bytes value, int64_t start, int64_t end, bool in_bits)
{
    int64_t total = (int64_t)value.len * (in_bits ? 8 : 1);
    if (start < 0)
        start = start + total < 0 ? 0 : start + total;
    if (end < 0)
        end = end + total < 0 ? 0 : end + total;
    if (end >= total)
        end = total - 1;
    if (start > end)
        return (struct bit_range){1, 0};
    if (in_bits)
        return (struct bit_range){start, end};
    return (struct bit_range){start * 8, end * 8 + 7};
}

/* The bits of byte `i` that are in the range. */
static unsigned mask_of(int64_t i, struct bit_range range)
{
    unsigned mask = 0xff;
    if (i == range.first >> 3)
        mask &= 0xffu >> (range.first & 7);
    if (i == range.last >> 3)
        mask &= 0xffu << (7 - (range.last & 7));
    return mask;
}

static int64_t count_ones(struct bytes value, struct bit_range range)
{
    int64_t n = 0;
    int64_t last = range.last >> 3;
    for (int64_t i = range.first >> 3; range.first <= range.last && i <= last; i++) {
        uint64_t word;
        for (; i > range.first >> 3 && last - i >= (int64_t)sizeof(word); i += sizeof(word)) {
            memcpy(&word, value.ptr + i, sizeof(word));
            n += __builtin_popcountll(word);
        }
        n += __builtin_popcount((unsigned char)value.ptr[i] & mask_of(i, range));
    }
    return n;
}

/* The first bit of the range that is `bit`, or -1. */
static int64_t find_bit(struct bytes value, struct bit_range range, bool bit)
{
    const uint64_t skipped = bit ? 0 : UINT64_MAX;
    int64_t last = range.last >> 3;
    for (int64_t i = range.first >> 3; range.first <= range.last && i <= last; i++) {
        uint64_t word;
        for (; i > range.first >> 3 && last - i >= (int64_t)sizeof(word); i += sizeof(word)) {
            memcpy(&word, value.ptr + i, sizeof(word));
            if (word != skipped)
                break;
        }
        unsigned byte = (unsigned char)((unsigned char)value.ptr[i] ^ (unsigned char)skipped);
        byte &= mask_of(i, range);
        if (byte != 0)
            return i * 8 + __builtin_clz(byte) - 24; /* of 32 bits, the byte is the lowest 8 */
    }
    return -1;
}

/* Reads the word that says what a range counts in, if there is one at argv[i]. */
static bool parse_unit(struct call *call, size_t i, bool *in_bits)
{
    *in_bits = i < call->argc && bytes_is(call->argv[i], "BIT");
    if (i >= call->argc || *in_bits || bytes_is(call->argv[i], "BYTE"))
        return true;
    call_syntax_error(call);
    return false;
}

void bit_range_bitcount(struct call *call)
{
    const struct entry *entry = alone_read(call, 1);
    if (entry == NULL) { /* whatever the other arguments are, as in Redis */
        reply_int(&call->reply, 0);
        return;
    }
    struct bytes value = entry_value(entry);
    int64_t start = 0, end = -1;
    bool in_bits = false;
    if (call->argc == 3 || call->argc > 5) {
        call_syntax_error(call);
        return;
    }
    if (call->argc > 2) {
        if (!alone_parse_integer(call, 2, &start) || !alone_parse_integer(call, 3, &end))
            return;
        if (start < 0 && end < 0 && start > end) {
            reply_int(&call->reply, 0);
            return;
        }
        if (!parse_unit(call, 4, &in_bits))
            return;
    }
    reply_int(&call->reply, count_ones(value, resolve(value, start, end, in_bits)));
}

void bit_range_bitpos(struct call *call)
{
    int64_t bit, start = 0, end = -1;
    bool in_bits = false;
    if (!alone_parse_integer(call, 2, &bit))
        return;
    if (bit != 0 && bit != 1) {
        reply_error(&call->reply, "ERR The bit argument must be 1 or 0.");
        return;
    }
    const struct entry *entry = alone_read(call, 1);
    if (entry == NULL) { /* zero bits without end */
        reply_int(&call->reply, bit == 1 ? -1 : 0);
        return;
    }
    if (call->argc > 6) {
        call_syntax_error(call);
        return;
    }
    if ((call->argc > 3 && !alone_parse_integer(call, 3, &start)) ||
        (call->argc > 5 && !parse_unit(call, 5, &in_bits)) ||
        (call->argc > 4 && !alone_parse_integer(call, 4, &end)))
        return;
    struct bytes value = entry_value(entry);
    struct bit_range range = resolve(value, start, end, in_bits);
    int64_t found = find_bit(value, range, bit == 1);
    /* Without an end the value is followed by zero bits. */
    if (found < 0 && bit == 0 && call->argc < 5 && range.first <= range.last)
        found = range.last + 1;
    reply_int(&call->reply, found);
}
