/* data_check.c: do the data fit the model? Asked once, before the first batch, so that no pass has to. */
#include "train/local_round.h"

static rd_status check_labels(const rd_model *m, const rd_dataset *d, const char *whose, rd_error *err)
{
    size_t classes = rd_model_output_size(m);
    for (size_t i = 0; i < d->rows; i++)
        if (d->labels[i] < 0 || (size_t)d->labels[i] >= classes)
            return rd_fail(
                err, RD_ERR_DATA,
                "%s: sample %zu (the first is 0) has class %d, but the model's %zu outputs stand for "
                "classes 0 to %zu",
                whose, i, (int)d->labels[i], classes, classes - 1);
    return RD_OK;
}

rd_status rd_data_check(const rd_model *m, const rd_dataset *d, const char *whose, rd_error *err)
{
    if (d->rows == 0)
        return rd_fail(err, RD_ERR_DATA, "%s: holds no samples", whose);
    if (d->features != rd_model_input_size(m))
        return rd_fail(err, RD_ERR_DATA, "%s: a sample has %zu features, but the model's input is %zu", whose,
                       d->features, rd_model_input_size(m));
    if (rd_model_loss(m) == RD_LOSS_SOFTMAX_CROSS_ENTROPY) {
        if (d->labels == NULL)
            return rd_fail(err, RD_ERR_DATA,
                           "%s: holds real targets (regression), but the model's loss softmax_cross_entropy "
                           "needs classes",
                           whose);
        return check_labels(m, d, whose, err);
    }
    if (d->targets == NULL)
        return rd_fail(err, RD_ERR_DATA,
                       "%s: holds classes, but the model's loss mse needs real targets (regression)", whose);
    if (d->target_count != rd_model_output_size(m))
        return rd_fail(err, RD_ERR_DATA, "%s: a sample has %zu targets, but the model's output is %zu", whose,
                       d->target_count, rd_model_output_size(m));
    return RD_OK;
}
