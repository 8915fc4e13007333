/*
 * What a PostgreSQL server can do to its clients: die in the midst of a batch, hang, be slow, come
 * back, be migrated by two at once (F13, F15, F23); and what a URL may not say. The server is the
 * program's own.
 */
#include "store_fixture.h"

#include "loop/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 20 * 1000, STARTERS = 4, KILLS = 6, SQL_BYTES = 256 };

static struct store *store;
static int committed, dropped;

static void
on_commit(void *arg)
{
	(void)arg;
	committed++;
}

static void
on_drop(void *arg)
{
	(void)arg;
	dropped++;
}

static int
setup(void **state)
{
	committed = dropped = 0;
	if (fixture_setup(state) < 0)
		return -1;
	store = fixture_open();
	return 0;
}

static int
teardown(void **state)
{
	store_close(&store);
	return fixture_teardown(state);
}

static void
begin_and_add(int64_t id)
{
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(fixture_add(store, id), 1);
	assert_int_equal(store_after_commit(store, on_commit, on_drop, NULL), 0);
}

/* Begins until it works; how many times it did not. */
static int
begin_again(void)
{
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
	int failures = 0;

	while (store_begin(store) < 0) {
		failures++;
		assert_true(clock_monotonic_ms() < deadline_ms);
	}
	return failures;
}

static void
kill_server(void)
{
	servers_postgresql_kill(fixture_servers());
}

static void
start_server(void)
{
	assert_int_equal(servers_postgresql_start(fixture_servers()), 0);
}

/* All that is asked of a store without its server, and how it works again after. */
static void
assert_lost_and_back(int64_t id)
{
	assert_int_equal(fixture_add(store, id), -EIO);
	assert_int_equal(fixture_count(store), -EIO);
	assert_int_equal(store_savepoint(store), -EIO);
	assert_int_equal(store_commit(store), -EIO);
	assert_int_equal(committed, 0);
	assert_int_equal(dropped, 1);
	assert_int_equal(store_begin(store), -EIO);
	assert_int_equal(fixture_count(store), -EIO);
	assert_int_equal(fixture_add(store, id), -EIO);
	start_server();
	(void)begin_again();
	assert_int_equal(fixture_add(store, id), 1);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(fixture_count(store), 1);
}

static void
test_F13_server_killed_in_the_midst_of_a_batch_loses_the_batch_and_no_more(void **state)
{
	(void)state;
	begin_and_add(1);
	kill_server();
	assert_lost_and_back(2);
}

static void
test_F13_server_killed_before_the_commit_is_a_failed_commit(void **state)
{
	(void)state;
	begin_and_add(1);
	kill_server();
	assert_int_equal(store_commit(store), -EIO);
	assert_int_equal(committed, 0);
	assert_int_equal(dropped, 1);
	start_server();
	(void)begin_again();
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(fixture_count(store), 0);
}

static void
test_F13_restart_between_batches_is_not_even_noticed(void **state)
{
	(void)state;
	begin_and_add(1);
	assert_int_equal(store_commit(store), 0);
	kill_server();
	start_server();
	begin_and_add(2);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(fixture_count(store), 2);
	assert_int_equal(committed, 2);
}

static void
test_F13_batch_that_writes_nothing_does_not_miss_the_server(void **state)
{
	(void)state;
	kill_server();
	assert_int_equal(store_batch_begin(store), 0);
	assert_int_equal(store_batch_commit(store), 0);
	assert_int_equal(store_batch_begin(store), 0);
	assert_int_equal(fixture_add(store, 1), -EIO);
	assert_int_equal(store_savepoint(store), -EIO);
	assert_int_equal(store_batch_commit(store),
			 0); /* who wrote was told, the others are well */
	start_server();
	(void)begin_again();
	store_rollback(store);
	assert_int_equal(fixture_count(store), 0);
}

static void
test_F13_lost_savepoint_takes_the_batch_with_it(void **state)
{
	(void)state;
	begin_and_add(1);
	assert_int_equal(store_savepoint(store), 0);
	kill_server();
	store_savepoint_rollback(store);
	assert_int_equal(fixture_add(store, 2), -EIO);
	assert_int_equal(store_commit(store), -EIO);
	assert_int_equal(dropped, 1);
	start_server();
	(void)begin_again();
	store_rollback(store);
	assert_int_equal(fixture_count(store), 0);
}

