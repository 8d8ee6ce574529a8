/* Queued commands; see transaction.h. */
#include "core/transaction.h"

#include "base/mem.h"

struct transaction *transaction_create(void)
{
    return mem_zalloc(sizeof(struct transaction));
}

void transaction_destroy(struct transaction *transaction)
{
    if (transaction == NULL)
        return;
    buf_deinit(&transaction->raw);
    buf_deinit(&transaction->keys);
    mem_free(transaction->items);
    mem_free(transaction);
}

static bool add_keys(struct transaction *transaction, const struct command_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++) {
        size_t len = keys->items[i].len;
        if (!buf_append(&transaction->keys, &len, sizeof(len)) ||
            !buf_append(&transaction->keys, keys->items[i].ptr, len))
            return false;
        transaction->n_keys++;
    }
    return true;
}

static bool note_writes(struct transaction *transaction, const struct call *call)
{
    struct command_keys keys;
    if (!command_keys_collect(call->command, call->argv, call->argc, true, &keys))
        return false;
    unsigned flags = call->command->flags;
    bool ok = true;
    if (flags & COMMAND_WRITES_ALL)
        transaction->writes_all = true;
    else if ((flags & COMMAND_WATCHES_DB) || !keys.complete)
        transaction->writes_db = true;
    else if (command_may_write(call->command))
        ok = add_keys(transaction, &keys);
    transaction->has_script |= (flags & COMMAND_SCRIPT) != 0;
    command_keys_deinit(&keys);
    return ok;
}

bool transaction_add(struct transaction *transaction, const struct call *call, bool is_local)
{
    if (transaction->n == transaction->cap) {
        size_t cap = transaction->cap == 0 ? 16 : transaction->cap * 2;
        struct queued_command *items = mem_try_resize(transaction->items, cap * sizeof(*items));
        transaction->is_dirty |= items == NULL;
        if (items == NULL)
            return false;
        transaction->items = items;
        transaction->cap = cap;
    }
    size_t offset = transaction->raw.len;
    if (!buf_append(&transaction->raw, call->raw.ptr, call->raw.len) ||
        (!is_local && !note_writes(transaction, call))) {
        transaction->raw.len = offset;
        transaction->is_dirty = true;
        return false;
    }
    bool is_select = bytes_is(call->argv[0], "select");
    transaction->has_select |= is_select;
    transaction->has_local |= is_local;
    transaction->items[transaction->n++] = (struct queued_command){
        .command = call->command,
        .offset = offset,
        .len = call->raw.len,
        .rule = translate_rule_for(call->argv, call->argc),
        .is_local = is_local,
        .is_select = is_select,
    };
    return true;
}

void transaction_keys(const struct transaction *transaction, struct bytes *keys)
{
    const char *at = transaction->keys.data;
    for (size_t i = 0; i < transaction->n_keys; i++) {
        size_t len;
        memcpy(&len, at, sizeof(len));
        keys[i] = bytes_of(at + sizeof(len), len);
        at += sizeof(len) + len;
    }
}
