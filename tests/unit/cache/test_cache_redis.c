/*
 * What a Redis can do to its clients (F16): be killed, hang, forget, be full, answer nonsense; what
 * several clients share; and what a URL may not say. The server is the program's own.
 */
#include "cache/cache.h"
#include "loop/clock.h"

#include "../../servers/servers.h"

#include <errno.h>
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

enum { LONG_MS = 600 * 1000, WAIT_MS = 20 * 1000, CLIENTS = 4, ROUNDS = 30, BURST = 50 };

static struct servers servers;
static char url[SERVERS_URL_BYTES];
static struct cache *cache;

static int
setup(void **state)
{
	(void)state;
	return cache_open(url, 1, &cache);
}

static int
teardown(void **state)
{
	(void)state;
	cache_close(&cache);
	return 0;
}

static int
put(const char *key)
{
	return cache_put(cache, key, "value", 5, LONG_MS, 0);
}

static int
get(const char *key)
{
	void *value = NULL;
	size_t n = 0;
	int result = cache_get(cache, key, 0, &value, &n);

	free(value);
	return result;
}

static void
assert_all_fail(void)
{
	assert_int_equal(put("a"), -EIO);
	assert_int_equal(get("a"), -EIO);
	assert_int_equal(cache_first(cache, "a", LONG_MS, 0), -EIO);
	assert_true(cache_take(cache, "a", 1, 1, 0) == -EIO);
	cache_remove(cache, "a");
}

static void
wait_until_it_works(void)
{
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;

	while (put("a") < 0)
		assert_true(clock_monotonic_ms() < deadline_ms);
	assert_int_equal(get("a"), 0);
}

#define COMMAND(...) \
	assert_true(servers_redis_command(&servers, (const char *const[]){ __VA_ARGS__, NULL }))

static void
test_F16_killed_server_fails_every_call_and_is_found_again(void **state)
{
	(void)state;
	assert_int_equal(put("a"), 0);
	servers_redis_kill(&servers);
	assert_all_fail();
	assert_int_equal(servers_redis_start(&servers), 0);
	wait_until_it_works();
}

static void
test_F16_restart_while_nobody_asks_is_not_even_noticed(void **state)
{
	(void)state;
	assert_int_equal(put("a"), 0);
	servers_redis_kill(&servers);
	assert_int_equal(servers_redis_start(&servers), 0);
	assert_int_equal(get("a"), -ENOENT);
	assert_int_equal(put("a"), 0);
}

static void
test_F16_hanging_server_costs_one_deadline_and_then_nothing(void **state)
{
	int64_t start_ms;

	(void)state;
	assert_int_equal(put("a"), 0);
	servers_redis_stop(&servers, true);
	start_ms = clock_monotonic_ms();
	assert_int_equal(get("a"), -EIO);
	assert_true(clock_monotonic_ms() - start_ms >= 150);
	/* would take minutes if each waited */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(get("a"), -EIO);
	servers_redis_stop(&servers, false);
	wait_until_it_works();
	assert_int_equal(get("never put"), -ENOENT); /* no late answer is taken for this one's */
}

static void
test_F16_flushed_server_has_forgotten_and_works(void **state)
{
	(void)state;
	assert_int_equal(put("a"), 0);
	assert_int_equal(cache_first(cache, "flushed", LONG_MS, 0), 1);
	assert_true(cache_take(cache, "flushed", 1, 1, 0) == 0);
	assert_true(cache_take(cache, "flushed", 1, 1, 0) > 0);
	COMMAND("FLUSHALL");
	COMMAND("SCRIPT", "FLUSH");
	assert_int_equal(get("a"), -ENOENT);
	assert_int_equal(cache_first(cache, "flushed", LONG_MS, 0), 1);
	assert_true(cache_take(cache, "flushed", 1, 1, 0) == 0);
	assert_true(cache_take(cache, "flushed", 1, 1, 0) > 0);
}

static void
test_F16_full_server_fails_writes_and_answers_reads(void **state)
{
	(void)state;
	assert_int_equal(put("a"), 0);
	COMMAND("CONFIG", "SET", "maxmemory", "1");
	assert_int_equal(put("b"), -EIO);
	assert_int_equal(cache_first(cache, "full", LONG_MS, 0), -EIO);
	assert_true(cache_take(cache, "full", 1, 1, 0) == -EIO);
	assert_int_equal(get("a"), 0);
	COMMAND("CONFIG", "SET", "maxmemory", "0");
	assert_int_equal(put("b"), 0);
}

static void
test_key_of_another_kind_is_an_error_and_not_a_value(void **state)
{
	(void)state;
	COMMAND("LPUSH", "boson:v:list", "x");
	COMMAND("SET", "boson:b:list", "x");
	assert_int_equal(get("list"), -EIO);
	assert_true(cache_take(cache, "list", 1, 1, 0) == -EIO);
	assert_int_equal(put("list"), 0);
}

