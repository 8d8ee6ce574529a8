/* The list of warming jobs; see warm.h. */
#include "tier/warm.h"

#include "base/log.h"
#include "base/mem.h"
#include "tier/warm_job.h"

#include <inttypes.h>
#include <stdio.h>

/* A turn's budget, over all jobs: a few fetches are a few microseconds, 256 lookups some 20, and a
 * piece of a cached file 10. */
#define TURN_FETCHES 8
#define TURN_KEYS 256
#define TURN_READS 1

#define DEFAULT_LINK_WAIT_MS 60000

/* Names */

const char *warm_kind_name(enum warm_kind kind)
{
    switch (kind) {
    case WARM_KEYS: return "keys";
    case WARM_MATCH: return "match";
    case WARM_FILE: break;
    }
    return "file";
}

const char *warm_state_name(enum warm_state state)
{
    switch (state) {
    case WARM_RUNNING: return "running";
    case WARM_PAUSED: return "paused";
    case WARM_DONE: return "done";
    case WARM_STOPPED: return "stopped";
    case WARM_FAILED: return "failed";
    case WARM_CANCELLED: break;
    }
    return "cancelled";
}

/* Turns */

void warm_wake(struct warm_jobs *jobs, int64_t at_ms)
{
    if (!timer_is_armed(&jobs->timer) || at_ms < jobs->timer.at_ms)
        timer_arm(&jobs->loop->timers, &jobs->timer, at_ms);
}

/* Forgets the oldest ended jobs beyond those that stay listed. */
static void trim_ended(struct warm_jobs *jobs)
{
    struct warm_job *job = TAILQ_FIRST(&jobs->all);
    while (jobs->n_ended > WARM_ENDED_KEPT && job != NULL) {
        struct warm_job *next = TAILQ_NEXT(job, link);
        if (job->has_ended) {
            TAILQ_REMOVE(&jobs->all, job, link);
            jobs->n_ended--;
            warm_job_free(job);
        }
        job = next;
    }
}

/* Works on every job, in the order of ids from the one behind the last turn's first, so that the
 * budget goes round. */
static void take_turn(struct timer *timer, void *ctx)
{
    (void)timer;
    struct warm_jobs *jobs = ctx;
    struct warm_budget budget = {TURN_FETCHES, TURN_KEYS, TURN_READS};
    int64_t wake_ms = INT64_MAX;
    uint64_t served_id = jobs->served_id;
    bool is_first = true;
    for (int pass = 0; pass < 2; pass++) {
        struct warm_job *job;
        TAILQ_FOREACH(job, &jobs->all, link)
        {
            if (job->has_ended || (job->id > served_id) != (pass == 0))
                continue;
            if (is_first)
                jobs->served_id = job->id;
            is_first = false;
            int64_t at_ms = warm_run(job, &budget);
            if (at_ms < wake_ms)
                wake_ms = at_ms;
        }
    }
    trim_ended(jobs);
    if (wake_ms < INT64_MAX)
        warm_wake(jobs, wake_ms);
}

/* Life cycle */

void warm_options_default(struct warm_options *options)
{
    *options = (struct warm_options){.dir = "", .link_wait_ms = DEFAULT_LINK_WAIT_MS};
}

struct warm_jobs *warm_jobs_create(struct loop *loop, struct tier *tier,
                                   const struct warm_options *options)
{
    struct warm_jobs *jobs = mem_zalloc(sizeof(*jobs));
    jobs->loop = loop;
    jobs->tier = tier;
    jobs->dir = mem_strdup(options->dir);
    jobs->link_wait_ms = options->link_wait_ms;
    TAILQ_INIT(&jobs->all);
    timer_init(&jobs->timer, take_turn, jobs);
    buf_init(&jobs->scratch);
    return jobs;
}

void warm_jobs_destroy(struct warm_jobs *jobs)
{
    if (jobs == NULL)
        return;
    struct warm_job *job;
    while ((job = TAILQ_FIRST(&jobs->all)) != NULL) {
        TAILQ_REMOVE(&jobs->all, job, link);
        if (job->state <= WARM_PAUSED)
            warm_end(job, WARM_CANCELLED, "");
        warm_drop_retries(job);
        warm_tell_waiters(job);
        job->jobs = NULL;
        if (job->in_flight == 0 && !job->is_scanning)
            warm_job_free(job);
        else
            warm_source_close(&job->source);
    }
    timer_disarm(&jobs->loop->timers, &jobs->timer);
    buf_deinit(&jobs->scratch);
    mem_free(jobs->dir);
    mem_free(jobs);
}

void warm_job_free(struct warm_job *job)
{
    warm_tell_waiters(job);
    warm_drop_retries(job);
    warm_source_deinit(&job->source);
    mem_free(job);
}

/* Starting and ending */

uint64_t warm_start(struct warm_jobs *jobs, const struct warm_spec *spec, char *error)
{
    if (tier_link(jobs->tier) == NULL) {
        snprintf(error, WARM_ERROR_SIZE,
                 "ERR there is no upstream to warm from, larder serves L1 alone");
        return 0;
    }
    if (jobs->n_running >= WARM_JOBS_MAX) {
        snprintf(error, WARM_ERROR_SIZE,
                 "ERR %d warming jobs are under way, wait for one or cancel one", WARM_JOBS_MAX);
        return 0;
    }
    struct warm_job *job = mem_zalloc(sizeof(*job));
    if (!warm_source_init(&job->source, spec, jobs->dir, error)) {
        mem_free(job);
        return 0;
    }
    job->jobs = jobs;
    job->id = ++jobs->last_id;
    job->db = spec->db;
    job->concurrency = spec->concurrency;
    job->rate = spec->rate;
    job->limit = spec->limit;
    job->ttl_ms = spec->ttl_ms;
    job->started_ms = jobs->loop->clock.mono_ms;
    job->credited_ms = job->started_ms;
    STAILQ_INIT(&job->retries);
    TAILQ_INIT(&job->waiters);
    TAILQ_INSERT_TAIL(&jobs->all, job, link);
    jobs->n_running++;
    warm_wake(jobs, job->started_ms);
    LOG(LOG_VERBOSE, "Warming job %" PRIu64 " (%s) begins", job->id, warm_kind_name(spec->kind));
    return job->id;
}

