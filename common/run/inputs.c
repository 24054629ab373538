/* inputs.c: see inputs.h. */
#include "run/inputs.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "core/crypto.h"
#include "core/file.h"

static const char *name_of(const rd_source *source)
{
    return source->path[0] != '\0' ? source->path : "synthetic";
}

static rd_status record_rows(rd_store *s, const char *name, const rd_source *source, const rd_dataset *rows,
                             bool decides, rd_error *err)
{
    char sha256[RD_SHA256_HEX], digest[RD_DIGEST_MAX] = "";
    rd_store_input in = {.name = name, .rows = rows->rows, .digest = digest, .decides = decides};
    if (rows->rows > 0) {
        in.path = name_of(source);
        rd_dataset_sha256(rows, sha256);
        (void)snprintf(digest, sizeof digest, "SHA-256 %s", sha256);
    }
    return rd_store_use(s, &in, err);
}

rd_status rd_inputs_record_train(rd_store *s, const rd_source *source, const rd_dataset *train, rd_error *err)
{
    char digest[RD_DIGEST_MAX];
    (void)snprintf(digest, sizeof digest, "CRC-32 %08" PRIx32, rd_dataset_crc32(train));
    rd_store_input in = {
        .name = "data.train", .path = name_of(source), .rows = train->rows, .digest = digest, .decides = true};
    return rd_store_use(s, &in, err);
}

/* A run that has begun does not need the file any more, so it may be gone. */
static rd_status record_initial(rd_store *s, const rd_initial_config *initial, rd_error *err)
{
    char sha256[RD_SHA256_HEX], digest[RD_DIGEST_MAX] = "";
    rd_store_input in = {.name = "initial", .digest = digest};
    if (initial->path[0] != '\0') {
        if (access(initial->path, R_OK) != 0)
            return RD_OK;
        in.path = initial->path;
        rd_status status = rd_file_sha256(initial->path, sha256, err);
        if (status != RD_OK)
            return status;
        (void)snprintf(digest, sizeof digest, "SHA-256 %s", sha256);
    }
    return rd_store_use(s, &in, err);
}

rd_status rd_inputs_record(rd_store *s, const rd_config *c, const rd_dataset *test, const rd_dataset *root,
                           rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(record_rows(s, "data.test", &c->data.test, test, false, err));
    RD_TRY(record_rows(s, "data.root", &c->data.root, root, true, err));
    RD_TRY(record_initial(s, &c->initial, err));
cleanup:
    return status;
}
