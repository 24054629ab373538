/* pool.c: images (C,H,W) made smaller: the largest or the mean value of each window, or the mean of each
 * whole channel. Windows that reach over the edge see what is there; without "padding" there are none
 * (PyTorch's MaxPool2d, AvgPool2d with count_include_pad, AdaptiveAvgPool2d(1) and Flatten). */
#include <stdlib.h>
#include <string.h>

#include "model/json_key.h"
#include "model/layer.h"

typedef struct pool {
    size_t C, H, W, OH, OW;
    size_t kernel[2], stride[2], padding[2];
} pool;

static const char *const pool_keys[] = {"kernel", "stride", "padding", NULL};
static const char *const no_keys[] = {NULL};

static rd_status pool_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    (void)plan;
    pool *f = rd_layer_own(l, sizeof *f, at.path, err);
    if (f == NULL)
        return RD_ERR_MEMORY;
    if (l->in.rank != 3)
        return rd_plan_misfit(l, at.path, "an image (C, H, W)", err);
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_pair(at, "kernel", 1, 1024, 0, f->kernel, err));
    f->stride[0] = f->kernel[0];
    f->stride[1] = f->kernel[1];
    if (cJSON_GetObjectItemCaseSensitive(at.json, "stride") != NULL)
        RD_TRY(rd_json_key_pair(at, "stride", 1, 1024, 1, f->stride, err));
    if (cJSON_GetObjectItemCaseSensitive(at.json, "padding") != NULL)
        RD_TRY(rd_json_key_pair(at, "padding", 0, 512, 1, f->padding, err));
    f->C = l->in.size[0];
    f->H = l->in.size[1];
    f->W = l->in.size[2];
    for (int i = 0; i < 2; i++)
        if (2 * f->padding[i] > f->kernel[i])
            return rd_fail(err, RD_ERR_CONFIG, "%s.padding: at most half of the kernel, %zu, found %zu", at.path,
                           f->kernel[i] / 2, f->padding[i]);
    if (f->H + 2 * f->padding[0] < f->kernel[0] || f->W + 2 * f->padding[1] < f->kernel[1])
        return rd_fail(err, RD_ERR_CONFIG,
                       "%s: layer '%s' has a window of (%zu, %zu), which does not fit into the image (%zu, %zu)",
                       at.path, l->name, f->kernel[0], f->kernel[1], f->H, f->W);
    f->OH = (f->H + 2 * f->padding[0] - f->kernel[0]) / f->stride[0] + 1;
    f->OW = (f->W + 2 * f->padding[1] - f->kernel[1]) / f->stride[1] + 1;
    l->out = (rd_shape){.rank = 3, .size = {f->C, f->OH, f->OW}};
    l->flops = (uint64_t)f->C * f->OH * f->OW * f->kernel[0] * f->kernel[1];
cleanup:
    return status;
}

/* The part of a window that lies in the image: [*first, *last) of so many lines (or columns). */
static void window(size_t at, size_t stride, size_t kernel, size_t padding, size_t most, size_t *first, size_t *last)
{
    size_t begin = at * stride, end = begin + kernel;
    *first = begin > padding ? begin - padding : 0;
    *last = end > padding ? end - padding : 0;
    *last = *last < most ? *last : most;
}

/* The place of the largest value of a window in its channel; the first of equal ones. */
static size_t place_of_largest(const pool *f, const float *x, size_t oy, size_t ox)
{
    size_t y0, y1, x0, x1;
    window(oy, f->stride[0], f->kernel[0], f->padding[0], f->H, &y0, &y1);
    window(ox, f->stride[1], f->kernel[1], f->padding[1], f->W, &x0, &x1);
    size_t best = y0 * f->W + x0;
    for (size_t i = y0; i < y1; i++)
        for (size_t j = x0; j < x1; j++)
            if (x[i * f->W + j] > x[best])
                best = i * f->W + j;
    return best;
}

/* Windows of 2 x 2 side by side, which nearly every network has, are worth loops of their own: a compiler
 * makes them branch-free, which is ten times as fast as looking for places. */
static bool is_halving(const pool *f)
{
    return f->kernel[0] == 2 && f->kernel[1] == 2 && f->stride[0] == 2 && f->stride[1] == 2 && f->padding[0] == 0 &&
           f->padding[1] == 0;
}

/* One line of y (OW) from two of x. */
static void halve_line(const float *restrict up, const float *restrict down, float *restrict y, size_t OW)
{
    for (size_t i = 0; i < OW; i++) {
        float a = up[2 * i], b = up[2 * i + 1], c = down[2 * i], d = down[2 * i + 1];
        float top = b > a ? b : a, low = d > c ? d : c;
        y[i] = low > top ? low : top;
    }
}

static void halve_line_back(const float *restrict up, const float *restrict down, const float *restrict dy,
                            float *restrict dup, float *restrict ddown, size_t OW)
{
    for (size_t i = 0; i < OW; i++) {
        float a = up[2 * i], b = up[2 * i + 1], c = down[2 * i], d = down[2 * i + 1];
        bool right = b > a, low_right = d > c, low = (low_right ? d : c) > (right ? b : a);
        float high_part = low ? 0.0f : dy[i], low_part = low ? dy[i] : 0.0f;
        dup[2 * i] = right ? 0.0f : high_part;
        dup[2 * i + 1] = right ? high_part : 0.0f;
        ddown[2 * i] = low_right ? 0.0f : low_part;
        ddown[2 * i + 1] = low_right ? low_part : 0.0f;
    }
}

