/* policy.h: what this client does not let itself be asked for, whoever asks: an aggregator chooses the model and how long it
 * is trained, and may be wrong, or somebody else's by now. The limits are the client's own (--policy FILE); README.md beside
 * this file lists them. */
#ifndef RONDO_CLIENT_POLICY_H
#define RONDO_CLIENT_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "core/error.h"

#define RD_POLICY_ROUND_SECONDS 86400.0 /* without a policy training in a round ends after a day */

typedef struct rd_policy {
    const char *path;         /* for messages, not owned; NULL: none was given, and what follows is the default */
    uint64_t max_parameters;  /* of the model, frozen ones included; 0: as many as this machine has memory for */
    uint64_t max_epochs;      /* local epochs in a round, those of a personal model included; 0: no limit */
    uint64_t min_updates;     /* that a model of this run is made of; 0: no limit */
    double max_round_seconds; /* of training in one round */
} rd_policy;

/* Reads the file; path NULL: the defaults. RD_ERR_CONFIG names the key that is wrong. */
rd_status rd_policy_load(const char *path, rd_policy *out, rd_error *err) RD_MUST_CHECK;
/* RD_ERR_CONFIG: the run asks for more than the policy allows; err names the key, what was asked and what is allowed. */
rd_status rd_policy_check_run(const rd_policy *p, const rd_config *run, rd_error *err) RD_MUST_CHECK;
/* The same of its model, before memory is taken for it: so many parameters travel, and so many stay (they are frozen). */
rd_status rd_policy_check_model(const rd_policy *p, size_t travelling, size_t staying, rd_error *err) RD_MUST_CHECK;

#endif
