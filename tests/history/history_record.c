/* The record of a round; see history.h. */
#include "history.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Share of lists and hashes among the registers, by number. */
static const enum key_type types[] = {KEY_STRING, KEY_HASH, KEY_STRING, KEY_LIST};

#define N_TYPES (sizeof(types) / sizeof(types[0]))

/* A list's length grows with its type: each number of each type has each kind of writer. */
static enum key_writers writers_of(unsigned i)
{
    switch (i / N_TYPES % 3) {
    case 0: return WRITTEN_BY_ALL;
    case 1: return WRITTEN_AT_L2;
    default: return WRITTEN_THROUGH_LARDERS;
    }
}

int64_t history_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

void *history_grow(void *array, size_t n, size_t *cap, size_t item_size)
{
    if (n < *cap)
        return array;
    *cap = *cap == 0 ? 1024 : *cap * 2;
    array = reallocarray(array, *cap, item_size);
    if (array == NULL)
        abort();
    return array;
}

void history_init(struct history *history, unsigned n_views)
{
    memset(history, 0, sizeof(*history));
    history->n_views = n_views;
    history->notes = calloc(NOTES_MAX, sizeof(*history->notes));
    history->oddities = calloc(ODDITIES_MAX, sizeof(*history->oddities));
    if (history->notes == NULL || history->oddities == NULL)
        abort();
}

void history_deinit(struct history *history)
{
    free(history->ops);
    free(history->writes);
    free(history->notes);
    free(history->oddities);
}

static void name_key(struct history *history, unsigned i, const char *word, uint64_t seed)
{
    snprintf(history->keys[i].name, sizeof(history->keys[i].name), "h:%llu:%u:%s",
             (unsigned long long)seed, history->round, word);
}

void history_begin(struct history *history, unsigned round, unsigned n, uint64_t seed)
{
    char word[16];
    history->round = round;
    history->start_ns = history_now_ns();
    history->n_ops = 0;
    history->n_values = 1;
    history->n_notes = 0;
    history->n_oddities = 0;
    history->n_keys = 0;
    for (unsigned i = 0; i < n; i++) {
        snprintf(word, sizeof(word), "%u", i);
        name_key(history, i, word, seed);
        history->keys[i].type = types[i % N_TYPES];
        history->keys[i].writers = writers_of(i);
    }
    /* Counters have the names of registers, in another database. */
    for (unsigned i = 0; i < (n + 2) / 3; i++) {
        history->keys[n + i] = history->keys[i];
        history->keys[n + i].type = KEY_COUNTER;
        history->keys[n + i].writers = WRITTEN_BY_ALL;
    }
    history->n_keys = n + (n + 2) / 3;
}

size_t history_add(struct history *history, const struct op *op)
{
    history->ops =
        history_grow(history->ops, history->n_ops, &history->ops_cap, sizeof(*history->ops));
    history->ops[history->n_ops] = *op;
    if (op->kind == OP_VALUE_WRITE)
        history->writes[op->value] = (uint32_t)history->n_ops;
    return history->n_ops++;
}

int64_t history_new_value(struct history *history)
{
    history->writes = history_grow(history->writes, history->n_values, &history->values_cap,
                                   sizeof(*history->writes));
    history->writes[history->n_values] = UINT32_MAX;
    return (int64_t)history->n_values++;
}

/* "v" round ":" value, padded with zeros. */
void history_value_text(const struct history *history, int64_t value, char *text)
{
    char whole[64];
    snprintf(whole, sizeof(whole), "v%06u:%012llu", history->round % 1000000,
             (unsigned long long)value);
    memcpy(text, whole, VALUE_TEXT_LEN);
}

int64_t history_value_of(const struct history *history, const char *text, size_t len)
{
    char expected[VALUE_TEXT_LEN];
    int64_t value = 0;
    if (len != VALUE_TEXT_LEN)
        return VALUE_STRANGE;
    for (size_t i = 8; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return VALUE_STRANGE;
        value = value * 10 + (text[i] - '0');
    }
    if (value < 1 || value >= (int64_t)history->n_values || history->writes[value] == UINT32_MAX)
        return VALUE_STRANGE;
    history_value_text(history, value, expected);
    return memcmp(text, expected, len) == 0 ? value : VALUE_STRANGE;
}

void history_note(struct history *history, int64_t at_ns, const char *format, ...)
{
    va_list args;
    if (history->n_notes == NOTES_MAX)
        return;
    struct note *note = &history->notes[history->n_notes++];
    note->at_ns = at_ns;
    va_start(args, format);
    vsnprintf(note->text, sizeof(note->text), format, args);
    va_end(args);
}

void history_odd(struct history *history, size_t op, const char *format, ...)
{
    va_list args;
    if (history->n_oddities < ODDITIES_MAX) {
        struct oddity *oddity = &history->oddities[history->n_oddities];
        oddity->op = op;
        va_start(args, format);
        vsnprintf(oddity->text, sizeof(oddity->text), format, args);
        va_end(args);
    }
    history->n_oddities++;
}