/* A listener that counts who comes, and turns them away. */
static int
listen_and_count(int listener)
{
	int n = 0;

	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return n;
		close(fd);
		n++;
	}
}

static int
make_listener(char ret_url[SERVERS_URL_BYTES])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 64), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
	snprintf(ret_url, SERVERS_URL_BYTES, "postgresql://u@127.0.0.1:%u/d?schema=s",
		 ntohs(address.sin_port));
	return listener;
}

/* The store is opened over the server's socket and then finds a listener in its place. */
static void
test_F13_a_server_that_is_down_is_asked_at_most_ten_times_a_second(void **state)
{
	struct servers *servers = fixture_servers();
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int64_t start_ms, end_ms;
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), attempts = 0;
	long refused = 0;

	(void)state;
	kill_server();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.5432", servers->folder);
	(void)unlink(address.sun_path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 64), 0);
	start_ms = clock_monotonic_ms();
	for (end_ms = start_ms; end_ms - start_ms < 1500; end_ms = clock_monotonic_ms()) {
		assert_int_equal(store_begin(store), -EIO);
		attempts += listen_and_count(listener);
		refused++;
	}
	close(listener);
	(void)unlink(address.sun_path);
	assert_true(attempts >= 1);
	assert_true(attempts <= 1 + (end_ms - start_ms) / 100);
	assert_true(refused > attempts);
	start_server();
	(void)begin_again();
	store_rollback(store);
}

static void
test_F15_hanging_server_costs_a_bounded_time_and_then_nothing(void **state)
{
	int64_t start_ms;

	(void)state;
	begin_and_add(1);
	servers_postgresql_stop(fixture_servers(), true);
	start_ms = clock_monotonic_ms();
	assert_int_equal(fixture_add(store, 2), -EIO);
	assert_true(clock_monotonic_ms() - start_ms >= 2000);
	assert_int_equal(store_commit(store), -EIO);
	assert_int_equal(dropped, 1);
	/* for a second nobody asks; then one waits a moment for a connection, and the others not */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(store_begin(store), -EIO);
	servers_postgresql_stop(fixture_servers(), false);
	(void)begin_again();
	assert_int_equal(fixture_add(store, 3), 1);
	assert_int_equal(store_commit(store), 0);
	fixture_wait_alone(store);
	assert_int_equal(fixture_count(store), 1);
}

static void
test_F15_server_that_hangs_in_the_commit_is_a_failed_commit(void **state)
{
	(void)state;
	begin_and_add(1);
	servers_postgresql_stop(fixture_servers(), true);
	assert_int_equal(store_commit(store), -EIO);
	assert_int_equal(committed, 0);
	assert_int_equal(dropped, 1);
	servers_postgresql_stop(fixture_servers(), false);
	(void)begin_again();
	store_rollback(store);
	assert_in_range(fixture_count(store), 0, 1); /* nobody can know */
}

static void
test_F15_slow_statement_is_ended_and_takes_the_batch_with_it(void **state)
{
	(void)state;
	begin_and_add(1);
	assert_int_equal(store_exec(store, "UPDATE item SET label = pg_sleep(60)::text", NULL, 0),
			 -EIO);
	assert_int_equal(store_commit(store), -EIO);
	assert_int_equal(dropped, 1);
	assert_int_equal(store_begin(store), -EIO); /* left alone for a while */
	(void)begin_again();
	store_rollback(store);
	assert_int_equal(fixture_count(store), 0);
}

static void
test_failed_query_within_a_batch_takes_the_batch_with_it(void **state)
{
	(void)state;
	begin_and_add(1);
	assert_int_equal(store_query(store, "SELECT 1 / 0", NULL, 0, NULL, NULL), -EIO);
	assert_int_equal(fixture_add(store, 2), -EIO);
	assert_int_equal(store_commit(store), -EIO);
	assert_int_equal(dropped, 1);
	assert_int_equal(fixture_count(store), 0);
	begin_and_add(3);
	assert_int_equal(store_commit(store), 0);
}

