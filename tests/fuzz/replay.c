/* Runs a fuzzer over the files and folders on its command line, where libFuzzer is not at hand: a regression
 * test. */
#include <dirent.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static int replay_file(const char *path, int *replayed)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        if (f != NULL)
            fclose(f);
        return -1;
    }
    long size = ftell(f);
    rewind(f);
    /* A block of the very size, so that a sanitizer sees a read behind the end. */
    uint8_t *bytes = size < 0 ? NULL : malloc(size > 0 ? (size_t)size : 1);
    size_t count = bytes == NULL ? 0 : fread(bytes, 1, (size_t)size, f);
    int result = -1;
    if (bytes != NULL && count == (size_t)size)
        result = LLVMFuzzerTestOneInput(bytes, count);
    free(bytes);
    fclose(f);
    *replayed += result == 0;
    return result;
}

static int replay(const char *path, int *replayed)
{
    struct stat info;
    struct dirent **entries;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return replay_file(path, replayed);
    int result = 0, count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        char inner[PATH_MAX];
        int length = snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0 && result == 0)
            result = length < PATH_MAX ? replay(inner, replayed) : -1;
        free(entries[i]);
    }
    free(entries);
    if (result != 0)
        fprintf(stderr, "%s: not all of it could be replayed\n", path);
    return result;
}

int main(int argc, char **argv)
{
    int replayed = 0;
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i], &replayed) != 0) {
            fprintf(stderr, "%s: could not be replayed\n", argv[i]);
            return 1;
        }
    }
    printf("%d inputs replayed\n", replayed);
    return 0;
}
