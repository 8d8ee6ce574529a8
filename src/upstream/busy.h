/* Finds out whether an L2 that is silent is busy with a script. The link that gave it the script hears nothing until the script has ended;
 * on any other connection L2 answers BUSY as soon as its busy-reply-threshold has passed:
 *
 *     link silent for a while --PING on a pinned link--> BUSY ...: link_set_busy, and asked again soon
 *                                                   --> anything else, or nothing: not busy
 *
 * Knows nothing of scripts: whatever makes the link silent is asked about. */
#ifndef LARDER_UPSTREAM_BUSY_H
#define LARDER_UPSTREAM_BUSY_H

#include "upstream/pinned.h"

struct busy_watch;

/* Watches over `link` with links of `pool`; both are borrowed until busy_watch_destroy. Returns owned. */
struct busy_watch *busy_watch_create(struct loop *loop, struct link *link, struct pinned_pool *pool)
    __attribute__((returns_nonnull));

/* To be called before link and pool are destroyed. NULL is allowed. */
void busy_watch_destroy(struct busy_watch *watch);

/* Looks whether the link owes replies; to be called some ten times a second. */
void busy_watch_tick(struct busy_watch *watch);

#endif
