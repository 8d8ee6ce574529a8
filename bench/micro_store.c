/* Micro-benchmark of L1: ns per find, miss and put at a small and a large size, and bytes per entry
 * beyond key and value.
 *
 *     micro_store [entries ...]     default: 100000 8000000
 *
 * Keys of 32 bytes, values of 64. Hashes are computed beforehand, so that the figures are the
 * store's alone; the hash has a line of its own. Each figure is the best of ROUNDS, to be compared
 * on an idle machine only. */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_LEN 32u
#define VALUE_LEN 64u
#define ROUNDS 5u
#define LOOKUPS ((size_t)1 << 20)
/* As the pipeline of a busy client. */
#define BATCH 64u

struct bench {
    struct store *store;
    size_t n_entries;
    char (*keys)[KEY_LEN]; /* of the lookups, in their order */
    uint64_t *hashes;
    uint64_t random;
};

static uint64_t next_random(struct bench *bench)
{
    uint64_t x = bench->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return bench->random = x;
}

static void make_key(char *key, size_t number)
{
    char text[KEY_LEN + 1];
    snprintf(text, sizeof(text), "session:profile:user:%011zu", number % 100000000000u);
    memcpy(key, text, KEY_LEN);
}

static struct bytes key_at(const struct bench *bench, size_t i)
{
    return bytes_of(bench->keys[i], KEY_LEN);
}

/* Chooses what is looked up: random ones of the `n` numbers from `first` on. */
static void choose(struct bench *bench, size_t first, size_t n)
{
    for (size_t i = 0; i < LOOKUPS; i++) {
        make_key(bench->keys[i], first + next_random(bench) % n);
        bench->hashes[i] = store_hash(bench->store, key_at(bench, i));
    }
}

static void print(const char *what, double best_ns)
{
    printf("  %-34s %8.1f ns\n", what, best_ns);
}

typedef size_t pass_fn(struct bench *bench, int64_t now_ms);

static size_t pass_hash(struct bench *bench, int64_t now_ms)
{
    uint64_t sum = (uint64_t)now_ms;
    for (size_t i = 0; i < LOOKUPS; i++)
        sum ^= store_hash(bench->store, key_at(bench, i));
    return sum != 0 ? LOOKUPS : 0;
}

static size_t pass_find(struct bench *bench, int64_t now_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < LOOKUPS; i++)
        n += store_find(bench->store, 0, key_at(bench, i), bench->hashes[i], now_ms) != NULL;
    return n;
}

static size_t pass_batch(struct bench *bench, int64_t now_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < LOOKUPS; i += BATCH) {
        for (size_t j = i; j < i + BATCH; j++)
            store_prefetch_bucket(bench->store, 0, bench->hashes[j]);
        for (size_t j = i; j < i + BATCH; j++)
            store_prefetch_entry(bench->store, 0, bench->hashes[j]);
        for (size_t j = i; j < i + BATCH; j++)
            n += store_find(bench->store, 0, key_at(bench, j), bench->hashes[j], now_ms) != NULL;
    }
    return n;
}

static size_t pass_replace(struct bench *bench, int64_t now_ms)
{
    char value[VALUE_LEN] = {1};
    struct store_item item = {.value = bytes_of(value, VALUE_LEN)};
    size_t n = 0;
    for (size_t i = 0; i < LOOKUPS; i++)
        n += store_put(bench->store, 0, key_at(bench, i), bench->hashes[i], &item, now_ms) ==
             STORE_OK;
    return n;
}

static void measure(struct bench *bench, const char *what, pass_fn *pass, size_t expected)
{
    int64_t best = INT64_MAX;
    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t start = clock_read_ns();
        size_t n = pass(bench, 1000000 + round);
        int64_t took = clock_read_ns() - start;
        if (n != expected) {
            fprintf(stderr, "%s: %zu instead of %zu\n", what, n, expected);
            exit(1);
        }
        if (took < best)
            best = took;
    }
    print(what, (double)best / (double)LOOKUPS);
}

