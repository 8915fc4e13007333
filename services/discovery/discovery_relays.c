/* discovery_relays: who announced itself, and what it said last. */
#include "discovery/discovery_relays.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
discovery_relays_fini(struct relays *relays)
{
	for (size_t i = 0; i < relays->count; i++)
		boson__common__relay__free_unpacked(relays->entries[i].relay, NULL);
	relays->count = 0;
}

static struct relays_entry *
find(struct relays *relays, const char *id)
{
	for (size_t i = 0; i < relays->count; i++)
		if (strcmp(relays->entries[i].relay->id, id) == 0)
			return &relays->entries[i];
	return NULL;
}

static bool
is_same_text(const char *a, const char *b)
{
	return (a == NULL || b == NULL) ? a == b : strcmp(a, b) == 0;
}

static bool
is_same(const Boson__Common__Relay *a, const Boson__Common__Relay *b)
{
	return is_same_text(a->region, b->region) &&
	       is_same_text(a->relay_endpoint, b->relay_endpoint) &&
	       is_same_text(a->udp_endpoint, b->udp_endpoint) && is_same_text(a->group, b->group) &&
	       is_same_text(a->bus_endpoint, b->bus_endpoint) &&
	       is_same_text(a->bus_key, b->bus_key) &&
	       is_same_text(a->event_endpoint, b->event_endpoint) &&
	       (a->has_draining && a->draining) == (b->has_draining && b->draining);
}

/* By way of the wire: the one deep copy that protobuf-c offers. */
static Boson__Common__Relay *
copy(const Boson__Common__Relay *relay)
{
	size_t n = boson__common__relay__get_packed_size(relay);
	uint8_t *bytes = malloc(n == 0 ? 1 : n);
	Boson__Common__Relay *made;

	if (bytes == NULL)
		return NULL;
	(void)boson__common__relay__pack(relay, bytes);
	made = boson__common__relay__unpack(NULL, n, bytes);
	free(bytes);
	return made;
}

int
discovery_relays_announce(struct relays *relays, const Boson__Common__Relay *relay,
			  const char *peer, int64_t now_ms, bool *ret_changed)
{
	struct relays_entry *entry = find(relays, relay->id);
	Boson__Common__Relay *fresh;

	if (entry == NULL && relays->count == RELAYS_MAX)
		return -ENOSPC;
	if (entry != NULL && strcmp(entry->peer, peer) != 0 && entry->silent_at_ms > now_ms)
		return -EEXIST;
	fresh = copy(relay);
	if (fresh == NULL)
		return -ENOMEM;
	*ret_changed = entry == NULL || !is_same(entry->relay, relay);
	if (entry == NULL) {
		entry = &relays->entries[relays->count++];
		*entry = (struct relays_entry){ .number = ++relays->last_number };
	} else {
		boson__common__relay__free_unpacked(entry->relay, NULL);
	}
	(void)snprintf(entry->peer, sizeof(entry->peer), "%s", peer);
	entry->relay = fresh;
	entry->silent_at_ms = now_ms + RELAYS_SILENCE_MS;
	return 0;
}

void
discovery_relays_unsaved(struct relays *relays, const char *id)
{
	struct relays_entry *entry = find(relays, id);

	if (entry != NULL)
		entry->is_unsaved = true;
}

bool
discovery_relays_has_unsaved(const struct relays *relays)
{
	for (size_t i = 0; i < relays->count; i++)
		if (relays->entries[i].is_unsaved)
			return true;
	return false;
}

void
discovery_relays_saved(struct relays *relays)
{
	for (size_t i = 0; i < relays->count; i++)
		relays->entries[i].is_unsaved = false;
}

void
discovery_relays_forgive(struct relays *relays, int64_t now_ms)
{
	for (size_t i = 0; i < relays->count; i++)
		relays->entries[i].silent_at_ms = now_ms + RELAYS_SILENCE_MS;
}

Boson__Common__Relay *
discovery_relays_expire(struct relays *relays, int64_t now_ms)
{
	for (size_t i = 0; i < relays->count; i++) {
		Boson__Common__Relay *relay = relays->entries[i].relay;

		if (relays->entries[i].silent_at_ms > now_ms)
			continue;
		relays->entries[i] = relays->entries[--relays->count];
		return relay;
	}
	return NULL;
}

const Boson__Common__Relay *
discovery_relays_next(const struct relays *relays, uint32_t *number)
{
	const struct relays_entry *next = NULL;

	for (size_t i = 0; i < relays->count; i++) {
		const struct relays_entry *entry = &relays->entries[i];

		if (entry->number > *number && (next == NULL || entry->number < next->number))
			next = entry;
	}
	if (next == NULL)
		return NULL;
	*number = next->number;
	return next->relay;
}

static bool
takes_legs(const Boson__Common__Relay *relay)
{
	return !relay->has_draining || !relay->draining;
}

size_t
discovery_relays_after(const struct relays *relays, const char *id, bool draining_too,
		       const Boson__Common__Relay **ret_relays, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < relays->count; i++) {
		const Boson__Common__Relay *relay = relays->entries[i].relay;
		size_t at = n;

		if ((!draining_too && !takes_legs(relay)) ||
		    (id != NULL && strcmp(relay->id, id) <= 0))
			continue;
		while (at > 0 && strcmp(ret_relays[at - 1]->id, relay->id) > 0)
			at--;
		if (at == max)
			continue;
		if (n < max)
			n++;
		memmove(&ret_relays[at + 1], &ret_relays[at], (n - 1 - at) * sizeof(*ret_relays));
		ret_relays[at] = relay;
	}
	return n;
}

static double
load_of(const Boson__Common__Relay *relay)
{
	return relay->has_load ? relay->load : 0;
}

size_t
discovery_relays_pick(const struct relays *relays, const char *group,
		      const Boson__Common__Relay **ret_picked, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < relays->count; i++) {
		const Boson__Common__Relay *relay = relays->entries[i].relay;
		size_t at = n;

		if (!takes_legs(relay) || strcmp(relay->group, group) != 0)
			continue;
		while (at > 0 && load_of(ret_picked[at - 1]) > load_of(relay))
			at--;
		if (at == max)
			continue;
		if (n < max)
			n++;
		memmove(&ret_picked[at + 1], &ret_picked[at], (n - 1 - at) * sizeof(*ret_picked));
		ret_picked[at] = relay;
	}
	return n;
}
