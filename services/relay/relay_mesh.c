/*
 * relay_mesh: the thread, its sockets and its links. Talks to: other relays' relay_mesh; the shards
 * and the control actor, by mailbox.
 */
#include "relay/relay_mesh.h"

#include "bus/bus_socket.h"
#include "log/log.h"
#include "loop/clock.h"
#include "relay.pb-c.h"
#include "relay/relay_mesh_link.h"
#include "relay/relay_mesh_wire.h"
#include "relay/relay_shard.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	VERSION = 1,
	TICK_MS = 50,
	HELLO_MS = 200,
	SILENCE_MS = 2000, /* a link from which nothing came for so long is gone */
	GRANT_BYTES = RELAY_LINK_WINDOW_BYTES / 4,
	RECEIVE_MAX = 256, /* messages in a row, before others have their turn */
	LINKS_MAX = 1024,
	SHARD_WAITING_BYTES = 8 * 1024 * 1024,
	STACK_BYTES = 1024 * 1024,
};

struct relay_mesh {
	struct bus *bus; /* for its keys alone, which do not change */
	const struct relay_settings *settings;
	char relay_id[RELAY_LINK_NAME_BYTES];
	bool is_tcp;
	zsock_t *router;

	struct relay_shard *const *shards;
	unsigned shard_count;
	struct relay_mesh_mail mail;
	struct relay_counters counters;

	pthread_t thread;
	bool has_thread;
	struct loop *loop;
	struct loop_zsock *router_watch;
	struct loop_fd *mail_watch;
	struct loop_timer *tick;
	int64_t hello_ms;
	struct relay_link *links;
	struct idtable by_id, by_route;
	uint64_t last_link, route_secret[2];
};

/* ---- to another relay ---- */

static void
free_sent(void *bytes, void *hint)
{
	struct relay_message *message = hint;

	/* ZeroMQ orders it after our last write; this says so to those who cannot see into it. */
	(void)bytes;
	(void)atomic_load_explicit(&message->is_handed_over, memory_order_acquire);
	relay_message_free(&message);
}

static int
send_part(void *handle, const void *bytes, size_t n, int flags)
{
	return zmq_send(handle, bytes, n, ZMQ_DONTWAIT | flags) < 0 ? -errno : 0;
}

static void *
handle_of(const struct relay_link *link)
{
	return zsock_resolve(link->is_dialled ? link->socket : link->mesh->router);
}

/* A message that a full socket refused would be lost: it is taken from its queue to be sent. */
static int
has_room(void *handle)
{
	int events = 0;
	size_t n = sizeof(events);

	if (zmq_getsockopt(handle, ZMQ_EVENTS, &events, &n) < 0)
		return -errno;
	return events & ZMQ_POLLOUT ? 0 : -EAGAIN;
}

/* -EAGAIN: not now. -EHOSTUNREACH: never more. */
static int
send_route(const struct relay_link *link)
{
	void *handle = handle_of(link);

	return link->is_dialled ? has_room(handle)
				: send_part(handle, link->route, link->route_n, ZMQ_SNDMORE);
}

static void
say_hello(struct relay_link *link)
{
	Boson__Relay__Mesh mesh = BOSON__RELAY__MESH__INIT;
	Boson__Relay__MeshHello hello = BOSON__RELAY__MESH_HELLO__INIT;
	uint8_t packed[256];

	hello.has_version = hello.has_link = hello.has_received = 1;
	hello.version = VERSION;
	hello.relay_id = link->mesh->relay_id;
	hello.link = link->id;
	hello.received = link->received;
	mesh.body_case = BOSON__RELAY__MESH__BODY_HELLO;
	mesh.hello = &hello;
	packed[0] = RELAY_MESH_LINK;
	size_t n = 1 + boson__relay__mesh__pack(&mesh, packed + 1);
	if (send_route(link) == 0 && send_part(handle_of(link), packed, n, 0) == 0)
		link->said = link->received;
}

