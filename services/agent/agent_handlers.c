/*
 * agent_handlers: check, ask the model, reply. What a relay asked for and the forwarder passed on
 * is a stranger's: a refusal is an answer, with its reason; a failure is our own.
 */
#include "agent/agent_handlers.h"
#include "agent/agent_sessions.h"
#include "log/log.h"
#include "loop/clock.h"

#include <stdlib.h>
#include <string.h>

typedef Boson__Link__SessionOpened opened_message;
typedef Boson__Link__SessionOpened_Closure opened_closure;

/* 0, or what is wrong with it. */
static const char *
read_session_open(const Boson__Link__SessionOpen *input, struct admission_session *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!input->session_id || uuid_parse(input->session_id, ret->id) < 0)
		return "sessionId is no UUID";
	if (input->client_id && uuid_parse(input->client_id, ret->client_id) < 0)
		return "clientId is no UUID";
	if (!input->client_public_key || key_parse(input->client_public_key, &ret->client_key) < 0)
		return "clientPublicKey is no WireGuard key";
	if (!input->has_expires_at || input->expires_at <= 0)
		return "expiresAt is missing";
	ret->expires_at_ms = input->expires_at;
	return NULL;
}

static void
answer_refused(struct agent *agent, const Boson__Link__SessionOpen *input,
	       Boson__Link__SessionOpened__Result result, const char *reason,
	       opened_closure closure, void *call)
{
	opened_message reply = BOSON__LINK__SESSION_OPENED__INIT;

	metric_add(agent->refused, 1);
	log_info("session_refused", "reason=%s", reason);
	reply.has_request_id = input->has_request_id;
	reply.request_id = input->request_id;
	reply.session_id = input->session_id;
	reply.has_result = 1;
	reply.result = result;
	reply.reason = (char *)(uintptr_t)reason;
	closure(&reply, call);
}

static void
answer_admitted(struct agent *agent, const Boson__Link__SessionOpen *input,
		const struct admission_session *session, opened_closure closure, void *call)
{
	opened_message reply = BOSON__LINK__SESSION_OPENED__INIT;
	char address4[ADMISSION_ADDRESS_BYTES], address6[ADMISSION_ADDRESS_BYTES];
	char dns4[ADMISSION_ADDRESS_BYTES], dns6[ADMISSION_ADDRESS_BYTES];

	admission_address4(agent->admission, session->number, address4);
	admission_address6(agent->admission, session->number, address6);
	admission_address4(agent->admission, ADMISSION_NUMBER_NODE, dns4);
	admission_address6(agent->admission, ADMISSION_NUMBER_NODE, dns6);
	reply.has_request_id = input->has_request_id;
	reply.request_id = input->request_id;
	reply.session_id = input->session_id;
	reply.has_result = 1;
	reply.result = BOSON__LINK__SESSION_OPENED__RESULT__OK;
	reply.address4 = address4;
	reply.address6 = address6;
	reply.dns4 = dns4;
	reply.dns6 = dns6;
	reply.has_mtu = 1;
	reply.mtu = agent->mtu;
	reply.node_public_key = agent->public_text;
	reply.has_left_ms = 1;
	reply.left_ms = sessions_left_ms(session);
	closure(&reply, call);
}

static void
on_admit_session(Boson__Node__Agent_Service *service, const Boson__Link__SessionOpen *input,
		 opened_closure closure, void *call)
{
	struct agent *agent = (struct agent *)service;
	struct admission_session asked, session;
	enum admission_verdict verdict;
	const char *reason = read_session_open(input, &asked);

	if (reason) {
		answer_refused(agent, input, BOSON__LINK__SESSION_OPENED__RESULT__REFUSED, reason,
			       closure, call);
		return;
	}
	if (sessions_admit(agent, &asked, &verdict, &session) < 0) {
		bus_call_fail(call, BUS_UNAVAILABLE, "store_failed", NULL);
		return;
	}
	reason = admission_reason(verdict);
	if (reason) {
		answer_refused(agent, input,
			       verdict == ADMISSION_FULL
				       ? BOSON__LINK__SESSION_OPENED__RESULT__FULL
				       : BOSON__LINK__SESSION_OPENED__RESULT__REFUSED,
			       reason, closure, call);
		return;
	}
	metric_add(agent->admitted, 1);
	log_info("session_admitted", "session=%s number=%u renewed=%s", input->session_id,
		 session.number, verdict == ADMISSION_RENEWED ? "yes" : "no");
	answer_admitted(agent, input, &session, closure, call);
}

