/* The access word of an entry: what the eviction policies know about its use.
 *
 *      31  30                                    0
 *     +---+---------------------------------------+
 *     | 0 | monotonic ms >> 4, modulo 2^31        |  LRU: the last access; wraps after 397 days
 *     +---+----------+---------------+------------+
 *     | 1 | 7, zero  | 16, minutes   | 8, counter |  LFU, as Redis 7.0: last decay, log. counter
 *     +---+----------+---------------+------------+
 *
 * The top bit says which it is, so that a change of policy at run time misreads no word: one of the
 * other kind is converted when it is looked at and rewritten at the next access. Knows nothing of
 * entries. */
#ifndef LARDER_STORE_ACCESS_H
#define LARDER_STORE_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#define ACCESS_LFU ((uint32_t)1 << 31)
#define ACCESS_LRU_MASK (ACCESS_LFU - 1)
#define ACCESS_LRU_SHIFT 4 /* units of 16 ms */

/* The counter of a new entry, so that it isn't the next to go; Redis's LFU_INIT_VAL. */
#define ACCESS_LFU_INITIAL 5u

#define ACCESS_MS_PER_MINUTE 60000

/* The parameters of LFU, as Redis's lfu-log-factor and lfu-decay-time (minutes; 0: never). */
struct access_rules {
    uint32_t log_factor;
    uint32_t decay_minutes;
};

/* The LRU word of an access at now_ms. */
static inline uint32_t access_lru_word(int64_t now_ms)
{
    return (uint32_t)((uint64_t)now_ms >> ACCESS_LRU_SHIFT) & ACCESS_LRU_MASK;
}

/* Milliseconds since the last access, in steps of 16; of an LFU word in minutes. */
int64_t access_idle_ms(uint32_t word, int64_t now_ms);

/* The LFU word of a new entry. */
uint32_t access_lfu_word(int64_t now_ms);

/* The counter after decay, 0 to 255, as Redis's LFUDecrAndReturn; an LRU word counts as one access
 * at its time. */
unsigned access_frequency(uint32_t word, const struct access_rules *rules, int64_t now_ms);

/* The LFU word after one more access, as Redis's updateLFU; `random` is 32 random bits. */
uint32_t access_lfu_touch(uint32_t word, const struct access_rules *rules, int64_t now_ms,
                          uint32_t random);

#endif
