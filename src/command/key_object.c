/* OBJECT's subcommands for L1 alone: what Redis would say about a value's inside. */
#include "command/alone.h"
#include "command/key_handlers.h"

/* The longest text that Redis looks at as an integer, in bytes. */
#define INTEGER_TEXT_MAX 20

/* Integers from 0 up to here exist once in Redis, for all keys; its OBJ_SHARED_INTEGERS. */
#define SHARED_INTEGERS 10000

/* What Redis replies as the number of references to one of them: INT_MAX. */
#define SHARED_REFERENCES 2147483647

/* Finds argv[2]'s entry, or replies null. */
static const struct entry *look_or_reply(struct call *call)
{
    const struct entry *entry = alone_look(call, 2);
    if (entry == NULL)
        reply_null(&call->reply);
    return entry;
}

/* True when Redis would keep the value as an integer. */
static bool is_integer(const struct entry *entry, int64_t *value)
{
    return (entry->flags & (ALONE_RAW | ALONE_STRING)) == 0 &&
           entry->value_len <= INTEGER_TEXT_MAX && bytes_parse_i64(entry_value(entry), value);
}

void key_object_encoding(struct call *call)
{
    const struct entry *entry = look_or_reply(call);
    int64_t value;
    if (entry != NULL)
        reply_bulk_str(&call->reply, is_integer(entry, &value) ? "int"
                                     : alone_is_raw(entry)     ? "raw"
                                                               : "embstr");
}

static enum store_policy policy_of(const struct call *call)
{
    return store_get_options(call->larder->store)->policy;
}

static bool is_lfu(enum store_policy policy)
{
    return policy == STORE_ALLKEYS_LFU || policy == STORE_VOLATILE_LFU;
}

void key_object_freq(struct call *call)
{
    const struct entry *entry = look_or_reply(call);
    if (entry == NULL)
        return;
    if (!is_lfu(policy_of(call))) {
        reply_error(&call->reply, "ERR An LFU maxmemory policy is not selected, access frequency "
                                  "not tracked. Please note that when switching between policies "
                                  "at runtime LRU and LFU data will take some time to adjust.");
        return;
    }
    struct larder *larder = call->larder;
    reply_int(&call->reply, store_frequency(larder->store, entry, larder_now_ms(larder)));
}

void key_object_idletime(struct call *call)
{
    const struct entry *entry = look_or_reply(call);
    if (entry == NULL)
        return;
    if (is_lfu(policy_of(call))) {
        reply_error(&call->reply, "ERR An LFU maxmemory policy is selected, idle time not tracked. "
                                  "Please note that when switching between policies at runtime LRU "
                                  "and LFU data will take some time to adjust.");
        return;
    }
    struct larder *larder = call->larder;
    reply_int(&call->reply, store_idle_ms(larder->store, entry, larder_now_ms(larder)) / 1000);
}

/* Redis shares small integers unless each key needs an access history of its own. */
static bool shares_integers(const struct call *call)
{
    enum store_policy policy = policy_of(call);
    bool keeps_history =
        is_lfu(policy) || policy == STORE_ALLKEYS_LRU || policy == STORE_VOLATILE_LRU;
    return store_get_options(call->larder->store)->max_bytes == 0 || !keeps_history;
}

void key_object_refcount(struct call *call)
{
    const struct entry *entry = look_or_reply(call);
    int64_t value;
    if (entry == NULL)
        return;
    bool is_shared =
        shares_integers(call) && is_integer(entry, &value) && value >= 0 && value < SHARED_INTEGERS;
    reply_int(&call->reply, is_shared ? SHARED_REFERENCES : 1);
}
