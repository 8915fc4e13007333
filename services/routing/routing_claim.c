/* routing_claim: see the header. */
#include "routing/routing_claim.h"
#include "routing/routing_proof.h"

#include <errno.h>
#include <string.h>

struct claim {
	struct routing_caller caller;
	uint8_t client_id[UUID_BYTES];
	struct key key;
	bool is_proven;
};

static void
fail_memory(void *call)
{
	bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
}

/* The session to be taken up again: open, this client's and for this key, and the caller may, or
 * that cannot be told. What is wrong with it, it looks unknown. */
static const struct session *
find_resumed(const struct routing *routing, const char *session_id, const struct claim *claim,
	     int *ret_error)
{
	const struct session *session;
	uint8_t id[UUID_BYTES];

	if (uuid_parse(session_id, id) != 0)
		return NULL;
	session = sessions_find(&routing->sessions, id);
	if (session == NULL || session->record.status != SESSION_OPEN ||
	    memcmp(session->record.client_id, claim->client_id, UUID_BYTES) != 0 ||
	    !key_is_equal(&session->record.client_key, &claim->key))
		return NULL;
	*ret_error = routing_check_take_up(session, &claim->caller, claim->is_proven);
	return *ret_error == -EACCES ? NULL : session;
}

static void
resume(struct routing *routing, const Boson__Routing__RouteRequest *input,
       const struct routing_wish *wish, const struct claim *claim,
       Boson__Routing__RouteReply_Closure closure, void *call)
{
	const struct session *session;
	int error = 0;

	if (routing_follow(routing) != 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
		return;
	}
	session = find_resumed(routing, input->session_id, claim, &error);
	if (session == NULL)
		bus_call_fail(call, BUS_NOT_FOUND, "session_unknown", "sessionId");
	else if (error != 0)
		fail_memory(call);
	else
		routing_request_start(routing, input, wish, session, claim->is_proven, closure,
				      call);
}

/* Who asks again gets the session that it has, so that an answer that was lost, or a replica that
 * died, leaves nothing behind (F01). Another's gives way to a proof if it has none: the store sees
 * to that, as to other sessions of the key. */
static void
begin(struct routing *routing, const Boson__Routing__RouteRequest *input,
      const struct routing_wish *wish, const struct claim *claim,
      Boson__Routing__RouteReply_Closure closure, void *call)
{
	const struct session *session =
		sessions_find_client(&routing->sessions, claim->client_id, &claim->key);
	int error = session == NULL
			    ? 0
			    : routing_check_take_up(session, &claim->caller, claim->is_proven);

	if (error == -EACCES && claim->is_proven && !session->record.is_proven) {
		session = NULL;
		error = 0;
	}
	if (error == -EACCES)
		bus_call_fail(call, BUS_CONFLICT, "client_in_use", "clientId");
	else if (error != 0)
		fail_memory(call);
	else
		routing_request_start(routing, input, wish, session, claim->is_proven, closure,
				      call);
}

void
routing_claim_start(struct routing *routing, const Boson__Routing__RouteRequest *input,
		    const struct routing_wish *wish, Boson__Routing__RouteReply_Closure closure,
		    void *call)
{
	enum routing_proof proof = routing_proof_check(routing, input);
	struct claim claim = { .is_proven = proof == ROUTING_PROOF_GOOD };

	if (proof == ROUTING_PROOF_UNCHECKED) {
		fail_memory(call);
		return;
	}
	if (proof == ROUTING_PROOF_BAD ||
	    (proof == ROUTING_PROOF_NONE && routing->requires_proof)) {
		metric_add(routing->proofs_refused, 1);
		bus_call_fail(call, BUS_UNAUTHENTICATED, "challenge", NULL);
		return;
	}
	if (uuid_parse(input->client_id, claim.client_id) != 0 ||
	    key_parse(input->public_key, &claim.key) != 0) {
		bus_call_fail(call, BUS_INTERNAL, "ids", NULL); /* they were checked */
		return;
	}
	routing_caller_take(&claim.caller, input->caller);
	if (input->session_id != NULL)
		resume(routing, input, wish, &claim, closure, call);
	else
		begin(routing, input, wish, &claim, closure, call);
}
