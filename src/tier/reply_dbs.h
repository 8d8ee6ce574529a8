/* Which of the store's databases hold cached replies: each database of clients has two more beside
 * it, where no key of a client can collide with what is kept.
 *
 *     0 .. n-1      clients':  key -> string, or absent
 *     n .. 2n-1     anchors:   key -> generation and number of its replies
 *     2n .. 3n-1    replies:   key and command -> generation and reply
 *
 * n is the directive `databases`. Without an upstream there are only the first n. */
#ifndef LARDER_TIER_REPLY_DBS_H
#define LARDER_TIER_REPLY_DBS_H

#include <stdbool.h>

/* Databases that a store needs for n databases of clients, and their cached replies. */
static inline unsigned reply_dbs_total(unsigned n)
{
    return 3 * n;
}

/* Where the anchors, and the replies, of a client's database are. */
static inline unsigned reply_dbs_anchors(unsigned n, unsigned db)
{
    return n + db;
}

static inline unsigned reply_dbs_replies(unsigned n, unsigned db)
{
    return 2 * n + db;
}

/* True when a database of the store has clients' keys for names: its own, or that of anchors. */
static inline bool reply_dbs_has_keys(unsigned n, unsigned store_db)
{
    return store_db < 2 * n;
}

/* The client's database that one of the store belongs to. */
static inline unsigned reply_dbs_client(unsigned n, unsigned store_db)
{
    return store_db % n;
}

#endif
