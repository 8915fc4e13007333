/* discovery_enrolment_store: table enrolments; its migration stands in discovery_store.c. */
#include "discovery/discovery_enrolment_store.h"

#include <errno.h>
#include <string.h>

#define FORGET_AFTER_MS (INT64_C(7) * 24 * 3600 * 1000)

#define COLUMNS "number, node_id, public_key, state, address, asked_at, last_asked_at, decided_at"

static const char *const states[] = {
	[ENROLMENT_PENDING] = "pending",
	[ENROLMENT_APPROVED] = "approved",
	[ENROLMENT_REFUSED] = "refused",
};

const char *
enrolment_state_name(enum enrolment_state state)
{
	return states[state];
}

bool
enrolment_state_parse(const char *name, size_t n, enum enrolment_state *ret)
{
	for (int i = ENROLMENT_PENDING; i <= ENROLMENT_REFUSED; i++) {
		if (strlen(states[i]) != n || memcmp(states[i], name, n) != 0)
			continue;
		*ret = (enum enrolment_state)i;
		return true;
	}
	return false;
}

struct reading {
	struct enrolment *rows;
	size_t n;
};

static int
read_row(const struct store_value *row, size_t columns, void *arg)
{
	struct reading *reading = arg;
	struct enrolment *ret = &reading->rows[reading->n];

	(void)columns;
	if (!store_copy_text(&row[1], ret->node_id, sizeof(ret->node_id)) ||
	    !store_copy_text(&row[2], ret->public_key, sizeof(ret->public_key)) ||
	    row[3].type != STORE_TEXT ||
	    !enrolment_state_parse(row[3].data.bytes, row[3].data.n, &ret->state) ||
	    !store_copy_text(&row[4], ret->address, sizeof(ret->address)))
		return -EIO; /* somebody else's hand was in the table */
	ret->number = row[0].integer;
	ret->asked_ms = row[5].integer;
	ret->last_asked_ms = row[6].integer;
	ret->decided_ms = row[7].integer;
	reading->n++;
	return 0;
}

int
enrolment_find(struct store *store, const char *node_id, struct enrolment *ret)
{
	const struct store_value value = store_text(node_id);
	struct reading reading = { .rows = ret };
	int r = store_query(store, "SELECT " COLUMNS " FROM enrolments WHERE node_id = $1", &value,
			    1, read_row, &reading);

	if (r < 0)
		return -EIO;
	return reading.n == 1 ? 0 : -ENOENT;
}

static int
take_count(const struct store_value *row, size_t columns, void *arg)
{
	(void)columns;
	*(int64_t *)arg = row[0].integer;
	return 0;
}

static int
count_rows(struct store *store, int64_t *ret)
{
	int r = store_query(store, "SELECT count(*) FROM enrolments", NULL, 0, take_count, ret);

	return r < 0 ? -EIO : 0;
}

static int
make_room(struct store *store, int64_t now_wall_ms)
{
	const struct store_value before = STORE_V_INT(now_wall_ms - FORGET_AFTER_MS);
	int64_t count = 0;
	int r = count_rows(store, &count);

	if (r < 0 || count < ENROLMENTS_MAX)
		return r;
	if (store_exec(store, "DELETE FROM enrolments WHERE last_asked_at < $1", &before, 1) < 0)
		return -EIO;
	r = count_rows(store, &count);
	return r == 0 && count >= ENROLMENTS_MAX ? -ENOSPC : r;
}

int
enrolment_add(struct store *store, const struct enrolment *enrolment)
{
	int r = make_room(store, enrolment->asked_ms);

	if (r < 0)
		return r;
	r = store_exec(store,
		       "INSERT INTO enrolments (" COLUMNS ")"
		       " VALUES ($1, $2, $3, $4, $5, $6, $6, 0)",
		       (struct store_value[]){
			       STORE_V_INT(enrolment->number), store_text(enrolment->node_id),
			       store_text(enrolment->public_key),
			       store_text(states[enrolment->state]), store_text(enrolment->address),
			       STORE_V_INT(enrolment->asked_ms) },
		       6);
	return r < 0 ? r : 0;
}

int
enrolment_asked(struct store *store, const char *node_id, int64_t now_wall_ms)
{
	int r = store_exec(store, "UPDATE enrolments SET last_asked_at = $2 WHERE node_id = $1",
			   (struct store_value[]){ store_text(node_id), STORE_V_INT(now_wall_ms) },
			   2);

	return r < 0 ? -EIO : 0;
}

int
enrolment_remove(struct store *store, const char *node_id)
{
	const struct store_value value = store_text(node_id);
	int r = store_exec(store, "DELETE FROM enrolments WHERE node_id = $1", &value, 1);

	return r < 0 ? -EIO : 0;
}

int
enrolment_decide(struct store *store, const char *node_id, enum enrolment_state state,
		 int64_t now_wall_ms)
{
	int r = store_exec(store,
			   "UPDATE enrolments SET state = $2, decided_at = $3 WHERE node_id = $1",
			   (struct store_value[]){ store_text(node_id), store_text(states[state]),
						   STORE_V_INT(now_wall_ms) },
			   3);

	if (r < 0)
		return -EIO;
	return r > 0 ? 0 : -ENOENT;
}

int
enrolment_list(struct store *store, enum enrolment_state state, int64_t after,
	       struct enrolment *ret, size_t n)
{
	struct reading reading = { .rows = ret };
	int r = store_query(store,
			    "SELECT " COLUMNS " FROM enrolments WHERE state = $1 AND number > $2"
			    " ORDER BY number LIMIT $3",
			    (struct store_value[]){ store_text(states[state]), STORE_V_INT(after),
						    STORE_V_INT((int64_t)n) },
			    3, read_row, &reading);

	return r < 0 ? -EIO : (int)reading.n;
}
