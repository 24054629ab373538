/* "Content-Digest" of an update: it is refused, or is a list with a sha-256 of 32 bytes in base64, and then a body with
 * another digest is refused. */
#include <stdlib.h>
#include <string.h>

#include "codec/update.h"
#include "core/crypto.h"
#include "model/model.h"
#include "upload.h"

static const char layout[] = "{\"input\": 1, \"loss\": \"mse\", \"layers\": [{\"type\": \"dense\", \"units\": 1}]}";

static void check(int holds)
{
    if (!holds)
        abort();
}

/* Where the field says "sha-256=:44 characters:" first in it or behind a comma, by another way of looking than the
 * parser's. */
static const char *find_digest(const char *field)
{
    for (const char *at = field; *at != '\0'; at++) {
        const char *before = at;
        while (before > field && (before[-1] == ' ' || before[-1] == '\t'))
            before--;
        if ((before == field || before[-1] == ',') && strncmp(at, "sha-256=:", 9) == 0 &&
            strspn(at + 9, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") == 44 &&
            at[9 + 44] == ':')
            return at + 9;
    }
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const float values[2] = {1, 2};
    rd_model *m = NULL;
    rd_upload *u = NULL;
    rd_error err = {RD_OK, ""};
    rd_report report = {.samples = 1};
    rd_staging_budget budget = {.left = RD_STAGING_MEMORY};
    char *header = NULL, *field = calloc(count + 1, 1);
    size_t size;
    cJSON *section = cJSON_Parse(layout);
    check(field != NULL && section != NULL && rd_model_create(section, &m, &err) == RD_OK);
    if (count > 0)
        memcpy(field, bytes, count);
    const rd_tensor_table tensors = rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    rd_status status = rd_upload_create(tensors, &budget, "/tmp", 1, field, &u, &err);
    if (status != RD_OK) {
        check(status == RD_ERR_FORMAT && u == NULL && err.message[0] != '\0');
    } else {
        const char *digest = find_digest(field);
        uint8_t expected[RD_SHA256_BYTES], found[RD_SHA256_BYTES];
        size_t bytes_of_it = 0;
        check(digest != NULL && rd_base64_decode(digest, 44, expected, sizeof expected, &bytes_of_it));
        check(rd_update_header(tensors, 1, &report, &header, &size, &err) == RD_OK);
        rd_sha256 sum;
        rd_sha256_start(&sum);
        rd_sha256_add(&sum, header, size);
        rd_sha256_add(&sum, values, sizeof values);
        rd_sha256_finish(&sum, found);
        check(rd_upload_feed(u, header, size, &err) == RD_OK &&
              rd_upload_feed(u, values, sizeof values, &err) == RD_OK);
        check((rd_upload_finish(u, &report, &err) == RD_OK) == (memcmp(found, expected, sizeof found) == 0));
    }
    rd_upload_free(u);
    rd_model_free(m);
    cJSON_Delete(section);
    free(header);
    free(field);
    return 0;
}