/* One that was sent, as it lies; the ZeroMQ thread frees it. */
static int
send_message(struct relay_link *link, struct relay_message *message)
{
	size_t n = message->n;
	zmq_msg_t part;
	int r = send_route(link);

	if (r < 0)
		return r;
	message = relay_link_take(link);
	atomic_store_explicit(&message->is_handed_over, true, memory_order_release);
	if (zmq_msg_init_data(&part, message->bytes, n, free_sent, message) < 0) {
		relay_message_free(&message);
		return -ENOMEM;
	}
	if (zmq_msg_send(&part, handle_of(link), ZMQ_DONTWAIT) < 0) {
		r = -errno;
		zmq_msg_close(&part); /* frees it */
		relay_count(&link->mesh->counters, RELAY_MESH_DROPPED, 1);
		return r;
	}
	relay_count(&link->mesh->counters, RELAY_MESH_BYTES_OUT, n);
	return 0;
}

static void link_down(struct relay_link *link, const char *reason);

/* Everything that may go. The link may be gone after it. */
static void
send_waiting(struct relay_link *link)
{
	struct relay_message *message;
	int r = 0;

	while (r == 0 && (message = relay_link_peek(link)) != NULL)
		r = send_message(link, message);
	if (r < 0 && r != -EAGAIN)
		link_down(link, strerror(-r));
}

/* ---- links ---- */

static int
tell_shard(struct relay_mesh *mesh, unsigned shard, struct relay_message **message)
{
	int r = relay_mailbox_send(&mesh->shards[shard]->mailbox, message);

	if (r < 0)
		relay_message_free(message);
	return r;
}

/* A shard whose mailbox is full must still hear it: it is emptied all the time. */
static void
tell_down(struct relay_mesh *mesh, uint64_t link)
{
	for (unsigned i = 0; i < mesh->shard_count; i++) {
		struct relay_message *message = relay_message_new(RELAY_MESH_DOWN, NULL, 0);

		if (message == NULL)
			continue;
		message->link = link;
		while (relay_mailbox_send(&mesh->shards[i]->mailbox, &message) < 0)
			nanosleep(&(struct timespec){ .tv_nsec = 1000 * 1000 }, NULL);
	}
}

