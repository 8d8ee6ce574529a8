/* A connection to L2 on which bytes go both ways as they are: for what turns a connection into something else (replication).
 *
 *     CONNECTING --connected--> LOGIN: AUTH, CLIENT SETNAME --answered--> OPEN: bytes --either side closes--> over
 *
 * What is given before it is OPEN waits for it. Nothing is buffered without bound: the owner is told when it may give no
 * more, and is asked before each reading from L2. Knows nothing of what the bytes mean, but for the answers to its own login. */
#ifndef LARDER_UPSTREAM_TUNNEL_H
#define LARDER_UPSTREAM_TUNNEL_H

#include "upstream/link.h"

/* Bytes not yet taken by L2 at which the tunnel is full. */
#define TUNNEL_FULL_BYTES ((size_t)256 << 10)

struct tunnel;

/* None of these runs inside a call of the owner's. */
struct tunnel_handlers {
    /* True when the owner can take more bytes now; else nothing is read before tunnel_resume. */
    bool (*may_read)(void *ctx);
    /* Bytes of L2, borrowed for the call. At most 64 KB at a time. */
    void (*on_data)(void *ctx, struct bytes data);
    /* What made the tunnel full has been sent. */
    void (*on_room)(void *ctx);
    /* It is over, once; `why` is borrowed for the call and holds no secret. was_open: L2 may have had what was given. The owner destroys
     * the tunnel, here or later. */
    void (*on_end)(void *ctx, const char *why, bool was_open);
};

/* Begins to connect. `options` (address, credentials, connect_timeout_ms) is taken, `handlers` and `ctx` are borrowed until
 * tunnel_destroy. Returns owned. */
struct tunnel *tunnel_create(struct loop *loop, struct link_options *options,
                             const struct tunnel_handlers *handlers, void *ctx)
    __attribute__((returns_nonnull));

/* Closes the connection. No handler runs any more; may be called from one. */
void tunnel_destroy(struct tunnel *tunnel);

/* Sends bytes (copied). */
void tunnel_give(struct tunnel *tunnel, struct bytes data);

/* True when nothing more should be given before on_room. */
bool tunnel_is_full(const struct tunnel *tunnel);

/* Reads on, after may_read said no. */
void tunnel_resume(struct tunnel *tunnel);

/* "host:port" of L2, borrowed as the tunnel. */
const char *tunnel_get_name(const struct tunnel *tunnel);

#endif
