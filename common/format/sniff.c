/* sniff.c: see sniff.h. A table of what stands where, in the order in which it is looked for. */
#include "format/sniff.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "core/utf8.h"

typedef struct signature {
    rd_sniff_kind kind;
    size_t at, length;
    const char *bytes;
} signature;

#define SIGNATURE(kind, at, text)        \
    {                                    \
        kind, at, sizeof(text) - 1, text \
    }

static const signature signatures[] = {
    SIGNATURE(RD_SNIFF_PARQUET, 0, "PAR1\x15"),
    SIGNATURE(RD_SNIFF_ARROW, 0, "ARROW1\0\0"),
    SIGNATURE(RD_SNIFF_ARROW, 0, "FEA1\0"),
    SIGNATURE(RD_SNIFF_NUMPY, 0, "\x93NUMPY"),
    SIGNATURE(RD_SNIFF_HDF5, 0, "\x89HDF\r\n\x1a\n"),
    SIGNATURE(RD_SNIFF_MATLAB, 0, "MATLAB 5.0 MAT-file"),
    SIGNATURE(RD_SNIFF_GIT_LFS, 0, "version https://git-lfs.github.com/spec/"),
    SIGNATURE(RD_SNIFF_SQLITE, 0, "SQLite format 3"),
    SIGNATURE(RD_SNIFF_PDF, 0, "%PDF-"),
    SIGNATURE(RD_SNIFF_IMAGE, 0, "\x89PNG\r\n\x1a\n"),
    SIGNATURE(RD_SNIFF_IMAGE, 0, "\xff\xd8\xff"),
    SIGNATURE(RD_SNIFF_IMAGE, 0, "GIF87a"),
    SIGNATURE(RD_SNIFF_IMAGE, 0, "GIF89a"),
    SIGNATURE(RD_SNIFF_GZIP, 0, "\x1f\x8b"),
    SIGNATURE(RD_SNIFF_COMPRESSED, 4, "1AY&SY"),
    SIGNATURE(RD_SNIFF_COMPRESSED, 0,
              "\xfd"
              "7zXZ"),
    SIGNATURE(RD_SNIFF_COMPRESSED, 0, "\x28\xb5\x2f\xfd"),
    SIGNATURE(RD_SNIFF_COMPRESSED, 0, "7z\xbc\xaf\x27\x1c"),
    SIGNATURE(RD_SNIFF_EXCEL, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), /* .xls */
    SIGNATURE(RD_SNIFF_TAR, 257, "ustar"),
    SIGNATURE(RD_SNIFF_UTF16, 0, "\xff\xfe"),
    SIGNATURE(RD_SNIFF_UTF16, 0, "\xfe\xff"),
};

/* Of what a ZIP archive holds, the first entry's name says what wrote it. */
static rd_sniff_kind kind_of_archive(const uint8_t *bytes, size_t count)
{
    size_t length = count >= 30 ? bytes[26] | (size_t)bytes[27] << 8 : 0, behind = 30 + length;
    const char *name = (const char *)bytes + 30;
    if (length == 0 || behind > count)
        return RD_SNIFF_ZIP;
    if (length > 4 && memcmp(name + length - 4, ".npy", 4) == 0)
        return RD_SNIFF_NPZ;
    if (length > 9 && memcmp(name + length - 9, "/data.pkl", 9) == 0)
        return RD_SNIFF_PYTORCH;
    if (length == 8 && memcmp(name, "mimetype", 8) == 0)
        return RD_SNIFF_OPENDOCUMENT;
    if (memmem(name, length, "[Content_Types].xml", 19) != NULL || memmem(name, length, "_rels/", 6) != NULL ||
        memmem(name, length, "docProps/", 9) != NULL || (length > 3 && memcmp(name, "xl/", 3) == 0))
        return RD_SNIFF_EXCEL;
    return RD_SNIFF_ZIP;
}

/* 8 bytes of length, little-endian, and a JSON object of so many bytes. */
static bool is_safetensors(const uint8_t *bytes, size_t count)
{
    uint64_t length = 0;
    for (size_t i = 8; i-- > 0 && count > 8;)
        length = length << 8 | bytes[i];
    return count > 8 && length >= 2 && length < UINT64_C(1) << 32 && bytes[8] == '{';
}

/* Two zero bytes, a type, a number of dimensions. */
static bool is_idx(const uint8_t *bytes, size_t count)
{
    return count >= 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] >= 0x08 && bytes[2] <= 0x0e && bytes[2] != 0x0a &&
           bytes[3] >= 1 && bytes[3] <= 8;
}

/* Protocols 2 to 5 begin with their number; then comes a frame, a global, or the start of an object. */
static bool is_pickle(const uint8_t *bytes, size_t count)
{
    return count >= 3 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5 &&
           memchr("\x95"
                  "c}](\x8a\x8c",
                  bytes[2], 7);
}

/* Every second byte is zero, as of ASCII letters in UTF-16. */
static bool is_wide_text(const uint8_t *bytes, size_t count)
{
    size_t zeros[2] = {0, 0};
    for (size_t i = 0; i < count; i++)
        zeros[i & 1] += bytes[i] == 0;
    size_t pairs = count / 2;
    return pairs >= 2 && ((zeros[0] == 0 && zeros[1] == pairs) || (zeros[1] == 0 && zeros[0] == pairs));
}

