/* IDX files written byte by byte from the format's description, plain, gzipped and broken in every way. */
#include <zlib.h>

#include "../memory_input.h"
#include "data/parse.h"
#include "data_files.h"

TestSuite(idx, .init = make_folder, .fini = remove_folder);

/* Three images of 2 x 2, and their labels. */
static const uint8_t images[] = {0, 0, 8, 3,  0,   0,   0,   3,   0, 0, 0, 2, 0, 0,
                                 0, 2, 0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6};
static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 4};

static rd_status read_bytes(const uint8_t *x, size_t x_size, const uint8_t *y, size_t y_size, rd_dataset *d,
                            rd_error *err)
{
    /* Exact copies on the heap, so that a sanitizer sees any step beyond the end. */
    uint8_t *x_copy = malloc(x_size + (x_size == 0)), *y_copy = malloc(y_size + (y_size == 0));
    memcpy(x_copy, x, x_size);
    memcpy(y_copy, y, y_size);
    rd_input x_in = memory_input("images", x_copy, x_size), y_in = memory_input("labels", y_copy, y_size);
    rd_status status = rd_idx_read(&x_in, &y_in, d, err);
    free(x_copy);
    free(y_copy);
    return status;
}

static void check_dataset(const rd_dataset *d)
{
    cr_assert_eq(d->rows, 3);
    cr_assert_eq(d->features, 4);
    cr_assert_eq(d->rank, 2);
    cr_assert_eq(d->shape[0], 2);
    cr_assert_eq(d->shape[1], 2);
    cr_assert_eq(d->classes, 8);
    cr_assert_null(d->x_f32);
    cr_assert_eq(memcmp(d->x_u8, images + 16, 12), 0);
    cr_assert_eq(d->labels[0], 7);
    cr_assert_eq(d->labels[1], 0);
    cr_assert_eq(d->labels[2], 4);
}

Test(idx, reads_bytes_as_the_format_says)
{
    rd_error err = {0};
    rd_dataset d;
    cr_assert_eq(read_bytes(images, sizeof images, labels, sizeof labels, &d, &err), RD_OK, "%s", err.message);
    check_dataset(&d);
    rd_dataset_free(&d);
}

Test(idx, gather_scales_bytes_to_one)
{
    rd_error ignored;
    rd_dataset d;
    cr_assert_eq(read_bytes(images, sizeof images, labels, sizeof labels, &d, &ignored), RD_OK);
    const uint32_t mine[] = {2, 0}, pick[] = {1, 0, 1};
    float x[12];
    int32_t y[3];
    rd_dataset_gather(&d, (rd_rows){.index = mine, .count = 2}, pick, 3, x, y, NULL);
    const float first[] = {0.0f, 0.2f, 0.4f, 0.6f}; /* 51 / 255 = 1/5 */
    for (int i = 0; i < 4; i++) {
        cr_assert_float_eq(x[i], first[i], 1e-7);
        cr_assert_float_eq(x[8 + i], first[i], 1e-7);
    }
    cr_assert_float_eq(x[4], 3.0 / 255, 1e-8);
    cr_assert_eq(y[0], 7);
    cr_assert_eq(y[1], 4);
    cr_assert_eq(y[2], 7);

    rd_dataset_gather(&d, rd_dataset_all_rows(&d), (const uint32_t[]){1}, 1, x, y, NULL);
    cr_assert_eq(x[1], 1.0f); /* 255 / 255, exactly */
    cr_assert_eq(y[0], 0);
    rd_dataset_free(&d);
}

static void put_gzipped(const char *name, const void *bytes, unsigned count, char *path)
{
    snprintf(path, 256, "%s/%s", folder, name);
    gzFile f = gzopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(gzwrite(f, bytes, count), (int)count);
    cr_assert_eq(gzclose(f), Z_OK);
}

Test(idx, plain_and_gzipped_files_are_the_same)
{
    for (int zipped = 0; zipped < 2; zipped++) {
        rd_error err = {0};
        char path[256], labels_path[256];
        rd_source source;
        rd_dataset d;
        if (zipped) {
            put_gzipped("b-images-idx3-ubyte.gz", images, sizeof images, path);
            put_gzipped("b-labels-idx1-ubyte.gz", labels, sizeof labels, labels_path);
        } else {
            put_file("a-images-idx3-ubyte", images, sizeof images, path);
            put_file("a-labels-idx1-ubyte", labels, sizeof labels, labels_path);
        }
        cr_assert_eq(rd_source_from_path(path, &source, &err), RD_OK);
        cr_assert_eq(source.format, RD_SOURCE_IDX);
        cr_assert_eq(rd_source_load(&source, NULL, NULL, false, &d, &err), RD_OK, "%s", err.message);
        check_dataset(&d);
        rd_dataset_free(&d);
    }
}

