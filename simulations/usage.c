/* usage.c: see usage.h. */
#include "usage.h"

#include <stdarg.h>
#include <stdio.h>

#include "run/claims.h"
#include "train/continual.h"
#include "train/local_round.h"

static size_t rows_without_task(const rd_continual *c, const rd_dataset *data, const rd_partition *p)
{
    size_t count = 0;
    for (size_t i = 0; p->start != NULL && i < p->start[p->clients]; i++)
        count += rd_continual_task_of(c, data->labels[p->rows[i]]) == c->task_count;
    return count;
}

sim_usage sim_usage_of(const rd_config *c, const rd_dataset *data, const rd_partition *partition)
{
    sim_usage u = {.read = data->rows,
                   .groups = data->group_count,
                   .clients = partition->clients,
                   .grouped = c->data.partition.scheme == RD_PARTITION_GROUP,
                   .drawn = c->data.partition.scheme == RD_PARTITION_SAMPLE};
    for (size_t i = 0; i < partition->clients; i++) {
        size_t rows = rd_partition_count(partition, i), held = rd_holdout_rows(c->evaluation.clients.holdout, rows);
        u.dealt += rows;
        u.held += held;
        u.most = rows > u.most ? rows : u.most;
        u.clients_without_holdout += held == 0;
    }
    if (c->continual.task_count > 0 && data->labels != NULL)
        u.no_task = rows_without_task(&c->continual, data, partition);
    return u;
}

static void add(char *text, size_t size, size_t *at, const char *format, ...) __attribute__((format(printf, 4, 5)));
static void add(char *text, size_t size, size_t *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int written = *at < size ? vsnprintf(text + *at, size - *at, format, arguments) : 0;
    va_end(arguments);
    *at += written > 0 ? (size_t)written : 0;
}

static const char *is_or_are(size_t count)
{
    return count == 1 ? "is" : "are";
}

void sim_usage_line(const sim_usage *u, bool training, char *text, size_t size)
{
    size_t at = 0, left = u->drawn ? 0 : u->read - u->dealt;
    add(text, size, &at, "%zu row%s", u->read, u->read == 1 ? "" : "s");
    if (u->drawn)
        add(text, size, &at, ", of which each client has drawn %zu", u->dealt / u->clients);
    if (u->grouped && u->clients < u->groups)
        add(text, size, &at, "; %zu of %zu groups %s clients, so %zu row%s not used", u->clients, u->groups,
            is_or_are(u->clients), left, left == 1 ? " is" : "s are");
    else if (left > 0)
        add(text, size, &at, "; %zu %s not used", left, is_or_are(left));
    if (!training)
        return;
    if (u->held > 0)
        add(text, size, &at, "; %zu %s held out%s", u->held, is_or_are(u->held), u->drawn ? " in all" : "");
    if (u->held > 0 && u->clients_without_holdout > 0)
        add(text, size, &at, " (none of %zu client%s with too few)", u->clients_without_holdout,
            u->clients_without_holdout == 1 ? "" : "s");
    if (u->no_task > 0)
        add(text, size, &at, "; %zu %s of classes in no task of continual.tasks", u->no_task, is_or_are(u->no_task));
    else if (!u->drawn)
        add(text, size, &at, "; %zu %s trained on", u->dealt - u->held, is_or_are(u->dealt - u->held));
}

rd_status sim_usage_check(const rd_config *c, const sim_usage *u, rd_error *err)
{
    /* The client with the most rows, or one like it, could not join an aggregator either. */
    if (rd_claims_check_join(c, u->most, err) != RD_OK)
        return rd_fail_context(err, RD_ERR_CONFIG, "the largest of the %zu clients", u->clients);
    if (c->evaluation.clients.holdout == 0.0 || u->held > 0)
        return RD_OK;
    return rd_fail(err, RD_ERR_CONFIG,
                   "evaluation.holdout: %g holds nothing out: the largest of the %zu clients has %zu row%s, and each "
                   "keeps at least one to train on",
                   c->evaluation.clients.holdout, u->clients, u->most, u->most == 1 ? "" : "s");
}
