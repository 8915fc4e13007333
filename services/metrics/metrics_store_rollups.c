/* metrics_store: rollups of nodes and of the fleet. */
#include "metrics/metrics_store_inside.h"

#include <stdlib.h>
#include <string.h>

/* A row that cannot be read is as one that is not there: the next write makes it good. */
static int
add_level(const struct store_value *row, size_t columns, void *arg)
{
	struct rollup *rollups = arg;

	(void)columns;
	if (row[0].integer >= METRICS_MINUTE && row[0].integer <= METRICS_EVER &&
	    row[1].type == STORE_BLOB)
		(void)rollup_unpack_add(&rollups[row[0].integer - METRICS_MINUTE],
					row[1].data.bytes, row[1].data.n);
	return 0;
}

/* Joined with values, not compared with constants: PostgreSQL, whose statistics never know of the
 * minute that has just begun, else takes it for a rare one, finds it by rollups_by_age and reads
 * the whole fleet's rows of it for each node. */
int
metrics_store_load_rollups(struct store *store, const uint8_t node_id[UUID_BYTES], int64_t at_ms,
			   struct rollup rollups[3])
{
	return done(store_query(
		store,
		"SELECT r.level, r.rollup FROM (VALUES (1, CAST($2 AS BIGINT)),"
		" (2, CAST($3 AS BIGINT)), (3, CAST($4 AS BIGINT))) AS wanted"
		" JOIN rollups r ON r.node_id = $1 AND r.level = wanted.column1"
		" AND r.at = wanted.column2",
		(struct store_value[]){ id_value(node_id),
					STORE_V_INT(metrics_level_floor(METRICS_MINUTE, at_ms)),
					STORE_V_INT(metrics_level_floor(METRICS_HOUR, at_ms)),
					STORE_V_INT(metrics_level_floor(METRICS_DAY, at_ms)) },
		4, add_level, rollups));
}

enum { PACKED_MAX = METRICS_EVER };

struct packed {
	void *bytes[PACKED_MAX];
	size_t n[PACKED_MAX];
};

static void
packed_fini(struct packed *packed)
{
	for (size_t i = 0; i < PACKED_MAX; i++)
		free(packed->bytes[i]);
}

static int
pack(const struct rollup *rollups, size_t n, struct packed *ret)
{
	int error = 0;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < n && error == 0; i++)
		error = rollup_pack(&rollups[i], &ret->bytes[i], &ret->n[i]);
	return error == 0 ? 0 : -EIO;
}

static struct store_value
packed_value(const struct packed *packed, size_t i)
{
	return store_blob(packed->bytes[i] == NULL ? "" : packed->bytes[i], packed->n[i]);
}

int
metrics_store_put_rollups(struct store *store, const uint8_t node_id[UUID_BYTES], int64_t at_ms,
			  const struct rollup rollups[3])
{
	struct packed packed;
	int error = pack(rollups, 3, &packed);

	if (error == 0)
		error = done(store_exec(
			store,
			"INSERT INTO rollups (node_id, level, at, rollup) VALUES"
			" ($1, 1, $2, $5), ($1, 2, $3, $6), ($1, 3, $4, $7)"
			" ON CONFLICT (node_id, level, at) DO UPDATE SET rollup = excluded.rollup",
			(struct store_value[]){
				id_value(node_id),
				STORE_V_INT(metrics_level_floor(METRICS_MINUTE, at_ms)),
				STORE_V_INT(metrics_level_floor(METRICS_HOUR, at_ms)),
				STORE_V_INT(metrics_level_floor(METRICS_DAY, at_ms)),
				packed_value(&packed, 0), packed_value(&packed, 1),
				packed_value(&packed, 2) },
			7));
	packed_fini(&packed);
	return error;
}

/* The row of all time is written first: until the transaction ends, other replicas wait here. */
static int
lock_fleet(struct store *store)
{
	return done(store_exec(store,
			       "INSERT INTO fleet (level, at, rollup) VALUES (4, 0, $1)"
			       " ON CONFLICT (level, at) DO UPDATE SET rollup = fleet.rollup",
			       (struct store_value[]){ store_blob("", 0) }, 1));
}

