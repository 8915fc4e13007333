/*
 * idtable: finds things by an id of fixed size (a UUID, a key, a padded name) in constant time.
 * The thing embeds its link and its key, the table owns neither. Ids come from strangers, so they
 * are hashed by SipHash-2-4 under a secret of the table's own: nobody can aim for one bucket.
 * One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct idtable_link {
	struct idtable_link *next;
	uint64_t hash;
};

struct idtable {
	struct idtable_link **buckets; /* a power of two of them */
	size_t bucket_count, count;
	size_t link_offset, key_offset, key_bytes; /* where a thing keeps its link and key */
	uint64_t secret[2];
};

/* Offsets within the thing, e.g. idtable_init(&t, offsetof(struct node, by_id),
 * offsetof(struct node, id), UUID_BYTES). 0 or -ENOMEM. */
int idtable_init(struct idtable *table, size_t link_offset, size_t key_offset, size_t key_bytes);

/* Frees the buckets, not the things. Takes a table of all zero bytes. */
void idtable_fini(struct idtable *table);

/* The thing with this key, or NULL. */
void *idtable_find(const struct idtable *table, const void *key);

/* 0, or -EEXIST when its key is there already. */
int idtable_add(struct idtable *table, void *thing);

/* The thing must be in the table. */
void idtable_remove(struct idtable *table, void *thing);

/* Each thing once: previous NULL starts, NULL ends. Nothing may be added meanwhile; to remove,
 * step on first. */
void *idtable_next(const struct idtable *table, const void *previous);

/* SipHash-2-4 (Aumasson and Bernstein, 2012), 64 bits. */
uint64_t idtable_siphash(const uint64_t secret[2], const void *bytes, size_t n);
