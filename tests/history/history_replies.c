/* What a reply says about the operations of its command; see history_mix.h for the rules. */
#include "history_mix.h"

#include <stdlib.h>
#include <string.h>

/* A command's reply on its way into the record. */
struct taking {
    struct history *history;
    const struct pending *pending;
    struct op *ops; /* n_ops of the command */
    int64_t now_ns;
};

static void settle(const struct taking *taking, size_t i, enum op_state state)
{
    taking->ops[i].state = (uint8_t)state;
    taking->ops[i].end_ns = taking->now_ns;
}

static void settle_all(const struct taking *taking, enum op_state state)
{
    for (size_t i = 0; i < taking->pending->n_ops; i++)
        settle(taking, i, state);
}

static bool is_read(const struct op *op)
{
    return op->kind == OP_VALUE_READ || op->kind == OP_PRESENCE_READ || op->kind == OP_COUNT_READ;
}

/* Nobody knows whether the writes were, or will be, executed. */
static void leave_open(const struct taking *taking)
{
    for (size_t i = 0; i < taking->pending->n_ops; i++)
        if (is_read(&taking->ops[i]))
            settle(taking, i, OP_NOTHING);
}

static void settle_read(const struct taking *taking, size_t i, int64_t value)
{
    taking->ops[i].value = value;
    settle(taking, i, OP_DONE);
}

/* Text that no reply to what we ask can have, so a fault has changed it on its way. */
static bool is_garbled(const redisReply *reply)
{
    for (size_t i = 0; i < reply->len; i++)
        if (reply->str[i] & 0x80)
            return true;
    return false;
}

static void odd(const struct taking *taking, const redisReply *reply)
{
    bool has_text = reply->str != NULL;
    history_odd(taking->history, taking->pending->op, "reply of type %d, %lld, %zu items, \"%.*s\"",
                reply->type, reply->integer, reply->elements, has_text ? (int)reply->len : 0,
                has_text ? reply->str : "");
    leave_open(taking);
}

static bool starts_with(const redisReply *reply, const char *text)
{
    return reply->len >= strlen(text) && memcmp(reply->str, text, strlen(text)) == 0;
}

/* Of a command whose reply says nothing: the key made for this use went with FLUSHDB; or L2 was away for as many
 * jobs as larder takes. */
static bool is_expected(const redisReply *reply)
{
    return starts_with(reply, "ERR no such key") || strstr(reply->str, "warming jobs") != NULL;
}

/* "UPSTREAM ..." is larder's own error: what was asked may have reached L2, or not. */
static void take_error(const struct taking *taking, const redisReply *reply)
{
    if (starts_with(reply, "UPSTREAM ") || is_garbled(reply))
        leave_open(taking);
    else if (starts_with(reply, "EXECABORT ") ||
             (taking->pending->rule == RULE_DONE && starts_with(reply, "ERR no such key")))
        settle_all(taking, OP_NOTHING);
    else if (taking->pending->rule != RULE_IGNORE || !is_expected(reply))
        odd(taking, reply);
}

/* The value in a reply; false: it can't be one. */
static bool value_in(const struct taking *taking, const redisReply *reply, int64_t *value)
{
    if (reply->type == REDIS_REPLY_NIL || (reply->type == REDIS_REPLY_STRING && reply->len == 0)) {
        *value = VALUE_NIL;
        return true;
    }
    if (reply->type != REDIS_REPLY_STRING)
        return false;
    *value = history_value_of(taking->history, reply->str, reply->len);
    if (*value == VALUE_STRANGE)
        history_odd(taking->history, taking->pending->op, "a value that nobody wrote: \"%.*s\"",
                    (int)reply->len, reply->str);
    return true;
}

static bool count_in(const redisReply *reply, int64_t *count)
{
    *count = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
    if (reply->type == REDIS_REPLY_STRING)
        *count = strtoll(reply->str, NULL, 10);
    return reply->type == REDIS_REPLY_INTEGER || reply->type == REDIS_REPLY_STRING ||
           reply->type == REDIS_REPLY_NIL;
}

/* One operation and its own reply, in an array or alone. */
static bool take_one(const struct taking *taking, size_t i, const redisReply *reply)
{
    struct op *op = &taking->ops[i];
    int64_t value = 0;
    if (op->kind == OP_VALUE_READ) {
        if (!value_in(taking, reply, &value))
            return false;
        settle_read(taking, i, value);
        return true;
    }
    if (op->kind == OP_COUNT_READ || op->kind == OP_COUNT_WRITE) {
        if (!count_in(reply, &value))
            return false;
        settle_read(taking, i, value);
        return true;
    }
    settle(taking, i, OP_DONE);
    return reply->type != REDIS_REPLY_ERROR && reply->type != REDIS_REPLY_NIL;
}

