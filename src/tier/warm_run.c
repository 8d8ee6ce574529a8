/* A warming job at work: when it may go on, what it starts, and what becomes of it; see warm.h.
 *
 *     gate   L2 is there? link has room? pace? --no--> look again later
 *     key    of the retries, else of the source
 *     start  in L1: skipped;  L1 full: stop;  else a fetch
 *
 * Trouble is what says nothing about a key: the link is lost or L2 answers nobody (LOADING ...).
 * The key is tried again, one at a time with growing waits, until L2 answers or link_wait_ms are
 * over. A key whose fetch was cut off three times has failed: its value may be what the link dies
 * of. */
#include "tier/warm_job.h"

#include "base/log.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

/* Return values of what goes on at once, and of what waits for a reply. */
#define GO_ON INT64_MIN
#define NO_TIME INT64_MAX

#define ATTEMPTS_MAX 3
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 1000

/* A tick of the pace; credit is kept for two, so that a late timer costs nothing. */
#define TICK_MS 10
#define CREDIT_ONE 1000

/* How soon a full link, or an L1 with memory to reclaim, is looked at again. */
#define FULL_LINK_WAIT_MS 1
#define RECLAIM_WAIT_MS 10

/* L1 counts as full from here on, so that warming ends before the store has to evict. */
#define FULL_PERCENT 95

static int64_t now_of(const struct warm_job *job)
{
    return job->jobs->loop->clock.mono_ms;
}

/* Errors and trouble */

/* The first line of an error reply, without its '-'. */
static struct bytes error_text(struct bytes reply)
{
    if (reply.len > 0 && reply.ptr[0] == '-')
        reply = bytes_of(reply.ptr + 1, reply.len - 1);
    while (reply.len > 0 && (reply.ptr[reply.len - 1] == '\n' || reply.ptr[reply.len - 1] == '\r'))
        reply.len--;
    return reply;
}

static void note_error(struct warm_job *job, struct bytes text)
{
    size_t len = text.len < sizeof(job->last_error) ? text.len : sizeof(job->last_error) - 1;
    if (len > 0)
        memcpy(job->last_error, text.ptr, len);
    job->last_error[len] = '\0';
}

static bool has_code(struct bytes text, struct bytes code)
{
    return bytes_starts_with(text, code) && (text.len == code.len || text.ptr[code.len] == ' ');
}

/* larder's own: the command may not have reached L2, or its reply did not come back. */
static bool is_cut_off(struct bytes text)
{
    return has_code(text, BYTES("UPSTREAM"));
}

/* Errors of an L2 that answers no command of this kind at present. */
static bool is_refusal_to_all(struct bytes text)
{
    static const struct bytes codes[] = {BYTES("LOADING"), BYTES("BUSY"), BYTES("MASTERDOWN"),
                                         BYTES("CLUSTERDOWN"), BYTES("TRYAGAIN")};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (has_code(text, codes[i]))
            return true;
    return false;
}

/* Puts off the next attempt; several failures at one time count once. */
static void note_trouble(struct warm_job *job)
{
    int64_t now_ms = now_of(job);
    if (!job->in_trouble) {
        job->in_trouble = true;
        job->trouble_since_ms = now_ms;
        job->backoff_ms = BACKOFF_MIN_MS;
        job->retry_at_ms = now_ms + job->backoff_ms;
        if (job->state == WARM_RUNNING) {
            job->state = WARM_PAUSED;
            snprintf(job->reason, sizeof(job->reason), "waiting for L2");
        }
    } else if (now_ms >= job->retry_at_ms) {
        job->backoff_ms =
            job->backoff_ms * 2 < BACKOFF_MAX_MS ? job->backoff_ms * 2 : BACKOFF_MAX_MS;
        job->retry_at_ms = now_ms + job->backoff_ms;
    }
}

static void note_answer(struct warm_job *job)
{
    job->in_trouble = false;
    if (job->state == WARM_PAUSED) {
        job->state = WARM_RUNNING;
        job->reason[0] = '\0';
    }
}

/* Ending */

void warm_end(struct warm_job *job, enum warm_state state, const char *reason)
{
    job->state = state;
    job->ended_ms = now_of(job);
    snprintf(job->reason, sizeof(job->reason), "%s", reason);
}

