/* CACHE WARM: starts, cancels and describes warming jobs (tier/warm.h).
 *
 *     CACHE WARM <KEYS key [key ...] | MATCH pattern | FILE path>
 *                [CONCURRENCY n] [LIMIT n] [RATE n] [TTL seconds] [WAIT milliseconds]
 *
 * Behind KEYS, options are the words at the end that read as pairs of an option's name, each once,
 * and a value; at least one word remains a key. */
#include "command/cache_handlers.h"

#include "command/cache_forms.h"
#include "command/subcommand.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

/* Where the forms' own arguments begin. */
#define FIRST_ARG 3

/* Options */

struct warm_request {
    int64_t concurrency;
    int64_t limit;
    int64_t rate;
    int64_t ttl_s;
    int64_t wait_ms;
    unsigned given; /* bit i: option i */
};

struct warm_option {
    const char *name; /* upper case, as errors show it */
    int64_t min;
    int64_t max;
    size_t offset; /* in struct warm_request */
};

#define OPTION_WAIT (1u << 4)

static const struct warm_option options[] = {
    {"CONCURRENCY", 1, WARM_CONCURRENCY_MAX, offsetof(struct warm_request, concurrency)},
    {"LIMIT", 1, INT64_MAX, offsetof(struct warm_request, limit)},
    {"RATE", 1, WARM_RATE_MAX, offsetof(struct warm_request, rate)},
    {"TTL", 1, INT32_MAX, offsetof(struct warm_request, ttl_s)},
    {"WAIT", 0, INT32_MAX, offsetof(struct warm_request, wait_ms)},
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

/* The number of an option by name; N_OPTIONS: none. */
static size_t find_option(struct bytes word)
{
    size_t i = 0;
    while (i < N_OPTIONS && !bytes_is(word, options[i].name))
        i++;
    return i;
}

/* Reads the value of option i; "n/s" is a rate, too. Writes an error and returns false when it is
 * none. */
static bool read_value(struct call *call, size_t i, struct bytes word, struct warm_request *request)
{
    const struct warm_option *option = &options[i];
    bool is_rate = option->offset == offsetof(struct warm_request, rate);
    if (is_rate && word.len > 2 && memcmp(word.ptr + word.len - 2, "/s", 2) == 0)
        word.len -= 2;
    int64_t *value = (int64_t *)(void *)((char *)request + option->offset);
    request->given |= 1u << i;
    if (bytes_parse_range(word, option->min, option->max, value))
        return true;
    reply_error(&call->reply, "ERR %s must be an integer from %" PRId64 " to %" PRId64,
                option->name, option->min, option->max);
    return false;
}

/* Reads pairs of options from argv[at] to the end. */
static bool read_options(struct call *call, size_t at, struct warm_request *request)
{
    for (; at < call->argc; at += 2) {
        struct bytes word = call->argv[at];
        size_t i = find_option(word);
        if (i == N_OPTIONS) {
            reply_error(&call->reply, "ERR unknown option '%.*s'. Try CACHE WARM HELP.",
                        subcommand_shown(word), word.ptr);
            return false;
        }
        if (request->given & 1u << i) {
            reply_error(&call->reply, "ERR %s is given twice", options[i].name);
            return false;
        }
        if (at + 1 == call->argc) {
            reply_error(&call->reply, "ERR %s needs a value", options[i].name);
            return false;
        }
        if (!read_value(call, i, call->argv[at + 1], request))
            return false;
    }
    return true;
}

/* Where the options behind a list of keys begin. An option's name as the last word, behind a key,
 * is one without its value. */
static size_t end_of_keys(const struct call *call)
{
    size_t end = call->argc;
    unsigned seen = 0;
    if (end > FIRST_ARG + 1 && find_option(call->argv[end - 1]) < N_OPTIONS)
        return end - 1;
    while (end >= FIRST_ARG + 3) {
        size_t i = find_option(call->argv[end - 2]);
        if (i == N_OPTIONS || (seen & 1u << i))
            break;
        seen |= 1u << i;
        end -= 2;
    }
    return end;
}

/* Starting */

static void on_waited(void *ctx, const struct warm_figures *figures)
{
    struct reply_slot *slot = ctx;
    struct reply reply = slot_begin(slot);
    cache_warm_reply(&reply, figures);
    slot_finish(slot, &reply);
}

static void start(struct call *call, struct warm_spec *spec, const struct warm_request *request)
{
    struct larder *larder = call->larder;
    char error[WARM_ERROR_SIZE];
    if (larder->link != NULL && !larder->config.l1_enabled) {
        reply_error(&call->reply, "ERR L1 is switched off (l1-enabled no), nothing can be warmed");
        return;
    }
    spec->db = call->client->db;
    spec->limit = (uint64_t)request->limit;
    spec->rate = (unsigned)request->rate;
    spec->ttl_ms = request->ttl_s * 1000;
    spec->concurrency = (unsigned)(request->concurrency != 0 ? request->concurrency
                                                             : larder->config.warm_concurrency);
    uint64_t id = warm_start(larder->warm_jobs, spec, error);
    if (id == 0) {
        reply_error(&call->reply, "%s", error);
        return;
    }
    if (!(request->given & OPTION_WAIT)) {
        reply_int(&call->reply, (int64_t)id);
        return;
    }
    struct reply_slot *slot = call_defer(call);
    if (!warm_wait(larder->warm_jobs, id, request->wait_ms, on_waited, slot))
        __builtin_unreachable(); /* the job was made just now */
}

static void warm_keys(struct call *call)
{
    struct warm_request request = {0};
    size_t end = end_of_keys(call);
    if (!read_options(call, end, &request))
        return;
    struct warm_spec spec = {
        .kind = WARM_KEYS, .keys = call->argv + FIRST_ARG, .n_keys = end - FIRST_ARG};
    start(call, &spec, &request);
}

static void warm_match(struct call *call)
{
    struct warm_request request = {0};
    if (!read_options(call, FIRST_ARG + 1, &request))
        return;
    struct warm_spec spec = {.kind = WARM_MATCH, .text = call->argv[FIRST_ARG]};
    start(call, &spec, &request);
}

static void warm_file(struct call *call)
{
    struct warm_request request = {0};
    if (!read_options(call, FIRST_ARG + 1, &request))
        return;
    struct warm_spec spec = {.kind = WARM_FILE, .text = call->argv[FIRST_ARG]};
    start(call, &spec, &request);
}

static void warm_cancel_job(struct call *call)
{
    int64_t id;
    if (!bytes_parse_range(call->argv[FIRST_ARG], 0, INT64_MAX, &id)) {
        reply_error(&call->reply, "ERR value is not an integer or out of range");
        return;
    }
    switch (warm_cancel(call->larder->warm_jobs, (uint64_t)id)) {
    case WARM_CANCEL_OK: reply_ok(&call->reply); break;
    case WARM_CANCEL_ENDED:
        reply_error(&call->reply, "ERR this warming job has ended already");
        break;
    case WARM_CANCEL_UNKNOWN: reply_error(&call->reply, "NOJOB no such warming job"); break;
    }
}

/* The forms */

static void warm_help(struct call *call);

static const struct cache_form forms[] = {
    {"KEYS", warm_keys, 4, 0, " key [key ...] [option value ...]",
     "Starts a job that fetches these keys; returns its id."},
    {"MATCH", warm_match, 4, 0, " pattern [option value ...]",
     "Starts a job that fetches the strings whose keys match, found by SCAN; returns its id."},
    {"FILE", warm_file, 4, 0, " path [option value ...]",
     "Starts a job that fetches the keys in a file in warm-dir, one a line; returns its id."},
    {"STATUS", cache_warm_status, 3, 4, " [id]", "Describes a job, or the newest."},
    {"LIST", cache_warm_list, 3, 3, "", "Describes all jobs, ended ones included, in short."},
    {"CANCEL", warm_cancel_job, 4, 4, " id", "Ends a job; what it has warmed stays."},
    {"HELP", warm_help, 3, 3, "", "Prints this help."},
};

static const char *const option_help[] = {
    "Options are:",
    "    CONCURRENCY n     Fetches in flight at most (default warm-concurrency).",
    "    LIMIT n           Keys to ask for at most.",
    "    RATE n            Fetches started per second at most.",
    "    TTL seconds       Cap on the life of what is warmed.",
    "    WAIT milliseconds Waits so long (0: without limit) for the job's end, and describes it.",
};

static const struct cache_forms warm_forms = {
    .container = "CACHE WARM",
    .forms = forms,
    .n_forms = sizeof(forms) / sizeof(forms[0]),
    .notes = option_help,
    .n_notes = sizeof(option_help) / sizeof(option_help[0]),
};

static void warm_help(struct call *call)
{
    cache_forms_help(&warm_forms, call);
}

void cache_warm(struct call *call)
{
    cache_forms_serve(&warm_forms, call);
}