static void
test_text_that_postgresql_cannot_hold_fails_alone(void **state)
{
	struct store_value nul[] = { STORE_V_INT(2), { STORE_TEXT, .data = { "a\0b", 3 } } };
	struct store_value bad[] = { STORE_V_INT(3), { STORE_TEXT, .data = { "\xff\xfe", 2 } } };
	static const char sql[] = "INSERT INTO item (id, label) VALUES ($1, $2)";

	(void)state;
	begin_and_add(1);
	assert_int_equal(store_exec(store, sql, nul, 2), -EINVAL);
	assert_int_equal(store_exec(store, sql, bad, 2), -EINVAL);
	assert_int_equal(fixture_add(store, 4), 1);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(fixture_count(store), 2);
}

/* As a primary is after a failover. */
static void
set_read_only(bool read_only)
{
	char sql[SQL_BYTES];

	snprintf(sql, sizeof(sql),
		 "BEGIN READ WRITE;"
		 "ALTER DATABASE postgres SET default_transaction_read_only = %s; COMMIT",
		 read_only ? "on" : "off");
	assert_true(servers_postgresql_sql(fixture_servers(), sql));
}

static void
test_F14_server_that_is_no_primary_is_left_and_no_write_is_taken(void **state)
{
	(void)state;
	begin_and_add(1);
	assert_int_equal(store_commit(store), 0);
	set_read_only(true);
	/* the session we have is a writer's still */
	assert_int_equal(store_exec(store, "SET default_transaction_read_only = on", NULL, 0), 0);
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(fixture_add(store, 2), -EIO);
	assert_int_equal(store_commit(store), -EIO);
	assert_int_equal(store_begin(store), -EIO); /* connects again, and finds no primary */
	set_read_only(false);
	(void)begin_again();
	assert_int_equal(fixture_add(store, 3), 1);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(fixture_count(store), 2);
}

/* ---- migrations ---- */

static const struct store_migration slow_migrations[] = {
	{ 1, "first", "CREATE TABLE first (id BIGINT)" },
	{ 2, "slow",
	  "CREATE TABLE second (id BIGINT); INSERT INTO second VALUES (1);"
	  "SELECT pg_sleep(0.3); CREATE TABLE third (id BIGINT)" },
};

static pid_t
start_migrating(void)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct store *own = NULL;

		_exit(-store_open(fixture_url, slow_migrations, 2, &own, fixture_error,
				  sizeof(fixture_error)));
	}
	return child;
}

static void
use_new_schema(const char *name)
{
	store_close(&store);
	servers_postgresql_url(fixture_servers(), name, fixture_url);
}

/* P27: none of them fails on a step that another one has done. */
static void
test_F23_of_several_starters_one_migrates_and_all_start(void **state)
{
	pid_t children[STARTERS];

	(void)state;
	use_new_schema("starters");
	for (size_t i = 0; i < STARTERS; i++)
		children[i] = start_migrating();
	for (size_t i = 0; i < STARTERS; i++) {
		int status = 0;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

/* Kills at growing distances from the start, so in all of its steps. */
static void
test_F23_migration_killed_in_the_midst_goes_on_at_the_next_start(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KILLS; i++) {
		char name[32];
		pid_t child;

		snprintf(name, sizeof(name), "killed_%u", i);
		use_new_schema(name);
		child = start_migrating();
		(void)usleep(i * 60 * 1000); /* a different place each time, whichever it is */
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, NULL, 0), child);
		assert_int_equal(store_open(fixture_url, slow_migrations, 2, &store, fixture_error,
					    sizeof(fixture_error)),
				 0);
		assert_int_equal(store_exec(store, "INSERT INTO first VALUES (1)", NULL, 0), 1);
		assert_int_equal(store_exec(store, "DELETE FROM second", NULL, 0), 1);
		assert_int_equal(store_exec(store, "DROP TABLE third", NULL, 0), 0);
	}
}

