/* SipHash-1-3 (src/base/hash.h) against a second implementation, written for any number of rounds
 * from the paper, that is itself held against the paper's vectors for SipHash-2-4; and against
 * published values of SipHash-1-3. */
#include "base/hash.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* --- the second implementation: section 2 of the paper, byte by byte --- */

struct sip {
    uint64_t a, b, c, d;
};

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void rounds(struct sip *v, unsigned n)
{
    while (n-- > 0) {
        v->a += v->b;
        v->b = rotl(v->b, 13) ^ v->a;
        v->a = rotl(v->a, 32);
        v->c += v->d;
        v->d = rotl(v->d, 16) ^ v->c;
        v->a += v->d;
        v->d = rotl(v->d, 21) ^ v->a;
        v->c += v->b;
        v->b = rotl(v->b, 17) ^ v->c;
        v->c = rotl(v->c, 32);
    }
}

static uint64_t reference(unsigned c_rounds, unsigned d_rounds, uint64_t k0, uint64_t k1,
                          const unsigned char *data, size_t len)
{
    struct sip v = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                    k1 ^ 0x7465646279746573};
    uint64_t word = 0;
    for (size_t i = 0; i <= len + (7 - len % 8); i++) {
        uint64_t byte = i < len ? data[i] : 0;
        if (i == len + (7 - len % 8))
            byte = len & 0xff;
        word |= byte << (8 * (i % 8));
        if (i % 8 == 7) {
            v.d ^= word;
            rounds(&v, c_rounds);
            v.a ^= word;
            word = 0;
        }
    }
    v.c ^= 0xff;
    rounds(&v, d_rounds);
    return v.a ^ v.b ^ v.c ^ v.d;
}

/* Appendix A of the paper and its authors' vectors: key 00 01 .. 0f, input 00 01 .. (length -
 * 1). */
START_TEST(the_reference_is_right)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } vectors[] = {{0, 0x726fdb47dd0e0e31},  {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
                   {8, 0x93f5f5799a932462},  {9, 0x9e0082df0ba9e4b0},  {15, 0xa129ca6149be45e5},
                   {16, 0x3f2acc7f57c29bdb}, {31, 0x32d892fad841c342}, {63, 0x958a324ceb064572}};
    unsigned char data[64];
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)i;
    for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        ck_assert_uint_eq(
            reference(2, 4, 0x0706050403020100, 0x0f0e0d0c0b0a0908, data, vectors[i].len),
            vectors[i].hash);
}
END_TEST

START_TEST(published_values)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } values[] = {{"", 0xd1fba762150c532c},
                  {"siphash", 0x8264ceeccb16bcbe},
                  {"digest-sip_hash", 0xce31007e34130c0a}};
    const struct hash_key key = {0, 0};
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(hash_bytes(&key, values[i].text, strlen(values[i].text)), values[i].hash);
}
END_TEST

/* Every length up to 300 at every alignment, in an allocation that ends with the input. */
START_TEST(agrees_with_the_reference)
{
    uint64_t x = 88172645463325252;
    for (size_t len = 0; len <= 300; len++) {
        for (size_t align = 0; align < 8; align++) {
            unsigned char *data = malloc(align + len + (align + len == 0));
            ck_assert(data != NULL);
            for (size_t i = 0; i < align + len; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                data[i] = (unsigned char)(x >> 32);
            }
            struct hash_key key = {x, x * 0x9e3779b97f4a7c15};
            uint64_t expected = reference(1, 3, key.k0, key.k1, data + align, len);
            ck_assert_uint_eq(hash_bytes(&key, data + align, len), expected);
            free(data);
        }
    }
}
END_TEST

START_TEST(random_keys_differ)
{
    struct hash_key a;
    struct hash_key b;
    hash_key_random(&a);
    hash_key_random(&b);
    ck_assert(a.k0 != b.k0 && a.k1 != b.k1);
    ck_assert(hash_bytes(&a, "key", 3) != hash_bytes(&b, "key", 3));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hash");
    TCase *tcase = tcase_create("hash");
    tcase_add_test(tcase, the_reference_is_right);
    tcase_add_test(tcase, published_values);
    tcase_add_test(tcase, agrees_with_the_reference);
    tcase_add_test(tcase, random_keys_differ);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
