/* A small seeded source of random numbers (splitmix64), for what has to happen again with the same
 * seed. Not for secrets. */
#ifndef LARDER_TESTS_RANDOM_H
#define LARDER_TESTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_u64(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number in [0, n); n > 0. The bias is below n / 2^64. */
static inline uint64_t random_below(struct random *random, uint64_t n)
{
    return random_u64(random) % n;
}

/* A number in [min, max]. */
static inline int64_t random_range(struct random *random, int64_t min, int64_t max)
{
    return min + (int64_t)random_below(random, (uint64_t)(max - min) + 1);
}

static inline bool random_percent(struct random *random, unsigned percent)
{
    return random_below(random, 100) < percent;
}

#endif
