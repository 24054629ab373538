/* safetensors.c: see safetensors.h. Headers come from strangers: nothing is believed before it is checked,
 * sizes are multiplied only after it is known that the product fits. */
#include "format/safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "format/foreign.h"
#include "format/sniff.h"

#define NAME "%.100s" /* of a tensor, in messages: names may be longer than the message */

const char *rd_st_dtype_name(const rd_st_tensor *t)
{
    return t->dtype == RD_DTYPE_OTHER ? t->other : rd_dtype_name(t->dtype);
}

/* ---- reading ---- */

/* The first byte that is no digit in a number ("1e2", "2.0", "-0") of a header that is valid JSON; NULL: there is none.
 * Shapes and offsets are its only numbers, and other readers refuse what is not digits there. */
static const char *find_undigital(const char *json, size_t size)
{
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        const bool behind_digit = i > 0 && json[i - 1] >= '0' && json[i - 1] <= '9';
        if (json[i] == '"')
            quoted = !quoted;
        else if (quoted)
            i += json[i] == '\\';
        else if (json[i] == '-' || json[i] == '.' || (behind_digit && (json[i] == 'e' || json[i] == 'E')))
            return json + i;
    }
    return NULL;
}

/* A number up to 2^53, as cJSON's doubles hold it; that it is whole has been seen. */
static bool whole(const cJSON *item, uint64_t *out)
{
    if (!cJSON_IsNumber(item) || item->valuedouble > 0x1p53)
        return false;
    *out = (uint64_t)item->valuedouble;
    return true;
}

static rd_status parse_shape(const cJSON *shape, const char *whose, rd_st_tensor *t, rd_error *err)
{
    int rank = cJSON_IsArray(shape) ? cJSON_GetArraySize(shape) : -1;
    if (rank < 0 || rank > RD_SAFETENSORS_MAX_RANK)
        return rd_fail(err, RD_ERR_FORMAT,
                       "%s: tensor '" NAME "': shape: expected an array of at most %d whole numbers", whose, t->name,
                       RD_SAFETENSORS_MAX_RANK);
    t->rank = rank;
    t->count = 1;
    const cJSON *item;
    int k = 0;
    cJSON_ArrayForEach(item, shape)
    {
        uint64_t n;
        if (!whole(item, &n) || (n != 0 && t->count > (UINT64_C(1) << 53) / n))
            return rd_fail(err, RD_ERR_FORMAT, "%s: tensor '" NAME "': shape: not whole numbers, or too large", whose,
                           t->name);
        t->shape[k++] = n;
        t->count *= n;
    }
    return RD_OK;
}

static rd_status parse_dtype(const cJSON *item, const char *whose, rd_st_tensor *t, rd_error *err)
{
    if (!cJSON_IsString(item) || item->valuestring[0] == '\0' || strlen(item->valuestring) >= sizeof t->other)
        return rd_fail(err, RD_ERR_FORMAT, "%s: tensor '" NAME "': dtype: expected a name such as F32, found %.20s",
                       whose, t->name, cJSON_IsString(item) ? item->valuestring : "none");
    t->dtype = rd_dtype_find(item->valuestring);
    (void)snprintf(t->other, sizeof t->other, "%s", t->dtype == RD_DTYPE_OTHER ? item->valuestring : "");
    return RD_OK;
}

static rd_status parse_tensor(const cJSON *entry, const char *whose, rd_st_tensor *t, rd_error *err)
{
    if (entry->string[0] == '\0')
        return rd_fail(err, RD_ERR_FORMAT, "%s: a tensor has an empty name", whose);
    t->name = strdup(entry->string);
    if (t->name == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its table of tensors", whose);
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    rd_status status = parse_dtype(cJSON_GetObjectItemCaseSensitive(entry, "dtype"), whose, t, err);
    if (status == RD_OK)
        status = parse_shape(shape, whose, t, err);
    if (status != RD_OK)
        return status;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !whole(cJSON_GetArrayItem(offsets, 0), &t->begin) || !whole(cJSON_GetArrayItem(offsets, 1), &t->end))
        return rd_fail(err, RD_ERR_FORMAT, "%s: tensor '" NAME "': data_offsets: expected [begin, end]", whose,
                       t->name);
    if (t->end < t->begin || (t->dtype != RD_DTYPE_OTHER && t->end - t->begin != t->count * rd_dtype_size(t->dtype)))
        return rd_fail(err, RD_ERR_FORMAT,
                       "%s: tensor '" NAME "': data_offsets [%" PRIu64 ", %" PRIu64 "] do not hold %" PRIu64
                       " elements of %s",
                       whose, t->name, t->begin, t->end, t->count, rd_st_dtype_name(t));
    return RD_OK;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const rd_st_pair *)a)->key, ((const rd_st_pair *)b)->key);
}