/* No control characters but white space; UTF-8 or, for all that the first bytes tell, Latin-1. */
static bool is_text(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((bytes[i] < 0x20 && (bytes[i] < '\t' || bytes[i] > '\r')) || bytes[i] == 0x7f)
            return false;
    return true;
}

static bool begins_with(const char *text, size_t count, const char *word)
{
    return count >= strlen(word) && strncasecmp(text, word, strlen(word)) == 0;
}

static rd_sniff_kind kind_of_text(const char *text, size_t count)
{
    if (count >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        count -= 3;
    }
    for (; count > 0 && strchr(" \t\r\n", *text) != NULL; count--)
        text++;
    if (count == 0)
        return RD_SNIFF_TEXT;
    if (*text == '{' && memmem(text, count, "\"weight_map\"", 12) != NULL)
        return RD_SNIFF_SHARDS;
    if (*text == '{' || *text == '[')
        return RD_SNIFF_JSON;
    if (begins_with(text, count, "<!doctype") || begins_with(text, count, "<html") || begins_with(text, count, "<?xml"))
        return RD_SNIFF_HTML;
    return begins_with(text, count, "@relation") ? RD_SNIFF_ARFF : RD_SNIFF_TEXT;
}

rd_sniff_kind rd_sniff(const void *first, size_t count)
{
    const uint8_t *bytes = first;
    count = count < RD_SNIFF_BYTES ? count : RD_SNIFF_BYTES;
    if (count == 0)
        return RD_SNIFF_EMPTY;
    if (is_safetensors(bytes, count)) /* first: its length may look like anything */
        return RD_SNIFF_SAFETENSORS;
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const signature *s = &signatures[i];
        if (count >= s->at + s->length && memcmp(bytes + s->at, s->bytes, s->length) == 0)
            return s->kind;
    }
    if (count >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0))
        return kind_of_archive(bytes, count);
    if (is_pickle(bytes, count))
        return RD_SNIFF_PICKLE;
    if (is_idx(bytes, count))
        return RD_SNIFF_IDX;
    if (is_wide_text(bytes, count))
        return RD_SNIFF_UTF16;
    return is_text(bytes, count) ? kind_of_text((const char *)bytes, count) : RD_SNIFF_UNKNOWN;
}

const char *rd_sniff_describe(rd_sniff_kind kind)
{
#define AS_SAFETENSORS "; write it as safetensors with x and y (see the README, \"Data files\")"
#define AS_CSV "; save it as CSV"
    static const char *const words[RD_SNIFF_KINDS] = {
        [RD_SNIFF_UNKNOWN] = "is not of a format that is known here",
        [RD_SNIFF_EMPTY] = "is empty",
        [RD_SNIFF_TEXT] = "is a text",
        [RD_SNIFF_JSON] = "is JSON",
        [RD_SNIFF_IDX] = "is an IDX file",
        [RD_SNIFF_SAFETENSORS] = "is a safetensors file",
        [RD_SNIFF_GZIP] = "is a gzip file",
        [RD_SNIFF_UTF16] = "is a text in UTF-16; save it as UTF-8",
        [RD_SNIFF_EXCEL] = "is an Office document (Excel)" AS_CSV,
        [RD_SNIFF_OPENDOCUMENT] = "is an OpenDocument file" AS_CSV,
        [RD_SNIFF_NPZ] = "is an archive of NumPy arrays (.npz)" AS_SAFETENSORS,
        [RD_SNIFF_PYTORCH] = "is a PyTorch file; write it with safetensors.torch.save_file",
        [RD_SNIFF_ZIP] = "is a ZIP archive; unpack it",
        [RD_SNIFF_PARQUET] = "is a Parquet file; write it as CSV or as safetensors with x and y",
        [RD_SNIFF_ARROW] = "is an Arrow (Feather) file; write it as CSV or as safetensors with x and y",
        [RD_SNIFF_NUMPY] = "is a NumPy array (.npy)" AS_SAFETENSORS,
        [RD_SNIFF_SHARDS] = "is the index of a model in several files; write them as one safetensors file",
        [RD_SNIFF_PICKLE] = "is a Python pickle; write it as safetensors",
        [RD_SNIFF_HDF5] = "is an HDF5 file; write it as safetensors",
        [RD_SNIFF_MATLAB] = "is a MATLAB file" AS_SAFETENSORS,
        [RD_SNIFF_GIT_LFS] = "is a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'",
        [RD_SNIFF_HTML] = "is a web page (HTML or XML), perhaps what a server sent in place of the file",
        [RD_SNIFF_ARFF] = "is an ARFF file" AS_CSV,
        [RD_SNIFF_SQLITE] = "is an SQLite database; export the table as CSV",
        [RD_SNIFF_PDF] = "is a PDF document",
        [RD_SNIFF_IMAGE] = "is a single picture; write all of them as one safetensors file with x and y",
        [RD_SNIFF_COMPRESSED] = "is compressed (bzip2, xz, zstd or 7z); unpack it, or compress it with gzip",
        [RD_SNIFF_TAR] = "is a tar archive; unpack it",
    };
    return words[kind];
}

bool rd_sniff_is_foreign(rd_sniff_kind kind)
{
    return kind >= RD_SNIFF_FOREIGN;
}
