/*
 * A Redis by its host name: looked up for each connection, never on the caller's time beyond a
 * call's deadline. The resolver is scripted by a link seam; the Redis is the program's own.
 */
#include "cache/cache.h"
#include "loop/clock.h"

#include "../../servers/servers.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_MS = 600 * 1000, WAIT_MS = 20 * 1000, PORT_TRIES = 20, PORT_BYTES = 8 };

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		       struct addrinfo **ret);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		       struct addrinfo **ret);

static struct servers servers;
static char port[PORT_BYTES];
static struct cache *cache;

/* What redis.test stands for: addresses, best first; none: nobody can say. */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	const char *answer[3];
	bool is_hanging;
	int asked;
} resolver = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

int
__wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		   struct addrinfo **ret)
{
	struct addrinfo numeric = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	struct addrinfo **at = ret;
	int r = EAI_AGAIN;

	if (strcmp(host, "redis.test") != 0)
		return __real_getaddrinfo(host, service, hints, ret);
	pthread_mutex_lock(&resolver.mutex);
	resolver.asked++;
	while (resolver.is_hanging)
		pthread_cond_wait(&resolver.changed, &resolver.mutex);
	for (size_t i = 0; resolver.answer[i] != NULL; i++) {
		r = __real_getaddrinfo(resolver.answer[i], service, &numeric, at);
		if (r != 0)
			break;
		at = &(*at)->ai_next;
	}
	pthread_mutex_unlock(&resolver.mutex);
	return r;
}

static void
script(const char *first, const char *second, bool is_hanging)
{
	pthread_mutex_lock(&resolver.mutex);
	resolver.answer[0] = first;
	resolver.answer[1] = second;
	resolver.is_hanging = is_hanging;
	pthread_cond_broadcast(&resolver.changed);
	pthread_mutex_unlock(&resolver.mutex);
}

static int
times_asked(void)
{
	pthread_mutex_lock(&resolver.mutex);
	int asked = resolver.asked;
	pthread_mutex_unlock(&resolver.mutex);
	return asked;
}

static int
open_named(const char *host)
{
	char url[SERVERS_URL_BYTES];

	snprintf(url, sizeof(url), "redis://%s:%s?clear_text=yes", host, port);
	return cache_open(url, 1, &cache);
}

static int
setup(void **state)
{
	(void)state;
	script("127.0.0.1", NULL, false);
	return open_named("redis.test");
}

static int
teardown(void **state)
{
	(void)state;
	script(NULL, NULL, false);
	cache_close(&cache);
	return 0;
}

/* 0 when it was answered. */
static int
ask(void)
{
	int result = cache_first(cache, "a", LONG_MS, 0);

	return result < 0 ? result : 0;
}

static void
wait_until_it_works(void)
{
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;

	while (ask() < 0)
		assert_true(clock_monotonic_ms() < deadline_ms);
}

#define COMMAND(...) \
	servers_redis_command(&servers, (const char *const[]){ "-e", __VA_ARGS__, NULL })

static void
test_host_name_is_looked_up_once_for_a_connection(void **state)
{
	int before = times_asked();

	(void)state;
	assert_int_equal(ask(), 0);
	assert_int_equal(ask(), 0);
	assert_int_equal(times_asked(), before + 1);
}

static void
test_localhost_needs_no_word_about_clear_text(void **state)
{
	char url[SERVERS_URL_BYTES];

	(void)state;
	cache_close(&cache);
	snprintf(url, sizeof(url), "redis://localhost:%s", port);
	assert_int_equal(cache_open(url, 1, &cache), 0);
	assert_int_equal(ask(), 0);
}

static void
test_place_that_refuses_is_passed_over_within_the_call(void **state)
{
	(void)state;
	script("127.0.0.2", "127.0.0.1", false);
	assert_int_equal(ask(), 0);
}

static void
test_name_that_moves_is_followed(void **state)
{
	(void)state;
	script("127.0.0.2", NULL, false);
	assert_int_equal(ask(), -EIO);
	script("127.0.0.1", NULL, false);
	wait_until_it_works();
}

static void
test_name_that_nobody_knows_any_more_stands_for_what_it_stood_for(void **state)
{
	(void)state;
	assert_int_equal(ask(), 0);
	script(NULL, NULL, false);
	assert_true(COMMAND("CLIENT", "KILL", "TYPE", "normal"));
	assert_int_equal(ask(), 0);
}

static void
test_name_that_nobody_knows_is_an_error_until_somebody_does(void **state)
{
	(void)state;
	script(NULL, NULL, false);
	assert_int_equal(ask(), -EIO);
	script("127.0.0.1", NULL, false);
	wait_until_it_works();
}

/* The first call waits for its deadline; the thousand after it would take minutes if they did. */
static void
test_resolver_that_hangs_costs_one_deadline_and_is_heard_later(void **state)
{
	int before = times_asked();

	(void)state;
	script("127.0.0.1", NULL, true);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(ask(), -EIO);
	script("127.0.0.1", NULL, false);
	wait_until_it_works();
	assert_int_equal(times_asked(), before + 1);
}

static void
test_cache_is_closed_while_the_resolver_hangs(void **state)
{
	(void)state;
	script("127.0.0.1", NULL, true);
	assert_int_equal(ask(), -EIO);
	cache_close(&cache);
	assert_null(cache);
}

/* Redis binds it when told, unless somebody was faster. */
static bool
listen_on_tcp(void)
{
	for (int i = 0; i < PORT_TRIES; i++) {
		struct sockaddr_in address = { .sin_family = AF_INET };
		socklen_t n = sizeof(address);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (fd < 0 || bind(fd, (struct sockaddr *)&address, n) < 0 ||
		    getsockname(fd, (struct sockaddr *)&address, &n) < 0)
			return false;
		close(fd);
		snprintf(port, sizeof(port), "%u", ntohs(address.sin_port));
		if (COMMAND("CONFIG", "SET", "bind", "127.0.0.1", "port", port))
			return true;
	}
	return false;
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_host_name_is_looked_up_once_for_a_connection),
		TEST(test_localhost_needs_no_word_about_clear_text),
		TEST(test_place_that_refuses_is_passed_over_within_the_call),
		TEST(test_name_that_moves_is_followed),
		TEST(test_name_that_nobody_knows_any_more_stands_for_what_it_stood_for),
		TEST(test_name_that_nobody_knows_is_an_error_until_somebody_does),
		TEST(test_resolver_that_hangs_costs_one_deadline_and_is_heard_later),
		TEST(test_cache_is_closed_while_the_resolver_hangs),
	};
	int result = servers_begin(&servers, SERVERS_REDIS);

	if (result != 0)
		return result;
	result = listen_on_tcp() ? cmocka_run_group_tests(tests, NULL, NULL) : EXIT_FAILURE;
	servers_fini(&servers);
	return result;
}
