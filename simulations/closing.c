/* closing.c: see sim.h. The end of a round, whatever rounds are like: average, evaluate, commit, tell. */
#include <math.h>
#include <stdio.h>

#include "core/signals.h"
#include "ranks.h"
#include "run/record_line.h"
#include "sim.h"

static void print_round(simulator *s, const rd_round_record *record, const rd_participation_record *parts, size_t count)
{
    char line[1024];
    if (s->options->quiet)
        return;
    rd_record_line(record, s->config->rounds, line, sizeof line);
    rd_record_add_limited(record, parts, count, line, sizeof line);
    rd_record_add_backoff(&s->config->cohort, record, parts, count, line, sizeof line);
    rd_progress_clear(&s->progress);
    printf("%s\n", line);
    for (size_t i = 0, named = 0; i < count && named < 3; i++)
        if (parts[i].reason[0] != '\0' && ++named)
            printf("  %s failed: %s\n", parts[i].client, parts[i].reason);
    fflush(stdout);
}

/* How many samples with a trigger the model takes for the attackers' class. */
static rd_status measure_backdoor(simulator *s, uint64_t round, double *out, rd_error *err)
{
    rd_evaluation sums = {0};
    *out = NAN;
    if (s->stamped.rows == 0 || !rd_run_evaluates(s->run, round))
        return RD_OK;
    rd_status status = rd_evaluate(s->workers[0].trainer, rd_run_parameters(s->run), rd_dataset_all(&s->stamped), 0,
                                   s->stamped.rows, &sums, err);
    *out = (double)sums.correct / (double)s->stamped.rows;
    return status;
}

bool sim_told_to_stop(simulator *s)
{
    bool stop = rd_rank() == 0 && rd_signals_arrived(s->signals, 0);
    rd_ranks_broadcast(&stop, sizeof stop, 0);
    return stop;
}

rd_status sim_close(simulator *s, const rd_action *action, const rd_participation_record *parts, rd_error *err)
{
    rd_status status = RD_OK;
    double started = rd_clock_seconds();
    rd_round_record record = {.selected = action->cohort_size,
                              .left_out = rd_rounds_left_out(s->rounds),
                              .early = rd_rounds_asked_early(s->rounds),
                              .clock = s->system != NULL ? s->clock : NAN};
    for (size_t i = 0; i < action->cohort_size; i++) {
        record.counted += parts[i].status == RD_PART_COUNTED;
        record.late += parts[i].status == RD_PART_LATE;
        record.failed += parts[i].status == RD_PART_FAILED;
    }
    if (s->keep != NULL) /* the commit that follows waits for the disk, too: store.h */
        RD_TRY(rd_keep_sync(s->keep, err));
    RD_TRY(sim_unite(s, err));
    RD_TRY(rd_run_average(s->run, action->round, action->aggregate, s->dealt.partition.clients, &record, err));
    if (!record.aggregated)
        rd_run_name_outliers(&record, parts, action->cohort_size);
    if (record.aggregated) {
        RD_TRY(rd_run_prune(s->run, action->round, err));
        RD_TRY(rd_run_publish(s->run, action->round, err));
    }
    s->averaging += rd_clock_seconds() - started;
    record.seconds = rd_clock_seconds() - s->opened_at;
    bool over = false;
    if (rd_rank() == 0) {
        started = rd_clock_seconds();
        RD_TRY(measure_backdoor(s, action->round, &record.attack_success, err));
        RD_TRY(rd_run_commit(s->run, &record, parts, action->cohort_size, err));
        over = rd_run_is_over(s->run);
        s->committing += rd_clock_seconds() - started;
    } else {
        rd_run_follow(s->run, &record);
    }
    rd_ranks_broadcast(&over, sizeof over, 0);
    RD_TRY(rd_run_prepare(s->run, action->round + 1, err));
    rd_rounds_committed(s->rounds, action->round, over);
    print_round(s, &record, parts, action->cohort_size);
cleanup:
    return status;
}
