/* participant.c: see participant.h. */
#include "participant.h"

rd_status rd_participant_open_learner(rd_participant *p, rd_error *err)
{
    rd_status status = RD_OK;
    if (p->learner != NULL)
        return RD_OK;
    RD_TRY(rd_policy_check_run(p->policy, &p->membership.welcome.config, err));
    RD_TRY(p->type->open(&p->membership.welcome, &p->learning, &p->learner, err));
    RD_TRY(rd_policy_check_model(p->policy,
                                 p->type->tensors(p->learner, RD_TENSORS_TRAVELLING).elements,
                                 p->type->tensors(p->learner, RD_TENSORS_STAYING).elements, err));
cleanup:
    return status;
}

rd_status rd_participant_prepare(rd_participant *p, rd_error *err)
{
    rd_status status = RD_OK;
    RD_TRY(rd_participant_open_learner(p, err));
    RD_TRY(p->type->prepare(p->learner, &p->samples, err));
    RD_TRY(rd_global_model_open(p->requester, p->type->tensors(p->learner, RD_TENSORS_TRAVELLING),
                                p->type->tensors(p->learner, RD_TENSORS_STAYING),
                                &p->membership.welcome.config.strategy, &p->global, err));
    p->global.quiet = p->quiet;
    p->membership.fixed = true;
cleanup:
    return status;
}
