/* files.c: the files that a round has made, and its row in the database, known by their SHA-256, so that a byte that has changed is noticed before it
 * is computed with. */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "data/source.h"

/* Ends the digest of what comes next in the file, to its end or so many bytes. */
static rd_status digest_next(int fd, uint64_t most, const char *path, char hex[RD_SHA256_HEX], rd_error *err)
{
    char piece[1 << 16];
    rd_sha256 digest;
    ssize_t got = 1;
    rd_sha256_start(&digest);
    while (most > 0 && got != 0) {
        got = read(fd, piece, most < sizeof piece ? (size_t)most : sizeof piece);
        if (got < 0 && errno != EINTR)
            return rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
        if (got > 0) {
            rd_sha256_add(&digest, piece, (size_t)got);
            most -= (uint64_t)got;
        }
    }
    rd_sha256_finish_hex(&digest, hex);
    return RD_OK;
}

/* Of the header of a model file, and where it is asked for of the parameters behind it. A file that is no model is a
 * header to its end. Where there is no file both stay empty. */
static rd_status digest_model(const char *path, char header[RD_SHA256_HEX], char *parameters, rd_error *err)
{
    rd_status status = RD_OK;
    unsigned char length[8] = {0};
    uint64_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? RD_OK : rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    if (pread(fd, length, sizeof length, 0) < 0)
        RD_THROW(RD_ERR_IO, "%s: %s", path, strerror(errno));
    for (size_t i = sizeof length; i-- > 0;)
        size = size << 8 | length[i];
    RD_TRY(digest_next(fd, size > UINT64_MAX - sizeof length ? size : size + sizeof length, path, header, err));
    if (parameters != NULL)
        RD_TRY(digest_next(fd, UINT64_MAX, path, parameters, err));
cleanup:
    close(fd);
    return status;
}

static rd_status digest_whole(const char *path, char hex[RD_SHA256_HEX], rd_error *err)
{
    return access(path, F_OK) == 0 || errno != ENOENT ? rd_file_sha256(path, hex, err) : RD_OK;
}

rd_status rd_store_digest_files(const rd_store *s, uint64_t round, rd_file_digests *out, rd_error *err)
{
    rd_status status = RD_OK;
    char path[RD_SOURCE_PATH_MAX];
    *out = (rd_file_digests){0};
    rd_store_model_path(s, round, path, sizeof path);
    RD_TRY(digest_model(path, out->model_header, NULL, err));
    rd_store_packed_path(s, round, path, sizeof path);
    RD_TRY(digest_whole(path, out->packed, err));
    rd_store_server_path(s, round, path, sizeof path);
    RD_TRY(digest_whole(path, out->server, err));
    if (round == 0) { /* what is frozen is so from the beginning */
        rd_store_frozen_path(s, path, sizeof path);
        RD_TRY(digest_whole(path, out->frozen, err));
    }
cleanup:
    return status;
}

/* Is a file what its round has committed? expected "": it made none. */
static rd_status verify_whole(const char *path, const char *expected, uint64_t round, rd_error *err)
{
    char found[RD_SHA256_HEX] = "";
    rd_status status = expected[0] != '\0' ? digest_whole(path, found, err) : RD_OK;
    if (status != RD_OK || strcmp(found, expected) == 0)
        return status;
    return rd_fail(err, RD_ERR_FORMAT, "%s: %s round %" PRIu64 " committed", path,
                   found[0] == '\0' ? "it is not there, and belongs to what" : "it is not what", round);
}

static rd_status verify_model(const rd_store *s, const rd_round_record *r, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX], header[RD_SHA256_HEX] = "", parameters[RD_SHA256_HEX] = "";
    if (r->files.model_header[0] == '\0')
        return RD_OK; /* who committed it keeps no models */
    rd_store_model_path(s, r->round, path, sizeof path);
    rd_status status = digest_model(path, header, parameters, err);
    if (status != RD_OK)
        return status;
    if (header[0] == '\0')
        return rd_fail(err, RD_ERR_STATE,
                       "%s, the model of round %" PRIu64 ", is not there; was the directory copied while the run "
                       "went on? `rondo-aggregator backup` makes copies that are whole",
                       path, r->round);
    if (strcmp(parameters, r->model_sha256) != 0)
        return rd_fail(err, RD_ERR_FORMAT,
                       "%s: the parameters are not those that round %" PRIu64 " committed (SHA-256 %.12s..., "
                       "expected %.12s...)",
                       path, r->round, parameters, r->model_sha256);
    if (strcmp(header, r->files.model_header) != 0)
        return rd_fail(err, RD_ERR_FORMAT, "%s: the header is not the one that round %" PRIu64 " committed", path,
                       r->round);
    return RD_OK;
}

rd_status rd_store_verify_files(const rd_store *s, const rd_round_record *r, rd_error *err)
{
    rd_status status = RD_OK;
    char path[RD_SOURCE_PATH_MAX];
    RD_TRY(verify_model(s, r, err));
    rd_store_packed_path(s, r->round, path, sizeof path);
    RD_TRY(verify_whole(path, r->files.packed, r->round, err));
    rd_store_server_path(s, r->round, path, sizeof path);
    RD_TRY(verify_whole(path, r->files.server, r->round, err));
cleanup:
    return status;
}

rd_status rd_store_verify_frozen(const rd_store *s, const char *expected, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    rd_store_frozen_path(s, path, sizeof path);
    return verify_whole(path, expected, 0, err);
}

/* ---- a row ---- */

void rd_store_digest_count(rd_sha256 *d, uint64_t value)
{
    unsigned char bytes[9] = {'i'};
    for (size_t i = 1; i < sizeof bytes; i++, value >>= 8)
        bytes[i] = (unsigned char)value;
    if (d != NULL)
        rd_sha256_add(d, bytes, sizeof bytes);
}

void rd_store_digest_number(rd_sha256 *d, double value)
{
    uint64_t bits;
    double stored = value + 0.0; /* one zero: SQLite has no other */
    memcpy(&bits, &stored, sizeof bits);
    rd_store_digest_count(d, isnan(value) ? UINT64_MAX : bits);
}

void rd_store_digest_text(rd_sha256 *d, const char *text)
{
    if (d != NULL)
        rd_sha256_add(d, text, strlen(text) + 1);
}
