/*
 * agent_admission: which sessions this node has admitted, and the tunnel addresses they were given.
 * The model: no I/O and no clock. The store is agent_store's; when a write fails, the model is read
 * anew from there.
 *
 * When a session ends is worked out once, from what is left of it by the wall clock when it is
 * admitted, or read at start; from then on a steady clock counts. A wall clock that jumps ends no
 * session (T48, F20).
 */
#pragma once

#include "identity/key.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct admission;

enum {
	/* A snapshot of them all fits one message of the bus. */
	ADMISSION_SESSIONS_MAX = 360,
	/* The node's own number in both pools. */
	ADMISSION_NUMBER_NODE = 1,
	ADMISSION_ADDRESS_BYTES = INET6_ADDRSTRLEN,
	/* How far the server's clock may be ahead of, or behind, this node's. */
	ADMISSION_LEEWAY_MS = 30 * 1000,
};

struct admission_pool {
	struct in6_addr base4; /* as ::ffff:a.b.c.d */
	unsigned bits4;	       /* prefix length of the IPv4 pool, 8 to 29 */
	struct in6_addr base6;
	unsigned bits6; /* 48 to 112 */
};

struct admission_options {
	struct admission_pool pool;
	unsigned sessions_max;
	int64_t lifetime_max_ms;
	struct key node_key; /* public: no client may have it */
};

/* number: the place of the session's addresses in both pools. */
struct admission_session {
	uint8_t id[UUID_BYTES];
	uint8_t client_id[UUID_BYTES];
	struct key client_key;
	int64_t expires_at_ms; /* epoch: as it was asked for, and as it is stored */
	int64_t ends_ms;       /* the same by the steady clock, once it is admitted */
	uint32_t number;
};

/* One moment. steady: never set, and goes on while the machine sleeps. */
struct admission_clock {
	int64_t wall_ms, steady_ms;
};

enum admission_verdict {
	ADMISSION_ADMITTED,
	ADMISSION_RENEWED,   /* known already: the same addresses, the later expiry */
	ADMISSION_FULL,	     /* no place or no address */
	ADMISSION_EXPIRED,   /* before it began, by this node's clock */
	ADMISSION_TOO_LONG,  /* beyond lifetime_max_ms */
	ADMISSION_OTHER_KEY, /* the session exists, with another client key */
	ADMISSION_BAD_KEY,   /* zero, or the node's own */
};

/* What a refusal is called towards the relay; NULL for ADMITTED and RENEWED. */
const char *admission_reason(enum admission_verdict verdict);

int admission_new(const struct admission_options *options, struct admission **ret);
void admission_free(struct admission **admission);

/* asked: all but its number and its end. One session a client key, because WireGuard has one peer a
 * key: an older session of the same key ends, and is handed out in ret_replaced (number 0: there
 * was none).
 */
enum admission_verdict admission_admit(struct admission *admission,
				       const struct admission_session *asked,
				       const struct admission_clock *now,
				       struct admission_session *ret_session,
				       struct admission_session *ret_replaced);

/* From now on so many at most, and never more than the options say; 0: no new ones. Those that are
 * here stay. */
void admission_limit(struct admission *admission, unsigned sessions_max);

/* False: no such session. */
bool admission_end(struct admission *admission, const uint8_t id[UUID_BYTES],
		   struct admission_session *ret_ended);

/* Takes out one session that has expired; false when there is none (left). */
bool admission_expire(struct admission *admission, int64_t steady_now_ms,
		      struct admission_session *ret_ended);

/* Puts back a session as stored. -EINVAL: its addresses are not this pool's, or it contradicts
 * another; -ENOSPC. */
int admission_restore(struct admission *admission, const struct admission_session *session,
		      const char *address4, const char *address6,
		      const struct admission_clock *now);

/* Takes all out, to be put back by admission_restore: their ends are remembered until then. */
void admission_clear(struct admission *admission);

/* How long it still lasts, leeway included; not below 0. */
int64_t admission_left_ms(const struct admission_session *session, int64_t steady_now_ms);

size_t admission_count(const struct admission *admission);
const struct admission_session *admission_at(const struct admission *admission, size_t i);

/* The addresses of a number, without prefix length. */
void admission_address4(const struct admission *admission, uint32_t number,
			char ret_text[ADMISSION_ADDRESS_BYTES]);
void admission_address6(const struct admission *admission, uint32_t number,
			char ret_text[ADMISSION_ADDRESS_BYTES]);
