/* routing_store: table sessions. */
#include "routing/routing_store.h"

#include "store/store_lease.h"

#include <errno.h>
#include <string.h>

const struct store_migration routing_migrations[] = {
	{ 1, "sessions",
	  "CREATE TABLE sessions ("
	  " session_id TEXT NOT NULL PRIMARY KEY,"
	  " route_id TEXT NOT NULL UNIQUE,"
	  " client_id TEXT NOT NULL,"
	  " client_key TEXT NOT NULL,"
	  " node_id TEXT NOT NULL,"
	  " relay_id TEXT NOT NULL,"
	  " status TEXT NOT NULL,"	 /* open, closing, closed */
	  " created_at BIGINT NOT NULL," /* epoch ms, as the next */
	  " expires_at BIGINT NOT NULL,"
	  " latency DOUBLE PRECISION NOT NULL,"
	  " bandwidth DOUBLE PRECISION NOT NULL,"
	  " cost DOUBLE PRECISION NOT NULL)" },
	{ 2, "clients", "CREATE INDEX sessions_by_client ON sessions (client_id, created_at)" },
	{ 3, "replicas",
	  "ALTER TABLE sessions ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
	  "ALTER TABLE sessions ADD COLUMN udp_relay TEXT NOT NULL DEFAULT '';"
	  "ALTER TABLE sessions ADD COLUMN change BIGINT NOT NULL DEFAULT 0;"
	  /* Of those that one client has open, the newest stays. */
	  "UPDATE sessions SET status = 'closing' WHERE status = 'open' AND EXISTS"
	  " (SELECT 1 FROM sessions n WHERE n.client_id = sessions.client_id"
	  "  AND n.client_key = sessions.client_key AND n.status = 'open'"
	  "  AND (n.created_at, n.session_id) > (sessions.created_at, sessions.session_id));"
	  "CREATE UNIQUE INDEX sessions_living ON sessions (client_id, client_key)"
	  " WHERE status IN ('open', 'opening');"
	  "CREATE INDEX sessions_by_change ON sessions (change);"
	  "CREATE INDEX sessions_by_end ON sessions (expires_at);"
	  "CREATE TABLE changes (number BIGINT NOT NULL);"
	  "INSERT INTO changes (number) VALUES (0)" },
	{ 4, "lease", STORE_LEASE_SQL },
	{ 5, "entry", "ALTER TABLE sessions ADD COLUMN entry_relay TEXT NOT NULL DEFAULT ''" },
	{ 6, "keys",
	  "ALTER TABLE sessions ADD COLUMN holder TEXT NOT NULL DEFAULT '';"
	  "ALTER TABLE sessions ADD COLUMN proven BIGINT NOT NULL DEFAULT 0;" /* 0, 1 */
	  "CREATE INDEX sessions_by_key ON sessions (client_key)" },
};
const size_t routing_migrations_n = sizeof(routing_migrations) / sizeof(routing_migrations[0]);

static const char *const status_names[] = {
	[SESSION_OPEN] = "open",
	[SESSION_CLOSING] = "closing",
	[SESSION_CLOSED] = "closed",
	[SESSION_OPENING] = "opening",
};

int
routing_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes)
{
	return store_open(url, routing_migrations, routing_migrations_n, ret, ret_error,
			  error_bytes);
}

/* The row stays locked until the transaction ends: so the numbers are in order of the commits. */
static int
next_change(struct store *store)
{
	return store_exec(store, "UPDATE changes SET number = number + 1", NULL, 0) == 1 ? 0 : -EIO;
}

int
routing_store_add(struct store *store, const struct session_record *record)
{
	char id[UUID_TEXT_BYTES], route_id[UUID_TEXT_BYTES], client_id[UUID_TEXT_BYTES];
	char node_id[UUID_TEXT_BYTES], client_key[KEY_TEXT_BYTES];
	int changed;

	if (next_change(store) != 0)
		return -EIO;
	uuid_format(record->id, id);
	uuid_format(record->route_id, route_id);
	uuid_format(record->client_id, client_id);
	uuid_format(record->node_id, node_id);
	key_format(&record->client_key, client_key);
	changed = store_exec(
		store,
		"INSERT INTO sessions (session_id, route_id, client_id, client_key, node_id,"
		" relay_id, status, created_at, expires_at, latency, bandwidth, cost, owner,"
		" udp_relay, entry_relay, holder, proven, change) SELECT $1, $2, $3, $4, $5, $6,"
		" $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, changes.number FROM changes"
		" WHERE NOT EXISTS (SELECT 1 FROM sessions k WHERE k.client_key = $4"
		" AND k.status IN ('open', 'opening')"
		" AND (k.holder NOT IN ('', $16) OR k.proven > $17))",
		(struct store_value[]){
			store_text(id), store_text(route_id), store_text(client_id),
			store_text(client_key), store_text(node_id), store_text(record->relay_id),
			store_text(status_names[record->status]),
			STORE_V_INT(record->created_wall_ms), STORE_V_INT(record->expires_wall_ms),
			STORE_V_REAL(record->latency_ms), STORE_V_REAL(record->bandwidth_mbits),
			STORE_V_REAL(record->cost), store_text(record->owner),
			store_text(record->udp_relay_id), store_text(record->entry_relay_id),
			store_text(record->holder), STORE_V_INT(record->is_proven ? 1 : 0) },
		17);
	if (changed == 1)
		return 0;
	if (changed == 0)
		return -EBUSY;
	return changed == -EEXIST ? -EEXIST : -EIO;
}

