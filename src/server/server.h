/* Wiring: makes a larder out of a configuration, runs it, ends it. The life cycle of the parts is here and nowhere else. */
#ifndef LARDER_SERVER_SERVER_H
#define LARDER_SERVER_SERVER_H

#include "core/larder.h"

/* Builds an instance: loop, L1, link, commands, timers; listens. Takes over what `config` owns (it is empty afterwards). On failure
 * writes one line into `error` and returns NULL. Returns owned, for server_destroy. */
struct larder *server_create(struct config *config, char *error, size_t size)
    __attribute__((warn_unused_result));

/* Serves until a shutdown has ended. */
void server_run(struct larder *larder);

/* Begins a shutdown: listens no more, executes no more, lets what is in flight finish for at most shutdown-timeout. */
void server_shut_down(struct larder *larder, const char *why);

/* Closes everything and frees the instance. */
void server_destroy(struct larder *larder);

#endif
