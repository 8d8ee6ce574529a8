/* What MULTI/EXEC (transaction.c) and WATCH (watch.c) share. */
#ifndef LARDER_COMMAND_TRANSACTION_H
#define LARDER_COMMAND_TRANSACTION_H

#include "core/larder.h"
#include "core/transaction.h"

/* An EXEC under way: the slot of its reply, and what was queued. */
struct execution;

/* Answers with L2's reply to EXEC and frees the execution. */
void transaction_finish(struct execution *execution, struct bytes raw);

/* Sends a transaction on the link on which its client watches keys, and gives the link back when the reply is there. The client no
 * longer watches. */
void watch_send_batch(struct client *client, struct execution *execution,
                      const struct transaction *transaction, enum tier_scope scope,
                      const struct bytes *keys);

/* Ends a client's watching, if it does. */
void watch_forget(struct client *client);

#endif
