/* data_schema.c: what the columns and classes of the run's tables mean, once that is settled. */
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

static rd_status account_for_schema(rd_store *s, const char *json, rd_error *err)
{
    char hex[RD_SHA256_HEX];
    rd_sha256 digest;
    rd_sha256_start(&digest);
    rd_sha256_add(&digest, json, strlen(json));
    rd_sha256_finish_hex(&digest, hex);
    rd_audit_entry e = rd_audit_begin("schema");
    rd_audit_text(&e, "sha256", hex);
    return rd_audit_put(s, &e, err);
}

rd_status rd_store_set_data_schema(rd_store *s, const char *json, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_SET_DATA_SCHEMA, &statement, err);
    if (status != RD_OK)
        return status;
    sqlite3_bind_text(statement, 1, json, -1, SQLITE_STATIC);
    status = rd_store_run_statement(s, statement, "write the schema of the data", err);
    return status == RD_OK ? account_for_schema(s, json, err) : status;
}

rd_status rd_store_data_schema(rd_store *s, char **json, rd_error *err)
{
    sqlite3_stmt *statement = NULL;
    *json = NULL;
    rd_status status = rd_store_statement(s, RD_SQL_DATA_SCHEMA, &statement, err);
    if (status != RD_OK)
        return status;
    int code = sqlite3_step(statement);
    const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    const bool there = text != NULL;
    if (there)
        *json = strdup(text);
    sqlite3_reset(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return rd_store_fail(s, code, "read the schema of the data", err);
    return !there || *json != NULL ? RD_OK : rd_fail(err, RD_ERR_MEMORY, "no memory for the schema of the data");
}
