/*
 * forwarder_admission: sessions come and go. The relay asks (SessionOpen), the agent decides and
 * remembers (AdmitSession), the forwarder carries it out. With the agent dead, sessions that are
 * here go on, and new ones are refused at once.
 */
#include "forwarder/forwarder.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ADMIT_TIMEOUT_MS = 700, /* routing waits a second for the whole way */
};

/* A SessionOpen that the agent has not answered yet. */
struct admission {
	struct forwarder *forwarder;
	size_t slot;
	uint64_t request_id;
	char session_id[UUID_TEXT_BYTES];
	char client_key[KEY_TEXT_BYTES];
	bool is_cancelled; /* closed before it was open */
};

/* ---- carrying out ---- */

static struct exit_client
exit_client_of(const struct session *session)
{
	return (struct exit_client){ session->address4, session->address6 };
}

/* WireGuard has one peer for a key and one for an address: the newest session's. */
static bool
must_give_way(const struct session *old, const struct session *new)
{
	return strcmp(old->id, new->id) != 0 &&
	       (key_is_equal(&old->client_key, &new->client_key) ||
		(new->address4.s_addr && old->address4.s_addr == new->address4.s_addr) ||
		(!IN6_IS_ADDR_UNSPECIFIED(&new->address6) &&
		 IN6_ARE_ADDR_EQUAL(&old->address6, &new->address6)));
}

static void
clear_way(struct forwarder *forwarder, const struct session *session)
{
	const struct session *old = NULL;
	char id[UUID_TEXT_BYTES];
	while ((old = forwarder_sessions_next(forwarder->sessions, old))) {
		if (!must_give_way(old, session))
			continue;
		memcpy(id, old->id, sizeof id);
		forwarder_session_close(forwarder, id, "replaced");
		old = NULL; /* the table changed */
	}
}

static bool
is_same(const struct session *a, const struct session *b)
{
	return key_is_equal(&a->client_key, &b->client_key) &&
	       a->address4.s_addr == b->address4.s_addr &&
	       IN6_ARE_ADDR_EQUAL(&a->address6, &b->address6);
}

static int
carry(struct forwarder *forwarder, const struct session *session)
{
	const struct exit_client client = exit_client_of(session);
	struct in6_addr address4, address6;
	session_mapped_addresses(session, &address4, &address6);
	int r = flow_table_session_add(forwarder->flows, session->id, &address4, &address6);
	if (r == 0)
		r = exit_policy_client_add(forwarder->policy, &client);
	if (r == 0)
		r = forwarder_peer_set(forwarder, session);
	return r;
}

/* Takes a session into table, WireGuard, rules and flow table. Sessions with the same client key or
 * address give way. A known id: its expiry is renewed. */
static int
open_session(struct forwarder *forwarder, const struct session *session)
{
	struct session *known = forwarder_sessions_find(forwarder->sessions, session->id);
	if (known && is_same(known, session)) {
		known->ends_ms = session->ends_ms;
		return 0;
	}
	if (known)
		forwarder_session_close(forwarder, session->id, "replaced");
	clear_way(forwarder, session);
	int r = forwarder_sessions_add(forwarder->sessions, session);
	if (r < 0)
		return r;
	r = carry(forwarder, session);
	if (r < 0) {
		forwarder_session_close(forwarder, session->id, "failed");
		return r;
	}
	metric_set(forwarder->sessions_gauge,
		   (double)forwarder_sessions_count(forwarder->sessions));
	log_info("session_opened", "session=%s", session->id);
	return 0;
}

void
forwarder_session_close(struct forwarder *forwarder, const char *id, const char *reason)
{
	const struct session *session = forwarder_sessions_find(forwarder->sessions, id);
	struct flow_usage usage = { 0 };
	if (!session)
		return;
	const struct exit_client client = exit_client_of(session);
	exit_policy_client_remove(forwarder->policy, &client);
	if (forwarder->device && !forwarder_sessions_share_key(forwarder->sessions, session))
		device_peer_remove(forwarder->device, &session->client_key);
	if (forwarder->events)
		flow_events_cut(forwarder->events, id);
	if (forwarder->flows) {
		flow_table_usage(forwarder->flows, id, &usage);
		forwarder->closed_bytes_up += usage.bytes_up;
		forwarder->closed_bytes_down += usage.bytes_down;
		flow_table_session_remove(forwarder->flows, id);
	}
	if (forwarder->legs)
		forwarder_legs_session_end(forwarder->legs, id);
	log_info("session_closed", "session=%s reason=%s", id, reason);
	forwarder_sessions_remove(forwarder->sessions, id);
	metric_set(forwarder->sessions_gauge,
		   (double)forwarder_sessions_count(forwarder->sessions));
}

