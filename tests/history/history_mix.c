/* Choosing and spelling what clients ask; see history_mix.h. */
#include "history_mix.h"

#include "history_verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 12
#define PAYLOAD_MAX 96
#define TTL_MAX_MS 400
/* One write in so many empties the database. */
#define FLUSH_ONCE_IN 3000
/* Version of DUMP's format that every Redis from 5 on reads. */
#define RDB_VERSION 9

/* What a verb's commands are spelled with. */
struct spelling {
    struct mix *mix;
    const struct mix_client *client;
    const struct verb *verb;
    unsigned k, l;
    int64_t v, w; /* 0: not made yet */
    int32_t ttl_ms;
    int32_t number;
    char temporary[HISTORY_NAME_MAX + 24];
};

/* Spelling */

/* CRC-64 of Jones, as Redis's DUMP ends with. */
static uint64_t crc64(const unsigned char *data, size_t len)
{
    uint64_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x95ac9329ac4bc9b5u : 0);
    }
    return crc;
}

/* What DUMP would say of a string with that value. */
static size_t dump(const struct history *history, int64_t value, char *payload)
{
    unsigned char *at = (unsigned char *)payload;
    at[0] = 0; /* a string */
    at[1] = VALUE_TEXT_LEN;
    history_value_text(history, value, payload + 2);
    at[2 + VALUE_TEXT_LEN] = RDB_VERSION;
    at[3 + VALUE_TEXT_LEN] = 0;
    uint64_t crc = crc64(at, 4 + VALUE_TEXT_LEN);
    for (size_t i = 0; i < 8; i++)
        at[4 + VALUE_TEXT_LEN + i] = (unsigned char)(crc >> (8 * i));
    return 12 + VALUE_TEXT_LEN;
}

static int64_t *value_of(struct spelling *spelling, bool second)
{
    int64_t *value = second ? &spelling->w : &spelling->v;
    if (*value == 0)
        *value = history_new_value(spelling->mix->history);
    return value;
}

/* Writes what a word beginning with % stands for into `text`. Returns its length. */
static size_t substitute(struct spelling *spelling, char letter, char *text)
{
    const struct history *history = spelling->mix->history;
    switch (letter) {
    case 'k': return (size_t)snprintf(text, PAYLOAD_MAX, "%s", history->keys[spelling->k].name);
    case 'l': return (size_t)snprintf(text, PAYLOAD_MAX, "%s", history->keys[spelling->l].name);
    case 't': return (size_t)snprintf(text, PAYLOAD_MAX, "%s", spelling->temporary);
    case 'd': return dump(history, *value_of(spelling, false), text);
    case 'p':
        spelling->ttl_ms = (int32_t)random_range(&spelling->mix->random, 1, TTL_MAX_MS);
        return (size_t)snprintf(text, PAYLOAD_MAX, "%d", spelling->ttl_ms);
    case 'n':
        spelling->number = (int32_t)random_range(&spelling->mix->random, 1, 9);
        return (size_t)snprintf(text, PAYLOAD_MAX, "%d", spelling->number);
    default:
        history_value_text(history, *value_of(spelling, letter == 'w'), text);
        return VALUE_TEXT_LEN;
    }
}

static void append_word(struct buf *out, const char *text, size_t len)
{
    if (!buf_printf(out, "$%zu\r\n", len) || !buf_append(out, text, len) ||
        !buf_append(out, "\r\n", 2))
        abort();
}

static void append_command(struct spelling *spelling, const char *command, struct buf *out)
{
    char payload[PAYLOAD_MAX];
    size_t n = 1;
    for (const char *at = command; *at != '\0'; at++)
        n += *at == ' ';
    if (!buf_printf(out, "*%zu\r\n", n))
        abort();
    for (const char *at = command; n > 0; n--) {
        size_t len = strcspn(at, " ");
        if (at[0] == '%' && at[1] >= '1' && at[1] <= '9')
            append_word(out, scripts[at[1] - '0'], strlen(scripts[at[1] - '0']));
        else if (at[0] == '%')
            append_word(out, payload, substitute(spelling, at[1], payload));
        else
            append_word(out, at, len);
        at += len + 1;
    }
}

/* Operations */

static enum op_kind kind_of(char letter)
{
    switch (letter | 0x20) {
    case 'r': return OP_VALUE_READ;
    case 'p': return OP_PRESENCE_READ;
    case 'w': return OP_VALUE_WRITE;
    case 't':
    case 'u': return OP_TTL_WRITE;
    case 'c': return OP_COUNT_READ;
    case 'i': return OP_COUNT_WRITE;
    default: return OP_NIL_WRITE;
    }
}

static void add_op(struct spelling *spelling, char letter, unsigned key, size_t command,
                   int64_t now_ns)
{
    const struct verb *verb = spelling->verb;
    struct op op = {.begin_ns = now_ns,
                    .end_ns = OP_NEVER,
                    .command = (uint32_t)command,
                    .conn = (uint16_t)spelling->client->conn,
                    .key = (uint16_t)key,
                    .kind = kind_of(letter),
                    .view = (uint8_t)spelling->client->view,
                    .is_loose = (verb->flags & LOOSE) && spelling->client->view > 0 &&
                                !spelling->mix->is_strict,
                    .verb = verb->name};
    if (op.kind == OP_VALUE_WRITE)
        op.value = letter == 'W' ? spelling->w : spelling->v;
    if (letter == 'w' || letter == 't')
        op.extra = spelling->ttl_ms;
    if (letter == 'u')
        op.extra = TTL_PERSIST;
    if (op.kind == OP_COUNT_WRITE)
        op.extra = spelling->number;
    history_add(spelling->mix->history, &op);
}

