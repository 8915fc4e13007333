/* idtable: chained buckets that double when there are as many things as buckets. */
#include "idtable/idtable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { IDTABLE_BUCKETS_MIN = 64 };

static uint64_t
rotate_left(uint64_t x, unsigned int by)
{
	return x << by | x >> (64 - by);
}

static void
sip_rounds(uint64_t v[4], int rounds)
{
	for (int i = 0; i < rounds; i++) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate_left(v[1], 13) ^ v[0];
		v[3] = rotate_left(v[3], 16) ^ v[2];
		v[0] = rotate_left(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate_left(v[1], 17) ^ v[2];
		v[3] = rotate_left(v[3], 21) ^ v[0];
		v[2] = rotate_left(v[2], 32);
	}
}

static uint64_t
little_endian(const uint8_t *bytes, size_t n)
{
	uint64_t word = 0;

	for (size_t i = 0; i < n; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

uint64_t
idtable_siphash(const uint64_t secret[2], const void *bytes, size_t n)
{
	uint64_t v[4] = { secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d,
			  secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573 };
	const uint8_t *at = bytes;
	uint64_t last = (uint64_t)n << 56;
	size_t left = n;

	for (; left >= 8; left -= 8, at += 8) {
		uint64_t word = little_endian(at, 8);

		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	last |= little_endian(at, left);
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int
idtable_init(struct idtable *table, size_t link_offset, size_t key_offset, size_t key_bytes)
{
	memset(table, 0, sizeof(*table));
	table->link_offset = link_offset;
	table->key_offset = key_offset;
	table->key_bytes = key_bytes;
	if (getrandom(table->secret, sizeof(table->secret), 0) != (ssize_t)sizeof(table->secret))
		return -EIO;
	table->buckets = calloc(IDTABLE_BUCKETS_MIN, sizeof(struct idtable_link *));
	if (table->buckets == NULL)
		return -ENOMEM;
	table->bucket_count = IDTABLE_BUCKETS_MIN;
	return 0;
}

void
idtable_fini(struct idtable *table)
{
	free(table->buckets);
	memset(table, 0, sizeof(*table));
}

static struct idtable_link *
link_of(const struct idtable *table, const void *thing)
{
	return (struct idtable_link *)((uintptr_t)thing + table->link_offset);
}

static void *
thing_of(const struct idtable *table, const struct idtable_link *link)
{
	return (void *)((uintptr_t)link - table->link_offset);
}

static const void *
key_of(const struct idtable *table, const void *thing)
{
	return (const uint8_t *)thing + table->key_offset;
}

static void *
find_hashed(const struct idtable *table, const void *key, uint64_t hash)
{
	struct idtable_link *link = table->buckets[hash & (table->bucket_count - 1)];

	for (; link != NULL; link = link->next) {
		void *thing = thing_of(table, link);

		if (link->hash == hash && memcmp(key_of(table, thing), key, table->key_bytes) == 0)
			return thing;
	}
	return NULL;
}

void *
idtable_find(const struct idtable *table, const void *key)
{
	return find_hashed(table, key, idtable_siphash(table->secret, key, table->key_bytes));
}

/* Out of memory leaves the table as it was: slower, not wrong. */
static void
grow(struct idtable *table)
{
	size_t count = table->bucket_count * 2;
	struct idtable_link **buckets = calloc(count, sizeof(struct idtable_link *));

	if (buckets == NULL)
		return;
	for (size_t i = 0; i < table->bucket_count; i++) {
		struct idtable_link *link = table->buckets[i];

		while (link != NULL) {
			struct idtable_link *next = link->next;

			link->next = buckets[link->hash & (count - 1)];
			buckets[link->hash & (count - 1)] = link;
			link = next;
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->bucket_count = count;
}

int
idtable_add(struct idtable *table, void *thing)
{
	const void *key = key_of(table, thing);
	uint64_t hash = idtable_siphash(table->secret, key, table->key_bytes);
	struct idtable_link *link = link_of(table, thing);

	if (find_hashed(table, key, hash) != NULL)
		return -EEXIST;
	if (table->count >= table->bucket_count)
		grow(table);
	link->hash = hash;
	link->next = table->buckets[hash & (table->bucket_count - 1)];
	table->buckets[hash & (table->bucket_count - 1)] = link;
	table->count++;
	return 0;
}

void
idtable_remove(struct idtable *table, void *thing)
{
	struct idtable_link *link = link_of(table, thing);
	struct idtable_link **at = &table->buckets[link->hash & (table->bucket_count - 1)];

	while (*at != NULL && *at != link)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = link->next;
	link->next = NULL;
	table->count--;
}

void *
idtable_next(const struct idtable *table, const void *previous)
{
	size_t bucket = 0;

	if (previous != NULL) {
		const struct idtable_link *link = link_of(table, previous);

		if (link->next != NULL)
			return thing_of(table, link->next);
		bucket = (link->hash & (table->bucket_count - 1)) + 1;
	}
	for (; bucket < table->bucket_count; bucket++)
		if (table->buckets[bucket] != NULL)
			return thing_of(table, table->buckets[bucket]);
	return NULL;
}