static void
test_F24_newer_schema_is_refused_and_not_written_to(void **state)
{
	struct store *older = NULL;
	int64_t before = fixture_count(store);

	(void)state;
	assert_int_equal(store_open(fixture_url, fixture_migrations, 1, &older, fixture_error,
				    sizeof(fixture_error)),
			 -ENOTSUP);
	assert_null(older);
	assert_int_equal(fixture_count(store), before);
}

static void
test_two_may_share_a_schema_and_each_sees_what_the_other_committed(void **state)
{
	struct store *other = fixture_open();

	(void)state;
	assert_int_equal(fixture_add(store, 1), 1);
	assert_int_equal(fixture_count(other), 1);
	assert_int_equal(fixture_add(other, 1), -EEXIST);
	assert_int_equal(fixture_add(other, 2), 1);
	assert_int_equal(fixture_count(store), 2);
	store_close(&other);
}

static void
test_schemas_keep_services_apart(void **state)
{
	struct store *other = NULL;

	(void)state;
	assert_int_equal(fixture_add(store, 1), 1);
	servers_postgresql_url(fixture_servers(), "apart", fixture_url);
	other = fixture_open();
	assert_int_equal(fixture_count(other), 0);
	store_close(&other);
}

/* ---- kill -9 of the server ---- */

static void
test_F17_every_acknowledged_batch_survives_kill_9_of_the_server(void **state)
{
	int64_t next_batch = 0;

	(void)state;
	for (int round = 0; round < KILLS; round++) {
		struct fixture_writer writer;
		int64_t rows;

		fixture_writer_start(&writer, next_batch);
		fixture_writer_wait(&writer, 1 + round * 3);
		kill_server();
		fixture_writer_finish(&writer);
		start_server();
		(void)begin_again();
		store_rollback(store);
		rows = fixture_count(store);
		assert_int_equal(rows % FIXTURE_BATCH_ROWS, 0);
		assert_true(rows >= (writer.last + 1) * FIXTURE_BATCH_ROWS);
		assert_true(rows <= (writer.last + 2) * FIXTURE_BATCH_ROWS);
		next_batch = rows / FIXTURE_BATCH_ROWS;
	}
}

/* ---- URLs ---- */

static void
assert_refused(const char *url, const char *words)
{
	struct store *other = NULL;

	assert_int_equal(store_check(url, fixture_error, sizeof(fixture_error)), -EINVAL);
	assert_null(strstr(fixture_error, "hunter2"));
	if (strstr(fixture_error, words) == NULL)
		fail_msg("\"%s\" should hold \"%s\"", fixture_error, words);
	assert_int_equal(store_open(url, fixture_migrations, fixture_migrations_n, &other,
				    fixture_error, sizeof(fixture_error)),
			 -EINVAL);
}

static void
test_C51_password_in_a_url_is_refused_and_never_repeated(void **state)
{
	(void)state;
	assert_refused("postgresql://u:hunter2@h/d?schema=s", "passfile");
	assert_refused("postgresql://h/d?schema=s&password=hunter2", "passfile");
	assert_refused("postgresql://h/d?password=hunter2&schema=s", "passfile");
	assert_refused("postgresql://h/d?schema=s&sslpassword=hunter2", "passfile");
	assert_refused("postgresql://u:hunter2@h:x y/d?schema=s&nonsense=1", "libpq");
	assert_refused("postgresql://u:hunter2@[h/d?schema=s", "libpq");
}

static void
test_C51_schema_must_be_named_and_be_a_name(void **state)
{
	(void)state;
	assert_refused("postgresql://h/d", "schema");
	assert_refused("postgresql://h/d?schema=", "schema");
	assert_refused("postgresql://h/d?schema=pg_x", "schema");
	assert_refused("postgresql://h/d?schema=Upper", "schema");
	assert_refused("postgresql://h/d?schema=a;b", "schema");
	assert_refused("postgresql://h/d?schema=a%20b", "schema");
	assert_refused("postgresql:h", "//");
	assert_refused("postgresql://h,i/d?schema=s&port=1,2,3", "match");
	assert_int_equal(store_check("postgresql://h,i/d?port=1,2&schema=s&sslmode=verify-full",
				     fixture_error, sizeof(fixture_error)),
			 0);
}

