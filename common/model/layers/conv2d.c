/* conv2d.c: the two-dimensional convolution, laid out as PyTorch's Conv2d: images (C,H,W), weight (O,
 * C/groups, kh, kw), bias (O).
 *
 * An image is unrolled along x only: row (c, kx) of the unrolled image holds channel c shifted by kx, for
 * every line of the padded image. A line offset ky of the kernel is then nothing but an offset into each row,
 * so that a convolution is kh products of (O, C kw) by (C kw, OH OW), each on the same unrolled image. That
 * writes and reads kh times less memory than unrolling both ways, and what comes back (the image's gradient)
 * is kh times less to fold up. With a stride in y the lines of an offset are not evenly spaced and are
 * unrolled for each ky. */
#include <stdlib.h>
#include <string.h>

#include "model/blas.h"
#include "model/json_key.h"
#include "model/layer.h"

enum { WEIGHT, BIAS };

typedef struct conv {
    size_t C, H, W, O, OH, OW;
    size_t kernel[2], stride[2], padding[2]; /* y, x */
    size_t groups, c, o;                     /* c = C / groups, o = O / groups */
    size_t lines;                            /* of the unrolled image: all padded ones, or OH for each ky */
    bool bias;
} conv;

static const char *const conv_keys[] = {"channels", "kernel", "stride", "padding", "groups", "bias", NULL};

static rd_status read_keys(conv *f, rd_layer *l, rd_json_node at, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_whole(at, "channels", 1, 65536, &f->O, err));
    RD_TRY(rd_json_key_pair(at, "kernel", 1, 1024, 0, f->kernel, err));
    RD_TRY(rd_json_key_pair(at, "stride", 1, 1024, 1, f->stride, err));
    const cJSON *padding = cJSON_GetObjectItemCaseSensitive(at.json, "padding");
    if (padding != NULL)
        RD_TRY(rd_json_key_pair(at, "padding", 0, 1024, 1, f->padding, err));
    f->groups = 1;
    if (cJSON_GetObjectItemCaseSensitive(at.json, "groups") != NULL)
        RD_TRY(rd_json_key_whole(at, "groups", 1, 65536, &f->groups, err));
    RD_TRY(rd_json_key_bool(at, "bias", true, &f->bias, err));
    if (l->in.rank != 3)
        RD_TRY(rd_plan_misfit(l, at.path, "an image (C, H, W)", err));
cleanup:
    return status;
}

static rd_status check_shape(conv *f, const rd_layer *l, const char *path, rd_error *err)
{
    f->C = l->in.size[0];
    f->H = l->in.size[1];
    f->W = l->in.size[2];
    if (f->H + 2 * f->padding[0] < f->kernel[0] || f->W + 2 * f->padding[1] < f->kernel[1])
        return rd_fail(err, RD_ERR_CONFIG,
                       "%s: layer '%s' has a kernel of (%zu, %zu), which does not fit into the image (%zu, "
                       "%zu) with padding (%zu, %zu)",
                       path, l->name, f->kernel[0], f->kernel[1], f->H, f->W, f->padding[0], f->padding[1]);
    if (f->C % f->groups != 0 || f->O % f->groups != 0)
        return rd_fail(err, RD_ERR_CONFIG, "%s.groups: %zu channels in and %zu out cannot both be cut into %zu groups",
                       path, f->C, f->O, f->groups);
    f->OH = (f->H + 2 * f->padding[0] - f->kernel[0]) / f->stride[0] + 1;
    f->OW = (f->W + 2 * f->padding[1] - f->kernel[1]) / f->stride[1] + 1;
    f->c = f->C / f->groups;
    f->o = f->O / f->groups;
    f->lines = f->stride[0] == 1 ? f->H + 2 * f->padding[0] : f->OH * f->kernel[0];
    return RD_OK;
}

static size_t unrolled_size(const conv *f)
{
    return f->c * f->kernel[1] * f->lines * f->OW;
}

static size_t weight_count(const conv *f)
{
    return f->O * f->c * f->kernel[0] * f->kernel[1];
}

