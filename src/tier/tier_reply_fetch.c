/* Fetching cached replies; see tier_reply.h and tier.h. */
#include "tier/tier_reply.h"

#include "base/mem.h"
#include "resp/request.h"

/* Longest life of a reply, even where l1-ttl sets no limit: what a change has left behind must end
 * under a policy that evicts nothing, too. */
#define LIFE_MAX_MS ((int64_t)3600 * 1000)

/* Reading a fetch's name back */

static size_t count_args(struct bytes name)
{
    size_t n = 0;
    for (size_t at = strlen(name.ptr) + 1; at < name.len; n++) {
        uint32_t len;
        memcpy(&len, name.ptr + at, sizeof(len));
        at += sizeof(len) + len;
    }
    return n;
}

/* The words of the read that a fetch is of: command, key, arguments. Returns owned, of `*n` slices
 * into the fetch; NULL: there is no memory. */
static struct bytes *words_of(const struct fetch *fetch, size_t *n)
{
    struct bytes name = reply_name_behind_key(fetch_name(fetch), fetch->key_len);
    size_t word_len = strlen(name.ptr);
    *n = 2 + count_args(name);
    struct bytes *words = mem_try(*n * sizeof(*words));
    if (words == NULL)
        return NULL;
    words[0] = bytes_of(name.ptr, word_len);
    words[1] = bytes_of(fetch->key, fetch->key_len);
    size_t at = word_len + 1;
    for (size_t i = 2; i < *n; i++) {
        uint32_t len;
        memcpy(&len, name.ptr + at, sizeof(len));
        words[i] = bytes_of(name.ptr + at + sizeof(len), len);
        at += sizeof(len) + len;
    }
    return words;
}

/* Sending */

static void on_pttl(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct fetch *fetch = ctx;
    fetch->has_value = fetch_read_pttl(fetch, outcome, reply, &fetch->pttl);
}

static void on_reply(void *ctx, enum link_outcome outcome, struct bytes reply);

static void send(struct fetch *fetch, struct bytes key, struct bytes raw)
{
    fetch_send_pttl(fetch, key, on_pttl);
    link_send_read(fetch->tier->link, fetch->db, raw, fetch->begun_us, on_reply, fetch);
}

static void send_again(struct fetch *fetch)
{
    size_t n;
    struct buf raw;
    struct bytes *words = words_of(fetch, &n);
    buf_init(&raw);
    if (words == NULL || !request_encode(words, n, &raw))
        link_refuse_output(fetch->tier->link);
    send(fetch, bytes_of(fetch->key, fetch->key_len), buf_bytes(&raw));
    mem_free(words);
    buf_deinit(&raw);
}

/* Failing */

/* Copies the stale reply to the read, if there is one that may be answered. */
static bool rescue_reply(struct fetch *fetch, const struct shelf *shelf,
                         const struct tier_read *read, unsigned n_readers, bool *is_absent)
{
    struct tier *tier = fetch->tier;
    struct reply_found found;
    if (!reply_find(tier, read, true, &found))
        return false;
    enum verdict verdict = stale_judge(tier, &found.soft, shelf, false);
    if (verdict == VERDICT_USELESS || !buf_append(&fetch->value, found.resp3.ptr, found.resp3.len))
        return false;
    stale_count(tier, &found.soft, verdict, n_readers);
    *is_absent = found.anchor.is_absent;
    return true;
}

/* The same from the key's stale string, for reads that it answers. */
static bool rescue_derived(struct fetch *fetch, const struct tier_read *read, unsigned n_readers,
                           bool *is_absent)
{
    if (fetch->derive == NULL)
        return false;
    const struct entry *entry =
        stale_rescue(fetch->tier, read->db, read->key, read->hash, n_readers);
    if (entry == NULL)
        return false;
    struct reply reply = {.out = &fetch->value, .proto = 3};
    fetch->value.len = 0;
    fetch->derive(&reply, entry, read->args);
    *is_absent = entry->kind == ENTRY_ABSENT;
    return !reply.failed;
}

/* Looks for what may be answered since the fetch has failed, and copies it, as waiters may change the store. */
static bool rescue(struct fetch *fetch, unsigned n_readers, bool *is_absent)
{
    struct tier *tier = fetch->tier;
    struct shelf shelf = stale_shelf(tier, bytes_of(fetch->key, fetch->key_len));
    size_t n;
    if (!shelf.is_soft || shelf.policy->mode != POLICY_CACHE || !reply_is_on(tier) ||
        fetch->name_len == 0)
        return false;
    struct bytes *words = words_of(fetch, &n);
    if (words == NULL)
        return false;
    struct tier_read read = {.db = fetch->db,
                             .key = words[1],
                             .hash = fetch->hash,
                             .name = words[0],
                             .args = words + 2,
                             .n_args = n - 2};
    fetch->value.len = 0;
    bool is_found = rescue_reply(fetch, &shelf, &read, n_readers, is_absent) ||
                    rescue_derived(fetch, &read, n_readers, is_absent);
    mem_free(words);
    return is_found;
}

/* Answers in the place of an error that passes, where policy or upstream-fail-mode allow it. */
static bool finish_otherwise(struct fetch *fetch, struct bytes error)
{
    struct tier *tier = fetch->tier;
    bool is_absent;
    unsigned n_readers = stale_readers(fetch);
    if (n_readers == 0 || !stale_is_passing(error))
        return false;
    if (rescue(fetch, n_readers, &is_absent)) {
        fetch_finish(fetch, is_absent ? TIER_ABSENT : TIER_REPLY, buf_bytes(&fetch->value));
        return true;
    }
    if (tier->options.fail_mode != TIER_FAIL_MISS || fetch->missing == NULL)
        return false;
    tier->counters.failed_as_missing += n_readers;
    fetch_finish(fetch, TIER_ABSENT, bytes_of_str(fetch->missing));
    return true;
}

static void on_reply(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct fetch *fetch = ctx;
    struct tier_counters *counters = &fetch->tier->counters;
    enum tier_answer answer = TIER_REPLY;
    if (outcome != LINK_REPLY && fetch_retry(fetch, send_again))
        return;
    if (reply.ptr[0] == '-') {
        counters->fetch_errors++;
        answer = TIER_ERROR;
        if (finish_otherwise(fetch, reply))
            return;
        if (!stale_is_passing(reply))
            reply_forget(fetch);
    } else if (outcome == LINK_REPLY && fetch->has_value) {
        if (fetch->pttl == -2)
            answer = TIER_ABSENT;
        counters->l2_found += answer == TIER_REPLY;
        counters->l2_absent += answer == TIER_ABSENT;
        reply_fill(fetch, reply);
    } else {
        reply_forget(fetch);
    }
    fetch_finish(fetch, answer, reply);
}

void tier_reply_fetch(struct tier *tier, const struct tier_read *read, tier_fetch_fn *fn, void *ctx)
{
    bool has_name = reply_make_name(tier, read);
    struct bytes name = buf_bytes(&tier->reply_name);
    struct fetch *fetch = has_name ? fetch_find(tier, read->db, read->key, read->hash, name) : NULL;
    if (fetch != NULL) {
        fetch_join(fetch, fn, ctx);
        return;
    }
    fetch = fetch_open(tier, read->db, read->key, read->hash, has_name ? name : BYTES(""), fn, ctx);
    fetch->ttl_cap_ms = LIFE_MAX_MS;
    fetch->missing = read->missing;
    fetch->derive = read->derive;
    if (!has_name) {
        fetch_forgo(fetch);
        fetch->retried = true; /* there is nothing to send again */
    }
    send(fetch, read->key, read->raw);
}
