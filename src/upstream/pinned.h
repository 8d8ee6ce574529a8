/* Links that belong to one client for a while, for what carries connection state at L2: blocking commands and WATCH.
 *
 *     acquire --> idle link of the pool, or a new one --> send ... --> release --> back to the pool (clean), or closed
 *
 * A pinned link logs in and nothing else; it is not tracked, so nothing that is read on it may go into L1. It connects once: when it
 * is lost, its operations fail and it stays lost. Commands given before it is up wait for it. */
#ifndef LARDER_UPSTREAM_PINNED_H
#define LARDER_UPSTREAM_PINNED_H

#include "upstream/link.h"

struct pinned_pool;
struct pinned;

/* Creates an empty pool of at most `max` links in use; `options` (address, credentials, times) is taken. Returns owned. */
struct pinned_pool *pinned_pool_create(struct loop *loop, struct link_options *options, size_t max)
    __attribute__((returns_nonnull));

/* Closes every link; operations on them fail inside. */
void pinned_pool_destroy(struct pinned_pool *pool);

/* The before-sleep hook: writes what was given in this turn (ctx is the pool). */
void pinned_pool_flush(struct loop *loop, void *ctx);

/* Takes new times and credentials (taken) for links to come, and the limit. */
void pinned_pool_configure(struct pinned_pool *pool, struct link_options *options, size_t max);

/* Takes a link for a client, or NULL when `max` are in use. Returns owned, for pinned_release. */
struct pinned *pinned_acquire(struct pinned_pool *pool) __attribute__((warn_unused_result));

/* Gives the link back. `clean`: it is in no state (nothing watched, nothing in flight) and may serve others; otherwise it is closed at
 * the end of the turn, and what is in flight on it fails then. */
void pinned_release(struct pinned *pinned, bool clean);

/* As link_send; `blocks`: without a deadline. */
void pinned_send(struct pinned *pinned, unsigned db, struct bytes raw, bool blocks,
                 link_reply_fn *fn, void *ctx);

/* As pinned_send, with a deadline, for a command to which it is all one which database is selected: what a busy L2 still takes. (It
 * refuses SELECT.) */
void pinned_send_anywhere(struct pinned *pinned, struct bytes raw, link_reply_fn *fn, void *ctx);

/* Says that the link's database may have changed. */
void pinned_forget_db(struct pinned *pinned);

/* True when the connection was lost: what was watched on it is forgotten. */
bool pinned_is_lost(const struct pinned *pinned);

/* The link's client id at L2, 0 while it is not up. */
int64_t pinned_client_id(const struct pinned *pinned);

/* Counts a connection of another kind (a tunnel) as a link in use. Returns false when `max` are. */
bool pinned_pool_reserve(struct pinned_pool *pool) __attribute__((warn_unused_result));
void pinned_pool_unreserve(struct pinned_pool *pool);

/* A deep copy of the pool's options, for link_options_deinit. */
void pinned_pool_copy_options(const struct pinned_pool *pool, struct link_options *options);

struct pinned_figures {
    size_t in_use;
    size_t idle;
    size_t max;
    uint64_t created;
    uint64_t refused; /* acquires beyond max */
};
void pinned_read_figures(const struct pinned_pool *pool, struct pinned_figures *figures);
void pinned_reset_counters(struct pinned_pool *pool);

#endif
