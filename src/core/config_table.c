/* The table of directives; see config_table.h. */
#include "core/config_table.h"

#include "base/nearest.h"

#include <limits.h>

#define KB ((int64_t)1 << 10)
#define MB ((int64_t)1 << 20)
#define TEN_YEARS_S ((int64_t)3650 * 86400)

/* The place of a field, which must have exactly the type that values of the row's kind are kept in.
 */
#define FIELD(field, type)                                                                         \
    .offset = offsetof(struct config, field) +                                                     \
              0 * sizeof(_Generic(&((struct config *)0)->field, __typeof__(type) * : 1)),          \
    .size = sizeof(type)

#define BOOL(field) .type = CONFIG_BOOL, FIELD(field, bool)
#define INTEGER(field, low, high)                                                                  \
    .type = CONFIG_INTEGER, FIELD(field, int64_t), .min = (low), .max = (high)
#define OCTAL(field, low, high)                                                                    \
    .type = CONFIG_OCTAL, FIELD(field, int64_t), .min = (low), .max = (high)
#define MEMORY(field, low)                                                                         \
    .type = CONFIG_MEMORY, FIELD(field, int64_t), .min = (low), .max = INT64_MAX
#define DECIMAL(field, low, high)                                                                  \
    .type = CONFIG_DECIMAL, FIELD(field, double), .min = (low), .max = (high)
#define CHOICE(field, enumeration, names)                                                          \
    .type = CONFIG_CHOICE, FIELD(field, enumeration), .choices = (names)
#define TEXT(field) .type = CONFIG_TEXT, FIELD(field, char *)
#define ADDRESSES(field) .type = CONFIG_ADDRESSES, FIELD(field, struct config_list)
#define PREFIXES(field) .type = CONFIG_PREFIXES, FIELD(field, struct config_list)

_Static_assert(sizeof(enum store_policy) == sizeof(int), "choices are written as an int");
_Static_assert(sizeof(enum config_coherence) == sizeof(int), "choices are written as an int");
_Static_assert(sizeof(enum log_level) == sizeof(int), "choices are written as an int");

/* In the order in which Redis 7.0 lists them in its error. */
static const struct config_choice policies[] = {
    {"volatile-lru", STORE_VOLATILE_LRU},
    {"volatile-lfu", STORE_VOLATILE_LFU},
    {"volatile-random", STORE_VOLATILE_RANDOM},
    {"volatile-ttl", STORE_VOLATILE_TTL},
    {"allkeys-lru", STORE_ALLKEYS_LRU},
    {"allkeys-lfu", STORE_ALLKEYS_LFU},
    {"allkeys-random", STORE_ALLKEYS_RANDOM},
    {"noeviction", STORE_NOEVICTION},
    {NULL, 0},
};

static const struct config_choice levels[] = {
    {"debug", LOG_DEBUG},     {"verbose", LOG_VERBOSE}, {"notice", LOG_NOTICE},
    {"warning", LOG_WARNING}, {"nothing", LOG_NOTHING}, {NULL, 0},
};

static const struct config_choice fail_modes[] = {
    {"error", CONFIG_FAIL_ERROR},
    {"miss", CONFIG_FAIL_MISS},
    {"stale", CONFIG_FAIL_STALE},
    {NULL, 0},
};

static const struct config_choice coherences[] = {
    {"tracking", CONFIG_COHERENCE_TRACKING},
    {"broadcast", CONFIG_COHERENCE_BROADCAST},
    {"ttl", CONFIG_COHERENCE_TTL},
    {NULL, 0},
};

