/*
 * The forwarder's own table of sessions.
 */
#include "forwarder/forwarder_sessions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define ID_A  "11111111-1111-4111-8111-111111111111"
#define ID_B  "22222222-2222-4222-8222-222222222222"
#define KEY_A "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
#define KEY_B "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="

#define BOOT_MS INT64_C(5000000)

static struct forwarder_sessions *sessions;

static int
setup(void **state)
{
	(void)state;
	return forwarder_sessions_new(&sessions);
}

static int
teardown(void **state)
{
	(void)state;
	forwarder_sessions_free(&sessions);
	return 0;
}

static void
add(const char *id, const char *key, const char *address4, const char *address6, int64_t left_ms)
{
	struct session session;
	assert_int_equal(session_parse(id, key, address4, address6, &session), 0);
	session_fix_end(&session, left_ms, BOOT_MS);
	assert_int_equal(forwarder_sessions_add(sessions, &session), 0);
}

static void
test_session_is_found_by_its_id(void **state)
{
	(void)state;
	add(ID_A, KEY_A, "10.90.0.2", "fd48::2", 1000);
	assert_non_null(forwarder_sessions_find(sessions, ID_A));
	assert_null(forwarder_sessions_find(sessions, ID_B));
	assert_null(forwarder_sessions_find(sessions, "nonsense"));
	assert_null(forwarder_sessions_find(sessions, ID_A ID_A));
	forwarder_sessions_remove(sessions, ID_A);
	assert_null(forwarder_sessions_find(sessions, ID_A));
	forwarder_sessions_remove(sessions, ID_A);
}

static void
test_texts_that_are_no_session_are_refused(void **state)
{
	(void)state;
	struct session session;
	assert_int_equal(session_parse(NULL, KEY_A, "10.90.0.2", NULL, &session), -EINVAL);
	assert_int_equal(session_parse("x", KEY_A, "10.90.0.2", NULL, &session), -EINVAL);
	assert_int_equal(session_parse(ID_A, NULL, "10.90.0.2", NULL, &session), -EINVAL);
	assert_int_equal(session_parse(ID_A, "short", "10.90.0.2", NULL, &session), -EINVAL);
	assert_int_equal(session_parse(ID_A, KEY_A, NULL, NULL, &session), -EINVAL);
	assert_int_equal(session_parse(ID_A, KEY_A, "", "", &session), -EINVAL);
	assert_int_equal(session_parse(ID_A, KEY_A, "10.90.0.2/32", NULL, &session), -EINVAL);
	assert_int_equal(session_parse(ID_A, KEY_A, "10.90.0.2", "10.90.0.3", &session), -EINVAL);
	assert_int_equal(session_parse(ID_A, KEY_A, NULL, "fd48::2", &session), 0);
}

/* F20, T48: by a clock that nobody sets. */
static void
test_session_expires_at_its_time_and_not_before(void **state)
{
	(void)state;
	add(ID_A, KEY_A, "10.90.0.2", NULL, 1000);
	add(ID_B, KEY_B, "10.90.0.3", NULL, 2000);
	assert_null(forwarder_sessions_expired(sessions, BOOT_MS + 999));
	assert_string_equal(forwarder_sessions_expired(sessions, BOOT_MS + 1000)->id, ID_A);
}

static void
test_absurd_times_are_kept_within_a_year(void **state)
{
	(void)state;
	add(ID_A, KEY_A, "10.90.0.2", NULL, INT64_MAX);
	add(ID_B, KEY_B, "10.90.0.3", NULL, INT64_MIN);
	assert_int_equal(forwarder_sessions_find(sessions, ID_A)->ends_ms,
			 BOOT_MS + SESSION_LIFE_MAX_MS);
	assert_string_equal(forwarder_sessions_expired(sessions, BOOT_MS)->id, ID_B);
}

static void
test_key_is_shared_only_while_another_session_has_it(void **state)
{
	(void)state;
	add(ID_A, KEY_A, "10.90.0.2", NULL, 1000);
	add(ID_B, KEY_A, "10.90.0.3", NULL, 1000);
	assert_true(
		forwarder_sessions_share_key(sessions, forwarder_sessions_find(sessions, ID_A)));
	forwarder_sessions_remove(sessions, ID_A);
	assert_false(
		forwarder_sessions_share_key(sessions, forwarder_sessions_find(sessions, ID_B)));
}

static void
test_addresses_of_sessions_are_known(void **state)
{
	(void)state;
	struct in6_addr address;
	add(ID_A, KEY_A, "10.90.0.2", "fd48::2", 1000);
	inet_pton(AF_INET6, "::ffff:10.90.0.2", &address);
	assert_true(forwarder_sessions_has_address(sessions, &address));
	inet_pton(AF_INET6, "fd48::2", &address);
	assert_true(forwarder_sessions_has_address(sessions, &address));
	inet_pton(AF_INET6, "::ffff:10.90.0.3", &address);
	assert_false(forwarder_sessions_has_address(sessions, &address));
}

/* A session without IPv6 must not make `::` a client. */
static void
test_absent_address_is_nobodys(void **state)
{
	(void)state;
	struct in6_addr unspecified = { 0 };
	add(ID_A, KEY_A, "10.90.0.2", NULL, 1000);
	assert_false(forwarder_sessions_has_address(sessions, &unspecified));
}

static void
test_table_is_bounded(void **state)
{
	(void)state;
	struct session session;
	char id[UUID_TEXT_BYTES];
	assert_int_equal(session_parse(ID_A, KEY_A, "10.90.0.2", NULL, &session), 0);
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		snprintf(id, sizeof id, "11111111-1111-4111-8111-%012x", i);
		add(id, KEY_A, "10.90.0.2", NULL, 0);
	}
	assert_int_equal(forwarder_sessions_add(sessions, &session), -ENOSPC);
	assert_int_equal(forwarder_sessions_count(sessions), SESSIONS_MAX);
}

#define SESSION_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SESSION_TEST(test_session_is_found_by_its_id),
		SESSION_TEST(test_texts_that_are_no_session_are_refused),
		SESSION_TEST(test_session_expires_at_its_time_and_not_before),
		SESSION_TEST(test_absurd_times_are_kept_within_a_year),
		SESSION_TEST(test_key_is_shared_only_while_another_session_has_it),
		SESSION_TEST(test_addresses_of_sessions_are_known),
		SESSION_TEST(test_absent_address_is_nobodys),
		SESSION_TEST(test_table_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
