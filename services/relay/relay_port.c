/*
 * relay_port: what a turn gathers is copied once into a message of its exact size, which the mesh
 * thread sends as it is.
 */
#include "relay/relay_port.h"

#include "relay/relay_mesh.h"
#include "relay/relay_shard.h"

#include <stdlib.h>
#include <string.h>

static void
make_key(uint8_t key[RELAY_END_KEY_BYTES], const uint8_t node_id[UUID_BYTES], uint32_t channel)
{
	memcpy(key, node_id, UUID_BYTES);
	relay_mesh_put32(key + UUID_BYTES, channel);
}

struct relay_port *
relay_port_get(struct relay_shard *shard, uint64_t link, bool is_new)
{
	struct relay_port *port = shard->ports.first;

	while (port != NULL && port->link != link)
		port = port->next;
	if (port != NULL || !is_new)
		return port;
	port = calloc(1, sizeof(*port));
	if (port == NULL)
		return NULL;
	if (idtable_init(&port->by_key, offsetof(struct relay_end, by_key),
			 offsetof(struct relay_end, key), RELAY_END_KEY_BYTES) < 0) {
		free(port);
		return NULL;
	}
	port->link = link;
	port->next = shard->ports.first;
	shard->ports.first = port;
	return port;
}

void
relay_port_put(struct relay_shard *shard, struct relay_port *port)
{
	struct relay_port **at = &shard->ports.first;

	if (!LIST_EMPTY(&port->ends))
		return;
	relay_port_flush(shard, port);
	while (*at != port)
		at = &(*at)->next;
	*at = port->next;
	idtable_fini(&port->by_key);
	free(port->data.bytes);
	free(port->control.bytes);
	free(port);
}

struct relay_end *
relay_end_new(struct relay_port *port, const uint8_t node_id[UUID_BYTES], uint32_t channel)
{
	struct relay_end *end = calloc(1, sizeof(*end));

	if (end == NULL)
		return NULL;
	make_key(end->key, node_id, channel);
	end->port = port;
	LIST_INSERT_HEAD(&port->ends, end, of_port);
	idtable_add(&port->by_key, end);
	return end;
}

void
relay_end_free(struct relay_end **end)
{
	struct relay_end *e = *end;

	*end = NULL;
	idtable_remove(&e->port->by_key, e);
	LIST_REMOVE(e, of_port);
	free(e);
}

struct relay_end *
relay_end_find(const struct relay_port *port, const uint8_t node_id[UUID_BYTES], uint32_t channel)
{
	uint8_t key[RELAY_END_KEY_BYTES];

	make_key(key, node_id, channel);
	return idtable_find(&port->by_key, key);
}

/* Data that the mesh thread is too far behind for is dropped; control is not, there is little. */
static void
hand_over(struct relay_shard *shard, struct relay_port *port, struct relay_gather *gather)
{
	bool is_control = gather == &port->control;
	struct relay_mesh_mail *mail = shard->mesh;
	int64_t n = (int64_t)gather->n;

	if (n == 0)
		return;
	gather->n = 0;
	if (!is_control && atomic_load_explicit(&mail->waiting_bytes, memory_order_relaxed) + n >
				   RELAY_MESH_WAITING_BYTES) {
		relay_count(&shard->counters, RELAY_MESH_DROPPED, 1);
		return;
	}
	struct relay_message *message = relay_message_new(RELAY_MESH_SEND, NULL, (size_t)n);
	if (message != NULL) {
		memcpy(message->bytes, gather->bytes, (size_t)n);
		message->link = port->link;
		message->queued_ms = shard->now_ms;
		atomic_fetch_add_explicit(&mail->waiting_bytes, n, memory_order_relaxed);
		if (relay_mailbox_send(&mail->mailbox, &message) == 0)
			return;
		atomic_fetch_sub_explicit(&mail->waiting_bytes, n, memory_order_relaxed);
		relay_message_free(&message);
	}
	relay_count(&shard->counters, RELAY_MESH_DROPPED, 1);
}

uint8_t *
relay_port_place(struct relay_shard *shard, struct relay_port *port, bool is_control,
		 const uint8_t node_id[UUID_BYTES], size_t n)
{
	struct relay_gather *gather = is_control ? &port->control : &port->data;

	if (gather->n + RELAY_MESH_SECTION_BYTES + n > RELAY_MESH_MESSAGE_MAX_BYTES)
		hand_over(shard, port, gather);
	if (gather->bytes == NULL)
		gather->bytes = malloc(RELAY_MESH_MESSAGE_MAX_BYTES);
	if (gather->bytes == NULL)
		return NULL;
	if (gather->n == 0)
		gather->bytes[gather->n++] = is_control ? RELAY_MESH_CONTROL : RELAY_MESH_DATA;
	uint8_t *at = gather->bytes + gather->n;
	relay_mesh_section_write(at, node_id, n);
	gather->n += RELAY_MESH_SECTION_BYTES + n;
	return at + RELAY_MESH_SECTION_BYTES;
}

void
relay_port_flush(struct relay_shard *shard, struct relay_port *port)
{
	hand_over(shard, port, &port->control);
	hand_over(shard, port, &port->data);
}
