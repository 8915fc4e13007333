/*
 * stun_nat: what we look like from outside, and how the NAT before us treats us (RFC 5780). Servers
 * are asked in turn until one answers well: one that redirects (300), wants a credential (401, 438)
 * or says an address that cannot be ours is passed over (P22: nothing is ever guessed; what was not
 * found out is Unknown).
 *
 *	mapping		the same address and port seen from the server's other address and port?
 *	filtering	does an answer from there come through, and one from its other port?
 */
#pragma once

#include "loop/loop.h"
#include "metrics/metrics.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* As discovery's NetworkInfo.NatType. */
enum stun_nat_type {
	STUN_NAT_UNKNOWN,
	STUN_NAT_OPEN,
	STUN_NAT_FULL_CONE,
	STUN_NAT_RESTRICTED_CONE,
	STUN_NAT_PORT_RESTRICTED,
	STUN_NAT_SYMMETRIC,
};

enum { STUN_NAT_SERVERS_MAX = 4 };

struct stun_nat_result {
	bool is_found; /* false: no server answered well, and the rest is void */
	enum stun_nat_type type;
	struct sockaddr_in6 mapped, local; /* of our socket; the mapped form for IPv4 */
	struct sockaddr_in6 server;	   /* that answered */
	bool is_legacy;			   /* it knows MAPPED-ADDRESS alone */
	bool is_cgnat;			   /* mapped is of 100.64/10: nobody can reach it */
};

/* May a server that answers us from outside have said this of us? Not when it is unspecified,
 * loopback, link-local or multicast, or of the other family (S25, S27, S29, S33). */
bool stun_nat_is_plausible(const struct sockaddr_in6 *mapped, int family);

/* What follows: mapped by the server's first address, then by its other one (or by another
 * server), and whether answers from elsewhere came through; each NULL or negative when it was not
 * found out. */
enum stun_nat_type stun_nat_judge(const struct sockaddr_in6 *local,
				  const struct sockaddr_in6 *mapped,
				  const struct sockaddr_in6 *mapped_elsewhere,
				  int from_other_address, int from_other_port);

struct stun_nat;
typedef void (*stun_nat_fn)(const struct stun_nat_result *result, void *arg);

/* servers are copied. allow_private: other addresses of a server need not be global. fn is called
 * once, later; it is over by then. 0 or -errno. */
int stun_nat_start(struct loop *loop, struct metrics *metrics, const struct sockaddr_in6 *servers,
		   size_t n, bool allow_private, stun_nat_fn fn, void *arg, struct stun_nat **ret);
/* fn will not be called. Takes one that is over as NULL. */
void stun_nat_stop(struct stun_nat **nat);
