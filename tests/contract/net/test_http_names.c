/*
 * The HTTP client and names: one that nobody knows, pins in place of a resolver, and a resolver
 * that does not answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_scene.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A resolver that does not answer, for one name, until it is let go. In place of libc's. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned asked, left;
	bool is_let_go;
} stuck = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static int
get_stuck(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DEADLINE_MS / 1000 / 2;
	pthread_mutex_lock(&stuck.lock);
	stuck.asked++;
	pthread_cond_broadcast(&stuck.changed);
	while (!stuck.is_let_go && pthread_cond_timedwait(&stuck.changed, &stuck.lock, &until) == 0)
		;
	stuck.left++;
	pthread_cond_broadcast(&stuck.changed);
	pthread_mutex_unlock(&stuck.lock);
	return EAI_AGAIN;
}

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	    struct addrinfo **ret)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (name && strcmp(name, "stuck.test") == 0)
		return get_stuck();
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(name, service, hints, ret);
}

static void
stop_when_asked(struct loop *loop, void *arg)
{
	(void)arg;
	pthread_mutex_lock(&stuck.lock);
	if (stuck.asked > 0)
		loop_stop(loop);
	pthread_mutex_unlock(&stuck.lock);
}

/* True when nobody has had an answer of it yet. */
static bool
let_go(void)
{
	bool was_stuck;

	pthread_mutex_lock(&stuck.lock);
	was_stuck = stuck.left == 0;
	stuck.is_let_go = true;
	pthread_cond_broadcast(&stuck.changed);
	while (stuck.left < stuck.asked)
		pthread_cond_wait(&stuck.changed, &stuck.lock);
	stuck.asked = stuck.left = 0;
	stuck.is_let_go = false;
	pthread_mutex_unlock(&stuck.lock);
	return was_stuck;
}

/* A label of 64 characters is none, so that no resolver is asked outside this machine. */
static void
test_a_name_that_does_not_exist_is_explained(void **state)
{
	struct scene *s = *state;

	get_from(s, "https", "no-such-name-no-such-name-no-such-name-no-such-name-no-such-name",
		 "/");
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "cannot be resolved"));
}

/* A name that no resolver knows, and a certificate for it. */
static void
test_a_pinned_name_is_reached_without_a_resolver(void **state)
{
	struct scene s = { 0 };
	uint16_t port;

	(void)state;
	scene_open(&s, &(struct tls_server_options){ .name = "boson.invalid" }, true);
	port = tls_server_port(s.server);
	/* The first is replaced: nobody listens at TEST-NET. */
	assert_int_equal(http_client_pin(s.client, "boson.invalid", port, "192.0.2.1"), 0);
	assert_int_equal(http_client_pin(s.client, "Boson.invalid", port, "127.0.0.1"), 0);
	get_from(&s, "https", "boson.invalid", "/busy");
	assert_string_equal(s.error, "");
	assert_int_equal(s.last.status, 503);
	/* Pinned, the name of the certificate counts all the same. */
	assert_int_equal(http_client_pin(s.client, "other.invalid", port, "127.0.0.1"), 0);
	get_from(&s, "https", "other.invalid", "/busy");
	assert_int_equal(s.last.status, 0);
	assert_non_null(strstr(s.error, "another name"));
	scene_close(&s);
}

static void
test_pins_that_are_none_are_refused(void **state)
{
	static const char *const bad_hosts[] = { "", "a:b", "-a", "*", "+a", "a,b", "a b" };
	struct scene *s = *state;
	char host[32];

	for (size_t i = 0; i < sizeof(bad_hosts) / sizeof(bad_hosts[0]); i++)
		assert_int_equal(http_client_pin(s->client, bad_hosts[i], 443, "127.0.0.1"),
				 -EINVAL);
	assert_int_equal(http_client_pin(s->client, "a", 443, "localhost"), -EINVAL);
	assert_int_equal(http_client_pin(s->client, "a", 443, "127.0.0.1,::1"), -EINVAL);
	for (int i = 0; i < 9; i++) {
		snprintf(host, sizeof(host), "host-%d", i);
		assert_int_equal(http_client_pin(s->client, host, 443, "::1"), i < 8 ? 0 : -ENOSPC);
	}
	assert_int_equal(http_client_pin(s->client, "host-3", 443, "127.0.0.1"), 0);
}

/* The agent's loop has a forwarder to serve meanwhile. */
static void
test_a_resolver_that_is_silent_does_not_hold_up_the_loop(void **state)
{
	struct scene *s = *state;
	struct http_request what = { .method = "GET",
				     .url = "https://stuck.test/",
				     .timeout_ms = 300 };

	scene_request(s, &what);
	assert_true(let_go());
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "did not answer"));
}

static void
test_a_client_is_freed_while_the_resolver_is_silent(void **state)
{
	struct scene *s = *state;
	struct http_request what = { .method = "GET",
				     .url = "https://stuck.test/",
				     .timeout_ms = 10000 };
	struct loop_timer *often = NULL;

	assert_int_equal(http_client_send(s->client, &what, scene_on_answer, s), 0);
	assert_int_equal(loop_timer_start(s->loop, 5, 5, stop_when_asked, NULL, &often), 0);
	assert_int_equal(loop_run(s->loop), 0);
	loop_timer_stop(&often);
	http_client_free(&s->client);
	assert_true(let_go());
	assert_int_equal(s->answers, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(test_a_name_that_does_not_exist_is_explained),
		cmocka_unit_test(test_a_pinned_name_is_reached_without_a_resolver),
		SCENE_TEST(test_pins_that_are_none_are_refused),
		SCENE_TEST(test_a_resolver_that_is_silent_does_not_hold_up_the_loop),
		SCENE_TEST(test_a_client_is_freed_while_the_resolver_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
