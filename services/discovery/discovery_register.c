/*
 * discovery: one registration. The proof comes before anything that depends on what we know, so
 * that a stranger learns nothing from the answer: wrong key, unknown node and stale cookie look
 * alike (T01, P01).
 */
#include "discovery/discovery_handlers.h"
#include "discovery/discovery_store.h"
#include "discovery/discovery_view.h"

#include "identity/proof.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	BODY_HASH_BYTES = 32,
	NONCE_KEY_BYTES = 2 * PROOF_NONCE_BYTES + 1,
	NUMBER_CHANCE_BITS = 20,
};

/* A registration between its write and its commit. */
struct pending {
	struct discovery *discovery;
	uint8_t id[UUID_BYTES];
	struct key key;
	Boson__Discovery__Node *facts;
	bool has_vitals;
	Boson__Discovery__NodeMetrics vitals;
	Boson__Common__Bandwidth vitals_bandwidth;
	int64_t wall_ms;
};

static void
refuse(struct discovery *discovery, void *call, enum bus_status status, const char *code,
       const char *field)
{
	metric_add(discovery->refused, 1);
	bus_call_fail(call, status, code, field);
}

static void
pending_free(struct pending *pending)
{
	if (pending->facts != NULL)
		boson__discovery__node__free_unpacked(pending->facts, NULL);
	free(pending);
}

static void
registration_dropped(void *arg)
{
	pending_free(arg);
}

static void
registration_committed(void *arg)
{
	struct pending *pending = arg;
	struct discovery *discovery = pending->discovery;
	int64_t now_ms = clock_monotonic_ms();
	struct registry_node *node;
	int error = registry_put(&discovery->registry, pending->id, &pending->key, pending->facts,
				 pending->wall_ms, &node);

	pending->facts = NULL;
	if (error != 0) {
		/* It is on disk, so the next start has it; until then its heartbeats say 404. */
		log_error("node_not_indexed", "error=%d", error);
		pending_free(pending);
		return;
	}
	node->ticket_issued_ms = now_ms;
	node->token_issued_ms = now_ms;
	(void)registry_hear(&discovery->registry, node, REGISTRY_ONLINE,
			    pending->has_vitals ? &pending->vitals : NULL, now_ms,
			    pending->wall_ms);
	metric_add(discovery->registered, 1);
	discovery_tell_node(discovery, node);
	pending_free(pending);
}

static struct pending *
pending_new(struct discovery *discovery, const Boson__Discovery__RegisterRequest *request,
	    const uint8_t id[UUID_BYTES], const struct key *key, const uint8_t *facts, size_t n)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (pending == NULL)
		return NULL;
	pending->discovery = discovery;
	memcpy(pending->id, id, UUID_BYTES);
	pending->key = *key;
	pending->wall_ms = clock_wall_ms();
	if (request->metrics != NULL) {
		pending->has_vitals = true;
		pending->vitals = *request->metrics;
		if (request->metrics->bandwidth != NULL) {
			pending->vitals_bandwidth = *request->metrics->bandwidth;
			pending->vitals.bandwidth = &pending->vitals_bandwidth;
		}
	}
	pending->facts = boson__discovery__node__unpack(NULL, n, facts);
	if (pending->facts == NULL) {
		pending_free(pending);
		return NULL;
	}
	return pending;
}

/* Of a new row, later than all we know of. Not the next in line: a process that was killed may have
 * left a row to the database server that is not there yet, and replicas do not ask each other. */
static int64_t
next_number(struct discovery *discovery)
{
	uint32_t chance = 0;
	int64_t number;

	(void)!getrandom(&chance, sizeof(chance), 0);
	number = clock_wall_ms() << NUMBER_CHANCE_BITS | (chance >> (32 - NUMBER_CHANCE_BITS));
	if (number < discovery->next_number)
		number = discovery->next_number;
	discovery->next_number = number + 1;
	return number;
}

/* In a savepoint of its own: what fails takes no other registration with it. 0, -EEXIST, -EPERM,
 * -EIO or -ENOMEM. */
static int
write_registration(struct discovery *discovery, struct pending *pending, const uint8_t *facts,
		   size_t n)
{
	int error = store_savepoint(discovery->store);

	if (error != 0) {
		pending_free(pending);
		return -EIO;
	}
	error = discovery_store_put(discovery->store, next_number(discovery), pending->id,
				    &pending->key, facts, n, pending->wall_ms);
	if (error == 0)
		error = store_after_commit(discovery->store, registration_committed,
					   registration_dropped, pending);
	if (error != 0) {
		store_savepoint_rollback(discovery->store);
		pending_free(pending);
		return error;
	}
	return store_savepoint_release(discovery->store);
}

static void
answer(struct discovery *discovery, const Boson__Discovery__RegisterRequest *request,
       const char *ticket, bool created, Boson__Discovery__RegisterReply_Closure closure,
       void *call)
{
	Boson__Discovery__RegisterReply reply = BOSON__DISCOVERY__REGISTER_REPLY__INIT;
	Boson__Discovery__RegisterReply__StunServer stun[DISCOVERY_STUN_SERVERS_MAX];
	Boson__Discovery__RegisterReply__StunServer *stun_pointers[DISCOVERY_STUN_SERVERS_MAX];
	struct discovery_relay_servers relays;

	discovery_relay_servers_fill(discovery, &relays);
	for (size_t i = 0; i < discovery->stun_count; i++) {
		boson__discovery__register_reply__stun_server__init(&stun[i]);
		stun[i].host = discovery->stun[i].host;
		stun[i].has_port = 1;
		stun[i].port = discovery->stun[i].port;
		stun_pointers[i] = &stun[i];
	}
	reply.node_id = request->node_id;
	reply.status = (char *)(uintptr_t) "registered";
	reply.n_relay_servers = relays.count;
	reply.relay_servers = relays.pointers;
	reply.n_stun_servers = discovery->stun_count;
	reply.stun_servers = stun_pointers;
	reply.relay_ticket = (char *)(uintptr_t)ticket;
	reply.has_created = 1;
	reply.created = created;
	reply.mint_subject = request->node_id;
	closure(&reply, call);
}