void warm_drop_retries(struct warm_job *job)
{
    struct warm_fetch *fetch;
    while ((fetch = STAILQ_FIRST(&job->retries)) != NULL) {
        STAILQ_REMOVE_HEAD(&job->retries, link);
        job->n_retries--;
        job->counts.failed++;
        mem_free(fetch);
    }
}

/* After its work has ended: the job itself has, as soon as nothing is in flight. */
static void settle(struct warm_job *job)
{
    if (job->in_flight > 0 || job->is_scanning)
        return;
    struct warm_jobs *jobs = job->jobs;
    warm_drop_retries(job);
    warm_source_close(&job->source);
    job->has_ended = true;
    job->ended_ms = now_of(job);
    jobs->n_running--;
    jobs->n_ended++;
    const struct warm_counts *counts = &job->counts;
    LOG(LOG_NOTICE,
        "Warming job %" PRIu64 " %s%s%s: asked %" PRIu64 ", warmed %" PRIu64 ", skipped %" PRIu64
        ", missing %" PRIu64 ", failed %" PRIu64,
        job->id, warm_state_name(job->state), job->reason[0] == '\0' ? "" : ", ", job->reason,
        counts->asked, counts->warmed, counts->skipped, counts->missing, counts->failed);
    warm_tell_waiters(job);
}

/* A reply came: the list goes on, or the job goes with its last reply. */
static void after_reply(struct warm_job *job)
{
    if (job->jobs != NULL)
        warm_wake(job->jobs, now_of(job));
    else if (job->in_flight == 0 && !job->is_scanning)
        warm_job_free(job);
}

/* Fetches */

static void fail_key(struct warm_job *job, struct warm_fetch *fetch, struct bytes text)
{
    job->counts.failed++;
    if (has_code(text, BYTES("WRONGTYPE")))
        job->counts.wrong_type++;
    note_error(job, text);
    mem_free(fetch);
}

static void put_back(struct warm_job *job, struct warm_fetch *fetch)
{
    STAILQ_INSERT_TAIL(&job->retries, fetch, link);
    job->n_retries++;
}

static void on_error(struct warm_job *job, struct warm_fetch *fetch, struct bytes text)
{
    bool is_cut = is_cut_off(text);
    if (!is_cut && !is_refusal_to_all(text)) {
        note_answer(job);
        fail_key(job, fetch, text);
        return;
    }
    note_trouble(job);
    fetch->attempts += is_cut;
    if (fetch->attempts >= ATTEMPTS_MAX || job->state > WARM_PAUSED) {
        fail_key(job, fetch, text);
        return;
    }
    note_error(job, text);
    job->counts.retried++;
    put_back(job, fetch);
}

static void on_value(struct warm_job *job, const struct warm_fetch *fetch, size_t value_len)
{
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    struct tier *tier = job->jobs->tier;
    if (tier_peek(tier, job->db, key, store_hash(tier_store(tier), key)) != NULL) {
        job->counts.warmed++;
        job->counts.bytes += value_len;
        return;
    }
    job->counts.failed++;
    job->counts.not_kept++;
    note_error(job, BYTES("L1 did not keep a value: too big, or changed or expired meanwhile"));
}

static void on_fetched(void *ctx, enum tier_answer answer, struct bytes bytes)
{
    struct warm_fetch *fetch = ctx;
    struct warm_job *job = fetch->job;
    job->in_flight--;
    if (job->jobs == NULL) {
        mem_free(fetch);
    } else if (answer == TIER_ERROR) {
        on_error(job, fetch, error_text(bytes));
    } else {
        note_answer(job);
        if (answer == TIER_ABSENT)
            job->counts.missing++;
        else
            on_value(job, fetch, bytes.len);
        mem_free(fetch);
    }
    after_reply(job);
}

enum room { ROOM, ROOM_LATER, ROOM_NONE };

/* Whether L1 takes one more entry without evicting another: what is in flight counts by the mean of
 * what was warmed. Flushed entries that are not yet reclaimed are room to come. */
