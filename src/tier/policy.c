/* The table of policies; see policy.h.
 *
 * Rules are kept sorted by their prefixes' bytes, each with the longest other rule whose prefix its
 * own begins with (its parent):
 *
 *     "a"  "a:b"  "a:b:c"  "a:d"            key "a:b:x"
 *      ^----'  ^----'        |              the greatest prefix not above the key is "a:b:c";
 *      ^---------------------'              it shares 4 bytes with it; the first of its
 *                                           ancestors that is no longer is "a:b"
 *
 * Why that is right: whatever lies between a prefix of the key and the key itself begins with that
 * prefix, so every prefix of the key that the table has is the greatest one below it or one of its
 * ancestors. A table of the first bytes' ranges makes the search short, and nothing of it where no
 * prefix begins as the key does. */
#include "tier/policy.h"

#include "base/mem.h"
#include "tier/policy_words.h"

#include <stdio.h>

#define NO_PARENT SIZE_MAX

struct rule {
    char *prefix; /* owned */
    size_t len;   /* 1 to POLICY_PREFIX_MAX */
    size_t parent;
    struct policy_words own;
    struct policy policy; /* in force: the default's, and own above it */
    uint16_t id;
};

struct policy_table {
    struct policy standard; /* the default policy */
    uint16_t standard_id;
    uint16_t last_id;
    bool is_special;
    bool is_about_writes;
    uint16_t
        starts[257]; /* rules that begin with byte b are those from starts[b] to starts[b + 1] */
    size_t n;
    size_t cap;
    struct rule *rules; /* owned */
};

_Static_assert(POLICY_MAX < UINT16_MAX, "positions and ids fit");

static struct bytes rule_prefix(const struct rule *rule)
{
    return bytes_of(rule->prefix, rule->len);
}

/* In byte order, the shorter one first. */
static int compare(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* How many rules among those from `low` to `high` are not above `text`, as the position behind
 * them. */
static size_t position(const struct policy_table *table, size_t low, size_t high, struct bytes text)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(rule_prefix(&table->rules[middle]), text) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct rule *find_rule(const struct policy_table *table, struct bytes key)
{
    if (table->n == 0 || key.len == 0)
        return NULL;
    unsigned char first = (unsigned char)key.ptr[0];
    size_t low = table->starts[first];
    size_t at = position(table, low, table->starts[first + 1], key);
    if (at == low)
        return NULL;
    const struct rule *rule = &table->rules[at - 1];
    size_t shared = 0;
    while (shared < rule->len && shared < key.len && rule->prefix[shared] == key.ptr[shared])
        shared++;
    while (rule->len > shared) {
        if (rule->parent == NO_PARENT)
            return NULL;
        rule = &table->rules[rule->parent];
    }
    return rule;
}

const struct policy *policy_find(const struct policy_table *table, struct bytes key, uint16_t *id)
{
    const struct rule *rule = find_rule(table, key);
    if (id != NULL)
        *id = rule != NULL ? rule->id : table->standard_id;
    return rule != NULL ? &rule->policy : &table->standard;
}

bool policy_table_is_special(const struct policy_table *table)
{
    return table->is_special;
}

bool policy_table_is_about_writes(const struct policy_table *table)
{
    return table->is_about_writes;
}

/* Changes */

static bool is_id_used(const struct policy_table *table, uint16_t id)
{
    if (id == table->standard_id)
        return true;
    for (size_t i = 0; i < table->n; i++)
        if (table->rules[i].id == id)
            return true;
    return false;
}

/* Never 0, and none that is in use. */
static uint16_t new_id(struct policy_table *table)
{
    do
        table->last_id++;
    while (table->last_id == 0 || is_id_used(table, table->last_id));
    return table->last_id;
}

/* Brings a rule's policy in force into line with the default and its own words. */
static void refresh(struct policy_table *table, struct rule *rule)
{
    struct policy policy = table->standard;
    policy_words_apply(&rule->own, &policy);
    if (rule->id != 0 && policy_words_equal(&policy, &rule->policy))
        return;
    rule->policy = policy;
    rule->id = new_id(table);
}

static bool is_special(const struct policy *policy)
{
    return policy->mode != POLICY_CACHE || policy->swr_ms > 0 || policy->sie_ms > 0 ||
           policy->early_refresh > 0;
}

static bool is_about_writes(const struct policy *policy)
{
    return policy->write_allocate || policy->l2_ttl_factor > 1;
}

/* Brings into line what follows from the rules. */
static void settle(struct policy_table *table)
{
    size_t at = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        table->starts[byte] = (uint16_t)at;
        while (at < table->n && (unsigned char)table->rules[at].prefix[0] == byte)
            at++;
    }
    table->starts[256] = (uint16_t)at;
    table->is_special = is_special(&table->standard);
    table->is_about_writes = is_about_writes(&table->standard);
    for (size_t i = 0; i < table->n; i++) {
        struct rule *rule = &table->rules[i];
        size_t parent = i > 0 ? i - 1 : NO_PARENT;
        while (parent != NO_PARENT &&
               !bytes_starts_with(rule_prefix(rule), rule_prefix(&table->rules[parent])))
            parent = table->rules[parent].parent;
        rule->parent = parent;
        table->is_special |= is_special(&rule->policy);
        table->is_about_writes |= is_about_writes(&rule->policy);
    }
}

