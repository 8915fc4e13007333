/*
 * The HTTP client against a real HTTPS server: certificates, caps, deadlines, no redirects (L60),
 * nothing in the clear to another machine (T27, T43), truncated answers (L62), and the sentences
 * that people read when something fails.
 */
#include "net/http_client.h"
#include "tls_server.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20 * 1000, LARGE_BYTES = 1024 * 1024 + 1 };

struct scene {
	struct loop *loop;
	struct tls_server *server;
	struct http_client *client;
	unsigned answers;
	struct http_answer last;
	char body[256], error[600];
};

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

/* What the server answers is chosen by the path. */
static bool
respond(const char *request, FILE *out, void *arg)
{
	(void)arg;
	if (strncmp(request, "GET /hang", 9) == 0)
		return false;
	if (strncmp(request, "GET /moved", 10) == 0)
		tls_server_write(out, 302, "Location: http://127.0.0.1:9/\r\n", "");
	else if (strncmp(request, "GET /busy", 9) == 0)
		tls_server_write(out, 503, "Retry-After: 17\r\n", "{}");
	else if (strncmp(request, "GET /cut", 8) == 0)
		fputs("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":", out);
	else if (strncmp(request, "GET /large", 10) == 0) {
		fputs("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", out);
		for (size_t i = 0; i < LARGE_BYTES; i++)
			putc('x', out);
	} else if (strncmp(request, "GET /declared", 13) == 0)
		fprintf(out, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE_BYTES);
	else if (strncmp(request, "GET /nothing", 12) == 0)
		return true;
	else if (strncmp(request, "POST /echo", 10) == 0)
		tls_server_write(out, 201, "", strstr(request, "\r\n\r\n") + 4);
	else {
		const char *wanted = strstr(request, "\r\nAuthorization: Bearer secret\r\n");

		tls_server_write(out, wanted ? 200 : 401, "", "{\"status\":\"ok\"}");
	}
	return true;
}

static void
on_answer(const struct http_answer *answer, void *arg)
{
	struct scene *s = arg;

	s->answers++;
	s->last = *answer;
	assert_int_equal(answer->body[answer->body_bytes], '\0');
	snprintf(s->body, sizeof(s->body), "%s", answer->body);
	snprintf(s->error, sizeof(s->error), "%s", answer->error);
	loop_stop(s->loop);
}

static void
on_deadline(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
run_until_answer(struct scene *s)
{
	struct loop_timer *deadline = NULL;
	unsigned before = s->answers;

	assert_int_equal(loop_timer_start(s->loop, DEADLINE_MS, 0, on_deadline, NULL, &deadline),
			 0);
	assert_int_equal(loop_run(s->loop), 0);
	assert_int_equal(s->answers, before + 1);
	loop_timer_stop(&deadline);
}

static void
request(struct scene *s, const struct http_request *what)
{
	assert_int_equal(http_client_send(s->client, what, on_answer, s), 0);
	run_until_answer(s);
}

static void
get_from(struct scene *s, const char *scheme, const char *host, const char *path)
{
	char url[192];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 10000 };

	snprintf(url, sizeof(url), "%s://%s:%u%s", scheme, host, tls_server_port(s->server), path);
	request(s, &what);
}

static void
get(struct scene *s, const char *path)
{
	get_from(s, "https", "localhost", path);
}

static void
scene_open(struct scene *s, const struct tls_server_options *options, bool with_ca)
{
	struct tls_server_options o = *options;

	o.fn = respond;
	assert_int_equal(loop_new(&s->loop), 0);
	assert_int_equal(tls_server_start(&o, &s->server), 0);
	assert_int_equal(http_client_new(s->loop, with_ca ? tls_server_ca_file(s->server) : NULL,
					 &s->client),
			 0);
}

static void
scene_close(struct scene *s)
{
	http_client_free(&s->client);
	tls_server_stop(&s->server);
	loop_free(&s->loop);
}

static int
setup(void **state)
{
	static struct scene s;

	memset(&s, 0, sizeof(s));
	scene_open(&s, &(struct tls_server_options){ 0 }, true);
	*state = &s;
	return 0;
}

static int
teardown(void **state)
{
	scene_close(*state);
	return 0;
}

static void
test_an_answer_of_a_trusted_server_arrives_whole(void **state)
{
	struct scene *s = *state;
	char url[64];
	struct http_request what = {
		.method = "GET", .url = url, .bearer = "secret", .timeout_ms = 10000
	};

	snprintf(url, sizeof(url), "https://localhost:%u/health", tls_server_port(s->server));
	request(s, &what);
	assert_int_equal(s->last.status, 200);
	assert_string_equal(s->body, "{\"status\":\"ok\"}");
	assert_string_equal(s->error, "");
	assert_int_equal(s->last.retry_after_sec, 0);
}

static void
test_a_body_is_sent_as_it_is(void **state)
{
	struct scene *s = *state;
	char url[64];
	struct http_request what = { .method = "POST",
				     .url = url,
				     .header = "Higgs-Proof: v1 abc",
				     .body = "{\"a\":1} and what follows",
				     .body_bytes = 7,
				     .timeout_ms = 10000 };

	snprintf(url, sizeof(url), "https://localhost:%u/echo", tls_server_port(s->server));
	request(s, &what);
	assert_int_equal(s->last.status, 201);
	assert_string_equal(s->body, "{\"a\":1}");
}

static void
test_t43_a_certificate_of_an_unknown_authority_is_not_trusted(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s, &(struct tls_server_options){ 0 }, false);
	get(&s, "/health");
	assert_int_equal(s.last.status, 0);
	assert_non_null(strstr(s.error, "not trusted"));
	assert_non_null(strstr(s.error, "--ca"));
	scene_close(&s);
}