/* Forks CLIENTS that each do the call ROUNDS times; how often it said `wanted`. */
static int
count_of_all(int64_t (*call)(struct cache *own, int round), int64_t wanted)
{
	pid_t children[CLIENTS];
	int total = 0;

	for (int i = 0; i < CLIENTS; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			struct cache *own = NULL;
			int n = 0;

			if (cache_open(url, 1, &own) < 0)
				_exit(255);
			for (int round = 0; round < ROUNDS; round++)
				n += call(own, round) == wanted ? 1 : 0;
			_exit(n);
		}
	}
	for (int i = 0; i < CLIENTS; i++) {
		int status = 0;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		total += WEXITSTATUS(status);
	}
	return total;
}

static int64_t
be_first(struct cache *own, int round)
{
	char key[32];

	snprintf(key, sizeof(key), "race %d", round);
	return cache_first(own, key, LONG_MS, 0);
}

static int64_t
take_one(struct cache *own, int round)
{
	(void)round;
	return cache_take(own, "race", 1, BURST, 0);
}

static void
test_of_several_clients_only_one_is_first(void **state)
{
	(void)state;
	assert_int_equal(count_of_all(be_first, 1), ROUNDS);
}

static void
test_several_clients_share_one_bucket(void **state)
{
	int taken;

	(void)state;
	assert_true((int)CLIENTS * (int)ROUNDS > (int)BURST);
	taken = count_of_all(take_one, 0);
	assert_in_range(taken, BURST, BURST + 1); /* one more a minute */
}

/* ---- who may ask ---- */

static void
make_passfile(char path[32], const char *secret)
{
	int fd;

	strcpy(path, "/tmp/boson-passfile-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, secret, strlen(secret)), strlen(secret));
	close(fd);
}

static void
test_password_comes_from_a_file_and_without_it_nothing_is_answered(void **state)
{
	char path[32], own[SERVERS_URL_BYTES + 64];

	(void)state;
	make_passfile(path, "hunter2\n");
	COMMAND("CONFIG", "SET", "requirepass", "hunter2");
	assert_int_equal(put("a"), -EIO);
	cache_close(&cache);
	snprintf(own, sizeof(own), "%s?passfile=%s&db=3", url, path);
	assert_int_equal(cache_open(own, 1, &cache), 0);
	assert_int_equal(put("a"), 0);
	assert_int_equal(get("a"), 0);
	COMMAND("--no-auth-warning", "-a", "hunter2", "CONFIG", "SET", "requirepass", "");
	assert_int_equal(unlink(path), 0);
}

/* The rights that the manual names are enough, and no others are used. */
static void
test_user_needs_few_rights(void **state)
{
	char path[32], own[SERVERS_URL_BYTES + 64];

	(void)state;
	make_passfile(path, "hunter2");
	COMMAND("ACL", "SETUSER", "bob", "on", ">hunter2", "~boson:*", "+set", "+get", "+unlink",
		"+eval", "+evalsha", "+time", "+hmget", "+hset", "+pexpire", "+select");
	cache_close(&cache);
	snprintf(own, sizeof(own), "redis://bob@%s?passfile=%s&db=1", url + strlen("redis://"),
		 path);
	assert_int_equal(cache_open(own, 1, &cache), 0);
	COMMAND("SCRIPT", "FLUSH");
	assert_int_equal(put("a"), 0);
	assert_int_equal(get("a"), 0);
	assert_int_equal(cache_first(cache, "a", LONG_MS, 0), 1);
	assert_true(cache_take(cache, "a", 1, 1, 0) == 0);
	assert_true(cache_take(cache, "a", 1, 1, 0) > 0);
	cache_remove(cache, "a");
	assert_int_equal(get("a"), -ENOENT);
	cache_close(&cache);
	snprintf(own, sizeof(own), "redis://eve@%s?passfile=%s", url + strlen("redis://"), path);
	assert_int_equal(cache_open(own, 1, &cache), 0);
	assert_int_equal(put("a"), -EIO);
	assert_int_equal(unlink(path), 0);
}

static void
assert_refused(const char *bad, const char *words)
{
	char reason[256] = "";
	struct cache *other = NULL;

	assert_int_equal(cache_check(bad, reason, sizeof(reason)), -EINVAL);
	assert_null(strstr(reason, "hunter2"));
	if (strstr(reason, words) == NULL)
		fail_msg("%s: \"%s\" should hold \"%s\"", bad, reason, words);
	assert_int_equal(cache_open(bad, 1, &other), -EINVAL);
}

static void
test_bad_urls_are_refused_with_a_reason_and_no_secret(void **state)
{
	char path[32], own[64], reason[256];

	(void)state;
	assert_refused("redis:", "//");
	assert_refused("redis://", "//");
	assert_refused("redis://u:hunter2@127.0.0.1", "passfile");
	assert_refused("redis://:hunter2@127.0.0.1/0", "passfile");
	assert_refused("redis://127.0.0.1?password=hunter2", "after ?");
	assert_refused("redis://127.0.0.1:0", "host");
	assert_refused("redis://127.0.0.1:66000", "host");
	assert_refused("redis://127.0.0.1/x", "host");
	assert_refused("redis://127.0.0.1.9", "host");
	assert_refused("redis://[cache.example.org]", "host");
	assert_refused("redis://cache example", "host");
	assert_refused("redis://cache.example.org", "clear_text");
	assert_refused("redis://[::1", "host");
	assert_refused("redis://[::1]x", "host");
	assert_refused("redis://10.0.0.1", "clear_text");
	assert_refused("redis://127.0.0.1?db=x", "after ?");
	assert_refused("redis:///tmp/x?passfile=/nowhere/secret", "/nowhere/secret");
	make_passfile(path, "x");
	assert_int_equal(chmod(path, 0644), 0);
	snprintf(own, sizeof(own), "redis:///tmp/x?passfile=%s", path);
	assert_refused(own, "0600");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(cache_check("redis://10.0.0.1?clear_text=yes", reason, 256), 0);
	assert_int_equal(cache_check("redis://u@[::1]:7000/2?prefix=x", reason, 256), 0);
	assert_int_equal(cache_check("redis://localhost", reason, 256), 0);
	assert_int_equal(
		cache_check("redis://cache.example.org:7000/2?clear_text=yes", reason, 256), 0);
}

/* ---- a server that is none ---- */

/* Says `head` to whoever comes, and then x for ever. */
static void
serve_nonsense(int listener, const char *head)
{
	static char rest[4096];

	memset(rest, 'x', sizeof(rest));
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 || write(fd, head, strlen(head)) < 0)
			_exit(0);
		while (write(fd, rest, sizeof(rest)) > 0)
			;
		close(fd);
	}
}