void
forwarder_sessions_load(struct forwarder *forwarder, const Boson__Node__SnapshotReply *reply)
{
	for (size_t i = 0; i < reply->n_sessions; i++) {
		const Boson__Link__SessionOpen *open = reply->sessions[i]->open;
		const Boson__Link__SessionOpened *opened = reply->sessions[i]->opened;
		struct session session;
		int r = !open || !opened
				? -EINVAL
				: session_parse(open->session_id, open->client_public_key,
						opened->address4, opened->address6, &session);
		if (r == 0) {
			session_fix_end(&session, opened->left_ms, clock_boottime_ms());
			clear_way(forwarder, &session);
		}
		if (r == 0)
			r = forwarder_sessions_add(forwarder->sessions, &session);
		if (r == 0) {
			const struct exit_client client = exit_client_of(&session);
			r = exit_policy_client_add(forwarder->policy, &client);
		}
		if (r < 0)
			log_warn("session_not_loaded", "error=%s", strerror(-r));
	}
	metric_set(forwarder->sessions_gauge,
		   (double)forwarder_sessions_count(forwarder->sessions));
}

/* ---- asking the agent ---- */

static void
on_nothing(const Boson__Common__Empty *reply, void *closure)
{
	(void)reply;
	(void)closure;
}

static void
tell_agent_ended(struct forwarder *forwarder, const char *id, const char *reason)
{
	Boson__Link__SessionClose close = BOSON__LINK__SESSION_CLOSE__INIT;
	close.session_id = (char *)(uintptr_t)id;
	close.reason = (char *)(uintptr_t)reason;
	boson__node__agent__end_session(bus_peer_service(forwarder->agent), &close, on_nothing,
					NULL);
}

void
forwarder_sessions_expire(struct forwarder *forwarder)
{
	const struct session *session;
	char id[UUID_TEXT_BYTES];
	while ((session = forwarder_sessions_expired(forwarder->sessions, clock_boottime_ms()))) {
		memcpy(id, session->id, sizeof id);
		tell_agent_ended(forwarder, id, "expired");
		forwarder_session_close(forwarder, id, "expired");
	}
}

static void
answer(struct forwarder *forwarder, Boson__Link__SessionOpened *opened, uint64_t request_id,
       const char *session_id)
{
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;
	opened->has_request_id = 1;
	opened->request_id = request_id;
	opened->session_id = (char *)(uintptr_t)session_id;
	opened->has_result = 1;
	control.body_case = BOSON__LINK__CONTROL__BODY_SESSION_OPENED;
	control.session_opened = opened;
	metric_add(opened->result == BOSON__LINK__SESSION_OPENED__RESULT__OK ? forwarder->admitted
									     : forwarder->refused,
		   1);
	if (forwarder->legs)
		forwarder_legs_send(forwarder->legs, &control);
}

static void
answer_error(struct forwarder *forwarder, uint64_t request_id, const char *session_id,
	     const char *reason)
{
	Boson__Link__SessionOpened opened = BOSON__LINK__SESSION_OPENED__INIT;
	opened.result = BOSON__LINK__SESSION_OPENED__RESULT__ERROR;
	opened.reason = (char *)(uintptr_t)reason;
	log_warn("session_not_opened", "session=%s reason=%s", session_id, reason);
	answer(forwarder, &opened, request_id, session_id);
}

static void
admission_free(struct admission *admission)
{
	admission->forwarder->admissions[admission->slot] = NULL;
	free(admission);
}

