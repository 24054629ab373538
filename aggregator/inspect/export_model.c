/* export_model.c: `rondo-inspect export`: a run's model as one safetensors file, which PyTorch reads by the
 * names of its own modules. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/tensor_header.h"
#include "config/schema_section.h"
#include "core/file.h"
#include "format/safetensors.h"
#include "inspect.h"
#include "run_model.h"

/* The layers as whoever reads the file must build them: with their low-rank changes only if these are in it. */
static char *print_section(run_model *run, bool keep_lora)
{
    if (!keep_lora)
        cJSON_DeleteItemFromObjectCaseSensitive(run->section, "fine_tuning");
    return cJSON_PrintUnformatted(run->section);
}

static rd_status write_tensors(run_model *run, bool keep_lora, const char *path, rd_error *err)
{
    rd_status status = RD_OK;
    size_t count = 0, header_size;
    const rd_tensor_table table = rd_model_tensors(run->model, RD_TENSORS_ALL);
    rd_tensor *exported = malloc(table.count * sizeof *exported);
    char *header = NULL, *section = NULL, *schema = NULL, round[24];
    int fd = -1;
    if (exported == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the header of %zu tensors", table.count);
    for (size_t i = 0; i < table.count; i++)
        if (keep_lora || !rd_tensor_is_lora(&table.tensors[i]))
            exported[count++] = table.tensors[i];
    (void)snprintf(round, sizeof round, "%llu", (unsigned long long)run->round);
    if (run->schema.column_count > 0 && (schema = rd_schema_print(&run->schema)) == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the schema");
    if ((section = print_section(run, keep_lora)) == NULL)
        RD_THROW(RD_ERR_MEMORY, "no memory for the layers");
    const rd_st_pair pairs[] = {{"round", round}, {"model", section}, {"schema", schema}};
    RD_TRY(rd_tensor_header((rd_tensor_table){.tensors = exported, .count = count}, pairs, schema != NULL ? 3 : 2,
                            &header, &header_size, err));
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        RD_THROW(RD_ERR_IO, "%s: %s", path, strerror(errno));
    RD_TRY(rd_fd_write_all(fd, header, header_size, path, err));
    for (size_t i = 0; i < count; i++)
        RD_TRY(rd_fd_write_all(fd, run->parameters + exported[i].offset, exported[i].count * sizeof(float), path, err));
    printf("%s: %zu tensors of round %s\n", path, count, round);
cleanup:
    if (fd >= 0 && close(fd) != 0 && status == RD_OK)
        status = rd_fail(err, RD_ERR_IO, "%s: %s", path, strerror(errno));
    free(header);
    free(section);
    free(schema);
    free(exported);
    return status;
}

rd_status inspect_export(int argc, char **argv, rd_error *err)
{
    const char *out = NULL, *directory = NULL;
    bool keep_lora = false;
    uint64_t round = UINT64_MAX;
    const rd_option options[] = {
        {.kind = RD_OPTION_TEXT,
         .name = "out",
         .placeholder = "FILE",
         .help = "the safetensors file to write",
         .value = &out,
         .required = true},
        {.kind = RD_OPTION_COUNT,
         .name = "round",
         .placeholder = "R",
         .help = "the model of this round; default: the newest",
         .value = &round,
         .max = 1e9},
        {.kind = RD_OPTION_FLAG,
         .name = "keep-lora",
         .help = "leave low-rank changes apart instead of taking them into the weights",
         .value = &keep_lora},
        {.kind = RD_OPTION_END},
    };
    const rd_command command = {
        .program = "rondo-inspect export",
        .usage = "DIR --out FILE [options]",
        .summary = "Writes a run's model as one safetensors file: what was trained, what is frozen, and "
                   "low-rank changes (LoRA) "
                   "taken into the weights. Names and layouts are PyTorch's; the layers, and what the columns of "
                   "tables mean, are in the "
                   "metadata.",
        .options = options,
        .footer = INSPECT_EXIT_CODES,
    };
    run_model run = {0};
    rd_status status = inspect_parse(&command, argc, argv, "DIR, a state directory", &directory, err);
    if (status != RD_OK || directory == NULL)
        return status;
    RD_TRY(run_model_load(directory, round, &run, err));
    if (!keep_lora)
        rd_model_merge_lora(run.model, run.parameters);
    RD_TRY(write_tensors(&run, keep_lora, out, err));
cleanup:
    run_model_free(&run);
    return status;
}
