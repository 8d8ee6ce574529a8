/* CACHE POLICY: lists and changes the policies of key prefixes (tier/policy.h).
 *
 *     CACHE POLICY LIST | GET key | SET prefix name=value [name=value ...] | DEL prefix | HELP
 *
 * The tier's table is the one in force; the configuration's, which CONFIG GET and REWRITE show, is
 * made equal after each change. A change drops what L1 holds under the prefix before it is
 * answered, so that no entry lives on by the old rules. */
#include "command/cache_handlers.h"

#include "command/cache_forms.h"
#include "tier/policy_words.h"

/* Room for what is wrong with words. */
#define ERROR_SIZE 256

/* Position of the default policy, which is behind all prefixes. */
#define DEFAULT_POLICY SIZE_MAX

/* Listing */

/* Writes a policy as a map: its prefix, its properties in force, and the words that give it. */
static void add_policy(struct reply *reply, const struct policy_table *table, size_t at)
{
    const struct policy *policy;
    struct bytes prefix = bytes_of("", 0);
    struct buf words;
    struct buf value;
    buf_init(&words);
    buf_init(&value);
    if (at == DEFAULT_POLICY)
        policy = policy_table_default(table);
    else
        policy = policy_table_at(table, at, &prefix, &words);
    reply_map(reply, POLICY_PROPERTIES + 2);
    reply_bulk_str(reply, "prefix");
    reply_bulk(reply, prefix);
    for (unsigned i = 0; i < POLICY_PROPERTIES; i++) {
        value.len = 0;
        policy_words_print_value(policy, i, &value);
        reply_bulk_str(reply, policy_words_name(i));
        reply_bulk(reply, buf_bytes(&value));
    }
    reply_bulk_str(reply, "words");
    reply_bulk(reply, buf_bytes(&words));
    buf_deinit(&words);
    buf_deinit(&value);
}

static void policy_list(struct call *call)
{
    const struct policy_table *table = tier_policies(call->larder->tier);
    size_t n = policy_table_count(table);
    reply_array(&call->reply, n + 1);
    add_policy(&call->reply, table, DEFAULT_POLICY);
    for (size_t i = 0; i < n; i++)
        add_policy(&call->reply, table, i);
}

static void policy_get(struct call *call)
{
    const struct policy_table *table = tier_policies(call->larder->tier);
    const struct policy *policy = policy_find(table, call->argv[3], NULL);
    struct bytes prefix;
    size_t at = 0;
    while (at < policy_table_count(table) && policy_table_at(table, at, &prefix, NULL) != policy)
        at++;
    add_policy(&call->reply, table, at < policy_table_count(table) ? at : DEFAULT_POLICY);
}

/* Changing */

static void answer_set(struct reply *reply, uint64_t n_dropped)
{
    (void)n_dropped;
    reply_ok(reply);
}

static void answer_del(struct reply *reply, uint64_t n_dropped)
{
    (void)n_dropped;
    reply_int(reply, 1);
}

/* Without an upstream there is nothing to come back to: what a change drops would be lost. */
static bool check_upstream(struct call *call)
{
    if (call->larder->link == NULL)
        reply_error(&call->reply, "ERR there is no upstream, policies are for what is kept of one");
    return call->larder->link != NULL;
}

/* Makes the change of a prefix's policy felt, and answers when nothing of before is left. */
static void put_in_force(struct call *call, cache_dropped_fn *answer)
{
    struct larder *larder = call->larder;
    tier_policies_changed(larder->tier);
    policy_table_copy(larder->config.policies, tier_policies(larder->tier));
    cache_invalidate_prefix(call, call->argv[3], answer);
}

static void policy_set(struct call *call)
{
    char error[ERROR_SIZE];
    if (!check_upstream(call))
        return;
    if (policy_table_set(tier_policies(call->larder->tier), call->argv[3], call->argv + 4,
                         call->argc - 4, error, sizeof(error)))
        put_in_force(call, answer_set);
    else
        reply_error(&call->reply, "ERR %s", error);
}

static void policy_del(struct call *call)
{
    if (!check_upstream(call))
        return;
    if (policy_table_remove(tier_policies(call->larder->tier), call->argv[3]))
        put_in_force(call, answer_del);
    else
        reply_int(&call->reply, 0);
}

/* The forms */

static void policy_help(struct call *call);

static const struct cache_form forms[] = {
    {"LIST", policy_list, 3, 3, "", "Describes the default policy, then those of all prefixes."},
    {"GET", policy_get, 4, 4, " key", "Describes the policy that is in force for a key."},
    {"SET", policy_set, 5, 0, " prefix name=value [name=value ...]",
     "Sets properties for keys that begin with a prefix; drops what L1 holds of them."},
    {"DEL", policy_del, 4, 4, " prefix",
     "Removes a prefix's policy; drops what L1 holds of its keys. Returns 1, or 0 for none."},
    {"HELP", policy_help, 3, 3, "", "Prints this help."},
};

static const char *const properties_help[] = {
    "Properties are (`default` as a value: as the default policy):",
    "    mode                    cache, observe or deny.",
    "    ttl                     Cap on the time that a value is fresh; 0: none.",
    "    ttl-jitter              Percentage by which that is shortened at random.",
    "    negative-ttl            The cap for keys that don't exist; 0: not kept, -1: as ttl.",
    "    stale-while-revalidate  Time for stale answers while a value is fetched anew; 0: never.",
    "    stale-if-error          Time for stale answers while L2 can't be asked; 0: never.",
    "    early-refresh           XFetch's beta, 0 to 100; 0: off.",
    "    max-item                Size above which nothing is kept; 0: no limit.",
    "    write-allocate          yes or no: keep the value of a SET.",
    "    l2-ttl-factor           Multiplies a SET's TTL on its way to L2, 1 to 1000.",
    "Times are such as 500ms 30s 5m 2h 1d, without a unit in seconds.",
};

static const struct cache_forms policy_forms = {
    .container = "CACHE POLICY",
    .forms = forms,
    .n_forms = sizeof(forms) / sizeof(forms[0]),
    .notes = properties_help,
    .n_notes = sizeof(properties_help) / sizeof(properties_help[0]),
};

static void policy_help(struct call *call)
{
    cache_forms_help(&policy_forms, call);
}

void cache_policy(struct call *call)
{
    cache_forms_serve(&policy_forms, call);
}
