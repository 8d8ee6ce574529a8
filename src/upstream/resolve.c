/* Name resolution on c-ares; see resolve.h.
 *
 *     resolve --numeric, localhost----------------------------> answered --next timers--> callback
 *     resolve --c-ares: hosts file, then sockets and retries--> answered --next timers--> callback
 *                                         \--RESOLVE_TIMEOUT_MS--> failed ---------------^
 *
 * Each lookup has a c-ares channel of its own, which lives as long as the lookup: one lookup can be
 * cancelled without the others, and a changed /etc/resolv.conf is noticed. Lookups happen once per
 * attempt to connect, so its cost is no matter.
 *
 * c-ares may call back inside any call of its own, and must not be destroyed there: what it says is
 * kept in the lookup, and the lookup's deadline, moved to now, delivers it. */
#include "upstream/resolve.h"

#include "base/mem.h"

#include <ares.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/time.h>

/* An unanswered question is repeated once within RESOLVE_TIMEOUT_MS; the second wait is twice as
 * long. */
#define ATTEMPT_MS 600
#define ATTEMPTS 2

/* A numeric address with a scope ("fe80::1%eth0"). */
#define ADDRESS_MAX (INET6_ADDRSTRLEN + IF_NAMESIZE)

/* A socket of c-ares. Its memory stays until the end of the turn in which c-ares closes it. */
struct socket_watch {
    LIST_ENTRY(socket_watch) link;
    struct loop_watch watch;
};

struct lookup {
    TAILQ_ENTRY(lookup) link;
    struct resolver *resolver;
    struct loop *loop;
    ares_channel channel; /* NULL: c-ares is not asked */
    LIST_HEAD(, socket_watch) sockets;
    struct timer deadline; /* the end of all waiting; now, once there is an answer */
    struct timer step;     /* when c-ares wants to repeat a question */
    uint64_t token;
    resolve_fn *fn;
    void *ctx;
    bool answered;
    bool ending;       /* the channel is being destroyed */
    const char *error; /* static; NULL: there are addresses */
    char addresses[RESOLVE_ADDRESSES_MAX][ADDRESS_MAX];
    size_t n_addresses;
};

struct resolver {
    struct loop *loop;
    uint64_t next_token;
    char *servers; /* owned; NULL: those of the system */
    bool has_library;
    TAILQ_HEAD(, lookup) lookups;
};

/* Life cycle */

struct resolver *resolver_create(struct loop *loop)
{
    struct resolver *resolver = mem_zalloc(sizeof(*resolver));
    resolver->loop = loop;
    resolver->has_library = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
    TAILQ_INIT(&resolver->lookups);
    return resolver;
}

static void end_lookup(struct lookup *lookup)
{
    TAILQ_REMOVE(&lookup->resolver->lookups, lookup, link);
    timer_disarm(&lookup->loop->timers, &lookup->deadline);
    timer_disarm(&lookup->loop->timers, &lookup->step);
    lookup->ending = true;
    if (lookup->channel != NULL)
        ares_destroy(lookup->channel); /* closes its sockets through on_socket_state */
}

void resolver_destroy(struct resolver *resolver)
{
    struct lookup *lookup;
    while ((lookup = TAILQ_FIRST(&resolver->lookups)) != NULL) {
        end_lookup(lookup);
        mem_free(lookup);
    }
    if (resolver->has_library)
        ares_library_cleanup();
    mem_free(resolver->servers);
    mem_free(resolver);
}

void resolver_set_servers(struct resolver *resolver, const char *servers)
{
    mem_free(resolver->servers);
    resolver->servers = servers != NULL ? mem_strdup(servers) : NULL;
}

/* Answers */

static void answer(struct lookup *lookup, const char *error)
{
    lookup->answered = true;
    lookup->error = error;
    timer_arm(&lookup->loop->timers, &lookup->deadline, lookup->loop->clock.mono_ms);
}

static void add_address(struct lookup *lookup, const char *text)
{
    if (lookup->n_addresses < RESOLVE_ADDRESSES_MAX)
        snprintf(lookup->addresses[lookup->n_addresses++], ADDRESS_MAX, "%s", text);
}

static void on_deadline(struct timer *timer, void *ctx)
{
    (void)timer;
    struct lookup *lookup = ctx;
    const char *list[RESOLVE_ADDRESSES_MAX];
    for (size_t i = 0; i < lookup->n_addresses; i++)
        list[i] = lookup->addresses[i];
    if (!lookup->answered)
        lookup->error = "no name server answered in time";
    end_lookup(lookup); /* before the callback, which may destroy the resolver */
    if (lookup->error != NULL)
        lookup->fn(lookup->ctx, -1, lookup->error, NULL, 0);
    else
        lookup->fn(lookup->ctx, 0, NULL, list, lookup->n_addresses);
    mem_free(lookup);
}

/* What c-ares calls */

static void on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *result)
{
    (void)timeouts;
    struct lookup *lookup = ctx;
    if (!lookup->ending && !lookup->answered) {
        const struct ares_addrinfo_node *node = status == ARES_SUCCESS ? result->nodes : NULL;
        for (; node != NULL; node = node->ai_next) {
            char text[INET6_ADDRSTRLEN];
            const void *binary =
                node->ai_family == AF_INET
                    ? (const void *)&((struct sockaddr_in *)node->ai_addr)->sin_addr
                    : (const void *)&((struct sockaddr_in6 *)node->ai_addr)->sin6_addr;
            if (inet_ntop(node->ai_family, binary, text, sizeof(text)) != NULL)
                add_address(lookup, text);
        }
        if (status == ARES_SUCCESS && lookup->n_addresses == 0)
            status = ARES_ENODATA;
        answer(lookup, status == ARES_SUCCESS ? NULL : ares_strerror(status));
    }
    if (result != NULL)
        ares_freeaddrinfo(result);
}

