/* The command table: larder's own commands, and L2's as it told them in its reply to COMMAND.
 *
 * A row says how a command is called (arity, flags, where its keys are) and which function serves it. Own rows come from
 * src/command (one array per family, each row documented); learned rows have none of the documentation, which L2 has. */
#ifndef LARDER_CORE_COMMAND_TABLE_H
#define LARDER_CORE_COMMAND_TABLE_H

#include "base/bytes.h"
#include "base/hash.h"
#include "resp/reply.h"

struct larder;
struct client;
struct command;

/* One execution. Everything is borrowed for the call of the handler. */
struct call {
    struct larder *larder;
    struct client *client;
    const struct command *command; /* the subcommand's row where there is one */
    const struct bytes *argv;      /* argv[0] is the name */
    size_t argc;
    struct bytes raw; /* the command as a well-formed RESP array */
    uint64_t hash;    /* store_hash of argv[1] when has_hash */
    bool has_hash;
    bool deferred;      /* call_defer was called: the handler writes no reply now */
    bool is_queued;     /* was queued since MULTI and runs at EXEC: must not be deferred */
    struct reply reply; /* for handlers that answer at once */
};

/* Serves a command: writes exactly one reply to call->reply, or calls call_defer and ends that slot later. */
typedef void command_fn(struct call *call);

enum command_flag {
    COMMAND_WRITE = 1 << 0,
    COMMAND_READONLY = 1 << 1,
    COMMAND_FAST = 1 << 2,
    COMMAND_ADMIN = 1 << 3,    /* refused unless allow-admin */
    COMMAND_NO_AUTH = 1 << 4,  /* allowed before AUTH */
    COMMAND_LOCAL = 1 << 5,    /* answered here, never reaches L2 */
    COMMAND_STATEFUL = 1 << 6, /* carries connection state: refused until larder supports it */
    COMMAND_MOVABLE =
        1 << 7, /* keys are where `specs` or COMMAND GETKEYS say, not in first..last */
    COMMAND_LEARNED = 1 << 8,  /* from L2's COMMAND */
    COMMAND_PREFETCH = 1 << 9, /* reads argv[1] from L1: worth hashing and prefetching ahead */
    COMMAND_DENYOOM = 1 << 10,
    COMMAND_PUBSUB = 1 << 11,
    COMMAND_NOSCRIPT = 1 << 12,
    COMMAND_BLOCKING = 1 << 13,
    COMMAND_WATCHES_DB = 1 << 14,   /* writes every key of the database (FLUSHDB) */
    COMMAND_WRITES_ALL = 1 << 15,   /* writes every key of every database (FLUSHALL, SWAPDB) */
    COMMAND_SCRIPT = 1 << 16,       /* may write keys that it does not name; see call_write */
    COMMAND_CACHED = 1 << 17,       /* a read that L1 may answer */
    COMMAND_NOT_QUEUED = 1 << 18,   /* runs at once inside MULTI (EXEC, DISCARD, WATCH ...) */
    COMMAND_WAITS = 1 << 20,        /* runs when the client's earlier commands have been answered */
    COMMAND_NO_MULTI = 1 << 19,     /* refused inside MULTI */
    COMMAND_ALLOW_BUSY = 1 << 22,   /* goes out beside the shared link while L2 is busy */
    COMMAND_NEVER_QUEUED = 1 << 23, /* refused inside MULTI as by Redis (its flag no_multi) */
    COMMAND_REPLIES = 1 << 21,      /* as COMMAND_PREFETCH, of the cached replies of argv[1] */
};

/* Where keys are, as Redis 7.0's key specifications. */
struct key_spec {
    enum { KEY_BEGIN_INDEX, KEY_BEGIN_KEYWORD, KEY_BEGIN_UNKNOWN } begin;
    int begin_index; /* of the first argument considered; for a keyword: where its search starts (negative: from the end) */
    char keyword[16];
    enum { KEY_FIND_RANGE, KEY_FIND_KEYNUM, KEY_FIND_UNKNOWN } find;
    int last, step, limit;                /* range */
    int keynum_index, first_key, keystep; /* keynum */
    bool writes;                          /* RW, OW or RM */
    bool incomplete;                      /* there may be more keys than these */
};

#define COMMAND_SPECS_MAX 4
#define COMMAND_NAME_MAX 64

/* Rows of a table, and subcommands of one container, that an L2 may make up. Redis 7.0 has 240 and
 * at most 28. */
#define COMMAND_ROWS_MAX 4096
#define COMMAND_SUBS_MAX 256

/* Counters for INFO commandstats. */
struct command_stats {
    uint64_t calls;
    uint64_t nanoseconds;
    uint64_t rejected;
    uint64_t failed;
};

