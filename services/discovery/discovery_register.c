/*
 * discovery: one registration, proven already or about to be (discovery_proof): may this id and
 * this key go together, and if so, write it, tell it, answer it.
 */
#include "discovery/discovery_enrolment_store.h"
#include "discovery/discovery_handlers.h"
#include "discovery/discovery_replicas.h"
#include "discovery/discovery_view.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { NUMBER_CHANCE_BITS = 20 };

/* What a proven registration would do. */
struct intent {
	bool created;	  /* the node is not known, or was deleted */
	bool is_rotation; /* from old_key */
	struct key old_key;
	int64_t tokens_since_ms; /* 0: none are void */
};

/* A registration between its write and its commit. */
struct pending {
	struct discovery *discovery;
	uint8_t id[UUID_BYTES];
	char id_text[UUID_TEXT_BYTES];
	struct key key, old_key;
	bool is_rotation; /* from old_key to key */
	int64_t tokens_since_ms;
	bool waited; /* it has a row among the enrolments */
	Boson__Discovery__Node *facts;
	bool has_vitals;
	Boson__Discovery__NodeMetrics vitals;
	Boson__Common__Bandwidth vitals_bandwidth;
	int64_t wall_ms;
	struct discovery_stamp stamp;
};

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

/* The old key is no longer this node's. */
static int
take_rotation(struct discovery *discovery, const struct pending *pending)
{
	struct registry_node *node = registry_find(&discovery->registry, pending->id);
	int error =
		node != NULL ? registry_rekey(&discovery->registry, node, &pending->key) : -ENOENT;

	if (error != 0)
		return error;
	node->tokens_since_ms = pending->tokens_since_ms;
	log_info("key_rotated", "node=%s", pending->id_text);
	discovery_tell_revoked(discovery, node);
	return 0;
}

static void
registration_committed(void *arg)
{
	struct pending *pending = arg;
	struct discovery *discovery = pending->discovery;
	int64_t now_ms = clock_monotonic_ms();
	struct registry_node *node;
	int error = pending->is_rotation ? take_rotation(discovery, pending) : 0;

	if (error == 0) {
		error = registry_put(&discovery->registry, pending->id, &pending->key,
				     pending->facts, pending->wall_ms, &node);
		pending->facts = NULL;
	}
	if (error != 0) {
		/* It is on disk, so the next start has it; until then its heartbeats say 404. */
		log_error("node_not_indexed", "error=%d", error);
		pending_free(pending);
		return;
	}
	node->change = pending->stamp.change;
	node->sequence = 0;
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
	uuid_format(id, pending->id_text);
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
	int error = discovery_stamp(discovery, &pending->stamp);

	if (error == 0)
		error = store_savepoint(discovery->store);
	if (error != 0) {
		pending_free(pending);
		return -EIO;
	}
	if (pending->is_rotation)
		error = discovery_store_rekey(discovery->store, pending->id, &pending->old_key,
					      &pending->key, pending->tokens_since_ms);
	if (error == 0)
		error = discovery_store_put(discovery->store, next_number(discovery), pending->id,
					    &pending->key, facts, n, pending->wall_ms,
					    &pending->stamp);
	if (error == 0 && pending->waited)
		error = enrolment_remove(discovery->store, pending->id_text);
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
       const char *ticket, const struct intent *intent,
       Boson__Discovery__RegisterReply_Closure closure, void *call)
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
	reply.created = intent->created;
	reply.has_tokens_since = intent->tokens_since_ms != 0;
	reply.tokens_since = intent->tokens_since_ms;
	reply.mint_subject = request->node_id;
	closure(&reply, call);
}

/* An id that has another key: the node's own proof by that key makes this a change of keys. */
static int
check_rotation(struct discovery *discovery, const struct registry_node *node, const struct key *key,
	       bool by_old, struct intent *ret, void *call)
{
	const char *field = NULL;

	if (!by_old)
		field = "nodeId";
	else if (registry_find_key(&discovery->registry, key) != NULL)
		field = "publicKey";
	if (field != NULL) {
		discovery_refuse(discovery, call, BUS_CONFLICT,
				 by_old ? "key_in_use" : "identity_in_use", field);
		return -EACCES;
	}
	ret->is_rotation = true;
	ret->old_key = node->public_key;
	ret->tokens_since_ms = discovery_revocation_time(clock_wall_ms());
	ret->created = node->deleted;
	return 0;
}

/* 0 when this id and key may go together, else answers and returns -EACCES. */
static int
check_binding(struct discovery *discovery, const Boson__Discovery__RegisterRequest *request,
	      const uint8_t id[UUID_BYTES], const struct key *key, bool by_old, struct intent *ret,
	      void *call)
{
	const struct registry_node *node = registry_find(&discovery->registry, id);

	if (node == NULL && discovery_catch_up(discovery))
		node = registry_find(&discovery->registry, id);
	*ret = (struct intent){ .tokens_since_ms = node != NULL ? node->tokens_since_ms : 0 };
	switch (registry_binding(&discovery->registry, id, key)) {
	case REGISTRY_BOUND:
		return 0;
	case REGISTRY_ID_TAKEN:
		if (check_rotation(discovery, node, key, by_old, ret, call) != 0)
			return -EACCES;
		break;
	case REGISTRY_KEY_TAKEN:
		discovery_refuse(discovery, call, BUS_CONFLICT, "key_in_use", "publicKey");
		return -EACCES;
	case REGISTRY_FREE:
	case REGISTRY_BOUND_DELETED:
		ret->created = true;
		break;
	}
	return ret->created ? discovery_enrolment_admit(discovery, request, call) : 0;
}

static void
answer_failure(struct discovery *discovery, int error, void *call)
{
	if (error == -EPERM)
		discovery_refuse(discovery, call, BUS_CONFLICT, "identity_in_use", "nodeId");
	else if (error == -EEXIST)
		discovery_refuse(discovery, call, BUS_CONFLICT, "key_in_use", "publicKey");
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
	struct intent intent;
	bool by_old = false;
	int error;

	/* Checked already; parsed again for its value. */
	if (uuid_parse(request->node_id, id) != 0 || key_parse(request->public_key, &key) != 0 ||
	    discovery_proof_check(discovery, request, id, &key, &by_old, call) != 0 ||
	    check_binding(discovery, request, id, &key, by_old, &intent, call) != 0)
		return;
	error = discovery_facts_pack(request, &facts, &n);
	if (error == 0) {
		pending = pending_new(discovery, request, id, &key, facts, n);
		error = pending == NULL ? -ENOMEM : 0;
	}
	if (error == 0) {
		pending->is_rotation = intent.is_rotation;
		pending->old_key = intent.old_key;
		pending->tokens_since_ms = intent.tokens_since_ms;
		pending->waited = intent.created && discovery->policy == POLICY_APPROVAL;
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
		answer(discovery, request, ticket, &intent, closure, call);
}