int
routing_store_take_key(struct store *store, const struct key *client_key)
{
	char key[KEY_TEXT_BYTES];
	int changed;

	if (next_change(store) != 0)
		return -EIO;
	key_format(client_key, key);
	changed = store_exec(
		store,
		"UPDATE sessions SET status = 'closing', change = (SELECT number FROM changes)"
		" WHERE client_key = $1 AND status IN ('open', 'opening') AND proven = 0",
		(struct store_value[]){ store_text(key) }, 1);
	return changed < 0 ? -EIO : changed;
}

int
routing_store_change(struct store *store, const struct session_record *record, bool is_opening)
{
	char id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES];
	int changed;

	if (next_change(store) != 0)
		return -EIO;
	uuid_format(record->id, id);
	uuid_format(record->node_id, node_id);
	changed = store_exec(
		store,
		"UPDATE sessions SET node_id = $2, relay_id = $3, status = $4, expires_at = $5,"
		" latency = $6, bandwidth = $7, cost = $8, udp_relay = $9, entry_relay = $10,"
		" proven = CASE WHEN proven = 1 THEN 1 ELSE $12 END,"
		" change = (SELECT number FROM changes)"
		" WHERE session_id = $1 AND status IN ($11, 'opening')",
		(struct store_value[]){
			store_text(id), store_text(node_id), store_text(record->relay_id),
			store_text(status_names[record->status]),
			STORE_V_INT(record->expires_wall_ms), STORE_V_REAL(record->latency_ms),
			STORE_V_REAL(record->bandwidth_mbits), STORE_V_REAL(record->cost),
			store_text(record->udp_relay_id), store_text(record->entry_relay_id),
			store_text(is_opening ? "opening" : "open"),
			STORE_V_INT(record->is_proven ? 1 : 0) },
		12);
	if (changed == 1)
		return 0;
	return changed == 0 ? -ESTALE : -EIO;
}

int
routing_store_told(struct store *store, const uint8_t id[UUID_BYTES], int64_t expires_wall_ms)
{
	char id_text[UUID_TEXT_BYTES];

	if (next_change(store) != 0)
		return -EIO;
	uuid_format(id, id_text);
	return store_exec(
		       store,
		       "UPDATE sessions SET status = 'closed', expires_at = $2,"
		       " change = (SELECT number FROM changes)"
		       " WHERE session_id = $1 AND status = 'closing'",
		       (struct store_value[]){ store_text(id_text), STORE_V_INT(expires_wall_ms) },
		       2) < 0
		       ? -EIO
		       : 0;
}

int
routing_store_remove(struct store *store, const uint8_t id[UUID_BYTES])
{
	char id_text[UUID_TEXT_BYTES];

	uuid_format(id, id_text);
	return store_exec(store, "DELETE FROM sessions WHERE session_id = $1",
			  (struct store_value[]){ store_text(id_text) }, 1) < 0
		       ? -EIO
		       : 0;
}

/* ---- rows ---- */

/* Rows have a NUL after each text. */
static const char *
text_of(const struct store_value *value)
{
	return value->type == STORE_TEXT ? value->data.bytes : "";
}

static double
real_of(const struct store_value *value)
{
	return value->type == STORE_INT ? (double)value->integer : value->real;
}

static int
parse_status(const char *text, enum session_status *ret)
{
	for (size_t i = 0; i < sizeof(status_names) / sizeof(status_names[0]); i++)
		if (strcmp(text, status_names[i]) == 0) {
			*ret = (enum session_status)i;
			return 0;
		}
	return -EBADMSG;
}

struct each {
	routing_row_fn fn;
	void *arg;
};

#define COLUMNS                                                                           \
	"s.session_id, s.route_id, s.client_id, s.client_key, s.node_id, s.relay_id,"     \
	" s.status, s.created_at, s.expires_at, s.latency, s.bandwidth, s.cost, s.owner," \
	" s.udp_relay, s.entry_relay, s.holder, s.proven, s.change"
enum { COLUMN_CHANGE = 17, COLUMN_COUNT };