static const struct config_row rows[] = {
/* Network */
#define ROW .section = CONFIG_SECTION_NETWORK
    {ROW, .name = "bind", ADDRESSES(bind), .group = CONFIG_LISTEN, .standard = "127.0.0.1 -::1",
     .text = "Addresses to listen on: IPv4, IPv6, * (all of IPv4), ::* (all of IPv6); one with a "
             "leading - may be "
             "unavailable."},
    {ROW, .name = "port", INTEGER(port, 0, 65535), .group = CONFIG_LISTEN, .standard = "6380",
     .text = "TCP port to listen on; 0: no TCP."},
    {ROW, .name = "unixsocket", TEXT(unixsocket), .group = CONFIG_LISTEN, .flags = CONFIG_IMMUTABLE,
     .standard = "\"\"", .text = "Path of a unix socket to listen on; empty: none."},
    {ROW, .name = "unixsocketperm", OCTAL(unixsocketperm, 0, 0777), .group = CONFIG_LISTEN,
     .flags = CONFIG_IMMUTABLE, .standard = "0",
     .text = "Mode of the unix socket, octal; 0: what the umask leaves."},
    {ROW, .name = "tcp-backlog", INTEGER(tcp_backlog, 0, INT_MAX), .group = CONFIG_LISTEN,
     .flags = CONFIG_IMMUTABLE, .standard = "511",
     .text =
         "Connections that may wait to be accepted; the kernel's somaxconn is a further limit."},
    {ROW, .name = "timeout", INTEGER(timeout_s, 0, INT_MAX), .unit = "s", .group = CONFIG_CLIENTS,
     .standard = "0", .text = "Closes a client that has been idle for so long; 0: never."},
    {ROW, .name = "tcp-keepalive", INTEGER(tcp_keepalive_s, 0, INT_MAX), .unit = "s",
     .group = CONFIG_CLIENTS, .standard = "300",
     .text = "Idle time after which TCP probes a client that may have gone; 0: never."},
    {ROW, .name = "maxclients", INTEGER(maxclients, 1, UINT_MAX), .group = CONFIG_CLIENTS,
     .standard = "10000",
     .text = "Clients connected at a time; file descriptors are a further limit."},
    {ROW, .name = "protected-mode", BOOL(protected_mode), .group = CONFIG_CLIENTS,
     .standard = "yes", .text = "Without a password, accept clients of this host only."},
    {ROW, .name = "requirepass", TEXT(requirepass), .group = CONFIG_CLIENTS, .flags = CONFIG_SECRET,
     .standard = "\"\"",
     .text = "Password that clients must give with AUTH or HELLO; empty: none."},
#undef ROW
/* Limits */
#define ROW .section = CONFIG_SECTION_LIMITS, .group = CONFIG_CLIENTS
    {ROW, .name = "client-query-buffer-limit", MEMORY(client_query_buffer_limit_bytes, MB),
     .standard = "1gb",
     .text = "Bytes of commands that one client may have sent and larder not yet executed."},
    {ROW, .name = "proto-max-bulk-len", MEMORY(proto_max_bulk_len_bytes, MB), .standard = "512mb",
     .text = "Longest argument of a command."},
    {ROW, .name = "client-output-buffer-limit", .type = CONFIG_OUTPUT_LIMIT,
     FIELD(client_output_buffer_limit, struct config_output_limit[CONFIG_CLIENT_CLASSES]),
     .standard = "normal 256mb 64mb 60 replica 256mb 64mb 60 pubsub 32mb 8mb 60",
     .text = "Closes a client of a class (normal, replica, pubsub) whose unread replies exceed the "
             "first size, or the second one "
             "for so many seconds; 0: no such limit."},
    {ROW, .name = "client-max-inflight", INTEGER(client_max_inflight, 1, 1 << 20),
     .standard = "1024",
     .text =
         "Commands of one client that may wait for their replies before no more are read from it."},
    {ROW, .name = "tracking-table-max-keys", INTEGER(tracking_table_max_keys, 0, UINT_MAX),
     .standard = "1000000",
     .text =
         "Keys remembered for CLIENT TRACKING; beyond it, clients are told that one has changed; "
         "0: no limit."},
#undef ROW
/* L1 */
#define ROW .section = CONFIG_SECTION_L1, .group = CONFIG_STORE
    {ROW, .name = "l1-enabled", BOOL(l1_enabled), .standard = "yes",
     .text = "Keep values in memory; no: every command goes to the upstream."},
    {ROW, .name = "maxmemory", MEMORY(maxmemory_bytes, 0), .standard = "256mb",
     .text = "Budget of L1, its index included; 0: no limit."},
    {ROW, .name = "maxmemory-policy", CHOICE(maxmemory_policy, enum store_policy, policies),
     .standard = "allkeys-lru", .text = "What L1 evicts when it is over its budget."},
    {ROW, .name = "maxmemory-samples", INTEGER(maxmemory_samples, 1, 64), .standard = "5",
     .text = "Entries that are compared for one eviction."},
    {ROW, .name = "lfu-log-factor", INTEGER(lfu_log_factor, 0, INT_MAX), .standard = "10",
     .text = "How many more accesses each step of an LFU counter takes."},
    {ROW, .name = "lfu-decay-time", INTEGER(lfu_decay_minutes, 0, INT_MAX), .unit = "min",
     .standard = "1", .text = "Time after which an LFU counter loses one; 0: never."},
    {ROW, .name = "l1-max-entries", INTEGER(l1_max_entries, 0, INT64_MAX), .standard = "0",
     .text = "Entries that L1 holds at most; 0: no limit but the budget."},
    {ROW, .name = "l1-max-variants", INTEGER(l1_max_variants, 0, 1000000), .standard = "64",
     .text = "Replies of one key that L1 keeps, to reads other than GET; one more drops them all; "
             "0: such replies are not kept."},
    {ROW, .name = "databases", INTEGER(databases, 1, 1024), .flags = CONFIG_IMMUTABLE,
     .standard = "16", .text = "Databases that SELECT accepts."},
#undef ROW
/* Policies. Times reach as far as those of a `policy` line. */
#define ROW .section = CONFIG_SECTION_POLICY, .group = CONFIG_STORE
    {ROW, .name = "l1-ttl", INTEGER(l1_ttl_s, 0, INT_MAX), .unit = "s", .standard = "300",
     .text = "Longest life in L1 of what came from the upstream; 0: no cap beyond the key's own "
             "deadline."},
    {ROW, .name = "l1-ttl-jitter", INTEGER(l1_ttl_jitter_percent, 0, 100), .unit = "%",
     .standard = "10",
     .text = "Shortens l1-ttl at random by up to this, so that what was fetched together does not "
             "go together."},
    {ROW, .name = "l1-negative-ttl", INTEGER(l1_negative_ttl_s, -1, TEN_YEARS_S), .unit = "s",
     .standard = "-1",
     .text = "Longest time that L1 knows that a key does not exist; 0: it does not keep that, -1: "
             "as l1-ttl."},
    {ROW, .name = "l1-max-item", MEMORY(l1_max_item_bytes, 0), .standard = "0",
     .text = "Larger entries (key and value) stay out of L1; 0: no limit but the budget."},
    {ROW, .name = "stale-while-revalidate", INTEGER(stale_while_revalidate_s, 0, TEN_YEARS_S),
     .unit = "s", .standard = "0",
     .text = "Time behind l1-ttl in which a value is still answered while it is fetched anew; 0: "
             "never."},
    {ROW, .name = "stale-if-error", INTEGER(stale_if_error_s, 0, TEN_YEARS_S), .unit = "s",
     .standard = "0",
     .text = "Time in which a value that can't be trusted any more is still answered when the "
             "upstream can't be asked; 0: never."},
    {ROW, .name = "early-refresh", DECIMAL(early_refresh, 0, 100), .standard = "0",
     .text = "Fetches a value anew before its time is over, at random, the earlier the greater "
             "this is and the longer its last fetch took (XFetch's beta, 1 is usual); 0: off."},
    {ROW, .name = "write-allocate", BOOL(write_allocate), .standard = "no",
     .text = "Keep the value of a SET in L1; no: the next read fetches it."},
    {ROW, .name = "l2-ttl-factor", DECIMAL(l2_ttl_factor, 1, 1000), .standard = "1",
     .text = "Multiplies the TTL of a SET on its way to the upstream, which then outlives L1 and "
             "can serve stale values; 1: it is passed on as it is."},
    {ROW, .name = "policy", .type = CONFIG_POLICIES, FIELD(policies, struct policy_table *),
     .flags = CONFIG_IMMUTABLE | CONFIG_UNKNOWN, .standard = "\"\"",
     .text = "What differs for keys that begin with a prefix, one line for each, such as: policy "
             "session: ttl=30s stale-if-error=10m; empty: drops those of earlier lines. See "
             "doc/policies.md."},
#undef ROW
/* L2 */
#define ROW .section = CONFIG_SECTION_L2, .group = CONFIG_UPSTREAM
    {ROW, .name = "upstream", TEXT(upstream),
     .flags = CONFIG_IMMUTABLE | CONFIG_UNKNOWN | CONFIG_URL, .standard = "\"\"",
     .text = "The Redis behind larder: host:port, unix:/path or "
             "redis://[user[:password]@]host[:port][/db]; empty: L1 alone."},
    {ROW, .name = "upstream-username", TEXT(upstream_username), .standard = "\"\"",
     .text = "User to log in as at the upstream; empty: the URL's, or the default user."},
    {ROW, .name = "upstream-password", TEXT(upstream_password), .flags = CONFIG_SECRET,
     .standard = "\"\"",
     .text = "Password for the upstream; empty: that of upstream-password-file, of the "
             "environment, or of the URL."},
    {ROW, .name = "upstream-password-file", TEXT(upstream_password_file),
     .flags = CONFIG_IMMUTABLE | CONFIG_UNKNOWN, .standard = "\"\"",
     .text = "File that holds the password for the upstream, read at start; one line break at its "
             "end is dropped."},
    {ROW, .name = "upstream-timeout", INTEGER(upstream_timeout_ms, 1, 3600000), .unit = "ms",
     .standard = "5000",
     .text = "Time after which a command that the upstream has not answered fails."},
    {ROW, .name = "upstream-connect-timeout", INTEGER(upstream_connect_timeout_ms, 1, 3600000),
     .unit = "ms", .standard = "1000",
     .text = "Time for connecting and logging in to the upstream."},
    {ROW, .name = "upstream-ping-interval", INTEGER(upstream_ping_interval_ms, 10, 3600000),
     .unit = "ms", .standard = "1000",
     .text = "Silence after which the upstream is pinged, so that a dead link is noticed."},
    {ROW, .name = "upstream-backoff-min", INTEGER(upstream_backoff_min_ms, 1, 60000), .unit = "ms",
     .standard = "50",
     .text = "Wait before the first attempt to connect again; it doubles with each failure."},
    {ROW, .name = "upstream-backoff-max", INTEGER(upstream_backoff_max_ms, 1, 60000), .unit = "ms",
     .standard = "500",
     .text = "Longest wait between two attempts to connect; not below upstream-backoff-min."},
    {ROW, .name = "upstream-max-inflight", INTEGER(upstream_max_inflight, 1, 1 << 24),
     .standard = "65536",
     .text =
         "Commands that may wait for the upstream's reply; beyond it, clients are not read from."},
    {ROW, .name = "upstream-pinned-max", INTEGER(upstream_pinned_max, 0, 65535), .standard = "4096",
     .text = "Links of their own that clients may hold at the upstream, while they block (BLPOP) "
             "or watch keys (WATCH)."},
    {ROW, .name = "breaker-failures", INTEGER(breaker_failures, 0, 1000000), .standard = "5",
     .text = "Commands in a row that the upstream did not answer in time, after which it is asked "
             "no more until it answers a probe; 0: no such limit."},
    {ROW, .name = "breaker-error-rate", INTEGER(breaker_error_rate, 0, 100), .unit = "percent",
     .standard = "50",
     .text = "The same for their share of the commands of ten seconds, from twenty on; 0: no such "
             "limit."},
    {ROW, .name = "upstream-fail-mode",
     CHOICE(upstream_fail_mode, enum config_fail_mode, fail_modes), .standard = "error",
     .text = "What reads that L1 keeps are answered with when the upstream can't be asked: error, "
             "miss (as if the key did not exist) or stale (the old value, for an hour where "
             "stale-if-error says nothing else; error where there is none)."},
    {ROW, .name = "upstream-retry-budget", INTEGER(upstream_retry_budget, 0, 100),
     .unit = "percent", .standard = "10",
     .text = "Share of the fetches that may be sent once more when the link was lost before their "
             "reply; 0: none."},
    {ROW, .name = "coherence", CHOICE(coherence, enum config_coherence, coherences),
     .standard = "tracking",
     .text = "How L1 learns of changes: tracking (the upstream tells once of each key that was "
             "read), broadcast (it tells of all keys with a broadcast-prefix) or ttl (not at all: "
             "values live until l1-ttl). Where the upstream can't, the next one in the order "
             "broadcast, tracking, ttl."},
    {ROW, .name = "broadcast-prefix", PREFIXES(broadcast_prefix), .standard = "\"\"",
     .text = "Of keys that coherence broadcast is for; others live until l1-ttl. None may begin "
             "with another one; empty: all keys."},
    {ROW, .name = "coherence-retry-interval", INTEGER(coherence_retry_interval_ms, 0, 3600000),
     .unit = "ms", .standard = "60000",
     .text = "Time after which the upstream, when it could not do what coherence says, is asked "
             "for it again; 0: only when the link comes up."},
    {ROW, .name = "l2-touch-interval", INTEGER(l2_touch_interval_s, 0, 86400), .unit = "s",
     .standard = "30",
     .text = "Time in which an upstream that evicts by LRU or LFU is told once of each key that L1 "
             "answers for, with TOUCH; 0: never."},
#undef ROW
/* Warming */
#define ROW .section = CONFIG_SECTION_WARMING, .group = CONFIG_OTHER
    {ROW, .name = "warm-dir", TEXT(warm_dir), .flags = CONFIG_IMMUTABLE | CONFIG_UNKNOWN,
     .standard = "\"\"",
     .text = "Directory that CACHE WARM FILE may read from; empty: CACHE WARM FILE is off."},
    {ROW, .name = "warm-concurrency", INTEGER(warm_concurrency, 1, 1000), .standard = "10",
     .text = "Fetches in flight of a CACHE WARM job that names no CONCURRENCY."},
#undef ROW
/* Operation */
#define ROW .section = CONFIG_SECTION_OPERATION
    {ROW, .name = "loglevel", CHOICE(loglevel, enum log_level, levels), .group = CONFIG_LOG,
     .standard = "notice", .text = "Least important messages that are logged."},
    {ROW, .name = "logfile", TEXT(logfile), .group = CONFIG_LOG, .flags = CONFIG_IMMUTABLE,
     .standard = "\"\"", .text = "File to append the log to; empty: standard output."},
    {ROW, .name = "pidfile", .group = CONFIG_OTHER, TEXT(pidfile), .flags = CONFIG_IMMUTABLE,
     .standard = "\"\"", .text = "File for the process id; empty: none."},
    {ROW, .name = "slowlog-log-slower-than", .group = CONFIG_OTHER,
     INTEGER(slowlog_log_slower_than_us, -1, INT64_MAX), .unit = "us", .standard = "10000",
     .text = "Commands that take longer enter the slow log; 0: all, -1: none."},
    {ROW, .name = "slowlog-max-len", .group = CONFIG_OTHER, INTEGER(slowlog_max_len, 0, INT_MAX),
     .standard = "128", .text = "Entries that the slow log holds."},
    {ROW, .name = "shutdown-timeout", .group = CONFIG_OTHER,
     INTEGER(shutdown_timeout_s, 0, INT_MAX), .unit = "s", .standard = "10",
     .text = "Time that commands in flight have to finish at SIGTERM or SIGINT."},
    {ROW, .name = "allow-admin", .group = CONFIG_OTHER, BOOL(allow_admin),
     .flags = CONFIG_IMMUTABLE | CONFIG_UNKNOWN, .standard = "no",
     .text = "Pass administrative commands (SHUTDOWN, REPLICAOF, DEBUG, FAILOVER, ...) on to the "
             "upstream."},
#undef ROW
/* Asked for by redis-benchmark and frameworks; larder keeps no files. */
#define ROW                                                                                        \
    .section = CONFIG_SECTION_COMPATIBILITY, .group = CONFIG_OTHER, .type = CONFIG_FIXED,          \
    .flags = CONFIG_IMMUTABLE
    {ROW, .name = "save", .standard = "\"\"", .text = "Always empty."},
    {ROW, .name = "appendonly", .standard = "no", .text = "Always no."},
#undef ROW
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))
_Static_assert(N_ROWS <= CONFIG_ROWS_MAX, "callers keep one flag for each row");

