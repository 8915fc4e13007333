/*
 * What a Redis can do to its clients (F16): be killed, hang, forget, be full; what several clients
 * share; and what a URL may not say. The server is the program's own.
 */
#include "cache/cache.h"
#include "loop/clock.h"

#include "../../servers/servers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_MS = 600 * 1000, WAIT_MS = 20 * 1000, CLIENTS = 4, ROUNDS = 30, BURST = 50 };

static struct servers servers;
static char url[SERVERS_URL_BYTES];
static struct cache *cache;

/* Of a Redis that holds nothing of an earlier test. */
static int
setup(void **state)
{
	const char *const flush[] = { "FLUSHALL", NULL };

	(void)state;
	return servers_redis_command(&servers, flush) ? cache_open(url, 1, &cache) : -1;
}

static int
teardown(void **state)
{
	(void)state;
	cache_close(&cache);
	return 0;
}

static int
first(const char *key)
{
	return cache_first(cache, key, LONG_MS, 0);
}

static int64_t
take(const char *key)
{
	return cache_take(cache, key, 1, 1, 0);
}

static void
assert_all_fail(void)
{
	int64_t left;

	assert_int_equal(cache_probe(cache), -EIO);
	assert_int_equal(first("a"), -EIO);
	assert_int_equal(take("a"), -EIO);
	assert_int_equal(cache_charge(cache, "a", 1, 1, 1, 0, &left), -EIO);
}

static void
wait_until_it_works(void)
{
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;

	while (cache_probe(cache) < 0)
		assert_true(clock_monotonic_ms() < deadline_ms);
}

#define COMMAND(...) \
	assert_true(servers_redis_command(&servers, (const char *const[]){ __VA_ARGS__, NULL }))

static void
test_F16_killed_server_fails_every_call_and_is_found_again(void **state)
{
	(void)state;
	assert_int_equal(first("a"), 1);
	servers_redis_kill(&servers);
	assert_all_fail();
	assert_int_equal(servers_redis_start(&servers), 0);
	wait_until_it_works();
	assert_int_equal(first("a"), 1);
	assert_int_equal(first("a"), 0);
}

static void
test_F16_restart_while_nobody_asks_is_not_even_noticed(void **state)
{
	(void)state;
	assert_int_equal(first("a"), 1);
	servers_redis_kill(&servers);
	assert_int_equal(servers_redis_start(&servers), 0);
	assert_int_equal(first("a"), 1);
	assert_int_equal(first("a"), 0);
}

static void
test_F16_hanging_server_costs_one_deadline_and_then_nothing(void **state)
{
	int64_t start_ms;

	(void)state;
	assert_int_equal(first("a"), 1);
	servers_redis_stop(&servers, true);
	start_ms = clock_monotonic_ms();
	assert_int_equal(first("a"), -EIO);
	assert_true(clock_monotonic_ms() - start_ms >= 150);
	/* would take minutes if each waited */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(first("a"), -EIO);
	servers_redis_stop(&servers, false);
	wait_until_it_works();
	/* no late answer is taken for these */
	assert_int_equal(first("never asked for"), 1);
	assert_int_equal(first("a"), 0);
}

static void
test_F16_flushed_server_has_forgotten_and_works(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(first("flushed"), 1);
		assert_int_equal(first("flushed"), 0);
		assert_int_equal(take("flushed"), 0);
		assert_true(take("flushed") > 0);
		COMMAND("FLUSHALL");
		COMMAND("SCRIPT", "FLUSH");
	}
}

static void
test_F16_full_server_takes_nothing_more_and_answers(void **state)
{
	(void)state;
	assert_int_equal(first("a"), 1);
	COMMAND("CONFIG", "SET", "maxmemory", "1");
	assert_int_equal(first("full"), -EIO);
	assert_int_equal(take("full"), -EIO);
	assert_int_equal(cache_probe(cache), 0);
	COMMAND("CONFIG", "SET", "maxmemory", "0");
	assert_int_equal(first("full"), 1);
	assert_int_equal(first("a"), 0);
}

/* After a failover the old one may still be there. */
static void
test_F16_server_that_takes_no_writes_is_no_cache(void **state)
{
	(void)state;
	assert_int_equal(cache_probe(cache), 0);
	COMMAND("REPLICAOF", "127.0.0.1", "1");
	assert_int_equal(cache_probe(cache), -EIO);
	COMMAND("REPLICAOF", "NO", "ONE");
	wait_until_it_works();
	assert_int_equal(first("a"), 1);
}