/* The job of an id; of 0: the newest. */
static struct warm_job *find_job(const struct warm_jobs *jobs, uint64_t id)
{
    struct warm_job *job;
    TAILQ_FOREACH_REVERSE(job, &jobs->all, warm_job_list, link)
    if (id == 0 || job->id == id)
        return job;
    return NULL;
}

enum warm_cancel_result warm_cancel(struct warm_jobs *jobs, uint64_t id)
{
    struct warm_job *job = id == 0 ? NULL : find_job(jobs, id);
    if (job == NULL)
        return WARM_CANCEL_UNKNOWN;
    if (job->state > WARM_PAUSED)
        return WARM_CANCEL_ENDED;
    warm_end(job, WARM_CANCELLED, "");
    warm_wake(jobs, jobs->loop->clock.mono_ms);
    return WARM_CANCEL_OK;
}

void warm_cancel_all(struct warm_jobs *jobs)
{
    struct warm_job *job;
    TAILQ_FOREACH(job, &jobs->all, link)
    warm_cancel(jobs, job->id);
}

/* Figures */

/* Milliseconds that the rest of a source takes at the pace so far; -1: unknown. */
static int64_t time_left(const struct warm_job *job, int64_t elapsed_ms)
{
    double progress = warm_source_progress(&job->source);
    if (job->limit != 0) {
        double of_limit = (double)job->counts.asked / (double)job->limit;
        progress = of_limit > progress ? of_limit : progress;
    }
    if (progress <= 0)
        return -1;
    double left = progress >= 1 ? 0 : (double)elapsed_ms * (1 - progress) / progress;
    return left < 1e15 ? (int64_t)left : -1;
}

static void read_figures(const struct warm_job *job, struct warm_figures *figures)
{
    int64_t now_ms =
        job->has_ended || job->jobs == NULL ? job->ended_ms : job->jobs->loop->clock.mono_ms;
    const struct warm_counts *counts = &job->counts;
    *figures = (struct warm_figures){
        .id = job->id,
        .state = job->state,
        .reason = job->reason,
        .last_error = job->last_error,
        .kind = job->source.kind,
        .text = buf_bytes(&job->source.text),
        .db = job->db,
        .concurrency = job->concurrency,
        .rate_max = job->rate,
        .ttl_ms = job->ttl_ms,
        .limit = job->limit,
        .counts = *counts,
        .in_flight = job->in_flight + job->n_retries,
        .elapsed_ms = now_ms - job->started_ms,
    };
    uint64_t done = counts->warmed + counts->skipped + counts->missing + counts->failed;
    if (figures->elapsed_ms > 0)
        figures->rate = (double)done * 1000 / (double)figures->elapsed_ms;
    if (job->state <= WARM_PAUSED)
        figures->left_ms = time_left(job, figures->elapsed_ms);
}

bool warm_read(const struct warm_jobs *jobs, uint64_t id, struct warm_figures *figures)
{
    const struct warm_job *job = find_job(jobs, id);
    if (job != NULL)
        read_figures(job, figures);
    return job != NULL;
}

size_t warm_each(const struct warm_jobs *jobs, warm_visit_fn *fn, void *ctx)
{
    const struct warm_job *job;
    TAILQ_FOREACH(job, &jobs->all, link)
    {
        struct warm_figures figures;
        read_figures(job, &figures);
        if (fn != NULL)
            fn(ctx, &figures);
    }
    return jobs->n_running + jobs->n_ended;
}

/* Waiting */

static void tell_waiter(struct warm_waiter *waiter)
{
    struct warm_job *job = waiter->job;
    struct warm_figures figures;
    read_figures(job, &figures);
    TAILQ_REMOVE(&job->waiters, waiter, link);
    timer_disarm(&job->jobs->loop->timers, &waiter->timer);
    waiter->fn(waiter->ctx, &figures);
    mem_free(waiter);
}

static void on_wait_over(struct timer *timer, void *ctx)
{
    (void)timer;
    tell_waiter(ctx);
}

void warm_tell_waiters(struct warm_job *job)
{
    struct warm_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&job->waiters)) != NULL)
        tell_waiter(waiter);
}

bool warm_wait(struct warm_jobs *jobs, uint64_t id, int64_t timeout_ms, warm_wait_fn *fn, void *ctx)
{
    struct warm_job *job = find_job(jobs, id);
    if (job == NULL)
        return false;
    struct warm_waiter *waiter = mem_zalloc(sizeof(*waiter));
    waiter->job = job;
    waiter->fn = fn;
    waiter->ctx = ctx;
    timer_init(&waiter->timer, on_wait_over, waiter);
    TAILQ_INSERT_TAIL(&job->waiters, waiter, link);
    int64_t now_ms = jobs->loop->clock.mono_ms;
    if (job->has_ended)
        timer_arm(&jobs->loop->timers, &waiter->timer, now_ms);
    else if (timeout_ms > 0)
        timer_arm(&jobs->loop->timers, &waiter->timer, now_ms + timeout_ms);
    return true;
}
