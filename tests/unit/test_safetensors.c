/* Safetensors headers against bytes written by hand from the format's description. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "format/safetensors.h"

static void refuse(const char *json, const char *words)
{
    rd_safetensors s;
    rd_error err = {0};
    cr_assert_eq(rd_safetensors_parse(json, strlen(json), "f", &s, &err), RD_ERR_FORMAT, "%s", json);
    cr_assert(strstr(err.message, words) != NULL, "'%s' is not in '%s'", words, err.message);
    cr_assert(strncmp(err.message, "f: ", 3) == 0);
}

#define T_BODY(dtype, shape, begin, end) \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"
#define T(name, dtype, shape, begin, end) "\"" name "\":" T_BODY(dtype, shape, begin, end)

Test(safetensors, reads_what_the_format_describes)
{
    const char *json = "{\"__metadata__\":{\"format\":\"pt\"}," T("b", "F32", "[2]", "24", "32") "," T(
        "a", "F32", "[2,3]", "0", "24") "," T("scalar", "I64", "[]", "32", "40") "," T("none", "F16", "[0,7]", "40",
                                                                                       "40") "}   ";
    rd_safetensors s;
    rd_error err;
    cr_assert_eq(rd_safetensors_parse(json, strlen(json), "f", &s, &err), RD_OK);
    cr_assert_eq(s.tensor_count, 4);
    cr_assert_str_eq(s.tensors[0].name, "a");
    cr_assert_str_eq(s.tensors[1].name, "b");
    cr_assert(s.tensors[0].rank == 2 && s.tensors[0].shape[0] == 2 && s.tensors[0].shape[1] == 3 &&
              s.tensors[0].count == 6);
    const rd_st_tensor *scalar = rd_safetensors_find(&s, "scalar");
    cr_assert(scalar->rank == 0 && scalar->count == 1 && scalar->dtype == RD_DTYPE_I64);
    cr_assert_eq(rd_safetensors_find(&s, "none")->count, 0);
    cr_assert_null(rd_safetensors_find(&s, "missing"));
    cr_assert_str_eq(rd_safetensors_metadata(&s, "format"), "pt");
    cr_assert_null(rd_safetensors_metadata(&s, "other"));
    cr_assert_eq(s.data_size, 40);
    cr_assert_eq(s.data_start, 8 + strlen(json));
    rd_safetensors_free(&s);
}

Test(safetensors, refuses_what_it_forbids)
{
    refuse("", "not a JSON object");
    refuse(" {}", "not a JSON object");
    refuse("[]", "not a JSON object");
    refuse("{", "not valid JSON");
    refuse("{} x", "something follows");
    refuse("{}\n", "padded with something else than spaces");
    refuse("{\"\xff\":1}", "is not UTF-8 (at its byte 2)");
    refuse("{\"a\\u0000b\":" T_BODY("F32", "[2]", "0", "8") "}", "\\u0000 would end a text early (at its byte 3)");
    refuse("{\"__metadata__\":{\"samples\":\"5\\u00005\"}}", "\\u0000 would end");
    refuse("{\"a\nb\":" T_BODY("F32", "[2]", "0", "8") "}", "a control character must be written");
    refuse("{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[1]", "12", "16") "}", "'b' begins at byte 12");
    refuse("{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[1]", "4", "8") "}", "'b' begins at byte 4");
    refuse("{" T("a", "F32", "[2]", "4", "12") "}", "'a' begins at byte 4");
    refuse("{" T("a", "F32", "[2]", "0", "8") "," T("a", "F32", "[1]", "8", "12") "}",
           "not accepted: a is there twice");
    refuse("{" T("a", "F32", "[3]", "0", "8") "}", "do not hold 3 elements of F32");
    refuse("{" T("a", "F32", "[2]", "8", "0") "}", "do not hold");
    refuse("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "dtype: expected a name such as F32, found none");
    refuse("{" T("a", "", "[2]", "0", "8") "}", "dtype: expected a name such as F32");
    refuse("{" T("a", "F32", "[-1]", "0", "8") "}", "digits alone (at its byte 29)");
    refuse("{" T("a", "F32", "[1.5]", "0", "6") "}", "digits alone");
    refuse("{" T("a", "F32", "[2.0]", "0", "8") "}", "digits alone");
    refuse("{" T("a", "F32", "[2e0]", "0", "8") "}", "digits alone");
    refuse("{" T("a", "F32", "[2]", "0", "8E0") "}", "digits alone");
    refuse("{" T("a", "F32", "[2]", "-0", "8") "}", "digits alone");
    refuse("{" T("a", "F32", "[0x2]", "0", "8") "}", "not valid JSON");
    refuse("{" T("a", "F32", "[+2]", "0", "8") "}", "not valid JSON");
    refuse("{" T("a", "F32", "[02]", "0", "8") "}", "not valid JSON");
    refuse("{" T("a", "F32", "[9007199254740994]", "0", "8") "}", "whole numbers");
    refuse("{" T("a", "F32", "[4294967296,4294967296]", "0", "0") "}", "too large");
    refuse("{" T("a", "F32", "[9007199254740992,3]", "0", "8") "}", "too large");
    refuse("{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", "at most 8");
    refuse("{" T("a", "F32", "2", "0", "8") "}", "shape: expected an array");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "data_offsets: expected [begin, end]");
    refuse("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
           "a.dtype is there twice");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"shape\":[2]}}", "a.shape is there twice");
    refuse("{" T("a\\u001b[2J\\n", "F32", "[3]", "0", "8") "}", "tensor 'a?[2J?': data"); /* fit for a log */
    refuse("{\"a\":7}", "expected an object with dtype");
    refuse("{\"__metadata__\":{\"n\":3}}", "'n' is not a string");
    refuse("{\"__metadata__\":[]}", "expected an object of strings");
    refuse("{\"\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", "a tensor has an empty name");
}

