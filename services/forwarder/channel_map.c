/*
 * channel_map: see channel_map.h.
 */
#include "forwarder/channel_map.h"

#include "identity/key.h"
#include "idtable/idtable.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	ADDRESS_MIN = 0x7f010000, /* 127.0/16 is the system's: resolvers, Debian's own name */
	ADDRESS_MAX = 0x7ffffffe, /* the last one is a broadcast */
	REMEMBERED_MAX = 4,	  /* addresses of closed channels, of one session, */
	REMEMBERED_ALL_MAX = REMEMBERED_MAX * CHANNELS_MAX, /* and of all */
};

struct map_session;

struct map_address {
	struct idtable_link by_address;
	struct in_addr address;
	uint64_t channel; /* 0: closed */
	struct map_session *session;
	struct map_address *older; /* of the session */
};

struct map_channel {
	struct idtable_link by_number;
	uint64_t number;
	struct map_address *address;
};

struct map_session {
	struct idtable_link by_id;
	char id[UUID_TEXT_BYTES];
	struct map_address *newest;
};

struct channel_map {
	struct idtable channels, addresses, sessions;
	uint32_t next;
};

int
channel_map_new(uint32_t start, struct channel_map **ret)
{
	struct channel_map *map = calloc(1, sizeof *map);
	if (!map)
		return -ENOMEM;
	map->next = ADDRESS_MIN + start % (ADDRESS_MAX - ADDRESS_MIN + 1);
	if (idtable_init(&map->channels, offsetof(struct map_channel, by_number),
			 offsetof(struct map_channel, number), sizeof(uint64_t)) < 0 ||
	    idtable_init(&map->addresses, offsetof(struct map_address, by_address),
			 offsetof(struct map_address, address), sizeof(struct in_addr)) < 0 ||
	    idtable_init(&map->sessions, offsetof(struct map_session, by_id),
			 offsetof(struct map_session, id), UUID_TEXT_BYTES) < 0) {
		channel_map_free(&map);
		return -ENOMEM;
	}
	*ret = map;
	return 0;
}

static void
address_free(struct channel_map *map, struct map_address *address)
{
	idtable_remove(&map->addresses, address);
	free(address);
}

/* Out of its session's list; a session without addresses is none. */
static void
address_leave_session(struct channel_map *map, struct map_address *address)
{
	struct map_session *session = address->session;
	if (!session)
		return;
	struct map_address **at = &session->newest;
	while (*at != address)
		at = &(*at)->older;
	*at = address->older;
	address->session = NULL;
	if (!session->newest) {
		idtable_remove(&map->sessions, session);
		free(session);
	}
}

/* The oldest closed addresses beyond what is worth remembering. */
static void
session_trim(struct channel_map *map, struct map_session *session)
{
	size_t closed = 0;
	struct map_address *address = session->newest, *older;
	for (; address; address = older) {
		older = address->older;
		if (address->channel || ++closed <= REMEMBERED_MAX)
			continue;
		address_leave_session(map, address);
		address_free(map, address);
	}
}

static void
address_close(struct channel_map *map, struct map_address *address)
{
	address->channel = 0;
	if (address->session)
		session_trim(map, address->session);
	else
		address_free(map, address);
}

/* More than all sessions of a node can have: a relay makes sessions up, and nobody will ever end
 * these. (T19) */
static void
forget_closed(struct channel_map *map)
{
	struct map_address *next, *address = idtable_next(&map->addresses, NULL);
	for (; address; address = next) {
		next = idtable_next(&map->addresses, address);
		if (address->channel)
			continue;
		address_leave_session(map, address);
		address_free(map, address);
	}
}

void
channel_map_close(struct channel_map *map, uint64_t channel)
{
	struct map_channel *entry = idtable_find(&map->channels, &channel);
	if (!entry)
		return;
	address_close(map, entry->address);
	idtable_remove(&map->channels, entry);
	free(entry);
	if (map->addresses.count - map->channels.count > REMEMBERED_ALL_MAX)
		forget_closed(map);
}

void
channel_map_close_line(struct channel_map *map, uint32_t line)
{
	const struct map_channel *entry = idtable_next(&map->channels, NULL), *next;
	for (; entry; entry = next) {
		next = idtable_next(&map->channels, entry);
		if (entry->number >> 32 == line)
			channel_map_close(map, entry->number);
	}
}

void
channel_map_close_all(struct channel_map *map)
{
	const struct map_channel *entry;
	while ((entry = idtable_next(&map->channels, NULL)))
		channel_map_close(map, entry->number);
}

