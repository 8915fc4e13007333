/* routing_store: table sessions. */
#include "routing/routing_store.h"

#include <errno.h>
#include <string.h>

static const struct store_migration migrations[] = {
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
};

static const char *const status_names[] = {
	[SESSION_OPEN] = "open",
	[SESSION_CLOSING] = "closing",
	[SESSION_CLOSED] = "closed",
};

int
routing_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes)
{
	return store_open(url, migrations, sizeof(migrations) / sizeof(migrations[0]), ret,
			  ret_error, error_bytes);
}

int
routing_store_put(struct store *store, const struct session_record *record)
{
	char id[UUID_TEXT_BYTES], route_id[UUID_TEXT_BYTES], client_id[UUID_TEXT_BYTES];
	char node_id[UUID_TEXT_BYTES], client_key[KEY_TEXT_BYTES];
	int changed;

	uuid_format(record->id, id);
	uuid_format(record->route_id, route_id);
	uuid_format(record->client_id, client_id);
	uuid_format(record->node_id, node_id);
	key_format(&record->client_key, client_key);
	changed = store_exec(
		store,
		"INSERT INTO sessions (session_id, route_id, client_id, client_key, node_id,"
		" relay_id, status, created_at, expires_at, latency, bandwidth, cost)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
		" ON CONFLICT (session_id) DO UPDATE SET node_id = excluded.node_id,"
		" relay_id = excluded.relay_id, status = excluded.status,"
		" expires_at = excluded.expires_at, latency = excluded.latency,"
		" bandwidth = excluded.bandwidth, cost = excluded.cost",
		(struct store_value[]){
			store_text(id), store_text(route_id), store_text(client_id),
			store_text(client_key), store_text(node_id), store_text(record->relay_id),
			store_text(status_names[record->status]),
			STORE_V_INT(record->created_wall_ms), STORE_V_INT(record->expires_wall_ms),
			STORE_V_REAL(record->latency_ms), STORE_V_REAL(record->bandwidth_mbits),
			STORE_V_REAL(record->cost) },
		12);
	return changed == 1 ? 0 : -EIO;
}

int
routing_store_set_status(struct store *store, const uint8_t id[UUID_BYTES],
			 enum session_status status)
{
	char id_text[UUID_TEXT_BYTES];

	uuid_format(id, id_text);
	return store_exec(store, "UPDATE sessions SET status = $2 WHERE session_id = $1",
			  (struct store_value[]){ store_text(id_text),
						  store_text(status_names[status]) },
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

struct each {
	routing_row_fn fn;
	void *arg;
};

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

#define COLUMNS                                                                       \
	"s.session_id, s.route_id, s.client_id, s.client_key, s.node_id, s.relay_id," \
	" s.status, s.created_at, s.expires_at, s.latency, s.bandwidth, s.cost"
enum { COLUMN_COUNT = 12 };

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
	return each->fn(&record, each->arg);
}

int
routing_store_each(struct store *store, routing_row_fn fn, void *arg)
{
	struct each each = { fn, arg };
	int n = store_query(store, "SELECT " COLUMNS " FROM sessions s", NULL, 0, read_row, &each);

	return n < 0 ? n : 0;
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
