/* CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR; what they steer is core/tracking.h. */
#include "command/client_commands.h"

#include "base/mem.h"
#include "core/tracking.h"

/* CLIENT TRACKING */

struct options {
    struct tracking_request request;
    struct bytes prefixes[]; /* of request */
};

static bool parse_redirect(struct call *call, size_t i, struct tracking_request *request)
{
    int64_t id;
    if (request->redirect_id != 0) {
        reply_error(&call->reply, "ERR A client can only redirect to a single other client");
        return false;
    }
    if (!bytes_parse_i64(call->argv[i], &id)) {
        reply_error(&call->reply, "ERR value is not an integer or out of range");
        return false;
    }
    if (id < 1 || client_find(call->larder, (uint64_t)id) == NULL) {
        reply_error(&call->reply, "ERR The client ID you want redirect to does not exist");
        return false;
    }
    request->redirect_id = (uint64_t)id;
    return true;
}

static unsigned flag_of(struct bytes word)
{
    return bytes_is(word, "bcast")    ? TRACKER_BCAST
           : bytes_is(word, "optin")  ? TRACKER_OPTIN
           : bytes_is(word, "optout") ? TRACKER_OPTOUT
           : bytes_is(word, "noloop") ? TRACKER_NOLOOP
                                      : 0;
}