static int
load_fleet(struct store *store, int64_t at_ms, struct rollup rollups[METRICS_EVER])
{
	return done(store_query(
		store,
		"SELECT level, rollup FROM fleet WHERE (level = 1 AND at = $1) OR (level = 2 AND"
		" at = $2) OR (level = 3 AND at = $3) OR (level = 4 AND at = 0)",
		(struct store_value[]){ STORE_V_INT(metrics_level_floor(METRICS_MINUTE, at_ms)),
					STORE_V_INT(metrics_level_floor(METRICS_HOUR, at_ms)),
					STORE_V_INT(metrics_level_floor(METRICS_DAY, at_ms)) },
		3, add_level, rollups));
}

static int
put_fleet(struct store *store, int64_t at_ms, const struct rollup rollups[METRICS_EVER])
{
	struct packed packed;
	int error = pack(rollups, METRICS_EVER, &packed);

	if (error == 0)
		error = done(store_exec(
			store,
			"INSERT INTO fleet (level, at, rollup) VALUES ($1, $2, $3), ($4, $5, $6),"
			" ($7, $8, $9), ($10, $11, $12)"
			" ON CONFLICT (level, at) DO UPDATE SET rollup = excluded.rollup",
			(struct store_value[]){
				STORE_V_INT(METRICS_MINUTE),
				STORE_V_INT(metrics_level_floor(METRICS_MINUTE, at_ms)),
				packed_value(&packed, 0), STORE_V_INT(METRICS_HOUR),
				STORE_V_INT(metrics_level_floor(METRICS_HOUR, at_ms)),
				packed_value(&packed, 1), STORE_V_INT(METRICS_DAY),
				STORE_V_INT(metrics_level_floor(METRICS_DAY, at_ms)),
				packed_value(&packed, 2), STORE_V_INT(METRICS_EVER), STORE_V_INT(0),
				packed_value(&packed, 3) },
			12));
	packed_fini(&packed);
	return error;
}

int
metrics_store_add_fleet(struct store *store, int64_t at_ms, const struct rollup *more)
{
	struct rollup *rollups = calloc(METRICS_EVER, sizeof(*rollups));
	int error = rollups == NULL ? -EIO : lock_fleet(store);

	if (error == 0)
		error = load_fleet(store, at_ms, rollups);
	for (size_t i = 0; error == 0 && i < METRICS_EVER; i++)
		rollup_merge(&rollups[i], more);
	if (error == 0)
		error = put_fleet(store, at_ms, rollups);
	free(rollups);
	return error;
}

static int
add_only(const struct store_value *row, size_t columns, void *arg)
{
	(void)columns;
	if (row[0].type == STORE_BLOB)
		(void)rollup_unpack_add(arg, row[0].data.bytes, row[0].data.n);
	return 0;
}

int
metrics_store_fleet(struct store *store, enum metrics_level level, int64_t at_ms,
		    struct rollup *ret)
{
	rollup_init(ret);
	return done(store_query(
		store, "SELECT rollup FROM fleet WHERE level = $1 AND at = $2",
		(struct store_value[]){ STORE_V_INT(level),
					STORE_V_INT(metrics_level_floor(level, at_ms)) },
		2, add_only, ret));
}

/* ---- reading ---- */

struct reading {
	metrics_row_fn fn;
	void *arg;
};

static int
pass_row(const struct store_value *row, size_t columns, void *arg)
{
	const struct reading *reading = arg;

	(void)columns;
	return row[1].type != STORE_BLOB ? 0
					 : reading->fn(row[0].integer, row[1].data.bytes,
						       row[1].data.n, reading->arg);
}

int
metrics_store_read(struct store *store, const uint8_t node_id[UUID_BYTES],
		   const struct metrics_span *span, size_t limit, metrics_row_fn fn, void *arg)
{
	struct reading reading = { fn, arg };

	if (span->level == METRICS_RAW)
		return store_query(
			store,
			"SELECT at, figures FROM raw WHERE node_id = $1 AND at >= $2 AND at < $3"
			" ORDER BY at LIMIT $4",
			(struct store_value[]){ id_value(node_id), STORE_V_INT(span->from_ms),
						STORE_V_INT(span->to_ms),
						STORE_V_INT((int64_t)limit) },
			4, pass_row, &reading);
	return store_query(store,
			   "SELECT at, rollup FROM rollups WHERE node_id = $1 AND level = $2 AND"
			   " at >= $3 AND at < $4 ORDER BY at LIMIT $5",
			   (struct store_value[]){ id_value(node_id), STORE_V_INT(span->level),
						   STORE_V_INT(span->from_ms),
						   STORE_V_INT(span->to_ms),
						   STORE_V_INT((int64_t)limit) },
			   5, pass_row, &reading);
}