static void
test_t43_a_certificate_for_another_name_is_refused(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s, &(struct tls_server_options){ .name = "other.test" }, true);
	get(&s, "/health");
	assert_int_equal(s.last.status, 0);
	assert_non_null(strstr(s.error, "another name"));
	scene_close(&s);
}

static void
test_t43_an_expired_certificate_is_refused(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s, &(struct tls_server_options){ .is_expired = true }, true);
	get(&s, "/health");
	assert_int_equal(s.last.status, 0);
	assert_non_null(strstr(s.error, "expired"));
	scene_close(&s);
}

static void
test_a_ca_file_that_is_missing_is_named(void **state)
{
	struct scene *s = *state;

	http_client_free(&s->client);
	assert_int_equal(http_client_new(s->loop, "/nonexistent/ca.pem", &s->client), 0);
	get(s, "/health");
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "/nonexistent/ca.pem"));
}

static void
test_l60_a_redirect_is_not_followed(void **state)
{
	struct scene *s = *state;

	get(s, "/moved");
	assert_int_equal(s->last.status, 302);
	assert_non_null(strstr(s->error, "redirect"));
	assert_int_equal(tls_server_connections(s->server), 1);
}

static void
test_l58_retry_after_is_read(void **state)
{
	struct scene *s = *state;

	get(s, "/busy");
	assert_int_equal(s->last.status, 503);
	assert_int_equal(s->last.retry_after_sec, 17);
}

static void
test_l62_an_answer_cut_in_half_is_no_answer(void **state)
{
	struct scene *s = *state;

	get(s, "/cut");
	assert_int_equal(s->last.status, 0);
	assert_string_equal(s->body, "");
	assert_non_null(strstr(s->error, "closed the connection"));
	get(s, "/nothing");
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "closed the connection"));
}

static void
test_an_answer_beyond_1_mib_is_refused(void **state)
{
	struct scene *s = *state;

	get(s, "/large");
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "1 MiB"));
	get(s, "/declared");
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "1 MiB"));
}

static void
test_silence_ends_at_the_timeout(void **state)
{
	struct scene *s = *state;
	char url[64];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 300 };

	snprintf(url, sizeof(url), "https://localhost:%u/hang", tls_server_port(s->server));
	request(s, &what);
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "did not answer within 1 s"));
}

/* A port of ours that nobody listens on: bound, so that nobody else takes it. */
static void
test_a_refused_connection_is_explained(void **state)
{
	struct scene *s = *state;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char url[64];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 10000 };

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/", ntohs(address.sin_port));
	request(s, &what);
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "refused the connection"));
	close(fd);
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

static void
test_tls_towards_a_plain_server_is_explained(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s, &(struct tls_server_options){ .is_plain = true }, false);
	get(&s, "/health");
	assert_int_equal(s.last.status, 0);
	assert_non_null(strstr(s.error, "is it an https server?"));
	scene_close(&s);
}

static void
test_plain_http_to_this_machine_is_allowed(void **state)
{
	struct scene s = { 0 };

	(void)state;
	scene_open(&s, &(struct tls_server_options){ .is_plain = true }, false);
	/* A proxy would see the token in the clear; it must not be asked. */
	assert_int_equal(setenv("http_proxy", "http://192.0.2.1:3128", 1), 0);
	get_from(&s, "http", "127.0.0.1", "/busy");
	assert_int_equal(s.last.status, 503);
	assert_int_equal(unsetenv("http_proxy"), 0);
	scene_close(&s);
}

/* T27: TEST-NET, refused before a packet is sent. */
static void
test_t27_plain_http_to_another_machine_is_refused(void **state)
{
	struct scene *s = *state;

	get_from(s, "http", "192.0.2.1", "/");
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "https://"));
	get_from(s, "http", "[2001:db8::1]", "/");
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "https://"));
}

static void
test_urls_that_are_not_ours_are_refused_at_once(void **state)
{
	static const char *const bad[] = {
		"ftp://localhost/",
		"file:///etc/passwd",
		"https://",
		"https://user:pw@localhost/",
		"not a url at all",
		"gopher://localhost/",
		"https://user@localhost/",
		"",
	};
	struct scene *s = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct http_request what = { .method = "GET", .url = bad[i] };

		assert_int_equal(http_client_send(s->client, &what, on_answer, s), -EINVAL);
	}
	assert_int_equal(s->answers, 0);
}

