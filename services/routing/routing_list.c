/*
 * routing_list: see the header. Written one piece of the table's memory at a time, so that nobody
 * waits; never synced: it is a convenience, and one that is torn is passed over.
 */
#include "routing/routing_list_inside.h"

#include "discovery.pb-c.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PIECE_MS = 50, /* between two pieces of memory */
	PAGE_NODES = 128,
	PATH_BYTES = 512,
};

/* A Node and what it points to. */
struct line {
	Boson__Discovery__Node node;
	Boson__Discovery__Capabilities capabilities;
	Boson__Discovery__NodeMetrics metrics;
	Boson__Common__Bandwidth bandwidth, used;
	Boson__Common__Location location;
	char id[UUID_TEXT_BYTES], registered_at[CLOCK_ISO8601_BYTES];
};

struct routing_list {
	struct routing *routing;
	struct loop_timer *timer;
	int64_t every_ms;
	int fd; /* while it is being written */
	int error;
	const struct table_piece *piece; /* the last that was */
	struct line lines[PAGE_NODES];
	Boson__Discovery__Node *nodes[PAGE_NODES];
	size_t count;
	uint8_t *bytes;
	size_t capacity;
	char path[PATH_BYTES], temporary[PATH_BYTES];
};

/* ---- to write ---- */

static void
write_all(struct routing_list *list, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	while (list->error == 0 && n > 0) {
		ssize_t written = write(list->fd, at, n);

		if (written < 0 && errno != EINTR)
			list->error = -errno;
		if (written > 0) {
			at += written;
			n -= (size_t)written;
		}
	}
}

static void
write_page(struct routing_list *list, const Boson__Discovery__SnapshotReply *page)
{
	uint32_t n = (uint32_t)boson__discovery__snapshot_reply__get_packed_size(page);

	if (n > list->capacity) {
		uint8_t *bytes = realloc(list->bytes, n);

		if (bytes == NULL) {
			list->error = -ENOMEM;
			return;
		}
		list->bytes = bytes;
		list->capacity = n;
	}
	(void)boson__discovery__snapshot_reply__pack(page, list->bytes);
	write_all(list, &n, sizeof(n));
	write_all(list, list->bytes, n);
}

static void
write_nodes(struct routing_list *list)
{
	Boson__Discovery__SnapshotReply page = BOSON__DISCOVERY__SNAPSHOT_REPLY__INIT;

	page.n_nodes = list->count;
	page.nodes = list->nodes;
	if (list->count > 0)
		write_page(list, &page);
	list->count = 0;
}

static void
write_relays(struct routing_list *list)
{
	Boson__Discovery__SnapshotReply page = BOSON__DISCOVERY__SNAPSHOT_REPLY__INIT;
	const struct table *table = &list->routing->table;
	Boson__Common__Relay relays[TABLE_RELAYS_MAX], *pointers[TABLE_RELAYS_MAX];

	page.relays = pointers;
	for (size_t i = 0; i < table->relay_count; i++) {
		pointers[page.n_relays] = &relays[page.n_relays];
		if (routing_links_describe(list->routing, table->relays[i]->id,
					   &relays[page.n_relays]))
			page.n_relays++;
	}
	if (page.n_relays > 0)
		write_page(list, &page);
}

static void
fill_bandwidth(Boson__Common__Bandwidth *bandwidth, double mbits)
{
	boson__common__bandwidth__init(bandwidth);
	bandwidth->has_up = bandwidth->has_down = 1;
	bandwidth->up = bandwidth->down = mbits;
}

