/*
 * forwarder_peers: sessions as WireGuard's peers. Each has its addresses and nothing else: where it
 * is, WireGuard learns from its packets. Only after WireGuard was started anew, with new keys that
 * no client knows of, is it told where a client is, and to shake hands with it.
 */
#include "forwarder/forwarder.h"

#include "log/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ALLOWED_BYTES = INET_ADDRSTRLEN + INET6_ADDRSTRLEN + 16,
	ENDPOINT_BYTES = 32,
	WAKE_MS = 20,	    /* a new leg brings all its channels at once */
	KEEPALIVE_SEC = 25, /* any: turning it on is what makes WireGuard speak first */
};

/* A list of peers with the texts that they point to. */
struct peer_list {
	struct device_peer *peers;
	char (*allowed)[ALLOWED_BYTES];
	char (*endpoints)[ENDPOINT_BYTES];
	size_t n;
};

static void
allowed_ips(const struct session *session, char ret_text[ALLOWED_BYTES])
{
	char text4[INET_ADDRSTRLEN] = "", text6[INET6_ADDRSTRLEN] = "";
	bool has4 = session->address4.s_addr != 0;
	bool has6 = !IN6_IS_ADDR_UNSPECIFIED(&session->address6);
	inet_ntop(AF_INET, &session->address4, text4, sizeof text4);
	inet_ntop(AF_INET6, &session->address6, text6, sizeof text6);
	snprintf(ret_text, ALLOWED_BYTES, "%s%s%s%s%s", has4 ? text4 : "", has4 ? "/32" : "",
		 has4 && has6 ? "," : "", has6 ? text6 : "", has6 ? "/128" : "");
}

int
forwarder_peer_set(struct forwarder *forwarder, const struct session *session)
{
	char allowed[ALLOWED_BYTES];
	allowed_ips(session, allowed);
	const struct device_peer peer = { .public_key = session->client_key,
					  .allowed_ips = allowed };
	return device_peer_set(forwarder->device, &peer, 1);
}

static void
peer_list_free(struct peer_list *list)
{
	free(list->peers);
	free(list->allowed);
	free(list->endpoints);
}

static int
peer_list_init(struct peer_list *list, size_t capacity)
{
	*list = (struct peer_list){ .peers = calloc(capacity, sizeof *list->peers),
				    .allowed = calloc(capacity, sizeof *list->allowed),
				    .endpoints = calloc(capacity, sizeof *list->endpoints) };
	if (list->peers && list->allowed && list->endpoints)
		return 0;
	peer_list_free(list);
	return -ENOMEM;
}

static struct device_peer *
peer_list_add(struct peer_list *list, const struct session *session)
{
	struct device_peer *peer = &list->peers[list->n];
	allowed_ips(session, list->allowed[list->n]);
	peer->public_key = session->client_key;
	peer->allowed_ips = list->allowed[list->n];
	list->n++;
	return peer;
}

int
forwarder_peers_set_all(struct forwarder *forwarder)
{
	size_t count = forwarder_sessions_count(forwarder->sessions);
	const struct session *session = NULL;
	struct peer_list list;
	if (count == 0)
		return 0;
	int r = peer_list_init(&list, count);
	if (r < 0)
		return r;
	while ((session = forwarder_sessions_next(forwarder->sessions, session)))
		peer_list_add(&list, session);
	r = device_peer_set(forwarder->device, list.peers, list.n);
	peer_list_free(&list);
	forwarder_sessions_need_handshake(forwarder->sessions, true);
	return r;
}

/* Those who wait for a handshake and can be reached. */
static void
peer_list_add_reachable(struct peer_list *list, struct forwarder *forwarder)
{
	const struct session *next = NULL;
	while ((next = forwarder_sessions_next(forwarder->sessions, next))) {
		struct session *session = forwarder_sessions_find(forwarder->sessions, next->id);
		char *endpoint = list->endpoints[list->n];
		if (!session->needs_handshake ||
		    forwarder_legs_endpoint(forwarder->legs, session->id, endpoint,
					    ENDPOINT_BYTES) < 0)
			continue;
		session->needs_handshake = false;
		peer_list_add(list, session)->endpoint = endpoint;
	}
}

static int
shake_hands(struct forwarder *forwarder, struct peer_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		list->peers[i].keepalive_sec = KEEPALIVE_SEC;
	int r = device_peer_set(forwarder->device, list->peers, list->n);
	for (size_t i = 0; i < list->n; i++) {
		list->peers[i].keepalive_sec = 0;
		list->peers[i].endpoint = NULL;
	}
	return r < 0 ? r : device_peer_set(forwarder->device, list->peers, list->n);
}

static void
on_wake(struct loop *loop, void *arg)
{
	(void)loop;
	struct forwarder *forwarder = arg;
	size_t count = forwarder_sessions_count(forwarder->sessions);
	struct peer_list list;
	forwarder->wake = NULL;
	if (!forwarder->is_up || count == 0 || peer_list_init(&list, count) < 0)
		return;
	peer_list_add_reachable(&list, forwarder);
	int r = list.n > 0 ? shake_hands(forwarder, &list) : 0;
	log_write(r < 0 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "peers_woken", "sessions=%zu result=%s",
		  list.n, strerror(-r));
	peer_list_free(&list);
}

void
forwarder_peers_wake(struct forwarder *forwarder)
{
	if (!forwarder->wake && loop_timer_start(forwarder->context->loop, WAKE_MS, 0, on_wake,
						 forwarder, &forwarder->wake) < 0)
		log_warn("peers_not_woken", "reason=%s", "memory");
}
