/*
 * gateway_access_store: the tables of access keys and of voided tokens; the only SQL of the
 * gateway. A key is found by its digest; the key itself is nowhere. Called on the store's own
 * thread (gateway_side), within its transaction. Times are epoch milliseconds.
 */
#pragma once

#include "gateway/gateway_access_key.h"
#include "identity/key.h"
#include "store/store.h"

enum {
	ACCESS_KEY_ID_BYTES = 17, /* 16 hex digits and NUL */
	ACCESS_KEY_NAME_BYTES = 41,
	ACCESS_KEYS_MAX = 10000, /* that are kept, revoked ones included */
};

extern const struct store_migration gateway_migrations[];
extern const size_t gateway_migrations_n;

struct access_row {
	int64_t number; /* in order of their making */
	char id[ACCESS_KEY_ID_BYTES];
	enum access_key_kind kind;
	char name[ACCESS_KEY_NAME_BYTES];
	int64_t uses_max, uses; /* uses_max 0: any number */
	int64_t created_ms;
	int64_t expires_ms, revoked_ms; /* 0: never */
};

enum access_state { ACCESS_VALID, ACCESS_EXPIRED, ACCESS_USED_UP, ACCESS_REVOKED };
enum access_state access_row_state(const struct access_row *row, int64_t wall_now_ms);

/* As store_open. */
int access_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes);

/* 0; -EEXIST when this digest is there (it stays as it is); -ENOSPC when there are too many; -EIO.
 * number and id are made here, uses is 0. */
int access_store_add(struct store *store, const uint8_t digest[MAC_BYTES], struct access_row *row);

/* 0, -ENOENT, -EIO. */
int access_store_find(struct store *store, const uint8_t digest[MAC_BYTES], struct access_row *ret);
int access_store_find_id(struct store *store, const char *id, struct access_row *ret);

/* Takes one use of a valid key: 0, -ENOENT when it is none (any more), -EIO. */
int access_store_use(struct store *store, const uint8_t digest[MAC_BYTES], int64_t wall_now_ms);
/* Gives it back. 0 or -EIO. */
int access_store_unuse(struct store *store, const uint8_t digest[MAC_BYTES]);

/* 0, also when it was revoked before; -ENOENT, -EIO. */
int access_store_revoke(struct store *store, const char *id, int64_t wall_now_ms);

/* At most n rows after this number, in order. The number of rows, or -EIO. */
int access_store_list(struct store *store, int64_t after, struct access_row *ret, size_t n);

/* Tokens of this node that were made before since_ms are void; the latest counts. 0 or -EIO. */
int access_store_void(struct store *store, const uint8_t node_id[UUID_BYTES], int64_t since_ms);

/* All such nodes whose since_ms is after `after_ms`; fn's error ends it. 0 or -EIO. */
typedef int (*access_voided_fn)(const uint8_t node_id[UUID_BYTES], int64_t since_ms, void *arg);
int access_store_voided(struct store *store, int64_t after_ms, access_voided_fn fn, void *arg);

/* Forgets those of before. 0 or -EIO. */
int access_store_void_trim(struct store *store, int64_t before_ms);
