/* herd_fleet: see the header. */
#include "herd_fleet.h"

#include "loop/clock.h"
#include "relay/relay_shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICKET_MS = 24 * 3600 * 1000, BACKDATE_MS = 60 * 1000 };

void
herd_fleet_relays(struct herd_fleet *fleet, char *text)
{
	for (char *part = strtok(text, ","); part != NULL; part = strtok(NULL, ",")) {
		unsigned i = fleet->owner.relay_count, port;
		int pid;

		if (i == HERD_RELAYS_MAX || sscanf(part, "%u:%d", &port, &pid) != 2) {
			fprintf(stderr, "relays: %s\n", part);
			exit(64);
		}
		fleet->owner.ports[i] = (uint16_t)port;
		fleet->pids[i] = pid;
		fleet->owner.relay_count++;
	}
}

void
herd_fleet_signer(struct herd_fleet *fleet, enum ticket_role role, char *text)
{
	char *comma = strchr(text, ',');
	struct ticket_signer **ret =
		role == TICKET_ROLE_NODE ? &fleet->node_signer : &fleet->session_signer;

	if (comma != NULL)
		*comma = '\0';
	if (comma == NULL || ticket_signer_open(text, comma + 1, role, ret) < 0) {
		fprintf(stderr, "signer: %s\n", text);
		exit(66);
	}
}

void
herd_fleet_shard(struct herd_fleet *fleet, const char *text)
{
	if (sscanf(text, "%u/%u", &fleet->shard, &fleet->shard_count) != 2 ||
	    fleet->shard >= fleet->shard_count) {
		fprintf(stderr, "shard: %s\n", text);
		exit(64);
	}
}

void
herd_fleet_new_node(const struct herd_fleet *fleet, uint8_t ret_id[UUID_BYTES])
{
	do
		herd_fleet_new_id(ret_id);
	while (fleet->shard_count > 0 &&
	       relay_shard_of(ret_id, fleet->shard_count) != fleet->shard);
}

bool
herd_fleet_is_whole(const struct herd_fleet *fleet)
{
	return fleet->owner.relay_count > 0 && fleet->node_signer != NULL &&
	       fleet->session_signer != NULL;
}

void
herd_fleet_grant(const struct herd_fleet *fleet, struct herd_leg *leg,
		 const uint8_t node_id[UUID_BYTES], const uint8_t *session_id)
{
	struct ticket ticket = { .role = session_id != NULL ? TICKET_ROLE_SESSION
							    : TICKET_ROLE_NODE,
				 .group = "default",
				 .not_before_ms = clock_wall_ms() - BACKDATE_MS,
				 .expires_at_ms = clock_wall_ms() + TICKET_MS };

	memcpy(ticket.node_id, node_id, UUID_BYTES);
	if (session_id != NULL)
		memcpy(ticket.session_id, session_id, UUID_BYTES);
	uuid_format(session_id != NULL ? session_id : node_id, leg->id);
	if (ticket_sign(session_id != NULL ? fleet->session_signer : fleet->node_signer, &ticket,
			leg->ticket) < 0) {
		fprintf(stderr, "cannot sign\n");
		exit(1);
	}
}

void
herd_fleet_new_id(uint8_t ret_id[UUID_BYTES])
{
	char text[UUID_TEXT_BYTES];

	if (uuid_generate_text(text) < 0 || uuid_parse(text, ret_id) < 0) {
		fprintf(stderr, "no randomness\n");
		exit(71);
	}
}
