/*
 * What every fuzz target defines. The caller is replay_main.c, or libFuzzer with --enable-fuzz.
 */

#ifndef LARDER_TESTS_FUZZ_H
#define LARDER_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * Feeds one input to the code under test and aborts on a broken invariant.
 *
 * @param data     borrowed for the call; may not be read past n_bytes
 * @param n_bytes  0 or more
 * @return         always 0
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

#endif