struct command {
    const char *name;      /* lower case; of a subcommand without the container's */
    command_fn *fn;        /* serves it in front of an upstream; with COMMAND_LOCAL also without */
    command_fn *alone;     /* serves it without an upstream (L1 alone); NULL: unknown there */
    int arity;             /* as Redis: counts the name; negative: at least */
    unsigned flags;        /* enum command_flag */
    int first, last, step; /* keys; 0: none */
    const char
        *group; /* as in COMMAND DOCS; "generic" "string" "connection" "server" "larder" ... */
    const char *since;
    const char *summary;
    const char *args; /* usage behind the name ("key value [NX | XX]"), for HELP and COMMAND DOCS */
    const struct command *subs; /* of a container: array, ended by a row without name */
    /* The table's own: */
    struct key_spec specs[COMMAND_SPECS_MAX];
    unsigned n_specs;
    struct command *own_subs;     /* owned by the table: the copy of `subs` */
    struct command *learned_subs; /* owned by the table; for command_sub_at */
    struct command_stats *stats;  /* owned by the table; one per row, kept over learning */
};

struct command_table;

struct command_table *command_table_create(void) __attribute__((returns_nonnull));
void command_table_destroy(struct command_table *table);

/* Adds larder's own rows: an array ended by a row without name, borrowed for ever (static const data). Own rows win over
 * learned ones as to function and documentation, learned ones as to nothing but key specifications. */
void command_table_add(struct command_table *table, const struct command *rows);

/* A command of L2 that larder serves with a function of its own, and otherwise knows as L2 tells it. */
struct command_served {
    const char *name; /* lower case; NULL: the end of the array */
    command_fn *fn;
    const char *unless; /* a command of an L2 where `fn` must not serve this one; NULL: none */
};

/* Says which learned rows are served by functions of their own: those that L2 flags as reads, with argv[1] as their (first) key. They
 * get COMMAND_CACHED and COMMAND_REPLIES, too. `served` is borrowed for ever (static const data). */
void command_table_serve(struct command_table *table, const struct command_served *served);

/* Takes over L2's commands from its reply to COMMAND (RESP3 bytes, or RESP2's without the maps). `read_fn` and `write_fn` serve
 * rows that larder has none of its own for. Rows, those of subcommands too, stay where they are when they are learned again, and
 * never leave: pointers to them hold. Returns the number of rows, 0 when the reply can't be understood. */
size_t command_table_learn(struct command_table *table, struct bytes reply, command_fn *read_fn,
                           command_fn *write_fn);

/* Finds a command by name in any case; NULL: unknown. */
const struct command *command_table_find(const struct command_table *table, struct bytes name);

/* Finds the row that counts for a call: the subcommand's where argv[1] names one, else the command's own. */
const struct command *command_resolve(const struct command *command, const struct bytes *argv,
                                      size_t argc);

/* The subcommand's row at `sub` or the next one behind it; NULL: there is none. An array of them ends with a row without name,
 * whose learned_subs is the array that goes on (of those that were learned later) or NULL.
 *
 *     for (sub = command_sub_at(row->learned_subs); sub != NULL; sub = command_sub_at(sub + 1)) */
static inline const struct command *command_sub_at(const struct command *sub)
{
    while (sub != NULL && sub->name == NULL)
        sub = sub->learned_subs;
    return sub;
}

/* True when argc suits the row's arity. */
static inline bool command_arity_ok(const struct command *command, size_t argc)
{
    return command->arity >= 0 ? argc == (size_t)command->arity : argc >= (size_t)-command->arity;
}

/* True when the command may change keys: it is flagged as a write, or a key specification of its says so (scripts, PFCOUNT). */
bool command_may_write(const struct command *command);

/* Collects the keys of a call. */
struct command_keys {
    struct bytes *items; /* owned unless it is `small` */
    size_t n;
    bool complete; /* false: there may be keys that aren't here */
    struct bytes small[8];
};
/* Fills `keys` (to be freed with command_keys_deinit). only_written: keys of read-only specs are left out. Returns false when
 * there is no memory. Keys that can't be known make `complete` false. */
bool command_keys_collect(const struct command *command, const struct bytes *argv, size_t argc,
                          bool only_written, struct command_keys *keys)
    __attribute__((warn_unused_result));
void command_keys_deinit(struct command_keys *keys);

/* Visits every row, containers before their subcommands (whose parent is given). */
typedef void command_visit_fn(void *ctx, const struct command *command,
                              const struct command *parent);
void command_table_each(const struct command_table *table, command_visit_fn *fn, void *ctx);
size_t command_table_count(const struct command_table *table);

#endif