static struct relay_link *
link_new(struct relay_mesh *mesh, bool is_dialled)
{
	struct relay_link *link = mesh->by_id.count < LINKS_MAX ? calloc(1, sizeof(*link)) : NULL;

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

static void
link_free(struct relay_link *link)
{
	struct relay_mesh *mesh = link->mesh;
	struct relay_link **at = &mesh->links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	idtable_remove(&mesh->by_id, link);
	if (!link->is_dialled)
		idtable_remove(&mesh->by_route, link);
	if (link->watch != NULL)
		loop_zsock_remove(&link->watch);
	bus_socket_close(&link->socket);
	relay_link_clear(link);
	relay_count(&mesh->counters, RELAY_MESH_LINKS, (uint64_t)-1);
	free(link);
}

/* Nodes that are reached by way of this link: what is sent before it is up would be lost. */
static void
tell_ties(struct relay_link *link)
{
	while (link->ties != NULL) {
		struct relay_message *tie = link->ties;

		link->ties = tie->next;
		tell_shard(link->mesh, relay_shard_of(tie->node_id, link->mesh->shard_count), &tie);
	}
}

static void
link_down(struct relay_link *link, const char *reason)
{
	tell_ties(link); /* so that they are sought anew */
	log_info("mesh_link_down", "relay=%s way=%s reason=\"%s\"", link->relay_id,
		 link->is_dialled ? "out" : "in", reason);
	tell_down(link->mesh, link->id);
	link_free(link);
}

/* ---- from another relay ---- */

/* What came is copied to each shard that has something in it: they work on it in place. */
static void
hand_to_shard(struct relay_link *link, unsigned i, const uint8_t *bytes, size_t n, bool is_control)
{
	struct relay_mesh *mesh = link->mesh;
	struct relay_shard *shard = mesh->shards[i];
	int64_t waiting = atomic_load_explicit(&shard->mesh_bytes, memory_order_relaxed);
	struct relay_message *message = NULL;

	if (is_control || waiting + (int64_t)n <= SHARD_WAITING_BYTES)
		message = relay_message_new(RELAY_MESH_SECTIONS, NULL, n);
	if (message != NULL) {
		memcpy(message->bytes, bytes, n);
		message->link = link->id;
		message->is_dialled = link->is_dialled;
		atomic_fetch_add_explicit(&shard->mesh_bytes, (int64_t)n, memory_order_relaxed);
		if (tell_shard(mesh, i, &message) == 0)
			return;
		atomic_fetch_sub_explicit(&shard->mesh_bytes, (int64_t)n, memory_order_relaxed);
	}
	relay_count(&mesh->counters, RELAY_MESH_DROPPED, 1);
	/* The two would disagree on channels for good: they start anew. */
	if (is_control)
		link->is_up = false;
}

static void
on_sections(struct relay_link *link, uint8_t *bytes, size_t n, bool is_control)
{
	struct relay_mesh *mesh = link->mesh;
	struct relay_mesh_section section;
	uint64_t shards = 0;
	uint8_t *at = bytes;
	int r;

	while ((r = relay_mesh_section_next(&at, bytes + n, &section)) == 1)
		shards |= UINT64_C(1) << relay_shard_of(section.node_id, mesh->shard_count);
	if (r < 0)
		relay_count(&mesh->counters, RELAY_BAD_MESSAGES, 1);
	for (unsigned i = 0; r == 0 && i < mesh->shard_count; i++)
		if ((shards >> i & 1) != 0)
			hand_to_shard(link, i, bytes, n, is_control);
	relay_count(&mesh->counters, RELAY_MESH_BYTES_IN, n);
	if (!is_control)
		link->received += n + 1; /* as the sender counts */
}

/* False: the link is gone. */
static bool
on_hello(struct relay_link *link, const Boson__Relay__MeshHello *hello)
{
	if (!hello->has_version || hello->version != VERSION || hello->relay_id == NULL ||
	    strlen(hello->relay_id) >= sizeof(link->relay_id) || hello->link == 0) {
		link_down(link, "not understood");
		return false;
	}
	if (link->their_link != 0 && link->their_link != hello->link) {
		link_down(link, "the other side began anew");
		return false;
	}
	bool is_new = link->their_link == 0;
	link->their_link = hello->link;
	strcpy(link->relay_id, hello->relay_id);
	if (hello->received <= link->sent)
		link->granted = hello->received + RELAY_LINK_WINDOW_BYTES;
	link->is_up = true;
	if (is_new) {
		log_info("mesh_link_up", "relay=%s way=%s", link->relay_id,
			 link->is_dialled ? "out" : "in");
		if (!link->is_dialled)
			say_hello(link);
		tell_ties(link);
	}
	return true;
}

/* False: the link is gone. */
static bool
on_link_message(struct relay_link *link, const uint8_t *bytes, size_t n)
{
	ProtobufCMessage *unpacked;
	bool is_there = true;

	if (bus_message_unpack(&boson__relay__mesh__descriptor, bytes, n, &unpacked) < 0) {
		relay_count(&link->mesh->counters, RELAY_BAD_MESSAGES, 1);
		return true;
	}
	const Boson__Relay__Mesh *mesh = (const Boson__Relay__Mesh *)unpacked;
	if (mesh->body_case == BOSON__RELAY__MESH__BODY_HELLO)
		is_there = on_hello(link, mesh->hello);
	protobuf_c_message_free_unpacked(unpacked, NULL);
	return is_there;
}

/* False: the link is gone. */
static bool
on_message(struct relay_link *link, uint8_t *bytes, size_t n)
{
	link->heard_ms = clock_monotonic_ms();
	if (n > 1 && bytes[0] == RELAY_MESH_LINK)
		return on_link_message(link, bytes + 1, n - 1);
	if (link->their_link == 0)
		return true; /* before its hello: of a link that was */
	if (n > 1 && (bytes[0] == RELAY_MESH_DATA || bytes[0] == RELAY_MESH_CONTROL))
		on_sections(link, bytes + 1, n - 1, bytes[0] == RELAY_MESH_CONTROL);
	else
		relay_count(&link->mesh->counters, RELAY_BAD_MESSAGES, 1);
	if (!link->is_up) {
		link_down(link, "shards are too far behind");
		return false;
	}
	if (link->received - link->said >= GRANT_BYTES)
		say_hello(link);
	return true;
}

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
			is_there = on_message(link, zmq_msg_data(&part), zmq_msg_size(&part));
		zmq_msg_close(&part);
	}
	if (is_there)
		send_waiting(link);
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

