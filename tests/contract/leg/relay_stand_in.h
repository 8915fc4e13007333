/*
 * relay_stand_in: a WebSocket server on a port of its own, whose behaviour the path chooses, so
 *that a leg meets what a well-behaved relay never does. A thread for each connection, blocking
 *sockets.
 *
 *	/echo		sends each message back
 *	/sink		counts messages and their bytes
 *	/slow/N		likewise, N bytes a second, and by channel: a node's leg
 *	/stall		reads nothing after the handshake until released, then as /sink
 *	/flood		sends `flood_n` data messages with a running number, then echoes
 *	/fragments	sends one data message in three frames
 *	/halves/N	sends one data message in two frames of N bytes
 *	/text, /large	sends a text message, one byte more than the largest
 *	/close/N	closes with code N and its reason, else "told to"
 *	/status/N	refuses the upgrade with HTTP status N
 *	/redirect	302 to /echo
 *	/nosubprotocol	accepts without naming one
 *	/wrongaccept	answers the handshake with another key's Sec-WebSocket-Accept
 *	/mute		never answers the request
 *	/drip		answers it, a byte each tenth of a second
 *	/raw/HEX	sends these bytes after the handshake, and reads nothing
 *	/rawecho/HEX	likewise, and then as /echo
 *	/control/N	sends control messages of N bytes without end, and reads nothing
 *	/relay/...	carries datagrams to and from the UDP port `udp_port` of 127.0.0.1
 *
 * A request without an upgrade goes to answer_http, so that it can be a gateway as well.
 */
#pragma once

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STAND_IN_CONNECTIONS_MAX = 256, STAND_IN_CHANNELS = 16 };

struct stand_in {
	/* Writes a whole HTTP answer; returns its size. May be NULL. */
	size_t (*answer_http)(const char *request, const char *body, char *ret, size_t capacity,
			      void *arg);
	void *arg;
	_Atomic uint16_t udp_port;
	_Atomic uint16_t deaf_port; /* a UDP port that gets nothing; 0: none */
	int fd;
	uint16_t port;
	SSL_CTX *tls; /* NULL: plain */
	pthread_t accepter, workers[STAND_IN_CONNECTIONS_MAX];
	_Atomic int connection_fds[STAND_IN_CONNECTIONS_MAX];
	atomic_size_t connection_n;
	atomic_bool stop, is_released;
	atomic_size_t messages, bytes;
	atomic_size_t control, before_control; /* of kind 2; what came before the first of them */
	atomic_size_t channel_messages[STAND_IN_CHANNELS], channel_bytes[STAND_IN_CHANNELS];
	atomic_uint last_data, order_errors; /* of the running numbers received */
	atomic_size_t control_sent;	     /* bytes */
	atomic_int close_code;		     /* the client's */
	unsigned flood_n;
	const char *more_headers; /* of the answer to a handshake, each with its CRLF; NULL: none */
	pthread_mutex_t lock;
	char authorization[512], host[300];
};

/* port 0: any. Certificate and key are files of PEM, or NULL. Hooks are set afterwards, before
 * anyone connects. */
int stand_in_start(struct stand_in *relay, uint16_t port, const char *certificate, const char *key);

/* Cuts all connections. */
void stand_in_stop(struct stand_in *relay);
