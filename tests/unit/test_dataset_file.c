/* Data files in safetensors, written by hand after the format's specification, and read back bit for bit. */
#include <math.h>
#include <stdint.h>

#include "data/source.h"
#include "data_files.h"

TestSuite(dataset_file, .init = make_folder, .fini = remove_folder);

/* 8 bytes of length, the JSON, the data. */
static void put_tensors(const char *json, const void *data, size_t count, rd_source *source)
{
    rd_error ignored;
    uint8_t file[2048] = {0};
    size_t n = strlen(json);
    char path[256];
    file[0] = (uint8_t)n;
    file[1] = (uint8_t)(n >> 8);
    memcpy(file + 8, json, n);
    memcpy(file + 8 + n, data, count);
    put_file("d.safetensors", file, 8 + n + count, path);
    cr_assert_eq(rd_source_from_path(path, source, &ignored), RD_OK);
    cr_assert_eq(source->format, RD_SOURCE_SAFETENSORS);
}

Test(dataset_file, reads_bytes_and_classes)
{
    rd_error err = {0};
    rd_source source;
    rd_dataset d;
    /* Two samples of 1 x 3 bytes, then labels 1 and 0, little-endian. */
    const uint8_t data[] = {1, 0, 0, 0, 0, 0, 0, 0, 10, 20, 30, 40, 50, 60};
    put_tensors("{\"__metadata__\":{\"classes\":\"5\"},\"y\":{\"dtype\":\"I32\",\"shape\":[2],\"data_"
                "offsets\":[0,8]},"
                "\"x\":{\"dtype\":\"U8\",\"shape\":[2,1,3],\"data_offsets\":[8,14]}}",
                data, sizeof data, &source);
    cr_assert_eq(rd_source_load(&source, NULL, NULL, false, &d, &err), RD_OK, "%s", err.message);
    cr_assert_eq(d.rows, 2);
    cr_assert_eq(d.features, 3);
    cr_assert_eq(d.rank, 2);
    cr_assert_eq(d.shape[0], 1);
    cr_assert_eq(d.shape[1], 3);
    cr_assert_eq(d.classes, 5);
    cr_assert_eq(memcmp(d.x_u8, data + 8, 6), 0);
    cr_assert_eq(d.labels[0], 1);
    cr_assert_eq(d.labels[1], 0);
    rd_dataset_free(&d);
}

Test(dataset_file, reads_floats_and_targets)
{
    rd_error err = {0};
    rd_source source;
    rd_dataset d;
    const float data[] = {1, 2, -0.5f, 4};
    put_tensors("{\"x\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                "\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
                data, sizeof data, &source);
    cr_assert_eq(rd_source_load(&source, NULL, NULL, false, &d, &err), RD_OK, "%s", err.message);
    cr_assert_eq(d.classes, 0);
    cr_assert_eq(d.target_count, 1);
    cr_assert_eq(memcmp(d.x_f32, data, 8), 0);
    cr_assert_eq(memcmp(d.targets, data + 2, 8), 0);
    rd_dataset_free(&d);
}

static void refused(const char *json, const void *data, size_t count, const char *message)
{
    rd_source source;
    rd_dataset d;
    put_tensors(json, data, count, &source);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA, message);
    cr_assert_eq(d.rows, 0);
    cr_assert_null(d.x_f32);
}

#define XY(x_dtype, x_shape, x_end, y_dtype, y_shape, y_end)                                      \
    "{\"x\":{\"dtype\":\"" x_dtype "\",\"shape\":[" x_shape "],\"data_offsets\":[0," #x_end "]}," \
    "\"y\":{\"dtype\":\"" y_dtype "\",\"shape\":[" y_shape "],\"data_offsets\":[" #x_end "," #y_end "]}}"

