/* Runs a fuzzer over the files on its command line, where libFuzzer is not at hand: a regression test. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
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
    return result;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i]) != 0) {
            fprintf(stderr, "%s: could not be replayed\n", argv[i]);
            return 1;
        }
    }
    printf("%d inputs replayed\n", argc - 1);
    return 0;
}
