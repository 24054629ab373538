/* Files of tensors: what is written is read back, and nothing of a failure stays. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/tensor_file.h"
#include "model/model.h"
#include "test_directory.h"

TestSuite(tensor_file, .init = make_directory, .fini = remove_directory);

static const char *path_of(const char *name)
{
    static char paths[4][96];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static rd_model *make_model(void)
{
    cJSON *section = cJSON_Parse("{\"preset\": \"softmax-regression\", \"input\": 2, \"classes\": 3}");
    rd_model *m;
    rd_error err;
    cr_assert_eq(rd_model_create(section, &m, &err), RD_OK);
    cJSON_Delete(section);
    return m;
}

static const float values[9] = {0.5f, -1.25f, 3e-20f, -8388607.5f, 0.0f, 1e-45f, 7.0f, 1e38f, -0.0f};

static void write_and_read(const rd_model *m)
{
    const rd_tensor_table t = rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    float back[9] = {0};
    rd_error err;
    struct stat info;
    cr_assert_eq(rd_tensor_file_write(t, values, 7, path_of("t"), &err), RD_OK, "%s", err.message);
    cr_assert(stat(path_of("t"), &info) == 0 && (info.st_mode & 0777) == 0600);
    cr_expect_neq(access(path_of("t.tmp"), F_OK), 0);
    cr_assert_eq(rd_tensor_file_read(t, path_of("t"), back, &err), RD_OK, "%s", err.message);
    cr_expect_eq(memcmp(back, values, sizeof values), 0);
}

Test(tensor_file, what_is_written_is_read_back)
{
    rd_model *m = make_model();
    write_and_read(m);
    write_and_read(m);
    rd_model_free(m);
}

/* A program whose standard input is closed gets that number for the first file that it opens. */
Test(tensor_file, descriptor_0_is_one)
{
    rd_model *m = make_model();
    const int kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100);
    close(STDIN_FILENO);
    write_and_read(m);
    cr_expect_eq(fcntl(0, F_GETFD), -1, "it is closed");
    if (kept >= 0)
        dup2(kept, STDIN_FILENO);
    close(kept);
    rd_model_free(m);
}

Test(tensor_file, nothing_stays_of_what_cannot_take_its_place)
{
    rd_model *m = make_model();
    const rd_tensor_table t = rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    rd_error err;
    cr_assert_eq(mkdir(path_of("folder"), 0700), 0);
    cr_expect_eq(rd_tensor_file_write(t, values, 7, path_of("folder"), &err), RD_ERR_IO);
    cr_expect_not_null(strstr(err.message, "folder: cannot take its place"), "%s", err.message);
    cr_expect_neq(access(path_of("folder.tmp"), F_OK), 0);
    cr_expect_eq(rd_tensor_file_write(t, values, 7, path_of("none/t"), &err), RD_ERR_IO);
    cr_expect_not_null(strstr(err.message, "No such file"), "%s", err.message);
    cr_assert_eq(symlink(path_of("victim"), path_of("t.tmp")), 0);
    cr_expect_eq(rd_tensor_file_write(t, values, 7, path_of("t"), &err), RD_ERR_IO, "links are not followed");
    cr_expect_neq(access(path_of("victim"), F_OK), 0);
    rd_model_free(m);
}

/* "/tmp/x/./././t": with ".tmp" and its end as long as the system allows, and one longer. */
Test(tensor_file, names_may_be_as_long_as_those_of_the_system)
{
    rd_model *m = make_model();
    const rd_tensor_table t = rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    char longest[PATH_MAX + 8];
    rd_error err;
    const int slashes = (strlen(directory) & 1) != 0 ? 1 : 2, most = PATH_MAX - 1 - 4;
    size_t at = (size_t)snprintf(longest, sizeof longest, "%s%.*s", directory, slashes, "//");
    for (; at < (size_t)most - 1; at += 2)
        memcpy(longest + at, "./", 3);
    (void)snprintf(longest + at, sizeof longest - at, "t");
    cr_assert_eq(strlen(longest), most);
    cr_expect_eq(rd_tensor_file_write(t, values, 7, longest, &err), RD_OK, "%s",
                 err.message + strlen(err.message) - 60);
    (void)snprintf(longest + at, sizeof longest - at, "tt");
    cr_expect_eq(rd_tensor_file_write(t, values, 7, longest, &err), RD_ERR_IO);
    rd_model_free(m);
}