static enum room look_for_room(const struct warm_job *job)
{
    const struct store *store = tier_store(job->jobs->tier);
    struct store_gauges gauges;
    store_read_gauges(store, &gauges);
    size_t max_entries = store_get_options(store)->max_entries;
    size_t used = gauges.entry_bytes + gauges.index_bytes;
    size_t n_held = gauges.entries + gauges.dead_entries;
    size_t mean = n_held == 0 ? 0 : gauges.entry_bytes / n_held;
    used += mean * job->in_flight;
    bool is_full = gauges.max_bytes != 0 && used / FULL_PERCENT >= gauges.max_bytes / 100;
    is_full |= max_entries != 0 && n_held + job->in_flight >= max_entries;
    if (!is_full)
        return ROOM;
    return gauges.dead_entries > 0 ? ROOM_LATER : ROOM_NONE;
}

/* Starts the fetch of a key that was asked for, unless L1 has it by now. */
static int64_t start(struct warm_job *job, struct warm_fetch *fetch, struct warm_budget *budget)
{
    struct tier *tier = job->jobs->tier;
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    uint64_t hash = store_hash(tier_store(tier), key);
    if (tier_peek(tier, job->db, key, hash) != NULL) {
        job->counts.skipped++;
        mem_free(fetch);
        return GO_ON;
    }
    switch (look_for_room(job)) {
    case ROOM: break;
    case ROOM_LATER: put_back(job, fetch); return now_of(job) + RECLAIM_WAIT_MS;
    case ROOM_NONE:
        if (fetch->attempts == 0)
            job->counts.asked--; /* it was not */
        else
            job->counts.failed++;
        mem_free(fetch);
        warm_end(job, WARM_STOPPED, "L1 is full");
        return GO_ON;
    }
    budget->fetches--;
    job->credit -= CREDIT_ONE;
    job->in_flight++;
    tier_fetch_warm(tier, job->db, key, hash, job->ttl_ms, on_fetched, fetch);
    return GO_ON;
}

/* A key of the source: skipped here where L1 has it, which is the cheap case. */
static int64_t ask(struct warm_job *job, struct bytes key, struct warm_budget *budget)
{
    struct tier *tier = job->jobs->tier;
    job->counts.asked++;
    if (tier_peek(tier, job->db, key, store_hash(tier_store(tier), key)) != NULL) {
        job->counts.skipped++;
        return GO_ON;
    }
    struct warm_fetch *fetch = mem_try(sizeof(*fetch) + key.len);
    if (fetch == NULL) {
        job->counts.failed++;
        note_error(job, BYTES("out of memory for a key"));
        return GO_ON;
    }
    fetch->job = job;
    fetch->attempts = 0;
    fetch->key_len = key.len;
    if (key.len > 0)
        memcpy(fetch->key, key.ptr, key.len);
    return start(job, fetch, budget);
}

/* SCAN */

static void on_scanned(void *ctx, struct bytes reply)
{
    struct warm_job *job = ctx;
    job->is_scanning = false;
    char why[WARM_ERROR_SIZE];
    struct bytes text = error_text(reply);
    if (job->jobs == NULL || job->state > WARM_PAUSED) {
        /* Nobody wants it. */
    } else if (reply.len == 0 || reply.ptr[0] != '-') {
        note_answer(job);
        if (!warm_scan_accept(&job->source, reply, why))
            warm_end(job, WARM_FAILED, why);
    } else if (is_cut_off(text) || is_refusal_to_all(text)) {
        note_trouble(job);
        note_error(job, text);
    } else {
        note_answer(job);
        note_error(job, text);
        snprintf(why, sizeof(why), "L2 refused SCAN: %.128s", job->last_error);
        if (!warm_scan_untype(&job->source))
            warm_end(job, WARM_FAILED, why);
    }
    after_reply(job);
}

static int64_t scan_on(struct warm_job *job)
{
    if (job->is_scanning)
        return NO_TIME;
    struct buf *scratch = &job->jobs->scratch;
    scratch->len = 0;
    if (!warm_scan_request(&job->source, scratch)) {
        warm_end(job, WARM_FAILED, "out of memory for SCAN");
        return GO_ON;
    }
    job->is_scanning = true;
    tier_pass(job->jobs->tier, job->db, buf_bytes(scratch), on_scanned, job);
    scratch->len = 0;
    buf_trim(scratch, WARM_FILE_PIECE);
    return NO_TIME;
}

static int64_t read_on(struct warm_job *job, struct warm_budget *budget)
{
    if (budget->reads == 0)
        return now_of(job);
    budget->reads--;
    int code = warm_file_read(&job->source);
    if (code < 0) {
        char why[WARM_ERROR_SIZE];
        snprintf(why, sizeof(why), "reading the file failed: %s", strerror(-code));
        warm_end(job, WARM_FAILED, why);
    }
    return GO_ON;
}

