/* What a file is, by its first bytes: each as the programs that write it do. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/sniff.h"

/* From a block of the very size. */
static rd_sniff_kind kind_of(const void *bytes, size_t count)
{
    uint8_t *block = malloc(count > 0 ? count : 1);
    memcpy(block, bytes, count);
    rd_sniff_kind kind = rd_sniff(block, count);
    free(block);
    return kind;
}

#define IS(text, kind) cr_assert_eq(kind_of(text, sizeof(text) - 1), kind, "%s", text)

/* The local header of an archive's first entry (APPNOTE.TXT, 4.3.7), without its data. */
static rd_sniff_kind kind_of_zip(const char *name)
{
    char zip[200] = "PK\3\4\x14\0\0\0\x08\0";
    zip[26] = (char)strlen(name);
    strcpy(zip + 30, name);
    return kind_of(zip, 30 + strlen(name) + 20);
}

Test(sniff, what_other_programs_write)
{
    IS("PAR1\x15\x04\x15", RD_SNIFF_PARQUET);
    IS("ARROW1\0\0", RD_SNIFF_ARROW);
    IS("\x93NUMPY\1\0v\0{'descr': '<f8'", RD_SNIFF_NUMPY);
    IS("\x80\4\x95\x0b\0\0\0\0\0\0\0]", RD_SNIFF_PICKLE); /* pickle.dumps([1], 4) */
    IS("\x80\2}q\0.", RD_SNIFF_PICKLE);
    IS("\x80\2\x8a\nl\xfc\x9c"
       "F\xf9 j\xa8P\x19.",
       RD_SNIFF_PICKLE); /* torch.save before 1.6 */
    IS("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", RD_SNIFF_GIT_LFS);
    IS("\x89HDF\r\n\x1a\n\0\0", RD_SNIFF_HDF5);
    IS("\x1f\x8b\x08\0\0\0\0\0\0\3", RD_SNIFF_GZIP);
    IS("BZh91AY&SY", RD_SNIFF_COMPRESSED);
    IS("<!DOCTYPE html>\n<html>", RD_SNIFF_HTML);
    IS("\n<HTML><head>", RD_SNIFF_HTML);
    IS("@RELATION iris\n", RD_SNIFF_ARFF);
    IS("SQLite format 3\0\x10", RD_SNIFF_SQLITE);
    IS("\xff\xfe"
       "a\0,\0",
       RD_SNIFF_UTF16);
    IS("a\0,\0b\0", RD_SNIFF_UTF16);
    IS("\0a\0,\0b", RD_SNIFF_UTF16);
    cr_assert_eq(kind_of_zip("[Content_Types].xml"), RD_SNIFF_EXCEL);
    cr_assert_eq(kind_of_zip("docProps/app.xml"), RD_SNIFF_EXCEL);
    cr_assert_eq(kind_of_zip("mimetype"), RD_SNIFF_OPENDOCUMENT);
    cr_assert_eq(kind_of_zip("x.npy"), RD_SNIFF_NPZ);
    cr_assert_eq(kind_of_zip("archive/data.pkl"), RD_SNIFF_PYTORCH);
    cr_assert_eq(kind_of_zip("iris.csv"), RD_SNIFF_ZIP);
    IS("PK\3\4", RD_SNIFF_ZIP);
}

Test(sniff, what_rondo_reads)
{
    IS("\0\0\x08\3\0\0\xea\x60\0\0\0\x1c", RD_SNIFF_IDX);
    IS("\0\0\x0d\2\0\0\0\1\0\0\0\1", RD_SNIFF_IDX);
    IS("\x40\0\0\0\0\0\0\0{\"x\":{", RD_SNIFF_SAFETENSORS);
    IS("\x1f\x8b\0\0\0\0\0\0{\"x\":{", RD_SNIFF_SAFETENSORS); /* 35615 bytes of header: no gzip */
    IS("\xef\xbb\xbf {\"users\":[]}", RD_SNIFF_JSON);
    IS("[1]", RD_SNIFF_JSON);
    IS("{\"metadata\": {}, \"weight_map\": {\"fc1.weight\": \"model-00001-of-00002.safetensors\"}}", RD_SNIFF_SHARDS);
    IS("5.1,3.5,setosa\r\n", RD_SNIFF_TEXT);
    IS("caf\xe9;1\n", RD_SNIFF_TEXT); /* Latin-1: its reader says so, with the line */
    IS("", RD_SNIFF_EMPTY);
    IS("\1\2\3\4\5", RD_SNIFF_UNKNOWN);
    IS("a\0", RD_SNIFF_UNKNOWN);
    for (int k = 0; k < RD_SNIFF_KINDS; k++)
        cr_assert(strncmp(rd_sniff_describe(k), "is ", 3) == 0, "kind %d", k);
    cr_assert(rd_sniff_is_foreign(RD_SNIFF_UTF16) && rd_sniff_is_foreign(RD_SNIFF_TAR));
    cr_assert_not(rd_sniff_is_foreign(RD_SNIFF_GZIP));
}
