/*
 * bus_peer: a DEALER to one server: its making and end, and whether it is connected. The calls on
 * it are in bus_pending, bus_stub and bus_reply.
 */
#include "bus/bus_inside.h"

#include "bus/bus_places.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REFUSED_AGAIN_MS = 2000,
	SILENT_AGAIN_MS = 2 * BUS_RECONNECT_MAX_MS,
	FAILED_ROUNDS_MAX = 64,
};

static void
peer_destroy(struct bus_peer *peer)
{
	for (struct bus_peer **at = &peer->bus->peers; *at; at = &(*at)->next) {
		if (*at == peer) {
			*at = peer->next;
			break;
		}
	}
	for (size_t i = 0; i < peer->n_slots; i++)
		free(peer->slots[i]);
	free(peer->slots);
	bus_tally_fini(&peer->tally);
	for (unsigned i = 0; peer->methods && i < peer->service.descriptor->n_methods; i++)
		free(peer->methods[i]);
	free(peer->methods);
	free(peer->group);
	free(peer);
}

void
bus_peer_leave(struct bus_peer *peer)
{
	peer->busy--;
	if (peer->closing && peer->busy == 0 && peer->n_pending == 0)
		peer_destroy(peer);
}

int
bus_peer_connect_again(struct bus_peer *peer)
{
	zmq_disconnect(peer->handle, peer->endpoint);
	peer->heard = false;
	return zmq_connect(peer->handle, peer->endpoint) < 0 ? -errno : 0;
}

void
bus_peer_is_up(struct bus_peer *peer)
{
	int64_t now_ms = clock_monotonic_ms();

	if (peer->state != BUS_PEER_UP)
		log_info("peer_up", "peer=%s endpoint=%s", peer->service.descriptor->short_name,
			 peer->endpoint);
	peer->state = BUS_PEER_UP;
	loop_timer_stop(&peer->again_timer);
	struct bus_pending *next = bus_waiting_take_all(peer);
	while (next) {
		struct bus_pending *pending = next;
		next = pending->next;
		int r = bus_pending_send(pending, now_ms, pending->body, pending->body_bytes);
		if (r < 0)
			bus_pending_fail_send(pending, r);
		free(pending->body);
		pending->body = NULL;
	}
	if (peer->parent)
		bus_group_member_is_up(peer);
}

/* Fails all calls but those that have failed already. Closures may make new ones: these wait for
 * the next turn. */
static void
fail_all(struct bus_peer *peer, const char *code)
{
	for (size_t i = 0; i < peer->n_slots; i++) {
		struct bus_pending *pending = peer->slots[i];
		if (pending->state == BUS_PENDING_SENT || pending->state == BUS_PENDING_WAITING)
			bus_pending_fail(pending, BUS_UNAVAILABLE, code);
	}
	peer->n_sent = 0;
	(void)bus_waiting_take_all(peer); /* they are on the list of what failed now */
}

static void
on_again_timer(struct loop *loop, void *arg)
{
	struct bus_peer *peer = arg;

	(void)loop;
	if (bus_peer_connect_again(peer) < 0)
		log_warn("peer_connect_failed", "endpoint=%s error=%m", peer->endpoint);
}

/* After a handshake that was refused libzmq does not try again, but the list may change. And when
 * it says nothing for longer than it waits between two tries, something is wrong with it. */
static void
connect_later(struct bus_peer *peer, bool refused)
{
	int64_t delay_ms = refused ? REFUSED_AGAIN_MS : SILENT_AGAIN_MS;

	delay_ms += (int64_t)(bus_random(peer->bus) % (uint64_t)(delay_ms / 4));
	loop_timer_stop(&peer->again_timer);
	loop_timer_start(peer->bus->loop, delay_ms, SILENT_AGAIN_MS, on_again_timer, peer,
			 &peer->again_timer);
}

void
bus_peer_is_down(struct bus_peer *peer, bool refused)
{
	connect_later(peer, refused);
	if (peer->state == BUS_PEER_DOWN)
		return;
	log_warn("peer_down", "peer=%s endpoint=%s was_up=%d refused=%d",
		 peer->service.descriptor->short_name, peer->endpoint, peer->state == BUS_PEER_UP,
		 refused);
	/* What had been answered before it went is still to be read. */
	peer->busy++;
	bus_peer_on_readable(peer->bus->loop, peer->socket, peer);
	peer->state = BUS_PEER_DOWN;
	if (!peer->closing)
		fail_all(peer, "peer_down");
	if (!peer->closing && peer->parent)
		bus_group_member_is_down(peer);
	bus_peer_leave(peer);
}

