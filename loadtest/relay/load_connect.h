/*
 * load_connect: gives every pair of a flow its lines, by way of the server that is measured.
 */
#pragma once

#include "identity/ticket.h"
#include "load_flow.h"

struct load_options {
	const char *target; /* relay, tcp (HAProxy), websocket (nginx), turn-udp, turn-tcp */
	const char *mode;   /* see relay_load.c */
	const char *state, *certificate, *private_key;
	uint16_t port, back_port;
	unsigned pairs, batch, window, idle;
	bool has_trunk, is_down; /* a node's leg with a channel for each pair; node to clients */
	unsigned ticket_rate_kbytes; /* a session's limit, 0: none */
	double rate;		     /* messages a second in all, 0: as many as go */
	double seconds, warm_up;
	const char *pids; /* of the server, by commas */
};

bool load_is_relay(const struct load_options *options);

/* Connects all, and builds what they send and expect. */
void load_connect(struct load_flow *flow, const struct load_options *options);

/* So many connections that say nothing. */
void load_connect_idle(const struct load_options *options, unsigned count);

/* The keys that sign tickets, made when absent. */
void load_signers(const char *state, struct ticket_signer **ret_node,
		  struct ticket_signer **ret_session);

/* A relay's leg: session 0: of a node. */
void load_connect_leg(struct load_line *line, const struct load_options *options, unsigned node,
		      unsigned session);

/* TURN: an allocation at the server and a channel to a UDP socket of ours. */
void load_connect_turn(struct load_pair *pair, uint16_t port, bool is_udp);
