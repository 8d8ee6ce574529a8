/* The table of commands whose replies RESP2 shapes differently; see translate_rules.h. */
#include "resp/translate_rules.h"

struct command_rule {
    const char *name;  /* lower case; its length is the group's */
    unsigned min_argc; /* below it the reply is generic */
    enum translate_rule rule;
};

static const struct command_rule names_of_4[] = {
    {"exec", 1, TRANSLATE_EXEC},
    {"lpop", 3, TRANSLATE_NULL_ARRAY}, /* with a count "*-1", without "$-1" */
    {"rpop", 3, TRANSLATE_NULL_ARRAY},
};

static const struct command_rule names_of_5[] = {
    {"blpop", 1, TRANSLATE_NULL_ARRAY}, {"brpop", 1, TRANSLATE_NULL_ARRAY},
    {"lmpop", 1, TRANSLATE_NULL_ARRAY}, {"xread", 1, TRANSLATE_PAIRS},
    {"zdiff", 1, TRANSLATE_FLAT},       {"zmpop", 1, TRANSLATE_NULL_ARRAY}, /* pairs stay nested */
    {"zrank", 4, TRANSLATE_NULL_ARRAY}, /* WITHSCORE, which Redis 7.0 does not have yet */
};

static const struct command_rule names_of_6[] = {
    {"blmove", 1, TRANSLATE_NULL_ARRAY_BLOCKING},
    {"blmpop", 1, TRANSLATE_NULL_ARRAY},
    {"bzmpop", 1, TRANSLATE_NULL_ARRAY},
    {"geopos", 1, TRANSLATE_NULL_ARRAY},
    {"xrange", 1, TRANSLATE_NULL_ARRAY}, /* COUNT 0 on a stream that exists */
    {"zinter", 1, TRANSLATE_FLAT},
    {"zrange", 1, TRANSLATE_FLAT},
    {"zunion", 1, TRANSLATE_FLAT},
};

static const struct command_rule names_of_7[] = {
    {"zpopmax", 1, TRANSLATE_FLAT},
    {"zpopmin", 1, TRANSLATE_FLAT},
};

static const struct command_rule names_of_8[] = {
    {"bzpopmax", 1, TRANSLATE_NULL_ARRAY},
    {"bzpopmin", 1, TRANSLATE_NULL_ARRAY},
    {"xpending", 1, TRANSLATE_LAST_NULL_ARRAY},
    {"zrevrank", 4, TRANSLATE_NULL_ARRAY},
};

static const struct command_rule names_of_9[] = {
    {"xrevrange", 1, TRANSLATE_NULL_ARRAY},
    {"zrevrange", 1, TRANSLATE_FLAT},
};

static const struct command_rule names_of_10[] = {
    {"brpoplpush", 1, TRANSLATE_NULL_ARRAY_BLOCKING},
    {"hrandfield", 1, TRANSLATE_FLAT},
    {"xreadgroup", 1, TRANSLATE_PAIRS},
};

static const struct command_rule names_of_11[] = {
    {"zrandmember", 1, TRANSLATE_FLAT},
};

static const struct command_rule names_of_13[] = {
    {"zrangebyscore", 1, TRANSLATE_FLAT},
};

static const struct command_rule names_of_16[] = {
    {"zrevrangebyscore", 1, TRANSLATE_FLAT},
};

#define GROUP(rules)                                                                               \
    {                                                                                              \
        (rules), sizeof(rules) / sizeof((rules)[0])                                                \
    }

/* By length of the name, so that most commands are told apart without looking at a letter. */
static const struct {
    const struct command_rule *rules;
    size_t n_rules;
} groups[] = {
    [4] = GROUP(names_of_4),   [5] = GROUP(names_of_5),   [6] = GROUP(names_of_6),
    [7] = GROUP(names_of_7),   [8] = GROUP(names_of_8),   [9] = GROUP(names_of_9),
    [10] = GROUP(names_of_10), [11] = GROUP(names_of_11), [13] = GROUP(names_of_13),
    [16] = GROUP(names_of_16),
};

enum translate_rule translate_rule_for(const struct bytes *argv, size_t argc)
{
    if (argc == 0 || argv[0].len >= sizeof(groups) / sizeof(groups[0]))
        return TRANSLATE_GENERIC;
    struct bytes name = argv[0];
    for (size_t i = 0; i < groups[name.len].n_rules; i++) {
        const struct command_rule *rule = &groups[name.len].rules[i];
        if (bytes_lower(name.ptr[0]) == rule->name[0] &&
            bytes_equal_nocase(name, bytes_of(rule->name, name.len)))
            return argc >= rule->min_argc ? rule->rule : TRANSLATE_GENERIC;
    }
    return TRANSLATE_GENERIC;
}
