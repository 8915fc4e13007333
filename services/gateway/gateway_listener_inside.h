/*
 * gateway_listener_inside: what gateway_listener.c and the gateway_connection*.c share. For them
 * alone.
 */
#pragma once

#include "gateway/gateway_body.h"
#include "gateway/gateway_listener.h"
#include "gateway/gateway_stream.h"

#include <sys/queue.h>
#include <sys/socket.h>

enum {
	/* More than a head, so that one that is too long is seen. */
	GATEWAY_READ_BYTES = 2 * GATE_HEAD_MAX_BYTES,
	GATEWAY_ADDRESS_BUCKETS = 1024, /* a power of 2 */
};

/* Bytes on their way that the other side does not take yet. */
struct gateway_rest {
	char *bytes;
	size_t n, at;
};

struct gateway_connection {
	struct gateway_listener *listener;
	LIST_ENTRY(gateway_connection) of_all, of_bucket;
	struct in6_addr address, network;
	enum gateway_phase phase;
	int64_t deadline_ms;

	struct gateway_stream peer; /* fd -1: gone */
	struct loop_fd *peer_watch;
	uint32_t peer_events;
	int server; /* our end of the pair; -1: not yet, or not any more */
	struct loop_fd *server_watch;
	uint32_t server_events;
	bool is_served; /* libmicrohttpd has the other end */

	char *kept; /* read, and not passed on yet: malloc'd */
	size_t kept_n;
	size_t judged_n;	  /* so much of it is known to be no whole head */
	struct gateway_body body; /* of the request under way */
	struct gateway_rest up;	  /* to libmicrohttpd */
	struct gateway_rest down; /* to the peer */
	size_t wasted_bytes;	  /* read for nothing, at the end */
	bool closes;		  /* as the head of the request under way says */
	bool is_answered;	  /* by libmicrohttpd; the bytes may still be on their way */
	bool is_ending;		  /* after what is on its way to the peer */
};

LIST_HEAD(gateway_connections, gateway_connection);

struct gateway_listener {
	struct loop *loop;
	struct gateway_listener_options options;
	SSL_CTX *tls;
	int fd;
	uint16_t port;
	struct loop_fd *watch;
	bool is_paused; /* full, or out of descriptors */
	bool is_draining;
	struct loop_timer *reaper;
	struct gateway_connections connections;
	struct gateway_connections buckets[GATEWAY_ADDRESS_BUCKETS]; /* by the hash of addresses */
	uint64_t bucket_seed;
	size_t connections_n;
	loop_fn drained;
	void *drained_arg;
	struct metric *accepted, *refused_address, *late, *open;
	char scratch[GATEWAY_READ_BYTES]; /* of the connection that is read from */
	char answers[GATEWAY_READ_BYTES]; /* of the connection that is answered */
};

void gateway_listener_add(struct gateway_listener *listener, struct gateway_connection *connection);
/* Tells who waits for the last one. */
void gateway_listener_remove(struct gateway_listener *listener,
			     struct gateway_connection *connection);

/* A connection that was accepted, from a network that has room. fd is taken over, even when the
 * connection cannot be made. */
void gateway_connection_new(struct gateway_listener *listener, int fd,
			    const struct in6_addr *address, const struct in6_addr *network);

/* Its deadline has passed. May free it. */
void gateway_connection_expire(struct gateway_connection *connection);

/* The gateway stops before long. May free it. */
void gateway_connection_drain(struct gateway_connection *connection);

/* The peer is done with. Frees it, at once or when libmicrohttpd has let go. */
void gateway_connection_close(struct gateway_connection *connection);

/* ---- between the two files ---- */

/* Goes on with what was kept. */
void gateway_connection_consume_kept(struct gateway_connection *connection);

void gateway_connection_on_server(struct loop *loop, int fd, uint32_t events, void *arg);
void gateway_connection_watch_peer(struct gateway_connection *connection, uint32_t events);
void gateway_connection_watch_server(struct gateway_connection *connection, uint32_t events);

/* To the peer, what it did not take before. false: it is gone, and the connection closed. */
bool gateway_connection_flush(struct gateway_connection *connection);

/* What libmicrohttpd has written goes to the peer; then comes the end, or the next request. May
 * free it. */
void gateway_connection_pump(struct gateway_connection *connection);

/* An error that ends the connection. May free it. */
void gateway_connection_refuse(struct gateway_connection *connection, int status, const char *code);

/* Reads what nobody wants any more. Closing with bytes unread would reset the connection, and the
 * peer might lose our answer. */
void gateway_connection_linger(struct gateway_connection *connection);