Test(dataset_file, what_does_not_fit_is_named)
{
    const float data[8] = {0};
    refused("{\"x\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}", data, 4,
            "has no tensor 'y', but 'x'; a data file holds 'x' (rows, ...) and 'y' (rows)");
    refused("{\"images\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},"
            "\"labels\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
            data, 8, "has no tensor 'x', but 'images', 'labels'; a data file");
    refused(XY("F32", "", 4, "I32", "1", 8), data, 8, "'x' has 0 dimensions; (rows, ...) with 1 to 4");
    refused(XY("F32", "1,1", 4, "I32", "1,1,1", 8), data, 8, "'y' has 3 dimensions; (rows");
    refused(XY("F32", "2,1", 8, "I32", "1", 12), data, 12, "'x' has 2 rows, but 'y' has 1");
    refused(XY("F32", "0,1", 0, "I32", "0", 0), data, 0, "0 rows of");
    refused(XY("F6_E2M3", "4,1", 3, "I32", "1", 7), data, 7, "'x' is of the type F6_E2M3, which is not read");
}

Test(dataset_file, values_are_checked)
{
    const float nan_at_1[] = {1, NAN, 0, 0}, inf_target[] = {1, 2, 3, -INFINITY};
    const int32_t negative[] = {0, 0, 3, -1};
    refused(XY("F32", "2,1", 8, "I32", "2", 16), nan_at_1, 16, "'x': row 1, column 0 is not a finite number");
    refused(XY("F32", "2,1", 8, "F32", "2", 16), inf_target, 16, "'y': row 1 is not a finite number");
    refused(XY("F32", "2,1", 8, "I32", "2", 16), negative, 16, "'y': row 1 is class -1");
    const char *declared = "{\"__metadata__\":{\"classes\":\"%s\"},"
                           "\"x\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]},"
                           "\"y\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
    const int32_t three[] = {0, 3};
    char json[512];
    snprintf(json, sizeof json, declared, "3");
    refused(json, three, 8, "'y': row 0 is class 3; 0 to 2 was expected");
    snprintf(json, sizeof json, declared, "many");
    refused(json, three, 8, "metadata 'classes' is 'many'");
}