static rd_status parse_metadata(const cJSON *entry, const char *whose, rd_safetensors *out, rd_error *err)
{
    if (!cJSON_IsObject(entry))
        return rd_fail(err, RD_ERR_FORMAT, "%s: __metadata__: expected an object of strings", whose);
    out->metadata = calloc((size_t)cJSON_GetArraySize(entry) + 1, sizeof *out->metadata);
    if (out->metadata == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its metadata", whose);
    const cJSON *item;
    cJSON_ArrayForEach(item, entry)
    {
        if (!cJSON_IsString(item))
            return rd_fail(err, RD_ERR_FORMAT, "%s: __metadata__: '%.60s' is not a string", whose, item->string);
        rd_st_pair *pair = &out->metadata[out->metadata_count++];
        pair->key = strdup(item->string);
        pair->value = strdup(item->valuestring);
        if (pair->key == NULL || pair->value == NULL)
            return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its metadata", whose);
    }
    qsort(out->metadata, out->metadata_count, sizeof *out->metadata, by_key);
    return RD_OK;
}

static int by_begin(const void *a, const void *b)
{
    const rd_st_tensor *p = a, *q = b;
    if (p->begin != q->begin)
        return p->begin < q->begin ? -1 : 1;
    return p->end < q->end ? -1 : p->end > q->end; /* empty tensors come first */
}

/* The data must be covered by the tensors, without gaps and overlaps. */
static rd_status check_layout(rd_safetensors *s, const char *whose, rd_error *err)
{
    uint64_t at = 0;
    qsort(s->tensors, s->tensor_count, sizeof *s->tensors, by_begin);
    for (size_t i = 0; i < s->tensor_count; i++) {
        const rd_st_tensor *t = &s->tensors[i];
        if (t->begin != at)
            return rd_fail(err, RD_ERR_FORMAT,
                           "%s: tensor '" NAME "' begins at byte %" PRIu64 ", the one before ends at %" PRIu64, whose,
                           t->name, t->begin, at);
        at = t->end;
    }
    s->data_size = at;
    return RD_OK;
}

static rd_status parse_entries(const cJSON *root, const char *whose, rd_safetensors *out, rd_error *err)
{
    rd_status status = RD_OK;
    out->tensors = calloc((size_t)cJSON_GetArraySize(root) + 1, sizeof *out->tensors);
    if (out->tensors == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for its table of tensors", whose);
    const cJSON *entry;
    cJSON_ArrayForEach(entry, root)
    {
        if (strcmp(entry->string, "__metadata__") != 0) {
            if (!cJSON_IsObject(entry))
                return rd_fail(err, RD_ERR_FORMAT, "%s: '%.60s': expected an object with dtype, shape, data_offsets",
                               whose, entry->string);
            status = parse_tensor(entry, whose, &out->tensors[out->tensor_count++], err);
        } else {
            status = parse_metadata(entry, whose, out, err);
        }
        if (status != RD_OK)
            return status;
    }
    return RD_OK;
}

rd_status rd_safetensors_parse(const char *json, size_t size, const char *whose, rd_safetensors *out, rd_error *err)
{
    rd_status status = RD_OK;
    cJSON *root = NULL;
    rd_foreign_fault fault;
    size_t end = size;
    memset(out, 0, sizeof *out);
    if (size == 0 || json[0] != '{')
        RD_THROW(RD_ERR_FORMAT, "%s: the header is not a JSON object", whose);
    root = rd_foreign_json(json, size, &fault);
    if (root == NULL)
        RD_THROW(RD_ERR_FORMAT, "%s: the header is %s (at its byte %zu)", whose, fault.what, fault.at);
    const char *undigital = find_undigital(json, size);
    if (undigital != NULL)
        RD_THROW(RD_ERR_FORMAT, "%s: the header has a number that is not written in digits alone (at its byte %zu)",
                 whose, (size_t)(undigital - json));
    while (json[end - 1] == ' ')
        end--;
    if (json[end - 1] != '}')
        RD_THROW(RD_ERR_FORMAT, "%s: the header is padded with something else than spaces", whose);
    RD_TRY(parse_entries(root, whose, out, err));
    RD_TRY(check_layout(out, whose, err));
    out->data_start = 8 + size;
cleanup:
    cJSON_Delete(root);
    if (status != RD_OK) {
        rd_safetensors_free(out);
        rd_foreign_plain(err->message);
    }
    return status;
}

/* Something else under this name is named; bytes that say nothing are left to the checks that follow. */
static rd_status check_kind(int fd, off_t size, const char *path, rd_error *err)
{
    uint8_t first[RD_SNIFF_BYTES];
    size_t count = size < RD_SNIFF_BYTES ? (size_t)size : RD_SNIFF_BYTES;
    rd_status status = rd_fd_pread_all(fd, first, count, 0, path, err);
    if (status != RD_OK)
        return status;
    rd_sniff_kind kind = rd_sniff(first, count);
    if (kind != RD_SNIFF_SAFETENSORS && kind != RD_SNIFF_UNKNOWN)
        return rd_fail(err, RD_ERR_FORMAT, "%s: %s; a safetensors file was expected", path, rd_sniff_describe(kind));
    if (size < 8)
        return rd_fail(err, RD_ERR_FORMAT, "%s: %lld bytes are too few for a safetensors file", path, (long long)size);
    return RD_OK;
}

rd_status rd_safetensors_open(const char *path, rd_safetensors *out, int *fd, rd_error *err)
{
    rd_status status = RD_OK;
    uint8_t length_bytes[8];
    uint64_t length = 0;
    char *json = NULL;
    struct stat info;
    memset(out, 0, sizeof *out);
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &info) != 0)
        RD_THROW(RD_ERR_IO, "%s: %s", path, strerror(errno));
    RD_TRY(check_kind(*fd, info.st_size, path, err));
    RD_TRY(rd_fd_pread_all(*fd, length_bytes, sizeof length_bytes, 0, path, err));
    for (int i = 7; i >= 0; i--)
        length = length << 8 | length_bytes[i];
    if (length > RD_SAFETENSORS_MAX_HEADER || length > (uint64_t)info.st_size - 8)
        RD_THROW(RD_ERR_FORMAT, "%s: not a safetensors file (a header of %" PRIu64 " bytes does not fit)", path,
                 length);
    json = malloc((size_t)length + 1);
    if (json == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for its header of %" PRIu64 " bytes", path, length);
    RD_TRY(rd_fd_pread_all(*fd, json, (size_t)length, 8, path, err));
    json[length] = '\0';
    RD_TRY(rd_safetensors_parse(json, (size_t)length, path, out, err));
    if (out->data_start + out->data_size != (uint64_t)info.st_size)
        status = rd_fail(err, RD_ERR_FORMAT, "%s: has %lld bytes, its header describes %" PRIu64 ": %s", path,
                         (long long)info.st_size, out->data_start + out->data_size,
                         out->data_start + out->data_size > (uint64_t)info.st_size ? "it was cut short"
                                                                                   : "something follows its end");
cleanup:
    free(json);
    if (status != RD_OK) {
        rd_safetensors_free(out);
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
    }
    return status;
}

/* ---- writing ---- */

static bool add_tensor(cJSON *root, const rd_st_tensor *t, uint64_t *at)
{
    cJSON *entry = cJSON_AddObjectToObject(root, t->name);
    cJSON *shape = cJSON_CreateArray(), *offsets = cJSON_CreateArray();
    uint64_t count = 1;
    cJSON_AddStringToObject(entry, "dtype", rd_st_dtype_name(t));
    for (int k = 0; k < t->rank; k++) {
        count *= t->shape[k];
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->shape[k]));
    }
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*at));
    *at += count * rd_dtype_size(t->dtype);
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*at));
    return cJSON_AddItemToObject(entry, "shape", shape) && cJSON_AddItemToObject(entry, "data_offsets", offsets);
}