static int
name_methods(struct bus_peer *peer)
{
	const ProtobufCServiceDescriptor *service = peer->service.descriptor;

	peer->methods = calloc(service->n_methods, sizeof(*peer->methods));
	for (unsigned i = 0; peer->methods && i < service->n_methods; i++) {
		if (asprintf(&peer->methods[i], "%s/%s", service->name, service->methods[i].name) <
		    0) {
			peer->methods[i] = NULL;
			return -ENOMEM;
		}
	}
	return peer->methods ? 0 : -ENOMEM;
}

static int
peer_open(struct bus_peer *peer, const char *server_key)
{
	struct bus *bus = peer->bus;
	int r = bus_transport_of(peer->endpoint, &peer->transport);

	if (r == 0)
		r = bus_socket_for_client(bus, ZMQ_DEALER, peer->endpoint, server_key,
					  &peer->socket);
	if (r < 0)
		return r;
	peer->handle = zsock_resolve(peer->socket);
	peer->state = peer->transport == BUS_INPROC ? BUS_PEER_UP : BUS_PEER_CONNECTING;
	if (peer->transport != BUS_INPROC)
		r = bus_monitor_start(peer);
	if (r == 0 && zmq_connect(peer->handle, peer->endpoint) < 0)
		r = -errno;
	if (r == 0)
		r = loop_zsock_add(bus->loop, peer->socket, bus_peer_on_readable, peer,
				   &peer->watch);
	return r;
}

static void
peer_close_sockets(struct bus_peer *peer)
{
	peer->closing = true;
	if (peer->group)
		bus_group_close(peer->group);
	loop_timer_stop(&peer->again_timer);
	bus_monitor_stop(peer);
	loop_zsock_remove(&peer->watch);
	zsock_destroy(&peer->socket);
	peer->handle = NULL;
}

static int
peer_new(struct bus *bus, const char *endpoint, const char *server_key,
	 const ProtobufCServiceDescriptor *descriptor, struct bus_group *parent,
	 struct bus_peer **ret)
{
	bool are_many = !parent && bus_places_are_many(endpoint);
	struct bus_peer *peer;

	if (!are_many && strlen(endpoint) >= sizeof(peer->endpoint))
		return -EINVAL;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -ENOMEM;
	peer->service.descriptor = descriptor;
	peer->service.invoke = bus_peer_invoke;
	peer->bus = bus;
	peer->parent = parent;
	peer->last_waiting = &peer->first_waiting;
	if (!are_many)
		strcpy(peer->endpoint, endpoint);
	peer->next = bus->peers;
	bus->peers = peer;
	int r = name_methods(peer);
	if (r == 0)
		r = bus_tally_init(&peer->tally, bus->metrics, descriptor, BUS_SIDE_CLIENT);
	if (r == 0)
		r = are_many ? bus_group_new(peer, endpoint, server_key)
			     : peer_open(peer, server_key);
	if (r < 0) {
		peer_close_sockets(peer);
		peer_destroy(peer);
		return r;
	}
	*ret = peer;
	return 0;
}

int
bus_peer_new(struct bus *bus, const char *endpoints, const char *server_key,
	     const ProtobufCServiceDescriptor *descriptor, struct bus_peer **ret)
{
	return peer_new(bus, endpoints, server_key, descriptor, NULL, ret);
}

int
bus_peer_new_member(struct bus_group *parent, struct bus *bus, const char *endpoint,
		    const char *server_key, const ProtobufCServiceDescriptor *descriptor,
		    struct bus_peer **ret)
{
	return peer_new(bus, endpoint, server_key, descriptor, parent, ret);
}

void
bus_peer_free(struct bus_peer **peer)
{
	struct bus_peer *p = peer ? *peer : NULL;

	if (!p)
		return;
	*peer = NULL;
	p->busy++;
	peer_close_sockets(p);
	fail_all(p, "peer_closed");
	bus_pendings_finish_failed_of(p->bus, p);
	bus_peer_leave(p); /* closures that called once more are told later; then it goes */
}

static struct bus_peer *
first_open(const struct bus *bus)
{
	struct bus_peer *peer = bus->peers;

	while (peer && (peer->closing || peer->parent))
		peer = peer->next;
	return peer;
}

void
bus_peers_fini(struct bus *bus)
{
	for (struct bus_peer *peer; (peer = first_open(bus));)
		bus_peer_free(&peer);
	for (int i = 0; i < FAILED_ROUNDS_MAX && bus->first_failed; i++)
		bus_pendings_finish_failed(bus);
	loop_timer_stop(&bus->failed_timer);
	while (bus->peers)
		peer_destroy(bus->peers);
}
