/* STRLEN, GETRANGE, SETRANGE and APPEND of L1 alone: lengths and parts of values. */
#include "command/alone.h"
#include "command/string_handlers.h"

void string_range_strlen(struct call *call)
{
    reply_int(&call->reply, (int64_t)alone_value(alone_read(call, 1)).len);
}

struct bytes string_range_cut(struct bytes value, int64_t start, int64_t end)
{
    int64_t len = (int64_t)value.len;
    if (start < 0 && end < 0 && start > end) /* else -1 -5 would be 0 0 for short values */
        return BYTES("");
    if (start < 0)
        start = start + len < 0 ? 0 : start + len;
    if (end < 0)
        end = end + len < 0 ? 0 : end + len;
    if (end >= len)
        end = len - 1;
    if (start > end)
        return BYTES("");
    return bytes_of(value.ptr + start, (size_t)(end - start + 1));
}

void string_range_getrange(struct call *call)
{
    int64_t start, end;
    if (!alone_parse_integer(call, 2, &start) || !alone_parse_integer(call, 3, &end))
        return;
    reply_bulk(&call->reply, string_range_cut(alone_value(alone_read(call, 1)), start, end));
}

/* Puts what a value was changed into under argv[1], or answers why not. Frees it. */
static void store_changed(struct call *call, struct buf *changed, int64_t deadline_ms,
                          bool complete)
{
    struct alone_item item = {buf_bytes(changed), deadline_ms, ALONE_RAW};
    if (!complete)
        alone_refuse(call, STORE_NO_MEMORY);
    else if (alone_store(call, 1, &item))
        reply_int(&call->reply, (int64_t)item.value.len);
    buf_deinit(changed);
}

void string_range_setrange(struct call *call)
{
    int64_t offset;
    struct bytes part = call->argv[3];
    if (!alone_parse_integer(call, 2, &offset))
        return;
    if (offset < 0) {
        reply_error(&call->reply, "ERR offset is out of range");
        return;
    }
    const struct entry *old = alone_find(call, 1);
    size_t old_len = alone_value(old).len;
    if (part.len == 0) {
        reply_int(&call->reply, (int64_t)old_len);
        return;
    }
    if (!alone_check_length(call, offset, (int64_t)part.len))
        return;
    size_t end = (size_t)offset + part.len;
    struct buf changed;
    buf_init(&changed);
    bool complete = alone_copy_value(old, end > old_len ? end : old_len, &changed);
    if (complete)
        memcpy(changed.data + offset, part.ptr, part.len);
    store_changed(call, &changed, alone_keep_deadline(old), complete);
}

void string_range_append(struct call *call)
{
    struct bytes part = call->argv[2];
    const struct entry *old = alone_find(call, 1);
    if (old == NULL) {
        if (alone_store(call, 1, &(struct alone_item){.value = part}))
            reply_int(&call->reply, (int64_t)part.len);
        return;
    }
    struct bytes value = entry_value(old);
    if (!alone_check_length(call, (int64_t)value.len, (int64_t)part.len))
        return;
    struct buf changed;
    buf_init(&changed);
    bool complete = buf_reserve(&changed, value.len + part.len) &&
                    buf_append(&changed, value.ptr, value.len) &&
                    buf_append(&changed, part.ptr, part.len);
    store_changed(call, &changed, alone_keep_deadline(old), complete);
}
