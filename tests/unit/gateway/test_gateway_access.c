/*
 * gateway_access: tokens and access keys (R65 to R71).
 */
#include "gateway/gateway_access.h"

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

struct fixture {
	char folder[64];
	struct gateway_access *access;
};

static const char *const files[] = { "client.key", "admin.key", "node.key", "token.secret",
				     "token-previous.secret" };

static const char *
path_of(const struct fixture *f, const char *file)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", f->folder, file);
	return path;
}

static int
setup(void **state)
{
	static struct fixture f;
	f = (struct fixture){ .folder = "/tmp/test_gateway_access.XXXXXX" };
	*state = &f;
	return mkdtemp(f.folder) != NULL ? gateway_access_open(f.folder, &f.access) : -1;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	gateway_access_close(&f->access);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(path_of(f, files[i]));
	return rmdir(f->folder);
}

static void
read_bearer(const struct fixture *f, const char *file, char header[160])
{
	FILE *in = fopen(path_of(f, file), "r");
	char line[140] = "";
	assert_non_null(in);
	assert_non_null(fgets(line, sizeof(line), in));
	fclose(in);
	line[strcspn(line, "\n")] = '\0';
	snprintf(header, 160, "Bearer %s", line);
}

static void
test_access_keys_are_made_once_for_us_alone_and_tell_their_role(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *file, *subject;
		enum gateway_who role;
	} rows[] = { { "client.key", "client", WHO_CLIENT },
		     { "admin.key", "admin", WHO_ADMIN },
		     { "node.key", "enrol", WHO_NODE } };
	struct gateway_access *again = NULL;
	assert_int_equal(gateway_access_open(f->folder, &again), 0);
	for (size_t i = 0; i < 3; i++) {
		char header[160];
		struct stat st;
		struct gateway_caller caller;
		assert_int_equal(stat(path_of(f, rows[i].file), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		read_bearer(f, rows[i].file, header);
		assert_true(strlen(header) > 40);
		assert_int_equal(gateway_access_check(f->access, header, NOW, &caller), 0);
		assert_int_equal(caller.role, rows[i].role);
		assert_string_equal(caller.subject, rows[i].subject);
		assert_int_equal(gateway_access_check(again, header, NOW, &caller), 0);
		header[strlen(header) - 1] ^= 1;
		assert_int_equal(gateway_access_check(f->access, header, NOW, &caller), -EACCES);
	}
	gateway_access_close(&again);
}

static void
test_a_minted_token_names_its_subject_and_role(void **state)
{
	struct fixture *f = *state;
	char token[TOKEN_TEXT_MAX_BYTES], header[TOKEN_TEXT_MAX_BYTES + 8];
	int64_t expires;
	struct gateway_caller caller;
	assert_int_equal(
		gateway_access_mint(f->access, WHO_NODE, "node-1", NOW, 3600000, token, &expires),
		0);
	assert_int_equal(expires, NOW + 3600000);
	snprintf(header, sizeof(header), "bearer %s", token);
	assert_int_equal(gateway_access_check(f->access, header, NOW, &caller), 0);
	assert_int_equal(caller.role, WHO_NODE);
	assert_string_equal(caller.subject, "node-1");
	/* R69 */
	assert_int_equal(gateway_access_check(f->access, header, NOW + 3700000, &caller), -ETIME);
	assert_int_equal(gateway_access_check(f->access, header, NOW - 3600000, &caller), -ETIME);
	assert_int_equal(caller.role, WHO_ANYONE);
	assert_int_equal(
		gateway_access_mint(f->access, WHO_ADMIN, "a", NOW, 3600000, token, &expires),
		-EINVAL);
}

/* R65, R67, R71 */
static void
test_what_is_no_credential_of_ours_is_refused(void **state)
{
	struct fixture *f = *state;
	const char *const headers[] = {
		"",
		"Basic eDp5",
		"Bearer",
		"Bearer ",
		"Bearer  ",
		"Bearerx",
		"Bearer eyJhbGciOiJub25lIn0.e30.",
		"Bearer eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.e30.AAAA",
		"Bearer eyJraWQiOiIuLi8uLi9ldGMvcGFzc3dkIn0.e30.AAAA",
		"Bearer a.b.c",
		"Bearer \xff\xfe",
	};
	struct gateway_caller caller;
	assert_int_equal(gateway_access_check(f->access, NULL, NOW, &caller), -ENOENT);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		assert_int_equal(gateway_access_check(f->access, headers[i], NOW, &caller),
				 -EACCES);
		assert_int_equal(caller.role, WHO_ANYONE);
	}
	char long_header[2048] = "Bearer ";
	memset(long_header + 7, 'a', sizeof(long_header) - 8);
	long_header[sizeof(long_header) - 1] = '\0';
	assert_int_equal(gateway_access_check(f->access, long_header, NOW, &caller), -EACCES);
}

static void
test_after_a_change_of_secrets_old_tokens_hold_while_the_old_one_is_there(void **state)
{
	struct fixture *f = *state;
	char token[TOKEN_TEXT_MAX_BYTES], header[TOKEN_TEXT_MAX_BYTES + 8], from[128];
	int64_t expires;
	struct gateway_caller caller;
	assert_int_equal(
		gateway_access_mint(f->access, WHO_NODE, "n", NOW, 3600000, token, &expires), 0);
	snprintf(header, sizeof(header), "Bearer %s", token);
	snprintf(from, sizeof(from), "%s", path_of(f, "token.secret"));
	assert_int_equal(rename(from, path_of(f, "token-previous.secret")), 0);
	gateway_access_close(&f->access);
	assert_int_equal(gateway_access_open(f->folder, &f->access), 0);
	assert_int_equal(gateway_access_check(f->access, header, NOW, &caller), 0);
	assert_int_equal(unlink(path_of(f, "token-previous.secret")), 0);
	gateway_access_close(&f->access);
	assert_int_equal(gateway_access_open(f->folder, &f->access), 0);
	assert_int_equal(gateway_access_check(f->access, header, NOW, &caller), -EACCES);
}

static void
test_secrets_that_others_may_read_are_not_used(void **state)
{
	struct fixture *f = *state;
	struct gateway_access *again = NULL;
	assert_int_equal(chmod(path_of(f, "admin.key"), 0644), 0);
	assert_int_equal(gateway_access_open(f->folder, &again), -EPERM);
	assert_null(again);
}

static void
test_a_key_file_without_a_fit_key_is_refused(void **state)
{
	struct fixture *f = *state;
	const char *const contents[] = { "", "\n", "short\n", "a key with blanks in it\n",
					 "0123456789abcdef\nsecond line\n" };
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		struct gateway_access *again = NULL;
		FILE *out = fopen(path_of(f, "client.key"), "w");
		assert_non_null(out);
		fputs(contents[i], out);
		fclose(out);
		assert_int_equal(gateway_access_open(f->folder, &again), -EINVAL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_access_keys_are_made_once_for_us_alone_and_tell_their_role, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_a_minted_token_names_its_subject_and_role,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_credential_of_ours_is_refused,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_after_a_change_of_secrets_old_tokens_hold_while_the_old_one_is_there,
			setup, teardown),
		cmocka_unit_test_setup_teardown(test_secrets_that_others_may_read_are_not_used,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_key_file_without_a_fit_key_is_refused, setup,
						teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
