/* What dispatch.c and call.c share; nobody else includes this. */
#ifndef LARDER_CORE_CALL_INTERNAL_H
#define LARDER_CORE_CALL_INTERNAL_H

#include "core/larder.h"

/* Longest part of an unknown command's name and arguments that its error shows, as Redis. */
#define CALL_SHOWN_MAX 128

/* Writes the command's name, with its container's where it is a subcommand ("client|list"), into `out`; returns it. */
const char *call_full_name(const struct call *call, char *out, size_t size);

/* Writes Redis's error for a command that isn't known. */
void call_unknown_command(struct call *call);

/* Sends a command on that the table doesn't know: L2 may. */
void call_unknown(struct call *call);

#endif
