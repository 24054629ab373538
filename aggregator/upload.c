/* upload.c: see upload.h. */
#include "upload.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/update.h"
#include "core/assert.h"
#include "core/crypto.h"
#include "core/exact_sum.h"
#include "core/file.h"

#define PIECE 16384 /* floats read back at a time: one stripe of the sum */

struct rd_upload {
    rd_update_decoder *decoder;
    rd_staging *staging;
    size_t parameters;
    float largest; /* magnitude so far */
    uint64_t size;
    bool digest_given, whole; /* whole: rd_upload_finish has found it complete and right */
    uint8_t digest_expected[RD_SHA256_BYTES];
    rd_sha256 digest; /* taken where it is given, or the upload is kept */
    char sha256[RD_SHA256_HEX];
    int kept; /* the file that keeps it; -1: none */
    char *kept_path;
};

#define BASE64_SIZE ((RD_SHA256_BYTES + 2) / 3 * 4) /* the decoder passes over blanks, so they are counted, too */

/* Behind the key in a list of members "sha-256=:BASE64:, md5=:BASE64:"; NULL: it is not there. */
static const char *find_member(const char *field, const char *key)
{
    for (const char *at = field;; at++) {
        at += strspn(at, " \t");
        if (strncmp(at, key, strlen(key)) == 0)
            return at + strlen(key);
        at = strchr(at, ',');
        if (at == NULL)
            return NULL;
    }
}

/* RFC 9530: `sha-256=:BASE64:`, possibly among other algorithms. */
static rd_status parse_digest(rd_upload *u, const char *field, rd_error *err)
{
    const char *value = find_member(field, "sha-256=:");
    size_t size = 0;
    if (value == NULL || strcspn(value, ":") != BASE64_SIZE || value[BASE64_SIZE] != ':' ||
        !rd_base64_decode(value, BASE64_SIZE, u->digest_expected, sizeof u->digest_expected, &size) ||
        size != sizeof u->digest_expected)
        return rd_fail(err, RD_ERR_FORMAT, "Content-Digest: expected sha-256=:BASE64 of 32 bytes:, found '%.80s'",
                       field);
    u->digest_given = true;
    return RD_OK;
}

static rd_status lay_down(void *user, size_t first, const float *values, size_t count, rd_error *err)
{
    rd_upload *u = user;
    u->largest = fmaxf(u->largest, rd_exact_largest(values, count)); /* the stream has found all of them fit */
    return rd_staging_write(u->staging, first * sizeof *values, values, count * sizeof *values, err);
}

rd_status rd_upload_create(rd_tensor_table tensors, rd_staging_budget *budget, const char *folder, uint64_t round,
                           const char *digest, rd_upload **out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_upload *u = calloc(1, sizeof *u);
    if (u == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for an upload");
    u->parameters = tensors.elements;
    u->kept = -1;
    rd_sha256_start(&u->digest);
    if (digest != NULL)
        RD_TRY(parse_digest(u, digest, err));
    RD_TRY(rd_staging_create(budget, folder, u->parameters * sizeof(float), &u->staging, err));
    RD_TRY(rd_update_decoder_create(tensors, round, lay_down, u, &u->decoder, err));
    *out = u;
    u = NULL;
cleanup:
    rd_upload_free(u);
    return status;
}

static void name_part(const rd_upload *u, char *path, size_t size)
{
    (void)snprintf(path, size, "%s.part", u->kept_path);
}

rd_status rd_upload_keep(rd_upload *u, const char *path, rd_error *err)
{
    char part[4096];
    u->kept_path = strdup(path);
    if (u->kept_path == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for an upload");
    name_part(u, part, sizeof part);
    u->kept = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    return u->kept >= 0 ? RD_OK : rd_fail(err, RD_ERR_IO, "%s: %s", part, strerror(errno));
}

rd_status rd_upload_settle(rd_upload *u, rd_error *err)
{
    char part[4096];
    if (u->kept < 0)
        return RD_OK;
    name_part(u, part, sizeof part);
    close(u->kept);
    u->kept = -1;
    if (rename(part, u->kept_path) == 0)
        return RD_OK;
    rd_status status = rd_fail(err, RD_ERR_IO, "%s: %s", u->kept_path, strerror(errno));
    (void)unlink(part);
    return status;
}

rd_status rd_upload_feed(rd_upload *u, const void *bytes, size_t count, rd_error *err)
{
    u->size += count;
    if (u->digest_given || u->kept >= 0)
        rd_sha256_add(&u->digest, bytes, count);
    rd_status status = u->kept >= 0 ? rd_fd_write_all(u->kept, bytes, count, u->kept_path, err) : RD_OK;
    return status == RD_OK ? rd_update_decoder_feed(u->decoder, bytes, count, err) : status;
}

rd_status rd_upload_finish(rd_upload *u, rd_report *report, rd_error *err)
{
    rd_status status = rd_update_decoder_finish(u->decoder, report, err);
    if (status == RD_OK && (u->digest_given || u->kept >= 0)) {
        uint8_t found[RD_SHA256_BYTES];
        rd_sha256_finish(&u->digest, found);
        for (size_t i = 0; i < sizeof found; i++)
            (void)snprintf(u->sha256 + 2 * i, 3, "%02x", found[i]);
        if (u->digest_given && memcmp(found, u->digest_expected, sizeof found) != 0)
            status = rd_fail(err, RD_ERR_FORMAT, "the body's SHA-256 is not the one in Content-Digest");
    }
    u->whole = status == RD_OK;
    return status;
}

rd_status rd_upload_add_to(rd_upload *u, rd_aggregate *updates, rd_admission *in, rd_error *err)
{
    float piece[PIECE];
    const void *values;
    RD_ASSERT(u->whole);
    for (size_t first = 0; first < u->parameters; first += PIECE) {
        size_t count = u->parameters - first < PIECE ? u->parameters - first : PIECE;
        rd_status status =
            rd_staging_read(u->staging, first * sizeof *piece, piece, count * sizeof *piece, &values, err);
        if (status != RD_OK)
            return status;
        rd_aggregate_add(updates, in, first, values, count);
    }
    return rd_aggregate_complete(updates, in, err);
}

float rd_upload_largest(const rd_upload *u)
{
    return u->largest;
}

const char *rd_upload_sha256(const rd_upload *u)
{
    return u->sha256;
}

uint64_t rd_upload_size(const rd_upload *u)
{
    return u->size;
}

bool rd_upload_has_digest(const rd_upload *u)
{
    return u->digest_given;
}

void rd_upload_free(rd_upload *u)
{
    if (u == NULL)
        return;
    if (u->kept >= 0) {
        char part[4096];
        name_part(u, part, sizeof part);
        close(u->kept);
        (void)unlink(part);
    }
    free(u->kept_path);
    rd_update_decoder_free(u->decoder);
    rd_staging_free(u->staging);
    free(u);
}
