/*
 * gateway_access_revoked: see the header.
 */
#include "gateway/gateway_access_revoked.h"

#include "idtable/idtable.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEP_PERIOD_MS = 600 * 1000 };

struct entry {
	struct idtable_link link;
	uint8_t id[UUID_BYTES];
	int64_t since_ms;
};

struct access_revoked {
	struct idtable table;
	int64_t sweep_ms; /* epoch: the next one */
};

int
access_revoked_new(struct access_revoked **ret)
{
	struct access_revoked *revoked = calloc(1, sizeof(*revoked));
	if (revoked == NULL)
		return -ENOMEM;
	int r = idtable_init(&revoked->table, offsetof(struct entry, link),
			     offsetof(struct entry, id), UUID_BYTES);
	if (r < 0) {
		free(revoked);
		return r;
	}
	*ret = revoked;
	return 0;
}

/* Those of before this moment. */
static void
sweep(struct access_revoked *revoked, int64_t before_ms)
{
	struct entry *entry = idtable_next(&revoked->table, NULL);
	while (entry != NULL) {
		struct entry *next = idtable_next(&revoked->table, entry);
		if (entry->since_ms < before_ms) {
			idtable_remove(&revoked->table, entry);
			free(entry);
		}
		entry = next;
	}
}

void
access_revoked_free(struct access_revoked **revoked)
{
	if (*revoked == NULL)
		return;
	sweep(*revoked, INT64_MAX);
	idtable_fini(&(*revoked)->table);
	free(*revoked);
	*revoked = NULL;
}

int
access_revoked_put(struct access_revoked *revoked, const uint8_t node_id[UUID_BYTES],
		   int64_t since_ms, int64_t wall_now_ms)
{
	if (wall_now_ms >= revoked->sweep_ms) {
		sweep(revoked, wall_now_ms - ACCESS_REVOKED_KEPT_MS);
		revoked->sweep_ms = wall_now_ms + SWEEP_PERIOD_MS;
	}
	struct entry *entry = idtable_find(&revoked->table, node_id);
	if (entry == NULL) {
		entry = calloc(1, sizeof(*entry));
		if (entry == NULL)
			return -ENOMEM;
		memcpy(entry->id, node_id, UUID_BYTES);
		if (idtable_add(&revoked->table, entry) < 0) {
			free(entry);
			return -ENOMEM;
		}
	}
	if (entry->since_ms >= since_ms)
		return 0;
	entry->since_ms = since_ms;
	return 1;
}

bool
access_revoked_is(const struct access_revoked *revoked, const char *subject, int64_t issued_ms)
{
	uint8_t id[UUID_BYTES];
	if (revoked->table.count == 0 || uuid_parse(subject, id) != 0)
		return false;
	const struct entry *entry = idtable_find(&revoked->table, id);
	return entry != NULL && issued_ms < entry->since_ms;
}
