/*
 * leg_client: the other end of a leg, for forwarder and higgs: a WebSocket client by libwebsockets,
 * whose loop runs on a thread of its own behind two bounded queues (Debian compiles its external
 * poll out). TLS with the certificate checked, HTTP proxies from the environment, subprotocol
 * `higgs.v1`, reconnects with full jitter, ping every 15 s.
 *
 * All functions and callbacks are for the owner's loop thread. A callback may call any function,
 * leg_client_free included.
 */
#pragma once

#include "leg/leg_frame.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct leg_client;

enum leg_state { LEG_DOWN, LEG_CONNECTING, LEG_UP };

struct leg_client_events {
	/* A change of state. close_code is the WebSocket close code of a leg that went down, the
	 * HTTP status (100 to 599) of a refused upgrade, or 0; reason is for people, printable
	 * ASCII. When down, the next attempt is under way already, except after 4009 (replaced by a
	 * newer leg): then it waits 30 s. */
	void (*on_state)(enum leg_state state, int close_code, const char *reason, void *arg);
	/* Whole messages in order, a batch of them at a time, borrowed until it returns. Kind byte
	 * included. */
	void (*on_message)(const uint8_t *message, size_t n, void *arg);
	/* The messages of one wake-up have all been handed over: flush what was gathered. */
	void (*on_batch_end)(void *arg);
	/* A connection that leg_client_move left behind is gone; its number is leg_client_line's
	 * of what came over it. May be NULL. */
	void (*on_left)(uint32_t line, void *arg);
	void *arg;
};

struct leg_client_options {
	const char *ca_file; /* NULL: the system's */
	bool is_node;	     /* a node's leg: each channel's data waits in a lane of its own */
	/* What may wait of a channel's data to be sent, beyond which the oldest is dropped (all
	 * channels together: four times as much, from who holds the most); of control, and of what
	 * was received, as much again. 0: 1 MiB. */
	uint32_t queue_bytes;
	uint32_t queue_age_ms; /* how long data may wait to be sent; 0: 80 */
};

int leg_client_new(struct loop *loop, struct metrics *metrics,
		   const struct leg_client_options *options, const struct leg_client_events *events,
		   struct leg_client **ret);

/* Waits for the leg's thread, a few ms. */
void leg_client_free(struct leg_client **client);

/* From the next target on, connect to `address` where a URL (or a proxy) names `host`, and resolve
 * nothing; SNI, Host and the certificate's check keep the name. A second pin of a host replaces the
 * first. -EINVAL, -ENOSPC. */
int leg_client_pin(struct leg_client *client, const char *host, const char *address);

/* (Re)targets: whole URLs "wss://host:port/relay/<id>" in order of preference, tried round robin;
 * the ticket goes in Authorization. A leg that is up to one of the urls stays; a new ticket is used
 * at the next connect. */
int leg_client_target(struct leg_client *client, const char *const *urls, const char *ticket);

/* The relay is about to go: connects to another one beside the leg that is up, in_ms from now, and
 * uses that as soon as it is up: on_state says LEG_UP once more, with the reason "moved". What
 * still comes over the older connection is delivered; it is let go half a second later. relay:
 * "wss://host:port", or NULL for the next of the targets. Given up after try_for_ms (0: a minute).
 * While a move is under way, the newest wish waits. -ENOTCONN when down, -ENOENT: there is no other
 * relay, -EPERM: it would carry the ticket out of TLS, -EINVAL, -ENOMEM. */
int leg_client_move(struct leg_client *client, const char *relay, uint32_t in_ms,
		    uint32_t try_for_ms);

/* Inside on_message: the number of the connection it came over; else, of the one that is used. It
 * grows with each move. */
uint32_t leg_client_line(const struct leg_client *client);

/* As leg_client_send, over that connection. -ENOTCONN when it is gone. */
int leg_client_send_on(struct leg_client *client, uint32_t line, const uint8_t *message, size_t n,
		       bool is_control);

/* Lets the leg go (1000) and stays down until the next target. on_state follows when it is down. */
void leg_client_disconnect(struct leg_client *client);

enum leg_state leg_client_state(const struct leg_client *client);

/* The URL of the leg that is up, or being tried; "" when down. The client's, until the next state.
 */
const char *leg_client_url(const struct leg_client *client);

/* Since the start, over all connections. */
struct leg_client_figures {
	uint64_t attempts; /* to connect */
	uint64_t lost_out; /* datagrams that waited to be sent and went no further */
	uint64_t lost_in;  /* messages received that found no room, or were none */
};
struct leg_client_figures leg_client_figures(const struct leg_client *client);

/* Queues a whole message (kind byte included). is_control messages are never dropped for data and
 * go first; channels have turns by bytes. On a slow leg a message of several datagrams goes in
 * pieces. -ENOTCONN when down, -ENOBUFS when a control message does not fit. Copies. */
int leg_client_send(struct leg_client *client, const uint8_t *message, size_t n, bool is_control);

/* Tells the leg's thread of what leg_client_send queued since: once per turn, not per message. */
void leg_client_flush(struct leg_client *client);
