/* discovery_store: table nodes, and what replicas tell each other by. */
#include "discovery/discovery_store.h"

#include "store/store_lease.h"

#include <errno.h>
#include <string.h>

const struct store_migration discovery_migrations[] = {
	{ 1, "nodes",
	  "CREATE TABLE nodes ("
	  " number BIGINT NOT NULL PRIMARY KEY,"
	  " node_id TEXT NOT NULL UNIQUE,"
	  " public_key TEXT NOT NULL UNIQUE,"
	  " facts BYTEA NOT NULL,"
	  " registered_at BIGINT NOT NULL," /* epoch ms, as the next two */
	  " last_seen BIGINT NOT NULL,"
	  " deleted_at BIGINT,"
	  " online BIGINT NOT NULL)" },
	{ 2, "replicas",
	  "CREATE TABLE clock (id BIGINT NOT NULL PRIMARY KEY, last BIGINT NOT NULL);"
	  "INSERT INTO clock (id, last) VALUES (1, 0);"
	  "ALTER TABLE nodes ADD COLUMN change BIGINT NOT NULL DEFAULT 0;"
	  "ALTER TABLE nodes ADD COLUMN writer BIGINT NOT NULL DEFAULT 0;"
	  "ALTER TABLE nodes ADD COLUMN version BIGINT NOT NULL DEFAULT 0;"
	  "CREATE INDEX nodes_change ON nodes (change);"
	  "CREATE TABLE beats ("
	  " change BIGINT NOT NULL,"
	  " part BIGINT NOT NULL,"
	  " writer BIGINT NOT NULL,"
	  " heard_at BIGINT NOT NULL," /* epoch ms */
	  " data BYTEA NOT NULL,"
	  " PRIMARY KEY (change, part));"
	  "CREATE TABLE relays ("
	  " relay_id TEXT NOT NULL PRIMARY KEY,"
	  " announcement BYTEA NOT NULL,"
	  " peer TEXT NOT NULL,"
	  " change BIGINT NOT NULL,"
	  " writer BIGINT NOT NULL);" STORE_LEASE_SQL },
	{ 3, "enrolments and revocations",
	  "ALTER TABLE nodes ADD COLUMN tokens_since BIGINT NOT NULL DEFAULT 0;" /* epoch ms */
	  "CREATE TABLE enrolments ("
	  " number BIGINT NOT NULL PRIMARY KEY,"
	  " node_id TEXT NOT NULL UNIQUE,"
	  " public_key TEXT NOT NULL,"
	  " state TEXT NOT NULL," /* pending, approved, refused */
	  " address TEXT NOT NULL,"
	  " asked_at BIGINT NOT NULL," /* epoch ms, as the next two */
	  " last_asked_at BIGINT NOT NULL,"
	  " decided_at BIGINT NOT NULL)" /* 0: not yet */ },
};
const size_t discovery_migrations_n =
	sizeof(discovery_migrations) / sizeof(discovery_migrations[0]);

int
discovery_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes)
{
	return store_open(url, discovery_migrations, discovery_migrations_n, ret, ret_error,
			  error_bytes);
}

int
discovery_store_put(struct store *store, int64_t number, const uint8_t id[UUID_BYTES],
		    const struct key *key, const void *facts, size_t facts_bytes,
		    int64_t now_wall_ms)
{
	char id_text[UUID_TEXT_BYTES], key_text[KEY_TEXT_BYTES];
	int changed;

	uuid_format(id, id_text);
	key_format(key, key_text);
	/* The table itself decides who holds an id, so that two in one batch cannot both win. */
	changed = store_exec(store,
			     "INSERT INTO nodes (number, node_id, public_key, facts,"
			     " registered_at, last_seen, deleted_at, online)"
			     " VALUES ($1, $2, $3, $4, $5, $5, NULL, 1)"
			     " ON CONFLICT (node_id) DO UPDATE SET facts = excluded.facts,"
			     " last_seen = excluded.last_seen, online = 1,"
			     " registered_at = CASE WHEN nodes.deleted_at IS NULL"
			     "  THEN nodes.registered_at ELSE excluded.registered_at END,"
			     " deleted_at = NULL"
			     " WHERE nodes.public_key = excluded.public_key",
			     (struct store_value[]){
				     STORE_V_INT(number), store_text(id_text), store_text(key_text),
				     store_blob(facts, facts_bytes), STORE_V_INT(now_wall_ms) },
			     5);
	if (changed == 0)
		return -EPERM;
	return changed < 0 ? changed : 0;
}

