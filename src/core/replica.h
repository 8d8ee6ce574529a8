/* Clients that replicate: their first REPLCONF, SYNC or PSYNC gives them a connection of their own to L2 (a tunnel), and what they and L2 say
 * is relayed as it is until one of them closes.
 *
 *     client --commands of replicas, byte by byte--> tunnel --> L2
 *     client <--conn.out <--bytes, not read from L2 while the client doesn't read-- tunnel
 *
 * Only what a replica says is relayed (REPLCONF, PSYNC, SYNC, PING and empty lines): L2 would take any command on that connection, also
 * those that larder refuses. Anything else ends the client. */
#ifndef LARDER_CORE_REPLICA_H
#define LARDER_CORE_REPLICA_H

#include "core/larder.h"
#include "upstream/tunnel.h"

/* Makes the call's client a replica and sends its command, or answers with an error. */
void replica_begin(struct call *call);

/* True when a command (a PSYNC with more than two arguments) makes L2 hand its role over, which is an administrative thing. */
bool replica_is_failover(const struct bytes *argv, size_t argc);

/* Relays what a replica says, a request or an empty line, as it is. May close the client. */
void replica_take(struct client *client, const struct parsed *parsed);

/* True when nothing more of the replica can be taken now; its client is looked at again. */
bool replica_must_wait(const struct client *client);

/* The client has read what it was sent. No effect on others than replicas. */
void replica_on_drained(struct client *client);

/* Closes the replica's connection to L2. No effect on others. */
void replica_leave(struct client *client);

#endif
