/* stun_nat: five questions at most, one after the other, from one socket. */
#include "stun/stun_nat.h"

#include "net/address.h"
#include "stun/stun_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	/* A filter is silent: wait for three requests, not for ever. */
	FILTER_TIMEOUT_MS = 2500,
	SERVER_TIMEOUT_MS = 4000, /* of each, so that four are tried in 16 s */
	CHANGE_IP = 4,
	CHANGE_PORT = 2,
	UNKNOWN = -1,
};

struct stun_nat {
	struct loop *loop;
	struct metrics *metrics;
	struct stun_socket *socket;
	struct sockaddr_in6 servers[STUN_NAT_SERVERS_MAX];
	size_t n, tried; /* the one asked is tried - 1 */
	bool allow_private;
	struct stun_nat_result result;
	struct sockaddr_in6 other; /* of the server */
	bool has_other;
	struct sockaddr_in6 elsewhere; /* what we look like to it, or to another server */
	bool has_elsewhere;
	int from_other_address, from_other_port;
	struct loop_timer *timer;
	stun_nat_fn fn;
	void *arg;
	struct stun_nat **at; /* where the caller keeps us */
};

/* ---- the model ---- */

static int
family_of(const struct sockaddr_in6 *address)
{
	return IN6_IS_ADDR_V4MAPPED(&address->sin6_addr) ? AF_INET : AF_INET6;
}

bool
stun_nat_is_plausible(const struct sockaddr_in6 *mapped, int family)
{
	static const uint8_t unspecified4[16] = { [10] = 0xff, [11] = 0xff };
	enum address_class class = address_classify(&mapped->sin6_addr);

	return family_of(mapped) == family && mapped->sin6_port != 0 && class != ADDRESS_LOOPBACK &&
	       class != ADDRESS_LINK_LOCAL && class != ADDRESS_MULTICAST &&
	       !IN6_IS_ADDR_UNSPECIFIED(&mapped->sin6_addr) &&
	       memcmp(&mapped->sin6_addr, unspecified4, sizeof(unspecified4)) != 0;
}

static bool
is_same(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
	return a->sin6_port == b->sin6_port &&
	       memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
}

enum stun_nat_type
stun_nat_judge(const struct sockaddr_in6 *local, const struct sockaddr_in6 *mapped,
	       const struct sockaddr_in6 *mapped_elsewhere, int from_other_address,
	       int from_other_port)
{
	if (is_same(local, mapped))
		return STUN_NAT_OPEN;
	if (mapped_elsewhere != NULL && !is_same(mapped, mapped_elsewhere))
		return STUN_NAT_SYMMETRIC;
	if (mapped_elsewhere == NULL || from_other_address < 0)
		return STUN_NAT_UNKNOWN;
	if (from_other_address > 0)
		return STUN_NAT_FULL_CONE;
	if (from_other_port < 0)
		return STUN_NAT_UNKNOWN;
	return from_other_port > 0 ? STUN_NAT_RESTRICTED_CONE : STUN_NAT_PORT_RESTRICTED;
}

/* ---- the questions ---- */

static void
finish(struct stun_nat *nat)
{
	struct stun_nat_result result = nat->result;
	stun_nat_fn fn = nat->fn;
	void *arg = nat->arg;

	if (result.is_found)
		result.type = stun_nat_judge(&result.local, &result.mapped,
					     nat->has_elsewhere ? &nat->elsewhere : NULL,
					     nat->from_other_address, nat->from_other_port);
	stun_nat_stop(nat->at);
	fn(&result, arg);
}

/* A binding; change: CHANGE_IP and CHANGE_PORT, answered by `from`. */
static int
ask(struct stun_nat *nat, const struct sockaddr_in6 *to, uint32_t change,
    const struct sockaddr_in6 *from, stun_answer_fn fn)
{
	struct stun_question question = { .to = *to,
					  .from = from,
					  .timeout_ms = from == NULL ? SERVER_TIMEOUT_MS
								     : FILTER_TIMEOUT_MS };
	uint8_t transaction[STUN_TRANSACTION_BYTES];
	struct stun_writer request;
	int error = stun_transaction_make(transaction);

	if (error != 0)
		return error;
	stun_begin(&request, STUN_REQUEST, STUN_BINDING, transaction);
	if (change != 0)
		stun_put_number(&request, STUN_CHANGE_REQUEST, change);
	error = stun_finish(&request, NULL, 0);
	question.request = &request;
	return error == 0 ? stun_socket_ask(nat->socket, &question, fn, nat) : error;
}

/* 0 with what an answer says of us; -errno when it is none that counts. */
static int
read_mapped(const struct stun_nat *nat, const struct stun_message *message,
	    struct sockaddr_in6 *ret, bool *ret_is_legacy)
{
	int error = message == NULL || message->class != STUN_SUCCESS
			    ? -EINVAL
			    : stun_mapped_address(message, ret, ret_is_legacy);

	if (error == 0 && !stun_nat_is_plausible(ret, stun_socket_family(nat->socket)))
		error = -EINVAL;
	return error;
}

/* Its other address and port, of which neither may be the same, and which must be of the internet
 * as the server is (S59). */
