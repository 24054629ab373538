/* Files that are something else than their names say, or whose names say nothing. */
#include <zlib.h>

#include "data/source.h"
#include "data_files.h"

TestSuite(kind, .init = make_folder, .fini = remove_folder);

#define PUT(name, bytes, path) put_file(name, bytes, sizeof(bytes) - 1, path)

static const char numpy[] = "\x93NUMPY\1\0v\0{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2), }\n";
static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
static const char table[] = "a,b,y\n1,2,0\n3,4,1\n";

static void named(const char *name, const void *bytes, size_t size, const char *words)
{
    rd_source source;
    rd_dataset d = {0};
    rd_error err = {0};
    char path[256];
    put_file(name, bytes, size, path);
    rd_status status = rd_source_from_path(path, &source, &err);
    if (status == RD_OK)
        status = rd_source_load(&source, NULL, NULL, false, &d, &err);
    cr_expect_neq(status, RD_OK, "%s", name);
    cr_expect(strncmp(err.message, path, strlen(path)) == 0 && strstr(err.message, words) != NULL, "%s: %s", name,
              err.message);
}

Test(kind, what_cannot_be_read_is_named_whatever_it_is_called)
{
    static const char xlsx[] = "PK\3\4\x14\0\6\0\x08\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml";
    static const char parquet[] = "PAR1\x15\4\x15\x20";
    static const char *const names[] = {"d.npy", "d.csv",         "d.txt",         "d.json",
                                        "d.dat", "d.safetensors", "x-images-idx3", "d"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        named(names[i], numpy, sizeof numpy - 1, "is a NumPy array (.npy)");
        named(names[i], pointer, sizeof pointer - 1, "is a Git LFS pointer");
        named(names[i], parquet, sizeof parquet - 1, "is a Parquet file");
        named(names[i], xlsx, sizeof xlsx - 1, "is an Office document");
        named(names[i], "a\0,\0b\0\n\0", 8, "is a text in UTF-16");
    }
    named("d.bin", "\1\2\3\4", 4, "is not of a format that is known here");
}

Test(kind, a_reader_gets_what_it_reads)
{
    char path[256];
    named("t-images-idx3-ubyte", table, sizeof table - 1, "is a text, but an IDX file was expected");
    named("d.csv", "\0\0\x08\1\0\0\0\1\7", 9, "is an IDX file, but a table (CSV) was expected");
    named("d.json", table, sizeof table - 1, "line 1, column 1: not valid JSON");
    PUT("b-images-idx3-ubyte", "\0\0\x08\3\0\0\0\1\0\0\0\1\0\0\0\1\7", path);
    PUT("b-labels-idx1-ubyte", pointer, path);
    rd_source source = {.format = RD_SOURCE_IDX};
    rd_dataset d;
    (void)snprintf(source.path, sizeof source.path, "%s/b-images-idx3-ubyte", folder);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA,
                 "b-labels-idx1-ubyte: is a Git LFS pointer");
}

Test(kind, a_name_that_says_nothing)
{
    rd_source source;
    rd_dataset d;
    rd_error err = {0};
    char path[256];
    PUT("adult.test", table, path);
    cr_assert_eq(rd_source_from_path(path, &source, &err), RD_OK, "%s", err.message);
    cr_assert_eq(source.format, RD_SOURCE_CSV);
    PUT("users", "{\"users\": [\"a\"], \"user_data\": {\"a\": {\"x\": [[1]], \"y\": [0]}}}", path);
    cr_assert_eq(rd_source_from_path(path, &source, &err), RD_OK, "%s", err.message);
    cr_assert_eq(source.format, RD_SOURCE_LEAF);
    cr_assert_eq(rd_source_load(&source, NULL, NULL, false, &d, &err), RD_OK, "%s", err.message);
    rd_dataset_free(&d);
    PUT("digits", "\0\0\x08\3\0\0\0\1\0\0\0\1\0\0\0\1\7", path);
    cr_assert_eq(rd_source_from_path(path, &source, &err), RD_OK, "%s", err.message);
    cr_assert_eq(source.format, RD_SOURCE_IDX);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA, "there is no 'images' in its name");
    cr_assert_eq(rd_source_from_path("/none/there.dat", &source, &err), RD_OK);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA,
                 "/none/there.dat: No such file or directory");
    /* What is compressed is looked into. */
    (void)snprintf(path, sizeof path, "%s/d.gz", folder);
    gzFile file = gzopen(path, "wb");
    cr_assert(file != NULL && gzwrite(file, numpy, sizeof numpy - 1) > 0 && gzclose(file) == Z_OK);
    expect_error(rd_source_from_path(path, &source, why), RD_ERR_DATA, "d.gz: is a NumPy array");
}