static bool is_list(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY || reply->type == REDIS_REPLY_MAP;
}

static bool take_each(const struct taking *taking, const redisReply *reply)
{
    if (!is_list(reply) || reply->elements != taking->pending->n_ops)
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (!take_one(taking, i, reply->element[i]))
            return false;
    return true;
}

/* The value is item `at` of an array that is empty when there is none. */
static bool take_item(const struct taking *taking, const redisReply *reply, size_t at)
{
    if (!is_list(reply) || (reply->elements != 0 && reply->elements != at + 1))
        return false;
    if (reply->elements > 0)
        return take_one(taking, 0, reply->element[at]);
    settle_read(taking, 0, VALUE_NIL);
    return true;
}

/* How many of the keys were there: all, none, or it isn't said which. */
static bool take_removed(const struct taking *taking, int64_t n)
{
    size_t n_ops = taking->pending->n_ops;
    if (n < 0 || n > (int64_t)n_ops)
        return false;
    settle_all(taking, n == (int64_t)n_ops ? OP_DONE : OP_MAYBE);
    for (size_t i = 0; n == 0 && i < n_ops; i++) {
        taking->ops[i].kind = OP_PRESENCE_READ;
        settle_read(taking, i, 0);
    }
    return true;
}

static bool take_old(const struct taking *taking, const redisReply *reply)
{
    if (!take_one(taking, 0, reply))
        return false;
    bool is_write = taking->ops[1].kind == OP_VALUE_WRITE;
    settle(taking, 1, is_write || taking->ops[0].value != VALUE_NIL ? OP_DONE : OP_NOTHING);
    return true;
}

static bool take_number(const struct taking *taking, enum rule rule, int64_t n)
{
    switch (rule) {
    case RULE_PRESENCE: settle_read(taking, 0, n > 0); return n >= 0;
    case RULE_TTL: settle_read(taking, 0, n != -2); return n >= -2;
    case RULE_ONE: settle_all(taking, n == 1 ? OP_DONE : OP_NOTHING); return n == 0 || n == 1;
    case RULE_REMOVED: return take_removed(taking, n);
    default: /* RULE_STORED */
        settle(taking, 0, n > 0 ? OP_DONE : OP_NOTHING);
        settle(taking, 1, n > 0 ? OP_NOTHING : OP_DONE);
        return true;
    }
}

static bool take(const struct taking *taking, const redisReply *reply)
{
    bool is_nil = reply->type == REDIS_REPLY_NIL;
    switch ((enum rule)taking->pending->rule) {
    case RULE_IGNORE: return true;
    case RULE_DONE: settle_all(taking, is_nil ? OP_NOTHING : OP_DONE); return true;
    case RULE_VALUE: return take_one(taking, 0, reply);
    case RULE_COUNT: return is_list(reply) ? take_each(taking, reply) : take_one(taking, 0, reply);
    case RULE_FIRST: return take_item(taking, reply, 0);
    case RULE_PAIRS: return take_item(taking, reply, 1);
    case RULE_TYPE:
        settle_read(taking, 0, reply->len != 4 || memcmp(reply->str, "none", 4) != 0);
        return reply->type == REDIS_REPLY_STATUS;
    case RULE_OLD:
    case RULE_OLD_THERE: return take_old(taking, reply);
    case RULE_VALUES: return take_each(taking, reply);
    case RULE_EXEC:
    case RULE_EXEC_WHOLE:
        if (is_nil || !is_list(reply)) {
            settle_all(taking, OP_NOTHING);
            return is_nil;
        }
        if (taking->pending->rule == RULE_EXEC)
            return take_each(taking, reply);
        settle_all(taking, OP_DONE);
        return true;
    default:
        return reply->type == REDIS_REPLY_INTEGER &&
               take_number(taking, taking->pending->rule, reply->integer);
    }
}

void mix_take_reply(struct history *history, const struct pending *pending, const redisReply *reply,
                    int64_t now_ns)
{
    struct taking taking = {history, pending, history->ops + pending->op, now_ns};
    if (reply->type == REDIS_REPLY_ERROR)
        take_error(&taking, reply);
    else if (reply->type == REDIS_REPLY_STATUS && is_garbled(reply))
        leave_open(&taking);
    else if (!take(&taking, reply))
        odd(&taking, reply);
}
