/*
 * gateway_access_store: tables access_keys and voided_tokens; see the header.
 */
#include "gateway/gateway_access_store.h"

#include "identity/mac.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_CHANCE_BITS = 20 };

const struct store_migration gateway_migrations[] = {
	{ 1, "access keys",
	  "CREATE TABLE access_keys ("
	  " number BIGINT NOT NULL PRIMARY KEY,"
	  " key_id TEXT NOT NULL UNIQUE,"
	  " digest BYTEA NOT NULL UNIQUE," /* SHA-256 of the key */
	  " kind TEXT NOT NULL,"
	  " name TEXT NOT NULL,"
	  " uses_max BIGINT NOT NULL," /* 0: any number */
	  " uses BIGINT NOT NULL,"
	  " created_at BIGINT NOT NULL," /* epoch ms, as the next two; 0: never */
	  " expires_at BIGINT NOT NULL,"
	  " revoked_at BIGINT NOT NULL)" },
	{ 2, "voided tokens",
	  "CREATE TABLE voided_tokens ("
	  " node_id BYTEA NOT NULL PRIMARY KEY,"
	  " tokens_since BIGINT NOT NULL)" }, /* epoch ms */
};

const size_t gateway_migrations_n = sizeof(gateway_migrations) / sizeof(gateway_migrations[0]);

#define COLUMNS "number, key_id, kind, name, uses_max, uses, created_at, expires_at, revoked_at"

int
access_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes)
{
	return store_open(url, gateway_migrations, gateway_migrations_n, ret, ret_error,
			  error_bytes);
}

enum access_state
access_row_state(const struct access_row *row, int64_t wall_now_ms)
{
	if (row->revoked_ms != 0)
		return ACCESS_REVOKED;
	if (row->expires_ms != 0 && row->expires_ms <= wall_now_ms)
		return ACCESS_EXPIRED;
	return row->uses_max != 0 && row->uses >= row->uses_max ? ACCESS_USED_UP : ACCESS_VALID;
}

static int
take_number(const struct store_value *row, size_t columns, void *arg)
{
	(void)columns;
	*(int64_t *)arg = row[0].type == STORE_INT ? row[0].integer : 0;
	return 0;
}

static int
check_room(struct store *store)
{
	int64_t count = 0;
	int r = store_query(store, "SELECT count(*) FROM access_keys", NULL, 0, take_number,
			    &count);
	if (r < 0)
		return -EIO;
	return count < ACCESS_KEYS_MAX ? 0 : -ENOSPC;
}

int
access_store_add(struct store *store, const uint8_t digest[MAC_BYTES], struct access_row *row)
{
	uint64_t random[2];
	int r = check_room(store);
	if (r == 0)
		r = mac_random(random, sizeof(random));
	if (r < 0)
		return r;
	snprintf(row->id, sizeof(row->id), "%016" PRIx64, random[0]);
	/* By time, and by chance within a millisecond: other gateways write here too. */
	row->number = row->created_ms << NUMBER_CHANCE_BITS |
		      (int64_t)(random[1] >> (64 - NUMBER_CHANCE_BITS));
	row->uses = 0;
	r = store_exec(store,
		       "INSERT INTO access_keys (" COLUMNS ", digest)"
		       " VALUES ($1, $2, $3, $4, $5, 0, $6, $7, 0, $8)",
		       (struct store_value[]){
			       STORE_V_INT(row->number), store_text(row->id),
			       store_text(access_key_kind_name(row->kind)), store_text(row->name),
			       STORE_V_INT(row->uses_max), STORE_V_INT(row->created_ms),
			       STORE_V_INT(row->expires_ms), store_blob(digest, MAC_BYTES) },
		       8);
	return r < 0 ? r : 0;
}

struct reading {
	struct access_row *rows;
	size_t n;
};

static int
read_row(const struct store_value *row, size_t columns, void *arg)
{
	struct reading *reading = arg;
	struct access_row *ret = &reading->rows[reading->n];
	(void)columns;
	if (!store_copy_text(&row[1], ret->id, sizeof(ret->id)) || row[2].type != STORE_TEXT ||
	    !access_key_kind_parse(row[2].data.bytes, row[2].data.n, &ret->kind) ||
	    !store_copy_text(&row[3], ret->name, sizeof(ret->name)))
		return -EIO; /* somebody else's hand was in the table */
	ret->number = row[0].integer;
	ret->uses_max = row[4].integer;
	ret->uses = row[5].integer;
	ret->created_ms = row[6].integer;
	ret->expires_ms = row[7].integer;
	ret->revoked_ms = row[8].integer;
	reading->n++;
	return 0;
}

