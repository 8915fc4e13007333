/*
 * forwarder_handlers: the mailbox (service Forwarder in proto/node.proto). Called by: agent, and by
 * operators (GetStatus).
 */
#include "forwarder/forwarder.h"
#include "log/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static struct forwarder *
forwarder_of(Boson__Node__Forwarder_Service *service)
{
	return (struct forwarder *)service;
}

/* A copy that is ours. */
static Boson__Node__Attachment *
attachment_copy(const Boson__Node__Attachment *attachment)
{
	uint8_t bytes[BUS_MESSAGE_MAX_BYTES];
	size_t n = boson__node__attachment__get_packed_size(attachment);
	if (n > sizeof bytes)
		return NULL;
	boson__node__attachment__pack(attachment, bytes);
	return boson__node__attachment__unpack(NULL, n, bytes);
}

/* Goes into rules as it is, so it must be an address and nothing else. */
static bool
own_address_write(const char *text, char ret_text[FORWARDER_ADDRESS_BYTES])
{
	struct in_addr v4;
	struct in6_addr v6;
	if (inet_pton(AF_INET, text, &v4) == 1)
		return inet_ntop(AF_INET, &v4, ret_text, FORWARDER_ADDRESS_BYTES) != NULL;
	return inet_pton(AF_INET6, text, &v6) == 1 &&
	       inet_ntop(AF_INET6, &v6, ret_text, FORWARDER_ADDRESS_BYTES) != NULL;
}

/* True when they changed. */
static bool
own_addresses_take(struct forwarder *forwarder, const Boson__Node__Attachment *attachment)
{
	char before[sizeof forwarder->own_addresses];
	size_t n = 0;
	memcpy(before, forwarder->own_addresses, sizeof before);
	memset(forwarder->own_addresses, 0, sizeof forwarder->own_addresses);
	for (size_t i = 0; i < attachment->n_own_addresses && n < FORWARDER_OWN_ADDRESSES_MAX; i++)
		if (own_address_write(attachment->own_addresses[i], forwarder->own_addresses[n])) {
			forwarder->own_address_list[n] = forwarder->own_addresses[n];
			n++;
		}
	forwarder->own_address_list[n] = NULL;
	return memcmp(before, forwarder->own_addresses, sizeof before) != 0;
}

int
forwarder_attach(struct forwarder *forwarder, const Boson__Node__Attachment *attachment)
{
	if (attachment) {
		Boson__Node__Attachment *copy = attachment_copy(attachment);
		if (!copy)
			return -ENOMEM;
		if (forwarder->attachment)
			boson__node__attachment__free_unpacked(forwarder->attachment, NULL);
		forwarder->attachment = copy;
		if (own_addresses_take(forwarder, copy))
			forwarder_tunnel_refresh(forwarder);
	}
	const Boson__Node__Attachment *now = forwarder->attachment;
	if (!now || !forwarder->legs || !now->node_id || !now->relay_ticket ||
	    now->n_relay_endpoints == 0)
		return 0;
	return forwarder_legs_target(forwarder->legs, now->node_id, now->relay_endpoints,
				     now->n_relay_endpoints, now->relay_ticket);
}

/* The agent has another key than we read: a change of keys. All that hangs on the old one goes with
 * this process; the next reads the new one. */
static bool
is_outdated(struct forwarder *forwarder, const Boson__Node__Attachment *attachment)
{
	if (!attachment->public_key || forwarder->public_text[0] == '\0' ||
	    strcmp(attachment->public_key, forwarder->public_text) == 0)
		return false;
	log_warn("key_changed", "node=%s", attachment->node_id ? attachment->node_id : "");
	actor_failed(forwarder->context, EX_TEMPFAIL);
	return true;
}

static void
on_set_relays(Boson__Node__Forwarder_Service *service, const Boson__Node__Attachment *input,
	      Boson__Common__Empty_Closure closure, void *call)
{
	struct forwarder *forwarder = forwarder_of(service);
	Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	if (is_outdated(forwarder, input)) {
		bus_call_fail(call, BUS_UNAVAILABLE, "starting_anew", NULL);
		return;
	}
	int r = forwarder_attach(forwarder, input);
	if (r == -EINVAL)
		bus_call_fail(call, BUS_INVALID, "range", "relayEndpoints");
	else if (r < 0)
		bus_call_fail(call, BUS_UNAVAILABLE, "no_room", NULL);
	else
		closure(&reply, call);
}

static void
on_close_session(Boson__Node__Forwarder_Service *service, const Boson__Link__SessionClose *input,
		 Boson__Common__Empty_Closure closure, void *call)
{
	struct forwarder *forwarder = forwarder_of(service);
	Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	if (!input->session_id) {
		bus_call_fail(call, BUS_INVALID, "field", "sessionId");
		return;
	}
	forwarder_session_close(forwarder, input->session_id,
				input->reason ? input->reason : "closed by the agent");
	closure(&reply, call);
}

static void
on_get_status(Boson__Node__Forwarder_Service *service, const Boson__Common__Empty *input,
	      Boson__Node__ForwarderReport_Closure closure, void *call)
{
	(void)input;
	Boson__Node__ForwarderReport reply = BOSON__NODE__FORWARDER_REPORT__INIT;
	forwarder_report_fill(forwarder_of(service), &reply);
	closure(&reply, call);
}

const Boson__Node__Forwarder_Service forwarder_mailbox = BOSON__NODE__FORWARDER__INIT(on_);
