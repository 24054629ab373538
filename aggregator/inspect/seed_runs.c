/* seed_runs.c: see seed_runs.h. */
#include "seed_runs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long seed_of(const char *name)
{
    return strtoull(name + strlen("seed-"), NULL, 10);
}

static int is_seed(const struct dirent *d)
{
    const char *digits = d->d_name + strlen("seed-");
    return strncmp(d->d_name, "seed-", strlen("seed-")) == 0 && digits[0] != '\0' &&
           strspn(digits, "0123456789") == strlen(digits);
}

static int by_seed(const struct dirent **a, const struct dirent **b)
{
    unsigned long long x = seed_of((*a)->d_name), y = seed_of((*b)->d_name);
    return x < y ? -1 : x > y;
}

rd_status seed_runs_find(const char *directory, seed_runs *out, rd_error *err)
{
    struct dirent **names = NULL;
    int count = scandir(directory, &names, is_seed, by_seed);
    bool whole = true;
    *out = (seed_runs){0};
    if (count > 0)
        out->paths = calloc((size_t)count, sizeof *out->paths);
    for (int i = 0; i < count; i++) {
        size_t size = strlen(directory) + strlen(names[i]->d_name) + 2;
        char *path = out->paths != NULL ? malloc(size) : NULL;
        whole = whole && path != NULL;
        if (path != NULL) {
            (void)snprintf(path, size, "%s/%s", directory, names[i]->d_name);
            out->paths[out->count++] = path;
        }
        free(names[i]);
    }
    free(names);
    if (whole)
        return RD_OK;
    seed_runs_free(out);
    return rd_fail(err, RD_ERR_MEMORY, "no memory for the runs of %s", directory);
}

void seed_runs_free(seed_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++)
        free(runs->paths[i]);
    free(runs->paths);
    *runs = (seed_runs){0};
}