static void max_forward(const rd_layer *l, const rd_pass *pass)
{
    const pool *f = l->own;
    float *y = pass->y;
    if (is_halving(f)) {
        for (size_t channel = 0; channel < pass->B * f->C; channel++)
            for (size_t oy = 0; oy < f->OH; oy++, y += f->OW) {
                const float *up = pass->x + (channel * f->H + 2 * oy) * f->W;
                halve_line(up, up + f->W, y, f->OW);
            }
        return;
    }
    for (size_t channel = 0; channel < pass->B * f->C; channel++) {
        const float *x = pass->x + channel * f->H * f->W;
        for (size_t oy = 0; oy < f->OH; oy++)
            for (size_t ox = 0; ox < f->OW; ox++)
                *y++ = x[place_of_largest(f, x, oy, ox)];
    }
}

static void max_backward(const rd_layer *l, const rd_pass *pass)
{
    const pool *f = l->own;
    const float *dy = pass->dy;
    if (!is_halving(f) || f->H % 2 != 0 || f->W % 2 != 0)
        memset(pass->dx, 0, pass->B * l->inputs * sizeof *pass->dx);
    if (is_halving(f)) {
        for (size_t channel = 0; channel < pass->B * f->C; channel++)
            for (size_t oy = 0; oy < f->OH; oy++, dy += f->OW) {
                size_t up = (channel * f->H + 2 * oy) * f->W, down = up + f->W;
                halve_line_back(pass->x + up, pass->x + down, dy, pass->dx + up, pass->dx + down, f->OW);
            }
        return;
    }
    for (size_t channel = 0; channel < pass->B * f->C; channel++) {
        const float *x = pass->x + channel * f->H * f->W;
        float *dx = pass->dx + channel * f->H * f->W;
        for (size_t oy = 0; oy < f->OH; oy++)
            for (size_t ox = 0; ox < f->OW; ox++)
                dx[place_of_largest(f, x, oy, ox)] += *dy++;
    }
}

static void average_forward(const rd_layer *l, const rd_pass *pass)
{
    const pool *f = l->own;
    const float share = 1.0f / (float)(f->kernel[0] * f->kernel[1]);
    float *y = pass->y;
    for (size_t channel = 0; channel < pass->B * f->C; channel++) {
        const float *x = pass->x + channel * f->H * f->W;
        for (size_t oy = 0; oy < f->OH; oy++)
            for (size_t ox = 0; ox < f->OW; ox++) {
                size_t y0, y1, x0, x1;
                float sum = 0.0f;
                window(oy, f->stride[0], f->kernel[0], f->padding[0], f->H, &y0, &y1);
                window(ox, f->stride[1], f->kernel[1], f->padding[1], f->W, &x0, &x1);
                for (size_t i = y0; i < y1; i++)
                    for (size_t j = x0; j < x1; j++)
                        sum += x[i * f->W + j];
                *y++ = sum * share;
            }
    }
}

static void average_backward(const rd_layer *l, const rd_pass *pass)
{
    const pool *f = l->own;
    const float share = 1.0f / (float)(f->kernel[0] * f->kernel[1]);
    const float *dy = pass->dy;
    memset(pass->dx, 0, pass->B * l->inputs * sizeof *pass->dx);
    for (size_t channel = 0; channel < pass->B * f->C; channel++) {
        float *dx = pass->dx + channel * f->H * f->W;
        for (size_t oy = 0; oy < f->OH; oy++)
            for (size_t ox = 0; ox < f->OW; ox++) {
                size_t y0, y1, x0, x1;
                float part = *dy++ * share;
                window(oy, f->stride[0], f->kernel[0], f->padding[0], f->H, &y0, &y1);
                window(ox, f->stride[1], f->kernel[1], f->padding[1], f->W, &x0, &x1);
                for (size_t i = y0; i < y1; i++)
                    for (size_t j = x0; j < x1; j++)
                        dx[i * f->W + j] += part;
            }
    }
}

static rd_status global_plan(rd_plan *plan, rd_layer *l, rd_json_node at, rd_error *err)
{
    (void)plan;
    if (l->in.rank != 3)
        return rd_plan_misfit(l, at.path, "an image (C, H, W)", err);
    l->out = (rd_shape){.rank = 1, .size = {l->in.size[0]}};
    l->flops = l->inputs;
    return RD_OK;
}

static void global_forward(const rd_layer *l, const rd_pass *pass)
{
    size_t pixels = l->in.size[1] * l->in.size[2];
    for (size_t channel = 0; channel < pass->B * l->outputs; channel++) {
        float sum = 0.0f;
        for (size_t i = 0; i < pixels; i++)
            sum += pass->x[channel * pixels + i];
        pass->y[channel] = sum / (float)pixels;
    }
}

static void global_backward(const rd_layer *l, const rd_pass *pass)
{
    size_t pixels = l->in.size[1] * l->in.size[2];
    for (size_t channel = 0; channel < pass->B * l->outputs; channel++)
        for (size_t i = 0; i < pixels; i++)
            pass->dx[channel * pixels + i] = pass->dy[channel] / (float)pixels;
}

const rd_layer_type rd_layer_max_pool = {.name = "max_pool",
                                         .prefix = "pool",
                                         .keys = pool_keys,
                                         .plan = pool_plan,
                                         .forward = max_forward,
                                         .backward = max_backward};
const rd_layer_type rd_layer_average_pool = {.name = "average_pool",
                                             .prefix = "pool",
                                             .keys = pool_keys,
                                             .plan = pool_plan,
                                             .forward = average_forward,
                                             .backward = average_backward};
const rd_layer_type rd_layer_global_pool = {.name = "global_average_pool",
                                            .prefix = "pool",
                                            .keys = no_keys,
                                            .plan = global_plan,
                                            .forward = global_forward,
                                            .backward = global_backward};
