/* Where a call's keys are; see command_table.h. Key specifications are Redis 7.0's (begin_search, find_keys). */
#include "core/command_table.h"

#include "base/mem.h"

static bool add_key(struct command_keys *keys, struct bytes key)
{
    size_t small = sizeof(keys->small) / sizeof(keys->small[0]);
    if (keys->n < small && keys->items == keys->small) {
        keys->small[keys->n++] = key;
        return true;
    }
    /* Doubles whenever n reaches a power of two from `small` on. */
    if (keys->items == keys->small || (keys->n & (keys->n - 1)) == 0) {
        bool is_small = keys->items == keys->small;
        size_t size;
        if (__builtin_mul_overflow(keys->n, 2 * sizeof(struct bytes), &size))
            return false;
        struct bytes *items = mem_try_resize(is_small ? NULL : keys->items, size);
        if (items == NULL)
            return false;
        if (is_small)
            memcpy(items, keys->small, keys->n * sizeof(struct bytes));
        keys->items = items;
    }
    keys->items[keys->n++] = key;
    return true;
}

/* Adds argv[first], argv[first+step] ... argv[last]; a negative `last` counts from the end. */
static bool add_range(struct command_keys *keys, const struct bytes *argv, int64_t argc,
                      int64_t first, int64_t last, int64_t step)
{
    if (last < 0)
        last += argc;
    if (first < 1 || step < 1 || first >= argc || last >= argc) {
        keys->complete =
            keys->complete &&
            first >= argc; /* L2 will refuse what is malformed; until then, suspect it */
        last = last >= argc ? argc - 1 : last;
    }
    if (first < 1 || step < 1)
        return true;
    for (int64_t i = first; i <= last; i += step)
        if (!add_key(keys, argv[i]))
            return false;
    return true;
}

/* The argument from which a specification's keys are found; 0: its keyword isn't there; -1: unknown. */
static int64_t find_begin(const struct key_spec *spec, const struct bytes *argv, int64_t argc)
{
    if (spec->begin == KEY_BEGIN_INDEX)
        return spec->begin_index;
    if (spec->begin == KEY_BEGIN_UNKNOWN)
        return -1;
    bool backwards = spec->begin_index < 0;
    int64_t at = backwards ? argc + spec->begin_index : spec->begin_index;
    for (; at > 0 && at < argc; at += backwards ? -1 : 1)
        if (bytes_is(argv[at], spec->keyword))
            return at + 1;
    return 0;
}

/* SORT and the GEORADIUS family name their destination behind a keyword that may stand anywhere, which a specification can't say.
 * Without this, every plain SORT would count as a write to unknown keys. */
static bool has_store_keyword(const struct command *command)
{
    struct bytes name = bytes_of_str(command->name);
    return bytes_is(name, "sort") || bytes_is(name, "georadius") ||
           bytes_is(name, "georadiusbymember");
}

static bool collect_stores(const struct bytes *argv, int64_t argc, struct command_keys *keys)
{
    for (int64_t i = 2; i + 1 < argc; i++)
        if ((bytes_is(argv[i], "STORE") || bytes_is(argv[i], "STOREDIST")) &&
            !add_key(keys, argv[i + 1]))
            return false;
    return true;
}

static bool collect_spec(const struct command *command, const struct key_spec *spec,
                         const struct bytes *argv, int64_t argc, struct command_keys *keys)
{
    if (spec->writes && has_store_keyword(command))
        return collect_stores(argv, argc, keys);
    int64_t begin = find_begin(spec, argv, argc);
    if (begin < 0 || spec->incomplete)
        keys->complete = false;
    if (begin <= 0)
        return true;
    if (spec->find == KEY_FIND_RANGE) {
        int64_t last = spec->last >= 0 ? begin + spec->last : spec->last;
        if (spec->last == -1 &&
            spec->limit >
                1) /* only the first part of what follows, as XREAD's keys before their ids */
            last = begin + (argc - begin) / spec->limit - 1;
        return add_range(keys, argv, argc, begin, last, spec->step);
    }
    int64_t n;
    int64_t at = begin + spec->keynum_index;
    if (spec->find != KEY_FIND_KEYNUM || at >= argc || !bytes_parse_range(argv[at], 0, argc, &n)) {
        keys->complete = false;
        return true;
    }
    int64_t first = begin + spec->first_key;
    return n == 0 ||
           add_range(keys, argv, argc, first, first + (n - 1) * spec->keystep, spec->keystep);
}

bool command_keys_collect(const struct command *command, const struct bytes *argv, size_t argc,
                          bool only_written, struct command_keys *keys)
{
    keys->items = keys->small;
    keys->n = 0;
    keys->complete = true;
    if (command->n_specs == 0) {
        if (command->flags & COMMAND_MOVABLE)
            keys->complete = false;
        if (command->first == 0)
            return true;
        return add_range(keys, argv, (int64_t)argc, command->first, command->last, command->step);
    }
    for (unsigned i = 0; i < command->n_specs; i++) {
        const struct key_spec *spec = &command->specs[i];
        if (only_written && !spec->writes)
            continue;
        if (!collect_spec(command, spec, argv, (int64_t)argc, keys)) {
            command_keys_deinit(keys);
            return false;
        }
    }
    return true;
}

void command_keys_deinit(struct command_keys *keys)
{
    if (keys->items != keys->small)
        mem_free(keys->items);
    keys->items = keys->small;
    keys->n = 0;
}

bool command_may_write(const struct command *command)
{
    if (command->flags & COMMAND_WRITE)
        return true;
    for (unsigned i = 0; i < command->n_specs; i++)
        if (command->specs[i].writes)
            return true;
    return false;
}