static int
admission_carry_out(const struct admission *admission, const Boson__Link__SessionOpened *opened)
{
	struct session session;
	int r = session_parse(admission->session_id, admission->client_key, opened->address4,
			      opened->address6, &session);
	if (r < 0)
		return r;
	session_fix_end(&session, opened->left_ms, clock_boottime_ms());
	return open_session(admission->forwarder, &session);
}

static void
on_admitted(const Boson__Link__SessionOpened *reply, void *closure)
{
	struct admission *admission = closure;
	struct forwarder *forwarder = admission->forwarder;
	uint64_t request_id = admission->request_id;
	if (!reply) {
		answer_error(forwarder, request_id, admission->session_id, "agent is away");
	} else if (reply->result != BOSON__LINK__SESSION_OPENED__RESULT__OK) {
		Boson__Link__SessionOpened refusal = *reply;
		answer(forwarder, &refusal, request_id, admission->session_id);
	} else if (admission->is_cancelled || !forwarder->is_up) {
		tell_agent_ended(forwarder, admission->session_id, "closed");
		answer_error(forwarder, request_id, admission->session_id, "closed");
	} else if (admission_carry_out(admission, reply) < 0) {
		tell_agent_ended(forwarder, admission->session_id, "failed");
		answer_error(forwarder, request_id, admission->session_id, "forwarder failed");
	} else {
		Boson__Link__SessionOpened opened = *reply;
		opened.has_left_ms = 0; /* between agent and us */
		answer(forwarder, &opened, request_id, admission->session_id);
	}
	admission_free(admission);
}

static struct admission *
admission_new(struct forwarder *forwarder, const Boson__Link__SessionOpen *open)
{
	size_t slot = 0;
	while (slot < FORWARDER_ADMISSIONS_MAX && forwarder->admissions[slot])
		slot++;
	struct admission *admission =
		slot < FORWARDER_ADMISSIONS_MAX ? calloc(1, sizeof *admission) : NULL;
	if (!admission)
		return NULL;
	admission->forwarder = forwarder;
	admission->slot = slot;
	admission->request_id = open->request_id;
	strcpy(admission->session_id, open->session_id);
	strcpy(admission->client_key, open->client_public_key);
	forwarder->admissions[slot] = admission;
	return admission;
}

static void
on_session_open(const Boson__Link__SessionOpen *open, void *arg)
{
	struct forwarder *forwarder = arg;
	uint8_t id[UUID_BYTES];
	struct key client_key;
	if (!open->session_id || uuid_parse(open->session_id, id) < 0 || !open->client_public_key ||
	    key_parse(open->client_public_key, &client_key) < 0 || !open->has_expires_at) {
		answer_error(forwarder, open->request_id, "", "malformed");
		return;
	}
	struct admission *admission = admission_new(forwarder, open);
	if (!admission) {
		answer_error(forwarder, open->request_id, open->session_id, "busy");
		return;
	}
	bus_peer_next(forwarder->agent, ADMIT_TIMEOUT_MS, NULL);
	boson__node__agent__admit_session(bus_peer_service(forwarder->agent), open, on_admitted,
					  admission);
}

static void
on_session_close(const Boson__Link__SessionClose *close, void *arg)
{
	struct forwarder *forwarder = arg;
	uint8_t id[UUID_BYTES];
	if (!close->session_id || uuid_parse(close->session_id, id) < 0)
		return;
	for (size_t i = 0; i < FORWARDER_ADMISSIONS_MAX; i++)
		if (forwarder->admissions[i] &&
		    strcmp(forwarder->admissions[i]->session_id, close->session_id) == 0)
			forwarder->admissions[i]->is_cancelled = true;
	tell_agent_ended(forwarder, close->session_id, "closed by the relay");
	forwarder_session_close(forwarder, close->session_id, "closed by the relay");
}

static void
on_channel_open(const char *session_id, void *arg)
{
	struct forwarder *forwarder = arg;
	const struct session *session = forwarder_sessions_find(forwarder->sessions, session_id);
	if (session && session->needs_handshake)
		forwarder_peers_wake(forwarder);
}

const struct forwarder_legs_events forwarder_admission_events = {
	.on_channel_open = on_channel_open,
	.on_session_open = on_session_open,
	.on_session_close = on_session_close,
};