/* Points, signs and exponents are refused in numbers, not in names and words. */
Test(safetensors, names_are_no_numbers)
{
    const char *json = "{\"__metadata__\":{\"a\\\"-1e0.5\":\"-2.5e3\"}," T("-1e0.5", "F32", "[2]", "0", "8") "}";
    rd_safetensors s;
    rd_error err;
    cr_assert_eq(rd_safetensors_parse(json, strlen(json), "f", &s, &err), RD_OK, "%s", err.message);
    cr_assert_str_eq(rd_safetensors_metadata(&s, "a\"-1e0.5"), "-2.5e3");
    rd_safetensors_free(&s);
}

/* Nobody may want it: what is read of a file is up to whoever reads it. */
Test(safetensors, passes_over_types_and_names_that_rondo_has_no_use_for)
{
    rd_safetensors s;
    rd_error err;
    char json[1024], name[301];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    (void)snprintf(json, sizeof json,
                   "{" T("scale", "F8_E8M0", "[3]", "0", "3") "," T("packed", "F4", "[6]", "3",
                                                                    "6") ",\"%s\":" T_BODY("F32", "[1]", "6", "10") "}",
                   name);
    cr_assert_eq(rd_safetensors_parse(json, strlen(json), "f", &s, &err), RD_OK, "%s", err.message);
    cr_assert_eq(s.data_size, 10);
    const rd_st_tensor *scale = rd_safetensors_find(&s, "scale");
    cr_assert(scale->dtype == RD_DTYPE_OTHER && strcmp(rd_st_dtype_name(scale), "F8_E8M0") == 0);
    cr_assert_eq(rd_dtype_size(scale->dtype), 0);
    cr_assert_not_null(rd_safetensors_find(&s, name));
    rd_safetensors_free(&s);
}

Test(safetensors, writes_a_header_that_is_aligned_and_read_back)
{
    rd_st_tensor tensors[] = {{.name = "fc1.weight", .dtype = RD_DTYPE_F32, .rank = 2, .shape = {2, 3}},
                              {.name = "fc1.bias", .dtype = RD_DTYPE_F32, .rank = 1, .shape = {2}}};
    rd_st_pair pair = {"round", "3"};
    char *bytes;
    size_t size;
    rd_safetensors s;
    rd_error err;
    cr_assert_eq(rd_safetensors_header(tensors, 2, &pair, 1, &bytes, &size, &err), RD_OK);
    static const char expected[] = "{\"__metadata__\":{\"round\":\"3\"},"
                                   "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                                   "\"fc1.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}}";
    cr_assert_eq(size % 8, 0);
    cr_assert_eq((unsigned char)bytes[0] | (unsigned char)bytes[1] << 8, (int)size - 8);
    cr_assert_eq(memcmp(bytes + 8, expected, sizeof expected - 1), 0);
    cr_assert_eq(rd_safetensors_parse(bytes + 8, size - 8, "f", &s, &err), RD_OK);
    cr_assert_eq(s.data_size, 32);
    rd_safetensors_free(&s);
    free(bytes);
}

/* A file by hand: 8 bytes of length, the header, the data. */
static rd_status open_file(uint64_t length, const char *json, size_t data, rd_error *err)
{
    char path[] = "/tmp/rondo-st-XXXXXX", content[4096];
    int fd = mkstemp(path);
    memcpy(content, &length, 8);
    memcpy(content + 8, json, strlen(json));
    memset(content + 8 + strlen(json), 0, data);
    cr_assert_eq(rd_fd_write_all(fd, content, 8 + strlen(json) + data, path, err), RD_OK);
    close(fd);
    rd_safetensors s;
    rd_status status = rd_safetensors_open(path, &s, &fd, err);
    if (status == RD_OK) {
        close(fd);
        rd_safetensors_free(&s);
    }
    unlink(path);
    return status;
}