int
discovery_store_rekey(struct store *store, const uint8_t id[UUID_BYTES], const struct key *from,
		      const struct key *to, int64_t tokens_since_ms)
{
	char id_text[UUID_TEXT_BYTES], from_text[KEY_TEXT_BYTES], to_text[KEY_TEXT_BYTES];
	int changed;

	uuid_format(id, id_text);
	key_format(from, from_text);
	key_format(to, to_text);
	changed = store_exec(store,
			     "UPDATE nodes SET public_key = $3, tokens_since = $4"
			     " WHERE node_id = $1 AND public_key = $2",
			     (struct store_value[]){ store_text(id_text), store_text(from_text),
						     store_text(to_text),
						     STORE_V_INT(tokens_since_ms) },
			     4);
	if (changed == 0)
		return -EPERM;
	return changed < 0 ? changed : 0;
}

int
discovery_store_delete(struct store *store, const uint8_t id[UUID_BYTES], int64_t now_wall_ms,
		       int64_t tokens_since_ms)
{
	char id_text[UUID_TEXT_BYTES];
	int changed;

	uuid_format(id, id_text);
	changed = store_exec(store,
			     "UPDATE nodes SET deleted_at = $2, facts = $3, online = 0,"
			     " tokens_since = $4 WHERE node_id = $1",
			     (struct store_value[]){ store_text(id_text), STORE_V_INT(now_wall_ms),
						     store_blob("", 0),
						     STORE_V_INT(tokens_since_ms) },
			     4);
	return changed < 0 ? changed : 0;
}

int
discovery_store_seen(struct store *store, const uint8_t id[UUID_BYTES], bool online,
		     int64_t last_seen_wall_ms)
{
	char id_text[UUID_TEXT_BYTES];
	int changed;

	uuid_format(id, id_text);
	changed = store_exec(
		store, "UPDATE nodes SET last_seen = $2, online = $3 WHERE node_id = $1",
		(struct store_value[]){ store_text(id_text), STORE_V_INT(last_seen_wall_ms),
					STORE_V_INT(online ? 1 : 0) },
		3);
	return changed < 0 ? changed : 0;
}

struct each {
	discovery_row_fn fn;
	void *arg;
};

/* Ids and keys in columns are our own text, but the file is not only ours: check. */
static int
copy_text(const struct store_value *value, char *ret_text, size_t text_bytes)
{
	if (value->type != STORE_TEXT || value->data.n != text_bytes - 1)
		return -EBADMSG;
	memcpy(ret_text, value->data.bytes, text_bytes - 1);
	ret_text[text_bytes - 1] = '\0';
	return 0;
}

static int
read_row(const struct store_value *row, size_t columns, void *arg)
{
	char id_text[UUID_TEXT_BYTES], key_text[KEY_TEXT_BYTES];
	const struct each *each = arg;
	struct discovery_row made = { 0 };

	(void)columns;
	if (copy_text(&row[1], id_text, sizeof(id_text)) != 0 ||
	    uuid_parse(id_text, made.id) != 0 ||
	    copy_text(&row[2], key_text, sizeof(key_text)) != 0 ||
	    key_parse(key_text, &made.key) != 0)
		return -EBADMSG;
	made.number = row[0].integer;
	if (row[3].type == STORE_BLOB) {
		made.facts = row[3].data.bytes;
		made.facts_bytes = row[3].data.n;
	}
	made.registered_wall_ms = row[4].integer;
	made.last_seen_wall_ms = row[5].integer;
	made.deleted = row[6].type != STORE_NULL;
	made.online = row[7].integer != 0;
	made.tokens_since_ms = row[8].integer;
	return each->fn(&made, each->arg);
}

int
discovery_store_each(struct store *store, discovery_row_fn fn, void *arg)
{
	struct each each = { fn, arg };
	int n = store_query(store,
			    "SELECT number, node_id, public_key, facts, registered_at, last_seen,"
			    " deleted_at, online, tokens_since FROM nodes ORDER BY number",
			    NULL, 0, read_row, &each);

	return n < 0 ? n : 0;
}
