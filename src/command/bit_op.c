/* BITOP of L1 alone: AND, OR, XOR and NOT of values, as if all were padded with zero bytes to the
 * longest. */
#include "command/alone.h"
#include "command/bit_handlers.h"

enum bit_op { BIT_AND, BIT_OR, BIT_XOR, BIT_NOT };

static bool parse_op(struct call *call, enum bit_op *op)
{
    static const char *const names[] = {"AND", "OR", "XOR", "NOT"};
    for (int i = BIT_AND; i <= BIT_NOT; i++) {
        if (!bytes_is(call->argv[1], names[i]))
            continue;
        *op = (enum bit_op)i;
        if (*op != BIT_NOT || call->argc == 4)
            return true;
        reply_error(&call->reply, "ERR BITOP NOT must be called with a single source key.");
        return false;
    }
    call_syntax_error(call);
    return false;
}

/* Pads the result with zero bytes. */
static bool pad(struct buf *result, size_t size)
{
    if (size <= result->len)
        return true;
    if (!buf_reserve(result, size - result->len))
        return false;
    memset(result->data + result->len, 0, size - result->len);
    result->len = size;
    return true;
}

/* Joins one more value to the result. */
static bool join(struct buf *result, enum bit_op op, struct bytes value)
{
    if (!pad(result, value.len))
        return false;
    char *out = result->data;
    switch (op) {
    case BIT_AND:
        for (size_t i = 0; i < value.len; i++)
            out[i] = (char)(out[i] & value.ptr[i]);
        if (result->len > value.len)
            memset(out + value.len, 0, result->len - value.len);
        return true;
    case BIT_OR:
        for (size_t i = 0; i < value.len; i++)
            out[i] = (char)(out[i] | value.ptr[i]);
        return true;
    case BIT_XOR:
        for (size_t i = 0; i < value.len; i++)
            out[i] = (char)(out[i] ^ value.ptr[i]);
        return true;
    case BIT_NOT:
        for (size_t i = 0; i < value.len; i++)
            out[i] = (char)~value.ptr[i];
        return true;
    }
    return false;
}

void bit_op_bitop(struct call *call)
{
    enum bit_op op;
    if (!parse_op(call, &op))
        return;
    struct buf result;
    buf_init(&result);
    bool complete = true;
    for (size_t i = 3; i < call->argc; i++) {
        struct bytes value = alone_value(alone_read(call, i));
        enum bit_op how = i == 3 && op != BIT_NOT ? BIT_OR : op; /* the first one: a copy */
        complete = complete && join(&result, how, value);
    }
    struct alone_item item = {buf_bytes(&result), 0, ALONE_RAW};
    if (!complete) {
        alone_refuse(call, STORE_NO_MEMORY);
    } else if (item.value.len == 0) {
        alone_remove(call, 2);
        reply_int(&call->reply, 0);
    } else if (alone_store(call, 2, &item)) {
        reply_int(&call->reply, (int64_t)item.value.len);
    }
    buf_deinit(&result);
}
