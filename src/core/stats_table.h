/* Every counter and gauge of larder in one table: INFO, CACHE STATS and /metrics are written from
 * its rows, over a snapshot that is taken once (by stats_snapshot.c).
 *
 *     struct stats_snapshot snapshot;
 *     stats_snapshot_take(&snapshot, larder);
 *     for each row of stats_table():  stats_value(row, &snapshot)
 *
 * Adding a figure: put it (or the struct that has it) into the snapshot, and one row into
 * stats_table.c. Must not know: replies, sections' headings, metric syntax. */
#ifndef LARDER_CORE_STATS_TABLE_H
#define LARDER_CORE_STATS_TABLE_H

#include "base/bytes.h"
#include "base/mem.h"
#include "core/larder.h"
#include "upstream/pinned.h"

/* What a row belongs to. Names of the first four sections are Redis's INFO fields; L1 and L2 are
 * larder's own. */
enum stats_section {
    STATS_CLIENTS,
    STATS_MEMORY,
    STATS_STATS,
    STATS_LARDER, /* of the instance */
    STATS_L1,
    STATS_L2, /* all rows apply only when snapshot->has_link */
    STATS_SECTIONS
};

enum stats_kind {
    STATS_COUNTER, /* only grows, until CONFIG RESETSTAT or CACHE RESETSTAT */
    STATS_GAUGE,
    STATS_TEXT, /* no number: a name, a state; left out of metrics */
};

/* How the field of the snapshot is read. */
enum stats_type {
    STATS_U64,
    STATS_SIZE,
    STATS_I64,
    STATS_BOOL,
    STATS_DOUBLE,
    STATS_POINTER,
    STATS_CHARS
};

/* All that rows read. Plain data: may be copied, and summed field by field over several
 * instances. */
struct stats_snapshot {
    struct tier_counters tier;
    struct store_counters store;
    struct store_gauges gauges;
    size_t used_bytes; /* of entries and index */
    uint64_t stale_served;
    uint64_t round_trips_saved;
    bool has_link;
    struct link_figures link; /* zero without a link */
    const char *breaker;      /* as breaker_state_name */
    const char *link_state;   /* "ready", ...; "none" without a link; borrowed for ever */
    char link_name[160];      /* "host:port", cut */
    char link_version[32];
    bool link_up;
    bool link_tracking;    /* in whatever mode */
    const char *coherence; /* in force: as in the directive, "none" while the link isn't up;
                                      * borrowed for ever */
    const char *coherence_configured; /* the same, as wanted */
    int64_t link_state_age_ms;
    struct pinned_figures pinned; /* zero without a link */
    struct larder_stats larder;
    struct mem_figures mem;
    size_t rss_bytes;
    size_t peak_bytes;
    size_t n_clients;
    size_t max_clients;
    size_t n_slots;
    size_t client_bytes;    /* of all clients, buffers included */
    size_t max_input_bytes; /* of any client now */
    size_t max_output_bytes;
    size_t fetches_in_flight;
    uint64_t bytes_in, bytes_out; /* from and to clients */
    uint64_t reads, writes;       /* system calls for clients */
    int64_t ops_per_second;
    double in_kbps, out_kbps; /* KiB per second */
    double l1_hit_rate;       /* hits / (hits + misses), 0 to 1; 0 before the first read */
    double l2_hit_rate;       /* fetches that found a value / fetches answered */
    double fragmentation_ratio;
    const char *policy;    /* borrowed as the link, or for ever */
    const char *l1_policy; /* borrowed for ever */
    size_t max_memory;
    size_t max_entries;
    uint64_t turns;
    int64_t longest_turn_us;
    int64_t uptime_s;
};

struct stats_row {
    enum stats_section section;
    const char *name;
    enum stats_kind kind;
    enum stats_type type;
    const char *unit; /* "bytes" "us" "s" "ratio" ...; "" for a bare number */
    const char *help; /* one sentence */
    size_t offset;    /* in struct stats_snapshot */
};

/* A row's value in a snapshot. */
struct stats_value {
    enum { STATS_IS_INTEGER, STATS_IS_DOUBLE, STATS_IS_TEXT } is;
    int64_t integer;  /* booleans are 0 and 1; above INT64_MAX is cut */
    double number;    /* also of an integer */
    const char *text; /* borrowed as the snapshot */
};

/* All rows, a section's together, in the order in which they are shown. Borrowed for ever. */
const struct stats_row *stats_table(size_t *n_rows);

/* "clients" "memory" "stats" "larder" "l1" "l2", borrowed for ever. */
const char *stats_section_name(enum stats_section section);

/* Gathers everything; costs a walk over the clients and a few system calls (tens of
 * microseconds). */
void stats_snapshot_take(struct stats_snapshot *snapshot, const struct larder *larder);

/* Reads a row. */
struct stats_value stats_value(const struct stats_row *row, const struct stats_snapshot *snapshot);

/* Sets the counters of `stats` back, of its instance only: CONFIG RESETSTAT. Peak memory starts
 * again, too. */
void stats_reset(struct larder_stats *stats);

/* Operations (or bytes) per second: the mean of a rate's samples, as Redis's
 * getInstantaneousMetric. */
double stats_rate_mean(const struct larder_rate *rate);

/* "down" "connecting" "handshake" "ready", borrowed for ever. */
const char *stats_link_state_name(enum link_state state);

#endif
