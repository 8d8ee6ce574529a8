/* The table of verbs; only history_mix.c includes it.
 *
 * In a command, %k and %l are two keys of the verb's type, %t one made for this use, %v and %w new values, %d
 * %v's as DUMP would give it, %p some milliseconds, %n a small number, %1 and up a script.
 *
 * The operations of a command, one letter each, small ones on %k with %v, capital ones on %l with %w:
 * r reads the value, p reads whether it is there, w writes, n removes, t sets a deadline, u takes it away, c
 * and i read and increment a counter, * removes every register. */

static const char *const scripts[] = {
    NULL,
    "return redis.call('get',KEYS[1])",
    "return redis.call('set',KEYS[1],ARGV[1])",
    "return redis.call('set',ARGV[1],ARGV[2])",
    "return redis.call('del',ARGV[1])",
    "return redis.call('hset',KEYS[1],'f',ARGV[1])",
    "return redis.call('hset',ARGV[1],'f',ARGV[2])",
    "return redis.call('incr',KEYS[1])",
    "return redis.call('hget',KEYS[1],'f')",
};

enum { S = 1 << KEY_STRING, H = 1 << KEY_HASH, L = 1 << KEY_LIST, C = 1 << KEY_COUNTER };
enum { WRITES = 1, LOOSE = 2, LARDER_ONLY = 4 };

struct step {
    const char *command;
    enum rule rule;
    const char *ops;
};

struct verb {
    const char *name;
    unsigned types;
    unsigned flags;
    unsigned weight;
    struct step steps[MIX_COMMANDS_MAX + 1];
};

