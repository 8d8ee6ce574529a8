/* Scripts and functions that say of themselves that they write nothing (the flag no-writes), for CLIENT PAUSE WRITE: it lets them through,
 * as Redis does.
 *
 *     EVAL       its text tells, in the first line: #!lua flags=no-writes
 *     EVALSHA    if SCRIPT LOAD was seen here, with such a text
 *     FCALL      L2 is asked (FUNCTION LIST) by the first of a pause, which waits for the answer
 *
 * What isn't known to be read-only isn't: it waits. Must not know: pauses, clients. */
#ifndef LARDER_CORE_READONLY_SCRIPTS_H
#define LARDER_CORE_READONLY_SCRIPTS_H

#include "base/buf.h"

struct call;
struct readonly_scripts;

struct readonly_scripts *readonly_scripts_create(void) __attribute__((returns_nonnull));
void readonly_scripts_destroy(struct readonly_scripts *scripts);

/* True when a script's text begins with a line that says so. */
bool readonly_scripts_is_text(struct bytes text);

/* Remembers the name (40 hexadecimal digits, in lower case) of such a script. The oldest are forgotten beyond some hundred. */
void readonly_scripts_add(struct readonly_scripts *scripts, struct bytes sha);

/* Takes L2's functions from its reply to FUNCTION LIST, in RESP3; an error means that none is known. */
void readonly_scripts_take_functions(struct readonly_scripts *scripts, struct bytes reply);

/* Forgets the functions: they may change. */
void readonly_scripts_forget_functions(struct readonly_scripts *scripts);

/* True once, until they are forgotten: L2 is to be asked for its functions. */
bool readonly_scripts_must_ask(struct readonly_scripts *scripts, const struct call *call);

/* True for a call of EVAL, EVALSHA or FCALL, or their _RO forms, that writes nothing. */
bool readonly_scripts_has(const struct readonly_scripts *scripts, const struct call *call);

#endif
