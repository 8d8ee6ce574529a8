/* Where an upstream is and how to log in there: `host:port`, `[v6]:port`, `unix:/path`,
 * `redis://[user[:password]@]host[:port][/db]`. User and password are percent-encoded; an empty
 * one counts as none. What is in brackets is an IPv6 address.
 *
 * Invariant: the password never leaves through address_format. */
#ifndef LARDER_UPSTREAM_ADDRESS_H
#define LARDER_UPSTREAM_ADDRESS_H

#include "base/bytes.h"

#define ADDRESS_DEFAULT_PORT 6379

struct address {
    char *host; /* owned; NULL for a unix socket */
    char *path; /* owned; of a unix socket, else NULL */
    unsigned port;
    unsigned db;
    char *username; /* owned; NULL: none given */
    char *password; /* owned; NULL: none given */
};

/* Parses `text`. On failure writes one line without any secret into `error` and returns false; on
 * success the address is for address_deinit. */
bool address_parse(struct address *address, const char *text, char *error, size_t size)
    __attribute__((warn_unused_result));

/* A deep copy. */
void address_copy(struct address *to, const struct address *from);

/* Frees the texts, wiping the password. */
void address_deinit(struct address *address);

/* Longest text of address_format, with the NUL. */
#define ADDRESS_TEXT_MAX 300

/* Writes "host:port", "[v6]:port" or "unix:/path", for logs, errors and lists. */
void address_format(const struct address *address, char *out, size_t size);

#endif
