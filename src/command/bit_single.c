/* SETBIT and GETBIT of L1 alone. */
#include "command/bit_alone.h"
#include "command/bit_handlers.h"

void bit_single_setbit(struct call *call)
{
    uint64_t offset;
    int64_t bit;
    if (!bit_alone_parse_offset(call, 2, 0, &offset))
        return;
    if (!bytes_parse_range(call->argv[3], 0, 1, &bit)) {
        reply_error(&call->reply, "ERR bit is not an integer or out of range");
        return;
    }
    struct bit_alone_change change;
    if (!bit_alone_begin(call, offset, &change))
        return;
    char *byte = &change.value.data[offset >> 3];
    unsigned mask = 0x80u >> (offset & 7);
    bool was_set = ((unsigned char)*byte & mask) != 0;
    if (was_set != (bit == 1))
        *byte = (char)((unsigned char)*byte ^ mask);
    enum store_result result = bit_alone_end(call, &change, was_set != (bit == 1));
    if (result == STORE_OK)
        reply_int(&call->reply, was_set);
    else
        alone_refuse(call, result);
}

void bit_single_getbit(struct call *call)
{
    uint64_t offset;
    if (!bit_alone_parse_offset(call, 2, 0, &offset))
        return;
    struct bytes value = alone_value(alone_read(call, 1));
    bool is_set = offset >> 3 < value.len &&
                  ((unsigned char)value.ptr[offset >> 3] & 0x80u >> (offset & 7)) != 0;
    reply_int(&call->reply, is_set);
}
