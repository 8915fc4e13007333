/*
 * The HTTP client against a real HTTPS server: answers and requests, caps, deadlines, truncated
 * answers (L62), and the sentences that people read when something fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_scene.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
test_an_answer_of_a_trusted_server_arrives_whole(void **state)
{
	struct scene *s = *state;
	char url[64];
	struct http_request what = {
		.method = "GET", .url = url, .bearer = "secret", .timeout_ms = 10000
	};

	snprintf(url, sizeof(url), "https://localhost:%u/health", tls_server_port(s->server));
	scene_request(s, &what);
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
	scene_request(s, &what);
	assert_int_equal(s->last.status, 201);
	assert_string_equal(s->body, "{\"a\":1}");
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
	scene_request(s, &what);
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
	scene_request(s, &what);
	assert_int_equal(s->last.status, 0);
	assert_non_null(strstr(s->error, "refused the connection"));
	close(fd);
}

static void
test_requests_beyond_the_cap_are_refused_and_the_pending_ones_dropped(void **state)
{
	struct scene *s = *state;
	char url[64];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 10000 };

	snprintf(url, sizeof(url), "https://localhost:%u/hang", tls_server_port(s->server));
	for (int i = 0; i < 64; i++)
		assert_int_equal(http_client_send(s->client, &what, scene_on_answer, s), 0);
	assert_int_equal(http_client_send(s->client, &what, scene_on_answer, s), -EAGAIN);
	http_client_free(&s->client);
	assert_int_equal(s->answers, 0);
}

static void
on_answer_free(const struct http_answer *answer, void *arg)
{
	struct scene *s = arg;

	http_client_free(&s->client);
	scene_on_answer(answer, arg);
}

static void
test_a_client_may_be_freed_by_its_own_answer(void **state)
{
	struct scene *s = *state;
	char url[64];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 10000 };

	snprintf(url, sizeof(url), "https://localhost:%u/busy", tls_server_port(s->server));
	assert_int_equal(http_client_send(s->client, &what, on_answer_free, s), 0);
	scene_run(s);
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
	assert_int_equal(http_client_send(s->client, &what, scene_on_answer, s), 0);
}

static void
test_an_answer_may_send_the_next_request(void **state)
{
	struct scene *s = *state;
	char url[64];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 10000 };

	snprintf(url, sizeof(url), "https://localhost:%u/busy", tls_server_port(s->server));
	assert_int_equal(http_client_send(s->client, &what, on_answer_again, s), 0);
	scene_run(s);
	assert_int_equal(s->last.status, 302);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE_TEST(test_an_answer_of_a_trusted_server_arrives_whole),
		SCENE_TEST(test_a_body_is_sent_as_it_is),
		SCENE_TEST(test_l58_retry_after_is_read),
		SCENE_TEST(test_l62_an_answer_cut_in_half_is_no_answer),
		SCENE_TEST(test_an_answer_beyond_1_mib_is_refused),
		SCENE_TEST(test_silence_ends_at_the_timeout),
		SCENE_TEST(test_a_refused_connection_is_explained),
		SCENE_TEST(test_requests_beyond_the_cap_are_refused_and_the_pending_ones_dropped),
		SCENE_TEST(test_a_client_may_be_freed_by_its_own_answer),
		SCENE_TEST(test_an_answer_may_send_the_next_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
