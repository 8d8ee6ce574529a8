/* SET, SETEX and PSETEX in front of an upstream: writes, of which the key's policy may want more:
 *
 *     write-allocate   the value is in L1 when the reply leaves
 *     l2-ttl-factor    L2 gets the time to live times the factor, so that it has the value for longer
 *                      than L1 takes it for fresh
 *
 * What Redis would refuse goes to L2 as it is, for its error. Inside MULTI and scripts commands go as
 * they are, too. */
#include "command/cached.h"

#include "core/larder.h"
#include "resp/request.h"

#include <math.h>

/* More arguments than any valid SET has. */
#define ARGS_MAX 16

/* A time option of a command. */
struct set_time {
    size_t at;        /* the argument with the number */
    bool is_seconds;  /* else milliseconds */
    bool is_absolute; /* a moment, else a span */
};

/* Finds SET's time option. False: there is none, or the arguments are wrong. */
static bool find_time(const struct call *call, struct set_time *time)
{
    static const struct {
        const char *name;
        bool is_seconds, is_absolute;
    } options[] = {
        {"ex", true, false}, {"px", false, false}, {"exat", true, true}, {"pxat", false, true}};
    for (size_t i = 3; i + 1 < call->argc && call->argc <= ARGS_MAX; i++) {
        for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
            if (!bytes_is(call->argv[i], options[k].name))
                continue;
            *time = (struct set_time){i + 1, options[k].is_seconds, options[k].is_absolute};
            return true;
        }
    }
    return false;
}

/* Multiplies a time by the factor. False: it is no valid time, or the product is none. */
static bool stretch(const struct call *call, const struct set_time *time, double factor,
                    int64_t *number)
{
    int64_t unit_ms = time->is_seconds ? 1000 : 1;
    int64_t now = time->is_absolute ? clock_wall_ms(&call->larder->loop.clock) / unit_ms : 0;
    if (!bytes_parse_i64(call->argv[time->at], number) || *number <= now)
        return false;
    double span = (double)(*number - now) * factor;
    if (span >= (double)INT64_MAX / 2 / (double)unit_ms)
        return false;
    *number = now + (int64_t)llround(span);
    return true;
}

/* Writes the command with another time into larder->scratch. */
static bool rewrite(struct call *call, const struct set_time *time, int64_t number)
{
    char text[BYTES_I64_MAX];
    struct bytes words[ARGS_MAX];
    memcpy(words, call->argv, call->argc * sizeof(words[0]));
    words[time->at] = bytes_of(text, bytes_format_i64(number, text));
    call->larder->scratch.len = 0;
    return request_encode(words, call->argc, &call->larder->scratch);
}

static void set(struct call *call, const struct policy *policy, const struct set_time *time)
{
    struct bytes raw = call->raw;
    int64_t number;
    bool allocate =
        policy->write_allocate && policy->mode != POLICY_DENY && call->larder->config.l1_enabled;
    if (time != NULL && policy->l2_ttl_factor > 1 &&
        stretch(call, time, policy->l2_ttl_factor, &number)) {
        if (!rewrite(call, time, number)) {
            reply_error(&call->reply, "ERR larder has no memory for this command");
            return;
        }
        raw = buf_bytes(&call->larder->scratch);
    }
    call_write_string(call, raw, allocate);
}

void cached_set(struct call *call)
{
    const struct policy *policy = tier_write_policy(call->larder->tier, call->argv[1]);
    struct set_time time;
    if (__builtin_expect(policy == NULL, 1))
        call_write_string(call, call->raw, false); /* its one key is known without its row */
    else
        set(call, policy, find_time(call, &time) ? &time : NULL);
}

void cached_set_for(struct call *call)
{
    const struct policy *policy = tier_write_policy(call->larder->tier, call->argv[1]);
    struct set_time time = {2, bytes_is(call->argv[0], "setex"), false};
    if (policy == NULL)
        call_write_string(call, call->raw, false);
    else
        set(call, policy, &time);
}
