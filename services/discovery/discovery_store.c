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
	{ 4, "used proofs",
	  "CREATE TABLE proofs ("
	  " nonce TEXT NOT NULL PRIMARY KEY,"
	  " used_at BIGINT NOT NULL)" /* epoch ms */ },
};
const size_t discovery_migrations_n =
	sizeof(discovery_migrations) / sizeof(discovery_migrations[0]);

int
discovery_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes)
{
	return store_open(url, discovery_migrations, discovery_migrations_n, ret, ret_error,
			  error_bytes);
}

static int
read_integer(const struct store_value *row, size_t columns, void *arg)
{
	(void)columns;
	*(int64_t *)arg = row[0].integer;
	return row[0].type == STORE_INT ? 0 : -EIO;
}

int
discovery_store_last_change(struct store *store, int64_t *ret_change)
{
	int n = store_query(store, "SELECT last FROM clock WHERE id = 1", NULL, 0, read_integer,
			    ret_change);

	return n == 1 ? 0 : -EIO;
}

int
discovery_store_next_change(struct store *store, int64_t *ret_change)
{
	if (store_exec(store, "UPDATE clock SET last = last + 1 WHERE id = 1", NULL, 0) != 1)
		return -EIO;
	return discovery_store_last_change(store, ret_change);
}

/* At the end of a write's values: change, writer, version. */
#define STAMP(stamp)                                                \
	STORE_V_INT((stamp)->change), STORE_V_INT((stamp)->writer), \
		STORE_V_INT((int64_t)(stamp)->version)

int
discovery_store_put(struct store *store, int64_t number, const uint8_t id[UUID_BYTES],
		    const struct key *key, const void *facts, size_t facts_bytes,
		    int64_t now_wall_ms, const struct discovery_stamp *stamp)
{
	char id_text[UUID_TEXT_BYTES], key_text[KEY_TEXT_BYTES];
	int changed;

	uuid_format(id, id_text);
	key_format(key, key_text);
	/* The table itself decides who holds an id, so that two in one batch cannot both win. */
	changed = store_exec(store,
			     "INSERT INTO nodes (number, node_id, public_key, facts,"
			     " registered_at, last_seen, deleted_at, online,"
			     " change, writer, version)"
			     " VALUES ($1, $2, $3, $4, $5, $5, NULL, 1, $6, $7, $8)"
			     " ON CONFLICT (node_id) DO UPDATE SET facts = excluded.facts,"
			     " last_seen = excluded.last_seen, online = 1,"
			     " registered_at = CASE WHEN nodes.deleted_at IS NULL"
			     "  THEN nodes.registered_at ELSE excluded.registered_at END,"
			     " deleted_at = NULL, change = excluded.change,"
			     " writer = excluded.writer, version = excluded.version"
			     " WHERE nodes.public_key = excluded.public_key",
			     (struct store_value[]){ STORE_V_INT(number), store_text(id_text),
						     store_text(key_text),
						     store_blob(facts, facts_bytes),
						     STORE_V_INT(now_wall_ms), STAMP(stamp) },
			     8);
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
		       int64_t tokens_since_ms, const struct discovery_stamp *stamp)
{
	char id_text[UUID_TEXT_BYTES];
	int changed;

	uuid_format(id, id_text);
	changed = store_exec(store,
			     "UPDATE nodes SET deleted_at = $2, facts = $3, online = 0,"
			     " tokens_since = $4, change = $5, writer = $6, version = $7"
			     " WHERE node_id = $1",
			     (struct store_value[]){ store_text(id_text), STORE_V_INT(now_wall_ms),
						     store_blob("", 0),
						     STORE_V_INT(tokens_since_ms), STAMP(stamp) },
			     7);
	return changed < 0 ? changed : 0;
}

int
discovery_store_offline(struct store *store, const uint8_t id[UUID_BYTES],
			int64_t last_seen_wall_ms, const struct discovery_stamp *stamp)
{
	char id_text[UUID_TEXT_BYTES];
	int changed;

	uuid_format(id, id_text);
	changed = store_exec(store,
			     "UPDATE nodes SET last_seen = $2, online = 0,"
			     " change = $3, writer = $4, version = $5 WHERE node_id = $1",
			     (struct store_value[]){ store_text(id_text),
						     STORE_V_INT(last_seen_wall_ms), STAMP(stamp) },
			     5);
	return changed < 0 ? changed : 0;
}

struct each {
	discovery_row_fn fn;
	void *arg;
};

