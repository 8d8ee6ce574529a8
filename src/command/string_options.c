/* The options of SET and GETEX; see string_options.h. */
#include "command/string_options.h"

#include "command/alone.h"

static const struct {
    const char *name;
    enum string_options_time time;
    bool has_number;
    unsigned commands;
} time_words[] = {
    {"EX", STRING_TIME_EX, true, STRING_OPTIONS_SET | STRING_OPTIONS_GETEX},
    {"PX", STRING_TIME_PX, true, STRING_OPTIONS_SET | STRING_OPTIONS_GETEX},
    {"EXAT", STRING_TIME_EXAT, true, STRING_OPTIONS_SET | STRING_OPTIONS_GETEX},
    {"PXAT", STRING_TIME_PXAT, true, STRING_OPTIONS_SET | STRING_OPTIONS_GETEX},
    {"KEEPTTL", STRING_TIME_KEEP, false, STRING_OPTIONS_SET},
    {"PERSIST", STRING_TIME_PERSIST, false, STRING_OPTIONS_GETEX},
};

#define N_TIME_WORDS (sizeof(time_words) / sizeof(time_words[0]))

/* Takes a word about the time and the number behind it, moving `*i` to it. The same word may come
 * again, the last number counts, as in Redis. False: it is none, or in conflict with another. */
static bool take_time(const struct call *call, size_t *i, enum string_options_command command,
                      struct string_options *options)
{
    for (size_t w = 0; w < N_TIME_WORDS; w++) {
        if ((time_words[w].commands & command) == 0 ||
            !bytes_is(call->argv[*i], time_words[w].name))
            continue;
        if (options->time != STRING_TIME_UNSAID && options->time != time_words[w].time)
            return false;
        if (time_words[w].has_number) {
            if (*i + 1 >= call->argc)
                return false;
            options->at = ++*i;
        }
        options->time = time_words[w].time;
        return true;
    }
    return false;
}

/* Takes NX, XX or GET. False: it is none, or in conflict with another. */
static bool take_condition(struct bytes word, struct string_options *options)
{
    if (bytes_is(word, "NX"))
        options->nx = true;
    else if (bytes_is(word, "XX"))
        options->xx = true;
    else if (bytes_is(word, "GET"))
        options->get = true;
    else
        return false;
    return !(options->nx && options->xx);
}

bool string_options_parse(struct call *call, size_t first, enum string_options_command command,
                          struct string_options *options)
{
    *options = (struct string_options){0};
    for (size_t i = first; i < call->argc; i++) {
        if (command == STRING_OPTIONS_SET && take_condition(call->argv[i], options))
            continue;
        if (!take_time(call, &i, command, options)) {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

bool string_options_expires_at(struct call *call, const struct string_options *options,
                               int64_t *wall_ms)
{
    *wall_ms = -1;
    if (options->at == 0)
        return true;
    int64_t value;
    if (!alone_parse_integer(call, options->at, &value))
        return false;
    bool in_seconds = options->time == STRING_TIME_EX || options->time == STRING_TIME_EXAT;
    bool from_now = options->time == STRING_TIME_EX || options->time == STRING_TIME_PX;
    int64_t now_ms = from_now ? clock_wall_ms(&call->larder->loop.clock) : 0;
    if (value <= 0 || __builtin_mul_overflow(value, in_seconds ? 1000 : 1, &value) ||
        __builtin_add_overflow(value, now_ms, &value)) {
        alone_bad_expire_time(call);
        return false;
    }
    *wall_ms = value;
    return true;
}
