/*
 * relay_upgrade: the request is gathered, parsed, its ticket checked offline; then the connection
 * moves, whole, to the shard of its node. With one shard it moves the same way, to itself.
 */
#include "relay/relay_upgrade.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_attach.h"
#include "relay/relay_output.h"
#include "relay/relay_shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_USUAL_BYTES = 1024 };

int
relay_upgrade_start(struct relay_shard *shard, struct relay_leg *leg)
{
	leg->upgrade = calloc(1, sizeof(*leg->upgrade));
	if (leg->upgrade == NULL)
		return -ENOMEM;
	leg->upgrade->leg = leg;
	leg->upgrade->deadline_ms = shard->now_ms + shard->settings->handshake_ms;
	return 0;
}

void
relay_upgrade_free(struct relay_upgrade **upgrade)
{
	struct relay_upgrade *u = *upgrade;

	*upgrade = NULL;
	if (u == NULL)
		return;
	relay_places_put(u);
	free(u->bytes);
	free(u);
}

/* Takes what fits; *ret_n is how much that was. */
static int
gather(struct relay_upgrade *upgrade, const uint8_t *bytes, size_t n, size_t *ret_n)
{
	size_t wanted =
		upgrade->n + n < WS_REQUEST_MAX_BYTES ? upgrade->n + n : WS_REQUEST_MAX_BYTES + 1;

	if (wanted > upgrade->capacity) {
		size_t capacity = wanted <= REQUEST_USUAL_BYTES ? REQUEST_USUAL_BYTES
								: WS_REQUEST_MAX_BYTES + 1;
		uint8_t *larger = malloc(capacity);

		if (larger == NULL)
			return -ENOMEM;
		if (upgrade->n > 0) {
			memcpy(larger, upgrade->bytes, upgrade->n);
			key_wipe(upgrade->bytes, upgrade->n); /* there is a ticket in it */
		}
		free(upgrade->bytes);
		upgrade->bytes = larger;
		upgrade->capacity = capacity;
	}
	*ret_n = wanted - upgrade->n < n ? wanted - upgrade->n : n;
	memcpy(upgrade->bytes + upgrade->n, bytes, *ret_n);
	upgrade->n += *ret_n;
	return 0;
}

static enum relay_counter
counter_of(int status)
{
	static const struct {
		int status;
		enum relay_counter counter;
	} results[] = {
		{ 400, RELAY_UPGRADE_400 }, { 401, RELAY_UPGRADE_401 }, { 403, RELAY_UPGRADE_403 },
		{ 404, RELAY_UPGRADE_404 }, { 405, RELAY_UPGRADE_405 }, { 426, RELAY_UPGRADE_426 },
		{ 429, RELAY_UPGRADE_429 }, { 431, RELAY_UPGRADE_431 },
	};

	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].status == status)
			return results[i].counter;
	return RELAY_UPGRADE_503;
}

void
relay_upgrade_refuse(struct relay_shard *shard, struct relay_leg *leg, int status,
		     const char *reason)
{
	char answer[WS_RESPONSE_MAX_BYTES];
	size_t n = ws_handshake_refuse(answer, status);

	log_debug("upgrade_refused", "status=%d reason=\"%s\"", status, reason);
	relay_count(&shard->counters, counter_of(status), 1);
	relay_output_say(shard, leg, (const uint8_t *)answer, n);
	leg->has_answered = true;
	relay_leg_doom(shard, leg, 0, reason);
}

/* 0 or the status to refuse with. The path must name what the ticket was signed for. */
static int
check_ticket(struct relay_shard *shard, struct relay_upgrade *upgrade, const char **ret_reason)
{
	const struct relay_request *request = &upgrade->request;
	struct ticket *ticket = &upgrade->ticket;
	int r = ticket_verify(shard->verifier, request->ticket, request->ticket_n, clock_wall_ms(),
			      ticket);

	if (r == -EIO) {
		*ret_reason = "out of memory";
		return 503;
	}
	if (r < 0) {
		*ret_reason = r == -ETIME ? "ticket is not of now" : "ticket is not good";
		return 401;
	}
	if (ticket->role == TICKET_ROLE_NODE && request->is_raw) {
		*ret_reason = "a node leg needs the subprotocol";
		return 400;
	}
	*ret_reason = "ticket is for another leg";
	if (ticket->role == TICKET_ROLE_NODE)
		return memcmp(ticket->node_id, request->id, UUID_BYTES) == 0 ? 0 : 403;
	return memcmp(ticket->session_id, request->id, UUID_BYTES) == 0 ? 0 : 403;
}

/* The one move of a connection's life. */
static void
move(struct relay_shard *shard, struct relay_leg *leg)
{
	unsigned target = relay_shard_of(leg->upgrade->ticket.node_id, shard->count);

	if (target == shard->index) {
		relay_attach(shard, leg);
		return;
	}
	struct relay_message *message = relay_message_new(RELAY_ADOPT, NULL, 0);
	if (message == NULL) {
		relay_upgrade_refuse(shard, leg, 503, "out of memory");
		return;
	}
	relay_leg_leave(shard, leg);
	relay_count(&shard->counters, RELAY_MOVED, 1);
	message->leg = leg;
	relay_count_shared(&shard->all[target]->counters, RELAY_LEGS_MOVING, 1);
	if (relay_mailbox_send(&shard->all[target]->mailbox, &message) == 0)
		return;
	relay_count_shared(&shard->all[target]->counters, RELAY_LEGS_MOVING, (uint64_t)-1);
	relay_message_free(&message);
	relay_leg_free(&leg); /* a shard so far behind takes no new legs */
}

bool
relay_upgrade_on_bytes(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *bytes,
		       size_t n)
{
	struct relay_upgrade *upgrade = leg->upgrade;
	const char *reason = "request is not a leg's";
	size_t part = 0;

	if (gather(upgrade, bytes, n, &part) < 0) {
		relay_upgrade_refuse(shard, leg, 503, "out of memory");
		return false;
	}
	int status = relay_request_parse(upgrade->bytes, upgrade->n, &upgrade->scanned,
					 &upgrade->request);
	if (status == -EAGAIN)
		return false;
	if (status == 0)
		status = check_ticket(shard, upgrade, &reason);
	key_wipe(upgrade->request.ticket, sizeof(upgrade->request.ticket));
	key_wipe(upgrade->bytes, upgrade->n);
	if (status != 0) {
		relay_upgrade_refuse(shard, leg, status, reason);
		return false;
	}
	leg->is_raw = upgrade->request.is_raw;
	leg->expires_ms = shard->now_ms + upgrade->ticket.expires_at_ms - clock_wall_ms();
	upgrade->has_early_bytes = upgrade->request.consumed < upgrade->n || part < n;
	move(shard, leg);
	return true;
}
