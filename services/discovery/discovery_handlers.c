/* discovery's mailbox: one function for each rpc. The drawing is in discovery_handlers.h. */
#include "discovery/discovery_handlers.h"
#include "discovery/discovery_page.h"
#include "discovery/discovery_replicas.h"
#include "discovery/discovery_view.h"

#include "identity/proof.h"
#include "log/log.h"
#include "loop/clock.h"
#include "service/caller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct discovery *
discovery_of(Boson__Discovery__Discovery_Service *service)
{
	return (struct discovery *)service;
}

static void
fail_problem(void *call, const struct field_problem *problem)
{
	bus_call_fail(call, BUS_INVALID, problem->code, problem->field);
}

/* The live node of this id, or answers for the caller: malformed or unknown. */
static struct registry_node *
find_node(struct discovery *discovery, const char *node_id, void *call)
{
	struct registry_node *node;
	uint8_t id[UUID_BYTES];

	if (node_id == NULL || uuid_parse(node_id, id) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "nodeId");
		return NULL;
	}
	node = registry_find(&discovery->registry, id);
	if (node == NULL && discovery_catch_up(discovery))
		node = registry_find(&discovery->registry, id);
	if (node == NULL || node->deleted) {
		bus_call_fail(call, BUS_NOT_FOUND, "node_unknown", NULL);
		return NULL;
	}
	return node;
}

static void
on_challenge(Boson__Discovery__Discovery_Service *service,
	     const Boson__Discovery__ChallengeRequest *input,
	     Boson__Common__ChallengeReply_Closure closure, void *call)
{
	struct discovery *discovery = discovery_of(service);
	Boson__Common__ChallengeReply reply = BOSON__COMMON__CHALLENGE_REPLY__INIT;
	char expires_at[CLOCK_ISO8601_BYTES];
	struct proof_challenge_text text;
	struct proof_challenge challenge;
	struct field_problem problem;
	uint8_t id[UUID_BYTES];
	struct key key;

	if (discovery_check_challenge(input, &problem) != 0) {
		fail_problem(call, &problem);
		return;
	}
	if (uuid_parse(input->node_id, id) != 0 || key_parse(input->public_key, &key) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "publicKey");
		return;
	}
	if (proof_challenge_make(discovery->fleet_secret, id, &key, input->role, clock_wall_ms(),
				 &challenge) != 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
		return;
	}
	proof_challenge_format(&challenge, &text);
	clock_format_iso8601(challenge.expires_at_ms, expires_at);
	reply.ephemeral_public_key = text.ephemeral_public;
	reply.nonce = text.nonce;
	reply.cookie = text.cookie;
	reply.expires_at = expires_at;
	closure(&reply, call);
}

static void
on_register_node(Boson__Discovery__Discovery_Service *service,
		 const Boson__Discovery__RegisterRequest *input,
		 Boson__Discovery__RegisterReply_Closure closure, void *call)
{
	struct field_problem problem;

	if (discovery_check_register(input, &problem) != 0)
		fail_problem(call, &problem);
	else
		discovery_register(discovery_of(service), input, closure, call);
}

static void
on_heartbeat(Boson__Discovery__Discovery_Service *service,
	     const Boson__Discovery__HeartbeatRequest *input,
	     Boson__Discovery__HeartbeatReply_Closure closure, void *call)
{
	struct discovery *discovery = discovery_of(service);
	struct field_problem problem;
	struct registry_node *node;

	if (discovery_check_heartbeat(input, &problem) != 0) {
		fail_problem(call, &problem);
		return;
	}
	if (!caller_is_node(input->caller, input->node_id)) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	node = find_node(discovery, input->node_id, call);
	if (node != NULL)
		discovery_hear(discovery, node, input, closure, call);
}

static void
on_get_node(Boson__Discovery__Discovery_Service *service,
	    const Boson__Discovery__GetNodeRequest *input, Boson__Discovery__Node_Closure closure,
	    void *call)
{
	const struct registry_node *node;
	struct view view;

	if (caller_role(input->caller) == BOSON__COMMON__CALLER__ROLE__ANYONE) {
		bus_call_fail(call, BUS_UNAUTHENTICATED, "token", NULL);
		return;
	}
	node = find_node(discovery_of(service), input->node_id, call);
	if (node == NULL)
		return;
	discovery_view_fill(&view, node, VIEW_PUBLIC);
	closure(&view.node, call);
	discovery_view_fini(&view);
}

