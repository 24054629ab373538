/* memory_file.h: bytes as a file with a path, for readers that open one. */
#ifndef RONDO_TESTS_MEMORY_FILE_H
#define RONDO_TESTS_MEMORY_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Returns a descriptor, which is to be closed, and writes the path. */
static inline int memory_file(const uint8_t *bytes, size_t count, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, count) != (ssize_t)count)
        abort();
    (void)snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

#endif
