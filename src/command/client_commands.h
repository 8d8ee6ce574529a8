/* What the files of CLIENT share with each other and with HELLO and RESET: names of clients, muted
 * clients, the handlers of CLIENT's subcommands that have a file of their own. */
#ifndef LARDER_COMMAND_CLIENT_COMMANDS_H
#define LARDER_COMMAND_CLIENT_COMMANDS_H

#include "core/larder.h"

/* Names the client of the call ("" takes the name away). Writes Redis's error and returns false
 * when the name has bytes that would break the lines of CLIENT LIST, or there is no memory. */
bool client_commands_set_name(struct call *call, struct bytes name)
    __attribute__((warn_unused_result));

/* Takes the client's name away. */
void client_commands_forget_name(struct client *client);

/* Ends CLIENT REPLY OFF and SKIP, so that the reply of this very call is sent: to be called before
 * it is written. */
void client_commands_unmute(struct call *call);

/* CLIENT INFO and CLIENT LIST (client_list.c). */
void client_list_info(struct call *call);
void client_list_all(struct call *call);

/* CLIENT TRACKING, CACHING, TRACKINGINFO, GETREDIR (client_tracking.c). */
void client_tracking(struct call *call);
void client_caching(struct call *call);
void client_trackinginfo(struct call *call);
void client_getredir(struct call *call);

/* CLIENT KILL (client_kill.c). */
void client_kill(struct call *call);

/* The types of clients that Redis knows; larder has no master. */
enum client_type {
    CLIENT_TYPE_NORMAL,
    CLIENT_TYPE_REPLICA,
    CLIENT_TYPE_PUBSUB,
    CLIENT_TYPE_MASTER
};

static inline enum client_type client_commands_type(const struct client *client)
{
    if (client->tunnel != NULL)
        return CLIENT_TYPE_REPLICA;
    return client_is_subscriber(client) ? CLIENT_TYPE_PUBSUB : CLIENT_TYPE_NORMAL;
}

/* Reads a type's name (any case). Writes Redis's error and returns false when there is none of that
 * name. */
bool client_commands_parse_type(struct call *call, struct bytes name, enum client_type *type)
    __attribute__((warn_unused_result));

#endif
