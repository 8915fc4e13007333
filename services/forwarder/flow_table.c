/*
 * flow_table: see flow_table.h. A flow that ended stays as a mark until a dump that began after its
 * end is over: a dump under way may still show it, and must not bring it back to life.
 */
#include "forwarder/flow_table.h"

#include "idtable/idtable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
	TCP_TIMESTAMP_HEADERS4 = 52, /* IP, TCP and its timestamps: what nearly every host sends */
	TCP_TIMESTAMP_HEADERS6 = 72,
	MISSED_DUMPS_MAX = 2,
};

struct flow {
	struct idtable_link by_id, by_reply;
	uint32_t id;
	struct flow_tuple reply;
	struct flow_seen seen;
	struct flow_session *session;
	LIST_ENTRY(flow) of_session;
	uint64_t epoch;	   /* the dump that showed it last, or that it was made in */
	uint64_t ended_in; /* the dump number at its end; 0: live */
	unsigned missed;
};

struct flow_address {
	struct idtable_link by_address;
	struct in6_addr address;
	struct flow_session *session;
};

struct flow_session {
	struct idtable_link by_id;
	char id[UUID_TEXT_BYTES];
	struct flow_address address4, address6;
	LIST_HEAD(, flow) flows;
	struct flow_usage usage; /* live flows included, as last seen */
};

struct flow_table {
	struct idtable flows, replies, sessions, addresses;
	uint64_t epoch, session_epoch;
	uint32_t mtu;
};

int
flow_table_new(uint32_t mtu, uint64_t epoch, struct flow_table **ret)
{
	struct flow_table *table = calloc(1, sizeof *table);
	if (!table)
		return -ENOMEM;
	table->mtu = mtu;
	table->session_epoch = epoch;
	table->epoch = 1;
	if (idtable_init(&table->flows, offsetof(struct flow, by_id), offsetof(struct flow, id),
			 sizeof(uint32_t)) < 0 ||
	    idtable_init(&table->replies, offsetof(struct flow, by_reply),
			 offsetof(struct flow, reply), sizeof(struct flow_tuple)) < 0 ||
	    idtable_init(&table->sessions, offsetof(struct flow_session, by_id),
			 offsetof(struct flow_session, id), UUID_TEXT_BYTES) < 0 ||
	    idtable_init(&table->addresses, offsetof(struct flow_address, by_address),
			 offsetof(struct flow_address, address), sizeof(struct in6_addr)) < 0) {
		flow_table_free(&table);
		return -ENOMEM;
	}
	*ret = table;
	return 0;
}

static struct flow_session *
session_find(const struct flow_table *table, const char *session_id)
{
	char key[UUID_TEXT_BYTES] = { 0 };
	if (strlen(session_id) >= sizeof key)
		return NULL;
	strcpy(key, session_id);
	return idtable_find(&table->sessions, key);
}

static int
address_add(struct flow_table *table, struct flow_address *entry, const struct in6_addr *address,
	    struct flow_session *session)
{
	if (IN6_IS_ADDR_UNSPECIFIED(address))
		return 0;
	entry->address = *address;
	entry->session = session;
	int r = idtable_add(&table->addresses, entry);
	if (r < 0)
		entry->session = NULL;
	return r;
}

static void
address_remove(struct flow_table *table, struct flow_address *entry)
{
	if (entry->session)
		idtable_remove(&table->addresses, entry);
}

int
flow_table_session_add(struct flow_table *table, const char *session_id,
		       const struct in6_addr *address4, const struct in6_addr *address6)
{
	struct flow_session *session = calloc(1, sizeof *session);
	if (!session)
		return -ENOMEM;
	if (strlen(session_id) >= sizeof session->id) {
		free(session);
		return -EINVAL;
	}
	strcpy(session->id, session_id);
	session->usage.epoch = table->session_epoch++;
	int r = idtable_add(&table->sessions, session);
	if (r < 0) {
		free(session);
		return r;
	}
	r = address_add(table, &session->address4, address4, session);
	if (r == 0)
		r = address_add(table, &session->address6, address6, session);
	if (r < 0) {
		address_remove(table, &session->address4);
		idtable_remove(&table->sessions, session);
		free(session);
	}
	return r;
}

static void
flow_free(struct flow_table *table, struct flow *flow)
{
	LIST_REMOVE(flow, of_session);
	idtable_remove(&table->replies, flow);
	idtable_remove(&table->flows, flow);
	free(flow);
}

void
flow_table_session_remove(struct flow_table *table, const char *session_id)
{
	struct flow_session *session = session_find(table, session_id);
	if (!session)
		return;
	while (!LIST_EMPTY(&session->flows))
		flow_free(table, LIST_FIRST(&session->flows));
	address_remove(table, &session->address4);
	address_remove(table, &session->address6);
	idtable_remove(&table->sessions, session);
	free(session);
}

void
flow_table_free(struct flow_table **table)
{
	struct flow_session *session;
	if (!*table)
		return;
	while ((session = idtable_next(&(*table)->sessions, NULL)))
		flow_table_session_remove(*table, session->id);
	idtable_fini(&(*table)->flows);
	idtable_fini(&(*table)->replies);
	idtable_fini(&(*table)->sessions);
	idtable_fini(&(*table)->addresses);
	free(*table);
	*table = NULL;
}

