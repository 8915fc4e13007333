/*
 * metrics_load_fill: a month in seconds: a day's real rollups of a few nodes are made in C, and the
 * database copies them to all nodes and hours.
 */
#include "metrics_load.h"

#include "metrics/metrics_rollup.h"
#include "metrics/metrics_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TEMPLATES = 24, SAMPLES_AN_HOUR = 60, HOUR_MS = 3600 * 1000, HOURS_A_DAY = 24 };

void
load_node_id(size_t i, uint8_t ret[UUID_BYTES])
{
	/* Spread like random ones. */
	uint64_t hash = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	memcpy(ret, &hash, sizeof(hash));
	hash ^= hash >> 29;
	hash *= UINT64_C(0xbf58476d1ce4e5b9);
	memcpy(ret + sizeof(hash), &hash, sizeof(hash));
}

void
load_values(size_t i, int64_t minutes, struct metrics_values *ret)
{
	uint64_t noise = ((uint64_t)i * 2654435761u + (uint64_t)minutes * 40503u) % 1000;

	for (size_t f = 0; f < METRICS_FIGURES; f++) {
		ret->has[f] = true;
		ret->value[f] = metrics_figure_info[f].is_counter
					? (double)minutes * 1e5 + (double)(noise * f)
					: 20 + (double)(noise % 12) + (double)f;
	}
}

static int
put_template(struct store *store, int i, size_t samples)
{
	struct rollup *rollup = calloc(1, sizeof(*rollup));
	struct metrics_values values, before;
	void *bytes = NULL;
	size_t n = 0;
	int error = -EIO;

	for (size_t s = 0; rollup != NULL && s < samples; s++) {
		load_values((size_t)i, (int64_t)s, &before);
		load_values((size_t)i, (int64_t)s + 1, &values);
		metrics_figures_increase(&values, &before);
		rollup_add(rollup, &values);
	}
	if (rollup != NULL && rollup_pack(rollup, &bytes, &n) == 0)
		error = store_exec(store, "INSERT INTO fill_templates (i, rollup) VALUES ($1, $2)",
				   (struct store_value[]){ STORE_V_INT(i), store_blob(bytes, n) },
				   2);
	free(bytes);
	free(rollup);
	return error < 0 ? -EIO : 0;
}

static int
prepare(struct store *store, size_t nodes)
{
	static const char *const tables[] = {
		"CREATE TABLE fill_nodes (i BIGINT NOT NULL, node_id BYTEA NOT NULL)",
		"CREATE TABLE fill_templates (i BIGINT PRIMARY KEY, rollup BYTEA NOT NULL)",
	};
	uint8_t id[UUID_BYTES];
	int error = 0;

	for (size_t i = 0; i < 2 && error >= 0; i++)
		error = store_exec(store, tables[i], NULL, 0);
	for (int i = 0; i < TEMPLATES && error >= 0; i++) {
		error = put_template(store, i, SAMPLES_AN_HOUR);
		if (error >= 0)
			error = put_template(store, TEMPLATES + i, HOURS_A_DAY * SAMPLES_AN_HOUR);
	}
	for (size_t i = 0; i < nodes && error >= 0; i++) {
		load_node_id(i, id);
		error = store_exec(store, "INSERT INTO fill_nodes (i, node_id) VALUES ($1, $2)",
				   (struct store_value[]){ STORE_V_INT((int64_t)i),
							   store_blob(id, sizeof(id)) },
				   2);
	}
	return error < 0 ? -EIO : 0;
}

static int
copy(struct store *store, enum metrics_level level, int64_t at_ms, int64_t first_template)
{
	return store_exec(store,
			  "INSERT INTO rollups (node_id, level, at, rollup)"
			  " SELECT n.node_id, $1, $2, t.rollup FROM fill_nodes n"
			  " JOIN fill_templates t ON t.i = $3 + (n.i + $4) % 24",
			  (struct store_value[]){ STORE_V_INT(level), STORE_V_INT(at_ms),
						  STORE_V_INT(first_template),
						  STORE_V_INT(at_ms / HOUR_MS % TEMPLATES) },
			  4) < 0
		       ? -EIO
		       : 0;
}

/* Indexes are made of what is there, which is faster than row by row; and by psql, for a statement
 * of the store's has a time limit. */
static int
without_indexes(const struct servers *postgresql)
{
	return servers_postgresql_sql(postgresql,
				      "ALTER TABLE metrics.rollups DROP CONSTRAINT rollups_pkey;"
				      "DROP INDEX metrics.rollups_by_age")
		       ? 0
		       : -EIO;
}

static int
with_indexes(const struct servers *postgresql)
{
	return servers_postgresql_sql(
		       postgresql,
		       "SET maintenance_work_mem = '1GB';"
		       "ALTER TABLE metrics.rollups ADD PRIMARY KEY (node_id, level, at);"
		       "CREATE INDEX rollups_by_age ON metrics.rollups (level, at);"
		       "ANALYZE metrics.rollups; CHECKPOINT")
		       ? 0
		       : -EIO;
}

int
load_fill(struct store *store, const struct servers *postgresql, size_t nodes, size_t days,
	  int64_t end_ms)
{
	int64_t day_ms = HOURS_A_DAY * (int64_t)HOUR_MS;
	int error = prepare(store, nodes);

	if (error == 0 && postgresql != NULL)
		error = without_indexes(postgresql);
	for (int64_t at_ms = end_ms - (int64_t)days * day_ms; at_ms < end_ms && error == 0;
	     at_ms += HOUR_MS) {
		error = copy(store, METRICS_HOUR, at_ms, 0);
		if (error == 0 && at_ms % day_ms == 0)
			error = copy(store, METRICS_DAY, at_ms, TEMPLATES);
	}
	if (error == 0 && postgresql != NULL)
		error = with_indexes(postgresql);
	else if (error == 0 && store_exec(store, "ANALYZE", NULL, 0) < 0)
		error = -EIO;
	return error;
}