static rd_status conv_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    conv *f = rd_layer_own(l, sizeof *f, at.path, err);
    if (f == NULL)
        return RD_ERR_MEMORY;
    rd_status status = RD_OK;
    RD_TRY(read_keys(f, l, at, err));
    RD_TRY(check_shape(f, l, at.path, err));
    l->out = (rd_shape){.rank = 3, .size = {f->O, f->OH, f->OW}};
    l->flops = 2 * (uint64_t)weight_count(f) * f->OH * f->OW;
    l->scratch = 2 * unrolled_size(f) + 2 * weight_count(f);
    RD_TRY(rd_plan_tensor(plan, l, "weight", 4, (const size_t[]){f->O, f->c, f->kernel[0], f->kernel[1]}, err));
    if (f->bias)
        RD_TRY(rd_plan_tensor(plan, l, "bias", 1, (const size_t[]){f->O}, err));
cleanup:
    return status;
}

static void conv_init(const rd_layer *l, uint64_t seed, float *parameters)
{
    const conv *f = l->own;
    size_t window = f->kernel[0] * f->kernel[1];
    rd_init_he_normal(l->tensors[WEIGHT], f->c * window, seed, parameters);
    if (f->bias)
        rd_init_constant(l->tensors[BIAS], 0.0f, parameters);
}

/* ---- unrolling ---- */

/* Which output columns [*first, *last) see the image at kernel column kx; the others see padding. */
static void visible(const conv *f, size_t kx, size_t *first, size_t *last)
{
    size_t stride = f->stride[1], pad = f->padding[1];
    *first = kx >= pad ? 0 : (pad - kx + stride - 1) / stride;
    *last = f->W + pad <= kx ? 0 : (f->W + pad - kx - 1) / stride + 1;
    *last = *last < f->OW ? *last : f->OW;
    *first = *first < *last ? *first : *last;
}

/* The image's line that line `line` of the unrolled image is made of; SIZE_MAX: padding. */
static size_t source_line(const conv *f, size_t line)
{
    size_t y = f->stride[0] == 1 ? line : line % f->OH * f->stride[0] + line / f->OH;
    return y >= f->padding[0] && y - f->padding[0] < f->H ? y - f->padding[0] : SIZE_MAX;
}

/* x (c,H,W) -> u (c kw, lines OW) */
static void unroll(const conv *f, const float *x, float *u)
{
    for (size_t channel = 0; channel < f->c; channel++)
        for (size_t kx = 0; kx < f->kernel[1]; kx++) {
            size_t first, last;
            visible(f, kx, &first, &last);
            for (size_t line = 0; line < f->lines; line++, u += f->OW) {
                size_t y = source_line(f, line);
                if (y == SIZE_MAX) {
                    memset(u, 0, f->OW * sizeof *u);
                    continue;
                }
                const float *from = x + (channel * f->H + y) * f->W;
                memset(u, 0, first * sizeof *u);
                if (f->stride[1] == 1)
                    memcpy(u + first, from + first + kx - f->padding[1], (last - first) * sizeof *u);
                else
                    for (size_t i = first; i < last; i++)
                        u[i] = from[i * f->stride[1] + kx - f->padding[1]];
                memset(u + last, 0, (f->OW - last) * sizeof *u);
            }
        }
}

/* du (c kw, lines OW) -> dx (c,H,W) */
static void fold(const conv *f, const float *du, float *dx)
{
    memset(dx, 0, f->c * f->H * f->W * sizeof *dx);
    for (size_t channel = 0; channel < f->c; channel++)
        for (size_t kx = 0; kx < f->kernel[1]; kx++) {
            size_t first, last;
            visible(f, kx, &first, &last);
            for (size_t line = 0; line < f->lines; line++, du += f->OW) {
                size_t y = source_line(f, line);
                if (y == SIZE_MAX)
                    continue;
                float *to = dx + (channel * f->H + y) * f->W;
                for (size_t i = first; i < last; i++)
                    to[i * f->stride[1] + kx - f->padding[1]] += du[i];
            }
        }
}

/* Weight (O, c, kh, kw) -> (kh, O, c kw): a matrix for each line of the kernel; or back. */
static void reorder(const conv *f, const float *from, float *to, bool back)
{
    size_t kw = f->kernel[1], width = f->c * kw;
    for (size_t o = 0; o < f->O; o++)
        for (size_t channel = 0; channel < f->c; channel++)
            for (size_t ky = 0; ky < f->kernel[0]; ky++) {
                size_t plain = ((o * f->c + channel) * f->kernel[0] + ky) * kw;
                size_t by_line = (ky * f->O + o) * width + channel * kw;
                memcpy(to + (back ? plain : by_line), from + (back ? by_line : plain), kw * sizeof *to);
            }
}

/* Where line ky of the kernel finds its part of each row of the unrolled image. */
static size_t offset_of(const conv *f, size_t ky)
{
    return (f->stride[0] == 1 ? ky : ky * f->OH) * f->OW;
}

