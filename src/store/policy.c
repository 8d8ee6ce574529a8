/* Names of the eviction policies; see store.h. */
#include "store/store.h"

static const char *const names[STORE_POLICIES] = {
    [STORE_NOEVICTION] = "noeviction",           [STORE_ALLKEYS_LRU] = "allkeys-lru",
    [STORE_ALLKEYS_LFU] = "allkeys-lfu",         [STORE_ALLKEYS_RANDOM] = "allkeys-random",
    [STORE_VOLATILE_LRU] = "volatile-lru",       [STORE_VOLATILE_LFU] = "volatile-lfu",
    [STORE_VOLATILE_RANDOM] = "volatile-random", [STORE_VOLATILE_TTL] = "volatile-ttl",
};

const char *store_policy_name(enum store_policy policy)
{
    return names[policy];
}

bool store_policy_parse(struct bytes name, enum store_policy *policy)
{
    for (int i = 0; i < STORE_POLICIES; i++) {
        if (bytes_is(name, names[i])) {
            *policy = (enum store_policy)i;
            return true;
        }
    }
    return false;
}
