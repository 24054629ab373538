/* file.c: see file.h. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

rd_status rd_file_read(const char *path, size_t max_size, char **bytes, size_t *size, rd_error *err)
{
    rd_status status = RD_OK;
    char *buffer = NULL;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0)
        RD_THROW(RD_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        RD_THROW(RD_ERR_IO, "%s: not a regular file", path);
    if ((uint64_t)info.st_size > max_size)
        RD_THROW(RD_ERR_IO, "%s: %lld bytes, more than the %zu expected here", path, (long long)info.st_size, max_size);
    buffer = malloc((size_t)info.st_size + 1);
    if (buffer == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for its %lld bytes", path, (long long)info.st_size);
    RD_TRY(rd_fd_pread_all(fd, buffer, (size_t)info.st_size, 0, path, err));
    buffer[info.st_size] = '\0';
    *bytes = buffer;
    *size = (size_t)info.st_size;
    buffer = NULL;
cleanup:
    free(buffer);
    close(fd);
    return status;
}

rd_status rd_file_sha256(const char *path, char hex[RD_SHA256_HEX], rd_error *err)
{
    char piece[1 << 16];
    rd_sha256 digest;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    rd_sha256_start(&digest);
    while ((got = read(fd, piece, sizeof piece)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0)
            rd_sha256_add(&digest, piece, (size_t)got);
    rd_sha256_finish_hex(&digest, hex);
    rd_status status = got == 0 ? RD_OK : rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    close(fd);
    return status;
}

rd_status rd_fd_write_all(int fd, const void *bytes, size_t count, const char *path, rd_error *err)
{
    const char *p = bytes;
    while (count > 0) {
        ssize_t n = write(fd, p, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rd_fail(err, RD_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        p += n;
        count -= (size_t)n;
    }
    return RD_OK;
}

rd_status rd_fd_pwrite_all(int fd, const void *bytes, size_t count, off_t offset, const char *path, rd_error *err)
{
    const char *p = bytes;
    while (count > 0) {
        ssize_t n = pwrite(fd, p, count, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rd_fail(err, RD_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        p += n;
        offset += n;
        count -= (size_t)n;
    }
    return RD_OK;
}

rd_status rd_fd_pread_all(int fd, void *bytes, size_t count, off_t offset, const char *path, rd_error *err)
{
    char *p = bytes;
    while (count > 0) {
        ssize_t n = pread(fd, p, count, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rd_fail(err, RD_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
        if (n == 0)
            return rd_fail(err, RD_ERR_IO, "%s: ends %zu bytes too early", path, count);
        p += n;
        offset += n;
        count -= (size_t)n;
    }
    return RD_OK;
}

rd_status rd_file_write(const char *path, const void *bytes, size_t count, rd_error *err)
{
    rd_status status = RD_OK;
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        return rd_fail(err, RD_ERR_IO, "%s: path too long", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", temporary, strerror(errno));
    RD_TRY(rd_fd_write_all(fd, bytes, count, temporary, err));
    if (fsync(fd) != 0)
        RD_THROW(RD_ERR_IO, "%s: cannot reach the disk: %s", temporary, strerror(errno));
    if (rename(temporary, path) != 0)
        status = rd_fail(err, RD_ERR_IO, "%s: cannot take its place: %s", path, strerror(errno));
cleanup:
    close(fd);
    if (status != RD_OK)
        unlink(temporary);
    return status;
}

static rd_status make_directory(const char *path, mode_t mode, rd_error *err)
{
    char part[4096];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part)
        return rd_fail(err, RD_ERR_IO, "'%s': not a usable folder name", path);
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char saved = part[i];
        part[i] = '\0';
        if (mkdir(part, i < length ? 0777 : mode) != 0 && errno != EEXIST)
            return rd_fail(err, RD_ERR_IO, "%s: cannot make the folder: %s", part, strerror(errno));
        part[i] = saved;
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return rd_fail(err, RD_ERR_IO, "%s: exists, but is not a folder", path);
    return RD_OK;
}

rd_status rd_make_directory(const char *path, rd_error *err)
{
    return make_directory(path, 0777, err);
}

rd_status rd_make_private_directory(const char *path, rd_error *err)
{
    return make_directory(path, 0700, err);
}

rd_status rd_file_sync_name(const char *path, rd_error *err)
{
    rd_status status = RD_OK;
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (folder == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its folder's name", path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* A folder may be closed to readers, and some file systems cannot sync one: there is nothing to wait for then. */
    if (fd < 0 ? errno != EACCES : fsync(fd) != 0 && errno != EINVAL)
        status = rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", folder, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(folder);
    return status;
}