static int
parse_row(const struct store_value *row, struct session_record *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (uuid_parse(text_of(&row[0]), ret->id) != 0 ||
	    uuid_parse(text_of(&row[1]), ret->route_id) != 0 ||
	    uuid_parse(text_of(&row[2]), ret->client_id) != 0 ||
	    key_parse(text_of(&row[3]), &ret->client_key) != 0 ||
	    uuid_parse(text_of(&row[4]), ret->node_id) != 0 ||
	    parse_status(text_of(&row[6]), &ret->status) != 0)
		return -EBADMSG;
	strncpy(ret->relay_id, text_of(&row[5]), sizeof(ret->relay_id) - 1);
	ret->created_wall_ms = row[7].integer;
	ret->expires_wall_ms = row[8].integer;
	ret->latency_ms = real_of(&row[9]);
	ret->bandwidth_mbits = real_of(&row[10]);
	ret->cost = real_of(&row[11]);
	strncpy(ret->owner, text_of(&row[12]), sizeof(ret->owner) - 1);
	strncpy(ret->udp_relay_id, text_of(&row[13]), sizeof(ret->udp_relay_id) - 1);
	strncpy(ret->entry_relay_id, text_of(&row[14]), sizeof(ret->entry_relay_id) - 1);
	strncpy(ret->holder, text_of(&row[15]), sizeof(ret->holder) - 1);
	ret->is_proven = row[16].integer != 0;
	return 0;
}

static int
read_row(const struct store_value *row, size_t columns, void *arg)
{
	struct session_record record;
	const struct each *each = arg;

	(void)columns;
	if (parse_row(row, &record) != 0)
		return -EBADMSG;
	return each->fn(&record, row[COLUMN_CHANGE].integer, each->arg);
}

int
routing_store_each(struct store *store, routing_row_fn fn, void *arg)
{
	struct each each = { fn, arg };
	int n = store_query(store, "SELECT " COLUMNS " FROM sessions s", NULL, 0, read_row, &each);

	return n < 0 ? n : 0;
}

int
routing_store_since(struct store *store, int64_t after, size_t limit, routing_row_fn fn, void *arg)
{
	struct each each = { fn, arg };

	return store_query(
		store,
		"SELECT " COLUMNS " FROM sessions s WHERE s.change > $1"
		" ORDER BY s.change LIMIT $2",
		(struct store_value[]){ STORE_V_INT(after), STORE_V_INT((int64_t)limit) }, 2,
		read_row, &each);
}

int
routing_store_closing_of_key(struct store *store, const struct key *client_key, routing_row_fn fn,
			     void *arg)
{
	struct each each = { fn, arg };
	char key[KEY_TEXT_BYTES];
	int n;

	key_format(client_key, key);
	n = store_query(store,
			"SELECT " COLUMNS " FROM sessions s WHERE s.client_key = $1"
			" AND s.status = 'closing'",
			(struct store_value[]){ store_text(key) }, 1, read_row, &each);
	return n < 0 ? n : 0;
}

int
routing_store_ended(struct store *store, int64_t wall_ms, size_t limit, routing_row_fn fn,
		    void *arg)
{
	struct each each = { fn, arg };

	return store_query(
		store, "SELECT " COLUMNS " FROM sessions s WHERE s.expires_at < $1 LIMIT $2",
		(struct store_value[]){ STORE_V_INT(wall_ms), STORE_V_INT((int64_t)limit) }, 2,
		read_row, &each);
}

/* ---- clients ---- */

/* Of a client's sessions the one that tells its state: an open one before another, then the newest.
 */
#define CLIENTS                                                                                \
	"SELECT " COLUMNS ", (SELECT COUNT(*) FROM sessions o WHERE o.client_id = s.client_id" \
	" AND o.status = 'open') FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM sessions n"   \
	" WHERE n.client_id = s.client_id AND"                                                 \
	" (CASE n.status WHEN 'open' THEN 1 ELSE 0 END, n.created_at, n.session_id) >"         \
	" (CASE s.status WHEN 'open' THEN 1 ELSE 0 END, s.created_at, s.session_id))"

struct each_client {
	routing_client_fn fn;
	void *arg;
};

static int
read_client(const struct store_value *row, size_t columns, void *arg)
{
	struct session_record record;
	const struct each_client *each = arg;

	(void)columns;
	if (parse_row(row, &record) != 0)
		return -EBADMSG;
	return each->fn(&record, row[COLUMN_COUNT].integer, each->arg);
}

int
routing_store_clients(struct store *store, const char *after, size_t limit, routing_client_fn fn,
		      void *arg)
{
	struct each_client each = { fn, arg };
	int n = store_query(
		store, CLIENTS " AND s.client_id > $1 ORDER BY s.client_id LIMIT $2",
		(struct store_value[]){ store_text(after), STORE_V_INT((int64_t)limit) }, 2,
		read_client, &each);

	return n < 0 ? -EIO : 0;
}

int
routing_store_client(struct store *store, const uint8_t client_id[UUID_BYTES], routing_client_fn fn,
		     void *arg)
{
	struct each_client each = { fn, arg };
	char id_text[UUID_TEXT_BYTES];
	int n;

	uuid_format(client_id, id_text);
	n = store_query(store, CLIENTS " AND s.client_id = $1",
			(struct store_value[]){ store_text(id_text) }, 1, read_client, &each);
	return n < 0 ? -EIO : 0;
}
