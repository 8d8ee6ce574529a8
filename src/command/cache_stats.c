/* CACHE STATS and CACHE RESETSTAT: the rows of the table of figures (core/stats_table.h) that
 * belong to a tier, as maps. */
#include "command/cache_handlers.h"
#include "core/stats_table.h"

#include <math.h>
#include <stdio.h>

void cache_reply_decimal(struct reply *reply, double value, int digits)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%.*f", digits, isfinite(value) ? value : 0.0);
    struct bytes shown =
        bytes_of(text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
    if (reply->proto != 3) {
        reply_bulk(reply, shown);
        return;
    }
    reply_raw(reply, BYTES(","));
    reply_raw(reply, shown);
    reply_raw(reply, BYTES("\r\n"));
}

static void add_row(struct reply *reply, const struct stats_row *row,
                    const struct stats_snapshot *snapshot)
{
    struct stats_value value = stats_value(row, snapshot);
    reply_bulk_str(reply, row->name);
    if (value.is == STATS_IS_TEXT)
        reply_bulk_str(reply, value.text);
    else if (value.is == STATS_IS_DOUBLE)
        cache_reply_decimal(reply, value.number, 4);
    else
        reply_int(reply, value.integer);
}

static void add_section(struct reply *reply, enum stats_section section,
                        const struct stats_snapshot *snapshot)
{
    size_t n_rows;
    const struct stats_row *rows = stats_table(&n_rows);
    size_t n = 0;
    for (size_t i = 0; i < n_rows; i++)
        n += rows[i].section == section;
    reply_map(reply, n);
    for (size_t i = 0; i < n_rows; i++)
        if (rows[i].section == section)
            add_row(reply, &rows[i], snapshot);
}

/* Without an upstream there is nothing to tell of L2 but that. */
static void add_l2(struct reply *reply, const struct stats_snapshot *snapshot)
{
    if (snapshot->has_link) {
        add_section(reply, STATS_L2, snapshot);
        return;
    }
    reply_map(reply, 1);
    cache_reply_text(reply, "state", "none");
}

void cache_stats(struct call *call)
{
    if (call->argc > 3) {
        call_wrong_arity(call);
        return;
    }
    struct stats_snapshot snapshot;
    stats_snapshot_take(&snapshot, call->larder);
    struct reply *reply = &call->reply;
    if (call->argc == 2) {
        reply_map(reply, 2);
        reply_bulk_str(reply, "L1");
        add_section(reply, STATS_L1, &snapshot);
        reply_bulk_str(reply, "L2");
        add_l2(reply, &snapshot);
    } else if (bytes_is(call->argv[2], "l1")) {
        add_section(reply, STATS_L1, &snapshot);
    } else if (bytes_is(call->argv[2], "l2")) {
        add_l2(reply, &snapshot);
    } else {
        reply_error(reply, "ERR there is no such tier, L1 and L2 are");
    }
}

void cache_resetstat(struct call *call)
{
    struct larder *larder = call->larder;
    tier_reset_counters(larder->tier);
    if (larder->pinned != NULL)
        pinned_reset_counters(larder->pinned);
    if (larder->link == NULL) { /* what clients hit is what L1 is hit for */
        larder->stats.keyspace_hits = 0;
        larder->stats.keyspace_misses = 0;
    }
    reply_ok(&call->reply);
}
