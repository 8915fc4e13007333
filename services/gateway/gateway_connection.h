/*
 * gateway_connection: one connection, between its peer and libmicrohttpd, which it feeds through a
 * pair of sockets:
 *
 *	peer <-- TCP or TLS --> gateway_stream, gate, framing <-- socketpair --> libmicrohttpd
 *
 * A filter, not a server: each head, first or later, plain or under TLS, passes the gate before
 * libmicrohttpd sees a byte of it; gateway_body finds where the body ends; and the next head is not
 * passed before the request has been answered. What is refused here never reaches libmicrohttpd:
 * the refusal goes out and the connection ends (T10). A peer that sends no whole head costs
 * libmicrohttpd nothing.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

struct gateway_connection;

/* What a connection is waited for; each has a deadline from its start. */
enum gateway_phase {
	PHASE_HEAD,
	PHASE_REQUEST, /* its body, and whoever answers */
	PHASE_ANSWER,  /* until the peer has taken it */
	PHASE_LINGER,  /* until the peer has read why it ends */
	PHASE_TUNNEL,  /* another protocol: no deadline, no gate */
};

const struct in6_addr *gateway_connection_peer(const struct gateway_connection *connection);

/* Starts a phase, and with it its deadline: ANSWER when libmicrohttpd has the answer, TUNNEL when
 * it is 101. */
void gateway_connection_enter(struct gateway_connection *connection, enum gateway_phase phase);

/* libmicrohttpd has written the whole answer, or never will: the next head may come, unless it
 * closes. */
void gateway_connection_answered(struct gateway_connection *connection, bool closes);

/* libmicrohttpd has closed its end. May free it. */
void gateway_connection_released(struct gateway_connection *connection);
