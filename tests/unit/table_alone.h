/* table_alone.h: a table that is a run of its own: described, agreed on with itself, measured, made into samples. */
#ifndef RONDO_TESTS_TABLE_ALONE_H
#define RONDO_TESTS_TABLE_ALONE_H

#include <stdlib.h>
#include <string.h>

#include "data/encode.h"
#include "data/statistics.h"
#include "data/table_file.h"

/* Opens a table file from memory; text need not end with '\0'. The source must outlive the file. */
static inline rd_status table_from_memory(const char *text, size_t size, const rd_source *source,
                                          const rd_schema *schema, rd_table_file *out, rd_error *err)
{
    char *copy = malloc(size + 1);
    memcpy(copy, text, size);
    copy[size] = '?'; /* nobody promised a '\0' there */
    *out = (rd_table_file){.source = source};
    rd_status status = rd_table_parse(copy, size, source, &out->table, err);
    if (status == RD_OK)
        status = rd_table_settle_roles(&out->table, source, schema, false, &out->roles, err);
    if (status != RD_OK)
        rd_table_file_close(out);
    return status;
}

/* Measures and settles, with the rows of these tables and of nobody else. */
static inline rd_status settle_over(rd_table_file *files, size_t count, rd_schema *s, rd_error *err)
{
    rd_status status = RD_OK;
    for (int step = rd_schema_step(s); step > 0 && status == RD_OK; step = rd_schema_step(s)) {
        rd_statistics all = {0};
        status = rd_statistics_create(s, &all, err);
        for (size_t i = 0; i < count && status == RD_OK; i++)
            status = rd_statistics_add_table(&all, &files[i].table, &files[i].roles, s, step, NULL, err);
        if (status == RD_OK)
            status = rd_schema_apply(s, &all, step, err);
        rd_statistics_free(&all);
    }
    return status;
}

static inline rd_status table_alone(const char *text, size_t size, const rd_source *source, const rd_schema *given,
                                    rd_dataset *d, rd_schema *settled, rd_error *err)
{
    rd_status status = RD_OK;
    rd_table_file file = {0};
    rd_schema s = {0};
    char notes[200];
    memset(d, 0, sizeof *d);
    RD_TRY(table_from_memory(text, size, source, given, &file, err));
    RD_TRY(rd_table_file_describe(&file, given, err));
    const rd_described alone = {"t.csv", &file.description};
    RD_TRY(rd_schema_agree(given, &(rd_described_tables){&alone, 1, false}, &s, notes, sizeof notes, err));
    RD_TRY(settle_over(&file, 1, &s, err));
    RD_TRY(rd_table_file_encode(&file, &s, true, d, err));
    if (settled != NULL) {
        *settled = s;
        memset(&s, 0, sizeof s);
    }
cleanup:
    rd_table_file_close(&file);
    rd_schema_free(&s);
    return status;
}

#endif
