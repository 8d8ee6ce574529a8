/* Name resolution that never blocks the loop: c-ares, driven by the loop's descriptors and timers.
 * It asks /etc/hosts and the name servers of /etc/resolv.conf. Numeric addresses and "localhost"
 * (127.0.0.1 and ::1) need no lookup.
 *
 * Each callback runs exactly once, never inside the call that asked, unless it was cancelled; at
 * the latest RESOLVE_TIMEOUT_MS after the call, whatever the name servers do.
 *
 * Must not know: what the addresses are for. */
#ifndef LARDER_UPSTREAM_RESOLVE_H
#define LARDER_UPSTREAM_RESOLVE_H

#include "net/loop.h"

/* Longest wait for an answer. A name server on the same network answers in a millisecond, a far one
 * in 100. */
#define RESOLVE_TIMEOUT_MS 2000

/* Most addresses that a callback gets; the rest of a longer answer is dropped. */
#define RESOLVE_ADDRESSES_MAX 16

struct resolver;

/* `error` is 0 and addresses[0..n) are numeric texts in the order in which they are to be tried, or
 * it is negative, error_text says why and n is 0. All borrowed for the call. */
typedef void resolve_fn(void *ctx, int error, const char *error_text, const char *const *addresses,
                        size_t n);

/* Creates a resolver on `loop` (borrowed). Returns owned. */
struct resolver *resolver_create(struct loop *loop) __attribute__((returns_nonnull));

/* Cancels what is pending and frees the resolver. */
void resolver_destroy(struct resolver *resolver);

/* Asks these name servers ("127.0.0.1:5300", several separated by commas; copied) instead of those
 * of /etc/resolv.conf, from the next lookup on. NULL goes back to them. Tests run a name server of
 * their own. */
void resolver_set_servers(struct resolver *resolver, const char *servers);

/* Looks up `host` (borrowed for the call). Returns a token (> 0) for resolver_cancel. */
uint64_t resolver_resolve(struct resolver *resolver, const char *host, resolve_fn *fn, void *ctx);

/* The callback of `token` will not run; no effect when it has run. */
void resolver_cancel(struct resolver *resolver, uint64_t token);

#endif
