/*
 * F23, of the real tables: each service's database as every earlier program left it, full of rows,
 * opened by this one. What comes out is the same schema as a new one, no row is lost, and a
 * migration that is killed again and again in its midst gets there. MIGRATION_ROWS=1000000 in the
 * environment asks for so many rows. With the argument `postgresql` in a server of the test's own.
 */
#include "store/store.h"

#include "../../servers/servers.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS_DEFAULT = 2000, KILLS = 8, SCHEMA_BYTES = 64 * 1024 };

extern const struct store_migration gateway_migrations[], discovery_migrations[],
	routing_migrations[], metrics_migrations[];
extern const size_t gateway_migrations_n, discovery_migrations_n, routing_migrations_n,
	metrics_migrations_n;

#define NUMBERS "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "

/* fill: rows as the first schema takes them; NULL when later ones do not keep them. $1 is how many,
 * $2 some bytes. */
static const struct service {
	const char *name;
	const struct store_migration *migrations;
	const size_t *n;
	const char *fill, *count;
} services[] = {
	{ "gateway", gateway_migrations, &gateway_migrations_n,
	  NUMBERS
	  "INSERT INTO access_keys SELECT i, 'id' || i, $2 || CAST(CAST(i AS TEXT) AS BYTEA),"
	  " 'client', 'name' || i, 0, 0, i, 0, 0 FROM n",
	  "SELECT count(*) FROM access_keys" },
	{ "discovery", discovery_migrations, &discovery_migrations_n,
	  NUMBERS "INSERT INTO nodes (number, node_id, public_key, facts, registered_at, last_seen,"
		  " deleted_at, online) SELECT i, 'id' || i, 'key' || i, $2, i, i, NULL, 0 FROM n",
	  "SELECT count(*) FROM nodes" },
	{ "routing", routing_migrations, &routing_migrations_n,
	  NUMBERS "INSERT INTO sessions (session_id, route_id, client_id, client_key, node_id,"
		  " relay_id, status, created_at, expires_at, latency, bandwidth, cost)"
		  " SELECT 'id' || i, 'route' || i, 'client' || (i / 3), 'key' || (i / 3), 'node',"
		  " 'relay', 'open', i, i + length($2), 1, 1, 1 FROM n",
	  "SELECT count(*) FROM sessions" },
	{ "metrics", metrics_migrations, &metrics_migrations_n, NULL, NULL },
};

static bool on_servers;
static struct servers servers;
static char url[SERVERS_URL_BYTES], folder[64], reason[512];
static char fresh[SCHEMA_BYTES], found[SCHEMA_BYTES];
static unsigned databases;
static int64_t rows = ROWS_DEFAULT;

static void
use_new_database(void)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "migrations_%u", databases++);
	if (on_servers)
		servers_postgresql_url(&servers, name, url);
	else
		(void)snprintf(url, sizeof(url), "sqlite:%s/%s.db", folder, name);
}

static struct store *
open_at(const struct service *service, size_t n)
{
	struct store *store = NULL;

	if (store_open(url, service->migrations, n, &store, reason, sizeof(reason)) < 0)
		fail_msg("%s to %zu: %s", service->name, n, reason);
	return store;
}

static int
append(const struct store_value *row, size_t columns, void *arg)
{
	char *text = arg;

	for (size_t i = 0; i < columns; i++) {
		size_t n = strlen(text);

		(void)snprintf(text + n, SCHEMA_BYTES - n, "%s%c",
			       row[i].type == STORE_TEXT ? (const char *)row[i].data.bytes : "-",
			       i + 1 < columns ? ' ' : '\n');
	}
	return 0;
}

/* Tables, columns and indexes as one text. */
static void
read_schema(struct store *store, char ret[SCHEMA_BYTES])
{
	static const char *const of_postgresql[] = {
		"SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, "
		"'')"
		" FROM information_schema.columns WHERE table_schema = current_schema()"
		" ORDER BY table_name, ordinal_position",
		"SELECT replace(indexdef, current_schema() || '.', '') FROM pg_indexes"
		" WHERE schemaname = current_schema() ORDER BY 1",
	};

	ret[0] = '\0';
	if (!on_servers) {
		assert_true(store_query(store,
					"SELECT name, sql FROM sqlite_schema ORDER BY type, name",
					NULL, 0, append, ret) > 0);
		return;
	}
	for (size_t i = 0; i < 2; i++)
		assert_true(store_query(store, of_postgresql[i], NULL, 0, append, ret) > 0);
}

