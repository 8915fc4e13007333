/* See store_fixture.h. */
#include "store_fixture.h"

#include "loop/clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 20 * 1000 };

const struct store_migration fixture_migrations[] = {
	{ 1, "items",
	  "CREATE TABLE item (id BIGINT PRIMARY KEY, label TEXT, bytes BYTEA, weight REAL);"
	  "CREATE TABLE note (id BIGINT PRIMARY KEY, item BIGINT NOT NULL REFERENCES item (id));" },
	{ 2, "index", "CREATE INDEX item_label ON item (label)" },
};
const size_t fixture_migrations_n = 2;

char fixture_path[128];
char fixture_url[SERVERS_URL_BYTES];
char fixture_error[512];
static char folder[64];
static bool is_postgresql;
static struct servers servers;
static unsigned schemas;

int
fixture_begin(int argc, char **argv)
{
	is_postgresql = argc > 1 && strcmp(argv[1], "postgresql") == 0;
	return is_postgresql ? servers_begin(&servers, SERVERS_POSTGRESQL) : 0;
}

int
fixture_end(int failed)
{
	if (is_postgresql)
		servers_fini(&servers);
	return failed;
}

bool
fixture_is_postgresql(void)
{
	return is_postgresql;
}

struct servers *
fixture_servers(void)
{
	return &servers;
}

int
fixture_setup(void **state)
{
	char schema[32];

	(void)state;
	fixture_error[0] = '\0';
	if (is_postgresql) {
		snprintf(schema, sizeof(schema), "test_%u", schemas++);
		servers_postgresql_url(&servers, schema, fixture_url);
		return 0;
	}
	snprintf(folder, sizeof(folder), "/tmp/boson-test-store-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(fixture_path, sizeof(fixture_path), "%s/test.db", folder);
	snprintf(fixture_url, sizeof(fixture_url), "sqlite:%s", fixture_path);
	return 0;
}

int
fixture_teardown(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal", ".lock" };
	char path[160];

	(void)state;
	if (is_postgresql)
		return 0;
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

void
fixture_wait_alone(struct store *store)
{
	int64_t others = 1, deadline_ms = clock_monotonic_ms() + WAIT_MS;

	while (is_postgresql && others > 0 && clock_monotonic_ms() < deadline_ms)
		assert_int_equal(store_query(store,
					     "SELECT count(*) FROM pg_stat_activity"
					     " WHERE backend_type = 'client backend'"
					     " AND pid <> pg_backend_pid()",
					     NULL, 0, read_integer, &others),
				 1);
	assert_true(!is_postgresql || others == 0);
}

/* Runs in a child until it is killed. */
static void
write_batches(int64_t batch, int acknowledged_fd)
{
	struct store *store = NULL;

	if (store_open(fixture_url, fixture_migrations, fixture_migrations_n, &store, fixture_error,
		       sizeof(fixture_error)) < 0)
		_exit(1);
	for (;; batch++) {
		if (store_begin(store) < 0)
			_exit(2);
		for (int64_t i = 0; i < FIXTURE_BATCH_ROWS; i++)
			if (fixture_add(store, batch * FIXTURE_BATCH_ROWS + i) != 1)
				_exit(3);
		if (store_commit(store) < 0)
			_exit(4);
		if (write(acknowledged_fd, &batch, sizeof(batch)) != sizeof(batch))
			_exit(5);
	}
}

void
fixture_writer_start(struct fixture_writer *writer, int64_t first_batch)
{
	int fds[2];

	writer->last = first_batch - 1;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	writer->child = fork();
	assert_true(writer->child >= 0);
	if (writer->child == 0) {
		close(fds[0]);
		write_batches(first_batch, fds[1]);
	}
	close(fds[1]);
	writer->acknowledged_fd = fds[0];
}

static bool
read_acknowledgement(struct fixture_writer *writer)
{
	return read(writer->acknowledged_fd, &writer->last, sizeof(writer->last)) ==
	       sizeof(writer->last);
}

void
fixture_writer_wait(struct fixture_writer *writer, int n)
{
	while (n-- > 0)
		assert_true(read_acknowledgement(writer));
}

void
fixture_writer_finish(struct fixture_writer *writer)
{
	while (read_acknowledgement(writer))
		;
	close(writer->acknowledged_fd);
	assert_int_equal(waitpid(writer->child, NULL, 0), writer->child);
}