struct policy_table *policy_table_create(void)
{
    struct policy_table *table = mem_zalloc(sizeof(*table));
    table->standard = (struct policy){.negative_ttl_ms = -1, .l2_ttl_factor = 1};
    table->standard_id = new_id(table);
    settle(table);
    return table;
}

static void remove_all(struct policy_table *table)
{
    for (size_t i = 0; i < table->n; i++)
        mem_free(table->rules[i].prefix);
    mem_free(table->rules);
    table->rules = NULL;
    table->n = table->cap = 0;
}

void policy_table_destroy(struct policy_table *table)
{
    if (table == NULL)
        return;
    remove_all(table);
    mem_free(table);
}

void policy_table_set_default(struct policy_table *table, const struct policy *policy)
{
    if (policy_words_equal(&table->standard, policy))
        return;
    table->standard = *policy;
    table->standard_id = new_id(table);
    for (size_t i = 0; i < table->n; i++)
        refresh(table, &table->rules[i]);
    settle(table);
}

const struct policy *policy_table_default(const struct policy_table *table)
{
    return &table->standard;
}

/* The rule of exactly this prefix, or NULL; `*at` is where it is or belongs. */
static struct rule *find_exactly(const struct policy_table *table, struct bytes prefix, size_t *at)
{
    *at = position(table, 0, table->n, prefix);
    if (*at == 0 || !bytes_equal(rule_prefix(&table->rules[*at - 1]), prefix))
        return NULL;
    return &table->rules[--*at];
}

/* Puts an empty rule at a position. */
static struct rule *insert(struct policy_table *table, size_t at, struct bytes prefix)
{
    if (table->n == table->cap) {
        table->cap = table->cap == 0 ? 8 : table->cap * 2;
        table->rules = mem_resize(table->rules, table->cap * sizeof(*table->rules));
    }
    struct rule *rule = &table->rules[at];
    memmove(rule + 1, rule, (table->n - at) * sizeof(*rule));
    table->n++;
    *rule = (struct rule){.prefix = mem_alloc(prefix.len), .len = prefix.len};
    memcpy(rule->prefix, prefix.ptr, prefix.len);
    return rule;
}

static bool check_prefix(struct bytes prefix, char *error, size_t size)
{
    if (prefix.len == 0)
        snprintf(error, size, "the prefix is empty (the default policy is made by directives)");
    else if (prefix.len > POLICY_PREFIX_MAX)
        snprintf(error, size, "a prefix may have %d bytes at most", POLICY_PREFIX_MAX);
    else if (policy_words_is_word(prefix))
        snprintf(error, size, "the prefix is missing, it comes before name=value");
    else
        return true;
    return false;
}

bool policy_table_set(struct policy_table *table, struct bytes prefix, const struct bytes *words,
                      size_t n_words, char *error, size_t size)
{
    size_t at;
    if (!check_prefix(prefix, error, size))
        return false;
    struct rule *rule = find_exactly(table, prefix, &at);
    struct policy_words own = {.set = 0};
    if (rule != NULL)
        own = rule->own;
    if (!policy_words_parse(&own, words, n_words, error, size))
        return false;
    if (rule == NULL && table->n == POLICY_MAX) {
        snprintf(error, size, "there are %d policies already, as many as there can be", POLICY_MAX);
        return false;
    }
    if (rule == NULL)
        rule = insert(table, at, prefix);
    rule->own = own;
    refresh(table, rule);
    settle(table);
    return true;
}

bool policy_table_remove(struct policy_table *table, struct bytes prefix)
{
    size_t at;
    struct rule *rule = find_exactly(table, prefix, &at);
    if (rule == NULL)
        return false;
    mem_free(rule->prefix);
    table->n--;
    memmove(rule, rule + 1, (table->n - at) * sizeof(*rule));
    settle(table);
    return true;
}

void policy_table_copy(struct policy_table *table, const struct policy_table *from)
{
    remove_all(table);
    for (size_t i = 0; i < from->n; i++) {
        struct rule *rule = insert(table, i, rule_prefix(&from->rules[i]));
        rule->own = from->rules[i].own;
        refresh(table, rule);
    }
    settle(table);
}

/* Listing */

size_t policy_table_count(const struct policy_table *table)
{
    return table->n;
}

const struct policy *policy_table_at(const struct policy_table *table, size_t i,
                                     struct bytes *prefix, struct buf *words)
{
    const struct rule *rule = &table->rules[i];
    *prefix = rule_prefix(rule);
    if (words != NULL)
        policy_words_print(&rule->own, words);
    return &rule->policy;
}
