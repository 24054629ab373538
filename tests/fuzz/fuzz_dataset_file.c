/* A client's data file: the first byte says for which model, the rest is the file. Classes and features fit what a
 * dataset promises, and what was read survives being written and read again. */
#include <string.h>

#include "data/source.h"
#include "dataset_holds.h"
#include "memory_file.h"

static rd_model *model_with(const char *loss)
{
    rd_error ignored;
    char text[200];
    rd_model *m = NULL;
    (void)snprintf(text, sizeof text,
                   "{\"input\": 1, \"loss\": \"%s\", \"layers\": [{\"type\": \"dense\", \"units\": 3}]}", loss);
    cJSON *json = cJSON_Parse(text);
    must(rd_model_create(json, &m, &ignored) == RD_OK);
    cJSON_Delete(json);
    return m;
}

static void again(const rd_dataset *d)
{
    rd_error ignored;
    rd_dataset copy;
    rd_source source = {.format = RD_SOURCE_SAFETENSORS};
    (void)snprintf(source.path, sizeof source.path, "/tmp/rondo-fuzz-%d.safetensors", (int)getpid());
    must(rd_dataset_file_save(d, rd_dataset_all_rows(d), source.path, &ignored) == RD_OK);
    must(rd_dataset_file_load(&source, NULL, false, &copy, &ignored) == RD_OK);
    unlink(source.path);
    must(copy.rows == d->rows && copy.features == d->features && copy.classes == d->classes &&
         copy.tokens == d->tokens);
    must(copy.label_count == d->label_count && copy.target_count == d->target_count);
    if (d->x_f32 != NULL)
        must(memcmp(copy.x_f32, d->x_f32, d->rows * d->features * sizeof(float)) == 0);
    if (d->labels != NULL)
        must(memcmp(copy.labels, d->labels, d->rows * d->label_count * sizeof(int32_t)) == 0);
    rd_dataset_free(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static rd_model *models[3]; /* none, classes, numbers */
    rd_dataset d;
    rd_error err;
    rd_source source = {.format = RD_SOURCE_SAFETENSORS};
    char path[64];
    if (models[1] == NULL) {
        models[1] = model_with("softmax_cross_entropy");
        models[2] = model_with("mse");
    }
    if (count < 1)
        return 0;
    const rd_model *m = models[bytes[0] % 3];
    const bool optional_label = bytes[0] >= 128; /* as for predictions */
    int fd = memory_file(bytes + 1, count - 1, path);
    (void)snprintf(source.path, sizeof source.path, "%s", path);
    rd_status status = rd_dataset_file_load(&source, m, optional_label, &d, &err);
    close(fd);
    if (status == RD_OK && d.labels == NULL && d.targets == NULL) {
        must(optional_label && d.rows > 0 && (d.x_f32 != NULL || d.x_u8 != NULL));
        rd_dataset_free(&d);
        return 0;
    }
    if (status == RD_OK) {
        must(m != models[1] || d.labels != NULL);
        must(m != models[2] || d.targets != NULL);
        again(&d);
    }
    for (size_t i = 0; status == RD_OK && i < d.rows * d.label_count; i++)
        must(d.labels[i] >= (d.label_count > 1 ? -1 : 0) && d.labels[i] < (int32_t)d.classes);
    if (status != RD_OK || d.label_count <= 1)
        dataset_holds(status, &d); /* of sequences, some places predict nothing */
    else
        rd_dataset_free(&d);
    return 0;
}
