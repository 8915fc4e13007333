/*
 * route_rig: discovery and routing as processes, one relay's mailbox in the test, nodes enrolled
 * for real.
 *
 *	test (gateway, relay-1) ---- bus ---- boson-routing ---- bus ---- boson-discovery
 */
#pragma once

#include "enrolment.h"
#include "identity/ticket.h"
#include "relay_mailbox.h"
#include "routing.pb-c.h"

struct route_rig {
	struct rig rig;
	struct relay_mailbox relay;
	struct bus_peer *discovery, *routing;
	pid_t discovery_process, routing_process;
};

void route_rig_start(struct route_rig *rig, const char *routing_config);
void route_rig_stop(struct route_rig *rig);

/* For cmocka: set-up has left the rig in *state. */
int route_rig_teardown(void **state);

/* Tells discovery of the relay. */
void route_rig_announce(struct route_rig *rig);
void route_rig_announce_relay(struct route_rig *rig, const struct relay_mailbox *mailbox,
			      const char *url, bool is_draining);

void route_rig_announce_other(struct route_rig *rig, const Boson__Common__Relay *relay);

/* Enrols a fresh node and attaches it to the relay. */
struct relay_mailbox_leg *route_rig_add_node(struct route_rig *rig, struct enrolment_node *node,
					     enum relay_mailbox_answer answer);

enum { ROUTE_RIG_TOKEN_BYTES = UUID_TEXT_BYTES + 1 + 16 };

struct route_rig_client {
	char id_text[UUID_TEXT_BYTES];
	struct key private_key;
	char public_text[KEY_TEXT_BYTES];
	const char *subject;		    /* of what it asks with: the name of an access key */
	char token[ROUTE_RIG_TOKEN_BYTES];  /* of what it was given: for sessions of key:first */
	char proof[PROOF_HEADER_MAX_BYTES]; /* goes with its requests; "": none */
};
void route_rig_client_init(struct route_rig_client *client);

/* What its requests' bodies hash to, as far as routing knows. */
enum { ROUTE_RIG_BODY_BYTES = 32 };
extern const uint8_t route_rig_body[ROUTE_RIG_BODY_BYTES];

/* Asks for a challenge, and fills in `proof`. */
void route_rig_prove(struct rig *rig, struct bus_peer *routing, struct route_rig_client *client);

/* Each is done after. */
void route_rig_request(struct route_rig *rig, struct rig_call *call,
		       const struct route_rig_client *client, const char *target,
		       const char *country, const char *session_id);
/* The same, not waited for. */
void route_rig_request_begin(struct route_rig *rig, struct rig_call *call,
			     const struct route_rig_client *client, const char *target,
			     const char *country, const char *session_id);
/* That the session's node does not answer it; not waited for. */
void route_rig_complain_begin(struct route_rig *rig, struct rig_call *call,
			      const struct route_rig_client *client, const char *session_id,
			      const char *failed_node_id);
void route_rig_get(struct route_rig *rig, struct rig_call *call, const char *route_id,
		   const char *subject);
void route_rig_delete_begin(struct route_rig *rig, struct rig_call *call, const char *route_id,
			    const char *subject);
void route_rig_delete(struct route_rig *rig, struct rig_call *call, const char *route_id,
		      const char *subject);

/* What a request that was begun came to; the test fails when it is no route. */
struct route_rig_answer {
	char session_id[UUID_TEXT_BYTES], route_id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES];
	char ticket[TICKET_TEXT_MAX_BYTES];
};
void route_rig_take(struct rig_call *call, struct route_rig_answer *ret);

/* The route of a client that waits until there is one. */
void route_rig_connect(struct route_rig *rig, const struct route_rig_client *client,
		       const char *target, struct route_rig_answer *ret);

/* Asks until there is a route; the reply is in the call. */
void route_rig_request_until_served(struct route_rig *rig, struct rig_call *call,
				    const struct route_rig_client *client, const char *target);
