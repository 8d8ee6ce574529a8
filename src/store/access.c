/* The access word; see access.h. */
#include "store/access.h"

#define COUNTER_MAX 255u

static uint32_t minutes_at(int64_t now_ms)
{
    return (uint32_t)((uint64_t)now_ms / ACCESS_MS_PER_MINUTE) & 0xffff;
}

static uint32_t make_lfu(uint32_t minutes, unsigned counter)
{
    return ACCESS_LFU | minutes << 8 | counter;
}

static uint32_t idle_minutes(uint32_t word, int64_t now_ms)
{
    if (word & ACCESS_LFU)
        return (minutes_at(now_ms) - (word >> 8)) & 0xffff;
    return (uint32_t)(access_idle_ms(word, now_ms) / ACCESS_MS_PER_MINUTE);
}

int64_t access_idle_ms(uint32_t word, int64_t now_ms)
{
    if (word & ACCESS_LFU)
        return (int64_t)idle_minutes(word, now_ms) * ACCESS_MS_PER_MINUTE;
    return (int64_t)((access_lru_word(now_ms) - word) & ACCESS_LRU_MASK) << ACCESS_LRU_SHIFT;
}

uint32_t access_lfu_word(int64_t now_ms)
{
    return make_lfu(minutes_at(now_ms), ACCESS_LFU_INITIAL);
}

unsigned access_frequency(uint32_t word, const struct access_rules *rules, int64_t now_ms)
{
    unsigned counter = word & ACCESS_LFU ? word & COUNTER_MAX : ACCESS_LFU_INITIAL;
    uint32_t idle = idle_minutes(word, now_ms);
    if (idle == 0 || rules->decay_minutes == 0)
        return counter;
    uint32_t periods = idle / rules->decay_minutes;
    return periods > counter ? 0 : counter - periods;
}

uint32_t access_lfu_touch(uint32_t word, const struct access_rules *rules, int64_t now_ms,
                          uint32_t random)
{
    unsigned counter = access_frequency(word, rules, now_ms);
    if (counter < COUNTER_MAX) {
        /* Redis: with probability 1 / (base * factor + 1); here without a division. */
        uint64_t base = counter > ACCESS_LFU_INITIAL ? counter - ACCESS_LFU_INITIAL : 0;
        uint64_t odds = base * rules->log_factor + 1;
        if (odds <= UINT32_MAX && random * odds <= UINT32_MAX)
            counter++;
    }
    return make_lfu(minutes_at(now_ms), counter);
}
