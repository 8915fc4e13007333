/*
 * gateway_access_ring: a secret is replaced without a refusal (F35, T06, C17).
 */
#include "gateway/gateway_access_ring.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1767225600000

static char folder[64], path[128];

static int
setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test_gateway_access_ring.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/token.secret", folder);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

/* n secrets of one digit each, beside and then into place, as whoever rotates them should. */
static void
write_secrets(const char *digits)
{
	char beside[140];
	snprintf(beside, sizeof(beside), "%s.new", path);
	FILE *out = fopen(beside, "w");
	assert_non_null(out);
	assert_int_equal(fchmod(fileno(out), 0600), 0);
	for (; *digits != '\0'; digits++) {
		for (int i = 0; i < 2 * TOKEN_SECRET_BYTES; i++)
			fputc(*digits, out);
		fputc('\n', out);
	}
	assert_int_equal(fclose(out), 0);
	assert_int_equal(rename(beside, path), 0);
}

static void
mint(struct access_ring *ring, int64_t steady_ms, char ret_text[TOKEN_TEXT_MAX_BYTES])
{
	const struct token token = { .role = TOKEN_ROLE_NODE,
				     .subject = "n",
				     .issued_at_ms = NOW,
				     .expires_at_ms = NOW + 3600000 };
	assert_int_equal(access_ring_mint(ring, &token, steady_ms, ret_text), 0);
}

static int
verify(struct access_ring *ring, const char *text, int64_t steady_ms)
{
	struct token token;
	return access_ring_verify(ring, text, strlen(text), NOW, steady_ms, &token);
}

static void
test_a_missing_secret_is_made_for_us_alone(void **state)
{
	(void)state;
	struct access_ring *ring = NULL, *again = NULL;
	char text[TOKEN_TEXT_MAX_BYTES];
	struct stat st;
	assert_int_equal(access_ring_open(path, &ring), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(access_ring_open(path, &again), 0);
	mint(ring, 0, text);
	assert_int_equal(verify(again, text, 0), 0);
	access_ring_free(&ring);
	access_ring_free(&again);
}

/* Two gateways take each step of a rotation at different moments. */
static void
test_no_token_is_refused_while_two_gateways_change_secrets_one_after_the_other(void **state)
{
	(void)state;
	static const char *const steps[] = { "a", "ab", "ba", "b" };
	struct access_ring *early = NULL, *late = NULL;
	char text[TOKEN_TEXT_MAX_BYTES];
	int64_t steady_ms = 0;
	write_secrets(steps[0]);
	assert_int_equal(access_ring_open(path, &early), 0);
	assert_int_equal(access_ring_open(path, &late), 0);
	for (size_t i = 1; i < 4; i++) {
		write_secrets(steps[i]);
		steady_ms += 1000;
		mint(early, steady_ms, text); /* has looked; the other has not */
		assert_int_equal(verify(late, text, steady_ms - 990), 0);
		mint(late, steady_ms - 990, text);
		assert_int_equal(verify(early, text, steady_ms), 0);
		assert_int_equal(verify(late, text, steady_ms), 0);
		steady_ms += 1000;
	}
	access_ring_free(&early);
	access_ring_free(&late);
}

static void
test_after_the_overlap_tokens_of_the_old_secret_are_refused(void **state)
{
	(void)state;
	struct access_ring *ring = NULL;
	char text[TOKEN_TEXT_MAX_BYTES];
	write_secrets("a");
	assert_int_equal(access_ring_open(path, &ring), 0);
	mint(ring, 0, text);
	write_secrets("ba");
	assert_int_equal(verify(ring, text, 2000), 0);
	write_secrets("b");
	assert_int_equal(verify(ring, text, 4000), -EACCES);
	access_ring_free(&ring);
}

/* It may have been signed by a gateway that was faster. */
static void
test_a_token_that_does_not_verify_makes_the_ring_look_at_its_file_again(void **state)
{
	(void)state;
	struct access_ring *ring = NULL, *other = NULL;
	char text[TOKEN_TEXT_MAX_BYTES];
	write_secrets("a");
	assert_int_equal(access_ring_open(path, &ring), 0);
	assert_int_equal(verify(ring, "x.y.z", 5000), -EACCES);
	write_secrets("ba");
	assert_int_equal(access_ring_open(path, &other), 0);
	mint(other, 0, text);
	assert_int_equal(verify(ring, text, 5050), -EACCES); /* not more often than that */
	assert_int_equal(verify(ring, text, 5200), 0);
	access_ring_free(&ring);
	access_ring_free(&other);
}

static void
test_a_file_that_became_unusable_changes_nothing(void **state)
{
	(void)state;
	static const char *const broken[] = { "", "\n", "abc\n", "abba" };
	struct access_ring *ring = NULL;
	char text[TOKEN_TEXT_MAX_BYTES];
	int64_t steady_ms = 0;
	write_secrets("a");
	assert_int_equal(access_ring_open(path, &ring), 0);
	mint(ring, 0, text);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		FILE *out = fopen(path, "w");
		assert_non_null(out);
		fputs(broken[i], out);
		fclose(out);
		assert_int_equal(verify(ring, text, steady_ms += 2000), 0);
	}
	write_secrets("abc"); /* one too many */
	assert_int_equal(verify(ring, text, steady_ms += 2000), 0);
	write_secrets("b");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(verify(ring, text, steady_ms += 2000), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(verify(ring, text, steady_ms += 2000), 0);
	access_ring_free(&ring);
}

/* C17, L18 */
static void
test_an_unusable_file_is_no_start(void **state)
{
	(void)state;
	struct access_ring *ring = NULL;
	write_secrets("a");
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(access_ring_open(path, &ring), -EPERM);
	assert_null(ring);
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	fclose(out);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(access_ring_open(path, &ring), -EINVAL);
	assert_null(ring);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_missing_secret_is_made_for_us_alone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_no_token_is_refused_while_two_gateways_change_secrets_one_after_the_other,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_after_the_overlap_tokens_of_the_old_secret_are_refused, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_a_token_that_does_not_verify_makes_the_ring_look_at_its_file_again,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_that_became_unusable_changes_nothing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_unusable_file_is_no_start, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
