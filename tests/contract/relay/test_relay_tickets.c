/*
 * T45: TLS sessions that come back: how long the secrets of their tickets are good for, and who
 * knows them. A client of OpenSSL's own against a whole relay.
 */
#include "raw_leg.h"
#include "relay_fixture.h"

#include "loop/clock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 15 * 1000, PERIOD_SEC = 12 * 3600 };

static struct relay_fixture relay, second;
static SSL_SESSION *given; /* the last one that a relay gave */

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(given);
	given = SSL_SESSION_dup(session); /* the original dies with a connection that is cut */
	return 0;
}

static int
connect_to(const struct relay_fixture *to)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(to->port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Comes with this session (NULL: with none), asks for nothing and stays until it is sent away.
 * Whether the session was resumed; *ret: what to come back with, may be NULL. */
static bool
visit(const struct relay_fixture *to, SSL_SESSION *session, SSL_SESSION **ret)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: relay\r\n\r\n";
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	char answer[1024];

	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(context, on_session);
	SSL *ssl = SSL_new(context);
	SSL_set_fd(ssl, connect_to(to));
	if (session != NULL) {
		SSL_SESSION *copy = SSL_SESSION_dup(session);

		assert_int_equal(SSL_set_session(ssl, copy), 1);
		SSL_SESSION_free(copy);
	}
	assert_int_equal(SSL_connect(ssl), 1);
	assert_true(SSL_write(ssl, request, sizeof(request) - 1) > 0);
	while (SSL_read(ssl, answer, sizeof(answer)) > 0)
		;
	bool is_resumed = SSL_session_reused(ssl) == 1;
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
	SSL_CTX_free(context);
	assert_non_null(given);
	if (ret != NULL)
		*ret = given;
	else
		SSL_SESSION_free(given);
	given = NULL;
	return is_resumed;
}

/* Its own file, as if it had been written so long ago: until there is another one. */
static void
age(const struct relay_fixture *of, int64_t sec)
{
	char path[256];
	struct stat before, now;
	const struct timespec old = { .tv_sec = clock_wall_ms() / 1000 - sec };
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

	snprintf(path, sizeof(path), "%s/tls-tickets.key", of->state_dir);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 07777, 0600);
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){ old, old }, 0), 0);
	do {
		assert_int_equal(stat(path, &now), 0);
		assert_true(clock_monotonic_ms() < end_ms);
	} while (now.st_ino == before.st_ino);
	assert_int_equal(now.st_mode & 07777, 0600);
}

static void
test_t45_a_session_outlives_one_change_of_the_secret_and_not_two(void **state)
{
	SSL_SESSION *first = NULL, *later = NULL;

	(void)state;
	relay_fixture_start(&relay, true, "");
	assert_false(visit(&relay, NULL, &first));
	assert_true(visit(&relay, first, NULL));
	age(&relay, PERIOD_SEC);
	assert_true(visit(&relay, first, &later)); /* and is given one of the new secret */
	age(&relay, PERIOD_SEC);
	assert_false(visit(&relay, first, NULL));
	assert_true(visit(&relay, later, NULL));
	SSL_SESSION_free(first);
	SSL_SESSION_free(later);
	relay_fixture_stop(&relay);
}

/* F20: it was written when the clock ran ten years ahead: it is not kept for so long. */
static void
test_f20_a_secret_of_a_later_day_is_changed(void **state)
{
	SSL_SESSION *session = NULL;

	(void)state;
	relay_fixture_start(&relay, true, "");
	assert_false(visit(&relay, NULL, &session));
	age(&relay, INT64_C(-10) * 365 * 24 * 3600);
	assert_true(visit(&relay, session, NULL));
	SSL_SESSION_free(session);
	relay_fixture_stop(&relay);
}

static void
write_secrets(const char *path, const char *text)
{
	char beside[128];
	int fd;

	snprintf(beside, sizeof(beside), "%s.new", path);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(rename(beside, path), 0);
}

static void
await_unknown(const struct relay_fixture *at, SSL_SESSION *session)
{
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

	while (visit(at, session, NULL))
		assert_true(clock_monotonic_ms() < end_ms);
}

#define OLD_SECRET "0101010101010101010101010101010101010101010101010101010101010101\n"
#define NEW_SECRET "2323232323232323232323232323232323232323232323232323232323232323\n"

/* A file that two relays share: a session of one is resumed at the other, which was never met. The
 * file is followed: who took the old secret out of it has made its tickets void. */
static void
test_t45_relays_with_one_file_resume_each_others_sessions(void **state)
{
	char folder[] = "/tmp/relay-tickets-XXXXXX", path[64], settings[128];
	SSL_SESSION *session = NULL, *of_new = NULL;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/secrets", folder);
	snprintf(settings, sizeof(settings), "tls_tickets = %s", path);
	write_secrets(path, OLD_SECRET);
	relay_fixture_start(&relay, true, settings);
	relay_fixture_start_beside(&second, &relay, true, settings);
	assert_false(visit(&relay, NULL, &session));
	assert_true(visit(&second, session, NULL));
	write_secrets(path, NEW_SECRET OLD_SECRET);
	assert_true(visit(&relay, session, NULL)); /* before and after it looked */
	write_secrets(path, NEW_SECRET);
	await_unknown(&relay, session);
	await_unknown(&second, session);
	assert_false(visit(&relay, NULL, &of_new));
	assert_true(visit(&second, of_new, NULL));
	SSL_SESSION_free(session);
	SSL_SESSION_free(of_new);
	relay_fixture_stop(&second);
	relay_fixture_stop(&relay);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

/* Its own file is not shared, and a relay does not know another one's. */
static void
test_t45_a_session_of_one_relay_is_unknown_to_another_one(void **state)
{
	SSL_SESSION *session = NULL;

	(void)state;
	relay_fixture_start(&relay, true, "");
	relay_fixture_start_beside(&second, &relay, true, "");
	assert_false(visit(&relay, NULL, &session));
	assert_false(visit(&second, session, NULL));
	SSL_SESSION_free(session);
	relay_fixture_stop(&second);
	relay_fixture_stop(&relay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_t45_a_session_outlives_one_change_of_the_secret_and_not_two),
		cmocka_unit_test(test_f20_a_secret_of_a_later_day_is_changed),
		cmocka_unit_test(test_t45_relays_with_one_file_resume_each_others_sessions),
		cmocka_unit_test(test_t45_a_session_of_one_relay_is_unknown_to_another_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