rd_status rd_safetensors_header(const rd_st_tensor *tensors, size_t tensor_count, const rd_st_pair *metadata,
                                size_t metadata_count, char **bytes, size_t *size, rd_error *err)
{
    uint64_t at = 0;
    bool built = true;
    cJSON *root = cJSON_CreateObject();
    if (metadata_count > 0) {
        cJSON *pairs = cJSON_AddObjectToObject(root, "__metadata__");
        for (size_t i = 0; i < metadata_count; i++)
            built = cJSON_AddStringToObject(pairs, metadata[i].key, metadata[i].value) != NULL && built;
    }
    for (size_t i = 0; i < tensor_count; i++)
        built = add_tensor(root, &tensors[i], &at) && built;
    char *json = built ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    size_t length = json != NULL ? strlen(json) : 0, padded = (length + 7) / 8 * 8;
    char *out = json != NULL ? malloc(8 + padded) : NULL;
    if (out == NULL) {
        free(json);
        return rd_fail(err, RD_ERR_MEMORY, "no memory for a safetensors header of %zu tensors", tensor_count);
    }
    for (int i = 0; i < 8; i++)
        out[i] = (char)(padded >> (8 * i) & 255);
    memcpy(out + 8, json, length);
    memset(out + 8 + length, ' ', padded - length);
    free(json);
    *bytes = out;
    *size = 8 + padded;
    return RD_OK;
}

/* ---- looking up ---- */

const rd_st_tensor *rd_safetensors_find(const rd_safetensors *s, const char *name)
{
    for (size_t i = 0; i < s->tensor_count; i++)
        if (strcmp(s->tensors[i].name, name) == 0)
            return &s->tensors[i];
    return NULL;
}

const char *rd_safetensors_metadata(const rd_safetensors *s, const char *key)
{
    for (size_t i = 0; i < s->metadata_count; i++)
        if (strcmp(s->metadata[i].key, key) == 0)
            return s->metadata[i].value;
    return NULL;
}

void rd_safetensors_free(rd_safetensors *s)
{
    for (size_t i = 0; i < s->metadata_count; i++) {
        free(s->metadata[i].key);
        free(s->metadata[i].value);
    }
    free(s->metadata);
    for (size_t i = 0; i < s->tensor_count; i++)
        free((char *)s->tensors[i].name);
    free(s->tensors);
    memset(s, 0, sizeof *s);
}
