/* metrics_store: what sessions used. */
#include "metrics/metrics_store_inside.h"

#include <string.h>

static int64_t
clamp(uint64_t bytes)
{
	return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

int
metrics_store_put_usage(struct store *store, const struct usage *usage)
{
	return done(store_exec(
		store,
		"INSERT INTO session_usage (session_id, node_id, epoch, up, down, reported_at)"
		" VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (session_id, node_id, epoch) DO UPDATE SET"
		" up = CASE WHEN excluded.up > session_usage.up"
		" THEN excluded.up ELSE session_usage.up END,"
		" down = CASE WHEN excluded.down > session_usage.down"
		" THEN excluded.down ELSE session_usage.down END,"
		" reported_at = CASE WHEN excluded.reported_at > session_usage.reported_at"
		" THEN excluded.reported_at ELSE session_usage.reported_at END",
		(struct store_value[]){
			id_value(usage->key.session_id), id_value(usage->key.node_id),
			STORE_V_INT(clamp(usage->key.epoch)), STORE_V_INT(clamp(usage->up)),
			STORE_V_INT(clamp(usage->down)), STORE_V_INT(usage->reported_at_ms) },
		6));
}

/* Sums that a stranger feeds stop at the top. */
static int
sum_usage(const struct store_value *row, size_t columns, void *arg)
{
	uint64_t up = (uint64_t)row[1].integer, down = (uint64_t)row[2].integer;
	struct usage *sum = arg;

	(void)columns;
	(void)store_copy_blob(&row[0], sum->key.node_id, UUID_BYTES);
	sum->up = up > UINT64_MAX - sum->up ? UINT64_MAX : sum->up + up;
	sum->down = down > UINT64_MAX - sum->down ? UINT64_MAX : sum->down + down;
	sum->reported_at_ms = row[3].integer;
	return 0;
}

int
metrics_store_usage(struct store *store, const uint8_t session_id[UUID_BYTES], struct usage *ret)
{
	int rows;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->key.session_id, session_id, UUID_BYTES);
	rows = store_query(store,
			   "SELECT node_id, up, down, reported_at FROM session_usage"
			   " WHERE session_id = $1 ORDER BY reported_at",
			   (struct store_value[]){ id_value(session_id) }, 1, sum_usage, ret);
	return rows < 0 ? -EIO : rows > 0;
}

int
metrics_store_forget_usage(struct store *store, int64_t before_ms, int limit)
{
	return store_exec(store,
			  "DELETE FROM session_usage WHERE session_id IN (SELECT session_id FROM"
			  " session_usage old WHERE old.reported_at < $1 AND NOT EXISTS (SELECT 1"
			  " FROM session_usage newer WHERE newer.session_id = old.session_id AND"
			  " newer.reported_at >= $1) LIMIT $2)",
			  (struct store_value[]){ STORE_V_INT(before_ms), STORE_V_INT(limit) }, 2);
}
