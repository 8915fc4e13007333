/*
 * Whom the HTTP client speaks to: certificates (T43), no redirects (L60), nothing in the clear to
 * another machine (T27), no URL and no header that is not ours to send; and the sentences that
 * people read then.
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

		assert_int_equal(http_client_send(s->client, &what, scene_on_answer, s), -EINVAL);
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

	assert_int_equal(http_client_send(s->client, &token, scene_on_answer, s), -EINVAL);
	assert_int_equal(http_client_send(s->client, &header, scene_on_answer, s), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_t43_a_certificate_of_an_unknown_authority_is_not_trusted),
		cmocka_unit_test(test_t43_a_certificate_for_another_name_is_refused),
		cmocka_unit_test(test_t43_an_expired_certificate_is_refused),
		SCENE_TEST(test_a_ca_file_that_is_missing_is_named),
		SCENE_TEST(test_l60_a_redirect_is_not_followed),
		cmocka_unit_test(test_tls_towards_a_plain_server_is_explained),
		cmocka_unit_test(test_plain_http_to_this_machine_is_allowed),
		SCENE_TEST(test_t27_plain_http_to_another_machine_is_refused),
		SCENE_TEST(test_urls_that_are_not_ours_are_refused_at_once),
		SCENE_TEST(test_l10_a_line_break_in_a_header_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
