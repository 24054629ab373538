/* digest.c: are these the same rows? */
#include "core/crypto.h"

#include <zlib.h>

#include "data/dataset.h"

static void add(rd_sha256 *d, const void *bytes, size_t count)
{
    if (bytes != NULL)
        rd_sha256_add(d, bytes, count);
}

void rd_dataset_sha256(const rd_dataset *data, char hex[RD_SHA256_HEX])
{
    const uint64_t sizes[] = {data->rows, data->features, data->label_count, data->target_count, data->x_u8 != NULL};
    rd_sha256 digest;
    rd_sha256_start(&digest);
    add(&digest, sizes, sizeof sizes);
    add(&digest, data->x_f32, data->rows * data->features * sizeof *data->x_f32);
    add(&digest, data->x_u8, data->rows * data->features);
    add(&digest, data->labels, data->rows * data->label_count * sizeof *data->labels);
    add(&digest, data->targets, data->rows * data->target_count * sizeof *data->targets);
    rd_sha256_finish_hex(&digest, hex);
}

static uLong add_crc(uLong crc, const void *bytes, size_t count)
{
    return bytes != NULL ? crc32_z(crc, bytes, count) : crc;
}

uint32_t rd_dataset_crc32(const rd_dataset *data)
{
    const uint64_t sizes[] = {data->rows,         data->features,     data->label_count,
                              data->target_count, data->x_u8 != NULL, data->group_count};
    uLong crc = add_crc(0, sizes, sizeof sizes);
    crc = add_crc(crc, data->x_f32, data->rows * data->features * sizeof *data->x_f32);
    crc = add_crc(crc, data->x_u8, data->rows * data->features);
    crc = add_crc(crc, data->labels, data->rows * data->label_count * sizeof *data->labels);
    crc = add_crc(crc, data->targets, data->rows * data->target_count * sizeof *data->targets);
    return (uint32_t)add_crc(crc, data->group, data->group != NULL ? data->rows * sizeof *data->group : 0);
}