/* Ids and keys in columns are our own text, but the file is not only ours: check. */
static int
read_row(const struct store_value *row, size_t columns, void *arg)
{
	char id_text[UUID_TEXT_BYTES], key_text[KEY_TEXT_BYTES];
	const struct each *each = arg;
	struct discovery_row made = { 0 };

	(void)columns;
	if (!store_copy_text(&row[1], id_text, sizeof(id_text)) ||
	    uuid_parse(id_text, made.id) != 0 ||
	    !store_copy_text(&row[2], key_text, sizeof(key_text)) ||
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
	made.change = row[8].integer;
	made.version = (uint64_t)row[9].integer;
	made.tokens_since_ms = row[10].integer;
	return each->fn(&made, each->arg);
}

#define NODE_COLUMNS                                                                       \
	"SELECT number, node_id, public_key, facts, registered_at, last_seen, deleted_at," \
	" online, change, version, tokens_since FROM nodes"

int
discovery_store_each(struct store *store, discovery_row_fn fn, void *arg)
{
	struct each each = { fn, arg };
	int n = store_query(store, NODE_COLUMNS " ORDER BY number", NULL, 0, read_row, &each);

	return n < 0 ? n : 0;
}

#define SPAN_WHERE " WHERE change > $1 AND change <= $2 AND writer <> $3"
#define SPAN(span) \
	STORE_V_INT((span)->after), STORE_V_INT((span)->until), STORE_V_INT((span)->not_writer)

int
discovery_store_changed(struct store *store, const struct discovery_span *span, size_t max,
			discovery_row_fn fn, void *arg)
{
	struct each each = { fn, arg };

	return store_query(store, NODE_COLUMNS SPAN_WHERE " ORDER BY change LIMIT $4",
			   (struct store_value[]){ SPAN(span), STORE_V_INT((int64_t)max) }, 4,
			   read_row, &each);
}

int
discovery_store_put_beats(struct store *store, int64_t part, int64_t heard_wall_ms,
			  const void *bytes, size_t n, const struct discovery_stamp *stamp)
{
	int changed =
		store_exec(store,
			   "INSERT INTO beats (part, heard_at, data, change, writer)"
			   " VALUES ($1, $2, $3, $4, $5)",
			   (struct store_value[]){ STORE_V_INT(part), STORE_V_INT(heard_wall_ms),
						   store_blob(bytes, n), STORE_V_INT(stamp->change),
						   STORE_V_INT(stamp->writer) },
			   5);

	return changed < 0 ? -EIO : 0;
}

int
discovery_store_prune_beats(struct store *store, int64_t before_wall_ms)
{
	int changed = store_exec(store, "DELETE FROM beats WHERE heard_at < $1",
				 (struct store_value[]){ STORE_V_INT(before_wall_ms) }, 1);

	return changed < 0 ? -EIO : 0;
}

struct beats_each {
	discovery_beats_fn fn;
	void *arg;
};

static int
read_beats(const struct store_value *row, size_t columns, void *arg)
{
	const struct beats_each *each = arg;

	(void)columns;
	if (row[2].type != STORE_BLOB)
		return -EBADMSG;
	return each->fn(row[0].integer, row[1].integer, row[2].data.bytes, row[2].data.n,
			each->arg);
}

int
discovery_store_beats(struct store *store, const struct discovery_span *span, size_t max,
		      discovery_beats_fn fn, void *arg)
{
	struct beats_each each = { fn, arg };

	return store_query(store,
			   "SELECT change, heard_at, data FROM beats" SPAN_WHERE
			   " ORDER BY change, part LIMIT $4",
			   (struct store_value[]){ SPAN(span), STORE_V_INT((int64_t)max) }, 4,
			   read_beats, &each);
}

int
discovery_store_first_proof(struct store *store, const char *nonce, int64_t now_wall_ms)
{
	int changed = store_exec(
		store,
		"INSERT INTO proofs (nonce, used_at) VALUES ($1, $2)"
		" ON CONFLICT (nonce) DO NOTHING",
		(struct store_value[]){ store_text(nonce), STORE_V_INT(now_wall_ms) }, 2);

	return changed < 0 ? -EIO : changed;
}

int
discovery_store_prune_proofs(struct store *store, int64_t before_wall_ms)
{
	int changed = store_exec(store, "DELETE FROM proofs WHERE used_at < $1",
				 (struct store_value[]){ STORE_V_INT(before_wall_ms) }, 1);

	return changed < 0 ? -EIO : 0;
}

int
discovery_store_put_relay(struct store *store, const char *id, const void *bytes, size_t n,
			  const char *peer, const struct discovery_stamp *stamp)
{
	int changed = store_exec(
		store,
		"INSERT INTO relays (relay_id, announcement, peer, change, writer)"
		" VALUES ($1, $2, $3, $4, $5)"
		" ON CONFLICT (relay_id) DO UPDATE SET announcement = excluded.announcement,"
		" peer = excluded.peer, change = excluded.change, writer = excluded.writer",
		(struct store_value[]){ store_text(id), store_blob(bytes, n), store_text(peer),
					STORE_V_INT(stamp->change), STORE_V_INT(stamp->writer) },
		5);

	return changed < 0 ? -EIO : 0;
}

int
discovery_store_remove_relay(struct store *store, const char *id)
{
	int changed = store_exec(store, "DELETE FROM relays WHERE relay_id = $1",
				 (struct store_value[]){ store_text(id) }, 1);

	return changed < 0 ? -EIO : 0;
}

struct relays_each {
	discovery_relay_fn fn;
	void *arg;
};

static int
read_relay(const struct store_value *row, size_t columns, void *arg)
{
	const struct relays_each *each = arg;

	(void)columns;
	if (row[0].type != STORE_BLOB || row[1].type != STORE_TEXT)
		return -EBADMSG;
	return each->fn(row[0].data.bytes, row[0].data.n, row[1].data.bytes, each->arg);
}

int
discovery_store_relays(struct store *store, const struct discovery_span *span,
		       discovery_relay_fn fn, void *arg)
{
	struct relays_each each = { fn, arg };
	int n = store_query(store, "SELECT announcement, peer FROM relays" SPAN_WHERE,
			    (struct store_value[]){ SPAN(span) }, 3, read_relay, &each);

	return n < 0 ? n : 0;
}
