/* The commands that a client has queued since MULTI: copies of them, and what EXEC will need to know.
 *
 * Owns its bytes. Must not know: links, replies. Bounded by the client's own query buffer limit, which counts what is queued. */
#ifndef LARDER_CORE_TRANSACTION_H
#define LARDER_CORE_TRANSACTION_H

#include "base/buf.h"
#include "core/command_table.h"
#include "resp/translate_rules.h"

struct queued_command {
    const struct command *command;
    size_t offset; /* of its RESP array in transaction.raw */
    size_t len;
    enum translate_rule rule; /* of its reply for a RESP2 client */
    bool is_local;            /* answered by larder when EXEC's reply is there */
    bool is_select;           /* changes the database, for what follows it and afterwards */
};

struct transaction {
    struct buf raw;
    struct queued_command *items; /* owned */
    size_t n, cap;
    struct buf keys; /* records of length and bytes: what the queued commands may write */
    size_t n_keys;
    bool writes_db;  /* more than the keys: the whole database */
    bool writes_all; /* or all of them */
    bool has_script;
    bool may_write; /* for CLIENT PAUSE WRITE */
    bool has_select;
    bool has_local;
    bool is_dirty; /* a command was refused: EXEC will be */
};

/* An empty transaction; aborts without memory. Returns owned. */
struct transaction *transaction_create(void) __attribute__((returns_nonnull));
/* NULL is allowed. */
void transaction_destroy(struct transaction *transaction);

/* Queues a copy of a call's command. Returns false when there is no memory (the transaction is then dirty). */
bool transaction_add(struct transaction *transaction, const struct call *call, bool is_local);

/* The bytes of item i, borrowed until the next add. */
static inline struct bytes transaction_raw(const struct transaction *transaction, size_t i)
{
    return bytes_of(transaction->raw.data + transaction->items[i].offset,
                    transaction->items[i].len);
}

/* Fills keys[0..n_keys) with what may be written, borrowed from the transaction. */
void transaction_keys(const struct transaction *transaction, struct bytes *keys);

#endif
