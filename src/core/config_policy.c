/* The directive `policy`; see config_policy.h. */
#include "core/config_policy.h"

#include "core/config_format.h"
#include "resp/inline.h"
#include "resp/request.h"

#include <stdio.h>

/* Cuts a line that came as one word. False for quotes that don't match, or without memory. */
static bool cut(struct bytes word, struct buf *text, struct request_args *args)
{
    return word.len <= REQUEST_LINE_MAX && inline_split(word, text, args) == INLINE_OK;
}

bool config_policy_prefix(const struct bytes *words, size_t n_words, struct buf *text,
                          struct bytes *prefix)
{
    struct request_args args = {NULL, 0, 0};
    bool found = n_words > 1;
    if (found) {
        *prefix = words[0];
    } else if (n_words == 1 && cut(words[0], text, &args) && args.n > 0) {
        *prefix = args.items[0];
        found = true;
    }
    request_args_deinit(&args);
    return found;
}

static void clear(struct policy_table *table)
{
    struct policy_table *empty = policy_table_create();
    policy_table_copy(table, empty);
    policy_table_destroy(empty);
}

bool config_policy_add(struct policy_table *table, const struct bytes *words, size_t n_words,
                       char *err, size_t size)
{
    struct request_args args = {NULL, 0, 0};
    struct buf text;
    bool good = true;
    buf_init(&text);
    if (n_words == 1) {
        good = cut(words[0], &text, &args);
        words = args.items;
        n_words = args.n;
    }
    if (!good)
        snprintf(err, size, "unbalanced quotes");
    else if (n_words == 0)
        clear(table);
    else
        good = policy_table_set(table, words[0], words + 1, n_words - 1, err, size);
    request_args_deinit(&args);
    buf_deinit(&text);
    return good;
}

/* True for a prefix that is one word as it stands. */
static bool is_plain(struct bytes prefix)
{
    for (size_t i = 0; i < prefix.len; i++)
        if (prefix.ptr[i] <= ' ' || prefix.ptr[i] >= 0x7f || strchr("\"'\\", prefix.ptr[i]) != NULL)
            return false;
    return true;
}

void config_policy_line(const struct policy_table *table, size_t i, struct buf *out)
{
    struct bytes prefix;
    struct buf words;
    if (i >= policy_table_count(table)) {
        config_format_text(BYTES("\"\""), out);
        return;
    }
    buf_init(&words);
    policy_table_at(table, i, &prefix, &words);
    if (is_plain(prefix))
        config_format_text(prefix, out);
    else
        config_format_quoted(prefix, out);
    config_format_text(BYTES(" "), out);
    config_format_text(buf_bytes(&words), out);
    buf_deinit(&words);
}

void config_policy_lines(const struct policy_table *table, struct buf *out)
{
    for (size_t i = 0; i < policy_table_count(table); i++) {
        if (i > 0)
            config_format_text(BYTES("\n"), out);
        config_policy_line(table, i, out);
    }
}

bool config_policy_equal(const struct policy_table *a, const struct policy_table *b)
{
    struct buf lines_a;
    struct buf lines_b;
    buf_init(&lines_a);
    buf_init(&lines_b);
    config_policy_lines(a, &lines_a);
    config_policy_lines(b, &lines_b);
    bool equal = bytes_equal(buf_bytes(&lines_a), buf_bytes(&lines_b));
    buf_deinit(&lines_a);
    buf_deinit(&lines_b);
    return equal;
}
