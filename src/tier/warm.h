/* Warming: background jobs that fetch keys into L1 before anybody asks, beside the traffic.
 *
 *     keys, SCAN or file --> one key at a time --> in L1? skipped
 *                                                  else tier_fetch_warm --> warmed, missing, failed
 *
 *     RUNNING <--L2 away, back--> PAUSED    both end: DONE, STOPPED (L1 is full), FAILED, CANCELLED
 *
 * A job starts a few fetches per turn at most, none while the link is full, and never has more than
 * its concurrency in flight; it stops where one more fetch would make L1 evict. Its memory is the
 * keys that it was given (KEYS), one reply to SCAN (MATCH) or one piece of the file (FILE).
 *
 * Knows the loop, tier, store and link; knows no clients and no commands: whoever waits for a job
 * does so by callback.
 * Invariant of a job's counts: asked = warmed + skipped + missing + failed + in flight. */
#ifndef LARDER_TIER_WARM_H
#define LARDER_TIER_WARM_H

#include "base/bytes.h"

struct loop;
struct tier;
struct warm_jobs;

/* Jobs that may be under way at a time, and ended ones that stay listed. */
#define WARM_JOBS_MAX 16
#define WARM_ENDED_KEPT 32

/* Bounds of what a job may be asked for. */
#define WARM_CONCURRENCY_MAX 1000
#define WARM_RATE_MAX 1000000

/* Most bytes of the keys of one KEYS job, with four for each; longer lists come from a file. */
#define WARM_KEYS_BYTES_MAX ((size_t)64 << 20)

/* Longest line of a key file in bytes, escapes counted as they are written. */
#define WARM_LINE_MAX ((size_t)64 << 10)

/* Room for any error of warm_start, its NUL included. */
#define WARM_ERROR_SIZE 256

struct warm_options {
    const char *dir;      /* directory of key files, copied; "": FILE is off */
    int64_t link_wait_ms; /* a job that gets nothing from L2 for so long fails */
};

/* No directory, 60 s. */
void warm_options_default(struct warm_options *options);

enum warm_kind { WARM_KEYS, WARM_MATCH, WARM_FILE };

/* What a job is to do. All pointers are borrowed for the call. */
struct warm_spec {
    enum warm_kind kind;
    unsigned db;
    const struct bytes *keys; /* KEYS */
    size_t n_keys;
    struct bytes text;    /* MATCH: the pattern; FILE: the path, inside the directory */
    uint64_t limit;       /* keys to ask for at most; 0: all */
    unsigned concurrency; /* fetches in flight, 1 to WARM_CONCURRENCY_MAX */
    unsigned rate;        /* fetches started per second, 1 to WARM_RATE_MAX; 0: no limit */
    int64_t ttl_ms;       /* cap on the life of what is warmed; 0: none */
};

enum warm_state {
    WARM_RUNNING,
    WARM_PAUSED, /* waits for L2 */
    WARM_DONE,
    WARM_STOPPED, /* L1 is full */
    WARM_FAILED,
    WARM_CANCELLED,
};

/* Names for people: "keys", "running". Borrowed for ever. */
const char *warm_kind_name(enum warm_kind kind);
const char *warm_state_name(enum warm_state state);

struct warm_counts {
    uint64_t asked;      /* keys taken from the source */
    uint64_t warmed;     /* fetched, and in L1 */
    uint64_t skipped;    /* L1 could answer for them already */
    uint64_t missing;    /* L2 has no such key */
    uint64_t failed;     /* the following three, and errors of L2 or on the way to it */
    uint64_t wrong_type; /* not a string */
    uint64_t not_kept;   /* fetched but not in L1: too big, or changed or expired meanwhile */
    uint64_t bad_lines;  /* lines of a file with an escape that does not exist */
    uint64_t retried;    /* attempts made again */
    uint64_t bytes;      /* of values warmed */
};

/* What is known of a job. Strings and slices are borrowed until the next turn of the loop. */
struct warm_figures {
    uint64_t id;
    enum warm_state state;
    const char *reason;     /* why it paused, stopped or failed; else "" */
    const char *last_error; /* of a key that failed, or of L2 while it is away; "": there is none */
    enum warm_kind kind;
    struct bytes text; /* pattern or path as given; empty for KEYS */
    unsigned db;
    unsigned concurrency;
    unsigned rate_max;
    int64_t ttl_ms;
    uint64_t limit;
    struct warm_counts counts;
    size_t in_flight;   /* fetches, and keys that wait for another attempt */
    int64_t elapsed_ms; /* from the start to the end, or to now */
    double rate;        /* keys done per second of elapsed_ms */
    int64_t left_ms;    /* to the end at this pace, 0 when ended; -1: unknown */
};

/* Creates an empty list of jobs; loop and tier are borrowed until warm_jobs_destroy. Returns
 * owned. */
struct warm_jobs *warm_jobs_create(struct loop *loop, struct tier *tier,
                                   const struct warm_options *options)
    __attribute__((returns_nonnull));

/* Cancels every job (those who wait for one hear of it inside) and frees the list; NULL is allowed.
 * May come before or after tier_destroy: fetches in flight come back to jobs that nobody lists. */
void warm_jobs_destroy(struct warm_jobs *jobs);

/* Cancels every job that is under way, as warm_cancel does; for the start of a shutdown. */
void warm_cancel_all(struct warm_jobs *jobs);

/* Adds a job, which starts in the next turn. Returns its id (from 1, never used again), or 0 and an
 * error reply's text, code included, in `error` (WARM_ERROR_SIZE bytes): no upstream, too many
 * jobs, no such file, no memory. */
uint64_t warm_start(struct warm_jobs *jobs, const struct warm_spec *spec, char *error)
    __attribute__((warn_unused_result));

enum warm_cancel_result { WARM_CANCEL_OK, WARM_CANCEL_ENDED, WARM_CANCEL_UNKNOWN };

/* Ends a job: nothing more is started, and it has ended when its fetches in flight are back. */
enum warm_cancel_result warm_cancel(struct warm_jobs *jobs, uint64_t id);

/* Reads a job's figures; id 0 is the newest job. Returns false when there is no such job (any
 * more). */
bool warm_read(const struct warm_jobs *jobs, uint64_t id, struct warm_figures *figures);

/* Visits all listed jobs, oldest first; `fn` may be NULL. Returns how many there are. */
typedef void warm_visit_fn(void *ctx, const struct warm_figures *figures);
size_t warm_each(const struct warm_jobs *jobs, warm_visit_fn *fn, void *ctx);

/* Calls fn(ctx) once, never inside this call: when the job has ended, when timeout_ms have passed
 * (0: no limit), or inside warm_jobs_destroy. `figures` is borrowed for the call. Returns false,
 * and does not call, when there is no such job. */
typedef void warm_wait_fn(void *ctx, const struct warm_figures *figures);
bool warm_wait(struct warm_jobs *jobs, uint64_t id, int64_t timeout_ms, warm_wait_fn *fn, void *ctx)
    __attribute__((warn_unused_result));

#endif