/* One step */

/* Waits for L2, as long as it may. */
static int64_t wait_for_l2(struct warm_job *job)
{
    note_trouble(job);
    int64_t give_up_ms = job->trouble_since_ms + job->jobs->link_wait_ms;
    if (now_of(job) >= give_up_ms) {
        char why[WARM_ERROR_SIZE];
        snprintf(why, sizeof(why), "L2 did not answer for %" PRId64 " s",
                 job->jobs->link_wait_ms / 1000);
        warm_end(job, WARM_FAILED, why);
        return GO_ON;
    }
    return job->retry_at_ms < give_up_ms ? job->retry_at_ms : give_up_ms;
}

/* Whether something may be sent now: GO_ON, or when to look again. */
static int64_t gate(struct warm_job *job)
{
    int64_t now_ms = now_of(job);
    struct link *link = tier_link(job->jobs->tier);
    bool is_up = link_state_is_up(link_get_state(link));
    if (!is_up) {
        struct link_figures figures;
        link_read_figures(link, &figures);
        if (figures.last_error[0] != '\0')
            note_error(job, bytes_of_str(figures.last_error));
        return wait_for_l2(job);
    }
    if (job->in_trouble &&
        (now_ms < job->retry_at_ms || now_ms - job->trouble_since_ms >= job->jobs->link_wait_ms))
        return wait_for_l2(job);
    if (link_is_full(link))
        return now_ms + FULL_LINK_WAIT_MS;
    if (job->rate == 0)
        return GO_ON;
    int64_t most = job->rate * (2 * TICK_MS) > CREDIT_ONE ? job->rate * (2 * TICK_MS) : CREDIT_ONE;
    int64_t earned = (now_ms - job->credited_ms) * job->rate;
    job->credited_ms = now_ms;
    job->credit = job->credit + earned < most ? job->credit + earned : most;
    if (job->credit >= CREDIT_ONE)
        return GO_ON;
    int64_t wait_ms = (CREDIT_ONE - job->credit + job->rate - 1) / job->rate;
    return now_ms + (wait_ms > TICK_MS ? wait_ms : TICK_MS);
}

static int64_t step_source(struct warm_job *job, struct warm_budget *budget)
{
    if (job->limit != 0 && job->counts.asked >= job->limit)
        warm_source_close(&job->source);
    struct bytes key;
    char why[WARM_ERROR_SIZE];
    budget->keys--;
    switch (warm_source_next(&job->source, &key, why)) {
    case WARM_NEXT_KEY: return ask(job, key, budget);
    case WARM_NEXT_MORE:
        return job->source.kind == WARM_MATCH ? scan_on(job) : read_on(job, budget);
    case WARM_NEXT_BAD:
        job->counts.asked++;
        job->counts.failed++;
        job->counts.bad_lines++;
        note_error(job, bytes_of_str(why));
        return GO_ON;
    case WARM_NEXT_FAIL: warm_end(job, WARM_FAILED, why); return GO_ON;
    case WARM_NEXT_END: break;
    }
    if (job->in_flight > 0)
        return NO_TIME;
    warm_end(job, WARM_DONE, "");
    return GO_ON;
}

static int64_t step(struct warm_job *job, struct warm_budget *budget)
{
    if (job->in_flight + job->is_scanning >= (job->in_trouble ? 1 : job->concurrency))
        return NO_TIME;
    int64_t at_ms = gate(job);
    if (at_ms != GO_ON)
        return at_ms;
    if (job->state > WARM_PAUSED)
        return GO_ON;
    if (budget->fetches == 0 || budget->keys == 0)
        return now_of(job);
    struct warm_fetch *fetch = STAILQ_FIRST(&job->retries);
    if (fetch == NULL)
        return step_source(job, budget);
    STAILQ_REMOVE_HEAD(&job->retries, link);
    job->n_retries--;
    return start(job, fetch, budget);
}

int64_t warm_run(struct warm_job *job, struct warm_budget *budget)
{
    while (job->state <= WARM_PAUSED) {
        int64_t at_ms = step(job, budget);
        if (at_ms != GO_ON)
            return at_ms;
    }
    settle(job);
    return NO_TIME;
}