/* ---- the passes ---- */

static void conv_forward(const rd_layer *l, const rd_pass *pass)
{
    const conv *f = l->own;
    float *u = pass->scratch, *by_line = pass->scratch + 2 * unrolled_size(f);
    int K = (int)(f->c * f->kernel[1]), N = (int)(f->OH * f->OW), row = (int)(f->lines * f->OW);
    reorder(f, rd_layer_read(l, pass, WEIGHT), by_line, false);
    for (size_t b = 0; b < pass->B; b++)
        for (size_t g = 0; g < f->groups; g++) {
            float *y = pass->y + b * l->outputs + g * f->o * f->OH * f->OW;
            for (size_t o = 0; o < f->o; o++) {
                float bias = f->bias ? rd_layer_read(l, pass, BIAS)[g * f->o + o] : 0.0f;
                for (int i = 0; i < N; i++)
                    y[o * (size_t)N + i] = bias;
            }
            unroll(f, pass->x + b * l->inputs + g * f->c * f->H * f->W, u);
            for (size_t ky = 0; ky < f->kernel[0]; ky++)
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)f->o, N, K, 1.0f,
                            by_line + (ky * f->O + g * f->o) * (size_t)K, K, u + offset_of(f, ky), row, 1.0f, y, N);
        }
}

/* For one sample and group: gradient of the weights into dW (kh, O, c kw), of the image into dx unless NULL.
 */
static void backward_one(const conv *f, const float *x, const float *dy, const float *W, float *dW, float *dx,
                         float *scratch)
{
    float *u = scratch, *du = scratch + unrolled_size(f);
    int K = (int)(f->c * f->kernel[1]), N = (int)(f->OH * f->OW), row = (int)(f->lines * f->OW);
    if (dW != NULL)
        unroll(f, x, u);
    if (dx != NULL)
        memset(du, 0, unrolled_size(f) * sizeof *du);
    for (size_t ky = 0; ky < f->kernel[0]; ky++) {
        size_t line = ky * f->O * (size_t)K;
        if (dW != NULL)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)f->o, K, N, 1.0f, dy, N, u + offset_of(f, ky),
                        row, 1.0f, dW + line, K);
        if (dx != NULL)
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, K, N, (int)f->o, 1.0f, W + line, K, dy, N, 1.0f,
                        du + offset_of(f, ky), row);
    }
    if (dx != NULL)
        fold(f, du, dx);
}

static void conv_backward(const rd_layer *l, const rd_pass *pass)
{
    const conv *f = l->own;
    const size_t weights = weight_count(f), pixels = f->OH * f->OW, K = f->c * f->kernel[1];
    float *W = pass->scratch + 2 * unrolled_size(f), *dW = W + weights;
    float *into = rd_layer_into(l, pass, WEIGHT), *into_b = f->bias ? rd_layer_into(l, pass, BIAS) : NULL;
    reorder(f, rd_layer_read(l, pass, WEIGHT), W, false);
    memset(dW, 0, weights * sizeof *dW);
    if (into_b != NULL)
        rd_layer_scale(into_b, f->O, pass->scale);
    for (size_t b = 0; b < pass->B; b++)
        for (size_t g = 0; g < f->groups; g++) {
            size_t image = b * l->inputs + g * f->c * f->H * f->W, out = b * l->outputs + g * f->o * pixels;
            backward_one(f, pass->x + image, pass->dy + out, W + g * f->o * K, into != NULL ? dW + g * f->o * K : NULL,
                         pass->dx != NULL ? pass->dx + image : NULL, pass->scratch);
        }
    for (size_t b = 0; b < pass->B && into_b != NULL; b++)
        for (size_t o = 0; o < f->O; o++) {
            const float *dy = pass->dy + b * l->outputs + o * pixels;
            float sum = 0.0f;
            for (size_t i = 0; i < pixels; i++)
                sum += dy[i];
            into_b[o] += pass->rate * sum;
        }
    if (into == NULL)
        return;
    reorder(f, dW, W, true); /* the weights themselves are no longer needed */
    rd_layer_scale(into, weights, pass->scale);
    for (size_t i = 0; i < weights; i++)
        into[i] += pass->rate * W[i];
}

const rd_layer_type rd_layer_conv2d = {
    .name = "conv2d",
    .prefix = "conv",
    .keys = conv_keys,
    .plan = conv_plan,
    .init = conv_init,
    .forward = conv_forward,
    .backward = conv_backward,
};