static struct relay_link *
accept_link(struct relay_mesh *mesh, const void *route, size_t n)
{
	struct relay_link *link = n <= RELAY_LINK_ROUTE_BYTES ? link_new(mesh, false) : NULL;

	if (link == NULL)
		return NULL;
	memcpy(link->route, route, n);
	link->route_n = n;
	link->route_key = idtable_siphash(mesh->route_secret, route, n);
	idtable_add(&mesh->by_route, link);
	return link;
}

/* Over tcp the name is the CURVE key's, by the allow-list. */
static bool
is_relay(const struct relay_mesh *mesh, zmq_msg_t *part)
{
	const char *name = mesh->is_tcp ? zmq_msg_gets(part, "User-Id") : "relay";

	return name != NULL && strncmp(name, "relay", strlen("relay")) == 0;
}

static void
take_routed(struct relay_mesh *mesh, zmq_msg_t *route, zmq_msg_t *part)
{
	const void *name = zmq_msg_data(route);
	size_t n = zmq_msg_size(route), part_n = zmq_msg_size(part);
	uint8_t *bytes = zmq_msg_data(part);
	struct relay_link *link = link_of_route(mesh, name, n);

	if (!is_relay(mesh, part)) {
		relay_count(&mesh->counters, RELAY_BAD_MESSAGES, 1);
		return;
	}
	if (link == NULL && part_n > 1 && bytes[0] == RELAY_MESH_LINK)
		link = accept_link(mesh, name, n);
	if (link != NULL && on_message(link, bytes, part_n))
		send_waiting(link);
}

static void
on_routed(struct loop *loop, zsock_t *socket, void *arg)
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

/* ---- from the shards and the control actor ---- */

static struct relay_link *
dialled_to(const struct relay_mesh *mesh, const char *relay_id)
{
	struct relay_link *link = mesh->links;

	while (link != NULL && (!link->is_dialled || strcmp(link->relay_id, relay_id) != 0))
		link = link->next;
	return link;
}

static struct relay_link *
dial(struct relay_mesh *mesh, const char *relay_id, const char *bus_endpoint, const char *key)
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
	link_free(link);
	return NULL;
}

static void
on_tie(struct relay_mesh *mesh, struct relay_message **message)
{
	const char *relay_id = (const char *)(*message)->bytes;
	const char *endpoint = relay_id + strlen(relay_id) + 1;
	const char *key = endpoint + strlen(endpoint) + 1;
	struct relay_link *link = dialled_to(mesh, relay_id);

	if (link == NULL)
		link = dial(mesh, relay_id, endpoint, key);
	if (link == NULL)
		return;
	(*message)->link = link->id;
	(*message)->next = link->ties;
	link->ties = *message;
	*message = NULL;
	if (link->is_up)
		tell_ties(link);
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
		link_down(link, "takes nothing");
	else
		send_waiting(link);
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

static void
on_tick(struct loop *loop, void *arg)
{
	struct relay_mesh *mesh = arg;
	int64_t now_ms = clock_monotonic_ms();
	bool is_hello = now_ms >= mesh->hello_ms;
	struct relay_link *next;

	(void)loop;
	if (is_hello)
		mesh->hello_ms = now_ms + HELLO_MS;
	for (struct relay_link *link = mesh->links; link != NULL; link = next) {
		next = link->next;
		if (now_ms - link->heard_ms > SILENCE_MS) {
			link_down(link, "silent");
			continue;
		}
		relay_count(&mesh->counters, RELAY_MESH_DROPPED,
			    relay_link_age(link, now_ms, mesh->settings->queue_age_ms));
		if (is_hello || (link->is_dialled && link->their_link == 0))
			say_hello(link);
		send_waiting(link);
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
		link_free(mesh->links);
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
	r = loop_zsock_add(mesh->loop, mesh->router, on_routed, mesh, &mesh->router_watch);
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
