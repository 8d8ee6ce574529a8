/* BITFIELD and BITFIELD_RO of L1 alone: integers of any width at any bit.
 *
 *     BITFIELD key {GET type offset | [OVERFLOW WRAP | SAT | FAIL] {SET type offset value |
 *                  INCRBY type offset increment}} ...
 *
 * All operations are parsed before the first is done, so that a fault in one changes nothing. */
#include "base/mem.h"
#include "command/bit_alone.h"
#include "command/bit_handlers.h"

enum field_verb { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { FIELD_WRAP, FIELD_SAT, FIELD_FAIL };

struct field_op {
    uint64_t offset; /* of its highest bit */
    int64_t argument;
    enum field_verb verb;
    enum field_overflow overflow;
    unsigned width; /* bits: 1 to 64 signed, 1 to 63 unsigned */
    bool is_signed;
};

struct field_ops {
    struct field_op *items; /* owned */
    size_t n;
    uint64_t last_written; /* the last bit that is written */
    bool writes;
};

/* Parsing */

static bool parse_type(struct call *call, size_t i, struct field_op *op)
{
    struct bytes text = call->argv[i];
    int64_t width;
    op->is_signed = text.len > 0 && text.ptr[0] == 'i';
    if (text.len < 2 || (text.ptr[0] != 'i' && text.ptr[0] != 'u') ||
        !bytes_parse_range(bytes_of(text.ptr + 1, text.len - 1), 1, op->is_signed ? 64 : 63,
                           &width)) {
        reply_error(&call->reply, "ERR Invalid bitfield type. Use something like i16 u8. Note that "
                                  "u64 is not supported but i64 is.");
        return false;
    }
    op->width = (unsigned)width;
    return true;
}

static bool parse_overflow(struct call *call, size_t i, enum field_overflow *overflow)
{
    if (bytes_is(call->argv[i], "WRAP"))
        *overflow = FIELD_WRAP;
    else if (bytes_is(call->argv[i], "SAT"))
        *overflow = FIELD_SAT;
    else if (bytes_is(call->argv[i], "FAIL"))
        *overflow = FIELD_FAIL;
    else {
        reply_error(&call->reply, "ERR Invalid OVERFLOW type specified");
        return false;
    }
    return true;
}

/* Recognises the verb at argv[i] and sets how many arguments it has. */
static bool parse_verb(const struct call *call, size_t i, enum field_verb *verb, size_t *n_args)
{
    struct bytes word = call->argv[i];
    *n_args = 3;
    if (bytes_is(word, "GET")) {
        *verb = FIELD_GET;
        *n_args = 2;
    } else if (bytes_is(word, "SET")) {
        *verb = FIELD_SET;
    } else if (bytes_is(word, "INCRBY")) {
        *verb = FIELD_INCRBY;
    } else {
        return false;
    }
    return call->argc - i > *n_args;
}

/* Parses the arguments of the verb at argv[i]. */
static bool parse_op(struct call *call, size_t i, struct field_op *op, struct field_ops *ops)
{
    op->argument = 0;
    if (!parse_type(call, i + 1, op) ||
        !bit_alone_parse_offset(call, i + 2, op->width, &op->offset))
        return false;
    if (op->verb == FIELD_GET)
        return true;
    ops->writes = true;
    if (ops->last_written < op->offset + op->width - 1)
        ops->last_written = op->offset + op->width - 1;
    return alone_parse_integer(call, i + 3, &op->argument);
}

/* Parses all operations into ops->items, which has room for them. */
static bool parse_ops(struct call *call, struct field_ops *ops)
{
    enum field_overflow overflow = FIELD_WRAP;
    for (size_t i = 2; i < call->argc; i++) {
        struct field_op *op = &ops->items[ops->n];
        size_t n_args;
        if (bytes_is(call->argv[i], "OVERFLOW") && i + 1 < call->argc) {
            if (!parse_overflow(call, ++i, &overflow))
                return false;
            continue;
        }
        if (!parse_verb(call, i, &op->verb, &n_args)) {
            call_syntax_error(call);
            return false;
        }
        op->overflow = overflow;
        if (!parse_op(call, i, op, ops))
            return false;
        ops->n++;
        i += n_args;
    }
    return true;
}

/* Fields */

/* Reads a field of at most 64 bits; beyond its end the value is zero. */
static uint64_t read_field(struct bytes value, const struct field_op *op)
{
    uint64_t field = 0;
    for (uint64_t bit = op->offset; bit < op->offset + op->width; bit++) {
        unsigned byte = bit >> 3 < value.len ? (unsigned char)value.ptr[bit >> 3] : 0;
        field = field << 1 | (byte >> (7 - (bit & 7)) & 1);
    }
    return field;
}

static void write_field(struct buf *value, const struct field_op *op, uint64_t field)
{
    for (unsigned i = 0; i < op->width; i++) {
        uint64_t bit = op->offset + op->width - 1 - i;
        unsigned mask = 0x80u >> (bit & 7);
        unsigned byte = (unsigned char)value->data[bit >> 3];
        byte = (field >> i & 1) != 0 ? byte | mask : byte & ~mask;
        value->data[bit >> 3] = (char)byte;
    }
}

/* The number that a field's bits mean. */
static int64_t number_of(const struct field_op *op, uint64_t field)
{
    unsigned unused = 64 - op->width;
    if (op->is_signed)
        return (int64_t)(field << unused) >> unused;
    return (int64_t)(field << unused >> unused);
}

/* Computes what the operation makes of the old number. Returns false when that is too large or too
 * small for the field; `*made` is then what OVERFLOW makes of it. */
static bool compute(const struct field_op *op, int64_t old, int64_t *made)
{
    __int128 exact = (__int128)old + op->argument;
    if (op->verb == FIELD_SET)
        exact = op->is_signed ? (__int128)op->argument : (__int128)(uint64_t)op->argument;
    __int128 max = ((__int128)1 << (op->is_signed ? op->width - 1 : op->width)) - 1;
    __int128 min = op->is_signed ? -max - 1 : 0;
    *made = number_of(op, (uint64_t)exact);
    if (exact >= min && exact <= max)
        return true;
    if (op->overflow == FIELD_SAT)
        *made = (int64_t)(exact > max ? max : min);
    return false;
}

/* Does one operation that writes, and replies. Returns true when the value has changed. */
static bool change_field(struct reply *reply, struct buf *value, const struct field_op *op)
{
    uint64_t field = read_field(buf_bytes(value), op);
    int64_t old = number_of(op, field);
    int64_t made;
    if (!compute(op, old, &made) && op->overflow == FIELD_FAIL) {
        reply_null(reply);
        return false;
    }
    reply_int(reply, op->verb == FIELD_SET ? old : made);
    write_field(value, op, (uint64_t)made);
    return made != old;
}

/* Commands */

static void run_reading(struct call *call, const struct field_ops *ops)
{
    struct bytes value = alone_value(alone_read(call, 1));
    reply_array(&call->reply, ops->n);
    for (size_t i = 0; i < ops->n; i++)
        reply_int(&call->reply, number_of(&ops->items[i], read_field(value, &ops->items[i])));
}

static void run_writing(struct call *call, const struct field_ops *ops)
{
    struct bit_alone_change change;
    if (!bit_alone_begin(call, ops->last_written, &change))
        return;
    size_t mark = alone_mark(call);
    bool changed = false;
    reply_array(&call->reply, ops->n);
    for (size_t i = 0; i < ops->n; i++) {
        const struct field_op *op = &ops->items[i];
        if (op->verb != FIELD_GET)
            changed |= change_field(&call->reply, &change.value, op);
        else
            reply_int(&call->reply, number_of(op, read_field(buf_bytes(&change.value), op)));
    }
    enum store_result result = bit_alone_end(call, &change, changed);
    if (result != STORE_OK) {
        alone_rewind(call, mark);
        alone_refuse(call, result);
    }
}

static void run(struct call *call, bool may_write)
{
    /* Each operation takes at least three arguments. */
    struct field_ops ops = {.items = mem_try((call->argc / 3 + 1) * sizeof(struct field_op))};
    if (ops.items == NULL) {
        alone_refuse(call, STORE_NO_MEMORY);
        return;
    }
    if (parse_ops(call, &ops)) {
        if (!ops.writes)
            run_reading(call, &ops);
        else if (may_write)
            run_writing(call, &ops);
        else
            reply_error(&call->reply, "ERR BITFIELD_RO only supports the GET subcommand");
    }
    mem_free(ops.items);
}

void bit_field_bitfield(struct call *call)
{
    run(call, true);
}

void bit_field_bitfield_ro(struct call *call)
{
    run(call, false);
}
