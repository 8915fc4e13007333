/*
 * forwarder_legs: the node's leg to its relay, and the channels on it. Packets go from here to
 * tunnel_socket and back; control messages go to the actor. The leg itself is leg_client's.
 * Loop thread.
 */
#pragma once

#include "leg/leg_client.h"
#include "link.pb-c.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

struct forwarder_legs;

struct forwarder_legs_events {
	void (*on_session_open)(const Boson__Link__SessionOpen *open, void *arg);
	void (*on_session_close)(const Boson__Link__SessionClose *close, void *arg);
	/* A client leg of this session joined. */
	void (*on_channel_open)(const char *session_id, void *arg);
	void *arg;
};

/* leg: of a node. wireguard_port: see tunnel_socket. */
int forwarder_legs_new(struct loop *loop, struct metrics *metrics,
		       const struct leg_client_options *leg, uint16_t wireguard_port,
		       const struct forwarder_legs_events *events, struct forwarder_legs **ret);
void forwarder_legs_free(struct forwarder_legs **legs);

/* The relays to hold a leg to, in order of preference, and the ticket for it. */
int forwarder_legs_target(struct forwarder_legs *legs, const char *node_id,
			  char *const *relay_endpoints, size_t n, const char *ticket);

/* A session is over: its channels carry nothing any more, and the relay is told. */
void forwarder_legs_session_end(struct forwarder_legs *legs, const char *session_id);

/* Where WireGuard reaches a session: its newest channel's address and our port, "127.1.2.3:4567".
 * -ENOENT: it has no channel. */
int forwarder_legs_endpoint(const struct forwarder_legs *legs, const char *session_id,
			    char *ret_text, size_t n);

/* -ENOTCONN while the leg is down, -EMSGSIZE. */
int forwarder_legs_send(struct forwarder_legs *legs, const Boson__Link__Control *control);

struct forwarder_legs_status {
	enum leg_state state;
	const char *relay_endpoint; /* the URL that is up or tried; "" */
	const char *last_error;	    /* "" */
	size_t channels;
	uint64_t drops;
};

/* Strings are the legs' own, valid until the next turn. */
void forwarder_legs_status(const struct forwarder_legs *legs, struct forwarder_legs_status *ret);
