/* The list of warming jobs (src/tier/warm.h): starting, cancelling, waiting, remembering. */
#include "warm_support.h"

START_TEST(bad_files_are_refused_at_the_start)
{
    struct warm_spec spec = {.kind = WARM_FILE, .text = BYTES("../x"), .concurrency = 1};
    char error[WARM_ERROR_SIZE];
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error, "ERR can't open '../x' in warm-dir: it leads out of warm-dir");
    spec.text = BYTES("none");
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error, "ERR can't open 'none' in warm-dir: No such file or directory");
    struct warm_options options;
    warm_options_default(&options);
    struct warm_jobs *closed = warm_jobs_create(&t.loop, &t, &options);
    ck_assert_uint_eq(warm_start(closed, &spec, error), 0);
    ck_assert_str_eq(error, "ERR CACHE WARM FILE is off, set warm-dir to the directory of the key "
                            "files");
    warm_jobs_destroy(closed);
}
END_TEST

START_TEST(without_an_upstream_nothing_is_warmed)
{
    t.has_link = false;
    struct bytes key = BYTES("k");
    struct warm_spec spec = keys_spec(&key, 1);
    char error[WARM_ERROR_SIZE];
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error, "ERR there is no upstream to warm from, larder serves L1 alone");
    t.has_link = true;
}
END_TEST

START_TEST(a_cancelled_job_ends_with_its_fetches)
{
    uint64_t id = start_n(50, (struct warm_spec){0});
    turns(2);
    ck_assert_uint_eq(t.n_pending, 10);
    ck_assert_int_eq(warm_cancel(t.jobs, id), WARM_CANCEL_OK);
    ck_assert_int_eq(warm_cancel(t.jobs, id), WARM_CANCEL_ENDED);
    ck_assert_int_eq(warm_cancel(t.jobs, 99), WARM_CANCEL_UNKNOWN);
    ck_assert_int_eq(warm_cancel(t.jobs, 0), WARM_CANCEL_UNKNOWN);
    while (t.n_pending > 0) {
        answer_value("v");
        turns(1);
    }
    check_state(id, WARM_CANCELLED, "");
    ck_assert_uint_eq(t.n_fetches, 10);
    ck_assert_uint_eq(figures_of(id).counts.warmed, 10);
}
END_TEST

static void note_id(void *ctx, const struct warm_figures *figures)
{
    uint64_t **at = ctx;
    *(*at)++ = figures->id;
}

START_TEST(the_last_32_ended_jobs_stay_listed)
{
    struct warm_figures figures;
    ck_assert(!warm_read(t.jobs, 0, &figures));
    put("k0", 2, "v", 1);
    for (int i = 0; i < 40; i++) {
        start_n(1, (struct warm_spec){0});
        turns(1);
    }
    uint64_t ids[64];
    uint64_t *end = ids;
    ck_assert_uint_eq(warm_each(t.jobs, note_id, &end), WARM_ENDED_KEPT);
    ck_assert_int_eq(end - ids, WARM_ENDED_KEPT);
    ck_assert_uint_eq(ids[0], 9);
    ck_assert_uint_eq(ids[WARM_ENDED_KEPT - 1], 40);
    ck_assert(!warm_read(t.jobs, 8, &figures));
    ck_assert_uint_eq(figures_of(0).id, 40);
}
END_TEST

START_TEST(jobs_under_way_are_bounded)
{
    for (int i = 0; i < WARM_JOBS_MAX; i++)
        start_n(1, (struct warm_spec){0});
    struct bytes key = BYTES("k");
    struct warm_spec spec = keys_spec(&key, 1);
    char error[WARM_ERROR_SIZE];
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error, "ERR 16 warming jobs are under way, wait for one or cancel one");
    warm_cancel_all(t.jobs);
    turns(1);
    ck_assert_uint_eq(start(&spec), WARM_JOBS_MAX + 1);
}
END_TEST

