/*
 * relay_mesh_dial: links come and go: dialled by us, or by another relay at our ROUTER.
 */
#include "relay/relay_mesh_inside.h"

#include "bus/bus_socket.h"
#include "log/log.h"
#include "loop/clock.h"
#include "loop/loop.h"
#include "relay/relay_mesh_wire.h"
#include "relay/relay_shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECEIVE_MAX = 256, /* messages in a row, before others have their turn */
	ACCEPTED_MAX = 1024,
};

/* ---- links ---- */

static void
tell_down(struct relay_mesh *mesh, uint64_t link)
{
	for (unsigned i = 0; i < mesh->shard_count; i++)
		relay_mailbox_insist(&mesh->shards[i]->mailbox, RELAY_MESH_DOWN, link);
}

static struct relay_link *
link_new(struct relay_mesh *mesh, bool is_dialled)
{
	struct relay_link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return NULL;
	link->id = ++mesh->last_link;
	link->mesh = mesh;
	link->is_dialled = is_dialled;
	link->heard_ms = clock_monotonic_ms();
	link->granted = RELAY_LINK_WINDOW_BYTES;
	link->next = mesh->links;
	mesh->links = link;
	idtable_add(&mesh->by_id, link);
	relay_count(&mesh->counters, RELAY_MESH_LINKS, 1);
	return link;
}

void
relay_mesh_link_free(struct relay_link *link)
{
	struct relay_mesh *mesh = link->mesh;
	struct relay_link **at = &mesh->links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	idtable_remove(&mesh->by_id, link);
	if (!link->is_dialled) {
		idtable_remove(&mesh->by_route, link);
		mesh->accepted--;
	}
	if (link->watch != NULL)
		loop_zsock_remove(&link->watch);
	bus_socket_close(&link->socket);
	relay_link_clear(link);
	relay_peer_put(&link->peer);
	relay_count(&mesh->counters, RELAY_MESH_LINKS, (uint64_t)-1);
	free(link);
}

/* Nodes that are reached by way of this link: what is sent before it is up would be lost. */
void
relay_mesh_tell_ties(struct relay_link *link)
{
	while (link->ties != NULL) {
		struct relay_message *tie = link->ties;

		link->ties = tie->next;
		relay_mesh_tell_shard(link->mesh,
				      relay_shard_of(tie->node_id, link->mesh->shard_count), &tie);
	}
}

void
relay_mesh_link_down(struct relay_link *link, const char *reason)
{
	relay_mesh_tell_ties(link); /* so that they are sought anew */
	log_info("mesh_link_down", "relay=%s way=%s reason=\"%s\"", link->relay_id,
		 link->is_dialled ? "out" : "in", reason);
	tell_down(link->mesh, link->id);
	relay_mesh_link_free(link);
}

/* ---- accepted, and what comes ---- */

static void
on_dialled(struct loop *loop, zsock_t *socket, void *arg)
{
	struct relay_link *link = arg;
	bool is_there = true;
	zmq_msg_t part;

	(void)loop;
	for (int i = 0; is_there && i < RECEIVE_MAX; i++) {
		zmq_msg_init(&part);
		if (zmq_msg_recv(&part, zsock_resolve(socket), ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&part);
			break;
		}
		if (!zmq_msg_more(&part))
			is_there = relay_mesh_hear(link, zmq_msg_data(&part), zmq_msg_size(&part));
		zmq_msg_close(&part);
	}
	if (is_there)
		relay_mesh_send_waiting(link);
}

static struct relay_link *
link_of_route(struct relay_mesh *mesh, const void *route, size_t n)
{
	uint64_t key = idtable_siphash(mesh->route_secret, route, n);
	struct relay_link *link = idtable_find(&mesh->by_route, &key);

	if (link != NULL && (link->route_n != n || memcmp(link->route, route, n) != 0))
		return NULL;
	return link;
}

/* No name has more than its share: who stole one key does not keep all others out. */
static int
accept_link(struct relay_mesh *mesh, const char *name, const void *route, size_t n,
	    struct relay_link **ret)
{
	struct relay_mesh_peer *peer;
	int r = n > RELAY_LINK_ROUTE_BYTES	 ? -EINVAL
		: mesh->accepted >= ACCEPTED_MAX ? -ENFILE
						 : relay_peer_get(&mesh->peers, name, &peer);

	if (r < 0)
		return r;
	struct relay_link *link = link_new(mesh, false);
	if (link == NULL) {
		relay_peer_put(&peer);
		return -ENOMEM;
	}
	mesh->accepted++;
	link->peer = peer;
	memcpy(link->route, route, n);
	link->route_n = n;
	link->route_key = idtable_siphash(mesh->route_secret, route, n);
	idtable_add(&mesh->by_route, link);
	*ret = link;
	return 0;
}