static void
test_key_of_another_kind_is_an_error_and_nobody_is_first(void **state)
{
	(void)state;
	COMMAND("LPUSH", "boson:m:list", "x");
	COMMAND("SET", "boson:b:list", "x");
	assert_int_equal(first("list"), 0);
	assert_int_equal(take("list"), -EIO);
	assert_int_equal(first("other"), 1);
	assert_int_equal(take("other"), 0);
}

static void
test_prefixes_and_databases_do_not_meet(void **state)
{
	static const char *const places[] = { "?prefix=a:", "?prefix=b:", "?db=5",
					      "?prefix=a:&db=5" };

	(void)state;
	assert_int_equal(first("a"), 1);
	assert_int_equal(take("a"), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		char own[SERVERS_URL_BYTES + 32];

		cache_close(&cache);
		snprintf(own, sizeof(own), "%s%s", url, places[i]);
		assert_int_equal(cache_open(own, 1, &cache), 0);
		assert_int_equal(first("a"), 1);
		assert_int_equal(first("a"), 0);
		assert_int_equal(take("a"), 0);
		assert_true(take("a") > 0);
	}
}

/* Nothing of ours stays in a Redis: each key has an end, of the length asked for, and none else is
 * there; nor does a probe shorten one. */
static void
test_whatever_is_written_ends(void **state)
{
	(void)state;
	assert_int_equal(first(""), 1);
	assert_int_equal(take(""), 0);
	assert_int_equal(cache_probe(cache), 0);
	COMMAND("-e", "EVAL",
		"local n = 0 "
		"for _, key in ipairs(redis.call('KEYS', '*')) do n = n + 1 "
		"local ms = redis.call('PTTL', key) "
		"local most = key == 'boson:m:' and 600000 or key == 'boson:b:' and 60001 "
		"if not most or ms > most or ms < most / 2 then error(key .. ms) end end "
		"if n ~= 2 then error(n) end",
		"0");
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
	assert_all_fail();
	cache_close(&cache);
	snprintf(own, sizeof(own), "%s?passfile=%s&db=3", url, path);
	assert_int_equal(cache_open(own, 1, &cache), 0);
	assert_int_equal(cache_probe(cache), 0);
	assert_int_equal(first("a"), 1);
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
	COMMAND("ACL", "SETUSER", "bob", "on", ">hunter2", "~boson:*", "+set", "+eval", "+evalsha",
		"+time", "+hmget", "+hset", "+pexpire", "+select");
	cache_close(&cache);
	snprintf(own, sizeof(own), "redis://bob@%s?passfile=%s&db=1", url + strlen("redis://"),
		 path);
	assert_int_equal(cache_open(own, 1, &cache), 0);
	COMMAND("SCRIPT", "FLUSH");
	assert_int_equal(cache_probe(cache), 0);
	assert_int_equal(first("a"), 1);
	assert_int_equal(first("a"), 0);
	assert_int_equal(take("a"), 0);
	assert_true(take("a") > 0);
	cache_close(&cache);
	snprintf(own, sizeof(own), "redis://eve@%s?passfile=%s", url + strlen("redis://"), path);
	assert_int_equal(cache_open(own, 1, &cache), 0);
	assert_all_fail();
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

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_F16_killed_server_fails_every_call_and_is_found_again),
		TEST(test_F16_restart_while_nobody_asks_is_not_even_noticed),
		TEST(test_F16_hanging_server_costs_one_deadline_and_then_nothing),
		TEST(test_F16_flushed_server_has_forgotten_and_works),
		TEST(test_F16_full_server_takes_nothing_more_and_answers),
		TEST(test_F16_server_that_takes_no_writes_is_no_cache),
		TEST(test_key_of_another_kind_is_an_error_and_nobody_is_first),
		TEST(test_prefixes_and_databases_do_not_meet),
		TEST(test_whatever_is_written_ends),
		TEST(test_of_several_clients_only_one_is_first),
		TEST(test_several_clients_share_one_bucket),
		TEST(test_password_comes_from_a_file_and_without_it_nothing_is_answered),
		TEST(test_user_needs_few_rights),
		TEST(test_bad_urls_are_refused_with_a_reason_and_no_secret),
	};
	int result = servers_begin(&servers, SERVERS_REDIS);

	if (result != 0)
		return result;
	servers_redis_url(&servers, url);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	servers_fini(&servers);
	return result;
}
