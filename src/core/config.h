/* The configuration of one instance: every directive's value, typed, and reading and changing them
 * by name.
 *
 * Owns struct config. The directives themselves (name, type, default, bounds, text) are rows of
 * core/config_table.c, from which defaults, file, command line, CONFIG, help and documents come.
 * Must not know: sockets, clients, commands. What a changed value means for a running server is the
 * business of whoever passes the apply function.
 *
 *     config_file.h     larder.conf            config_args.h    the command line
 *     config_rewrite.h  CONFIG REWRITE         config_secret.h  L2's password
 *     config_print.h    --help, larder.conf, doc/configuration.md
 *     inside: config_table.h (the rows), config_value.h (one value)
 *
 * Invariants: strings are NUL-terminated and never NULL ("" is unset); numbers are within their
 * row's bounds. */
#ifndef LARDER_CORE_CONFIG_H
#define LARDER_CORE_CONFIG_H

#include "base/bytes.h"
#include "base/log.h"
#include "store/store.h"
#include "tier/policy.h"

/* Room for any message that a function here writes, its NUL included. */
#define CONFIG_ERR_SIZE 512

/* Addresses that `bind` takes; Redis's CONFIG_BINDADDR_MAX. */
#define CONFIG_BIND_MAX 16

/* What a directive belongs to, so that a change can be applied part by part. */
enum config_group {
    CONFIG_LISTEN = 1 << 0,   /* bind, port, and other properties of listeners */
    CONFIG_CLIENTS = 1 << 1,  /* limits and rules for clients */
    CONFIG_STORE = 1 << 2,    /* L1 */
    CONFIG_UPSTREAM = 1 << 3, /* L2 */
    CONFIG_LOG = 1 << 4,
    CONFIG_OTHER = 1 << 5
};

enum config_fail_mode { CONFIG_FAIL_ERROR, CONFIG_FAIL_MISS, CONFIG_FAIL_STALE };
enum config_coherence {
    CONFIG_COHERENCE_TRACKING,
    CONFIG_COHERENCE_BROADCAST,
    CONFIG_COHERENCE_TTL
};

/* Prefixes that broadcast-prefix takes; LINK_PREFIXES_MAX of upstream/link.h. */
#define CONFIG_PREFIXES_MAX 64

/* Classes of client-output-buffer-limit. */
enum config_client_class {
    CONFIG_CLASS_NORMAL,
    CONFIG_CLASS_REPLICA,
    CONFIG_CLASS_PUBSUB,
    CONFIG_CLIENT_CLASSES
};

struct config_output_limit {
    int64_t hard_bytes; /* closed at once above it; 0: none */
    int64_t soft_bytes; /* closed after soft_s seconds above it; 0: none */
    int64_t soft_s;
};

struct config_list {
    char **items; /* owned array of owned strings; NULL when n is 0 */
    size_t n;
};

/* Every field is described by the directive of its name in larder.conf (units and all). */
struct config {
    /* Network. Addresses: "*" is every IPv4 and "::*" every IPv6 address; a leading '-' means that
     * it may fail. */
    struct config_list bind;
    int64_t port; /* 0: no TCP */
    char *unixsocket;
    int64_t unixsocketperm; /* mode bits; 0: leave to the umask */
    int64_t tcp_backlog;
    int64_t timeout_s;       /* 0: none */
    int64_t tcp_keepalive_s; /* 0: off */
    int64_t maxclients;
    bool protected_mode;
    char *requirepass; /* secret */

    /* Limits */
    int64_t client_query_buffer_limit_bytes;
    int64_t proto_max_bulk_len_bytes;
    struct config_output_limit client_output_buffer_limit[CONFIG_CLIENT_CLASSES];
    int64_t client_max_inflight;
    int64_t tracking_table_max_keys; /* 0: no limit */

    /* L1 */
    bool l1_enabled;
    int64_t maxmemory_bytes; /* 0: no limit */
    enum store_policy maxmemory_policy;
    int64_t maxmemory_samples;
    int64_t lfu_log_factor;
    int64_t lfu_decay_minutes;
    int64_t l1_max_entries;  /* 0: no limit */
    int64_t l1_max_variants; /* 0: no cached replies */
    int64_t databases;

    /* Policies: the default one, and those of prefixes. */
    int64_t l1_ttl_s;                 /* 0: no cap */
    int64_t l1_ttl_jitter_percent;    /* 0 to 100 */
    int64_t l1_negative_ttl_s;        /* 0: not kept; -1: as l1_ttl_s */
    int64_t stale_while_revalidate_s; /* 0: never */
    int64_t stale_if_error_s;         /* 0: never */
    double early_refresh;             /* 0: off */
    int64_t l1_max_item_bytes;        /* 0: no limit but the budget */
    bool write_allocate;
    double l2_ttl_factor;
    struct policy_table *policies; /* owned; what CACHE POLICY changes, the tier's copy follows */

