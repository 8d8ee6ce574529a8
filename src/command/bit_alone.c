/* What the bit commands of L1 alone share; see bit_alone.h. */
#include "command/bit_alone.h"

bool bit_alone_parse_offset(struct call *call, size_t i, unsigned width, uint64_t *offset)
{
    struct bytes text = call->argv[i];
    int64_t factor = 1;
    if (width > 0 && text.len > 0 && text.ptr[0] == '#') {
        text = bytes_of(text.ptr + 1, text.len - 1);
        factor = width;
    }
    int64_t value;
    if (!bytes_parse_i64(text, &value) || __builtin_mul_overflow(value, factor, &value) ||
        value < 0 || value >> 3 >= call->larder->config.proto_max_bulk_len_bytes) {
        reply_error(&call->reply, "ERR bit offset is not an integer or out of range");
        return false;
    }
    *offset = (uint64_t)value;
    return true;
}

bool bit_alone_begin(struct call *call, uint64_t last, struct bit_alone_change *change)
{
    const struct entry *old = alone_find(call, 1);
    size_t size = (size_t)(last >> 3) + 1;
    change->old_len = alone_value(old).len;
    change->deadline_ms = alone_keep_deadline(old);
    change->was_raw = old != NULL && alone_is_raw(old);
    if (size < change->old_len)
        size = change->old_len;
    buf_init(&change->value);
    if (alone_copy_value(old, size, &change->value))
        return true;
    buf_deinit(&change->value);
    alone_refuse(call, STORE_NO_MEMORY);
    return false;
}

enum store_result bit_alone_end(struct call *call, struct bit_alone_change *change, bool changed)
{
    struct alone_item item = {buf_bytes(&change->value), change->deadline_ms, ALONE_RAW};
    enum store_result result = STORE_OK;
    if (changed || item.value.len != change->old_len || !change->was_raw)
        result = alone_put(call, 1, &item);
    buf_deinit(&change->value);
    return result;
}