/* Arms `step` for the time that c-ares asks for. */
static void arm_step(struct lookup *lookup)
{
    struct timeval left;
    if (lookup->answered || ares_timeout(lookup->channel, NULL, &left) == NULL) {
        timer_disarm(&lookup->loop->timers, &lookup->step);
        return;
    }
    int64_t ms = (int64_t)left.tv_sec * 1000 + (left.tv_usec + 999) / 1000;
    timer_arm(&lookup->loop->timers, &lookup->step, lookup->loop->clock.mono_ms + ms);
}

static void on_step(struct timer *timer, void *ctx)
{
    (void)timer;
    struct lookup *lookup = ctx;
    ares_process_fd(lookup->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_step(lookup);
}

static void on_socket_event(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    (void)loop;
    struct lookup *lookup = watch->ctx;
    ares_process_fd(lookup->channel, events & LOOP_READ ? watch->fd : ARES_SOCKET_BAD,
                    events & LOOP_WRITE ? watch->fd : ARES_SOCKET_BAD);
    arm_step(lookup);
}

/* Both false: c-ares is about to close the socket. */
static void on_socket_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct lookup *lookup = ctx;
    unsigned events = (readable ? LOOP_READ : 0u) | (writable ? LOOP_WRITE : 0u);
    struct socket_watch *socket;
    LIST_FOREACH(socket, &lookup->sockets, link)
    if (socket->watch.fd == fd)
        break;
    if (events == 0) {
        if (socket == NULL)
            return;
        LIST_REMOVE(socket, link);
        loop_unwatch(lookup->loop, &socket->watch);
        loop_retire(lookup->loop, mem_free, socket);
    } else if (socket != NULL) {
        loop_rewatch(lookup->loop, &socket->watch, events);
    } else {
        socket = mem_zalloc(sizeof(*socket));
        if (loop_watch(lookup->loop, &socket->watch, fd, events, on_socket_event, lookup) < 0)
            mem_free(socket); /* not heard of: the deadline ends the lookup */
        else
            LIST_INSERT_HEAD(&lookup->sockets, socket, link);
    }
}

/* Asking */

/* Takes an address that is numeric already, and "localhost". Returns false for other names. */
static bool answer_at_once(struct lookup *lookup, const char *host)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char binary[sizeof(struct in6_addr)];
    size_t len = strcspn(host, "%");
    if (strcasecmp(host, "localhost") == 0) {
        add_address(lookup, "127.0.0.1");
        add_address(lookup, "::1");
    } else if (len < sizeof(address) && strlen(host) < ADDRESS_MAX) {
        memcpy(address, host, len);
        address[len] = '\0';
        if (inet_pton(AF_INET6, address, binary) == 1 ||
            (host[len] == '\0' && inet_pton(AF_INET, address, binary) == 1))
            add_address(lookup, host);
    }
    if (lookup->n_addresses == 0)
        return false;
    answer(lookup, NULL);
    return true;
}

static void ask(struct lookup *lookup, const char *host)
{
    struct ares_options options = {0};
    options.timeout = ATTEMPT_MS;
    options.tries = ATTEMPTS;
    options.sock_state_cb = on_socket_state;
    options.sock_state_cb_data = lookup;
    int status = ares_init_options(&lookup->channel, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        lookup->channel = NULL;
        answer(lookup, ares_strerror(status));
        return;
    }
    if (lookup->resolver->servers != NULL) {
        status = ares_set_servers_ports_csv(lookup->channel, lookup->resolver->servers);
        if (status != ARES_SUCCESS) {
            answer(lookup, ares_strerror(status));
            return;
        }
    }
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(lookup->channel, host, NULL, &hints, on_answer, lookup);
    arm_step(lookup);
}

uint64_t resolver_resolve(struct resolver *resolver, const char *host, resolve_fn *fn, void *ctx)
{
    struct lookup *lookup = mem_zalloc(sizeof(*lookup));
    lookup->resolver = resolver;
    lookup->loop = resolver->loop;
    lookup->token = ++resolver->next_token;
    lookup->fn = fn;
    lookup->ctx = ctx;
    LIST_INIT(&lookup->sockets);
    timer_init(&lookup->deadline, on_deadline, lookup);
    timer_init(&lookup->step, on_step, lookup);
    TAILQ_INSERT_TAIL(&resolver->lookups, lookup, link);
    timer_arm(&lookup->loop->timers, &lookup->deadline,
              lookup->loop->clock.mono_ms + RESOLVE_TIMEOUT_MS);
    if (!answer_at_once(lookup, host))
        ask(lookup, host);
    return lookup->token;
}

void resolver_cancel(struct resolver *resolver, uint64_t token)
{
    struct lookup *lookup;
    TAILQ_FOREACH(lookup, &resolver->lookups, link)
    {
        if (lookup->token == token) {
            end_lookup(lookup);
            mem_free(lookup);
            return;
        }
    }
}
