/*
 * relay_gone: a table, and a list in order of age.
 */
#include "relay/relay_gone.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { GONE_KEY_BYTES = 2 * UUID_BYTES }; /* node, session or zeros */

struct relay_gone_entry {
	struct idtable_link by_key;
	uint8_t key[GONE_KEY_BYTES];
	TAILQ_ENTRY(relay_gone_entry) by_age;
};

int
relay_gone_init(struct relay_gone *gone)
{
	memset(gone, 0, sizeof(*gone));
	TAILQ_INIT(&gone->by_age);
	return idtable_init(&gone->entries, offsetof(struct relay_gone_entry, by_key),
			    offsetof(struct relay_gone_entry, key), GONE_KEY_BYTES);
}

static void
forget(struct relay_gone *gone, struct relay_gone_entry *entry)
{
	TAILQ_REMOVE(&gone->by_age, entry, by_age);
	idtable_remove(&gone->entries, entry);
	free(entry);
}

void
relay_gone_fini(struct relay_gone *gone)
{
	while (!TAILQ_EMPTY(&gone->by_age))
		forget(gone, TAILQ_FIRST(&gone->by_age));
	idtable_fini(&gone->entries);
}

static struct relay_gone_entry *
find(const struct relay_gone *gone, const uint8_t *node_id, const uint8_t *session_id,
     uint8_t ret_key[GONE_KEY_BYTES])
{
	memset(ret_key, 0, GONE_KEY_BYTES);
	memcpy(ret_key, node_id, UUID_BYTES);
	if (session_id != NULL)
		memcpy(ret_key + UUID_BYTES, session_id, UUID_BYTES);
	return idtable_find(&gone->entries, ret_key);
}

void
relay_gone_add(struct relay_gone *gone, const uint8_t node_id[UUID_BYTES],
	       const uint8_t *session_id)
{
	uint8_t key[GONE_KEY_BYTES];
	struct relay_gone_entry *entry = find(gone, node_id, session_id, key);

	if (entry != NULL)
		forget(gone, entry);
	if (gone->entries.count >= RELAY_GONE_MAX)
		forget(gone, TAILQ_FIRST(&gone->by_age));
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return; /* the ticket ends by itself */
	memcpy(entry->key, key, GONE_KEY_BYTES);
	idtable_add(&gone->entries, entry);
	TAILQ_INSERT_TAIL(&gone->by_age, entry, by_age);
}

void
relay_gone_remove(struct relay_gone *gone, const uint8_t node_id[UUID_BYTES],
		  const uint8_t *session_id)
{
	uint8_t key[GONE_KEY_BYTES];
	struct relay_gone_entry *entry = find(gone, node_id, session_id, key);

	if (entry != NULL)
		forget(gone, entry);
}

bool
relay_gone_has(const struct relay_gone *gone, const uint8_t node_id[UUID_BYTES],
	       const uint8_t *session_id)
{
	uint8_t key[GONE_KEY_BYTES];

	return find(gone, node_id, session_id, key) != NULL;
}