    /* L2 */
    char *upstream; /* may hold a secret: shown through config_upstream_shown only; "": L1 alone */
    char *upstream_username;
    char *upstream_password; /* secret; see config_secret.h for the effective one */
    char *upstream_password_file;
    int64_t upstream_timeout_ms;
    int64_t upstream_connect_timeout_ms;
    int64_t upstream_ping_interval_ms;
    int64_t upstream_backoff_min_ms;
    int64_t upstream_backoff_max_ms; /* at least upstream_backoff_min_ms */
    int64_t upstream_max_inflight;
    int64_t upstream_pinned_max;
    int64_t breaker_failures;   /* 0: off */
    int64_t breaker_error_rate; /* percent; 0: off */
    enum config_fail_mode upstream_fail_mode;
    int64_t upstream_retry_budget; /* percent of fetches; 0: none */
    enum config_coherence coherence;
    struct config_list broadcast_prefix; /* none: all keys */
    int64_t coherence_retry_interval_ms; /* 0: never */
    int64_t l2_touch_interval_s; /* 0: never */

    /* Warming */
    char *warm_dir; /* "": CACHE WARM FILE is off */
    int64_t warm_concurrency;

    /* Operation */
    enum log_level loglevel;
    char *logfile;                      /* "": standard output */
    char *pidfile;                      /* "": none */
    int64_t slowlog_log_slower_than_us; /* negative: off */
    int64_t slowlog_max_len;
    int64_t shutdown_timeout_s;
    bool allow_admin;

    /* Not directives */
    char *file; /* absolute path of the configuration file; "": none, or standard input */
    char *upstream_secret; /* secret: L2's password of file or environment; see config_secret.h */
};

/* Life cycle */

/* Fills in every default. */
void config_init(struct config *config);

/* Frees all it owns; secrets are overwritten first. */
void config_deinit(struct config *config);

/* Reading */

/* Gets one name and the text of its value, both borrowed until it returns. */
typedef void config_visit_fn(void *ctx, struct bytes name, struct bytes value);

/* Visits each directive that one of the glob patterns matches, once, in the order of the patterns,
 * then of the table; a name without glob characters is shown as it was asked for (as Redis 7.0's
 * CONFIG GET). Secrets are shown as "***", or "" when unset, and the upstream without its password.
 * Returns how many there are; `fn` may be NULL, to count. */
size_t config_get(const struct config *config, const struct bytes *patterns, size_t n_patterns,
                  config_visit_fn *fn, void *ctx);

/* `upstream` without its password, into `out` (cut to `size`, NUL-terminated); for
 * logs and INFO. */
void config_upstream_shown(const struct config *config, char *out, size_t size);

/* The store's options according to this configuration (whether L1 is used at all is l1_enabled). */
void config_store_options(const struct config *config, struct store_options *options);

/* Changing at run time */

/* Brings the running server into line with the values of one group (an enum config_group), which
 * are in place. Returns false when it can't, with the reason (without a secret) in `err`. */
typedef bool config_apply_fn(void *ctx, uint32_t group, char *err, size_t size);

/* Sets n_pairs directives at once or not at all: pairs[2*i] is a name, pairs[2*i+1] its value
 * (borrowed for the call). `apply` (may be NULL) is called once for each group with a value that
 * really changed. If it fails, all old values are put back and it is called again for that group
 * and those before it, its result then ignored. Returns false with Redis 7.0's error, its code
 * included ("ERR CONFIG SET failed ..."), in `err`; everything is then as it was. */
bool config_set(struct config *config, const struct bytes *pairs, size_t n_pairs,
                config_apply_fn *apply, void *ctx, char *err, size_t size)
    __attribute__((warn_unused_result));

/* True when CONFIG GET takes the text for a glob pattern, false for a plain name. */
bool config_is_pattern(struct bytes text);

/* True when `name` (any case) is a directive of larder. False for those that are only reported to
 * tools where there is no upstream (save): in front of one, they are the upstream's. */
bool config_is_own(struct bytes name);

/* True when the value of the parameter `name` (any case), larder's or L2's, must not be shown in
 * SLOWLOG, MONITOR and the like. */
bool config_is_sensitive(struct bytes name);

/* Checks what no single row can: upstream-backoff-min against upstream-backoff-max. Returns NULL,
 * or the name of a directive at fault with the reason in `err`. config_set and config_args_load
 * have done it. */
const char *config_check(const struct config *config, char *err, size_t size);

/* Sets one directive from a file or the command line, immutable ones included. Returns false with
 * "name: what is wrong" (without a secret) in `err`. */
bool config_assign(struct config *config, struct bytes name, const struct bytes *values,
                   size_t n_values, char *err, size_t size) __attribute__((warn_unused_result));

#endif