static void add_ops(struct spelling *spelling, const char *letters, int64_t now_ns)
{
    const struct history *history = spelling->mix->history;
    size_t command = history->n_ops;
    for (; *letters != '\0'; letters++) {
        bool is_second = *letters >= 'A' && *letters <= 'Z';
        if (*letters != '*') {
            add_op(spelling, *letters, is_second ? spelling->l : spelling->k, command, now_ns);
            continue;
        }
        for (unsigned key = 0; key < history->n_keys; key++)
            if (history->keys[key].type != KEY_COUNTER)
                add_op(spelling, 'n', key, command, now_ns);
    }
}

/* Choosing */

/* True when the list of names with commas has `name`. */
static bool has_name(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        size_t n = strcspn(at, ",");
        if (n == len && memcmp(at, name, n) == 0)
            return true;
        at += n;
    }
    return false;
}

static bool may_write(const struct mix *mix, unsigned key, unsigned view)
{
    switch (mix->history->keys[key].writers) {
    case WRITTEN_AT_L2: return view == 0 || !mix->has_direct;
    case WRITTEN_THROUGH_LARDERS: return view > 0;
    default: return true;
    }
}

static bool is_usable(const struct mix *mix, const struct mix_client *client,
                      const struct verb *verb, enum key_type type, bool writes)
{
    return (verb->types & (1u << type)) && (verb->flags & WRITES) == (writes ? WRITES : 0) &&
           (client->view > 0 || !(verb->flags & LARDER_ONLY)) &&
           (mix->only == NULL || has_name(mix->only, verb->name));
}

static const struct verb *choose_verb(struct mix *mix, const struct mix_client *client,
                                      enum key_type type, bool writes)
{
    const struct verb *chosen = NULL;
    uint64_t total = 0;
    bool flushes = writes && random_below(&mix->random, FLUSH_ONCE_IN) == 0;
    for (size_t i = 0; i < N_VERBS; i++) {
        const struct verb *verb = &verbs[i];
        if (!is_usable(mix, client, verb, type, writes))
            continue;
        if (verb->weight == 0 && flushes)
            return verb;
        total += verb->weight;
        if (verb->weight > 0 && random_below(&mix->random, total) < verb->weight)
            chosen = verb;
    }
    return chosen;
}

/* A key of the client's kind of use, and of `type` if that isn't KEY_TYPES, that isn't `but`. Returns
 * n_keys if there is none. */
static unsigned choose_key(struct mix *mix, const struct mix_client *client, enum key_type type,
                           bool writes, unsigned but)
{
    const struct history *history = mix->history;
    unsigned start = (unsigned)random_below(&mix->random, history->n_keys);
    for (unsigned i = 0; i < history->n_keys; i++) {
        unsigned key = (start + i) % history->n_keys;
        enum key_type is = history->keys[key].type;
        if (key != but && (is == KEY_COUNTER) == client->counts &&
            (type == KEY_TYPES || type == is) && (!writes || may_write(mix, key, client->view)))
            return key;
    }
    return history->n_keys;
}

static bool wants_second(const struct verb *verb)
{
    for (const struct step *step = verb->steps; step->command != NULL; step++)
        if (strstr(step->command, "%l") != NULL)
            return true;
    return false;
}

unsigned mix_ask(struct mix *mix, const struct mix_client *client, struct buf *out,
                 struct pending *pending)
{
    struct history *history = mix->history;
    bool writes = random_percent(&mix->random, mix->write_percent);
    struct spelling spelling = {.mix = mix, .client = client, .number = 1};
    spelling.k = choose_key(mix, client, KEY_TYPES, writes, history->n_keys);
    if (spelling.k == history->n_keys)
        return 0;
    enum key_type type = history->keys[spelling.k].type;
    spelling.verb = choose_verb(mix, client, type, writes);
    if (spelling.verb == NULL)
        return 0;
    if (wants_second(spelling.verb)) {
        spelling.l = choose_key(mix, client, type, writes, spelling.k);
        if (spelling.l == history->n_keys)
            return 0;
    }
    snprintf(spelling.temporary, sizeof(spelling.temporary), "%s:t%llu", history->keys[0].name,
             (unsigned long long)mix->n_temporary++);
    int64_t now_ns = history_now_ns();
    unsigned n = 0;
    for (const struct step *step = spelling.verb->steps; step->command != NULL; step++) {
        append_command(&spelling, step->command, out);
        pending[n] = (struct pending){.op = history->n_ops, .rule = (uint8_t)step->rule};
        add_ops(&spelling, step->ops, now_ns);
        pending[n].n_ops = (uint16_t)(history->n_ops - pending[n].op);
        n++;
    }
    return n;
}

/* Names */

bool mix_knows(const char *only)
{
    for (const char *at = only; *at != '\0'; at += *at == ',') {
        size_t len = strcspn(at, ",");
        bool known = false;
        for (size_t i = 0; i < N_VERBS; i++)
            known |= strlen(verbs[i].name) == len && memcmp(verbs[i].name, at, len) == 0;
        if (!known)
            return false;
        at += len;
    }
    return true;
}

void mix_print_verbs(void)
{
    for (size_t i = 0; i < N_VERBS; i++)
        printf("%s%s", i > 0 ? "," : "", verbs[i].name);
    printf("\n");
}
