/* policy.c: see policy.h. */
#include "policy.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/fields.h"
#include "core/file.h"
#include "format/foreign.h"

#define MAX_POLICY_BYTES (64u << 10)
#define MEGABYTE UINT64_C(1000000)
#define COPIES 4 /* of what travels a client has in memory, tests/system/test_memory.py */

static rd_status read_limits(const cJSON *object, rd_policy *p, rd_error *err)
{
    char whose[PATH_MAX];
    (void)snprintf(whose, sizeof whose, "--policy %s", p->path);
    rd_fields f = {.object = object, .whose = whose, .path = "", .err = err};
    rd_fields_count(&f, "max_parameters", 1, UINT64_C(1) << 40, &p->max_parameters);
    rd_fields_count(&f, "max_epochs", 1, 1000000, &p->max_epochs);
    rd_fields_count(&f, "min_updates", 1, UINT64_C(1) << 31, &p->min_updates);
    rd_fields_number(&f, "max_round_seconds", 0.0, 1e9, true, &p->max_round_seconds);
    return rd_fields_finish(&f);
}

rd_status rd_policy_load(const char *path, rd_policy *out, rd_error *err)
{
    char *json = NULL;
    size_t size;
    cJSON *root = NULL;
    rd_foreign_fault fault;
    rd_status status = RD_OK;
    *out = (rd_policy){.path = path, .max_round_seconds = RD_POLICY_ROUND_SECONDS};
    if (path == NULL)
        return RD_OK;
    if (rd_file_read(path, MAX_POLICY_BYTES, &json, &size, err) != RD_OK)
        return rd_fail_context(err, RD_ERR_CONFIG, "--policy");
    root = rd_foreign_json(json, size, &fault);
    if (root == NULL)
        RD_THROW(RD_ERR_CONFIG, "--policy %s: line %zu, column %zu: %s", path, fault.line, fault.column, fault.what);
    if (!cJSON_IsObject(root))
        RD_THROW(RD_ERR_CONFIG, "--policy %s: expected a JSON object", path);
    RD_TRY(read_limits(root, out, err));
cleanup:
    cJSON_Delete(root);
    free(json);
    return status;
}

rd_status rd_policy_check_run(const rd_policy *p, const rd_config *run, rd_error *err)
{
    const bool ditto = run->personalisation.method == RD_PERSONAL_DITTO;
    const uint64_t epochs = (uint64_t)run->training.epochs + (ditto ? run->personalisation.epochs : 0);
    const rd_cohort_config *cohort = &run->cohort;
    const uint64_t updates = rd_cohort_is_asynchronous(cohort) ? cohort->buffer_size : cohort->min_updates;
    if (p->max_epochs > 0 && epochs > p->max_epochs)
        return rd_fail(err, RD_ERR_CONFIG,
                       "--policy %s: max_epochs: the aggregator asks for %" PRIu64 " epochs a round, allowed are %" PRIu64,
                       p->path, epochs, p->max_epochs);
    if (updates < p->min_updates)
        return rd_fail(err, RD_ERR_CONFIG,
                       "--policy %s: min_updates: in this run %" PRIu64 " update%s may make a model, allowed are %" PRIu64
                       " and more",
                       p->path, updates, updates == 1 ? "" : "s", p->min_updates);
    return RD_OK;
}

rd_status rd_policy_check_model(const rd_policy *p, size_t travelling, size_t staying, rd_error *err)
{
    const uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t needed = (COPIES * (uint64_t)travelling + staying) * sizeof(float);
    const size_t parameters = travelling + staying;
    if (p->max_parameters > 0 && parameters > p->max_parameters)
        return rd_fail(err, RD_ERR_CONFIG,
                       "--policy %s: max_parameters: the aggregator's model has %zu parameters, allowed are %" PRIu64,
                       p->path, parameters, p->max_parameters);
    if (p->max_parameters == 0 && needed > memory)
        return rd_fail(err, RD_ERR_CONFIG,
                       "the aggregator's model has %zu parameters, which take about %" PRIu64
                       " MB to train, and this machine has %" PRIu64
                       " MB (--policy with max_parameters allows it all the same)",
                       parameters, needed / MEGABYTE, memory / MEGABYTE);
    return RD_OK;
}
