/*
 * leg_lookup: the address of a relay's name, or of the proxy's before it, found before
 * libwebsockets is told to connect: it would ask the resolver on the leg's thread, and nothing
 * could call it off while no name server answers. On the leg's thread.
 */
#include "leg/leg_thread.h"

#include "loop/lookup.h"
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 5 }; /* libwebsockets cannot watch a descriptor that is not its own */

/* The name in the way, or false: there is none. */
static bool
name_of(const struct leg_endpoint *endpoint, char ret[LEG_URL_HOST_BYTES])
{
	struct in6_addr ignored;
	uint16_t port;

	if (endpoint->proxy[0] != '\0') {
		if (leg_proxy_address(endpoint->proxy, ret, &port) < 0)
			return false;
	} else if (endpoint->address[0] != '\0') {
		return false;
	} else {
		snprintf(ret, LEG_URL_HOST_BYTES, "%s", endpoint->url.host);
	}
	return address_parse(ret, &ignored) < 0;
}

static int
set_address(struct leg_endpoint *endpoint, const struct sockaddr_storage *found)
{
	const void *bytes = &((const struct sockaddr_in *)(const void *)found)->sin_addr;
	char address[INET6_ADDRSTRLEN];

	if (found->ss_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)found)->sin6_addr;
	if (inet_ntop(found->ss_family, bytes, address, sizeof address) == NULL)
		return -errno;
	if (endpoint->proxy[0] != '\0')
		return leg_proxy_set_address(endpoint->proxy, address);
	memcpy(endpoint->address, address, sizeof address);
	return 0;
}

static void
is_not_found(struct leg_thread *thread, const char *error)
{
	char name[LEG_URL_HOST_BYTES] = "", text[LEG_REASON_BYTES];

	name_of(&thread->used, name);
	snprintf(text, sizeof text, "cannot find %.64s: %s", name, error);
	leg_tell_reason(thread, 0, text);
	leg_attempt_ended(thread);
}

static void
on_look(lws_sorted_usec_list_t *timer)
{
	struct leg_thread *thread = lws_container_of(timer, struct leg_thread, look);
	const struct sockaddr_storage *addresses;
	const char *error;
	struct pollfd over = { .fd = lookup_fd(thread->lookup), .events = POLLIN };

	if (poll(&over, 1, 0) == 0) {
		lws_sul_schedule(thread->context, 0, timer, on_look, LOOK_MS * LWS_US_PER_MS);
		return;
	}
	size_t n = lookup_addresses(thread->lookup, &addresses, &error);
	/* Another one with each round of failures. */
	if (n > 0 &&
	    set_address(&thread->used, &addresses[thread->failures / thread->order->n % n]) < 0)
		error = "no address that can be used";
	leg_lookup_stop(thread);
	if (error != NULL)
		is_not_found(thread, error);
	else
		leg_attempt_connect(thread);
}

void
leg_lookup_begin(struct leg_thread *thread)
{
	char name[LEG_URL_HOST_BYTES];
	int r;

	if (!name_of(&thread->used, name)) {
		leg_attempt_connect(thread);
		return;
	}
	r = lookup_start_alone(name, &thread->lookup);
	if (r < 0)
		is_not_found(thread, strerror(-r));
	else
		lws_sul_schedule(thread->context, 0, &thread->look, on_look, 1);
}

void
leg_lookup_stop(struct leg_thread *thread)
{
	if (thread->lookup == NULL)
		return;
	lws_sul_schedule(thread->context, 0, &thread->look, NULL, LWS_SET_TIMER_USEC_CANCEL);
	lookup_stop(&thread->lookup);
}
