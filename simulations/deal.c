/* deal.c: who has which rows (rd_sim_deal), and what the columns of a table mean in this run. */
#include <stdlib.h>
#include <string.h>

#include "config/schema_section.h"
#include "data/encode.h"
#include "data/table_file.h"
#include "run/agreement.h"
#include "simulator.h"

/* How often each row is somebody's. *times: the caller's to free. */
static rd_status count_owners(const rd_partition *p, size_t rows, uint32_t **times, rd_error *err)
{
    uint32_t *buffer = malloc((rd_partition_most_rows(p) + 1) * sizeof *buffer);
    *times = calloc(rows + 1, sizeof **times);
    if (buffer == NULL || *times == NULL) {
        free(buffer);
        return rd_fail(err, RD_ERR_MEMORY, "no memory to count who has which of %zu rows", rows);
    }
    for (size_t i = 0; i < p->clients; i++) {
        rd_rows mine = rd_partition_rows(p, i, buffer);
        for (size_t k = 0; k < mine.count; k++)
            (*times)[mine.index != NULL ? mine.index[k] : k]++;
    }
    free(buffer);
    return RD_OK;
}

/* Data on their way to the clients of a run. */
typedef struct deal {
    const rd_config *config;
    rd_model *model;
    rd_agreement *agreement;
    size_t clients;
    rd_sim_data dealt;
} deal;

/* What clients would measure, all of them in one. */
static rd_status measure(rd_agreement *a, const rd_table_file *file, const rd_sim_data *d, rd_error *err)
{
    rd_status status = RD_OK;
    uint32_t *times = NULL;
    rd_statistics sums = {0};
    int step;
    RD_TRY(count_owners(&d->partition, d->data.rows, &times, err));
    while ((step = rd_agreement_asks(a, "data.train")) > 0) {
        RD_TRY(rd_statistics_create(rd_agreement_schema(a), &sums, err));
        RD_TRY(rd_statistics_add_table(&sums, &file->table, &file->roles, rd_agreement_schema(a), step, times, err));
        RD_TRY(rd_agreement_measured(a, "data.train", step, &sums, err));
        rd_statistics_free(&sums);
    }
cleanup:
    rd_statistics_free(&sums);
    free(times);
    return status;
}

static rd_status deal_table(deal *d, char *notes, size_t size, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_config *config = d->config;
    rd_agreement *a = d->agreement;
    rd_sim_data *dealt = &d->dealt;
    rd_table_file file = {0};
    rd_dataset encoded = {0};
    RD_TRY(rd_table_file_open(&config->data.train, &config->data.schema, false, &file, err));
    RD_TRY(rd_table_file_describe(&file, &config->data.schema, err));
    RD_TRY(rd_agreement_join(a, "data.train", &file.description, err));
    RD_TRY(rd_agreement_begin(a, notes, size, err));
    RD_TRY(rd_table_file_encode(&file, rd_agreement_schema(a), false, &dealt->data, err));
    RD_TRY(
        rd_partition_create(&config->data.partition, &dealt->data, d->clients, config->seed, &dealt->partition, err));
    RD_TRY(measure(a, &file, dealt, err));
    RD_TRY(rd_table_file_encode(&file, rd_agreement_schema(a), true, &encoded, err));
    rd_dataset_free(&dealt->data);
    dealt->data = encoded;
cleanup:
    rd_table_file_close(&file);
    return status;
}

static rd_status deal_samples(deal *d, char *notes, size_t size, rd_error *err)
{
    rd_status status = RD_OK;
    const rd_config *config = d->config;
    rd_sim_data *dealt = &d->dealt;
    rd_schema brought = {0};
    RD_TRY(rd_source_load(&config->data.train, d->model, NULL, false, &dealt->data, err));
    if (dealt->data.schema != NULL) {
        RD_TRY(rd_schema_parse_text(dealt->data.schema, config->data.train.path, &brought, err));
        RD_TRY(rd_agreement_bring(d->agreement, "data.train", &brought, err));
    }
    RD_TRY(rd_agreement_begin(d->agreement, notes, size, err));
    RD_TRY(
        rd_partition_create(&config->data.partition, &dealt->data, d->clients, config->seed, &dealt->partition, err));
cleanup:
    rd_schema_free(&brought);
    return status;
}

rd_status rd_sim_deal(const rd_config *config, size_t clients, rd_sim_data *out, char *notes, size_t size,
                      rd_error *err)
{
    rd_status status = RD_OK;
    deal d = {.config = config, .clients = clients};
    memset(out, 0, sizeof *out);
    if (size > 0)
        notes[0] = '\0';
    if (config->data.train.format == RD_SOURCE_NONE)
        return rd_fail(err, RD_ERR_CONFIG, "data.train is missing: it says what the simulated clients train on");
    RD_TRY(rd_model_create(config->model, &d.model, err));
    RD_TRY(rd_agreement_create(config, d.model, &d.agreement, err));
    RD_TRY(config->data.train.format == RD_SOURCE_CSV ? deal_table(&d, notes, size, err)
                                                      : deal_samples(&d, notes, size, err));
    RD_TRY(rd_schema_copy(rd_agreement_schema(d.agreement), &d.dealt.schema, err));
    *out = d.dealt;
    memset(&d.dealt, 0, sizeof d.dealt);
cleanup:
    rd_sim_data_free(&d.dealt);
    rd_agreement_free(d.agreement);
    rd_model_free(d.model);
    return status;
}

void rd_sim_data_free(rd_sim_data *d)
{
    rd_partition_free(&d->partition);
    rd_dataset_free(&d->data);
    rd_schema_free(&d->schema);
}