static void
on_list_nodes(Boson__Discovery__Discovery_Service *service,
	      const Boson__Discovery__ListNodesRequest *input,
	      Boson__Discovery__ListNodesReply_Closure closure, void *call)
{
	Boson__Discovery__ListNodesReply reply = BOSON__DISCOVERY__LIST_NODES_REPLY__INIT;
	const struct registry *registry = &discovery_of(service)->registry;
	struct field_problem problem;
	struct page_filter filter;
	struct page page;

	if (caller_role(input->caller) == BOSON__COMMON__CALLER__ROLE__ANYONE) {
		bus_call_fail(call, BUS_UNAUTHENTICATED, "token", NULL);
		return;
	}
	if (discovery_page_filter_init(&filter, registry, input, &problem) != 0) {
		fail_problem(call, &problem);
		return;
	}
	if (discovery_page_init(&page, filter.limit) != 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
		return;
	}
	reply.next_cursor = discovery_page_list(&page, registry, &filter);
	reply.n_nodes = page.count;
	reply.nodes = page.nodes;
	reply.has_count = 1;
	reply.count = (uint32_t)page.count;
	closure(&reply, call);
	discovery_page_fini(&page);
}

static void
on_delete_node(Boson__Discovery__Discovery_Service *service,
	       const Boson__Discovery__DeleteNodeRequest *input,
	       Boson__Common__Empty_Closure closure, void *call)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	struct discovery *discovery = discovery_of(service);
	struct registry_node *node;

	if (input->node_id == NULL ||
	    (!caller_is_node(input->caller, input->node_id) && !caller_is_admin(input->caller))) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	node = find_node(discovery, input->node_id, call);
	if (node == NULL)
		return;
	if (discovery_delete(discovery, node) != 0)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
	else
		closure(&reply, call);
}

static void
on_list_enrolments(Boson__Discovery__Discovery_Service *service,
		   const Boson__Discovery__ListEnrolmentsRequest *input,
		   Boson__Discovery__ListEnrolmentsReply_Closure closure, void *call)
{
	discovery_list_enrolments(discovery_of(service), input, closure, call);
}

static void
on_decide_enrolment(Boson__Discovery__Discovery_Service *service,
		    const Boson__Discovery__DecideEnrolmentRequest *input,
		    Boson__Discovery__Enrolment_Closure closure, void *call)
{
	discovery_decide_enrolment(discovery_of(service), input, closure, call);
}

static void
on_list_revocations(Boson__Discovery__Discovery_Service *service,
		    const Boson__Discovery__ListRevocationsRequest *input,
		    Boson__Discovery__ListRevocationsReply_Closure closure, void *call)
{
	discovery_list_revocations(discovery_of(service), input, closure, call);
}

/* Over tcp a peer has a name, and only relays may announce one. */
static bool
is_relay_peer(const char *name)
{
	return strcmp(name, "local") == 0 || strncmp(name, "relay", strlen("relay")) == 0;
}

static void
on_announce_relay(Boson__Discovery__Discovery_Service *service, const Boson__Common__Relay *input,
		  Boson__Common__Empty_Closure closure, void *call)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	struct discovery *discovery = discovery_of(service);
	struct field_problem problem;
	bool changed = false;
	int error;

	if (!is_relay_peer(bus_call_peer(call))) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	if (discovery_check_relay(input, &problem) != 0) {
		fail_problem(call, &problem);
		return;
	}
	error = discovery_relays_announce(&discovery->relays, input, bus_call_peer(call),
					  clock_monotonic_ms(), &changed);
	if (error == -EEXIST) {
		/* T22: under another name than the one that has this id, and lives. */
		log_warn("relay_id_in_use", "relay=%s peer=%s", input->id, bus_call_peer(call));
		bus_call_fail(call, BUS_CONFLICT, "relay_in_use", "id");
		return;
	}
	if (error != 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "too_many_relays", 5);
		return;
	}
	discovery_relays_unsaved(&discovery->relays, input->id);
	metric_set(discovery->relay_count, (double)discovery->relays.count);
	if (changed)
		discovery_tell_relay(discovery, input, false);
	closure(&reply, call);
}

static void
on_list_relays(Boson__Discovery__Discovery_Service *service,
	       const Boson__Discovery__ListRelaysRequest *input,
	       Boson__Discovery__ListRelaysReply_Closure closure, void *call)
{
	/* Another service asks for nobody but itself. */
	if (input->caller != NULL &&
	    caller_role(input->caller) == BOSON__COMMON__CALLER__ROLE__ANYONE)
		bus_call_fail(call, BUS_UNAUTHENTICATED, "token", NULL);
	else
		discovery_list_relays(discovery_of(service), input, closure, call);
}

static void
on_snapshot(Boson__Discovery__Discovery_Service *service,
	    const Boson__Discovery__SnapshotRequest *input,
	    Boson__Discovery__SnapshotReply_Closure closure, void *call)
{
	discovery_snapshot(discovery_of(service), input, closure, call);
}

const Boson__Discovery__Discovery_Service discovery_mailbox =
	BOSON__DISCOVERY__DISCOVERY__INIT(on_);
