/* The configuration of one instance: life cycle, CONFIG GET, CONFIG SET; see config.h. */
#include "core/config.h"

#include "base/glob.h"
#include "base/mem.h"
#include "core/config_fault.h"
#include "core/config_format.h"

#include <inttypes.h>
#include <stdio.h>

/* Life cycle */

void config_init(struct config *config)
{
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < n_rows; i++) {
        union config_value standard;
        config_value_standard(&rows[i], &standard);
        config_value_swap(config, &rows[i], &standard);
    }
    config->file = mem_strdup("");
    config->upstream_secret = mem_strdup("");
}

void config_deinit(struct config *config)
{
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        union config_value value;
        config_value_borrow(config, &rows[i], &value);
        config_value_release(&rows[i], &value);
    }
    mem_free(config->file);
    explicit_bzero(config->upstream_secret, strlen(config->upstream_secret));
    mem_free(config->upstream_secret);
    memset(config, 0, sizeof(*config));
}

/* Reading */

struct get {
    const struct config *config;
    bool seen[CONFIG_ROWS_MAX];
    size_t n_found;
    struct buf text;
    config_visit_fn *fn;
    void *ctx;
};

static void get_row(struct get *get, const struct config_row *row, size_t i, struct bytes name)
{
    union config_value value;
    if (get->seen[i])
        return;
    get->seen[i] = true;
    get->n_found++;
    if (get->fn == NULL)
        return;
    get->text.len = 0;
    config_value_borrow(get->config, row, &value);
    config_format_value(row, &value, &get->text);
    get->fn(get->ctx, name, buf_bytes(&get->text));
}

bool config_is_pattern(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '*' || text.ptr[i] == '?' || text.ptr[i] == '[')
            return true;
    return false;
}

size_t config_get(const struct config *config, const struct bytes *patterns, size_t n_patterns,
                  config_visit_fn *fn, void *ctx)
{
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    struct get get = {.config = config, .fn = fn, .ctx = ctx};
    buf_init(&get.text);
    for (size_t i = 0; i < n_patterns && get.n_found < n_rows; i++) {
        bool pattern = config_is_pattern(patterns[i]);
        for (size_t j = 0; j < n_rows; j++) {
            struct bytes name = bytes_of_str(rows[j].name);
            if (pattern && glob_match(patterns[i], name, true))
                get_row(&get, &rows[j], j, name);
            else if (!pattern && bytes_equal_nocase(patterns[i], name))
                get_row(&get, &rows[j], j, patterns[i]);
        }
    }
    buf_deinit(&get.text);
    return get.n_found;
}

void config_upstream_shown(const struct config *config, char *out, size_t size)
{
    struct buf text;
    buf_init(&text);
    config_format_masked(bytes_of_str(config->upstream), &text);
    snprintf(out, size, "%.*s", (int)text.len, text.len > 0 ? text.data : "");
    buf_deinit(&text);
}

void config_store_options(const struct config *config, struct store_options *options)
{
    store_options_default(options);
    options->max_bytes = (size_t)config->maxmemory_bytes;
    options->max_entries = (size_t)config->l1_max_entries;
    options->policy = config->maxmemory_policy;
    options->samples = (unsigned)config->maxmemory_samples;
    options->lfu_log_factor = (unsigned)config->lfu_log_factor;
    options->lfu_decay_minutes = (unsigned)config->lfu_decay_minutes;
    options->n_dbs = (unsigned)config->databases;
    options->max_item_bytes = (size_t)config->l1_max_item_bytes;
}

/* Checking and assigning */

const char *config_check(const struct config *config, char *err, size_t size)
{
    if (config->upstream_backoff_min_ms <= config->upstream_backoff_max_ms)
        return NULL;
    snprintf(err, size, "%" PRId64 " is above upstream-backoff-max (%" PRId64 ")",
             config->upstream_backoff_min_ms, config->upstream_backoff_max_ms);
    return "upstream-backoff-min";
}

/* True for what could be the name of a directive, and is shown without quotes. */
static bool is_plain(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (bytes_lower(name.ptr[i]) < 'a' || bytes_lower(name.ptr[i]) > 'z')
            if (name.ptr[i] != '-' && name.ptr[i] != '_' &&
                (name.ptr[i] < '0' || name.ptr[i] > '9'))
                return false;
    return name.len > 0 && name.len <= 64;
}

/* Appends an unknown name for people. What follows a secret's name may be the secret itself, with a
 * blank forgotten between them, so that is left out. */
static void add_unknown(struct bytes name, struct buf *out)
{
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        size_t len = strlen(rows[i].name);
        if ((rows[i].flags & CONFIG_SECRET) == 0 || len > name.len ||
            !bytes_equal_nocase(bytes_of(name.ptr, len), bytes_of(rows[i].name, len)))
            continue;
        config_format_print(out, "%s...", rows[i].name);
        return;
    }
    if (is_plain(name))
        config_format_text(name, out);
    else
        config_format_shown(name, out);
}

static bool refuse_unknown(struct bytes name, char *err, size_t size)
{
    const struct config_row *nearest = config_table_nearest(name);
    struct buf text;
    buf_init(&text);
    add_unknown(name, &text);
    config_format_print(&text, ": unknown directive");
    if (nearest != NULL)
        config_format_print(&text, " (did you mean %s?)", nearest->name);
    snprintf(err, size, "%.*s", (int)text.len, text.data);
    buf_deinit(&text);
    return false;
}

bool config_assign(struct config *config, struct bytes name, const struct bytes *values,
                   size_t n_values, char *err, size_t size)
{
    const struct config_row *row = config_table_find(name);
    union config_value current;
    union config_value value;
    struct config_fault fault;
    if (row == NULL)
        return refuse_unknown(name, err, size);
    config_value_borrow(config, row, &current);
    if (!config_value_parse(row, values, n_values, &current, &value, &fault)) {
        struct buf reason;
        buf_init(&reason);
        config_fault_explain(row, &fault, &reason);
        snprintf(err, size, "%s: %.*s", row->name, (int)reason.len, reason.data);
        buf_deinit(&reason);
        return false;
    }
    config_value_swap(config, row, &value);
    config_value_release(row, &value);
    return true;
}

bool config_is_own(struct bytes name)
{
    const struct config_row *row = config_table_find(name);
    return row != NULL && row->section != CONFIG_SECTION_COMPATIBILITY;
}

/* Passwords of Redis that larder has no directive for. */
static bool is_upstream_secret(struct bytes name)
{
    return bytes_is(name, "masterauth") || bytes_is(name, "tls-key-file-pass") ||
           bytes_is(name, "tls-client-key-file-pass");
}

bool config_is_sensitive(struct bytes name)
{
    const struct config_row *row = config_table_find(name);
    if (row == NULL)
        return is_upstream_secret(name);
    return (row->flags & (CONFIG_SECRET | CONFIG_URL)) != 0;
}
