"""A redis-server whose wall clock can be set apart from the machine's, by a library that is loaded
before its own. Must not know of tests."""

import os
import subprocess

from support.servers import Redis

SHIFT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    static int (*real)(struct timeval *, void *);
    static const volatile int64_t *shift_s;
    if (real == NULL) {
        real = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
        shift_s = mmap(NULL, 8, PROT_READ, MAP_SHARED, open(getenv("SHIFT_FILE"), O_RDONLY), 0);
    }
    int result = real(now, zone);
    now->tv_sec += *shift_s;
    return result;
}
"""


class Shifted(Redis):
    """A redis-server whose wall clock can be set apart from the machine's."""

    def __init__(self, folder):
        self.file = folder / "shift"
        self.library = folder / "shift.so"
        (folder / "shift.c").write_text(SHIFT)
        compiler = os.environ.get("CC", "cc").split()[0]
        subprocess.run([compiler, "-shared", "-fPIC", "-o", self.library,
                        folder / "shift.c", "-ldl"], check=True, timeout=60)
        self.shift(0)
        super().__init__()

    def shift(self, seconds):
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))

    def spawn(self, argv, env=None):
        super().spawn(argv, {**os.environ, "LD_PRELOAD": str(self.library),
                             "SHIFT_FILE": str(self.file)})
