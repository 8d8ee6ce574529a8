/* Replies to COMMAND that redis-server 7.0.15 gave in RESP3: all 240 commands, or a dozen of every
 * kind; and tables that have learned them. Shared by test_command_*.c. */
#ifndef LARDER_TESTS_RECORDED_H
#define LARDER_TESTS_RECORDED_H

#include "base/buf.h"
#include "core/command_table.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* COMMAND */
#define RECORDED_ALL "tests/unit/data/command_reply_full.resp3"
/* COMMAND INFO set get mset eval sort xread xgroup georadius migrate zunionstore object pfcount
 * mget bitop, whose reply has the form of COMMAND's */
#define RECORDED_SOME "tests/unit/data/command_reply.resp3"

/* The bytes of a file below the source folder, for buf_deinit. */
static inline struct buf recorded_read(const char *name)
{
    const char *top = getenv("LARDER_SRCDIR");
    char path[4096];
    struct buf text;
    buf_init(&text);
    snprintf(path, sizeof(path), "%s/%s", top == NULL ? "." : top, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "can't open %s", path);
    size_t n;
    do {
        ck_assert(buf_reserve(&text, 65536));
        n = fread(text.data + text.len, 1, 65536, file);
        text.len += n;
    } while (n > 0);
    fclose(file);
    return text;
}

/* Who serves learned rows. */
static inline void recorded_read_fn(struct call *call)
{
    (void)call;
}

static inline void recorded_write_fn(struct call *call)
{
    (void)call;
}

/* Lets the table learn a recorded reply. Returns the number of rows. */
static inline size_t recorded_learn(struct command_table *table, const char *name)
{
    struct buf reply = recorded_read(name);
    size_t n = command_table_learn(table, buf_bytes(&reply), recorded_read_fn, recorded_write_fn);
    buf_deinit(&reply);
    return n;
}

#endif
