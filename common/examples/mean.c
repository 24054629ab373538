/* mean.c: the mean of two clients' parameters, weighted by their samples, as Rondo's aggregator computes it.
 *
 *     gcc mean.c $(pkg-config --cflags --libs rondo) */
#include <rondo/rondo.h>
#include <stdio.h>

int main(void)
{
    const float alice[] = {0.5f, 1.0f}, bob[] = {2.0f, -1.0f};
    double mean[2];
    rd_weighted_mean *sum = NULL;
    rd_error err;
    if (rd_weighted_mean_create(2, &sum, &err) != RD_OK || rd_weighted_mean_add(sum, alice, 1, &err) != RD_OK ||
        rd_weighted_mean_add(sum, bob, 2, &err) != RD_OK || rd_weighted_mean_read(sum, mean, &err) != RD_OK) {
        fprintf(stderr, "mean: %s\n", err.message);
        rd_weighted_mean_free(sum);
        return 1;
    }
    printf("%g %g\n", mean[0], mean[1]);
    rd_weighted_mean_free(sum);
    return 0;
}
