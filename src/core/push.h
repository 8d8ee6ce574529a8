/* What comes to a client unasked: messages of channels, lines of MONITOR.
 *
 * In RESP3 it goes between replies. In RESP2, and while the client waits for the confirmation of a
 * SUBSCRIBE, it goes behind the replies that are still to come. CLIENT REPLY OFF does not silence
 * it, as in Redis. */
#ifndef LARDER_CORE_PUSH_H
#define LARDER_CORE_PUSH_H

#include "core/client.h"

/* Hands over a whole RESP3 push, which a RESP2 client gets as an array. May close the client (its
 * output limit). No effect on one that is ending. */
void push_message(struct client *client, struct bytes push);

/* Hands over bytes as push_raw, but also in RESP3 behind all replies that wait, but for those of
 * commands that block: for what concerns values that these replies may hold. */
void push_in_order(struct client *client, struct bytes raw);

/* Hands over bytes that are the same in both protocols; as push_message. */
void push_raw(struct client *client, struct bytes raw);

#endif
