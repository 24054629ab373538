/* Functions of one float against the C library's in double. */
#include <criterion/criterion.h>
#include <math.h>

#include "model/elementwise.h"

typedef struct function {
    const char *name;
    void (*ours)(const float *x, float *y, size_t n);
    double (*exact)(double x);
    double relative, absolute; /* either is enough */
} function;

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double normal_cdf(double x)
{
    return erfc(-x / sqrt(2)) / 2;
}

#define ULP 1.19e-7

static const function functions[] = {
    {"exp", rd_exp, exp, 2 * ULP, 1e-45},
    {"sigmoid", rd_sigmoid, sigmoid, 2 * ULP, 1e-37},
    {"tanh", rd_tanh, tanh, 3 * ULP, 0},
    {"normal_cdf", rd_normal_cdf, normal_cdf, 2 * ULP, 3e-7},
};

Test(elementwise, is_as_exact_as_its_header_says)
{
    enum { N = 400001 };
    static float x[N], y[N];
    for (size_t i = 0; i < N; i++) /* -85 to 85, where exp is a normal number, and finer about zero */
        x[i] = (float)(i % 2 == 0 ? ((double)i - N / 2) / (N / 2) * 85 : ((double)i - N / 2) / (N / 2));
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        const function *f = &functions[k];
        double worst = 0;
        f->ours(x, y, N);
        for (size_t i = 0; i < N; i++) {
            double exact = f->exact((double)x[i]), error = fabs((double)y[i] - exact);
            if (error > f->absolute)
                worst = fmax(worst, error / fabs(exact));
        }
        cr_expect_leq(worst, f->relative, "%s: %g", f->name, worst);
    }
}

Test(elementwise, the_ends)
{
    const float x[] = {INFINITY, -INFINITY, NAN, 89.0f, -104.0f, 0.0f, 88.7f};
    float y[7];
    rd_exp(x, y, 7);
    cr_assert(isinf(y[0]) && y[1] == 0.0f && isnan(y[2]) && isinf(y[3]) && y[4] == 0.0f && y[5] == 1.0f &&
              isfinite(y[6]));
    rd_sigmoid(x, y, 6);
    cr_assert(y[0] == 1.0f && y[1] == 0.0f && isnan(y[2]) && y[3] == 1.0f && y[5] == 0.5f);
    rd_tanh(x, y, 6);
    cr_assert(y[0] == 1.0f && y[1] == -1.0f && isnan(y[2]) && y[3] == 1.0f && y[4] == -1.0f && y[5] == 0.0f);
    rd_normal_cdf(x, y, 6);
    cr_assert(y[0] == 1.0f && y[1] == 0.0f && isnan(y[2]) && y[3] == 1.0f && y[4] == 0.0f);
}

/* Whatever the place in a vector, the same bits: what a compiler leaves over at its end goes another way. */
Test(elementwise, does_not_depend_on_the_place)
{
    float x[37], together[37], alone;
    for (size_t i = 0; i < 37; i++)
        x[i] = (float)i * 0.37f - 6;
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        functions[k].ours(x, together, 37);
        for (size_t i = 0; i < 37; i++) {
            functions[k].ours(&x[i], &alone, 1);
            cr_assert_eq(alone, together[i], "%s", functions[k].name);
        }
    }
}
