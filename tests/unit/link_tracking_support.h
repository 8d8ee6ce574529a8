/* What the tests of a link's tracking share: test_link_tracking.c, test_link_checks.c. */
#ifndef LARDER_TESTS_LINK_TRACKING_SUPPORT_H
#define LARDER_TESTS_LINK_TRACKING_SUPPORT_H

#include "link_fake.h"

#define ON "%3\r\n$5\r\nflags\r\n~1\r\n$2\r\non\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n"
#define OFF                                                                                        \
    "%3\r\n$5\r\nflags\r\n~1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n"
#define NO_PERMISSION                                                                              \
    "-NOPERM this user has no permissions to run the 'client|tracking' command\r\n"

static inline struct link_options options_for(enum link_tracking tracking, const char *prefix,
                                              const char *other)
{
    struct link_options options = link_options_for("");
    options.tracking = tracking;
    if (prefix != NULL) {
        options.prefixes = mem_alloc(2 * sizeof(*options.prefixes));
        options.prefixes[options.n_prefixes++] = mem_strdup(prefix);
        if (other != NULL)
            options.prefixes[options.n_prefixes++] = mem_strdup(other);
    }
    return options;
}

static inline void start(enum link_tracking tracking, const char *prefix, const char *other)
{
    fake.pong = "+PONG\r\n";
    struct link_options options = options_for(tracking, prefix, other);
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    ck_assert_ptr_null(options.prefixes); /* taken */
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
    turn_times(&loop, 3);
}

static inline void configure(enum link_tracking tracking, const char *prefix, const char *other)
{
    struct link_options options = options_for(tracking, prefix, other);
    address_deinit(&options.address);
    link_configure(link_, &options);
    ck_assert_ptr_null(options.prefixes);
}

static inline bool tracks(const char *key)
{
    return link_tracks(link_, bytes_of_str(key));
}

static inline unsigned times(const char *what)
{
    unsigned n = 0;
    for (const char *p = fake.greeting; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

#define ck_assert_mode(mode, downs, ups)                                                           \
    do {                                                                                           \
        turn_times(&loop, 6);                                                                      \
        ck_assert_int_eq(link_get_tracking(link_), (mode));                                        \
        ck_assert_int_eq(figures().tracking, (mode));                                              \
        ck_assert_uint_eq(figures().step_downs, (downs));                                          \
        ck_assert_uint_eq(figures().step_ups, (ups));                                              \
    } while (0)

#endif
