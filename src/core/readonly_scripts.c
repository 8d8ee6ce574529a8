/* Scripts and functions that write nothing; see readonly_scripts.h. */
#include "core/readonly_scripts.h"

#include "base/mem.h"
#include "core/command_table.h"
#include "resp/walk.h"

#include <strings.h>

#define SHA_LEN 40
#define SHAS_MAX 512

struct readonly_scripts {
    char shas[SHAS_MAX][SHA_LEN];
    size_t n_shas;        /* ever added; the last SHAS_MAX are here */
    struct buf functions; /* names: records of length and bytes */
    bool has_asked;       /* for the functions */
};

struct readonly_scripts *readonly_scripts_create(void)
{
    return mem_zalloc(sizeof(struct readonly_scripts));
}

void readonly_scripts_destroy(struct readonly_scripts *scripts)
{
    if (scripts == NULL)
        return;
    buf_deinit(&scripts->functions);
    mem_free(scripts);
}

/* Cuts the next word off `text`: up to `end`. */
static struct bytes next_word(struct bytes *text, char end)
{
    const char *at = text->len > 0 ? memchr(text->ptr, end, text->len) : NULL;
    size_t len = at != NULL ? (size_t)(at - text->ptr) : text->len;
    struct bytes word = bytes_of(text->ptr, len);
    *text = bytes_of(text->ptr + len + (at != NULL), text->len - len - (at != NULL));
    return word;
}

bool readonly_scripts_is_text(struct bytes text)
{
    if (!bytes_starts_with(text, BYTES("#!")))
        return false;
    struct bytes line = next_word(&text, '\n');
    while (line.len > 0) {
        struct bytes part = next_word(&line, ' ');
        if (!bytes_starts_with(part, BYTES("flags=")))
            continue;
        part = bytes_of(part.ptr + 6, part.len - 6);
        while (part.len > 0)
            if (bytes_equal(next_word(&part, ','), BYTES("no-writes")))
                return true;
    }
    return false;
}

/* EVALSHA takes the digits in either case. */
static void copy_lower(char *out, struct bytes sha)
{
    for (size_t i = 0; i < SHA_LEN; i++)
        out[i] = sha.ptr[i] >= 'A' && sha.ptr[i] <= 'F' ? (char)(sha.ptr[i] | 0x20) : sha.ptr[i];
}

static bool has_sha(const struct readonly_scripts *scripts, struct bytes sha)
{
    char lower[SHA_LEN];
    if (sha.len != SHA_LEN)
        return false;
    copy_lower(lower, sha);
    for (size_t i = 0; i < scripts->n_shas && i < SHAS_MAX; i++)
        if (memcmp(scripts->shas[i], lower, SHA_LEN) == 0)
            return true;
    return false;
}

void readonly_scripts_add(struct readonly_scripts *scripts, struct bytes sha)
{
    if (sha.len == SHA_LEN && !has_sha(scripts, sha))
        copy_lower(scripts->shas[scripts->n_shas++ % SHAS_MAX], sha);
}

/* Functions */

static bool next(struct walk *walk, struct walk_item *item)
{
    return walk_value(walk, item, WALK_DEPTH_MAX) == WALK_OK;
}

static void add_function(struct readonly_scripts *scripts, struct bytes name)
{
    size_t len_before = scripts->functions.len;
    if (!buf_append(&scripts->functions, &name.len, sizeof(name.len)) ||
        !buf_append(&scripts->functions, name.ptr, name.len))
        scripts->functions.len = len_before; /* it waits */
}

static bool has_flag(struct walk walk, size_t n)
{
    struct walk_item item;
    for (; n > 0 && next(&walk, &item); n--)
        if (bytes_is(item.text, "no-writes"))
            return true;
    return false;
}

/* Reads one function: a map of its name, description and flags. */
static bool take_function(struct readonly_scripts *scripts, struct walk *walk)
{
    struct walk_item item, name = {0};
    bool is_readonly = false;
    if (!next(walk, &item))
        return false;
    for (size_t i = item.n_items / 2; i > 0; i--) {
        struct walk_item key, value;
        if (!next(walk, &key))
            return false;
        struct walk at = *walk;
        if (walk_skip(walk, 1, WALK_DEPTH_MAX) != WALK_OK || !next(&at, &value))
            return false;
        if (bytes_is(key.text, "name"))
            name = value;
        else if (bytes_is(key.text, "flags"))
            is_readonly = has_flag(at, value.n_items);
    }
    if (is_readonly && name.text.len > 0)
        add_function(scripts, name.text);
    return true;
}

/* Reads one library: a map, one of whose values is the array of its functions. */
static bool take_library(struct readonly_scripts *scripts, struct walk *walk)
{
    struct walk_item item;
    if (!next(walk, &item))
        return false;
    for (size_t i = item.n_items / 2; i > 0; i--) {
        struct walk_item key, value;
        if (!next(walk, &key))
            return false;
        struct walk at = *walk;
        if (walk_skip(walk, 1, WALK_DEPTH_MAX) != WALK_OK || !next(&at, &value))
            return false;
        for (size_t n = bytes_is(key.text, "functions") ? value.n_items : 0; n > 0; n--)
            if (!take_function(scripts, &at))
                return false;
    }
    return true;
}

void readonly_scripts_take_functions(struct readonly_scripts *scripts, struct bytes reply)
{
    struct walk walk = walk_over(reply.ptr, reply.len);
    struct walk_item item;
    buf_deinit(&scripts->functions);
    if (!next(&walk, &item) || item.type != WALK_ARRAY)
        return;
    for (size_t n = item.n_items; n > 0 && take_library(scripts, &walk); n--)
        ;
}

void readonly_scripts_forget_functions(struct readonly_scripts *scripts)
{
    buf_deinit(&scripts->functions);
    scripts->has_asked = false;
}

bool readonly_scripts_must_ask(struct readonly_scripts *scripts, const struct call *call)
{
    if (scripts->has_asked || call->command == NULL || strcmp(call->command->name, "fcall") != 0)
        return false;
    scripts->has_asked = true;
    return true;
}

/* Functions' names have no case. */
static bool has_function(const struct readonly_scripts *scripts, struct bytes name)
{
    const char *at = scripts->functions.data;
    const char *end = at + scripts->functions.len;
    while (at < end) {
        size_t len;
        memcpy(&len, at, sizeof(len));
        at += sizeof(len);
        if (len == name.len && strncasecmp(at, name.ptr, len) == 0)
            return true;
        at += len;
    }
    return false;
}

bool readonly_scripts_has(const struct readonly_scripts *scripts, const struct call *call)
{
    const char *name = call->command->name;
    if (call->argc < 2)
        return false;
    if (strcmp(name, "eval_ro") == 0 || strcmp(name, "evalsha_ro") == 0 ||
        strcmp(name, "fcall_ro") == 0)
        return true;
    if (strcmp(name, "eval") == 0)
        return readonly_scripts_is_text(call->argv[1]);
    if (strcmp(name, "evalsha") == 0)
        return has_sha(scripts, call->argv[1]);
    return strcmp(name, "fcall") == 0 && has_function(scripts, call->argv[1]);
}