static const struct verb verbs[] = {
    /* Reads of any register */
    {"exists", S | H | L, 0, 4, {{"EXISTS %k", RULE_PRESENCE, "p"}}},
    {"type", S | H | L, 0, 2, {{"TYPE %k", RULE_TYPE, "p"}}},
    {"ttl", S | H | L, 0, 2, {{"TTL %k", RULE_TTL, "p"}}},
    {"pttl", S | H | L, 0, 2, {{"PTTL %k", RULE_TTL, "p"}}},

    /* Reads of strings */
    {"get", S, 0, 40, {{"GET %k", RULE_VALUE, "r"}}},
    {"mget", S, 0, 8, {{"MGET %k %l", RULE_VALUES, "rR"}}},
    {"strlen", S, 0, 4, {{"STRLEN %k", RULE_PRESENCE, "p"}}},
    {"getrange", S, 0, 4, {{"GETRANGE %k 0 -1", RULE_VALUE, "r"}}},
    {"getex", S, 0, 2, {{"GETEX %k", RULE_VALUE, "r"}}},
    {"eval-get", S, 0, 2, {{"EVAL %1 1 %k", RULE_VALUE, "r"}}},
    {"multi-get",
     S,
     0,
     4,
     {{"MULTI", RULE_IGNORE, ""},
      {"GET %k", RULE_IGNORE, ""},
      {"GET %l", RULE_IGNORE, ""},
      {"EXEC", RULE_EXEC, "rR"}}},

    /* Reads of hashes */
    {"hget", H, 0, 14, {{"HGET %k f", RULE_VALUE, "r"}}},
    {"hgetall", H, 0, 14, {{"HGETALL %k", RULE_PAIRS, "r"}}},
    {"hmget", H, 0, 6, {{"HMGET %k f", RULE_FIRST, "r"}}},
    {"hvals", H, 0, 6, {{"HVALS %k", RULE_FIRST, "r"}}},
    {"hlen", H, 0, 4, {{"HLEN %k", RULE_PRESENCE, "p"}}},
    {"hexists", H, 0, 4, {{"HEXISTS %k f", RULE_PRESENCE, "p"}}},
    {"hstrlen", H, 0, 4, {{"HSTRLEN %k f", RULE_PRESENCE, "p"}}},
    {"eval-hget", H, 0, 2, {{"EVAL %8 1 %k", RULE_VALUE, "r"}}},
    {"multi-hgetall",
     H,
     0,
     4,
     {{"MULTI", RULE_IGNORE, ""}, {"HGET %k f", RULE_IGNORE, ""}, {"EXEC", RULE_EXEC, "r"}}},

    /* Reads of lists */
    {"lrange", L, 0, 24, {{"LRANGE %k 0 -1", RULE_FIRST, "r"}}},
    {"lindex", L, 0, 14, {{"LINDEX %k 0", RULE_VALUE, "r"}}},
    {"llen", L, 0, 6, {{"LLEN %k", RULE_PRESENCE, "p"}}},
    {"multi-lindex",
     L,
     0,
     4,
     {{"MULTI", RULE_IGNORE, ""}, {"LINDEX %k 0", RULE_IGNORE, ""}, {"EXEC", RULE_EXEC, "r"}}},

    /* Writes of any register */
    {"del", S | H | L, WRITES, 4, {{"DEL %k", RULE_REMOVED, "n"}}},
    {"del-two", S | H | L, WRITES, 2, {{"DEL %k %l", RULE_REMOVED, "nN"}}},
    {"unlink", S | H | L, WRITES, 2, {{"UNLINK %k", RULE_REMOVED, "n"}}},
    {"pexpire", S | H | L, WRITES, 4, {{"PEXPIRE %k %p", RULE_ONE, "t"}}},
    {"persist", S | H | L, WRITES, 2, {{"PERSIST %k", RULE_ONE, "u"}}},
    {"rename-away",
     S | H | L,
     WRITES,
     2,
     {{"RENAME %k %t", RULE_DONE, "n"}, {"DEL %t", RULE_IGNORE, ""}}},
    {"flushdb", S, WRITES, 0, {{"FLUSHDB", RULE_DONE, "*"}}},
    {"cache-invalidate",
     S | H | L,
     WRITES | LARDER_ONLY,
     2,
     {{"CACHE INVALIDATE %k", RULE_IGNORE, ""}}},
    {"cache-warm", S, WRITES | LARDER_ONLY, 1, {{"CACHE WARM KEYS %k %l", RULE_IGNORE, ""}}},

    /* Writes of strings */
    {"set", S, WRITES, 30, {{"SET %k %v", RULE_DONE, "w"}}},
    {"set-px", S, WRITES, 8, {{"SET %k %v PX %p", RULE_DONE, "w"}}},
    {"set-nx", S, WRITES, 4, {{"SET %k %v NX", RULE_DONE, "w"}}},
    {"set-xx", S, WRITES, 2, {{"SET %k %v XX", RULE_DONE, "w"}}},
    {"set-get", S, WRITES, 4, {{"SET %k %v GET", RULE_OLD, "rw"}}},
    {"psetex", S, WRITES, 4, {{"PSETEX %k %p %v", RULE_DONE, "w"}}},
    {"mset", S, WRITES, 6, {{"MSET %k %v %l %w", RULE_DONE, "wW"}}},
    {"getset", S, WRITES, 4, {{"GETSET %k %v", RULE_OLD, "rw"}}},
    {"getdel", S, WRITES, 4, {{"GETDEL %k", RULE_OLD, "rn"}}},
    {"getex-px", S, WRITES, 4, {{"GETEX %k PX %p", RULE_OLD_THERE, "rt"}}},
    {"getex-persist", S, WRITES, 2, {{"GETEX %k PERSIST", RULE_OLD_THERE, "ru"}}},
    {"restore", S, WRITES, 4, {{"RESTORE %k 0 %d REPLACE", RULE_DONE, "w"}}},
    {"restore-px", S, WRITES, 2, {{"RESTORE %k %p %d REPLACE", RULE_DONE, "w"}}},
    {"rename", S, WRITES, 4, {{"SET %t %v", RULE_IGNORE, ""}, {"RENAME %t %k", RULE_DONE, "w"}}},
    {"copy",
     S,
     WRITES,
     4,
     {{"SET %t %v", RULE_IGNORE, ""},
      {"COPY %t %k REPLACE", RULE_ONE, "w"},
      {"DEL %t", RULE_IGNORE, ""}}},
    {"multi-set",
     S,
     WRITES,
     6,
     {{"MULTI", RULE_IGNORE, ""},
      {"SET %k %v", RULE_IGNORE, ""},
      {"SET %l %w", RULE_IGNORE, ""},
      {"EXEC", RULE_EXEC, "wW"}}},
    {"multi-set-del",
     S,
     WRITES,
     4,
     {{"MULTI", RULE_IGNORE, ""},
      {"SET %k %v PX %p", RULE_IGNORE, ""},
      {"DEL %l", RULE_IGNORE, ""},
      {"EXEC", RULE_EXEC, "wN"}}},
    {"watch-set",
     S,
     WRITES,
     2,
     {{"WATCH %k", RULE_IGNORE, ""},
      {"MULTI", RULE_IGNORE, ""},
      {"SET %k %v", RULE_IGNORE, ""},
      {"EXEC", RULE_EXEC, "w"}}},
    {"eval-set", S, WRITES, 4, {{"EVAL %2 1 %k %v", RULE_DONE, "w"}}},
    {"eval-set-undeclared", S, WRITES | LOOSE, 4, {{"EVAL %3 0 %k %v", RULE_DONE, "w"}}},
    {"eval-del-undeclared", S, WRITES | LOOSE, 1, {{"EVAL %4 0 %k", RULE_REMOVED, "n"}}},

    /* Writes of hashes */
    {"hset", H, WRITES, 30, {{"HSET %k f %v", RULE_DONE, "w"}}},
    {"hmset", H, WRITES, 4, {{"HMSET %k f %v", RULE_DONE, "w"}}},
    {"hsetnx", H, WRITES, 4, {{"HSETNX %k f %v", RULE_ONE, "w"}}},
    {"hdel", H, WRITES, 6, {{"HDEL %k f", RULE_REMOVED, "n"}}},
    {"hrename",
     H,
     WRITES,
     4,
     {{"HSET %t f %v", RULE_IGNORE, ""}, {"RENAME %t %k", RULE_DONE, "w"}}},
    {"hcopy",
     H,
     WRITES,
     4,
     {{"HSET %t f %v", RULE_IGNORE, ""},
      {"COPY %t %k REPLACE", RULE_ONE, "w"},
      {"DEL %t", RULE_IGNORE, ""}}},
    {"multi-hset",
     H,
     WRITES,
     4,
     {{"MULTI", RULE_IGNORE, ""},
      {"HSET %k f %v", RULE_IGNORE, ""},
      {"HSET %l f %w", RULE_IGNORE, ""},
      {"EXEC", RULE_EXEC, "wW"}}},
    {"eval-hset", H, WRITES, 4, {{"EVAL %5 1 %k %v", RULE_DONE, "w"}}},
    {"eval-hset-undeclared", H, WRITES | LOOSE, 2, {{"EVAL %6 0 %k %v", RULE_DONE, "w"}}},

    /* Writes of lists */
    {"multi-rpush",
     L,
     WRITES,
     20,
     {{"MULTI", RULE_IGNORE, ""},
      {"DEL %k", RULE_IGNORE, ""},
      {"RPUSH %k %v", RULE_IGNORE, ""},
      {"EXEC", RULE_EXEC_WHOLE, "w"}}},
    {"lset", L, WRITES, 14, {{"LSET %k 0 %v", RULE_DONE, "w"}}},
    {"lpop", L, WRITES, 6, {{"LPOP %k", RULE_OLD, "rn"}}},
    {"sort-store",
     L,
     WRITES,
     6,
     {{"RPUSH %t %v", RULE_IGNORE, ""},
      {"SORT %t BY nosort STORE %k", RULE_STORED, "wn"},
      {"DEL %t", RULE_IGNORE, ""}}},
    {"lrename", L, WRITES, 4, {{"RPUSH %t %v", RULE_IGNORE, ""}, {"RENAME %t %k", RULE_DONE, "w"}}},

    /* Counters */
    {"count", C, 0, 30, {{"GET %k", RULE_COUNT, "c"}}},
    {"count-two", C, 0, 8, {{"MGET %k %l", RULE_COUNT, "cC"}}},
    {"incr", C, WRITES, 20, {{"INCR %k", RULE_COUNT, "i"}}},
    {"incrby", C, WRITES, 8, {{"INCRBY %k %n", RULE_COUNT, "i"}}},
    {"eval-incr", C, WRITES, 4, {{"EVAL %7 1 %k", RULE_COUNT, "i"}}},
    {"multi-incr",
     C,
     WRITES,
     4,
     {{"MULTI", RULE_IGNORE, ""},
      {"INCR %k", RULE_IGNORE, ""},
      {"GET %l", RULE_IGNORE, ""},
      {"EXEC", RULE_COUNT, "iC"}}},
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))