/* L10: what comes from a file or a user must not add a header. */
static void
test_l10_a_line_break_in_a_header_is_refused(void **state)
{
	struct scene *s = *state;
	struct http_request token = { .method = "GET",
				      .url = "https://localhost/",
				      .bearer = "a\r\nX: y" };
	struct http_request header = { .method = "GET",
				       .url = "https://localhost/",
				       .header = "A: b\nX: y" };

	assert_int_equal(http_client_send(s->client, &token, on_answer, s), -EINVAL);
	assert_int_equal(http_client_send(s->client, &header, on_answer, s), -EINVAL);
}

static void
test_requests_beyond_the_cap_are_refused_and_the_pending_ones_dropped(void **state)
{
	struct scene *s = *state;
	char url[64];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 10000 };

	snprintf(url, sizeof(url), "https://localhost:%u/hang", tls_server_port(s->server));
	for (int i = 0; i < 64; i++)
		assert_int_equal(http_client_send(s->client, &what, on_answer, s), 0);
	assert_int_equal(http_client_send(s->client, &what, on_answer, s), -EAGAIN);
	http_client_free(&s->client);
	assert_int_equal(s->answers, 0);
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

static void
on_answer_free(const struct http_answer *answer, void *arg)
{
	struct scene *s = arg;

	http_client_free(&s->client);
	on_answer(answer, arg);
}

static void
test_a_client_may_be_freed_by_its_own_answer(void **state)
{
	struct scene *s = *state;
	char url[64];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 10000 };

	snprintf(url, sizeof(url), "https://localhost:%u/busy", tls_server_port(s->server));
	assert_int_equal(http_client_send(s->client, &what, on_answer_free, s), 0);
	run_until_answer(s);
	assert_int_equal(s->last.status, 503);
	assert_null(s->client);
}

static void
on_answer_again(const struct http_answer *answer, void *arg)
{
	struct scene *s = arg;
	char url[64];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 10000 };

	assert_int_equal(answer->status, 503);
	snprintf(url, sizeof(url), "https://localhost:%u/moved", tls_server_port(s->server));
	assert_int_equal(http_client_send(s->client, &what, on_answer, s), 0);
}

static void
test_an_answer_may_send_the_next_request(void **state)
{
	struct scene *s = *state;
	char url[64];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 10000 };

	snprintf(url, sizeof(url), "https://localhost:%u/busy", tls_server_port(s->server));
	assert_int_equal(http_client_send(s->client, &what, on_answer_again, s), 0);
	run_until_answer(s);
	assert_int_equal(s->last.status, 302);
}

#define scene_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* The agent's loop has a forwarder to serve meanwhile. */
static void
test_a_resolver_that_is_silent_does_not_hold_up_the_loop(void **state)
{
	struct scene *s = *state;
	struct http_request what = { .method = "GET",
				     .url = "https://stuck.test/",
				     .timeout_ms = 300 };

	request(s, &what);
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

	assert_int_equal(http_client_send(s->client, &what, on_answer, s), 0);
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
		scene_test(test_an_answer_of_a_trusted_server_arrives_whole),
		scene_test(test_a_body_is_sent_as_it_is),
		cmocka_unit_test(test_t43_a_certificate_of_an_unknown_authority_is_not_trusted),
		cmocka_unit_test(test_t43_a_certificate_for_another_name_is_refused),
		cmocka_unit_test(test_t43_an_expired_certificate_is_refused),
		scene_test(test_a_ca_file_that_is_missing_is_named),
		scene_test(test_l60_a_redirect_is_not_followed),
		scene_test(test_l58_retry_after_is_read),
		scene_test(test_l62_an_answer_cut_in_half_is_no_answer),
		scene_test(test_an_answer_beyond_1_mib_is_refused),
		scene_test(test_silence_ends_at_the_timeout),
		scene_test(test_a_refused_connection_is_explained),
		scene_test(test_a_name_that_does_not_exist_is_explained),
		scene_test(test_a_resolver_that_is_silent_does_not_hold_up_the_loop),
		scene_test(test_a_client_is_freed_while_the_resolver_is_silent),
		cmocka_unit_test(test_tls_towards_a_plain_server_is_explained),
		cmocka_unit_test(test_plain_http_to_this_machine_is_allowed),
		scene_test(test_t27_plain_http_to_another_machine_is_refused),
		scene_test(test_urls_that_are_not_ours_are_refused_at_once),
		scene_test(test_l10_a_line_break_in_a_header_is_refused),
		scene_test(test_requests_beyond_the_cap_are_refused_and_the_pending_ones_dropped),
		cmocka_unit_test(test_a_pinned_name_is_reached_without_a_resolver),
		scene_test(test_pins_that_are_none_are_refused),
		scene_test(test_a_client_may_be_freed_by_its_own_answer),
		scene_test(test_an_answer_may_send_the_next_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