static void
test_passfile_must_be_there_and_for_its_owner_only(void **state)
{
	char path[] = "/tmp/boson-passfile-XXXXXX", url[SERVERS_URL_BYTES];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	snprintf(url, sizeof(url), "postgresql://h/d?schema=s&passfile=%s", path);
	assert_int_equal(store_check(url, fixture_error, sizeof(fixture_error)), 0);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_refused(url, "0600");
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_refused(url, path);
}

static void
test_first_host_that_is_dead_is_passed_over(void **state)
{
	char url[SERVERS_URL_BYTES], first[SERVERS_URL_BYTES];
	int listener = make_listener(first); /* takes connections and says nothing */
	const struct servers *servers = fixture_servers();
	struct store *other = NULL;

	(void)state;
	snprintf(url, sizeof(url),
		 "postgresql://postgres@/postgres?host=127.0.0.1,%s&port=%.*s,5432&schema=hosts",
		 servers->folder, (int)strcspn(strrchr(first, ':') + 1, "/"),
		 strrchr(first, ':') + 1);
	assert_int_equal(store_open(url, fixture_migrations, fixture_migrations_n, &other,
				    fixture_error, sizeof(fixture_error)),
			 0);
	assert_int_equal(fixture_add(other, 1), 1);
	store_close(&other);
	close(listener);
}

static void
test_server_that_is_not_there_is_eio_at_the_start(void **state)
{
	struct store *other = NULL;

	(void)state;
	assert_int_equal(store_open("postgresql:///d?host=/nowhere&schema=s", fixture_migrations,
				    fixture_migrations_n, &other, fixture_error,
				    sizeof(fixture_error)),
			 -EIO);
	assert_non_null(strstr(fixture_error, "/nowhere"));
	assert_null(strchr(fixture_error, '\n'));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	char *arguments[] = { (char[]){ "" }, (char[]){ "postgresql" } };
	int exit_code = fixture_begin(2, arguments);
	const struct CMUnitTest tests[] = {
		TEST(test_F13_server_killed_in_the_midst_of_a_batch_loses_the_batch_and_no_more),
		TEST(test_F13_server_killed_before_the_commit_is_a_failed_commit),
		TEST(test_F13_restart_between_batches_is_not_even_noticed),
		TEST(test_F13_batch_that_writes_nothing_does_not_miss_the_server),
		TEST(test_F13_lost_savepoint_takes_the_batch_with_it),
		TEST(test_F13_a_server_that_is_down_is_asked_at_most_ten_times_a_second),
		TEST(test_F15_hanging_server_costs_a_bounded_time_and_then_nothing),
		TEST(test_F15_server_that_hangs_in_the_commit_is_a_failed_commit),
		TEST(test_F15_slow_statement_is_ended_and_takes_the_batch_with_it),
		TEST(test_failed_query_within_a_batch_takes_the_batch_with_it),
		TEST(test_text_that_postgresql_cannot_hold_fails_alone),
		TEST(test_F14_server_that_is_no_primary_is_left_and_no_write_is_taken),
		TEST(test_F23_of_several_starters_one_migrates_and_all_start),
		TEST(test_F23_migration_killed_in_the_midst_goes_on_at_the_next_start),
		TEST(test_F24_newer_schema_is_refused_and_not_written_to),
		TEST(test_two_may_share_a_schema_and_each_sees_what_the_other_committed),
		TEST(test_schemas_keep_services_apart),
		TEST(test_F17_every_acknowledged_batch_survives_kill_9_of_the_server),
		TEST(test_C51_password_in_a_url_is_refused_and_never_repeated),
		TEST(test_C51_schema_must_be_named_and_be_a_name),
		TEST(test_passfile_must_be_there_and_for_its_owner_only),
		TEST(test_first_host_that_is_dead_is_passed_over),
		TEST(test_server_that_is_not_there_is_eio_at_the_start),
	};

	if (exit_code != 0)
		return exit_code;
	return fixture_end(cmocka_run_group_tests(tests, NULL, NULL));
}
