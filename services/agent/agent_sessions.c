/*
 * agent_sessions: the model changes first, so that the next request of the same batch sees it; when
 * the write, its savepoint or the commit fails, the model is read anew from the tables.
 */
#include "agent/agent_sessions.h"
#include "agent/agent_store.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CLOSE_TIMEOUT_MS = 5 * 1000 };

/* A session that the forwarder is to let go once the commit is through. */
struct closing {
	struct agent *agent;
	char session_id[UUID_TEXT_BYTES];
	const char *reason; /* static */
};

static struct admission_clock
now(void)
{
	return (struct admission_clock){ clock_wall_ms(), clock_boottime_ms() };
}

int64_t
sessions_left_ms(const struct admission_session *session)
{
	return admission_left_ms(session, clock_boottime_ms());
}

int
sessions_load(struct agent *agent)
{
	const struct admission_clock clock = now();
	int r;

	admission_clear(agent->admission);
	r = agent_store_load_sessions(agent->store, agent->admission, &clock);
	agent->is_stale = r < 0;
	metric_set(agent->sessions, (double)admission_count(agent->admission));
	return r;
}

int
sessions_batch_begin(void *arg)
{
	struct agent *agent = arg;
	int r = store_begin(agent->store);

	if (r == 0 && agent->is_stale)
		r = sessions_load(agent);
	return r;
}

int
sessions_batch_commit(void *arg)
{
	struct agent *agent = arg;
	int r = store_commit(agent->store);

	if (r < 0)
		agent->is_stale = true;
	metric_set(agent->sessions, (double)admission_count(agent->admission));
	return r;
}

static void
on_closed(const Boson__Common__Empty *reply, void *closure_data)
{
	/* A forwarder that is down asks for a snapshot when it starts, and then it is gone. */
	(void)reply;
	(void)closure_data;
}

static void
close_now(void *arg)
{
	struct closing *closing = arg;
	struct agent *agent = closing->agent;
	Boson__Link__SessionClose message = BOSON__LINK__SESSION_CLOSE__INIT;

	message.session_id = closing->session_id;
	message.reason = (char *)(uintptr_t)closing->reason;
	log_info("session_ended", "session=%s reason=%s", closing->session_id, closing->reason);
	bus_peer_next(agent->forwarder, CLOSE_TIMEOUT_MS, NULL);
	boson__node__forwarder__close_session(bus_peer_service(agent->forwarder), &message,
					      on_closed, NULL);
	free(closing);
}

static int
close_after_commit(struct agent *agent, const struct admission_session *session, const char *reason)
{
	struct closing *closing = calloc(1, sizeof(*closing));

	if (!closing)
		return -ENOMEM;
	closing->agent = agent;
	closing->reason = reason;
	uuid_format(session->id, closing->session_id);
	if (store_after_commit(agent->store, close_now, free, closing) < 0) {
		free(closing);
		return -ENOMEM;
	}
	return 0;
}

static int
write_admitted(struct agent *agent, const struct admission_session *session,
	       const struct admission_session *replaced)
{
	char address4[ADMISSION_ADDRESS_BYTES], address6[ADMISSION_ADDRESS_BYTES];
	int r = 0;

	if (replaced->number != 0) {
		r = agent_store_remove_session(agent->store, replaced->id);
		if (r == 0)
			r = close_after_commit(agent, replaced,
					       "replaced by a newer session of the same key");
	}
	admission_address4(agent->admission, session->number, address4);
	admission_address6(agent->admission, session->number, address6);
	if (r == 0)
		r = agent_store_put_session(agent->store, session, address4, address6);
	return r;
}

static int
write_ended(struct agent *agent, const struct admission_session *session, const char *reason)
{
	int r = agent_store_remove_session(agent->store, session->id);

	if (r == 0 && reason)
		r = close_after_commit(agent, session, reason);
	return r;
}

/* After a write that failed: undone in the tables, and then in the model. */
static int
take_back(struct agent *agent)
{
	store_savepoint_rollback(agent->store);
	if (sessions_load(agent) < 0)
		log_error("sessions_not_loaded", "reason=%s", "the store failed");
	return -EIO;
}

int
sessions_admit(struct agent *agent, const struct admission_session *asked,
	       enum admission_verdict *ret_verdict, struct admission_session *ret_session)
{
	const struct admission_clock clock = now();
	struct admission_session replaced;

	if (agent->is_stale || store_savepoint(agent->store) < 0)
		return -EIO;
	*ret_verdict = admission_admit(agent->admission, asked, &clock, ret_session, &replaced);
	if (!admission_reason(*ret_verdict) && write_admitted(agent, ret_session, &replaced) < 0)
		return take_back(agent);
	return store_savepoint_release(agent->store) < 0 ? take_back(agent) : 0;
}

int
sessions_end(struct agent *agent, const uint8_t id[UUID_BYTES])
{
	struct admission_session ended;

	if (agent->is_stale || store_savepoint(agent->store) < 0)
		return -EIO;
	/* Who ends it is the forwarder: it need not be told. */
	if (admission_end(agent->admission, id, &ended) && write_ended(agent, &ended, NULL) < 0)
		return take_back(agent);
	return store_savepoint_release(agent->store) < 0 ? take_back(agent) : 0;
}

void
sessions_sweep(struct agent *agent)
{
	int64_t now_ms = clock_boottime_ms();
	struct admission_session ended;
	bool any = false;
	int r = 0;

	if (agent->is_stale && sessions_load(agent) < 0)
		return;
	while (r == 0 && admission_expire(agent->admission, now_ms, &ended)) {
		if (!any)
			r = store_begin(agent->store);
		any = true;
		if (r == 0)
			r = write_ended(agent, &ended, "expired");
	}
	if (any && r == 0)
		r = sessions_batch_commit(agent);
	if (r < 0) {
		store_rollback(agent->store);
		agent->is_stale = true;
	}
}