/* Puts new keys; returns ns per put. */
static double put_new(struct bench *bench, size_t first, size_t n, int64_t *worst_ns)
{
    char value[VALUE_LEN] = {2};
    struct store_item item = {.value = bytes_of(value, VALUE_LEN)};
    int64_t total = 0;
    *worst_ns = 0;
    for (size_t done = 0; done < n;) {
        size_t chunk = n - done < 1000 ? n - done : 1000;
        for (size_t i = 0; i < chunk; i++) {
            make_key(bench->keys[i], first + done + i);
            bench->hashes[i] = store_hash(bench->store, key_at(bench, i));
        }
        int64_t start = clock_read_ns();
        for (size_t i = 0; i < chunk; i++)
            if (store_put(bench->store, 0, key_at(bench, i), bench->hashes[i], &item, 1000000) !=
                STORE_OK)
                exit(1);
        int64_t took = clock_read_ns() - start;
        total += took;
        if (took > *worst_ns)
            *worst_ns = took;
        done += chunk;
    }
    return (double)total / (double)n;
}

static void print_memory(const struct bench *bench)
{
    struct store_gauges gauges;
    store_read_gauges(bench->store, &gauges);
    double n = (double)gauges.entries;
    printf("  %-34s %8.1f bytes (entry %.1f, index %.1f)\n", "beyond key and value, per entry",
           (double)(gauges.entry_bytes + gauges.index_bytes) / n - KEY_LEN - VALUE_LEN,
           (double)gauges.entry_bytes / n - KEY_LEN - VALUE_LEN, (double)gauges.index_bytes / n);
}

/* New keys at the budget: each put evicts. */
static void measure_eviction(struct bench *bench)
{
    for (int policy = STORE_ALLKEYS_LRU; policy <= STORE_ALLKEYS_RANDOM; policy++) {
        struct store_gauges gauges;
        store_read_gauges(bench->store, &gauges);
        struct store_options options = *store_get_options(bench->store);
        options.max_bytes = gauges.entry_bytes + gauges.index_bytes;
        options.policy = (enum store_policy)policy;
        store_configure(bench->store, &options);
        char what[64];
        int64_t worst;
        snprintf(what, sizeof(what), "put, evicting %s", store_policy_name(options.policy));
        print(what, put_new(bench, ((size_t)policy + 2) * bench->n_entries, bench->n_entries / 4,
                            &worst));
    }
}

static void run(size_t n_entries)
{
    struct store_options options;
    store_options_default(&options);
    options.seed = 42;
    struct bench bench = {.n_entries = n_entries, .random = 88172645463325252u};
    bench.store = store_create(&options);
    bench.keys = mem_alloc(LOOKUPS * KEY_LEN);
    bench.hashes = mem_alloc(LOOKUPS * sizeof(bench.hashes[0]));

    printf("%zu entries, keys of %u and values of %u bytes\n", n_entries, KEY_LEN, VALUE_LEN);
    int64_t worst_ns;
    print("put, new keys", put_new(&bench, 0, n_entries, &worst_ns));
    printf("  %-34s %8.1f us\n", "worst 1000 puts", (double)worst_ns / 1e3);
    print_memory(&bench);
    choose(&bench, 0, n_entries);
    measure(&bench, "hash", pass_hash, LOOKUPS);
    measure(&bench, "find", pass_find, LOOKUPS);
    measure(&bench, "find, batches with prefetch", pass_batch, LOOKUPS);
    measure(&bench, "put, same length", pass_replace, LOOKUPS);
    choose(&bench, n_entries, n_entries);
    measure(&bench, "find, missing key", pass_find, 0);
    measure_eviction(&bench);
    store_destroy(bench.store);
    mem_free(bench.keys);
    mem_free(bench.hashes);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        run(100000);
        run(8000000);
    }
    for (int i = 1; i < argc; i++) {
        int64_t n;
        if (!bytes_parse_range(bytes_of_str(argv[i]), 1, INT64_C(1) << 32, &n)) {
            fprintf(stderr, "usage: %s [entries ...]\n", argv[0]);
            return 1;
        }
        run((size_t)n);
    }
    return 0;
}
