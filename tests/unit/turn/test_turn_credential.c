/* turn_credential: the form coturn checks. The vector was computed by another HMAC-SHA1. */
#include "turn/turn_credential.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SECRET	"0123456789abcdef"
#define SUBJECT "6f1c2a34-9b7d-4e21-8c5f-0a1b2c3d4e5f"

static void
test_a_credential_is_expiry_role_subject_and_its_mac(void **state)
{
	struct turn_credential credential;

	(void)state;
	assert_int_equal(
		turn_credential_make(SECRET, "client", SUBJECT, 1700000000900, 600000, &credential),
		0);
	assert_string_equal(credential.username, "1700000600:client:" SUBJECT);
	assert_string_equal(credential.password, "C/O8LAYMowQJ7yYwQjfvTc8CVdM=");
	assert_int_equal(credential.expires_at_ms, 1700000600000);
}

static void
test_another_secret_gives_another_password(void **state)
{
	struct turn_credential one, two;

	(void)state;
	assert_int_equal(turn_credential_make(SECRET, "node", "n", 0, 1000, &one), 0);
	assert_int_equal(turn_credential_make(SECRET "x", "node", "n", 0, 1000, &two), 0);
	assert_string_equal(one.username, two.username);
	assert_string_not_equal(one.password, two.password);
}

/* T25: nobody writes another's role or expiry into a name, and none lives long. */
static void
test_a_subject_that_could_be_read_as_more_is_refused_T25(void **state)
{
	static const char *const bad[] = { "", "a:b", "a b", "a\n", "\xc3\xa9" };
	struct turn_credential credential;
	char long_subject[TURN_SUBJECT_MAX_BYTES + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(turn_credential_make(SECRET, "node", bad[i], 0, 1000, &credential),
				 -EINVAL);
	memset(long_subject, 'a', sizeof(long_subject));
	long_subject[sizeof(long_subject) - 1] = '\0';
	assert_int_equal(turn_credential_make(SECRET, "node", long_subject, 0, 1000, &credential),
			 -EINVAL);
	assert_int_equal(
		turn_credential_make(SECRET, "node", long_subject + 1, 0, 1000, &credential), 0);
	assert_int_equal(
		turn_credential_make(SECRET, "node", "n", 0, TURN_TTL_MAX_MS + 1, &credential),
		-EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_credential_is_expiry_role_subject_and_its_mac),
		cmocka_unit_test(test_another_secret_gives_another_password),
		cmocka_unit_test(test_a_subject_that_could_be_read_as_more_is_refused_T25),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
