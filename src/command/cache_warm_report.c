/* CACHE WARM STATUS and LIST: warming jobs as maps. */
#include "command/cache_handlers.h"

#define SHORT_FIELDS 10
#define FULL_FIELDS 25

/* What the job is for: its pattern or path; empty for a list of keys. */
static void add_identity(struct reply *reply, const struct warm_figures *figures)
{
    cache_reply_number(reply, "id", figures->id);
    cache_reply_text(reply, "state", warm_state_name(figures->state));
    cache_reply_text(reply, "reason", figures->reason);
    cache_reply_text(reply, "source", warm_kind_name(figures->kind));
    reply_bulk_str(reply, "argument");
    reply_bulk(reply, figures->text);
}

static void add_counts(struct reply *reply, const struct warm_counts *counts)
{
    cache_reply_number(reply, "asked", counts->asked);
    cache_reply_number(reply, "warmed", counts->warmed);
    cache_reply_number(reply, "skipped", counts->skipped);
    cache_reply_number(reply, "missing", counts->missing);
    cache_reply_number(reply, "failed", counts->failed);
}

/* Whole seconds, up; -1 stays. */
static int64_t seconds_left(int64_t left_ms)
{
    return left_ms <= 0 ? left_ms : (left_ms - 1) / 1000 + 1;
}

void cache_warm_reply(struct reply *reply, const struct warm_figures *figures)
{
    const struct warm_counts *counts = &figures->counts;
    reply_map(reply, FULL_FIELDS);
    add_identity(reply, figures);
    add_counts(reply, counts);
    cache_reply_number(reply, "wrong_type", counts->wrong_type);
    cache_reply_number(reply, "not_kept", counts->not_kept);
    cache_reply_number(reply, "bad_lines", counts->bad_lines);
    cache_reply_number(reply, "retried", counts->retried);
    cache_reply_number(reply, "in_flight", figures->in_flight);
    cache_reply_number(reply, "bytes", counts->bytes);
    reply_bulk_str(reply, "rate");
    cache_reply_decimal(reply, figures->rate, 1);
    reply_bulk_str(reply, "seconds_left");
    reply_int(reply, seconds_left(figures->left_ms));
    cache_reply_number(reply, "elapsed_ms", (uint64_t)figures->elapsed_ms);
    cache_reply_text(reply, "last_error", figures->last_error);
    cache_reply_number(reply, "db", figures->db);
    cache_reply_number(reply, "concurrency", figures->concurrency);
    cache_reply_number(reply, "rate_limit", figures->rate_max);
    cache_reply_number(reply, "ttl", (uint64_t)figures->ttl_ms / 1000);
    cache_reply_number(reply, "limit", figures->limit);
}

void cache_warm_status(struct call *call)
{
    struct warm_figures figures;
    int64_t id = 0;
    if (call->argc == 4 && !bytes_parse_range(call->argv[3], 0, INT64_MAX, &id)) {
        reply_error(&call->reply, "ERR value is not an integer or out of range");
        return;
    }
    bool is_none = call->argc == 4 && id == 0; /* to warm_read, 0 is the newest */
    if (is_none || !warm_read(call->larder->warm_jobs, (uint64_t)id, &figures))
        reply_error(&call->reply, "NOJOB no such warming job");
    else
        cache_warm_reply(&call->reply, &figures);
}

static void add_to_list(void *ctx, const struct warm_figures *figures)
{
    struct reply *reply = ctx;
    reply_map(reply, SHORT_FIELDS);
    add_identity(reply, figures);
    add_counts(reply, &figures->counts);
}

void cache_warm_list(struct call *call)
{
    const struct warm_jobs *jobs = call->larder->warm_jobs;
    reply_array(&call->reply, warm_each(jobs, NULL, NULL));
    warm_each(jobs, add_to_list, &call->reply);
}