const struct config_row *config_table(size_t *n_rows)
{
    *n_rows = N_ROWS;
    return rows;
}

const struct config_row *config_table_find(struct bytes name)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (bytes_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}

const struct config_row *config_table_nearest(struct bytes name)
{
    size_t best = nearest_limit(name);
    const struct config_row *nearest = NULL;
    for (size_t i = 0; best > 0 && i < N_ROWS; i++) {
        if (rows[i].section == CONFIG_SECTION_COMPATIBILITY)
            continue;
        size_t distance = nearest_distance(name, bytes_of_str(rows[i].name));
        if (distance >= best)
            continue;
        best = distance;
        nearest = &rows[i];
    }
    return nearest;
}

const char *config_table_section(enum config_section section)
{
    static const char *const names[CONFIG_SECTIONS] = {
        [CONFIG_SECTION_NETWORK] = "Network",
        [CONFIG_SECTION_LIMITS] = "Limits for clients",
        [CONFIG_SECTION_L1] = "L1: the memory cache",
        [CONFIG_SECTION_POLICY] = "Policies: what L1 keeps, and for how long",
        [CONFIG_SECTION_L2] = "L2: the upstream",
        [CONFIG_SECTION_WARMING] = "Warming",
        [CONFIG_SECTION_OPERATION] = "Operation",
        [CONFIG_SECTION_COMPATIBILITY] = "Compatibility",
    };
    return names[section];
}
