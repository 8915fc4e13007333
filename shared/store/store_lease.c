/*
 * store_lease: see store_lease.h.
 */
#include "store/store_lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* What the row says. */
struct row {
	char owner[STORE_LEASE_OWNER_BYTES];
	int64_t beat;
};

int
store_lease_init(struct store_lease *lease, const char *name, int64_t ttl_ms)
{
	uint8_t chance[STORE_LEASE_OWNER_BYTES / 2];

	*lease = (struct store_lease){ .name = name, .ttl_ms = ttl_ms };
	if (getrandom(chance, sizeof(chance), 0) != sizeof(chance))
		return -EIO;
	for (size_t i = 0; i < sizeof(chance); i++)
		(void)snprintf(lease->owner + 2 * i, 3, "%02x", chance[i]);
	return 0;
}

static int
read_row(const struct store_value *values, size_t columns, void *arg)
{
	struct row *row = arg;

	if (columns != 2 || values[0].type != STORE_TEXT ||
	    values[0].data.n >= sizeof(row->owner) || values[1].type != STORE_INT)
		return -EIO;
	memcpy(row->owner, values[0].data.bytes, values[0].data.n);
	row->owner[values[0].data.n] = '\0';
	row->beat = values[1].integer;
	return 0;
}

/* The first of all makes the row. 1, 0 or -EIO. */
static int
insert(struct store_lease *lease, struct store *store)
{
	return store_exec(
		store,
		"INSERT INTO leases (name, owner, beat) VALUES ($1, $2, 1)"
		" ON CONFLICT (name) DO NOTHING",
		(struct store_value[]){ store_text(lease->name), store_text(lease->owner) }, 2);
}

/* Only if the row is still as it was seen: of two that try, one succeeds. */
static int
take(struct store_lease *lease, struct store *store, const struct row *row)
{
	return store_exec(store,
			  "UPDATE leases SET owner = $2, beat = beat + 1"
			  " WHERE name = $1 AND owner = $3 AND beat = $4",
			  (struct store_value[]){ store_text(lease->name), store_text(lease->owner),
						  store_text(row->owner), STORE_V_INT(row->beat) },
			  4);
}

/* Has its holder not moved for long enough? */
static bool
is_abandoned(struct store_lease *lease, const struct row *row, int64_t now_ms)
{
	if (row->owner[0] == '\0')
		return true; /* released */
	if (!lease->is_seen || strcmp(lease->seen_owner, row->owner) != 0 ||
	    lease->seen_beat != row->beat) {
		lease->is_seen = true;
		memcpy(lease->seen_owner, row->owner, sizeof(lease->seen_owner));
		lease->seen_beat = row->beat;
		lease->seen_ms = now_ms;
	}
	return now_ms - lease->seen_ms >= lease->ttl_ms;
}

int
store_lease_hold(struct store_lease *lease, struct store *store, int64_t now_ms)
{
	struct row row = { .beat = 0 };
	int r = store_query(store, "SELECT owner, beat FROM leases WHERE name = $1",
			    (struct store_value[]){ store_text(lease->name) }, 1, read_row, &row);

	if (r == 0)
		r = insert(lease, store);
	else if (r > 0 && strcmp(row.owner, lease->owner) != 0 &&
		 !is_abandoned(lease, &row, now_ms))
		r = 0;
	else if (r > 0)
		r = take(lease, store, &row);
	return r < 0 ? -EIO : r;
}

int
store_lease_release(struct store_lease *lease, struct store *store)
{
	int r = store_exec(
		store,
		"UPDATE leases SET owner = '', beat = beat + 1"
		" WHERE name = $1 AND owner = $2",
		(struct store_value[]){ store_text(lease->name), store_text(lease->owner) }, 2);

	return r < 0 ? -EIO : 0;
}