static void
assert_nonsense_fails(const char *head)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char own[SERVERS_URL_BYTES];
	struct cache *other = NULL;
	void *value = NULL;
	size_t n = 0;
	pid_t child;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/nonsense", servers.folder);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	child = fork();
	if (child == 0)
		serve_nonsense(listener, head);
	snprintf(own, sizeof(own), "redis://%s", address.sun_path);
	assert_int_equal(cache_open(own, 1, &other), 0);
	assert_int_equal(cache_get(other, "a", 0, &value, &n), -EIO);
	assert_int_equal(cache_first(other, "a", LONG_MS, 0), -EIO);
	cache_close(&other);
	close(listener);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(unlink(address.sun_path), 0);
}

static void
test_nonsense_and_endless_answers_are_errors(void **state)
{
	(void)state;
	assert_nonsense_fails("HTTP/1.1 400 Bad Request\r\n\r\n");
	assert_nonsense_fails("$2000000000\r\n");
	assert_nonsense_fails("$-7\r\n");
	assert_nonsense_fails("*2000000000\r\n$1\r\n");
	assert_nonsense_fails("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n");
	assert_nonsense_fails(":1\r\n");
	assert_nonsense_fails("+");
	assert_nonsense_fails("");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_F16_killed_server_fails_every_call_and_is_found_again),
		TEST(test_F16_restart_while_nobody_asks_is_not_even_noticed),
		TEST(test_F16_hanging_server_costs_one_deadline_and_then_nothing),
		TEST(test_F16_flushed_server_has_forgotten_and_works),
		TEST(test_F16_full_server_fails_writes_and_answers_reads),
		TEST(test_key_of_another_kind_is_an_error_and_not_a_value),
		TEST(test_of_several_clients_only_one_is_first),
		TEST(test_several_clients_share_one_bucket),
		TEST(test_password_comes_from_a_file_and_without_it_nothing_is_answered),
		TEST(test_user_needs_few_rights),
		TEST(test_bad_urls_are_refused_with_a_reason_and_no_secret),
		TEST(test_nonsense_and_endless_answers_are_errors),
	};
	int result;

	if (servers_init(&servers) < 0)
		return EXIT_FAILURE;
	result = servers_redis_start(&servers);
	servers_redis_url(&servers, url);
	if (result == 0)
		result = cmocka_run_group_tests(tests, NULL, NULL);
	else
		result = result > 0 ? 77 : EXIT_FAILURE;
	servers_fini(&servers);
	return result;
}