static void
on_end_session(Boson__Node__Agent_Service *service, const Boson__Link__SessionClose *input,
	       Boson__Common__Empty_Closure closure, void *call)
{
	struct agent *agent = (struct agent *)service;
	Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	uint8_t id[UUID_BYTES];

	if (!input->session_id || uuid_parse(input->session_id, id) < 0) {
		bus_call_fail(call, BUS_INVALID, "field", "sessionId");
		return;
	}
	if (sessions_end(agent, id) < 0) {
		bus_call_fail(call, BUS_UNAVAILABLE, "store_failed", NULL);
		return;
	}
	closure(&reply, call);
}

/* One session of a snapshot, with the text it points to. */
struct snapshot_session {
	Boson__Node__Session message;
	Boson__Link__SessionOpen open;
	Boson__Link__SessionOpened opened;
	char id[UUID_TEXT_BYTES], key[KEY_TEXT_BYTES];
	char address4[ADMISSION_ADDRESS_BYTES], address6[ADMISSION_ADDRESS_BYTES];
};

/* Only what differs from session to session: all of them have to fit one message. */
static void
fill_snapshot_session(const struct agent *agent, const struct admission_session *session,
		      struct snapshot_session *out)
{
	boson__node__session__init(&out->message);
	boson__link__session_open__init(&out->open);
	boson__link__session_opened__init(&out->opened);
	uuid_format(session->id, out->id);
	key_format(&session->client_key, out->key);
	admission_address4(agent->admission, session->number, out->address4);
	admission_address6(agent->admission, session->number, out->address6);
	out->open.session_id = out->id;
	out->open.client_public_key = out->key;
	out->open.has_expires_at = 1;
	out->open.expires_at = session->expires_at_ms;
	out->opened.has_result = 1;
	out->opened.result = BOSON__LINK__SESSION_OPENED__RESULT__OK;
	out->opened.address4 = out->address4;
	out->opened.address6 = out->address6;
	out->opened.has_left_ms = 1;
	out->opened.left_ms = sessions_left_ms(session);
	out->message.open = &out->open;
	out->message.opened = &out->opened;
}

static void
on_snapshot(Boson__Node__Agent_Service *service, const Boson__Common__Empty *input,
	    Boson__Node__SnapshotReply_Closure closure, void *call)
{
	struct agent *agent = (struct agent *)service;
	Boson__Node__SnapshotReply reply = BOSON__NODE__SNAPSHOT_REPLY__INIT;
	size_t n = admission_count(agent->admission);
	struct snapshot_session *sessions = calloc(n + 1, sizeof(*sessions));
	Boson__Node__Session *pointers[ADMISSION_SESSIONS_MAX];

	(void)input;
	if (!sessions || agent->is_stale) {
		free(sessions);
		bus_call_fail(call, BUS_UNAVAILABLE, "store_failed", NULL);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		fill_snapshot_session(agent, admission_at(agent->admission, i), &sessions[i]);
		pointers[i] = &sessions[i].message;
	}
	reply.attachment = agent->attachment;
	reply.sessions = pointers;
	reply.n_sessions = n;
	closure(&reply, call);
	free(sessions);
}

/* Mbit/s, or 0 when the counter began anew. */
static double
rate(uint64_t before, uint64_t now, int64_t elapsed_ms)
{
	return now < before ? 0 : (double)(now - before) * 8 / (double)elapsed_ms / 1000;
}

static void
on_report(Boson__Node__Agent_Service *service, const Boson__Node__ForwarderReport *input,
	  Boson__Common__Empty_Closure closure, void *call)
{
	struct agent *agent = (struct agent *)service;
	struct agent_report *last = &agent->report;
	Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	int64_t now_ms = clock_monotonic_ms();
	bool is_attached = input->leg_state && strcmp(input->leg_state, "attached") == 0;

	if (last->has_any && now_ms > last->at_ms) {
		last->mbits_up = rate(last->bytes_up, input->bytes_up, now_ms - last->at_ms);
		last->mbits_down = rate(last->bytes_down, input->bytes_down, now_ms - last->at_ms);
	}
	if (!last->has_any || is_attached != last->is_attached)
		log_info("forwarder_reported", "leg=%s error=%s",
			 input->leg_state ? input->leg_state : "",
			 input->last_error ? input->last_error : "");
	last->has_any = true;
	last->at_ms = now_ms;
	last->bytes_up = input->bytes_up;
	last->bytes_down = input->bytes_down;
	last->drops = input->drops;
	last->is_attached = is_attached;
	closure(&reply, call);
}

bool
agent_forwarder_is_silent(const struct agent *agent, int64_t now_ms)
{
	int64_t heard_ms = agent->report.has_any ? agent->report.at_ms : agent->started_ms;

	return now_ms - heard_ms > AGENT_FORWARDER_SILENT_MS;
}

const Boson__Node__Agent_Service agent_mailbox = BOSON__NODE__AGENT__INIT(on_);
