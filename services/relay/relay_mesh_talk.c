/*
 * relay_mesh_talk: what is said over a link: hellos, with the credit in them, and messages of
 * sections; see docs/protocol.md, "Mesh".
 */
#include "relay/relay_mesh_inside.h"

#include "bus/bus.h"
#include "log/log.h"
#include "loop/clock.h"
#include "relay.pb-c.h"
#include "relay/relay_mesh_wire.h"
#include "relay/relay_shard.h"

#include <errno.h>
#include <string.h>

enum {
	VERSION = 1,
	GRANT_BYTES = RELAY_LINK_WINDOW_BYTES / 4,
	SHARD_WAITING_BYTES = 8 * 1024 * 1024,
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

void
relay_mesh_say_hello(struct relay_link *link)
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

void
relay_mesh_say_refused(struct relay_mesh *mesh, const void *route, size_t n, const char *reason)
{
	Boson__Relay__Mesh said = BOSON__RELAY__MESH__INIT;
	Boson__Relay__MeshRefused refused = BOSON__RELAY__MESH_REFUSED__INIT;
	uint8_t packed[128] = { RELAY_MESH_LINK };
	void *handle = zsock_resolve(mesh->router);

	refused.reason = (char *)(uintptr_t)reason;
	said.body_case = BOSON__RELAY__MESH__BODY_REFUSED;
	said.refused = &refused;
	size_t packed_n = 1 + boson__relay__mesh__pack(&said, packed + 1);
	if (send_part(handle, route, n, ZMQ_SNDMORE) == 0)
		(void)send_part(handle, packed, packed_n, 0);
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

/* Everything that may go. The link may be gone after it. */
void
relay_mesh_send_waiting(struct relay_link *link)
{
	struct relay_message *message;
	int r = 0;

	while (r == 0 && (message = relay_link_peek(link)) != NULL)
		r = send_message(link, message);
	if (r < 0 && r != -EAGAIN)
		relay_mesh_link_down(link, strerror(-r));
}

/* ---- from another relay ---- */

int
relay_mesh_tell_shard(struct relay_mesh *mesh, unsigned shard, struct relay_message **message)
{
	int r = relay_mailbox_send(&mesh->shards[shard]->mailbox, message);

	if (r < 0)
		relay_message_free(message);
	return r;
}

/* What came is copied to each shard that has something in it: they work on it in place. */
static void
hand_to_shard(struct relay_link *link, unsigned i, const uint8_t *bytes, size_t n, bool is_control)
{
	struct relay_mesh *mesh = link->mesh;
	struct relay_shard *shard = mesh->shards[i];
	int64_t waiting = atomic_load_explicit(&shard->mesh_bytes, memory_order_relaxed);
	struct relay_message *message = NULL;

	if ((is_control || waiting + (int64_t)n <= SHARD_WAITING_BYTES) &&
	    relay_peer_room_take(link->peer, n) &&
	    (message = relay_message_new(RELAY_MESH_SECTIONS, NULL, n)) == NULL)
		relay_peer_room_put(link->peer, n);
	if (message != NULL) {
		memcpy(message->bytes, bytes, n);
		message->link = link->id;
		message->peer = link->peer;
		message->is_dialled = link->is_dialled;
		atomic_fetch_add_explicit(&shard->mesh_bytes, (int64_t)n, memory_order_relaxed);
		if (relay_mesh_tell_shard(mesh, i, &message) == 0)
			return;
		atomic_fetch_sub_explicit(&shard->mesh_bytes, (int64_t)n, memory_order_relaxed);
		relay_peer_room_put(link->peer, n);
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
		relay_mesh_link_down(link, "not understood");
		return false;
	}
	if (link->their_link != 0 && link->their_link != hello->link) {
		relay_mesh_link_down(link, "the other side began anew");
		return false;
	}
	/* Addresses come into other hands: what was meant for one relay is not for the next one. */
	if (*link->relay_id != '\0' && strcmp(link->relay_id, hello->relay_id) != 0) {
		relay_mesh_link_down(link, "another relay is there");
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
			relay_mesh_say_hello(link);
		relay_mesh_tell_ties(link);
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
	if (mesh->body_case == BOSON__RELAY__MESH__BODY_HELLO) {
		is_there = on_hello(link, mesh->hello);
	} else if (mesh->body_case == BOSON__RELAY__MESH__BODY_REFUSED && link->is_dialled) {
		log_warn("mesh_refused", "relay=%s reason=\"%s\"", link->relay_id,
			 mesh->refused->reason != NULL ? mesh->refused->reason : "");
		relay_mesh_link_down(link, "refused");
		is_there = false;
	}
	protobuf_c_message_free_unpacked(unpacked, NULL);
	return is_there;
}

/* False: the link is gone. */
bool
relay_mesh_hear(struct relay_link *link, uint8_t *bytes, size_t n)
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
		relay_mesh_link_down(link, "shards are too far behind");
		return false;
	}
	if (link->received - link->said >= GRANT_BYTES)
		relay_mesh_say_hello(link);
	return true;
}
