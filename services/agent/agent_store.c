/*
 * agent_store: two tables. The attachment is one row, kept as the message it is.
 */
#include "agent/agent_store.h"
#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ATTACHMENT_MAX_BYTES = 16 * 1024, ATTACHMENT_ROW = 1 };

static const struct store_migration migrations[] = {
	{ 1, "sessions and attachment",
	  "CREATE TABLE sessions ("
	  " session_id BYTEA PRIMARY KEY,"
	  " client_id BYTEA NOT NULL,"
	  " client_key BYTEA NOT NULL UNIQUE,"
	  " number BIGINT NOT NULL UNIQUE,"
	  " address4 TEXT NOT NULL,"
	  " address6 TEXT NOT NULL,"
	  " expires_at BIGINT NOT NULL);"
	  "CREATE TABLE attachment ("
	  " id BIGINT PRIMARY KEY,"
	  " message BYTEA NOT NULL);" },
};

static int
as_result(int rows)
{
	return rows < 0 ? -EIO : 0;
}

int
agent_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes)
{
	return store_open(url, migrations, sizeof(migrations) / sizeof(migrations[0]), ret,
			  ret_error, error_bytes);
}

int
agent_store_put_session(struct store *store, const struct admission_session *session,
			const char *address4, const char *address6)
{
	const struct store_value values[] = {
		store_blob(session->id, UUID_BYTES),
		store_blob(session->client_id, UUID_BYTES),
		store_blob(session->client_key.bytes, KEY_BYTES),
		STORE_V_INT(session->number),
		store_text(address4),
		store_text(address6),
		STORE_V_INT(session->expires_at_ms),
	};

	return as_result(store_exec(store,
				    "INSERT INTO sessions (session_id, client_id, client_key, "
				    "number, address4, address6, expires_at) "
				    "VALUES ($1, $2, $3, $4, $5, $6, $7) "
				    "ON CONFLICT (session_id) DO UPDATE SET expires_at = $7",
				    values, sizeof(values) / sizeof(values[0])));
}

int
agent_store_remove_session(struct store *store, const uint8_t id[UUID_BYTES])
{
	const struct store_value values[] = { store_blob(id, UUID_BYTES) };

	return as_result(
		store_exec(store, "DELETE FROM sessions WHERE session_id = $1", values, 1));
}

int
agent_store_remove_all_sessions(struct store *store)
{
	return as_result(store_exec(store, "DELETE FROM sessions", NULL, 0));
}

enum { COLUMN_ID, COLUMN_CLIENT, COLUMN_KEY, COLUMN_NUMBER, COLUMN_4, COLUMN_6, COLUMN_EXPIRES };

struct loading {
	struct admission *admission;
	const struct admission_clock *now;
	size_t misfits;
	uint8_t misfit[ADMISSION_SESSIONS_MAX][UUID_BYTES];
};

static int
load_session(const struct store_value *row, size_t columns, void *arg)
{
	struct loading *loading = arg;
	struct admission_session session = { 0 };
	char address4[ADMISSION_ADDRESS_BYTES], address6[ADMISSION_ADDRESS_BYTES];
	int r = -EINVAL;

	(void)columns;
	if (!store_copy_blob(&row[COLUMN_ID], session.id, UUID_BYTES))
		return -EIO;
	session.number = (uint32_t)row[COLUMN_NUMBER].integer;
	session.expires_at_ms = row[COLUMN_EXPIRES].integer;
	if (store_copy_blob(&row[COLUMN_CLIENT], session.client_id, UUID_BYTES) &&
	    store_copy_blob(&row[COLUMN_KEY], session.client_key.bytes, KEY_BYTES) &&
	    store_copy_text(&row[COLUMN_4], address4, sizeof(address4)) &&
	    store_copy_text(&row[COLUMN_6], address6, sizeof(address6)))
		r = admission_restore(loading->admission, &session, address4, address6,
				      loading->now);
	if (r < 0 && loading->misfits < ADMISSION_SESSIONS_MAX)
		memcpy(loading->misfit[loading->misfits++], session.id, UUID_BYTES);
	return 0;
}

int
agent_store_load_sessions(struct store *store, struct admission *admission,
			  const struct admission_clock *now)
{
	struct loading *loading = calloc(1, sizeof(*loading));
	int r;

	if (!loading)
		return -EIO;
	loading->admission = admission;
	loading->now = now;
	r = as_result(store_query(store,
				  "SELECT session_id, client_id, client_key, number, address4, "
				  "address6, expires_at FROM sessions ORDER BY number",
				  NULL, 0, load_session, loading));
	if (r == 0 && loading->misfits > 0)
		log_warn("sessions_dropped", "count=%zu reason=%s", loading->misfits,
			 "the address pools or the key of this node were changed");
	for (size_t i = 0; r == 0 && i < loading->misfits; i++)
		r = agent_store_remove_session(store, loading->misfit[i]);
	free(loading);
	return r;
}

int
agent_store_put_attachment(struct store *store, const Boson__Node__Attachment *attachment)
{
	uint8_t bytes[ATTACHMENT_MAX_BYTES];
	size_t n = boson__node__attachment__get_packed_size(attachment);
	struct store_value values[2];

	if (n > sizeof(bytes))
		return -EMSGSIZE;
	boson__node__attachment__pack(attachment, bytes);
	values[0] = STORE_V_INT(ATTACHMENT_ROW);
	values[1] = store_blob(bytes, n);
	return as_result(store_exec(store,
				    "INSERT INTO attachment (id, message) VALUES ($1, $2) "
				    "ON CONFLICT (id) DO UPDATE SET message = $2",
				    values, 2));
}

static int
load_attachment(const struct store_value *row, size_t columns, void *arg)
{
	Boson__Node__Attachment **ret = arg;

	(void)columns;
	if (row[0].type == STORE_BLOB)
		*ret = boson__node__attachment__unpack(NULL, row[0].data.n, row[0].data.bytes);
	return 0;
}

int
agent_store_load_attachment(struct store *store, Boson__Node__Attachment **ret)
{
	const struct store_value values[] = { STORE_V_INT(ATTACHMENT_ROW) };

	*ret = NULL;
	return as_result(store_query(store, "SELECT message FROM attachment WHERE id = $1", values,
				     1, load_attachment, ret));
}