/* What the tunnel carries for `bytes` that conntrack saw as `packets`, some of them joined. */
static uint64_t
tunnel_bytes(const struct flow_table *table, const struct flow_seen *seen, uint64_t bytes,
	     uint64_t packets)
{
	uint64_t headers = seen->is_ipv6 ? TCP_TIMESTAMP_HEADERS6 : TCP_TIMESTAMP_HEADERS4;
	if (seen->reply.protocol != IPPROTO_TCP || table->mtu <= headers ||
	    bytes <= packets * table->mtu)
		return bytes;
	uint64_t segment = table->mtu - headers;
	uint64_t segments = (bytes - packets * headers + segment - 1) / segment;
	return bytes + (segments - packets) * headers;
}

/* The figures only grow: an older message that is late changes nothing. */
static void
flow_count(struct flow_table *table, struct flow *flow, const struct flow_seen *seen)
{
	uint64_t up = tunnel_bytes(table, seen, seen->bytes_up, seen->packets_up);
	uint64_t down = tunnel_bytes(table, seen, seen->bytes_down, seen->packets_down);
	if (up > flow->seen.bytes_up) {
		flow->session->usage.bytes_up += up - flow->seen.bytes_up;
		flow->seen.bytes_up = up;
		flow->seen.packets_up = seen->packets_up;
	}
	if (down > flow->seen.bytes_down) {
		flow->session->usage.bytes_down += down - flow->seen.bytes_down;
		flow->seen.bytes_down = down;
		flow->seen.packets_down = seen->packets_down;
	}
}

static void
flow_mark_ended(struct flow_table *table, struct flow *flow)
{
	flow->ended_in = table->epoch;
	flow->session->usage.live--;
}

static struct flow *
flow_new(struct flow_table *table, const struct flow_seen *seen, struct flow_session *session)
{
	/* The kernel has one entry for a tuple: another that we have is over, heard of or not. */
	struct flow *flow = idtable_find(&table->replies, &seen->reply);
	if (flow && !flow->ended_in)
		flow_mark_ended(table, flow);
	if (flow)
		flow_free(table, flow);
	if (table->flows.count >= FLOWS_MAX || !(flow = calloc(1, sizeof *flow)))
		return NULL;
	flow->id = seen->id;
	flow->reply = seen->reply;
	flow->seen = *seen;
	flow->seen.bytes_up = flow->seen.bytes_down = 0;
	if (idtable_add(&table->flows, flow) < 0) {
		free(flow);
		return NULL;
	}
	if (idtable_add(&table->replies, flow) < 0) {
		idtable_remove(&table->flows, flow);
		free(flow);
		return NULL;
	}
	flow->session = session;
	LIST_INSERT_HEAD(&session->flows, flow, of_session);
	session->usage.live++;
	return flow;
}

static struct flow_session *
session_of(const struct flow_table *table, const struct flow_seen *seen)
{
	const struct flow_address *address = idtable_find(&table->addresses, &seen->client);
	return address ? address->session : NULL;
}

void
flow_table_see(struct flow_table *table, const struct flow_seen *seen, bool from_dump)
{
	struct flow_session *session = session_of(table, seen);
	struct flow *flow = idtable_find(&table->flows, &seen->id);
	if (!session)
		return;
	if (flow && flow->ended_in) {
		if (from_dump)
			return;
		flow_free(table, flow); /* the kernel gave its id to another */
		flow = NULL;
	}
	if (!flow)
		flow = flow_new(table, seen, session);
	if (!flow)
		return;
	flow->epoch = table->epoch;
	flow->missed = 0;
	flow_count(table, flow, seen);
}

void
flow_table_end(struct flow_table *table, const struct flow_seen *seen)
{
	struct flow_session *session = session_of(table, seen);
	struct flow *flow = idtable_find(&table->flows, &seen->id);
	if (!session || (flow && flow->ended_in))
		return;
	if (!flow)
		flow = flow_new(table, seen, session);
	if (!flow) { /* no room for a mark: the bytes count all the same */
		session->usage.bytes_up +=
			tunnel_bytes(table, seen, seen->bytes_up, seen->packets_up);
		session->usage.bytes_down +=
			tunnel_bytes(table, seen, seen->bytes_down, seen->packets_down);
		return;
	}
	flow_count(table, flow, seen);
	flow_mark_ended(table, flow);
}

void
flow_table_dump_begin(struct flow_table *table)
{
	table->epoch++;
}

void
flow_table_dump_end(struct flow_table *table)
{
	struct flow *flow = idtable_next(&table->flows, NULL);
	while (flow) {
		struct flow *next = idtable_next(&table->flows, flow);
		if (flow->ended_in && flow->ended_in < table->epoch)
			flow_free(table, flow);
		else if (!flow->ended_in && flow->epoch != table->epoch &&
			 ++flow->missed >= MISSED_DUMPS_MAX)
			flow_mark_ended(table, flow);
		flow = next;
	}
}

int
flow_table_usage(const struct flow_table *table, const char *session_id, struct flow_usage *ret)
{
	const struct flow_session *session = session_find(table, session_id);
	if (!session)
		return -ENOENT;
	*ret = session->usage;
	return 0;
}

void
flow_table_each(const struct flow_table *table, const char *session_id, flow_fn fn, void *arg)
{
	const struct flow_session *session = session_find(table, session_id);
	const struct flow *flow;
	if (!session)
		return;
	LIST_FOREACH (flow, &session->flows, of_session)
		if (!flow->ended_in && !fn(&flow->seen, arg))
			return;
}

size_t
flow_table_session_count(const struct flow_table *table)
{
	return table->sessions.count;
}
