/*
 * agent_attachment: strings from the server become URLs here, so they are checked here.
 */
#include "agent/agent_attachment.h"
#include "identity/ticket.h"
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_MAX_BYTES = 253 };

static bool
is_host(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-:";
	size_t n = strnlen(text, HOST_MAX_BYTES + 1);

	return n > 0 && n <= HOST_MAX_BYTES && strspn(text, allowed) == n;
}

int
attachment_endpoint(const attachment_relay *relay, char ret_text[ATTACHMENT_ENDPOINT_BYTES])
{
	bool is_v6;

	if (!relay->host || !is_host(relay->host) || !relay->has_port || relay->port == 0 ||
	    relay->port > 65535 || (relay->protocol && strcmp(relay->protocol, "wss") != 0))
		return -EINVAL;
	is_v6 = strchr(relay->host, ':') != NULL;
	snprintf(ret_text, ATTACHMENT_ENDPOINT_BYTES, is_v6 ? "wss://[%s]:%u" : "wss://%s:%u",
		 relay->host, relay->port);
	return 0;
}

/* Borrowed strings, to be packed at once. */
struct draft {
	Boson__Node__Attachment message;
	char *endpoints[ATTACHMENT_RELAYS_MAX];
	char text[ATTACHMENT_RELAYS_MAX][ATTACHMENT_ENDPOINT_BYTES];
};

static void
draft_relays(struct draft *draft, attachment_relay *const *relays, size_t n)
{
	size_t used = 0;

	for (size_t i = 0; i < n && used < ATTACHMENT_RELAYS_MAX; i++) {
		if (attachment_endpoint(relays[i], draft->text[used]) < 0) {
			log_warn("relay_ignored", "id=%s host=%s",
				 relays[i]->id ? relays[i]->id : "",
				 relays[i]->host ? relays[i]->host : "");
			continue;
		}
		draft->endpoints[used] = draft->text[used];
		used++;
	}
	draft->message.relay_endpoints = draft->endpoints;
	draft->message.n_relay_endpoints = used;
}

static bool
has_endpoint(const Boson__Node__Attachment *attachment, const char *endpoint)
{
	for (size_t i = 0; i < attachment->n_relay_endpoints; i++)
		if (strcmp(attachment->relay_endpoints[i], endpoint) == 0)
			return true;
	return false;
}

static bool
same_endpoints(const Boson__Node__Attachment *a, const Boson__Node__Attachment *b)
{
	if (a->n_relay_endpoints != b->n_relay_endpoints)
		return false;
	for (size_t i = 0; i < a->n_relay_endpoints; i++)
		if (!has_endpoint(b, a->relay_endpoints[i]) ||
		    !has_endpoint(a, b->relay_endpoints[i]))
			return false;
	return true;
}

static bool
same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* What is kept of the old one. True: nothing is new. */
static bool
draft_keep(struct draft *draft, const Boson__Node__Attachment *old)
{
	bool same = same_endpoints(&draft->message, old);

	/* None announced at the moment: better a relay that was there a minute ago than none. */
	if (same || draft->message.n_relay_endpoints == 0) {
		draft->message.relay_endpoints = old->relay_endpoints;
		draft->message.n_relay_endpoints = old->n_relay_endpoints;
		same = true;
	}
	if (!draft->message.relay_ticket)
		draft->message.relay_ticket = old->relay_ticket;
	draft->message.own_addresses = old->own_addresses;
	draft->message.n_own_addresses = old->n_own_addresses;
	return same && same_text(draft->message.relay_ticket, old->relay_ticket) &&
	       same_text(draft->message.node_id, old->node_id);
}

static Boson__Node__Attachment *
copy(const Boson__Node__Attachment *attachment)
{
	size_t n = boson__node__attachment__get_packed_size(attachment);
	uint8_t *bytes = malloc(n + 1);
	Boson__Node__Attachment *made = NULL;

	if (bytes) {
		boson__node__attachment__pack(attachment, bytes);
		made = boson__node__attachment__unpack(NULL, n, bytes);
	}
	free(bytes);
	return made;
}

int
attachment_next(const Boson__Node__Attachment *old, const char *node_id,
		attachment_relay *const *relays, size_t n_relays, const char *ticket,
		Boson__Node__Attachment **ret)
{
	struct draft draft = { .message = BOSON__NODE__ATTACHMENT__INIT };

	*ret = NULL;
	draft_relays(&draft, relays, n_relays);
	/* protobuf-c's strings are not const; packing only reads. */
	draft.message.node_id = (char *)(uintptr_t)node_id;
	if (ticket && ticket[0] && strnlen(ticket, TICKET_TEXT_MAX_BYTES) < TICKET_TEXT_MAX_BYTES)
		draft.message.relay_ticket = (char *)(uintptr_t)ticket;
	if (old && draft_keep(&draft, old))
		return 0;
	*ret = copy(&draft.message);
	return *ret ? 0 : -ENOMEM;
}
