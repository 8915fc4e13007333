/*
 * relay_gone: a table, and a list in order of age.
 */
#include "relay/relay_gone.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct relay_gone_entry {
	struct idtable_link by_id;
	uint8_t id[UUID_BYTES];
	struct relay_gone_entry *older, *newer;
};

int
relay_gone_init(struct relay_gone *gone)
{
	memset(gone, 0, sizeof(*gone));
	return idtable_init(&gone->entries, offsetof(struct relay_gone_entry, by_id),
			    offsetof(struct relay_gone_entry, id), UUID_BYTES);
}

static void
forget(struct relay_gone *gone, struct relay_gone_entry *entry)
{
	if (entry->older != NULL)
		entry->older->newer = entry->newer;
	else
		gone->oldest = entry->newer;
	if (entry->newer != NULL)
		entry->newer->older = entry->older;
	else
		gone->newest = entry->older;
	idtable_remove(&gone->entries, entry);
	free(entry);
}

void
relay_gone_fini(struct relay_gone *gone)
{
	while (gone->oldest != NULL)
		forget(gone, gone->oldest);
	idtable_fini(&gone->entries);
}

void
relay_gone_add(struct relay_gone *gone, const uint8_t id[UUID_BYTES])
{
	struct relay_gone_entry *entry;

	relay_gone_remove(gone, id);
	if (gone->entries.count >= RELAY_GONE_MAX)
		forget(gone, gone->oldest);
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return; /* the ticket ends by itself */
	memcpy(entry->id, id, UUID_BYTES);
	idtable_add(&gone->entries, entry);
	entry->older = gone->newest;
	if (gone->newest != NULL)
		gone->newest->newer = entry;
	else
		gone->oldest = entry;
	gone->newest = entry;
}

void
relay_gone_remove(struct relay_gone *gone, const uint8_t id[UUID_BYTES])
{
	struct relay_gone_entry *entry = idtable_find(&gone->entries, id);

	if (entry != NULL)
		forget(gone, entry);
}

bool
relay_gone_has(const struct relay_gone *gone, const uint8_t id[UUID_BYTES])
{
	return idtable_find(&gone->entries, id) != NULL;
}
