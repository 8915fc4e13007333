/*
 * agent_sessions: the model and its tables together: nothing is admitted, ended or expired in one
 * without the other, and the forwarder is told after the commit.
 */
#pragma once

#include "agent/agent.h"

/* Everything below is within a transaction of the store's. 0, or -EIO: the store failed, and the
 * model is as the store says. */

/* *ret_verdict says what came of it; ret_session as in admission_admit. */
int sessions_admit(struct agent *agent, const struct admission_session *asked,
		   enum admission_verdict *ret_verdict, struct admission_session *ret_session);

/* Ending one that does not exist is no error. */
int sessions_end(struct agent *agent, const uint8_t id[UUID_BYTES]);

/* Not within a transaction: begins its own when there is something to do. Ends what has expired. */
void sessions_sweep(struct agent *agent);

/* What a session still lasts. */
int64_t sessions_left_ms(const struct admission_session *session);

/* The two halves of the mailbox's batch. */
int sessions_batch_begin(void *agent);
int sessions_batch_commit(void *agent);

/* Reads the model from the tables. Within a transaction or not. */
int sessions_load(struct agent *agent);
