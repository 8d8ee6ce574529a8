/* An instance that is just enough to run the handlers of L1 alone: a store, a clock that tests
 * move, and a client. Shared by test_alone*.c.
 *
 * Replies are compared as bytes, in RESP2 unless said otherwise. */
#ifndef TESTS_ALONE_SUPPORT_H
#define TESTS_ALONE_SUPPORT_H

#include "command/families.h"
#include "core/larder.h"

#include <check.h>
#include <stdio.h>

#define START_MONO_MS 1000000
#define START_WALL_MS 1700000000000
#define WORDS_MAX 64

#define OK "+OK\r\n"
#define NIL "$-1\r\n"
#define ZERO ":0\r\n"
#define ONE ":1\r\n"
#define OOM "-OOM command not allowed when used memory > 'maxmemory'.\r\n"

struct alone {
    struct larder larder;
    struct client client;
    struct buf out;
};

static struct alone alone;

/* Starts an instance over a store with these options (NULL: the standard ones). */
static inline void alone_begin(const struct store_options *options)
{
    struct store_options standard;
    memset(&alone, 0, sizeof(alone));
    store_options_default(&standard);
    clock_init_manual(&alone.larder.loop.clock, START_MONO_MS, START_WALL_MS);
    alone.larder.store = store_create(options != NULL ? options : &standard);
    alone.larder.config.proto_max_bulk_len_bytes = (int64_t)512 << 20;
    alone.larder.commands = command_table_create();
    command_table_add(alone.larder.commands, string_commands);
    command_table_add(alone.larder.commands, bit_commands);
    command_table_add(alone.larder.commands, key_commands);
    alone.client.larder = &alone.larder;
    alone.client.proto = 2;
}

static inline void alone_end(void)
{
    store_destroy(alone.larder.store);
    command_table_destroy(alone.larder.commands);
    buf_deinit(&alone.out);
}

/* Runs a command given as words. Returns its reply, borrowed until the next one. */
static inline const char *alone_run(const struct bytes *argv, size_t argc)
{
    const struct command *row = command_table_find(alone.larder.commands, argv[0]);
    ck_assert_ptr_nonnull(row);
    struct call call = {
        .larder = &alone.larder,
        .client = &alone.client,
        .command = command_resolve(row, argv, argc),
        .argv = argv,
        .argc = argc,
        .reply = {&alone.out, alone.client.proto, false},
    };
    alone.out.len = 0;
    ck_assert(command_arity_ok(call.command, argc));
    call.command->alone(&call);
    ck_assert(!call.reply.failed);
    ck_assert(buf_append(&alone.out, "", 1));
    return alone.out.data;
}

/* Runs a command given as one line: words between single blanks, of which `''` is the empty one. */
static inline const char *run(const char *line)
{
    struct bytes argv[WORDS_MAX];
    size_t argc = 0;
    for (const char *word = line; word != NULL;) {
        size_t len = strcspn(word, " ");
        ck_assert_uint_lt(argc, WORDS_MAX);
        argv[argc] = bytes_of(word, len);
        if (bytes_equal(argv[argc], BYTES("''")))
            argv[argc].len = 0;
        argc++;
        word = word[len] == '\0' ? NULL : word + len + 1;
    }
    return alone_run(argv, argc);
}

/* What the line replies, and what it is to reply. */
#define IS(line, expected) ck_assert_str_eq(run(line), (expected))

static inline void advance(int64_t ms)
{
    clock_advance(&alone.larder.loop.clock, ms);
}

#endif