/* As cache_first. Our own memory counts too: what Redis forgets (FLUSHALL, a failover) is no second
 * chance here. A cache that cannot say lets nobody through. */
static int
nonce_first(struct discovery *discovery, const char *key)
{
	int64_t now_ms = clock_monotonic_ms();
	int first = 1;

	if (discovery->shared_nonces != NULL)
		first = cache_first(discovery->shared_nonces, key, PROOF_REMEMBER_MS, now_ms);
	return first == 1 ? cache_first(discovery->nonces, key, PROOF_REMEMBER_MS, now_ms) : first;
}

/* 0 when the proof holds and was never seen, else answers and returns -EACCES. */
static int
check_proof(struct discovery *discovery, const Boson__Discovery__RegisterRequest *request,
	    const uint8_t id[UUID_BYTES], const struct key *key, void *call)
{
	char nonce_key[NONCE_KEY_BYTES];
	uint8_t nonce[PROOF_NONCE_BYTES];
	int first;

	if (request->proof == NULL || !request->has_body_sha256 ||
	    request->body_sha256.len != BODY_HASH_BYTES ||
	    proof_verify(discovery->fleet_secret, request->proof, id, key, "node",
			 request->body_sha256.data, clock_wall_ms(), nonce) != 0) {
		refuse(discovery, call, BUS_UNAUTHENTICATED, "challenge", NULL);
		return -EACCES;
	}
	for (size_t i = 0; i < PROOF_NONCE_BYTES; i++)
		(void)snprintf(nonce_key + 2 * i, 3, "%02x", nonce[i]);
	first = nonce_first(discovery, nonce_key);
	if (first < 0)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "cache_failed", 1);
	else if (first == 0)
		refuse(discovery, call, BUS_UNAUTHENTICATED, "challenge", NULL);
	return first > 0 ? 0 : -EACCES;
}

static bool
has_enrolment_key(const Boson__Common__Caller *caller)
{
	return caller != NULL && caller->has_role &&
	       ((caller->role == BOSON__COMMON__CALLER__ROLE__NODE && caller->subject != NULL &&
		 strcmp(caller->subject, "enrol") == 0) ||
		caller->role == BOSON__COMMON__CALLER__ROLE__ADMIN);
}

/* 0 when this id and key may go together, else answers and returns -EACCES. */
static int
check_binding(struct discovery *discovery, const Boson__Discovery__RegisterRequest *request,
	      const uint8_t id[UUID_BYTES], const struct key *key, bool *ret_created, void *call)
{
	switch (registry_binding(&discovery->registry, id, key)) {
	case REGISTRY_BOUND:
		*ret_created = false;
		return 0;
	case REGISTRY_ID_TAKEN:
		refuse(discovery, call, BUS_CONFLICT, "identity_in_use", "nodeId");
		return -EACCES;
	case REGISTRY_KEY_TAKEN:
		refuse(discovery, call, BUS_CONFLICT, "key_in_use", "publicKey");
		return -EACCES;
	case REGISTRY_FREE:
	case REGISTRY_BOUND_DELETED:
		break;
	}
	*ret_created = true;
	if (!discovery->enrolment_needs_key || has_enrolment_key(request->caller))
		return 0;
	refuse(discovery, call, BUS_UNAUTHENTICATED, "enrolment", NULL);
	return -EACCES;
}

static void
answer_failure(struct discovery *discovery, int error, void *call)
{
	if (error == -EPERM)
		refuse(discovery, call, BUS_CONFLICT, "identity_in_use", "nodeId");
	else if (error == -EEXIST)
		refuse(discovery, call, BUS_CONFLICT, "key_in_use", "publicKey");
	else
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
}

void
discovery_register(struct discovery *discovery, const Boson__Discovery__RegisterRequest *request,
		   Boson__Discovery__RegisterReply_Closure closure, void *call)
{
	char ticket[TICKET_TEXT_MAX_BYTES];
	struct pending *pending = NULL;
	uint8_t id[UUID_BYTES];
	struct key key;
	uint8_t *facts = NULL;
	size_t n = 0;
	bool created = false;
	int error;

	/* Checked already; parsed again for its value. */
	if (uuid_parse(request->node_id, id) != 0 || key_parse(request->public_key, &key) != 0 ||
	    check_proof(discovery, request, id, &key, call) != 0 ||
	    check_binding(discovery, request, id, &key, &created, call) != 0)
		return;
	error = discovery_facts_pack(request, &facts, &n);
	if (error == 0) {
		pending = pending_new(discovery, request, id, &key, facts, n);
		error = pending == NULL ? -ENOMEM : 0;
	}
	if (error == 0)
		error = discovery_ticket_issue(discovery, id, ticket);
	if (error != 0 && pending != NULL)
		pending_free(pending);
	if (error == 0)
		error = write_registration(discovery, pending, facts, n);
	free(facts);
	if (error != 0)
		answer_failure(discovery, error, call);
	else
		answer(discovery, request, ticket, created, closure, call);
}
