/*
 * relay_mesh: the thread: its mailbox, into which shards and the control actor put what is to be
 * done, and what is done in time.
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
#include <sys/random.h>

enum {
	TICK_MS = 50,
	HELLO_MS = 200,
	SILENCE_MS = 2000, /* a link from which nothing came for so long is gone */
	STACK_BYTES = 1024 * 1024,
};

/* ---- from the shards and the control actor ---- */

static void
on_tie(struct relay_mesh *mesh, struct relay_message **message)
{
	const char *relay_id = (const char *)(*message)->bytes;
	const char *endpoint = relay_id + strlen(relay_id) + 1;
	const char *key = endpoint + strlen(endpoint) + 1;
	struct relay_link *link = relay_mesh_dialled_to(mesh, relay_id);

	if (link == NULL)
		link = relay_mesh_dial(mesh, relay_id, endpoint, key);
	if (link == NULL)
		return;
	(*message)->link = link->id;
	(*message)->next = link->ties;
	link->ties = *message;
	*message = NULL;
	if (link->is_up)
		relay_mesh_tell_ties(link);
}

static void
on_send(struct relay_mesh *mesh, struct relay_message **message)
{
	struct relay_link *link = idtable_find(&mesh->by_id, &(*message)->link);
	bool is_data = (*message)->bytes[0] == RELAY_MESH_DATA;

	atomic_fetch_sub_explicit(&mesh->mail.waiting_bytes, (int64_t)(*message)->n,
				  memory_order_relaxed);
	if (link == NULL || (is_data && !link->is_up)) {
		relay_count(&mesh->counters, RELAY_MESH_DROPPED, is_data);
		return;
	}
	relay_count(&mesh->counters, RELAY_MESH_DROPPED, relay_link_push(link, message));
	if (relay_link_is_stuck(link))
		relay_mesh_link_down(link, "takes nothing");
	else
		relay_mesh_send_waiting(link);
}

/* What was sent outside their callbacks may have left something to receive, of which their
 * descriptors say nothing any more. */
static void
look_again(struct relay_mesh *mesh)
{
	loop_zsock_check(mesh->router_watch);
	for (struct relay_link *link = mesh->links; link != NULL; link = link->next)
		if (link->watch != NULL)
			loop_zsock_check(link->watch);
}

static void
on_mail(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct relay_mesh *mesh = arg;
	struct relay_message *message = relay_mailbox_receive(&mesh->mail.mailbox);

	(void)fd;
	(void)events;
	while (message != NULL) {
		struct relay_message *next = message->next;

		if (message->kind == RELAY_MESH_SEND)
			on_send(mesh, &message);
		else if (message->kind == RELAY_TIE)
			on_tie(mesh, &message);
		else if (message->kind == RELAY_STOP)
			loop_stop(loop);
		relay_message_free(&message);
		message = next;
	}
	look_again(mesh);
}

/* ---- time ---- */

/* By way of another relay channels come no faster than legs do. */
static int64_t
opens_each_tick(const struct relay_settings *settings)
{
	return settings->accept_pace == 0
		       ? settings->legs_max
		       : (int64_t)settings->accept_pace * settings->shards * TICK_MS / 1000 + 1;
}

static void
on_tick(struct loop *loop, void *arg)
{
	struct relay_mesh *mesh = arg;
	int64_t now_ms = clock_monotonic_ms();
	bool is_hello = now_ms >= mesh->hello_ms;
	struct relay_link *next;

	(void)loop;
	relay_peers_refill(&mesh->peers, opens_each_tick(mesh->settings));
	if (is_hello)
		mesh->hello_ms = now_ms + HELLO_MS;
	for (struct relay_link *link = mesh->links; link != NULL; link = next) {
		next = link->next;
		if (now_ms - link->heard_ms > SILENCE_MS) {
			relay_mesh_link_down(link, "silent");
			continue;
		}
		relay_count(&mesh->counters, RELAY_MESH_DROPPED,
			    relay_link_age(link, now_ms, mesh->settings->queue_age_ms));
		if (is_hello || (link->is_dialled && link->their_link == 0))
			relay_mesh_say_hello(link);
		relay_mesh_send_waiting(link);
	}
	look_again(mesh);
}

/* ---- start ---- */

static void *
run(void *arg)
{
	struct relay_mesh *mesh = arg;

	pthread_setname_np(pthread_self(), "relay-mesh");
	log_set_service("relay");
	loop_run(mesh->loop);
	while (mesh->links != NULL)
		relay_mesh_link_free(mesh->links);
	return NULL;
}

