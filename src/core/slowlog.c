/* The slow log; see slowlog.h. */
#include "core/slowlog.h"

#include "base/mem.h"
#include "core/config.h"

#include <stdio.h>

#define REDACTED BYTES("(redacted)")

/* Room for "... (18446744073709551615 more arguments)" behind a cut argument. */
#define MORE_SIZE 48

void slowlog_init(struct slowlog *slowlog)
{
    TAILQ_INIT(&slowlog->entries);
    slowlog->n = 0;
    slowlog->next_id = 0;
}

static void drop_oldest(struct slowlog *slowlog)
{
    struct slowlog_entry *entry = TAILQ_LAST(&slowlog->entries, slowlog_entries);
    TAILQ_REMOVE(&slowlog->entries, entry, link);
    slowlog->n--;
    mem_free(entry);
}

void slowlog_reset(struct slowlog *slowlog)
{
    while (slowlog->n > 0)
        drop_oldest(slowlog);
}

/* True when argument `i` is a secret, or may be; the same arguments as redis-server 7.0 redacts. */
static bool is_secret(const struct bytes *argv, size_t argc, size_t i)
{
    if (i == 0)
        return false;
    if (bytes_is(argv[0], "auth"))
        return true;
    if (bytes_is(argv[0], "hello"))
        return bytes_is(argv[i - 1], "auth") || (i >= 2 && bytes_is(argv[i - 2], "auth"));
    if (bytes_is(argv[0], "migrate"))
        return i > 5 && (bytes_is(argv[i - 1], "auth") || bytes_is(argv[i - 1], "auth2") ||
                         bytes_is(argv[i - 2], "auth2"));
    if (argc < 3 || i < 2)
        return false;
    if (bytes_is(argv[0], "config"))
        return bytes_is(argv[1], "set") && i % 2 == 1 && config_is_sensitive(argv[i - 1]);
    return bytes_is(argv[0], "acl") && bytes_is(argv[1], "setuser");
}

/* What is kept of one argument: `head` and then `more` (a NUL-terminated text). */
struct cut {
    struct bytes head;
    char more[MORE_SIZE];
};

static void cut_arg(const struct slowlog_event *event, size_t i, struct cut *cut)
{
    cut->more[0] = '\0';
    if (event->argc > SLOWLOG_ARGS_MAX && i == SLOWLOG_ARGS_MAX - 1) {
        cut->head = BYTES("");
        snprintf(cut->more, sizeof(cut->more), "... (%zu more arguments)", event->argc - i);
        return;
    }
    cut->head = is_secret(event->argv, event->argc, i) ? REDACTED : event->argv[i];
    if (cut->head.len > SLOWLOG_ARG_BYTES_MAX) {
        snprintf(cut->more, sizeof(cut->more), "... (%zu more bytes)",
                 cut->head.len - SLOWLOG_ARG_BYTES_MAX);
        cut->head.len = SLOWLOG_ARG_BYTES_MAX;
    }
}

static struct bytes shortened(struct bytes text)
{
    return bytes_of(text.ptr, text.len < SLOWLOG_ARG_BYTES_MAX ? text.len : SLOWLOG_ARG_BYTES_MAX);
}

/* Copies `text` to *to and moves it on. */
static struct bytes copy(char **to, struct bytes text)
{
    struct bytes copied = bytes_of(*to, text.len);
    if (text.len > 0)
        memcpy(*to, text.ptr, text.len);
    *to += text.len;
    return copied;
}

/* An entry without id, or NULL without memory. Its size is bounded by the two limits of
 * slowlog.h. */
static struct slowlog_entry *entry_of(const struct slowlog_event *event)
{
    size_t argc = event->argc < SLOWLOG_ARGS_MAX ? event->argc : SLOWLOG_ARGS_MAX;
    struct bytes address = shortened(event->client_address);
    struct bytes name = shortened(event->client_name);
    struct cut cuts[SLOWLOG_ARGS_MAX];
    size_t size =
        sizeof(struct slowlog_entry) + argc * sizeof(struct bytes) + address.len + name.len;
    for (size_t i = 0; i < argc; i++) {
        cut_arg(event, i, &cuts[i]);
        size += cuts[i].head.len + strlen(cuts[i].more);
    }
    struct slowlog_entry *entry = mem_try(size);
    if (entry == NULL)
        return NULL;
    entry->unix_s = event->unix_s;
    entry->duration_us = event->duration_us;
    entry->argc = argc;
    char *to = (char *)&entry->argv[argc];
    for (size_t i = 0; i < argc; i++) {
        entry->argv[i] = copy(&to, cuts[i].head);
        entry->argv[i].len += copy(&to, bytes_of_str(cuts[i].more)).len;
    }
    entry->client_address = copy(&to, address);
    entry->client_name = copy(&to, name);
    return entry;
}

void slowlog_note(struct slowlog *slowlog, size_t max_len, const struct slowlog_event *event)
{
    struct slowlog_entry *entry = entry_of(event);
    if (entry != NULL) {
        entry->id = slowlog->next_id++;
        TAILQ_INSERT_HEAD(&slowlog->entries, entry, link);
        slowlog->n++;
    }
    while (slowlog->n > max_len)
        drop_oldest(slowlog);
}
