/* What the files of warming share; nobody else includes this.
 *
 *     warm.c         the list of jobs, and what others see of it
 *     warm_run.c     a job at work: pace, fetches, trouble with L2
 *     warm_source.h  where its keys come from
 *
 * A job is freed when it has ended and left the list. Replies in flight point to it, so it ends
 * only when all are back; where the list goes first (jobs is NULL then), the last one frees it. */
#ifndef LARDER_TIER_WARM_JOB_H
#define LARDER_TIER_WARM_JOB_H

#include "net/loop.h"
#include "tier/tier.h"
#include "tier/warm.h"
#include "tier/warm_source.h"

#include <sys/queue.h>

struct warm_job;

/* One key on its way. */
struct warm_fetch {
    STAILQ_ENTRY(warm_fetch) link; /* job->retries */
    struct warm_job *job;
    unsigned attempts;
    size_t key_len;
    char key[];
};

STAILQ_HEAD(warm_fetches, warm_fetch);

/* Somebody who waits for a job. */
struct warm_waiter {
    TAILQ_ENTRY(warm_waiter) link;
    struct warm_job *job;
    struct timer timer; /* not armed: no limit */
    warm_wait_fn *fn;
    void *ctx;
};

TAILQ_HEAD(warm_waiters, warm_waiter);

struct warm_job {
    TAILQ_ENTRY(warm_job) link; /* jobs->all */
    struct warm_jobs *jobs;     /* NULL: the list is gone */
    uint64_t id;
    unsigned db;
    unsigned concurrency;
    unsigned rate; /* fetches per second; 0: no limit */
    uint64_t limit;
    int64_t ttl_ms;
    struct warm_source source;
    struct warm_counts counts;
    enum warm_state state;       /* beyond WARM_PAUSED: nothing more is started */
    bool has_ended;              /* and nothing is in flight */
    bool is_scanning;            /* a SCAN is in flight */
    size_t in_flight;            /* fetches */
    struct warm_fetches retries; /* at most as many as may be in flight */
    size_t n_retries;
    /* L2 is away, or refuses everybody: one attempt at a time, with growing waits. */
    bool in_trouble;
    int64_t trouble_since_ms;
    int64_t retry_at_ms;
    int64_t backoff_ms;
    /* Pace: fetches that may be started, in thousandths, as of credited_ms. */
    int64_t credit;
    int64_t credited_ms;
    int64_t started_ms;
    int64_t ended_ms;
    struct warm_waiters waiters;
    char reason[WARM_ERROR_SIZE];
    char last_error[WARM_ERROR_SIZE];
};

TAILQ_HEAD(warm_job_list, warm_job);

struct warm_jobs {
    struct loop *loop;
    struct tier *tier;
    char *dir; /* owned */
    int64_t link_wait_ms;
    struct warm_job_list all; /* by id */
    size_t n_running;         /* not ended */
    size_t n_ended;
    uint64_t last_id;
    uint64_t served_id; /* of the job that came first in the last turn */
    struct timer timer; /* the next turn with work */
    struct buf scratch; /* for one SCAN */
};

/* What all jobs together may do in one turn of the loop. */
struct warm_budget {
    unsigned fetches;
    unsigned keys;  /* looked up in L1 */
    unsigned reads; /* pieces of a file */
};

/* Makes sure that jobs are looked at by at_ms. */
void warm_wake(struct warm_jobs *jobs, int64_t at_ms);

/* Works on a job, which may end in it. Returns when to look at it again; INT64_MAX: when a reply
 * comes. */
int64_t warm_run(struct warm_job *job, struct warm_budget *budget);

/* Ends a job's work: from here on nothing is started. */
void warm_end(struct warm_job *job, enum warm_state state, const char *reason);

/* A job's keys that wait for another attempt count as failed and are forgotten. */
void warm_drop_retries(struct warm_job *job);

/* Tells the waiters and forgets them. */
void warm_tell_waiters(struct warm_job *job);

/* Frees a job that has ended, or that nobody lists and nothing in flight points to. */
void warm_job_free(struct warm_job *job);

#endif
