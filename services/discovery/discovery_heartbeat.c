/* discovery: one heartbeat of a node that is known and is who it says: heard, and answered. */
#include "discovery/discovery_handlers.h"

#include "loop/clock.h"

/* A node can only lower itself: that it is alive is ours to say (P24). */
static enum registry_status
claimed_status(const Boson__Discovery__HeartbeatRequest *input)
{
	if (input->has_status &&
	    input->status == BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__offline)
		return REGISTRY_OFFLINE;
	if (input->has_status &&
	    input->status == BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__degraded)
		return REGISTRY_DEGRADED;
	return REGISTRY_ONLINE;
}

static uint32_t
next_heartbeat_sec(const struct discovery *discovery, const struct registry_node *node)
{
	uint32_t most =
		(uint32_t)(discovery->offline_after_ms / 1000) / DISCOVERY_HEARTBEATS_PER_LEASE;
	uint32_t asked = most;

	if (node->heartbeat_interval_sec != 0)
		asked = node->heartbeat_interval_sec;
	if (asked > most)
		asked = most;
	return asked == 0 ? 1 : asked;
}

static bool
is_due(int64_t issued_ms, int64_t after_ms, int64_t now_ms)
{
	return issued_ms == REGISTRY_NEVER || now_ms - issued_ms >= after_ms;
}

/* Hands out a fresh ticket and a token to be minted when the last ones are no longer young. */
static void
renew(struct discovery *discovery, struct registry_node *node, char *node_id,
      Boson__Discovery__HeartbeatReply *reply, char ticket[TICKET_TEXT_MAX_BYTES], int64_t now_ms)
{
	int64_t ticket_age_ms = discovery->ticket_lifetime_ms / DISCOVERY_RENEWALS_PER_LIFETIME;

	if (is_due(node->ticket_issued_ms, ticket_age_ms, now_ms) &&
	    discovery_ticket_issue(discovery, node->id, ticket) == 0) {
		reply->relay_ticket = ticket;
		node->ticket_issued_ms = now_ms;
	}
	if (is_due(node->token_issued_ms, discovery->token_renewal_ms, now_ms)) {
		reply->mint_subject = node_id;
		reply->has_tokens_since = node->tokens_since_ms != 0;
		reply->tokens_since = node->tokens_since_ms;
		node->token_issued_ms = now_ms;
	}
}

/* R77: one that was heard before, or is older. Each replica goes by what it heard itself. */
static bool
is_replay(struct registry_node *node, const Boson__Discovery__HeartbeatRequest *input)
{
	if (!input->has_sequence)
		return false;
	if (node->sequence != 0 && input->sequence <= node->sequence)
		return true;
	node->sequence = input->sequence;
	return false;
}

void
discovery_hear(struct discovery *discovery, struct registry_node *node,
	       const Boson__Discovery__HeartbeatRequest *input,
	       Boson__Discovery__HeartbeatReply_Closure closure, void *call)
{
	Boson__Discovery__HeartbeatReply reply = BOSON__DISCOVERY__HEARTBEAT_REPLY__INIT;
	int64_t now_ms = clock_monotonic_ms();
	struct discovery_relay_servers relays;
	char ticket[TICKET_TEXT_MAX_BYTES];

	if (is_replay(node, input)) {
		bus_call_fail(call, BUS_CONFLICT, "replay", "sequence");
		return;
	}
	if (registry_hear(&discovery->registry, node, claimed_status(input), input->metrics, now_ms,
			  clock_wall_ms()))
		discovery_tell_node(discovery, node);
	discovery_relay_servers_fill(discovery, &relays);
	renew(discovery, node, input->node_id, &reply, ticket, now_ms);
	reply.status = (char *)(uintptr_t) "ok";
	reply.has_next_heartbeat = 1;
	reply.next_heartbeat = next_heartbeat_sec(discovery, node);
	reply.n_relay_servers = relays.count;
	reply.relay_servers = relays.pointers;
	closure(&reply, call);
}
