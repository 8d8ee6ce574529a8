/* Looking into L1 (src/tier/tier_explain.c) and why keys left it (drops.h, tier_drop.c); where what is
 * kept (reply_dbs.h). */
#include "soft_support.h"

#include "tier/drops.h"

static struct tier_explanation explain(const char *key)
{
    struct tier_explanation seen;
    struct tier_counters before = counters();
    uint64_t random = tier->random;
    tier_explain(tier, 0, bytes_of_str(key), hash_of(key), &seen);
    struct tier_counters after = counters();
    ck_assert_mem_eq(&before, &after, sizeof(before)); /* without a trace */
    ck_assert(random == tier->random || seen.policy->early_refresh > 0);
    return seen;
}

/* Entries */

START_TEST(test_nothing)
{
    struct tier_explanation seen = explain("a");
    ck_assert_ptr_null(seen.entry);
    ck_assert_uint_eq(seen.n_replies, 0);
    ck_assert_ptr_eq(seen.policy, policy_table_default(tier_policies(tier)));
}
END_TEST

START_TEST(test_string)
{
    fetch_saying("a", "$1\r\n1\r\n:5000\r\n", TIER_STRING, "1");
    struct tier_explanation seen = explain("a");
    ck_assert_int_eq(seen.entry->kind, ENTRY_STRING);
    ck_assert(seen.is_fresh && seen.is_answered && !seen.is_absent);
    ck_assert_int_eq(seen.fresh_ms, 5000);
    ck_assert_uint_eq(seen.epoch, tier_epoch(tier));
    fetch_saying("a", "_\r\n:-2\r\n", TIER_ABSENT, "");
    seen = explain("a");
    ck_assert(seen.is_fresh && seen.is_absent);
    ck_assert_int_eq(seen.fresh_ms, -1);
}
END_TEST

/* A soft one: fresh, stale and answered, of no use. */
START_TEST(test_soft)
{
    set_policy("k", "ttl=10s stale-while-revalidate=20s stale-if-error=40s");
    fill("k", "1");
    struct tier_explanation seen = explain("k");
    ck_assert(seen.is_fresh && seen.is_answered);
    ck_assert_int_eq(seen.fresh_ms, 10000);
    ck_assert_int_eq(seen.policy->swr_ms, 20000);
    clock_advance(&loop.clock, 10000);
    seen = explain("k");
    ck_assert(!seen.is_fresh && seen.is_answered);
    ck_assert_int_eq(seen.fresh_ms, 0);
    clock_advance(&loop.clock, 20000);
    seen = explain("k");
    ck_assert(!seen.is_fresh && !seen.is_answered);
    ck_assert_ptr_nonnull(seen.entry);
    upstream_expect(""); /* looking fetches nothing */
}
END_TEST

START_TEST(test_soft_of_a_lost_link)
{
    set_policy("k", "stale-while-revalidate=20s");
    fill("k", "1");
    ck_assert_int_eq(explain("k").fresh_ms, -1);
    uint32_t epoch = tier_epoch(tier);
    renew_link();
    struct tier_explanation seen = explain("k");
    ck_assert(!seen.is_fresh && seen.is_answered);
    ck_assert_uint_eq(seen.epoch, epoch);
    ck_assert_uint_eq(tier_epoch(tier), epoch + 1);
    set_policy("k", "stale-while-revalidate=30s");
    seen = explain("k");
    ck_assert(!seen.is_fresh && !seen.is_answered); /* put by rules that don't hold any more */
    fill("k", "1");
    ck_assert(explain("k").is_fresh);
    set_policy("k", "stale-while-revalidate=20s");
    ck_assert(!explain("k").is_fresh);
}
END_TEST

START_TEST(test_observed)
{
    set_policy("k", "mode=observe");
    fetch_saying("k", "$1\r\n1\r\n:-1\r\n", TIER_STRING, "1");
    struct tier_explanation seen = explain("k");
    ck_assert(seen.is_fresh && !seen.is_answered);
}
END_TEST

START_TEST(test_l1_off)
{
    fill("a", "1");
    tier_options_now.l1_enabled = false;
    tier_configure(tier, &tier_options_now);
    put_in(0, "a", "1"); /* by whoever */
    ck_assert_ptr_null(explain("a").entry);
}
END_TEST

/* Drops */

static const struct drop *last(const char *key)
{
    return tier_last_drop(tier, 0, hash_of(key));
}