static int
read_integer(const struct store_value *row, size_t columns, void *arg)
{
	(void)columns;
	*(int64_t *)arg = row[0].integer;
	return 0;
}

static void
fill(struct store *store, const struct service *service)
{
	struct store_value values[] = { STORE_V_INT(rows), store_blob("facts", 5) };

	if (service->fill == NULL)
		return;
	if (store_exec(store, service->fill, values, 2) != (int)rows)
		fail_msg("%s could not be filled", service->name);
}

static void
assert_whole(struct store *store, const struct service *service, size_t from)
{
	int64_t n = 0;

	read_schema(store, found);
	if (strcmp(found, fresh) != 0)
		fail_msg("%s from %zu:\n%s\ninstead of\n%s", service->name, from, found, fresh);
	if (service->count == NULL)
		return;
	assert_int_equal(store_query(store, service->count, NULL, 0, read_integer, &n), 1);
	assert_int_equal(n, rows);
}

static void
read_fresh_schema(const struct service *service)
{
	struct store *store;

	use_new_database();
	store = open_at(service, *service->n);
	read_schema(store, fresh);
	store_close(&store);
}

/* Another process that migrates, killed after so many microseconds. */
static void
migrate_and_kill(const struct service *service, useconds_t after_us)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct store *store = NULL;

		_exit(store_open(url, service->migrations, *service->n, &store, reason,
				 sizeof(reason)) < 0);
	}
	(void)usleep(after_us); /* a different place each time, whichever it is */
	(void)kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void
assert_migrates(const struct service *service, size_t from, unsigned kills)
{
	struct store *store;

	use_new_database();
	store = open_at(service, 1);
	fill(store, service);
	store_close(&store);
	store = open_at(service, from);
	store_close(&store);
	for (unsigned i = 0; i < kills; i++)
		migrate_and_kill(service, (useconds_t)(i * (2000 + (unsigned)rows)));
	store = open_at(service, *service->n);
	assert_whole(store, service, from);
	store_close(&store);
}

static void
test_F23_every_earlier_schema_becomes_the_newest_and_keeps_its_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++) {
		read_fresh_schema(&services[i]);
		for (size_t from = 1; from <= *services[i].n; from++)
			assert_migrates(&services[i], from, 0);
		print_message("%s: %zu schemas, %ld rows each\n", services[i].name, *services[i].n,
			      (long)rows);
	}
}

static void
test_F23_a_migration_killed_again_and_again_gets_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(services) / sizeof(*services); i++) {
		read_fresh_schema(&services[i]);
		assert_migrates(&services[i], 1, KILLS);
	}
}

static void
remove_databases(void)
{
	static const char *const suffixes[] = { ".db", ".db-wal", ".db-journal", ".db.lock" };
	char path[SERVERS_PATH_BYTES];

	for (unsigned i = 0; i < databases; i++)
		for (size_t k = 0; k < sizeof(suffixes) / sizeof(*suffixes); k++) {
			(void)snprintf(path, sizeof(path), "%s/migrations_%u%s", folder, i,
				       suffixes[k]);
			(void)unlink(path);
		}
	(void)rmdir(folder);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_F23_every_earlier_schema_becomes_the_newest_and_keeps_its_rows),
		cmocka_unit_test(test_F23_a_migration_killed_again_and_again_gets_there),
	};
	int result = 0;

	if (getenv("MIGRATION_ROWS") != NULL)
		rows = strtol(getenv("MIGRATION_ROWS"), NULL, 10);
	on_servers = argc > 1 && strcmp(argv[1], "postgresql") == 0;
	(void)strcpy(folder, "/tmp/boson-migrations-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	if (on_servers)
		result = servers_begin(&servers, SERVERS_POSTGRESQL);
	if (result == 0) {
		result = cmocka_run_group_tests(tests, NULL, NULL);
		if (on_servers)
			servers_fini(&servers);
	}
	remove_databases();
	return result;
}
