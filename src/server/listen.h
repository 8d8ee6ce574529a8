/* The listeners that the configuration asks for. */
#ifndef LARDER_SERVER_LISTEN_H
#define LARDER_SERVER_LISTEN_H

#include "core/larder.h"

/* Opens a listener for every address of `bind` and the unix socket. On failure closes those opened, writes why and returns
 * false. */
bool listen_open(struct larder *larder, const struct config *config, char *error, size_t size);

/* Closes all. */
void listen_close(struct larder *larder);

#endif