static void
fill_line(struct line *line, const struct table_node *node)
{
	boson__discovery__node__init(&line->node);
	boson__discovery__capabilities__init(&line->capabilities);
	boson__discovery__node_metrics__init(&line->metrics);
	boson__common__location__init(&line->location);
	uuid_format(node->id, line->id);
	line->node.node_id = line->id;
	line->node.public_key = (char *)(uintptr_t)node->public_key;
	line->node.status = (char *)(uintptr_t)(node->online ? "online" : "offline");
	line->node.capabilities = &line->capabilities;
	line->capabilities.has_max_connections = 1;
	line->capabilities.max_connections = node->max_connections;
	line->capabilities.bandwidth = &line->bandwidth;
	fill_bandwidth(&line->bandwidth, node->bandwidth_mbits);
	line->node.metrics = &line->metrics;
	line->metrics.has_active_connections = 1;
	line->metrics.active_connections = node->active_connections;
	line->metrics.bandwidth = &line->used;
	fill_bandwidth(&line->used, node->bandwidth_used_mbits);
	line->node.location = &line->location;
	if (node->country[0] != '\0')
		line->location.country = (char *)(uintptr_t)node->country;
	if (node->region[0] != '\0')
		line->location.region = (char *)(uintptr_t)node->region;
	if (node->registered_wall_ms != 0) {
		clock_format_iso8601(node->registered_wall_ms, line->registered_at);
		line->node.registered_at = line->registered_at;
	}
	line->node.has_version = 1;
	line->node.version = node->version;
}

static void
add_node(const struct table_node *node, void *arg)
{
	struct routing_list *list = arg;

	fill_line(&list->lines[list->count], node);
	list->nodes[list->count] = &list->lines[list->count].node;
	if (++list->count == PAGE_NODES)
		write_nodes(list);
}

static void tick(struct loop *loop, void *arg);

static void
wait_for(struct routing_list *list, int64_t ms)
{
	if (loop_timer_start(list->routing->context->loop, ms, 0, tick, list, &list->timer) != 0)
		log_error("list_timer_not_started", "ms=%d", (int)ms);
}

static bool
begin(struct routing_list *list)
{
	list->piece = NULL;
	list->error = 0;
	list->fd = open(list->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (list->fd < 0) {
		log_warn("list_not_written", "error=%d", -errno);
		return false;
	}
	write_all(list, ROUTING_LIST_MARK, ROUTING_LIST_MARK_BYTES);
	write_relays(list);
	return true;
}

static void
end(struct routing_list *list)
{
	static const uint32_t none = 0;

	write_nodes(list);
	write_all(list, &none, sizeof(none));
	if (close(list->fd) != 0 && list->error == 0)
		list->error = -errno;
	list->fd = -1;
	if (list->error == 0 && rename(list->temporary, list->path) != 0)
		list->error = -errno;
	if (list->error != 0)
		log_warn("list_not_written", "error=%d", list->error);
}

static void
tick(struct loop *loop, void *arg)
{
	struct routing_list *list = arg;
	const struct table *table = &list->routing->table;

	(void)loop;
	list->timer = NULL;
	if (list->fd < 0 && (!routing_has_candidates(list->routing) || !begin(list))) {
		wait_for(list, list->every_ms);
		return;
	}
	list->piece = table_piece_next(table, list->piece);
	if (list->piece != NULL)
		table_piece_each(list->piece, add_node, list);
	if (list->error == 0 && table_piece_next(table, list->piece) != NULL) {
		wait_for(list, PIECE_MS);
		return;
	}
	end(list);
	wait_for(list, list->every_ms);
}

int
routing_list_start(struct routing *routing)
{
	const struct actor_context *context = routing->context;
	struct routing_list *list = calloc(1, sizeof(*list));

	if (list == NULL)
		return -ENOMEM;
	routing->list = list;
	list->routing = routing;
	list->fd = -1;
	list->every_ms = config_int(context->config, "routing", "list_every");
	(void)snprintf(list->path, sizeof(list->path), "%s/candidates", context->state_dir);
	(void)snprintf(list->temporary, sizeof(list->temporary), "%s/candidates.new",
		       context->state_dir);
	routing_list_read(routing, list->path);
	wait_for(list, list->every_ms);
	return list->timer == NULL ? -ENOMEM : 0;
}

void
routing_list_stop(struct routing *routing)
{
	struct routing_list *list = routing->list;

	if (list == NULL)
		return;
	loop_timer_stop(&list->timer);
	if (list->fd >= 0)
		(void)close(list->fd);
	free(list->bytes);
	free(list);
	routing->list = NULL;
}