static struct relay_link *
accept_or_refuse(struct relay_mesh *mesh, const char *name, const void *route, size_t n)
{
	struct relay_link *link = NULL;
	int r = accept_link(mesh, name, route, n, &link);

	if (r == 0)
		return link;
	const char *reason =
		r == -EDQUOT ? "too many links of this name" : "no room for another link";
	relay_count(&mesh->counters,
		    r == -EDQUOT ? RELAY_MESH_REFUSED_LINKS : RELAY_MESH_REFUSED_FULL, 1);
	log_warn("mesh_refuses", "peer=%s reason=\"%s\"", name, reason);
	relay_mesh_say_refused(mesh, route, n, reason);
	return NULL;
}

/* Over tcp it is the CURVE key's, by the allow-list. NULL: no relay's. */
static const char *
relay_name(const struct relay_mesh *mesh, zmq_msg_t *part)
{
	const char *name = mesh->is_tcp ? zmq_msg_gets(part, "User-Id") : "relay";

	return name != NULL && strncmp(name, "relay", strlen("relay")) == 0 ? name : NULL;
}

static void
take_routed(struct relay_mesh *mesh, zmq_msg_t *route, zmq_msg_t *part)
{
	const void *id = zmq_msg_data(route);
	size_t n = zmq_msg_size(route), part_n = zmq_msg_size(part);
	uint8_t *bytes = zmq_msg_data(part);
	const char *name = relay_name(mesh, part);
	struct relay_link *link = link_of_route(mesh, id, n);

	/* Who dials gives his route as he likes, also one that was another's. */
	if (name == NULL || (link != NULL && strcmp(link->peer->name, name) != 0)) {
		relay_count(&mesh->counters, RELAY_BAD_MESSAGES, 1);
		return;
	}
	if (link == NULL && part_n > 1 && bytes[0] == RELAY_MESH_LINK)
		link = accept_or_refuse(mesh, name, id, n);
	if (link != NULL && relay_mesh_hear(link, bytes, part_n))
		relay_mesh_send_waiting(link);
}

void
relay_mesh_on_routed(struct loop *loop, zsock_t *socket, void *arg)
{
	struct relay_mesh *mesh = arg;
	void *handle = zsock_resolve(socket);
	zmq_msg_t route, part;

	(void)loop;
	for (int i = 0; i < RECEIVE_MAX; i++) {
		zmq_msg_init(&route);
		zmq_msg_init(&part);
		bool is_whole = zmq_msg_recv(&route, handle, ZMQ_DONTWAIT) >= 0 &&
				zmq_msg_more(&route) &&
				zmq_msg_recv(&part, handle, ZMQ_DONTWAIT) >= 0;
		bool has_more = is_whole && zmq_msg_more(&part);
		if (is_whole && !has_more)
			take_routed(mesh, &route, &part);
		while (has_more && zmq_msg_recv(&part, handle, ZMQ_DONTWAIT) >= 0)
			has_more = zmq_msg_more(&part);
		zmq_msg_close(&route);
		zmq_msg_close(&part);
		if (!is_whole)
			return;
	}
}

/* ---- dialled ---- */

struct relay_link *
relay_mesh_dialled_to(const struct relay_mesh *mesh, const char *relay_id)
{
	struct relay_link *link = mesh->links;

	while (link != NULL && (!link->is_dialled || strcmp(link->relay_id, relay_id) != 0))
		link = link->next;
	return link;
}

struct relay_link *
relay_mesh_dial(struct relay_mesh *mesh, const char *relay_id, const char *bus_endpoint,
		const char *key)
{
	char endpoint[RELAY_MESH_ENDPOINT_BYTES];
	struct relay_link *link = NULL;
	int r = relay_mesh_endpoint(bus_endpoint, endpoint);

	if (r == 0)
		link = link_new(mesh, true);
	if (link == NULL)
		return NULL;
	snprintf(link->relay_id, sizeof(link->relay_id), "%s", relay_id);
	r = bus_socket_for_client(mesh->bus, ZMQ_DEALER, endpoint, *key != '\0' ? key : NULL,
				  &link->socket);
	if (r == 0 && zmq_connect(zsock_resolve(link->socket), endpoint) < 0)
		r = -errno;
	if (r == 0)
		r = loop_zsock_add(mesh->loop, link->socket, on_dialled, link, &link->watch);
	if (r == 0)
		return link;
	log_warn("mesh_dial", "relay=%s reason=\"%s\"", relay_id, strerror(-r));
	relay_mesh_link_free(link);
	return NULL;
}