/* What NumPy has by default, bit patterns by hand: x = {1, 0}, y = {2, 1}. */
Test(dataset_file, every_type_is_read)
{
    static const struct {
        const char *dtype, *bytes; /* of {1, 0} */
        int size;
    } x[] = {{"F64", "\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\0", 8},
             {"F32", "\0\0\x80\x3f\0\0\0\0", 4},
             {"F16", "\x00\x3c\0\0", 2},
             {"BF16", "\x80\x3f\0\0", 2},
             {"I64", "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 8},
             {"U64", "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 8},
             {"I32", "\1\0\0\0\0\0\0\0", 4},
             {"U32", "\1\0\0\0\0\0\0\0", 4},
             {"I16", "\1\0\0\0", 2},
             {"U16", "\1\0\0\0", 2},
             {"I8", "\1\0", 1},
             {"BOOL", "\1\0", 1}};
    static const char *const y[] = {"I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8"};
    static const int y_size[] = {8, 4, 2, 1, 8, 4, 2, 1};
    rd_error err = {0};
    rd_source source;
    rd_dataset d;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        for (size_t k = 0; k < sizeof y / sizeof *y; k++)
            for (int column = 0; column < 2; column++) {
                char json[400], data[64] = {0};
                int x_end = 2 * x[i].size, end = x_end + 2 * y_size[k];
                memcpy(data, x[i].bytes, (size_t)x_end);
                data[x_end] = 2;
                data[x_end + y_size[k]] = 1;
                (void)snprintf(json, sizeof json,
                               "{\"x\":{\"dtype\":\"%s\",\"shape\":[2%s],\"data_offsets\":[0,%d]},\"y\":{\"dtype\":\"%"
                               "s\","
                               "\"shape\":[2%s],\"data_offsets\":[%d,%d]},\"ids\":{\"dtype\":\"U16\",\"shape\":[1],"
                               "\"data_offsets\":[%d,%d]}}",
                               x[i].dtype, column ? ",1" : "", x_end, y[k], column ? ",1" : "", x_end, end, end,
                               end + 2);
                put_tensors(json, data, (size_t)end + 2, &source);
                cr_assert_eq(rd_source_load(&source, NULL, NULL, false, &d, &err), RD_OK, "%s, %s: %s", x[i].dtype,
                             y[k], err.message);
                cr_assert(d.rows == 2 && d.features == 1 && d.rank == 1 && d.shape[0] == 1, "%s", x[i].dtype);
                cr_assert(d.x_f32[0] == 1 && d.x_f32[1] == 0, "%s", x[i].dtype);
                cr_assert(d.label_count == 1 && d.labels[0] == 2 && d.labels[1] == 1 && d.classes == 3, "%s", y[k]);
                rd_dataset_free(&d);
            }
}

static rd_model *model_with(const char *loss)
{
    rd_error ignored;
    char text[200];
    rd_model *m = NULL;
    (void)snprintf(text, sizeof text,
                   "{\"input\": 1, \"loss\": \"%s\", \"layers\": [{\"type\": \"dense\", \"units\": 3}]}", loss);
    cJSON *json = cJSON_Parse(text);
    cr_assert_eq(rd_model_create(json, &m, &ignored), RD_OK);
    cJSON_Delete(json);
    return m;
}

Test(dataset_file, the_model_says_what_labels_are)
{
    const float whole[] = {0.5f, 0.25f, 2, 1}, broken[] = {0.5f, 0.25f, 2, 1.5f};
    const struct {
        float x[2];
        int64_t y[2];
    } counts = {{0.5f, 0.25f}, {-7, INT64_C(1) << 40}};
    rd_error err = {0};
    rd_source source;
    rd_dataset d;
    rd_model *classes = model_with("softmax_cross_entropy"), *numbers = model_with("mse");
    put_tensors(XY("F32", "2,1", 8, "F32", "2", 16), whole, 16, &source);
    cr_assert_eq(rd_source_load(&source, classes, NULL, false, &d, &err), RD_OK, "%s", err.message);
    cr_assert(d.targets == NULL && d.labels[0] == 2 && d.labels[1] == 1 && d.classes == 3);
    rd_dataset_free(&d);
    cr_assert_eq(rd_source_load(&source, numbers, NULL, false, &d, &err), RD_OK, "%s", err.message);
    cr_assert(d.labels == NULL && d.targets[0] == 2 && d.target_count == 1);
    rd_dataset_free(&d);
    put_tensors(XY("F32", "2,1", 8, "I64", "2", 24), &counts, 24, &source);
    cr_assert_eq(rd_source_load(&source, numbers, NULL, false, &d, &err), RD_OK, "%s", err.message);
    cr_assert(d.labels == NULL && d.targets[0] == -7 && d.targets[1] == 0x1p40f);
    rd_dataset_free(&d);
    expect_error(rd_source_load(&source, classes, NULL, false, &d, why), RD_ERR_DATA,
                 "'y': row 1: 1099511627776 is no class");
    put_tensors(XY("F32", "2,1", 8, "F32", "2", 16), broken, 16, &source);
    expect_error(rd_source_load(&source, classes, NULL, false, &d, why), RD_ERR_DATA,
                 "'y': row 1: 1.5 is no class; a whole number");
    put_tensors(XY("F32", "1,1", 4, "F32", "1,3", 16), broken, 16, &source);
    expect_error(rd_source_load(&source, classes, NULL, false, &d, why), RD_ERR_DATA,
                 "'y' is F32 (rows, 3), but the model predicts classes; where it is one-hot");
    rd_model_free(classes);
    rd_model_free(numbers);
}

Test(dataset_file, what_single_precision_would_change_is_refused)
{
    const double wide[][2] = {{1, 1e39}, {1, 1e-50}, {1700000000, 1700000001}, {1, NAN}};
    static const char *const words[] = {"'x': row 1, column 0 is too large for single precision",
                                        "'x': row 1, column 0 is too near to 0 for single precision",
                                        "'x': row 1, column 0 is beyond 2^24 and not exact in single precision",
                                        "'x': row 1, column 0 is not a finite number"};
    for (size_t i = 0; i < 4; i++) {
        char data[24] = {0};
        memcpy(data, wide[i], 16);
        refused(XY("F64", "2,1", 16, "I32", "2", 24), data, 24, words[i]);
    }
    const int64_t large[] = {9007199254740992, 9007199254740993, 0};
    refused(XY("I64", "2,1", 16, "I32", "2", 24), large, 24, "'x': row 1, column 0 is beyond 2^24");
    const uint64_t huge[] = {0, UINT64_MAX, 0};
    refused(XY("U64", "2,1", 16, "I32", "2", 24), huge, 24, "'x': row 1, column 0 is beyond 2^24");
    refused("{\"__metadata__\":{\"tokens\":\"yes\"},\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":["
            "0,4]},"
            "\"y\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
            huge, 8, "metadata 'tokens' is 'yes'; true or false was expected");
}

Test(dataset_file, no_such_file)
{
    rd_source source = {.format = RD_SOURCE_SAFETENSORS, .path = "/nonexistent/d.safetensors"};
    rd_dataset d;
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA,
                 "/nonexistent/d.safetensors: No such file or directory");
}

static void round_trip(const rd_dataset *d, rd_rows rows)
{
    rd_error err = {0};
    rd_source source = {.format = RD_SOURCE_SAFETENSORS};
    rd_dataset back;
    snprintf(source.path, sizeof source.path, "%s/back.safetensors", folder);
    cr_assert_eq(rd_dataset_file_save(d, rows, source.path, &err), RD_OK, "%s", err.message);
    cr_assert_eq(rd_source_load(&source, NULL, NULL, false, &back, &err), RD_OK, "%s", err.message);
    cr_assert_eq(back.rows, rows.count);
    cr_assert_eq(back.features, d->features);
    cr_assert_eq(back.rank, d->rank);
    cr_assert_eq(memcmp(back.shape, d->shape, sizeof d->shape), 0);
    cr_assert_eq(back.classes, d->classes);
    cr_assert_eq(back.target_count, d->target_count);
    for (size_t i = 0; i < rows.count; i++) {
        size_t from = rows.index != NULL ? rows.index[i] : i, D = d->features, T = d->target_count;
        if (d->x_u8 != NULL)
            cr_assert_eq(memcmp(back.x_u8 + i * D, d->x_u8 + from * D, D), 0);
        else
            cr_assert_eq(memcmp(back.x_f32 + i * D, d->x_f32 + from * D, D * 4), 0);
        if (d->labels != NULL)
            cr_assert_eq(back.labels[i], d->labels[from]);
        else
            cr_assert_eq(memcmp(back.targets + i * T, d->targets + from * T, T * 4), 0);
    }
    rd_dataset_free(&back);
}

Test(dataset_file, comes_back_bit_for_bit)
{
    uint8_t bytes[15] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 255};
    float floats[15] = {0.1f, -0.0f, 1e-42f, 3.4e38f, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    int32_t labels[5] = {0, 4, 1, 1, 3};
    float targets[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0.3f};
    const uint32_t some[] = {4, 0, 3};
    const rd_rows all = {.count = 5}, chosen = {.index = some, .count = 3};
    /* The client's share has no row of class 9, but knows of ten classes. */
    rd_dataset d = {.rows = 5,
                    .features = 3,
                    .rank = 2,
                    .shape = {1, 3},
                    .x_u8 = bytes,
                    .labels = labels,
                    .label_count = 1,
                    .classes = 10};
    round_trip(&d, all);
    round_trip(&d, chosen);
    d = (rd_dataset){
        .rows = 5, .features = 3, .rank = 1, .shape = {3}, .x_f32 = floats, .targets = targets, .target_count = 2};
    round_trip(&d, all);
    round_trip(&d, chosen);
}

Test(dataset_file, what_cannot_be_written)
{
    uint8_t bytes[1] = {0};
    int32_t labels[1] = {0};
    const rd_dataset d = {.rows = 1,
                          .features = 1,
                          .rank = 1,
                          .shape = {1},
                          .x_u8 = bytes,
                          .labels = labels,
                          .label_count = 1,
                          .classes = 1};
    expect_error(rd_dataset_file_save(&d, (rd_rows){0}, "/nonexistent/a", why), RD_ERR_DATA,
                 "/nonexistent/a: no rows to write");
    expect_error(rd_dataset_file_save(&d, rd_dataset_all_rows(&d), "/nonexistent/a", why), RD_ERR_IO,
                 "No such file or directory");
}