Test(tensor_file, what_is_not_finite_is_named)
{
    rd_model *m = make_model();
    const rd_tensor_table t = rd_model_tensors(m, RD_TENSORS_TRAVELLING);
    const float unfit[] = {NAN, INFINITY, -INFINITY};
    const char *const words[] = {"is NaN", "is infinite", "is infinite"};
    rd_error err;
    for (size_t i = 0; i < 3; i++) {
        float v[9], back[9];
        memcpy(v, values, sizeof v);
        v[8] = unfit[i];
        cr_assert_eq(rd_tensor_file_write(t, v, 7, path_of("t"), &err), RD_OK);
        cr_expect_eq(rd_tensor_file_read(t, path_of("t"), back, &err), RD_ERR_FORMAT);
        cr_expect_not_null(strstr(err.message, "tensor 'fc1.bias': element 2"), "%s", err.message);
        cr_expect_not_null(strstr(err.message, words[i]), "%s", err.message);
    }
    rd_model_free(m);
}

/* A file of one header with these tensors, and so many zeros behind it. */
static void write_by_hand(const char *header, size_t zeros)
{
    const size_t length = strlen(header);
    FILE *f = fopen(path_of("t"), "wb");
    for (size_t i = 0; i < 8; i++)
        (void)fputc((int)(length >> 8 * i & 0xff), f);
    cr_assert_eq(fwrite(header, 1, length, f), length);
    for (size_t i = 0; i < zeros; i++)
        (void)fputc(0, f);
    cr_assert_eq(fclose(f), 0);
}

#define TENSOR(name, type, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"
#define WEIGHT TENSOR("fc1.weight", "F32", "[3,2]", "0", "24")
#define BIAS TENSOR("fc1.bias", "F32", "[3]", "24", "36")

Test(tensor_file, tensors_of_another_model_are_named)
{
    static const struct {
        const char *header;
        size_t zeros;
        const char *words; /* NULL: it is the model's */
    } cases[] = {
        {"{" WEIGHT "," BIAS "}", 36, NULL},
        {"{" WEIGHT "}", 24, "tensor 'fc1.bias' is missing"},
        {"{" WEIGHT "," TENSOR("fc2.bias", "F32", "[3]", "24", "36") "}", 36, "'fc2.bias' is not one of the model's"},
        {"{" WEIGHT "," BIAS "," TENSOR("more", "F32", "[1]", "36", "40") "}", 40, "'more' is not one of the model's"},
        {"{" WEIGHT "," TENSOR("fc1.bias", "I32", "[3]", "24", "36") "}", 36,
         "'fc1.bias': expected dtype F32, found I32"},
        {"{" TENSOR("fc1.weight", "F32", "[2,3]", "0", "24") "," BIAS "}", 36, "expected shape [3, 2], found [2, 3]"},
        {"{" TENSOR("fc1.weight", "F32", "[6]", "0", "24") "," BIAS "}", 36, "expected shape [3, 2], found [6]"},
        {"{" WEIGHT "," TENSOR("fc1.bias", "F32", "[3,1]", "24", "36") "}", 36, "expected shape [3], found [3, 1]"},
        {"{" WEIGHT "," TENSOR("fc1.bias", "F32", "[]", "24", "28") "}", 28, "expected shape [3], found []"},
    };
    rd_model *m = make_model();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float back[9];
        rd_error err = {0};
        write_by_hand(cases[i].header, cases[i].zeros);
        const rd_status status =
            rd_tensor_file_read(rd_model_tensors(m, RD_TENSORS_TRAVELLING), path_of("t"), back, &err);
        cr_expect_eq(status, cases[i].words == NULL ? RD_OK : RD_ERR_FORMAT, "%zu: %s", i, err.message);
        if (cases[i].words != NULL)
            cr_expect_not_null(strstr(err.message, cases[i].words), "%s: %s", cases[i].words, err.message);
    }
    rd_model_free(m);
}