START_TEST(keys_have_a_limit_in_bytes)
{
    size_t n = 1024;
    char *key = malloc(WARM_KEYS_BYTES_MAX / n);
    memset(key, 'k', WARM_KEYS_BYTES_MAX / n);
    struct bytes *keys = calloc(n, sizeof(*keys));
    for (size_t i = 0; i < n; i++)
        keys[i] = bytes_of(key, WARM_KEYS_BYTES_MAX / n - 4 + (i == n - 1));
    struct warm_spec spec = keys_spec(keys, n);
    char error[WARM_ERROR_SIZE];
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error,
                     "ERR the keys of one warming job may take 64 MB at most, use CACHE WARM "
                     "FILE");
    keys[n - 1].len--;
    mem_fail_after(1);
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error, "ERR out of memory");
    mem_fail_after(0);
    warm_cancel(t.jobs, start(&spec));
    free(keys);
    free(key);
}
END_TEST

START_TEST(no_memory_for_a_key_fails_the_key)
{
    uint64_t id = start_n(2, (struct warm_spec){0});
    mem_fail_after(1);
    turns(1);
    mem_fail_after(0);
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.failed, 1);
    ck_assert_str_eq(figures_of(id).last_error, "out of memory for a key");
}
END_TEST

struct heard {
    unsigned n;
    enum warm_state state;
    uint64_t warmed;
};

static void hear(void *ctx, const struct warm_figures *figures)
{
    struct heard *heard = ctx;
    heard->n++;
    heard->state = figures->state;
    heard->warmed = figures->counts.warmed;
}

START_TEST(waiters_hear_of_the_end_or_of_the_time)
{
    struct heard patient = {0}, hasty = {0}, late = {0};
    uint64_t id = start_n(1, (struct warm_spec){0});
    ck_assert(!warm_wait(t.jobs, 77, 1, hear, &late));
    ck_assert(warm_wait(t.jobs, id, 0, hear, &patient));
    ck_assert(warm_wait(t.jobs, id, 50, hear, &hasty));
    turns(2);
    pass_ms(49);
    ck_assert_uint_eq(hasty.n, 0);
    pass_ms(1);
    ck_assert_uint_eq(hasty.n, 1);
    ck_assert_int_eq(hasty.state, WARM_RUNNING);
    ck_assert_uint_eq(patient.n, 0);
    answer_value("v");
    turns(1);
    ck_assert_uint_eq(patient.n, 1);
    ck_assert_int_eq(patient.state, WARM_DONE);
    ck_assert_uint_eq(patient.warmed, 1);
    ck_assert(warm_wait(t.jobs, id, 1000, hear, &late));
    ck_assert_uint_eq(late.n, 0); /* never inside the call */
    turns(1);
    ck_assert_uint_eq(late.n, 1);
    ck_assert_uint_eq(hasty.n, 1);
}
END_TEST

START_TEST(the_end_of_the_list_cancels_and_tells)
{
    struct heard first = {0}, second = {0};
    uint64_t id = start_n(20, (struct warm_spec){0});
    uint64_t other = start_match("*", (struct warm_spec){0});
    ck_assert(warm_wait(t.jobs, id, 0, hear, &first));
    ck_assert(warm_wait(t.jobs, other, 100, hear, &second));
    turns(2);
    ck_assert_uint_eq(t.n_pending, 10);
    ck_assert_ptr_nonnull(t.scan_fn);
    warm_jobs_destroy(t.jobs);
    t.jobs = NULL;
    ck_assert_uint_eq(first.n, 1);
    ck_assert_uint_eq(second.n, 1);
    ck_assert_int_eq(first.state, WARM_CANCELLED);
    ck_assert_int_eq(timers_next_ms(&t.loop.timers), INT64_MAX);
    /* What is in flight comes back to nobody: tear_down sees to it, under the sanitizer's eyes. */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("warm_list");
    TCase *tcase = tcase_create("warm_list");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, bad_files_are_refused_at_the_start);
    tcase_add_test(tcase, without_an_upstream_nothing_is_warmed);
    tcase_add_test(tcase, a_cancelled_job_ends_with_its_fetches);
    tcase_add_test(tcase, the_last_32_ended_jobs_stay_listed);
    tcase_add_test(tcase, jobs_under_way_are_bounded);
    tcase_add_test(tcase, keys_have_a_limit_in_bytes);
    tcase_add_test(tcase, no_memory_for_a_key_fails_the_key);
    tcase_add_test(tcase, waiters_hear_of_the_end_or_of_the_time);
    tcase_add_test(tcase, the_end_of_the_list_cancels_and_tells);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
