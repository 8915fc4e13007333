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
unlink_session(struct relay_flows *flows, struct relay_session *session)
{
	if (session->older != NULL)
		session->older->newer = session->newer;
	else
		flows->oldest = session->newer;
	if (session->newer != NULL)
		session->newer->older = session->older;
	else
		flows->newest = session->older;
	session->older = session->newer = NULL;
}

static void
link_newest(struct relay_flows *flows, struct relay_session *session)
{
	session->older = flows->newest;
	if (flows->newest != NULL)
		flows->newest->newer = session;
	else
		flows->oldest = session;
	flows->newest = session;
}

static void
touch(struct relay_flows *flows, struct relay_session *session)
{
	unlink_session(flows, session);
	link_newest(flows, session);
}

static void
forget(struct relay_flows *flows, struct relay_session *session)
{
	set_report(flows, session, NULL);
	unlink_session(flows, session);
	idtable_remove(&flows->sessions, session);
	free(session);
}

void
relay_flows_fini(struct relay_flows *flows)
{
	while (flows->oldest != NULL)
		forget(flows, flows->oldest);
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
			forget(flows, flows->oldest);
		session = calloc(1, sizeof(*session));
		if (session == NULL)
			return NULL;
		memcpy(session->id, session_id, UUID_BYTES);
		idtable_add(&flows->sessions, session);
		link_newest(flows, session);
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
	while (flows->flow_count > RELAY_FLOWS_MAX && flows->oldest != session)
		forget(flows, flows->oldest);
	return session;
}
