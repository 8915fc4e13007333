/*
 * relay_flows: a table and a list in order of last news. A report is kept as it was unpacked.
 */
#include "relay/relay_flows.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int
relay_flows_init(struct relay_flows *flows)
{
	memset(flows, 0, sizeof(*flows));
	TAILQ_INIT(&flows->by_news);
	return idtable_init(&flows->sessions, offsetof(struct relay_session, by_id),
			    offsetof(struct relay_session, id), UUID_BYTES);
}

static void
set_report(struct relay_flows *flows, struct relay_session *session,
	   Boson__Link__FlowReport__Session *report)
{
	if (session->report != NULL) {
		flows->flow_count -= session->report->n_flows;
		protobuf_c_message_free_unpacked(&session->report->base, NULL);
	}
	session->report = report;
	if (report != NULL)
		flows->flow_count += report->n_flows;
}

static void
touch(struct relay_flows *flows, struct relay_session *session)
{
	TAILQ_REMOVE(&flows->by_news, session, by_news);
	TAILQ_INSERT_TAIL(&flows->by_news, session, by_news);
}

static void
forget(struct relay_flows *flows, struct relay_session *session)
{
	set_report(flows, session, NULL);
	TAILQ_REMOVE(&flows->by_news, session, by_news);
	idtable_remove(&flows->sessions, session);
	free(session);
}

void
relay_flows_fini(struct relay_flows *flows)
{
	while (!TAILQ_EMPTY(&flows->by_news))
		forget(flows, TAILQ_FIRST(&flows->by_news));
	idtable_fini(&flows->sessions);
}

struct relay_session *
relay_flows_find(const struct relay_flows *flows, const uint8_t session_id[UUID_BYTES])
{
	return idtable_find(&flows->sessions, session_id);
}

struct relay_session *
relay_flows_bind(struct relay_flows *flows, const uint8_t session_id[UUID_BYTES],
		 const uint8_t node_id[UUID_BYTES])
{
	struct relay_session *session = relay_flows_find(flows, session_id);

	if (session == NULL) {
		if (flows->sessions.count >= RELAY_SESSIONS_MAX)
			forget(flows, TAILQ_FIRST(&flows->by_news));
		session = calloc(1, sizeof(*session));
		if (session == NULL)
			return NULL;
		memcpy(session->id, session_id, UUID_BYTES);
		idtable_add(&flows->sessions, session);
		TAILQ_INSERT_TAIL(&flows->by_news, session, by_news);
	} else if (memcmp(session->node_id, node_id, UUID_BYTES) != 0) {
		set_report(flows, session, NULL); /* another node's figures start anew */
		session->carried = (struct relay_carried){ 0 };
	}
	memcpy(session->node_id, node_id, UUID_BYTES);
	touch(flows, session);
	return session;
}

struct relay_session *
relay_flows_report(struct relay_flows *flows, const uint8_t node_id[UUID_BYTES],
		   Boson__Link__FlowReport__Session **report, int64_t wall_now_ms)
{
	uint8_t id[UUID_BYTES];
	struct relay_session *session;

	if ((*report)->session_id == NULL || uuid_parse((*report)->session_id, id) < 0 ||
	    (*report)->n_flows > RELAY_SESSION_FLOWS_MAX)
		return NULL;
	session = relay_flows_find(flows, id);
	if (session == NULL || memcmp(session->node_id, node_id, UUID_BYTES) != 0)
		return NULL;
	set_report(flows, session, *report);
	*report = NULL;
	session->reported_at_ms = wall_now_ms;
	touch(flows, session);
	while (flows->flow_count > RELAY_FLOWS_MAX && TAILQ_FIRST(&flows->by_news) != session)
		forget(flows, TAILQ_FIRST(&flows->by_news));
	return session;
}
