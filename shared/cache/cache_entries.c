/* Finds, ages and bounds the entries. See cache_entries.h. */
#include "cache/cache_entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	SLOTS_MIN = 64,
	SLOTS_MAX = 1 << 20,
	SWEEP_MAX = 4, /* expired entries freed by each new one */
};

static struct cache_entry **
slot_of(const struct cache_entries *entries, uint64_t hash)
{
	return &entries->slots[hash & (entries->slots_n - 1)];
}

static struct cache_entry *
find(const struct cache_entries *entries, const struct cache_name *name, uint64_t hash)
{
	struct cache_entry *entry = *slot_of(entries, hash);

	while (entry != NULL && (entry->hash != hash || entry->name_n != name->n ||
				 memcmp(entry->name, name->bytes, name->n) != 0))
		entry = entry->chain;
	return entry;
}

/* ---- the heap: the next to expire is heap[0] ---- */

static void
heap_set(struct cache_entries *entries, size_t index, struct cache_entry *entry)
{
	entries->heap[index] = entry;
	entry->heap_index = index;
}

static void
heap_up(struct cache_entries *entries, size_t index)
{
	struct cache_entry *entry = entries->heap[index];

	while (index > 0 && entries->heap[(index - 1) / 2]->expires_at_ms > entry->expires_at_ms) {
		heap_set(entries, index, entries->heap[(index - 1) / 2]);
		index = (index - 1) / 2;
	}
	heap_set(entries, index, entry);
}

static void
heap_down(struct cache_entries *entries, size_t index, size_t n)
{
	struct cache_entry *entry = entries->heap[index];

	for (;;) {
		size_t child = 2 * index + 1;

		if (child + 1 < n &&
		    entries->heap[child + 1]->expires_at_ms < entries->heap[child]->expires_at_ms)
			child++;
		if (child >= n || entries->heap[child]->expires_at_ms >= entry->expires_at_ms)
			break;
		heap_set(entries, index, entries->heap[child]);
		index = child;
	}
	heap_set(entries, index, entry);
}

static void
heap_fix(struct cache_entries *entries, size_t index)
{
	heap_up(entries, index);
	heap_down(entries, index, entries->n);
}

static int
heap_reserve(struct cache_entries *entries)
{
	size_t capacity = entries->heap_capacity == 0 ? 64 : entries->heap_capacity * 2;
	struct cache_entry **heap;

	if (entries->n < entries->heap_capacity)
		return 0;
	heap = reallocarray(entries->heap, capacity, sizeof(*heap));
	if (heap == NULL)
		return -EIO;
	entries->heap = heap;
	entries->heap_capacity = capacity;
	return 0;
}

/* ---- entries ---- */

static void
remove_entry(struct cache_entries *entries, struct cache_entry *entry)
{
	struct cache_entry **link = slot_of(entries, entry->hash);
	size_t index = entry->heap_index;
	struct cache_entry *last = entries->heap[--entries->n];

	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	TAILQ_REMOVE(&entries->by_age, entry, by_age);
	if (last != entry) {
		heap_set(entries, index, last);
		heap_fix(entries, index);
	}
	free(entry);
}

struct cache_entry *
cache_entries_find(struct cache_entries *entries, const struct cache_name *name, int64_t now_ms)
{
	struct cache_entry *entry =
		find(entries, name, cache_hash(entries->secret, name->bytes, name->n));

	if (entry != NULL && entry->expires_at_ms <= now_ms) {
		remove_entry(entries, entry);
		return NULL;
	}
	return entry;
}

void
cache_entries_renew(struct cache_entries *entries, struct cache_entry *entry, int64_t expires_at_ms)
{
	entry->expires_at_ms = expires_at_ms;
	heap_fix(entries, entry->heap_index);
	TAILQ_REMOVE(&entries->by_age, entry, by_age);
	TAILQ_INSERT_TAIL(&entries->by_age, entry, by_age);
}

struct cache_entry *
cache_entries_add(struct cache_entries *entries, const struct cache_name *name,
		  int64_t expires_at_ms, int64_t now_ms)
{
	uint64_t hash = cache_hash(entries->secret, name->bytes, name->n);
	struct cache_entry **slot = slot_of(entries, hash);
	struct cache_entry *entry;

	for (int i = 0; i < SWEEP_MAX && entries->n > 0; i++)
		if (entries->heap[0]->expires_at_ms <= now_ms)
			remove_entry(entries, entries->heap[0]);
	if (entries->n == entries->max)
		remove_entry(entries, TAILQ_FIRST(&entries->by_age));
	entry = heap_reserve(entries) == 0 ? calloc(1, sizeof(*entry) + name->n) : NULL;
	if (entry == NULL)
		return NULL;
	entry->hash = hash;
	entry->name_n = name->n;
	memcpy(entry->name, name->bytes, name->n);
	entry->expires_at_ms = expires_at_ms;
	entry->chain = *slot;
	*slot = entry;
	TAILQ_INSERT_TAIL(&entries->by_age, entry, by_age);
	heap_set(entries, entries->n, entry);
	heap_up(entries, entries->n++);
	return entry;
}

int
cache_entries_init(struct cache_entries *entries, size_t max)
{
	*entries = (struct cache_entries){ .max = max, .slots_n = SLOTS_MIN };
	TAILQ_INIT(&entries->by_age);
	while (entries->slots_n < max && entries->slots_n < SLOTS_MAX)
		entries->slots_n *= 2;
	entries->slots = calloc(entries->slots_n, sizeof(struct cache_entry *));
	if (entries->slots != NULL &&
	    getrandom(entries->secret, sizeof(entries->secret), 0) == sizeof(entries->secret))
		return 0;
	cache_entries_fini(entries);
	return -EIO;
}

void
cache_entries_fini(struct cache_entries *entries)
{
	while (entries->n > 0)
		remove_entry(entries, TAILQ_FIRST(&entries->by_age));
	free(entries->heap);
	free(entries->slots);
}
