/* update_files.c: the updates of the last rounds, as they came, for whoever wants to compute a round again. They are
 * not needed to go on, so no commit waits for them to be on the disk, and a backup leaves them out. */
#include "store/internal.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/number.h"
#include "core/random.h"
#include "data/source.h"

static void folder_path(const rd_store *s, uint64_t round, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/updates/%06" PRIu64, s->directory, round);
}

void rd_store_update_path(const rd_store *s, uint64_t round, const char *client, char *path, size_t size)
{
    (void)snprintf(path, size, "%s/updates/%06" PRIu64 "/%016" PRIx64 ".safetensors", s->directory, round,
                   rd_client_key(client));
}

rd_status rd_store_make_update_folder(const rd_store *s, uint64_t round, rd_error *err)
{
    char path[RD_SOURCE_PATH_MAX];
    folder_path(s, round, path, sizeof path);
    return access(path, F_OK) == 0 ? RD_OK : rd_make_private_directory(path, err);
}

static void delete_folder(const char *path)
{
    char file[RD_SOURCE_PATH_MAX + 256];
    const struct dirent *entry;
    DIR *folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.') {
            (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            (void)unlink(file);
        }
    if (folder != NULL)
        closedir(folder);
    (void)rmdir(path);
}

void rd_store_delete_outdated_updates(rd_store *s, uint64_t round)
{
    char path[RD_SOURCE_PATH_MAX];
    const struct dirent *entry;
    uint64_t number;
    (void)snprintf(path, sizeof path, "%s/updates", s->directory);
    DIR *folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (!rd_number_count(entry->d_name, strlen(entry->d_name), &number) || number + s->keep_updates > round)
            continue;
        folder_path(s, number, path, sizeof path);
        delete_folder(path);
    }
    if (folder != NULL)
        closedir(folder);
}
