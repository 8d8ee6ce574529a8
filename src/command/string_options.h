/* The options that SET and GETEX share, and the times of SETEX and PSETEX: from arguments to a
 * deadline of the store.
 *
 *     SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
 *     GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]
 *
 * Must not know: what is done with them. */
#ifndef LARDER_COMMAND_STRING_OPTIONS_H
#define LARDER_COMMAND_STRING_OPTIONS_H

#include "core/larder.h"

enum string_options_command { STRING_OPTIONS_SET = 1, STRING_OPTIONS_GETEX = 2 };

/* What is to become of the key's time to live. All but the first exclude one another. */
enum string_options_time {
    STRING_TIME_UNSAID,
    STRING_TIME_EX,
    STRING_TIME_PX,
    STRING_TIME_EXAT,
    STRING_TIME_PXAT,
    STRING_TIME_KEEP,
    STRING_TIME_PERSIST,
};

struct string_options {
    enum string_options_time time;
    size_t at; /* the argument with the number, for EX to PXAT; 0 for the others */
    bool nx, xx, get;
};

/* Reads the options that begin at argv[first]. Returns false with Redis's syntax error written. */
bool string_options_parse(struct call *call, size_t first, enum string_options_command command,
                          struct string_options *options) __attribute__((warn_unused_result));

/* The moment (wall-clock ms, above 0) that a time option says; -1 for an option without a number.
 * Returns false, with the error written, when its number is none, is not positive or is too
 * large. */
bool string_options_expires_at(struct call *call, const struct string_options *options,
                               int64_t *wall_ms) __attribute__((warn_unused_result));

#endif
