/* See store_fixture.h. */
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const struct store_migration fixture_migrations[] = {
	{ 1, "items",
	  "CREATE TABLE item (id BIGINT PRIMARY KEY, label TEXT, bytes BYTEA, weight REAL);"
	  "CREATE TABLE note (id BIGINT PRIMARY KEY, item BIGINT NOT NULL REFERENCES item (id));" },
	{ 2, "index", "CREATE INDEX item_label ON item (label)" },
};
const size_t fixture_migrations_n = 2;

char fixture_path[128];
char fixture_url[160];
char fixture_error[512];
static char folder[64];

int
fixture_setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/boson-test-store-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(fixture_path, sizeof(fixture_path), "%s/test.db", folder);
	snprintf(fixture_url, sizeof(fixture_url), "sqlite:%s", fixture_path);
	fixture_error[0] = '\0';
	return 0;
}

int
fixture_teardown(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal", ".lock" };
	char path[160];

	(void)state;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		snprintf(path, sizeof(path), "%s%s", fixture_path, suffixes[i]);
		unlink(path);
	}
	return rmdir(folder);
}

struct store *
fixture_open(void)
{
	struct store *store = NULL;

	if (store_open(fixture_url, fixture_migrations, fixture_migrations_n, &store, fixture_error,
		       sizeof(fixture_error)) < 0)
		fail_msg("%s", fixture_error);
	return store;
}

int
fixture_add(struct store *store, int64_t id)
{
	struct store_value values[] = { STORE_V_INT(id), store_text("label") };

	return store_exec(store, "INSERT INTO item (id, label) VALUES ($1, $2)", values, 2);
}

static int
read_integer(const struct store_value *row, size_t columns, void *arg)
{
	int64_t *ret = arg;

	assert_int_equal(columns, 1);
	*ret = row[0].integer;
	return 0;
}

int64_t
fixture_count(struct store *store)
{
	int64_t n = 0;
	int result = store_query(store, "SELECT count(*) FROM item", NULL, 0, read_integer, &n);

	return result < 0 ? result : n;
}