static int
find_one(struct store *store, const char *sql, struct store_value key, struct access_row *ret)
{
	struct reading reading = { .rows = ret };
	int r = store_query(store, sql, &key, 1, read_row, &reading);
	if (r < 0)
		return -EIO;
	return reading.n == 1 ? 0 : -ENOENT;
}

int
access_store_find(struct store *store, const uint8_t digest[MAC_BYTES], struct access_row *ret)
{
	return find_one(store, "SELECT " COLUMNS " FROM access_keys WHERE digest = $1",
			store_blob(digest, MAC_BYTES), ret);
}

int
access_store_find_id(struct store *store, const char *id, struct access_row *ret)
{
	return find_one(store, "SELECT " COLUMNS " FROM access_keys WHERE key_id = $1",
			store_text(id), ret);
}

int
access_store_use(struct store *store, const uint8_t digest[MAC_BYTES], int64_t wall_now_ms)
{
	int changed = store_exec(
		store,
		"UPDATE access_keys SET uses = uses + 1 WHERE digest = $1 AND revoked_at = 0"
		" AND (expires_at = 0 OR expires_at > $2) AND uses < uses_max",
		(struct store_value[]){ store_blob(digest, MAC_BYTES), STORE_V_INT(wall_now_ms) },
		2);
	if (changed < 0)
		return -EIO;
	return changed == 1 ? 0 : -ENOENT;
}

int
access_store_unuse(struct store *store, const uint8_t digest[MAC_BYTES])
{
	int changed = store_exec(store,
				 "UPDATE access_keys SET uses = uses - 1"
				 " WHERE digest = $1 AND uses > 0",
				 (struct store_value[]){ store_blob(digest, MAC_BYTES) }, 1);
	return changed < 0 ? -EIO : 0;
}

int
access_store_revoke(struct store *store, const char *id, int64_t wall_now_ms)
{
	struct access_row row;
	int changed = store_exec(
		store,
		"UPDATE access_keys SET revoked_at = $2 WHERE key_id = $1 AND revoked_at = 0",
		(struct store_value[]){ store_text(id), STORE_V_INT(wall_now_ms) }, 2);
	if (changed < 0)
		return -EIO;
	return changed > 0 ? 0 : access_store_find_id(store, id, &row);
}

int
access_store_list(struct store *store, int64_t after, struct access_row *ret, size_t n)
{
	struct reading reading = { .rows = ret };
	int r = store_query(store,
			    "SELECT " COLUMNS " FROM access_keys WHERE number > $1"
			    " ORDER BY number LIMIT $2",
			    (struct store_value[]){ STORE_V_INT(after), STORE_V_INT((int64_t)n) },
			    2, read_row, &reading);
	return r < 0 ? -EIO : (int)reading.n;
}

int
access_store_void(struct store *store, const uint8_t node_id[UUID_BYTES], int64_t since_ms)
{
	int changed = store_exec(
		store,
		"INSERT INTO voided_tokens (node_id, tokens_since) VALUES ($1, $2)"
		" ON CONFLICT (node_id) DO UPDATE SET tokens_since = excluded.tokens_since"
		" WHERE voided_tokens.tokens_since < excluded.tokens_since",
		(struct store_value[]){ store_blob(node_id, UUID_BYTES), STORE_V_INT(since_ms) },
		2);
	return changed < 0 ? -EIO : 0;
}

struct voided {
	access_voided_fn fn;
	void *arg;
};

static int
read_voided(const struct store_value *row, size_t columns, void *arg)
{
	const struct voided *voided = arg;
	(void)columns;
	if (row[0].type != STORE_BLOB || row[0].data.n != UUID_BYTES || row[1].type != STORE_INT)
		return -EIO; /* somebody else's hand was in the table */
	return voided->fn(row[0].data.bytes, row[1].integer, voided->arg);
}

int
access_store_voided(struct store *store, int64_t after_ms, access_voided_fn fn, void *arg)
{
	struct voided voided = { .fn = fn, .arg = arg };
	int r = store_query(
		store, "SELECT node_id, tokens_since FROM voided_tokens WHERE tokens_since > $1",
		(struct store_value[]){ STORE_V_INT(after_ms) }, 1, read_voided, &voided);
	return r < 0 ? -EIO : 0;
}

int
access_store_void_trim(struct store *store, int64_t before_ms)
{
	int changed = store_exec(store, "DELETE FROM voided_tokens WHERE tokens_since < $1",
				 (struct store_value[]){ STORE_V_INT(before_ms) }, 1);
	return changed < 0 ? -EIO : 0;
}
