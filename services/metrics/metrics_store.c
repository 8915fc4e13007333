/* metrics_store: the migrations, and the samples. */
#include "metrics/metrics_store_inside.h"

#include <stdlib.h>
#include <string.h>

const struct store_migration metrics_migrations[] = {
	{ 1, "samples and usage",
	  "CREATE TABLE samples ("
	  " node_id TEXT NOT NULL PRIMARY KEY,"
	  " at BIGINT NOT NULL," /* epoch ms */
	  " figures BYTEA NOT NULL);"
	  "CREATE TABLE usage ("
	  " session_id TEXT NOT NULL PRIMARY KEY,"
	  " node_id TEXT NOT NULL,"
	  " before_up BIGINT NOT NULL," /* bytes, as the next three */
	  " before_down BIGINT NOT NULL,"
	  " last_up BIGINT NOT NULL,"
	  " last_down BIGINT NOT NULL,"
	  " reported_at BIGINT NOT NULL);" /* epoch ms */
	  "CREATE INDEX usage_by_age ON usage (reported_at)" },
	/* What the old tables held is said again within a minute, and lived a day at most. */
	{ 2, "raw samples, rollups, usage by run",
	  "DROP TABLE samples;"
	  "CREATE TABLE samples ("
	  " node_id BYTEA NOT NULL PRIMARY KEY,"
	  " at BIGINT NOT NULL,"
	  " figures BYTEA NOT NULL,"
	  " before BYTEA);" /* figures of the sample before */
	  "CREATE TABLE raw ("
	  " node_id BYTEA NOT NULL,"
	  " at BIGINT NOT NULL,"
	  " figures BYTEA NOT NULL,"
	  " PRIMARY KEY (node_id, at));"
	  "CREATE INDEX raw_by_age ON raw (at);"
	  "CREATE TABLE rollups ("
	  " node_id BYTEA NOT NULL,"
	  " level INTEGER NOT NULL," /* enum metrics_level */
	  " at BIGINT NOT NULL,"     /* when the interval begins */
	  " rollup BYTEA NOT NULL,"
	  " PRIMARY KEY (node_id, level, at));"
	  "CREATE INDEX rollups_by_age ON rollups (level, at);"
	  "CREATE TABLE fleet ("
	  " level INTEGER NOT NULL,"
	  " at BIGINT NOT NULL,"
	  " rollup BYTEA NOT NULL,"
	  " PRIMARY KEY (level, at));"
	  "DROP TABLE usage;"
	  "CREATE TABLE session_usage ("
	  " session_id BYTEA NOT NULL,"
	  " node_id BYTEA NOT NULL,"
	  " epoch BIGINT NOT NULL,"
	  " up BIGINT NOT NULL," /* bytes */
	  " down BIGINT NOT NULL,"
	  " reported_at BIGINT NOT NULL,"
	  " PRIMARY KEY (session_id, node_id, epoch));"
	  "CREATE INDEX session_usage_by_age ON session_usage (reported_at)" },
};

const size_t metrics_migrations_n = sizeof(metrics_migrations) / sizeof(metrics_migrations[0]);

int
metrics_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes)
{
	return store_open(url, metrics_migrations, metrics_migrations_n, ret, ret_error,
			  error_bytes);
}

/* ---- samples ---- */

struct copy {
	void *bytes;
	size_t n;
	int64_t at_ms;
};

/* Of a blob in the first column; at in the second, if any. */
static int
copy_row(const struct store_value *row, size_t columns, void *arg)
{
	struct copy *copy = arg;

	if (columns > 1)
		copy->at_ms = row[1].integer;
	if (row[0].type != STORE_BLOB || row[0].data.n == 0)
		return 0;
	copy->bytes = malloc(row[0].data.n);
	if (copy->bytes == NULL)
		return -ENOMEM;
	memcpy(copy->bytes, row[0].data.bytes, row[0].data.n);
	copy->n = row[0].data.n;
	return 0;
}

int
metrics_store_put_latest(struct store *store, const struct sample *sample, void **ret_before,
			 size_t *ret_before_n)
{
	struct copy before = { NULL, 0, 0 };
	int rows = store_query(store,
			       "INSERT INTO samples (node_id, at, figures) VALUES ($1, $2, $3)"
			       " ON CONFLICT (node_id) DO UPDATE SET before = samples.figures,"
			       " at = excluded.at, figures = excluded.figures"
			       " WHERE excluded.at - samples.at >= $4 RETURNING before",
			       (struct store_value[]){
				       id_value(sample->node_id), STORE_V_INT(sample->timestamp_ms),
				       store_blob(sample->figures, sample->figures_bytes),
				       STORE_V_INT(SAMPLES_PERIOD_MIN_MS / 2) },
			       4, copy_row, &before);

	if (rows < 0)
		return -EIO;
	*ret_before = before.bytes;
	*ret_before_n = before.n;
	return rows;
}

int
metrics_store_put_raw(struct store *store, const struct sample *sample)
{
	return done(store_exec(store,
			       "INSERT INTO raw (node_id, at, figures) VALUES ($1, $2, $3)"
			       " ON CONFLICT (node_id, at) DO NOTHING",
			       (struct store_value[]){
				       id_value(sample->node_id), STORE_V_INT(sample->timestamp_ms),
				       store_blob(sample->figures, sample->figures_bytes) },
			       3));
}

int
metrics_store_latest(struct store *store, const uint8_t node_id[UUID_BYTES], struct sample **ret)
{
	struct copy latest = { NULL, 0, 0 };
	struct sample *sample;
	int rows = store_query(store, "SELECT figures, at FROM samples WHERE node_id = $1",
			       (struct store_value[]){ id_value(node_id) }, 1, copy_row, &latest);

	if (rows <= 0)
		return rows < 0 ? -EIO : 0;
	sample = calloc(1, sizeof(*sample) + latest.n);
	if (sample != NULL) {
		memcpy(sample->node_id, node_id, UUID_BYTES);
		sample->timestamp_ms = latest.at_ms;
		sample->figures_bytes = latest.n;
		if (latest.n > 0)
			memcpy(sample->figures, latest.bytes, latest.n);
	}
	free(latest.bytes);
	*ret = sample;
	return sample == NULL ? -EIO : 1;
}

/* ---- retention ---- */

int
metrics_store_forget(struct store *store, enum metrics_level level, int64_t before_ms, int limit)
{
	struct store_value values[] = { STORE_V_INT(before_ms), STORE_V_INT(limit),
					STORE_V_INT(level) };

	if (level == METRICS_RAW)
		return store_exec(store,
				  "DELETE FROM raw WHERE (node_id, at) IN (SELECT node_id, at FROM"
				  " raw WHERE at < $1 ORDER BY at LIMIT $2)",
				  values, 2);
	if (store_exec(store, "DELETE FROM fleet WHERE level = $1 AND at < $2",
		       (struct store_value[]){ STORE_V_INT(level), STORE_V_INT(before_ms) }, 2) < 0)
		return -EIO;
	return store_exec(store,
			  "DELETE FROM rollups WHERE (node_id, level, at) IN (SELECT node_id,"
			  " level, at FROM rollups WHERE level = $3 AND at < $1 ORDER BY at"
			  " LIMIT $2)",
			  values, 3);
}

int
metrics_store_forget_latest(struct store *store, int64_t before_ms, int limit)
{
	return store_exec(store,
			  "DELETE FROM samples WHERE node_id IN (SELECT node_id FROM samples"
			  " WHERE at < $1 LIMIT $2)",
			  (struct store_value[]){ STORE_V_INT(before_ms), STORE_V_INT(limit) }, 2);
}