static bool parse(struct call *call, struct options *options)
{
    for (size_t i = 3; i < call->argc; i++) {
        bool has_more = i + 1 < call->argc;
        unsigned flag = flag_of(call->argv[i]);
        if (has_more && bytes_is(call->argv[i], "redirect")) {
            if (!parse_redirect(call, ++i, &options->request))
                return false;
        } else if (has_more && bytes_is(call->argv[i], "prefix")) {
            options->prefixes[options->request.n_prefixes++] = call->argv[++i];
        } else if (flag != 0) {
            options->request.flags |= flag;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static bool overlap(struct bytes a, struct bytes b)
{
    return bytes_starts_with(a, b) || bytes_starts_with(b, a);
}

/* Prefixes in errors end at a zero byte, as Redis's. */
static void refuse_prefix(struct call *call, struct bytes prefix, const char *what,
                          struct bytes other)
{
    reply_error(&call->reply,
                "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client "
                "must not overlap.",
                (int)(prefix.len < 256 ? prefix.len : 256), prefix.ptr, what,
                (int)(other.len < 256 ? other.len : 256), other.ptr);
}

static bool check_prefixes(struct call *call, const struct tracking_request *request)
{
    const struct tracker *tracker = call->client->tracker;
    for (size_t i = 0; i < request->n_prefixes; i++) {
        for (size_t j = 0; tracker != NULL && j < tracker->n_prefixes; j++)
            if (overlap(buf_bytes(&tracker->prefixes[j]), request->prefixes[i])) {
                refuse_prefix(call, request->prefixes[i], "an existing",
                              buf_bytes(&tracker->prefixes[j]));
                return false;
            }
        for (size_t j = i + 1; j < request->n_prefixes; j++)
            if (overlap(request->prefixes[i], request->prefixes[j])) {
                refuse_prefix(call, request->prefixes[i], "another provided", request->prefixes[j]);
                return false;
            }
    }
    return true;
}

/* Why these options are no good together or for this client; NULL: they are. */
static const char *why_not(unsigned now, const struct tracking_request *request)
{
    unsigned flags = request->flags;
    if (!(flags & TRACKER_BCAST) && request->n_prefixes > 0)
        return "PREFIX option requires BCAST mode to be enabled";
    if ((now & TRACKER_ON) && (now & TRACKER_BCAST) != (flags & TRACKER_BCAST))
        return "You can't switch BCAST mode on/off before disabling tracking for this client, and "
               "then re-enabling it with a different mode.";
    if ((flags & TRACKER_BCAST) && (flags & (TRACKER_OPTIN | TRACKER_OPTOUT)))
        return "OPTIN and OPTOUT are not compatible with BCAST";
    if ((flags & TRACKER_OPTIN) && (flags & TRACKER_OPTOUT))
        return "You can't specify both OPTIN mode and OPTOUT mode";
    if (((flags & TRACKER_OPTIN) && (now & TRACKER_OPTOUT)) ||
        ((flags & TRACKER_OPTOUT) && (now & TRACKER_OPTIN)))
        return "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and "
               "then re-enabling it with a different mode.";
    return NULL;
}

static void answer(struct reply *reply, bool ok)
{
    if (ok)
        reply_ok(reply);
    else
        reply_error(reply, "ERR larder has no memory for these prefixes");
}

/* BCAST: the client counts when L2 tracks. */

struct starting {
    struct reply_slot *slot;
    struct tracking_request request;
    struct buf text; /* of the prefixes, one behind the other */
    struct bytes prefixes[];
};

static void on_started(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct starting *starting = ctx;
    struct reply_slot *slot = starting->slot;
    struct tracking *tracking = slot->larder->tracking;
    if (outcome == LINK_REPLY && reply.ptr[0] == '+' && slot->client != NULL) {
        struct reply answered = slot_begin(slot);
        answer(&answered, tracking_enable(slot->client, &starting->request));
        slot_finish(slot, &answered);
    } else {
        slot_finish_resp3(slot, reply);
    }
    buf_deinit(&starting->text);
    mem_free(starting);
    tracking_end_bcast(tracking);
}

static struct starting *copy_request(const struct tracking_request *request)
{
    struct starting *starting =
        mem_try(sizeof(*starting) + request->n_prefixes * sizeof(struct bytes));
    if (starting == NULL)
        return NULL;
    starting->request = *request;
    starting->request.prefixes = starting->prefixes;
    buf_init(&starting->text);
    bool ok = true;
    for (size_t i = 0; ok && i < request->n_prefixes; i++)
        ok = buf_append(&starting->text, request->prefixes[i].ptr, request->prefixes[i].len);
    size_t at = 0;
    for (size_t i = 0; ok && i < request->n_prefixes; i++) {
        starting->prefixes[i] = bytes_of(starting->text.data + at, request->prefixes[i].len);
        at += request->prefixes[i].len;
    }
    if (ok)
        return starting;
    buf_deinit(&starting->text);
    mem_free(starting);
    return NULL;
}

static void start_bcast(struct call *call, const struct tracking_request *request)
{
    struct starting *starting = copy_request(request);
    if (starting == NULL) {
        answer(&call->reply, false);
    } else if (!tracking_begin_bcast(call->larder->tracking, on_started, starting)) {
        reply_error(&call->reply, "ERR larder does not know how to reach its upstream");
        buf_deinit(&starting->text);
        mem_free(starting);
    } else {
        starting->slot = call_defer(call);
        client_block(starting->slot);
    }
}

static void switch_on(struct call *call, const struct tracking_request *request)
{
    const char *why = why_not(tracking_flags(call->client), request);
    if (why != NULL)
        reply_error(&call->reply, "ERR %s", why);
    else if ((request->flags & TRACKER_BCAST) && !check_prefixes(call, request))
        return;
    else if (call->larder->link == NULL)
        reply_error(&call->reply,
                    "ERR CLIENT TRACKING is not supported by larder without upstream");
    else if (request->flags & TRACKER_BCAST)
        start_bcast(call, request);
    else
        answer(&call->reply, tracking_enable(call->client, request));
}

void client_tracking(struct call *call)
{
    struct options *options = mem_try(sizeof(*options) + call->argc * sizeof(options->prefixes[0]));
    if (options == NULL) {
        answer(&call->reply, false);
        return;
    }
    options->request = (struct tracking_request){.prefixes = options->prefixes};
    if (parse(call, options)) {
        if (bytes_is(call->argv[2], "on")) {
            switch_on(call, &options->request);
        } else if (bytes_is(call->argv[2], "off")) {
            tracking_disable(call->client);
            reply_ok(&call->reply);
        } else {
            call_syntax_error(call);
        }
    }
    mem_free(options);
}

/* CLIENT CACHING */

void client_caching(struct call *call)
{
    bool yes = bytes_is(call->argv[2], "yes");
    unsigned flags = tracking_flags(call->client);
    if (!(flags & TRACKER_ON)) {
        reply_error(&call->reply, "ERR CLIENT CACHING can be called only when the client is in "
                                  "tracking mode with OPTIN or OPTOUT mode enabled");
    } else if (!yes && !bytes_is(call->argv[2], "no")) {
        call_syntax_error(call);
    } else if (!(flags & (yes ? TRACKER_OPTIN : TRACKER_OPTOUT))) {
        reply_error(&call->reply,
                    "ERR CLIENT CACHING %s is only valid when tracking is enabled in %s mode.",
                    yes ? "YES" : "NO", yes ? "OPTIN" : "OPTOUT");
    } else {
        call->client->tracker->flags |= TRACKER_CACHING;
        reply_ok(&call->reply);
    }
}

/* What is known */

void client_getredir(struct call *call)
{
    reply_int(&call->reply, tracking_redirect(call->client));
}

void client_trackinginfo(struct call *call)
{
    const struct tracker *tracker = call->client->tracker;
    unsigned flags = tracking_flags(call->client);
    bool is_caching = (flags & TRACKER_CACHING) != 0;
    const char *words[8];
    size_t n = 0;
    words[n++] = flags & TRACKER_ON ? "on" : "off";
    if (flags & TRACKER_BCAST)
        words[n++] = "bcast";
    if (flags & TRACKER_OPTIN)
        words[n++] = "optin";
    if ((flags & TRACKER_OPTIN) && is_caching)
        words[n++] = "caching-yes";
    if (flags & TRACKER_OPTOUT)
        words[n++] = "optout";
    if ((flags & TRACKER_OPTOUT) && is_caching)
        words[n++] = "caching-no";
    if (flags & TRACKER_NOLOOP)
        words[n++] = "noloop";
    if (flags & TRACKER_BROKEN)
        words[n++] = "broken_redirect";
    reply_map(&call->reply, 3);
    reply_bulk_str(&call->reply, "flags");
    reply_set(&call->reply, n);
    for (size_t i = 0; i < n; i++)
        reply_bulk_str(&call->reply, words[i]);
    reply_bulk_str(&call->reply, "redirect");
    reply_int(&call->reply, tracking_redirect(call->client));
    reply_bulk_str(&call->reply, "prefixes");
    size_t n_prefixes = tracker != NULL ? tracker->n_prefixes : 0;
    reply_array(&call->reply, n_prefixes);
    for (size_t i = 0; i < n_prefixes; i++)
        reply_bulk(&call->reply, buf_bytes(&tracker->prefixes[i]));
}