int
relay_mesh_new(struct bus *bus, const char *bus_endpoint, const char *relay_id,
	       const struct relay_settings *settings, struct relay_mesh **ret)
{
	char endpoint[RELAY_MESH_ENDPOINT_BYTES];
	int r = relay_mesh_endpoint(bus_endpoint, endpoint);
	struct relay_mesh *mesh = r == 0 ? calloc(1, sizeof(*mesh)) : NULL;

	if (mesh == NULL)
		return r < 0 ? r : -ENOMEM;
	mesh->bus = bus;
	mesh->settings = settings;
	mesh->peers.opens_most = settings->legs_max;
	mesh->mail.mailbox.event_fd = -1;
	mesh->is_tcp = strncmp(endpoint, "tcp://", strlen("tcp://")) == 0;
	mesh->last_link = (uint64_t)clock_wall_ms() << 20; /* other ids than before a restart */
	snprintf(mesh->relay_id, sizeof(mesh->relay_id), "%s", relay_id);
	r = relay_mailbox_init(&mesh->mail.mailbox);
	if (r == 0)
		r = idtable_init(&mesh->by_id, offsetof(struct relay_link, by_id),
				 offsetof(struct relay_link, id), sizeof(uint64_t));
	if (r == 0)
		r = idtable_init(&mesh->by_route, offsetof(struct relay_link, by_route),
				 offsetof(struct relay_link, route_key), sizeof(uint64_t));
	if (r == 0 && getrandom(mesh->route_secret, sizeof(mesh->route_secret), 0) < 0)
		r = -errno;
	if (r == 0)
		r = bus_socket_bind(bus, ZMQ_ROUTER, endpoint, &mesh->router);
	if (r == 0)
		r = loop_new(&mesh->loop);
	if (r < 0) {
		log_error("mesh_bind", "endpoint=%s reason=\"%s\"", endpoint, strerror(-r));
		relay_mesh_free(&mesh);
		return r;
	}
	*ret = mesh;
	return 0;
}

int
relay_mesh_start(struct relay_mesh *mesh, struct relay_shard *const *shards, unsigned count)
{
	pthread_attr_t attributes;
	int r;

	mesh->shards = shards;
	mesh->shard_count = count;
	r = loop_zsock_add(mesh->loop, mesh->router, relay_mesh_on_routed, mesh,
			   &mesh->router_watch);
	if (r == 0)
		r = loop_fd_add(mesh->loop, mesh->mail.mailbox.event_fd, EPOLLIN, on_mail, mesh,
				&mesh->mail_watch);
	if (r == 0)
		r = loop_timer_start(mesh->loop, TICK_MS, TICK_MS, on_tick, mesh, &mesh->tick);
	if (r < 0 || (r = -pthread_attr_init(&attributes)) < 0)
		return r;
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	r = -pthread_create(&mesh->thread, &attributes, run, mesh);
	pthread_attr_destroy(&attributes);
	mesh->has_thread = r == 0;
	return r;
}

void
relay_mesh_stop(struct relay_mesh *mesh)
{
	if (!mesh->has_thread)
		return;
	loop_stop(mesh->loop);
	pthread_join(mesh->thread, NULL);
	mesh->has_thread = false;
}

void
relay_mesh_free(struct relay_mesh **mesh)
{
	struct relay_mesh *m = *mesh;

	*mesh = NULL;
	if (m == NULL)
		return;
	if (m->tick != NULL)
		loop_timer_stop(&m->tick);
	if (m->mail_watch != NULL)
		loop_fd_remove(&m->mail_watch);
	if (m->router_watch != NULL)
		loop_zsock_remove(&m->router_watch);
	bus_socket_close(&m->router);
	loop_free(&m->loop);
	idtable_fini(&m->by_id);
	idtable_fini(&m->by_route);
	if (m->mail.mailbox.event_fd >= 0)
		relay_mailbox_fini(&m->mail.mailbox);
	free(m);
}

struct relay_mesh_mail *
relay_mesh_mail(struct relay_mesh *mesh)
{
	return &mesh->mail;
}

const struct relay_counters *
relay_mesh_counters(const struct relay_mesh *mesh)
{
	return &mesh->counters;
}

int
relay_mesh_tie(struct relay_mesh *mesh, const uint8_t node_id[UUID_BYTES], uint64_t generation,
	       const char *relay_id, const char *bus_endpoint, const char *server_key)
{
	const char *key = server_key != NULL ? server_key : "";
	size_t id_n = strlen(relay_id) + 1, endpoint_n = strlen(bus_endpoint) + 1;
	struct relay_message *message =
		relay_message_new(RELAY_TIE, node_id, id_n + endpoint_n + strlen(key) + 1);

	if (message == NULL)
		return -ENOMEM;
	message->generation = generation;
	memcpy(message->bytes, relay_id, id_n);
	memcpy(message->bytes + id_n, bus_endpoint, endpoint_n);
	strcpy((char *)message->bytes + id_n + endpoint_n, key);
	int r = relay_mailbox_send(&mesh->mail.mailbox, &message);
	if (r < 0)
		relay_message_free(&message);
	return r;
}
