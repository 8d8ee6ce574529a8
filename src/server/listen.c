/* The listeners; see listen.h. */
#include "server/listen.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>

static void on_accept(struct listener *listener, int fd, void *ctx)
{
    client_accept(ctx, fd, listener->is_unix);
}

static bool is_unavailable(int result)
{
    return result == -EADDRNOTAVAIL || result == -EAFNOSUPPORT || result == -EPROTONOSUPPORT ||
           result == -EPFNOSUPPORT || result == -ESOCKTNOSUPPORT;
}

/* Opens one address of `bind`; a '-' before it forgives an address that this host hasn't. */
static bool open_address(struct larder *larder, const struct config *config, const char *address,
                         char *error, size_t size)
{
    bool optional = address[0] == '-';
    if (optional)
        address++;
    struct listener *listener = &larder->listeners[larder->n_listeners];
    int result = listener_open_tcp(listener, &larder->loop, address, (unsigned)config->port,
                                   (int)config->tcp_backlog, on_accept, larder);
    if (result == 0) {
        larder->n_listeners++;
        return true;
    }
    if (optional && is_unavailable(result))
        return true;
    snprintf(error, size, "Unable to listen on this port: %s port %lld: %s", address,
             (long long)config->port,
             result == -EINVAL ? "not a numeric address" : strerror(-result));
    return false;
}

static bool open_all(struct larder *larder, const struct config *config, char *error, size_t size)
{
    for (size_t i = 0; config->port != 0 && i < config->bind.n; i++)
        if (!open_address(larder, config, config->bind.items[i], error, size))
            return false;
    if (config->unixsocket[0] != '\0') {
        struct listener *listener = &larder->listeners[larder->n_listeners];
        int result = listener_open_unix(listener, &larder->loop, config->unixsocket,
                                        (mode_t)config->unixsocketperm, (int)config->tcp_backlog,
                                        on_accept, larder);
        if (result < 0) {
            snprintf(error, size, "can't listen on unix socket %s: %s", config->unixsocket,
                     strerror(-result));
            return false;
        }
        larder->n_listeners++;
    }
    if (larder->n_listeners > 0)
        return true;
    snprintf(error, size,
             "nothing to listen on: no address of `bind` is available, and no unixsocket is set");
    return false;
}

bool listen_open(struct larder *larder, const struct config *config, char *error, size_t size)
{
    if (open_all(larder, config, error, size))
        return true;
    listen_close(larder);
    return false;
}

void listen_close(struct larder *larder)
{
    for (size_t i = 0; i < larder->n_listeners; i++)
        listener_close(&larder->listeners[i]);
    larder->n_listeners = 0;
}
