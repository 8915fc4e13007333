/* discovery: parts of the answers to a registration and to a heartbeat. */
#include "discovery/discovery_handlers.h"

#include "loop/clock.h"

#include <string.h>

enum { TICKET_BACKDATE_MS = 5 * 60 * 1000 }; /* for relays whose clock is behind */

void
discovery_relay_servers_fill(const struct discovery *discovery, struct discovery_relay_servers *ret)
{
	const Boson__Common__Relay *picked[DISCOVERY_RELAY_SERVERS_MAX];
	size_t n = discovery_relays_pick(&discovery->relays, discovery->relay_group, picked,
					 DISCOVERY_RELAY_SERVERS_MAX);

	ret->count = 0;
	for (size_t i = 0; i < n; i++) {
		Boson__Discovery__RegisterReply__RelayServer *server = &ret->servers[ret->count];
		char *host = ret->hosts[ret->count];
		const char *protocol;
		unsigned int port;

		if (discovery_check_split_endpoint(picked[i]->relay_endpoint, &protocol, host,
						   &port) != 0)
			continue;
		boson__discovery__register_reply__relay_server__init(server);
		server->id = picked[i]->id;
		server->host = host;
		server->has_port = 1;
		server->port = port;
		server->protocol = (char *)(uintptr_t)protocol;
		ret->pointers[ret->count++] = server;
	}
}

int
discovery_ticket_issue(const struct discovery *discovery, const uint8_t node_id[UUID_BYTES],
		       char ret_text[TICKET_TEXT_MAX_BYTES])
{
	int64_t now_ms = clock_wall_ms();
	struct ticket ticket = {
		.role = TICKET_ROLE_NODE,
		.not_before_ms = now_ms - TICKET_BACKDATE_MS,
		.expires_at_ms = now_ms + discovery->ticket_lifetime_ms,
	};

	memcpy(ticket.node_id, node_id, UUID_BYTES);
	strncpy(ticket.group, discovery->relay_group, sizeof(ticket.group) - 1);
	return ticket_sign(discovery->signer, &ticket, ret_text);
}