static bool
read_other(const struct stun_nat *nat, const struct stun_message *message, struct sockaddr_in6 *ret)
{
	const struct sockaddr_in6 *server = &nat->result.server;

	return stun_address(message, STUN_OTHER_ADDRESS, ret) == 0 &&
	       stun_nat_is_plausible(ret, family_of(server)) &&
	       (nat->allow_private || address_classify(&ret->sin6_addr) == ADDRESS_GLOBAL) &&
	       ret->sin6_port != server->sin6_port &&
	       memcmp(&ret->sin6_addr, &server->sin6_addr, sizeof(ret->sin6_addr)) != 0;
}

static void
on_mapped_elsewhere(const struct stun_message *message, uint32_t round_trip_us, void *arg)
{
	struct stun_nat *nat = arg;
	bool is_legacy;

	(void)round_trip_us;
	nat->has_elsewhere = read_mapped(nat, message, &nat->elsewhere, &is_legacy) == 0;
	finish(nat);
}

/* At its other address, but the port of its first: nothing has come from there yet. A NAT of Linux
 * that saw what its filter did not let in takes another port towards whom that came from. Without
 * another address the next server of that family serves, for the mapping alone (S57). */
static void
ask_elsewhere(struct stun_nat *nat)
{
	struct sockaddr_in6 other = nat->other;
	const struct sockaddr_in6 *to = nat->has_other ? &other : NULL;

	other.sin6_port = nat->result.server.sin6_port;
	for (size_t i = nat->tried; i < nat->n && to == NULL; i++)
		if (family_of(&nat->servers[i]) == family_of(&nat->result.server))
			to = &nat->servers[i];
	if (to == NULL || ask(nat, to, 0, NULL, on_mapped_elsewhere) != 0)
		finish(nat);
}

static void
on_other_port(const struct stun_message *message, uint32_t round_trip_us, void *arg)
{
	struct stun_nat *nat = arg;

	(void)round_trip_us;
	nat->from_other_port = message != NULL;
	ask_elsewhere(nat);
}

static void
on_other_address(const struct stun_message *message, uint32_t round_trip_us, void *arg)
{
	struct stun_nat *nat = arg;
	struct sockaddr_in6 from = nat->result.server;

	(void)round_trip_us;
	nat->from_other_address = message != NULL;
	from.sin6_port = nat->other.sin6_port;
	if (message != NULL ||
	    ask(nat, &nat->result.server, CHANGE_PORT, &from, on_other_port) != 0)
		ask_elsewhere(nat);
}

/* Before anything is sent to the other address: a NAT would then let its answers in (RFC 5780,
 * 4.4). */
static void
ask_filtering(struct stun_nat *nat)
{
	if (!nat->has_other || ask(nat, &nat->result.server, CHANGE_IP | CHANGE_PORT, &nat->other,
				   on_other_address) != 0)
		ask_elsewhere(nat);
}

static void next_server(struct stun_nat *nat);

static void
on_mapped(const struct stun_message *message, uint32_t round_trip_us, void *arg)
{
	struct stun_nat *nat = arg;
	struct stun_nat_result *result = &nat->result;

	(void)round_trip_us;
	if (read_mapped(nat, message, &result->mapped, &result->is_legacy) != 0) {
		next_server(nat);
		return;
	}
	result->is_found = true;
	result->is_cgnat = address_classify(&result->mapped.sin6_addr) == ADDRESS_CGNAT;
	if (stun_socket_local(nat->socket, &result->server, &result->local) != 0)
		memset(&result->local, 0, sizeof(result->local));
	nat->has_other = read_other(nat, message, &nat->other);
	if (is_same(&result->local, &result->mapped))
		finish(nat);
	else
		ask_filtering(nat);
}

static void
next_server(struct stun_nat *nat)
{
	while (nat->tried < nat->n) {
		const struct sockaddr_in6 *server = &nat->servers[nat->tried++];

		nat->result.server = *server;
		stun_socket_close(&nat->socket);
		if (stun_socket_open(nat->loop, nat->metrics, family_of(server), NULL,
				     &nat->socket) == 0 &&
		    ask(nat, server, 0, NULL, on_mapped) == 0)
			return;
	}
	finish(nat);
}

static void
begin(struct loop *loop, void *arg)
{
	struct stun_nat *nat = arg;

	(void)loop;
	nat->timer = NULL; /* it was for once */
	next_server(nat);
}

int
stun_nat_start(struct loop *loop, struct metrics *metrics, const struct sockaddr_in6 *servers,
	       size_t n, bool allow_private, stun_nat_fn fn, void *arg, struct stun_nat **ret)
{
	struct stun_nat *nat = calloc(1, sizeof(*nat));
	int error;

	if (nat == NULL)
		return -ENOMEM;
	nat->loop = loop;
	nat->metrics = metrics;
	nat->n = n < STUN_NAT_SERVERS_MAX ? n : STUN_NAT_SERVERS_MAX;
	memcpy(nat->servers, servers, nat->n * sizeof(servers[0]));
	nat->allow_private = allow_private;
	nat->from_other_address = nat->from_other_port = UNKNOWN;
	nat->fn = fn;
	nat->arg = arg;
	nat->at = ret;
	*ret = nat;
	error = loop_timer_start(loop, 0, 0, begin, nat, &nat->timer);
	if (error != 0)
		stun_nat_stop(ret);
	return error;
}

void
stun_nat_stop(struct stun_nat **nat)
{
	struct stun_nat *stopping = *nat;

	if (stopping == NULL)
		return;
	*nat = NULL;
	loop_timer_stop(&stopping->timer);
	stun_socket_close(&stopping->socket);
	free(stopping);
}
