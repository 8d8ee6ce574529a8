/* The handlers of the container CACHE, shared by its files: cache.c has the rows and what is short,
 * cache_*.c the rest. Nobody else includes this. */
#ifndef LARDER_COMMAND_CACHE_HANDLERS_H
#define LARDER_COMMAND_CACHE_HANDLERS_H

#include "core/larder.h"
#include "tier/warm.h"

/* CACHE STATS [L1 | L2]: a map of figures of each tier, or of one (cache_stats.c). */
void cache_stats(struct call *call);

/* CACHE RESETSTAT: sets the counters that CACHE STATS shows back to 0. */
void cache_resetstat(struct call *call);

/* CACHE EXPLAIN key: what L1 knows of a key (cache_explain.c). */
void cache_explain(struct call *call);

/* CACHE INVALIDATE key [key ...] | PREFIX prefix (cache_invalidate.c). */
void cache_invalidate(struct call *call);

/* Answers a call when all is gone. `n_dropped` is how many entries went. */
typedef void cache_dropped_fn(struct reply *reply, uint64_t n_dropped);

/* Drops all keys with a prefix (borrowed for the call) from L1 in all databases, at once or later;
 * fetches under way are not kept either. An error is written instead of the answer where some may be
 * left. */
void cache_invalidate_prefix(struct call *call, struct bytes prefix, cache_dropped_fn *answer);

/* CACHE POLICY ... (cache_policy.c). */
void cache_policy(struct call *call);

/* CACHE WARM ... (cache_warm.c). */
void cache_warm(struct call *call);

/* CACHE WARM STATUS and LIST (cache_warm_report.c). */
void cache_warm_status(struct call *call);
void cache_warm_list(struct call *call);

/* Writes all that is known of a job as a map. */
void cache_warm_reply(struct reply *reply, const struct warm_figures *figures);

/* A rate or ratio with as many digits as mean something: a double, or a bulk string in RESP2. */
void cache_reply_decimal(struct reply *reply, double value, int digits);

/* A name and a number, as a pair of a map. */
static inline void cache_reply_number(struct reply *reply, const char *name, uint64_t value)
{
    reply_bulk_str(reply, name);
    reply_int(reply, value < INT64_MAX ? (int64_t)value : INT64_MAX);
}

/* A name and a text, as a pair of a map. */
static inline void cache_reply_text(struct reply *reply, const char *name, const char *value)
{
    reply_bulk_str(reply, name);
    reply_bulk_str(reply, value);
}

#endif
