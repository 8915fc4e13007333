/*
 * stun_socket: a UDP socket that asks STUN servers. A request is sent again after 500 ms, 1 s, 2 s,
 * ... (RFC 8489, 6.2.1) until its answer comes or its time is over. An answer counts only when it
 * comes from where it was expected, with the request's transaction id, as a response of its method,
 * and, where the request was signed, signed with the same key (errors may be unsigned). All else is
 * counted and forgotten. One thread: the loop's.
 */
#pragma once

#include "loop/loop.h"
#include "metrics/metrics.h"
#include "stun/stun_message.h"

enum { STUN_TIMEOUT_MS = 9500 };

struct stun_socket;

/* Of the family (AF_INET, AF_INET6), bound to `local` (mapped form or IPv6; NULL: any). metrics:
 * where stun_ignored_total goes. 0 or -errno. */
int stun_socket_open(struct loop *loop, struct metrics *metrics, int family,
		     const struct sockaddr_in6 *local, struct stun_socket **ret);
/* Questions that are under way are forgotten. */
void stun_socket_close(struct stun_socket **socket);
/* Where what is sent to this server comes from, as long as the routes stay. 0 or -errno. */
int stun_socket_local(const struct stun_socket *socket, const struct sockaddr_in6 *server,
		      struct sockaddr_in6 *ret);
int stun_socket_family(const struct stun_socket *socket);

/* A new transaction id. 0 or -errno. */
int stun_transaction_make(uint8_t ret[STUN_TRANSACTION_BYTES]);

/* message: NULL when none came in time. Valid until it returns; it may close the socket. */
typedef void (*stun_answer_fn)(const struct stun_message *message, uint32_t round_trip_us,
			       void *arg);

struct stun_question {
	const struct stun_writer *request; /* finished; copied */
	struct sockaddr_in6 to;
	const struct sockaddr_in6 *from; /* who answers; NULL: the same */
	const uint8_t *key;		 /* STUN_KEY_BYTES that it was signed with, or NULL */
	int64_t timeout_ms;		 /* 0: STUN_TIMEOUT_MS */
	bool is_once;			 /* not sent again: what is lost is lost, to be counted */
};

/* fn is called exactly once, never from inside. 0 or -ENOMEM. */
int stun_socket_ask(struct stun_socket *socket, const struct stun_question *question,
		    stun_answer_fn fn, void *arg);
