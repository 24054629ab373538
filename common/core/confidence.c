/* confidence.c: see confidence.h. */
#include "core/confidence.h"

#include <math.h>

/* Probability between 0 and t, by Simpson's rule. */
static double half_share(double t, double degrees)
{
    enum { STEPS = 2000 };
    double log_constant = lgamma((degrees + 1) / 2) - lgamma(degrees / 2) - log(degrees * acos(-1.0)) / 2, sum = 0;
    for (int i = 0; i <= STEPS; i++) {
        double x = t * i / STEPS, weight = i == 0 || i == STEPS ? 1 : i % 2 == 1 ? 4 : 2;
        sum += weight * exp(log_constant - (degrees + 1) / 2 * log1p(x * x / degrees));
    }
    return sum * t / (3 * STEPS);
}

double rd_student_t(uint64_t degrees)
{
    double low = 0, high = 20;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (half_share(middle, (double)degrees) < 0.475)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

double rd_confidence_half_width(const double *x, size_t n, double t, double *mean)
{
    double sum = 0, squares = 0, count = (double)n;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    *mean = sum / count;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - *mean) * (x[i] - *mean);
    return n > 1 ? t * sqrt(squares / (count - 1) / count) : NAN;
}
