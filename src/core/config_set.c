/* CONFIG SET: several directives at once or not at all; see config.h.
 *
 *     find rows -> parse values -> exchange with those in place -> check -> apply each group
 *                                                                  any failure: exchange back
 */
#include "core/config.h"

#include "base/mem.h"
#include "core/config_fault.h"
#include "core/config_format.h"

#include <stdio.h>

/* One directive that is set. No name comes twice, so there are no more of them than rows. */
struct change {
    const struct config_row *row;
    struct bytes text;        /* the new value as it was given */
    union config_value value; /* before the exchange the new one, behind it the old one */
    bool differs;
};

struct set {
    struct config *config;
    struct change changes[CONFIG_ROWS_MAX];
    size_t n_changes;
    char *err;
    size_t size;
};

/* Writes Redis's error. `name` is cut at a NUL, and CR and LF become blanks, as in its replies. */
static bool refuse(struct set *set, struct bytes name, const char *reason)
{
    char shown[CONFIG_ERR_SIZE / 2];
    size_t len = 0;
    for (; len < name.len && len + 1 < sizeof(shown) && name.ptr[len] != '\0'; len++)
        shown[len] = name.ptr[len] == '\r' || name.ptr[len] == '\n' ? ' ' : name.ptr[len];
    shown[len] = '\0';
    if (reason == NULL)
        snprintf(set->err, set->size,
                 "ERR Unknown option or number of arguments for CONFIG SET - '%s'", shown);
    else
        snprintf(set->err, set->size,
                 "ERR CONFIG SET failed (possibly related to argument '%s') - %s", shown, reason);
    return false;
}

static void compare(void *ctx, struct bytes name, struct bytes value)
{
    struct bytes *wanted = ctx;
    (void)name;
    if (bytes_equal(*wanted, value))
        wanted->ptr = NULL;
}

/* True for what changes nothing though it can't be changed: tools set again what they were shown. Redis's own directives are refused as
 * Redis refuses them. */
static bool is_as_shown(const struct set *set, const struct config_row *row, struct bytes text)
{
    struct bytes name = bytes_of_str(row->name);
    struct bytes wanted = bytes_of(text.len > 0 ? text.ptr : "", text.len);
    if ((row->flags & CONFIG_UNKNOWN) == 0)
        return false;
    config_get(set->config, &name, 1, compare, &wanted);
    return wanted.ptr == NULL;
}

static bool find_rows(struct set *set, const struct bytes *pairs, size_t n_pairs)
{
    for (size_t i = 0; i < n_pairs; i++) {
        struct bytes name = pairs[2 * i];
        const struct config_row *row = config_table_find(name);
        if (row == NULL)
            return refuse(set, name, NULL);
        if ((row->flags & CONFIG_IMMUTABLE) != 0 && is_as_shown(set, row, pairs[2 * i + 1]))
            continue;
        if (row->type == CONFIG_POLICIES)
            return refuse(set, name, "use CACHE POLICY SET and CACHE POLICY DEL");
        if ((row->flags & CONFIG_IMMUTABLE) != 0)
            return refuse(set, name, "can't set immutable config");
        for (size_t j = 0; j < set->n_changes; j++)
            if (set->changes[j].row == row)
                return refuse(set, name, "duplicate parameter");
        struct change *change = &set->changes[set->n_changes++];
        change->row = row;
        change->text = pairs[2 * i + 1];
    }
    return true;
}

static void release_values(struct set *set, size_t n)
{
    for (size_t i = 0; i < n; i++)
        config_value_release(set->changes[i].row, &set->changes[i].value);
}

static bool parse_values(struct set *set)
{
    for (size_t i = 0; i < set->n_changes; i++) {
        struct change *change = &set->changes[i];
        union config_value current;
        struct config_fault fault;
        config_value_borrow(set->config, change->row, &current);
        if (!config_value_parse(change->row, &change->text, 1, &current, &change->value, &fault)) {
            struct buf reason;
            buf_init(&reason);
            config_fault_reply(change->row, &fault, &reason);
            config_format_text(bytes_of("", 1), &reason);
            refuse(set, bytes_of_str(change->row->name), reason.data);
            buf_deinit(&reason);
            release_values(set, i);
            return false;
        }
        change->differs = !config_value_equal(change->row, &current, &change->value);
    }
    return true;
}

static void exchange(struct set *set)
{
    for (size_t i = 0; i < set->n_changes; i++)
        config_value_swap(set->config, set->changes[i].row, &set->changes[i].value);
}

/* The first directive of a group that differs, or NULL. */
static const struct config_row *first_of(const struct set *set, uint32_t group)
{
    for (size_t i = 0; i < set->n_changes; i++)
        if (set->changes[i].differs && set->changes[i].row->group == group)
            return set->changes[i].row;
    return NULL;
}

static bool apply_groups(struct set *set, config_apply_fn *apply, void *ctx)
{
    char reason[CONFIG_ERR_SIZE / 2] = "it could not be applied";
    char ignored[CONFIG_ERR_SIZE / 2];
    for (uint32_t group = 1; group <= CONFIG_OTHER; group <<= 1) {
        const struct config_row *first = first_of(set, group);
        if (first == NULL || apply(ctx, group, reason, sizeof(reason)))
            continue;
        exchange(set);
        for (uint32_t undone = 1; undone <= group; undone <<= 1)
            if (first_of(set, undone) != NULL)
                (void)apply(ctx, undone, ignored, sizeof(ignored));
        return refuse(set, bytes_of_str(first->name), reason);
    }
    return true;
}

static bool put(struct set *set, config_apply_fn *apply, void *ctx)
{
    char reason[CONFIG_ERR_SIZE / 2];
    exchange(set);
    const char *name = config_check(set->config, reason, sizeof(reason));
    if (name != NULL) {
        exchange(set);
        return refuse(set, bytes_of_str(name), reason);
    }
    return apply == NULL || apply_groups(set, apply, ctx);
}

bool config_set(struct config *config, const struct bytes *pairs, size_t n_pairs,
                config_apply_fn *apply, void *ctx, char *err, size_t size)
{
    struct set *set = mem_zalloc(sizeof(*set));
    set->config = config;
    set->err = err;
    set->size = size;
    bool done = find_rows(set, pairs, n_pairs) && parse_values(set);
    if (done) {
        done = put(set, apply, ctx);
        release_values(set, set->n_changes);
    }
    mem_free(set);
    return done;
}