START_TEST(test_reasons)
{
    set_policy("s", "stale-if-error=1h");
    static const char *const keys[] = {"a", "s"};
    for (unsigned i = 0; i < 2; i++) {
        const char *key = keys[i];
        ck_assert_ptr_null(last(key));
        fill(key, "1");
        struct got *item = write_key(key);
        ck_assert_int_eq(last(key)->reason, DROP_WRITE);
        ck_assert_int_eq(last(key)->at_ms, loop.clock.mono_ms);
        turns(3);
        upstream_say("+OK\r\n");
        assert_wrote(item, "+OK\r\n");
        upstream.said.len = 0;
        fill(key, "1");
        clock_advance(&loop.clock, 7);
        upstream_say(i == 0 ? PUSH("1", "a") : PUSH("1", "s"));
        TURN_UNTIL(&loop, counters().invalidated == i + 1);
        ck_assert_int_eq(last(key)->reason, DROP_INVALIDATION);
        ck_assert_int_eq(tier_last_drop(tier, 2, hash_of(key))->reason, DROP_INVALIDATION);
        ck_assert_int_eq(last(key)->at_ms, loop.clock.mono_ms);
        fill(key, "1");
        tier_drop(tier, 0, bytes_of_str(key));
        ck_assert_int_eq(last(key)->reason, DROP_COMMAND);
        tier_drop(tier, 0, bytes_of_str(key)); /* there is nothing to drop */
        write_key(key);
        ck_assert_int_eq(last(key)->reason, DROP_COMMAND);
        turns(3);
        upstream_say("+OK\r\n");
        turns(3);
        upstream.said.len = 0;
        ck_assert_ptr_null(tier_last_drop(tier, 2, hash_of(key)));
    }
}
END_TEST

START_TEST(test_flushes)
{
    ck_assert_ptr_null(tier_last_flush(tier));
    renew_link();
    ck_assert_int_eq(tier_last_flush(tier)->reason, DROP_LINK);
    upstream_say(PUSH_ALL);
    TURN_UNTIL(&loop, counters().flushes_push == 1);
    ck_assert_int_eq(tier_last_flush(tier)->reason, DROP_FLUSH);
    ck_assert_int_eq(tier_last_flush(tier)->at_ms, loop.clock.mono_ms);
    renew_link();
    tier_drop_all(tier);
    ck_assert_int_eq(tier_last_flush(tier)->reason, DROP_FLUSH);
    renew_link();
    write_in(1, TIER_DATABASE, "a");
    ck_assert_int_eq(tier_last_flush(tier)->reason, DROP_FLUSH);
    turns(3);
    lose_link();
}
END_TEST

/* The table has one place for several keys: the last one counts. */
START_TEST(test_table)
{
    struct drops drops;
    memset(&drops, 0, sizeof(drops));
    uint64_t hash = UINT64_C(5) << 32 | 7;
    uint64_t same_place = (UINT64_C(5) + DROPS_SLOTS) << 32 | 7;
    ck_assert_ptr_null(drops_find(&drops, 0, 0));
    ck_assert_ptr_null(drops_find(&drops, 0, hash));
    drops_note(&drops, 3, hash, DROP_WRITE, 1000);
    ck_assert_ptr_null(drops_find(&drops, 0, hash));
    ck_assert_ptr_null(drops_find(&drops, 3, same_place));
    ck_assert_int_eq(drops_find(&drops, 3, hash)->at_ms, 1000);
    drops_note(&drops, 3, same_place, DROP_COMMAND, 2000);
    ck_assert_ptr_null(drops_find(&drops, 3, hash));
    ck_assert_int_eq(drops_find(&drops, 3, same_place)->reason, DROP_COMMAND);
}
END_TEST

/* Databases */

/* Six for each of the clients', no two alike, each of them known by what it holds and whose it is. */
START_TEST(test_databases)
{
    bool used[6 * N_DBS] = {false};
    ck_assert_uint_eq(reply_dbs_total(N_DBS), N(used));
    for (unsigned db = 0; db < N_DBS; db++) {
        for (int soft = 0; soft < 2; soft++) {
            unsigned of[] = {reply_dbs_strings(N_DBS, db, soft), reply_dbs_anchors(N_DBS, db, soft),
                             reply_dbs_replies(N_DBS, db, soft)};
            for (unsigned i = 0; i < 3; i++) {
                ck_assert_uint_lt(of[i], N(used));
                ck_assert(!used[of[i]]);
                used[of[i]] = true;
                ck_assert_uint_eq(reply_dbs_client(N_DBS, of[i]), db);
                ck_assert_int_eq(reply_dbs_has_keys(N_DBS, of[i]), i < 2);
            }
        }
        ck_assert_uint_eq(reply_dbs_strings(N_DBS, db, false), db);
    }
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_nothing);
    tcase_add_test(tcase, test_string);
    tcase_add_test(tcase, test_soft);
    tcase_add_test(tcase, test_soft_of_a_lost_link);
    tcase_add_test(tcase, test_observed);
    tcase_add_test(tcase, test_l1_off);
    tcase_add_test(tcase, test_reasons);
    tcase_add_test(tcase, test_flushes);
    tcase_add_test(tcase, test_table);
    tcase_add_test(tcase, test_databases);
}

int main(void)
{
    return soft_run("tier_explain", add_tests);
}
