/* A tier with the job that names to L2 what L1 was hit for, and an L2 that notes the names and
 * answers when the test lets it; shared by test_touch*.c. The clock is manual. */
#ifndef LARDER_TESTS_TOUCH_SUPPORT_H
#define LARDER_TESTS_TOUCH_SUPPORT_H

#include "tier_reply_support.h"

#include "tier/touch.h"

#define INTERVAL_MS 1000
#define HOLD_MS 100 /* as in touch.c */

static struct touch *touch;
static struct touch_options touch_options;

/* What L2 was told, in the order in which it was: "db/key". */
#define NAME_SIZE 16
static char named[20000][NAME_SIZE]; /* cut */
static size_t n_named;
static size_t n_commands; /* TOUCH */
static size_t max_keys;   /* of one */
static unsigned selected; /* database of the link */

/* Life */

static inline void start_with(const char *policy)
{
    set_up_loop();
    upstream.policy = policy;
    start(usual_options(), usual_store());
    upstream.n_policy_asked = 0;
    n_named = n_commands = max_keys = 0;
    selected = 0;
    touch_options = (struct touch_options){.interval_ms = INTERVAL_MS, .n_dbs = N_DBS};
    touch = touch_create(&loop, tier, &touch_options);
}

static inline void set_up_touch(void)
{
    start_with("allkeys-lru");
}

static inline void tear_down_touch(void)
{
    touch_destroy(touch);
    tear_down();
}

/* Everything again, with another L2. */
static inline void start_again(const char *policy)
{
    tear_down_touch();
    start_with(policy);
}

static inline void configure(int64_t interval_ms)
{
    touch_options.interval_ms = interval_ms;
    touch_configure(touch, &touch_options);
}

static inline void pass_ms(int64_t ms)
{
    clock_advance(&loop.clock, ms);
    turn_times(&loop, 4);
}

/* L1 */

static inline void put_in(unsigned db, const char *key, enum entry_kind kind)
{
    struct store *store = tier_store(tier);
    struct bytes name = bytes_of_str(key);
    struct store_item item = {.kind = kind};
    ck_assert_int_eq(store_put(store, db, name, store_hash(store, name), &item, loop.clock.mono_ms),
                     STORE_OK);
}

static inline void hit_in(unsigned db, const char *key)
{
    struct bytes name = bytes_of_str(key);
    if (tier_find(tier, db, name, store_hash(tier_store(tier), name)) == NULL)
        ck_abort_msg("%s is missing", key);
}

static inline void put_and_hit(const char *key)
{
    put_in(0, key, ENTRY_STRING);
    hit_in(0, key);
}

/* "k0" to "k<n-1>". */
static inline void put_and_hit_many(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%zu", i);
        put_and_hit(key);
    }
}

/* L2 */

static inline void note_named(const char *key, size_t len)
{
    ck_assert_uint_lt(n_named, sizeof(named) / sizeof(named[0]));
    snprintf(named[n_named++], sizeof(named[0]), "%u/%.*s", selected, (int)len, key);
}

/* Notes what has come, and returns the replies to it in `out`. Keys have no blanks and no ';'. */
static inline void take_said(struct buf *out)
{
    ck_assert(buf_append(&upstream.said, "", 1));
    for (char *at = upstream.said.data; *at != '\0';) {
        size_t len = strcspn(at, ";");
        if (strncmp(at, "TOUCH ", 6) == 0) {
            size_t n = 0;
            for (const char *key = at + 6; key < at + len; n++) {
                size_t key_len = strcspn(key, " ;");
                note_named(key, key_len);
                key += key_len + (key[key_len] == ' ');
            }
            n_commands++;
            if (n > max_keys)
                max_keys = n;
            ck_assert(buf_printf(out, ":%zu\r\n", n));
        } else {
            ck_assert_int_eq(sscanf(at, "SELECT %u", &selected), 1);
            ck_assert(buf_append(out, "+OK\r\n", 5));
        }
        at += len + (at[len] == ';' ? 2 : 0);
    }
    upstream.said.len = 0;
}

/* L2 answers what it was told. Returns false when that was nothing. */
static inline bool answer(void)
{
    struct buf out;
    buf_init(&out);
    take_said(&out);
    bool is_any = out.len > 0;
    if (is_any) {
        upstream_say_bytes(out.data, out.len);
        turn_times(&loop, 4);
    }
    buf_deinit(&out);
    return is_any;
}

static inline void answer_for_ms(int64_t ms)
{
    for (int64_t end_ms = loop.clock.mono_ms + ms; loop.clock.mono_ms < end_ms;) {
        pass_ms(1);
        answer();
    }
}

static inline int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* All that was named since the last call, a few at most: "0/a 0/b", sorted. */
static inline const char *all_named(void)
{
    static char text[16 * NAME_SIZE];
    size_t len = 0;
    qsort(named, n_named, sizeof(named[0]), compare);
    ck_assert_uint_le(n_named, 16);
    for (size_t i = 0; i < n_named; i++) {
        if (i > 0)
            text[len++] = ' ';
        memcpy(text + len, named[i], strlen(named[i]));
        len += strlen(named[i]);
    }
    text[len] = '\0';
    n_named = 0;
    return text;
}

/* Lets a round pass, and asserts what is named in it. */
#define ck_names(text)                                                                             \
    do {                                                                                           \
        answer_for_ms(INTERVAL_MS);                                                                \
        ck_assert_str_eq(all_named(), (text));                                                     \
    } while (0)

static inline int touch_run(const char *name, void (*add_tests)(TCase *tcase))
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up_touch, tear_down_touch);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
