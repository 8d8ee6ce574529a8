/* The keyed hash of every table whose keys come from outside: SipHash-1-3 (Aumasson and Bernstein 2012, reduced rounds as
 * used for hash tables by Rust and Ruby). A client that does not know the key can't make keys collide. */
#ifndef LARDER_BASE_HASH_H
#define LARDER_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t k0;
    uint64_t k1;
};

/* A key from the system's random source; aborts where there is none. */
void hash_key_random(struct hash_key *key);

/* The 64-bit hash of `len` bytes under `key`. */
uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t len) __attribute__((pure));

#endif