static struct map_session *
session_find(const struct channel_map *map, const char *session_id)
{
	char key[UUID_TEXT_BYTES] = { 0 };
	if (strlen(session_id) >= sizeof key)
		return NULL;
	strcpy(key, session_id);
	return idtable_find(&map->sessions, key);
}

static int
address_join_session(struct channel_map *map, struct map_address *address, const char *session_id)
{
	struct map_session *session = session_find(map, session_id);
	if (!session) {
		if (strlen(session_id) >= sizeof session->id)
			return -EINVAL;
		session = calloc(1, sizeof *session);
		if (!session)
			return -ENOMEM;
		strcpy(session->id, session_id);
		int r = idtable_add(&map->sessions, session);
		if (r < 0) {
			free(session);
			return r;
		}
	}
	address->session = session;
	address->older = session->newest;
	session->newest = address;
	return 0;
}

static struct in_addr
address_allot(struct channel_map *map)
{
	struct in_addr address;
	do {
		address.s_addr = htonl(map->next);
		map->next = map->next == ADDRESS_MAX ? ADDRESS_MIN : map->next + 1;
	} while (idtable_find(&map->addresses, &address));
	return address;
}

static int
address_new(struct channel_map *map, uint64_t channel, const char *session_id,
	    struct map_address **ret)
{
	struct map_address *address = calloc(1, sizeof *address);
	if (!address)
		return -ENOMEM;
	address->address = address_allot(map);
	address->channel = channel;
	int r = idtable_add(&map->addresses, address);
	if (r < 0) {
		free(address);
		return r;
	}
	if (session_id && *session_id)
		r = address_join_session(map, address, session_id);
	if (r < 0) {
		address_free(map, address);
		return r;
	}
	*ret = address;
	return 0;
}

int
channel_map_open(struct channel_map *map, uint64_t channel, const char *session_id)
{
	if (channel == 0)
		return -EINVAL;
	channel_map_close(map, channel);
	if (map->channels.count >= CHANNELS_MAX)
		return -ENOSPC;
	struct map_channel *entry = calloc(1, sizeof *entry);
	if (!entry)
		return -ENOMEM;
	entry->number = channel;
	int r = address_new(map, channel, session_id, &entry->address);
	if (r == 0)
		r = idtable_add(&map->channels, entry);
	if (r < 0) {
		if (entry->address) {
			address_leave_session(map, entry->address);
			address_free(map, entry->address);
		}
		free(entry);
	}
	return r;
}

int
channel_map_bind(struct channel_map *map, uint64_t channel, const char *session_id)
{
	struct map_channel *entry = idtable_find(&map->channels, &channel);
	if (!entry)
		return -ENOENT;
	if (strlen(session_id) >= UUID_TEXT_BYTES)
		return -EINVAL;
	address_leave_session(map, entry->address);
	return *session_id ? address_join_session(map, entry->address, session_id) : 0;
}

void
channel_map_session_end(struct channel_map *map, const char *session_id)
{
	struct map_session *session = session_find(map, session_id);
	if (!session)
		return;
	struct map_address *address = session->newest, *older;
	for (; address; address = older) {
		older = address->older;
		uint64_t channel = address->channel;
		address_leave_session(map, address); /* the last one frees the session */
		if (channel)
			channel_map_close(map, channel);
		else
			address_free(map, address);
	}
}

struct in_addr
channel_map_address(const struct channel_map *map, uint64_t channel)
{
	const struct map_channel *entry = idtable_find(&map->channels, &channel);
	return entry ? entry->address->address : (struct in_addr){ 0 };
}

static uint64_t
session_channel(const struct map_session *session)
{
	const struct map_address *newest = session->newest;
	while (newest && !newest->channel)
		newest = newest->older;
	return newest ? newest->channel : 0;
}

uint64_t
channel_map_session_channel(const struct channel_map *map, const char *session_id)
{
	const struct map_session *session = session_find(map, session_id);
	return session ? session_channel(session) : 0;
}

uint64_t
channel_map_channel(const struct channel_map *map, struct in_addr address)
{
	const struct map_address *entry = idtable_find(&map->addresses, &address);
	if (!entry)
		return 0;
	return entry->channel || !entry->session ? entry->channel : session_channel(entry->session);
}

size_t
channel_map_count(const struct channel_map *map)
{
	return map->channels.count;
}

void
channel_map_free(struct channel_map **map)
{
	const struct map_session *session;
	if (!*map)
		return;
	while ((session = idtable_next(&(*map)->sessions, NULL)))
		channel_map_session_end(*map, session->id);
	channel_map_close_all(*map);
	idtable_fini(&(*map)->channels);
	idtable_fini(&(*map)->addresses);
	idtable_fini(&(*map)->sessions);
	free(*map);
	*map = NULL;
}