Test(idx, cut_off_gzip_is_said_to_be)
{
    uint8_t noise[20000], whole[20016] = {0, 0, 8, 3, 0, 0, 0, 200, 0, 0, 0, 10, 0, 0, 0, 10}, kept[8000];
    uint32_t state = 1;
    char path[256];
    rd_source source = {.format = RD_SOURCE_IDX};
    rd_dataset d;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
    memcpy(whole + 16, noise, sizeof noise);
    put_gzipped("whole-images.gz", whole, sizeof whole, path);
    FILE *f = fopen(path, "rb");
    cr_assert_eq(fread(kept, 1, sizeof kept, f), sizeof kept);
    fclose(f);
    put_file("cut-images.gz", kept, sizeof kept, source.path);
    const uint8_t y[208] = {0, 0, 8, 1, 0, 0, 0, 200};
    put_file("cut-labels.gz", y, sizeof y, path);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA,
                 "cut-images.gz: the gzip stream is cut off after");
}

static void spoiled(size_t at, uint8_t value, const char *message)
{
    uint8_t x[sizeof images];
    rd_dataset d;
    memcpy(x, images, sizeof images);
    x[at] = value;
    expect_error(read_bytes(x, sizeof x, labels, sizeof labels, &d, why), RD_ERR_DATA, message);
    cr_assert_null(d.x_u8);
    cr_assert_eq(d.rows, 0);
}

Test(idx, header_is_checked)
{
    spoiled(0, 1, "images: begins with 01 00 08 03; an IDX file of unsigned bytes begins with 00 00 08");
    spoiled(2, 0x0d, "images: begins with 00 00 0d 03");
    spoiled(3, 1, "images: has 1 dimensions; images have 2 to 4");
    spoiled(3, 200, "images: has 200 dimensions");
    spoiled(7, 0, "images: dimension 1 of 3 is 0");
    spoiled(7, 4, "images: its header announces 16 bytes of data, but the file has no more than 12");
    spoiled(4, 255, "images: its header announces");
    spoiled(11, 1, "images: goes on after the 6 bytes of data that its header announces");
}

Test(idx, sizes_that_overflow_are_refused_before_any_allocation)
{
    const uint8_t x[24] = {0, 0, 8, 4, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    rd_dataset d;
    expect_error(read_bytes(x, sizeof x, labels, sizeof labels, &d, why), RD_ERR_DATA, "multiply to more than 2^64");
}

Test(idx, every_truncation_is_an_error)
{
    rd_dataset d;
    for (size_t n = 0; n < sizeof images; n++)
        expect_error(read_bytes(images, n, labels, sizeof labels, &d, why), RD_ERR_DATA, "images: ");
    for (size_t n = 0; n < sizeof labels; n++)
        expect_error(read_bytes(images, sizeof images, labels, n, &d, why), RD_ERR_DATA, "labels: ");
}

Test(idx, as_many_labels_as_images)
{
    const uint8_t two[] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 0};
    rd_dataset d;
    expect_error(read_bytes(images, sizeof images, two, sizeof two, &d, why), RD_ERR_DATA,
                 "labels: 2 labels for the 3 images in images");
    expect_error(read_bytes(images, sizeof images, images, sizeof images, &d, why), RD_ERR_DATA,
                 "labels: has 3 dimensions; labels have 1");
}

Test(idx, name_of_the_labels)
{
    rd_error ignored;
    char out[64];
    cr_assert_eq(rd_idx_labels_path("images/t10k-images.idx3-ubyte", out, sizeof out, &ignored), RD_OK);
    cr_assert_str_eq(out, "images/t10k-labels.idx1-ubyte");
    cr_assert_eq(rd_idx_labels_path("images", out, sizeof out, &ignored), RD_OK);
    cr_assert_str_eq(out, "labels");
    expect_error(rd_idx_labels_path("images/train-x", out, sizeof out, why), RD_ERR_DATA, "images/train-x: ");
    expect_error(rd_idx_labels_path("train-images-idx3-ubyte", out, 8, why), RD_ERR_DATA, "longer than 7");
}

Test(idx, missing_files)
{
    rd_source source = {.format = RD_SOURCE_IDX};
    rd_dataset d;
    snprintf(source.path, sizeof source.path, "%s/no-images", folder);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA,
                 "no-images: No such file or directory");
    put_file("has-images", images, sizeof images, source.path);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA,
                 "has-labels: No such file or directory");
    snprintf(source.path, sizeof source.path, "%s", folder);
    expect_error(rd_source_load(&source, NULL, NULL, false, &d, why), RD_ERR_DATA, "is not a regular file");
}

/* The published split: 60,000 images, 6,000 of each of 10 classes; the first is an ankle boot (9). */
Test(idx, fashion_mnist_where_it_is_installed)
{
    const char *path = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz";
    if (access(path, R_OK) != 0)
        cr_skip_test("the package dataset-fashion-mnist is not installed");
    rd_error err = {0};
    rd_source source;
    rd_dataset d;
    size_t count[10] = {0};
    cr_assert_eq(rd_source_from_path(path, &source, &err), RD_OK);
    cr_assert_eq(rd_source_load(&source, NULL, NULL, false, &d, &err), RD_OK, "%s", err.message);
    cr_assert_eq(d.rows, 60000);
    cr_assert_eq(d.features, 784);
    cr_assert_eq(d.classes, 10);
    cr_assert_eq(d.labels[0], 9);
    for (size_t i = 0; i < d.rows; i++)
        count[d.labels[i]]++;
    for (int c = 0; c < 10; c++)
        cr_assert_eq(count[c], 6000);
    rd_dataset_free(&d);
}
