/* Clients that hold a link of their own for a while: blocked in a command that waits at L2, or watching keys.
 *
 * A blocked client's next command waits for the reply (client_block). When the client leaves, its link is closed, which ends the wait at
 * L2. Coherence: what such a command may write is guarded (tier_guard), since it runs on another link than the tracking one. */
#ifndef LARDER_CORE_BLOCKED_H
#define LARDER_CORE_BLOCKED_H

#include "core/larder.h"
#include "upstream/pinned.h"

/* A command under way on a link of its own. */
struct blocked;

/* Sends a call's command on a link of its own, without a deadline, and answers with L2's reply. `before` (may be empty) is sent first, and
 * its reply dropped. Answers with an error when no link is left. */
void call_block(struct call *call, struct bytes before);

/* Sends a call's command on a link of its own, with a deadline, and answers with L2's reply: for what an L2 that is busy with a script
 * still takes. It keeps no order to the client's other commands, whose replies stay in order. */
void call_aside(struct call *call);

/* Ends the wait of a blocked client by CLIENT UNBLOCK at L2 (`with_error`: as its ERROR option); `call` is answered with what L2 says:
 * 1 when the client was unblocked. Answers 0 when the client isn't blocked. */
void call_unblock(struct call *call, struct client *client, bool with_error);

/* True while the client's command is at L2 and not yet answered (its link may still be connecting: then it is not). */
bool blocked_is_waiting(const struct client *client);

/* Takes a link for watching, or answers with an error and returns NULL. */
struct pinned *blocked_acquire(struct call *call);

/* Gives back what a client holds that leaves, or is reset. */
void blocked_leave(struct client *client);

#endif
