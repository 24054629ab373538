/* store.c: a state directory that is open, in writer.c or reader.c.
 *
 * What survives what:
 *   kill -9      everything committed. SQLite appends to its write-ahead log with plain writes, which outlive
 *                the process; a transaction cut short is ignored at the next opening.
 *   power loss   every round but those of the last second. Waiting for the disk takes longer than a round of
 * a small model, so a commit waits only where the last one that did is a second old: first what lies beside its
 * model (packed, server, frozen), then the model file, then the folder that names them, then the database
 * (synchronous = FULL). In between, model files are not deleted and the log is not checkpointed, so the disk never
 * knows a round without its files. Finishing and closing wait, too, and so does every commit of a simulation whose
 * clients keep something: that does not reach back. Clients that join do not: one that is forgotten joins again. */
#include "store/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/source.h"

rd_status rd_store_make_handle(const char *directory, rd_store **out, rd_error *err)
{
    /* Model paths are written into buffers of this size by everyone. */
    if (strlen(directory) + sizeof "/models/18446744073709551615.safetensors" > RD_SOURCE_PATH_MAX)
        return rd_fail(err, RD_ERR_IO, "%.60s...: the name of the state directory is too long", directory);
    rd_store *s = calloc(1, sizeof *s);
    char *copy = strdup(directory);
    if (s == NULL || copy == NULL) {
        free(s);
        free(copy);
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory to open it", directory);
    }
    s->directory = copy;
    s->directory_fd = s->lock_fd = s->models.folder = -1;
    s->models.pinned = s->models.spared = UINT64_MAX;
    *out = s;
    return RD_OK;
}

void rd_store_close(rd_store *s)
{
    rd_error ignored;
    if (s == NULL)
        return;
    for (size_t i = 0; i < RD_SQL_KINDS; i++)
        sqlite3_finalize(s->statements[i]);
    /* Closing moves the log into the database, which must not know rounds whose files are not on the disk. */
    if (s->db != NULL && rd_store_sync_models(s, &ignored) != RD_OK)
        (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(s->db);
    if (s->models.folder >= 0)
        close(s->models.folder);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    if (s->directory_fd >= 0)
        close(s->directory_fd);
    free(s->directory);
    free(s);
}

const char *rd_store_run_id(const rd_store *s)
{
    return s->run_id;
}
