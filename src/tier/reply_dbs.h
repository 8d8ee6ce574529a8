/* Which of the store's databases hold what. Each database of clients has five more beside it, where
 * no key of a client can collide with what is kept.
 *
 *     0 .. n-1      strings:   key -> string, or absent
 *     n .. 2n-1     anchors:   key -> generation and number of its replies
 *     2n .. 3n-1    replies:   key and command -> generation and reply
 *     3n .. 6n-1    the same three again, for keys whose policy allows stale answers: they outlive
 *                   the link that they were read on, and are judged one by one (stale.h)
 *
 * n is the directive `databases`. Without an upstream there are only the first n. */
#ifndef LARDER_TIER_REPLY_DBS_H
#define LARDER_TIER_REPLY_DBS_H

#include <stdbool.h>

/* Databases that a store needs for n databases of clients, and all that belongs to them. */
static inline unsigned reply_dbs_total(unsigned n)
{
    return 6 * n;
}

/* Where the strings, the anchors, and the replies, of a client's database are. */
static inline unsigned reply_dbs_strings(unsigned n, unsigned db, bool is_soft)
{
    return (is_soft ? 3 * n : 0) + db;
}

static inline unsigned reply_dbs_anchors(unsigned n, unsigned db, bool is_soft)
{
    return (is_soft ? 4 * n : n) + db;
}

static inline unsigned reply_dbs_replies(unsigned n, unsigned db, bool is_soft)
{
    return (is_soft ? 5 * n : 2 * n) + db;
}

/* True when a database of the store has clients' keys for names: strings, or anchors. */
static inline bool reply_dbs_has_keys(unsigned n, unsigned store_db)
{
    return store_db % (3 * n) < 2 * n;
}

/* The client's database that one of the store belongs to. */
static inline unsigned reply_dbs_client(unsigned n, unsigned store_db)
{
    return store_db % n;
}

#endif