Test(safetensors, files_are_as_long_as_they_say)
{
    const char *json = "{" T("a", "F32", "[2]", "0", "8") "}";
    rd_error err = {0};
    cr_assert_eq(open_file(strlen(json), json, 8, &err), RD_OK);
    cr_assert_eq(open_file(strlen(json), json, 7, &err), RD_ERR_FORMAT);
    cr_assert_not_null(strstr(err.message, "its header describes"));
    cr_assert_eq(open_file(strlen(json), json, 9, &err), RD_ERR_FORMAT);
    cr_assert_eq(open_file(1000000, json, 8, &err), RD_ERR_FORMAT);
    cr_assert_eq(open_file(UINT64_MAX, json, 8, &err), RD_ERR_FORMAT);
    cr_assert_not_null(strstr(err.message, "not a safetensors file"));
    int fd;
    rd_safetensors s;
    cr_assert_eq(rd_safetensors_open("/nowhere.safetensors", &s, &fd, &err), RD_ERR_IO);
}

Test(safetensors, headers_have_a_largest_size_that_is_checked_before_they_are_read)
{
    char path[] = "/tmp/rondo-st-XXXXXX";
    const uint64_t length = RD_SAFETENSORS_MAX_HEADER + 1;
    rd_safetensors s;
    rd_error err = {0};
    int fd = mkstemp(path);
    cr_assert_eq(rd_fd_write_all(fd, &length, 8, path, &err), RD_OK);
    cr_assert_eq(ftruncate(fd, 64 << 20), 0); /* the file does hold that many bytes */
    close(fd);
    cr_assert_eq(rd_safetensors_open(path, &s, &fd, &err), RD_ERR_FORMAT);
    cr_assert_not_null(strstr(err.message, "a header of 16777217 bytes does not fit"));
    cr_assert_eq(fd, -1);
    unlink(path);
}

static const rd_st_tensor *expect(const rd_safetensors *s, const char *name, rd_dtype dtype, int rank, uint64_t count)
{
    const rd_st_tensor *t = rd_safetensors_find(s, name);
    cr_assert_not_null(t, "%s", name);
    cr_assert(t->dtype == dtype && t->rank == rank && t->count == count, "%s", name);
    return t;
}

static void read_data(int fd, const rd_safetensors *s, const rd_st_tensor *t, void *into)
{
    rd_error err = {0};
    cr_assert(rd_fd_pread_all(fd, into, t->end - t->begin, (off_t)(s->data_start + t->begin), "f", &err) == RD_OK, "%s",
              err.message);
}

/* tests/reference/make_safetensors.py wrote the file, and says these values. */
Test(safetensors, reads_a_file_that_python_made)
{
    rd_safetensors s;
    rd_error err = {0};
    int fd;
    double f64[6];
    float f32[3];
    int64_t i64;
    uint8_t u8[5], boolean[2];
    cr_assert(rd_safetensors_open(RONDO_SOURCE_DIR "/tests/reference/tensors.safetensors", &s, &fd, &err) == RD_OK,
              "%s", err.message);
    cr_assert_eq(s.tensor_count, 7);
    cr_assert_str_eq(rd_safetensors_metadata(&s, "made_by"), "Python's struct and json");
    cr_assert_str_eq(rd_safetensors_metadata(&s, "two lines"), "\303\274ber\n\360\235\204\236");
    const rd_st_tensor *t = expect(&s, "double", RD_DTYPE_F64, 2, 6);
    cr_assert(t->shape[0] == 3 && t->shape[1] == 2);
    read_data(fd, &s, t, f64);
    cr_assert(f64[0] == 1.0 / 3.0 && f64[5] == -1e300);
    read_data(fd, &s, expect(&s, "layer.weight", RD_DTYPE_F32, 1, 3), f32);
    cr_assert(f32[0] == 0.1f && f32[1] == -2.5f && f32[2] == 1e-45f);
    read_data(fd, &s, expect(&s, "step", RD_DTYPE_I64, 0, 1), &i64);
    cr_assert_eq(i64, -9007199254740993);
    read_data(fd, &s, expect(&s, "bytes", RD_DTYPE_U8, 1, 5), u8);
    cr_assert(u8[0] == 0 && u8[4] == 255);
    read_data(fd, &s, expect(&s, "mask", RD_DTYPE_BOOL, 1, 2), boolean);
    cr_assert(boolean[0] == 1 && boolean[1] == 0);
    (void)expect(&s, "half", RD_DTYPE_F16, 2, 2);
    (void)expect(&s, "empty", RD_DTYPE_F32, 2, 0);
    close(fd);
    rd_safetensors_free(&s);
}
