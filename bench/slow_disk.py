"""A disk whose sync takes as long as one likes: data in memory, where a sync is free, and a library in front of libc that waits in each.

Every sync of the server is as slow, those of RocksDB's own threads too, and it waits without using a core, as with a real disk. What
this does not imitate: a real disk also gets slower by how much is written, and its syncs wait for each other.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench.host import Target
from lanying.base.errors import LanyingError

MEMORY: Final = Path("/dev/shm")
VARIABLE: Final = "BENCH_SYNC_US"
SOURCE: Final = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int slow(const char *name, int fd) {
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    const char *text = getenv("BENCH_SYNC_US");
    long us = text ? atol(text) : 0;
    struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    return real(fd);
}

int fsync(int fd) { return slow("fsync", fd); }
int fdatasync(int fd) { return slow("fdatasync", fd); }
"""


class NoSlowDisk(LanyingError):
    """This machine cannot imitate one."""


class SlowDisk:
    """Builds the library. A context manager; :meth:`target` is what to run then."""

    def __enter__(self) -> Self:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None or not MEMORY.is_dir():
            raise NoSlowDisk(
                f"a slow disk is imitated with a C compiler (apt install gcc) and a file system in {MEMORY}"
            )
        self._directory = Path(tempfile.mkdtemp(prefix="lanying-slow-disk-"))
        source, self._library = self._directory / "slow.c", self._directory / "slow.so"
        source.write_text(SOURCE)
        built = subprocess.run(
            (compiler, "-O2", "-shared", "-fPIC", "-o", str(self._library), str(source), "-ldl"),
            capture_output=True,
            text=True,
        )
        if built.returncode:
            shutil.rmtree(self._directory)
            raise NoSlowDisk(f"the library that slows syncs does not compile: {built.stderr[-500:]}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def prefix(self, sync_ms: float) -> tuple[str, ...]:
        """In front of a command whose syncs, and those of its children, take ``sync_ms``."""
        return ("env", f"LD_PRELOAD={self._library}", f"{VARIABLE}={round(sync_ms * 1000)}")

    def target(self, base: Target, sync_ms: float) -> Target:
        """A private server on such a disk."""
        return replace(base, prefix=(*base.prefix, *self.prefix(sync_ms)), place=MEMORY)
