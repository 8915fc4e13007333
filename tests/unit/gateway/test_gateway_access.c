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
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1767225600000

struct fixture {
	char folder[64];
	struct gateway_access *access;
};

static const char *const files[] = { "client.key", "admin.key", "node.key", "token.secret", "two" };

static const char *
path_of(const struct fixture *f, const char *file)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", f->folder, file);
	return path;
}

static int
open_in(const char *folder, struct gateway_access **ret)
{
	return gateway_access_open(&(struct gateway_access_options){ .state_dir = folder }, ret);
}

static int
setup(void **state)
{
	static struct fixture f;
	f = (struct fixture){ .folder = "/tmp/test_gateway_access.XXXXXX" };
	*state = &f;
	return mkdtemp(f.folder) != NULL ? open_in(f.folder, &f.access) : -1;
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
	assert_int_equal(open_in(f->folder, &again), 0);
	for (size_t i = 0; i < 3; i++) {
		char header[160];
		struct stat st;
		struct gateway_caller caller;
		assert_int_equal(stat(path_of(f, rows[i].file), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		read_bearer(f, rows[i].file, header);
		assert_true(strlen(header) > 40);
		assert_int_equal(gateway_access_check(f->access, header, NOW, 0, &caller), 0);
		assert_int_equal(caller.role, rows[i].role);
		assert_string_equal(caller.subject, rows[i].subject);
		assert_int_equal(gateway_access_check(again, header, NOW, 0, &caller), 0);
		header[strlen(header) - 1] ^= 1;
		assert_int_equal(gateway_access_check(f->access, header, NOW, 0, &caller), -EACCES);
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
	assert_int_equal(gateway_access_check(f->access, header, NOW, 0, &caller), 0);
	assert_int_equal(caller.role, WHO_NODE);
	assert_string_equal(caller.subject, "node-1");
	/* R69 */
	assert_int_equal(gateway_access_check(f->access, header, NOW + 3700000, 3700000, &caller),
			 -ETIME);
	assert_int_equal(caller.role, WHO_ANYONE);
	assert_int_equal(gateway_access_mint(f->access, WHO_NODE, "node-1", NOW + 3760000, 3600000,
					     token, &expires),
			 0);
	snprintf(header, sizeof(header), "Bearer %s", token);
	assert_int_equal(gateway_access_check(f->access, header, NOW + 3700000, 3700000, &caller),
			 -ETIME);
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
	assert_int_equal(gateway_access_check(f->access, NULL, NOW, 0, &caller), -ENOENT);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		assert_int_equal(gateway_access_check(f->access, headers[i], NOW, 0, &caller),
				 -EACCES);
		assert_int_equal(caller.role, WHO_ANYONE);
	}
	char long_header[2048] = "Bearer ";
	memset(long_header + 7, 'a', sizeof(long_header) - 8);
	long_header[sizeof(long_header) - 1] = '\0';
	assert_int_equal(gateway_access_check(f->access, long_header, NOW, 0, &caller), -EACCES);
}

/* T06, P01: whatever it was minted for before */
static void
test_tokens_of_a_node_from_before_its_revocation_are_refused(void **state)
{
	struct fixture *f = *state;
	static const char id_text[] = "0f1e2d3c-4b5a-4697-8877-665544332211";
	uint8_t id[UUID_BYTES];
	char old[TOKEN_TEXT_MAX_BYTES], header[TOKEN_TEXT_MAX_BYTES + 8];
	int64_t expires;
	struct gateway_caller caller;
	assert_int_equal(uuid_parse(id_text, id), 0);
	assert_int_equal(
		gateway_access_mint(f->access, WHO_NODE, id_text, NOW, 3600000, old, &expires), 0);
	snprintf(header, sizeof(header), "Bearer %s", old);
	assert_int_equal(gateway_access_check(f->access, header, NOW, 0, &caller), 0);
	gateway_access_revoke(f->access, id, NOW + 2000);
	assert_int_equal(gateway_access_check(f->access, header, NOW + 2000, 2000, &caller),
			 -EACCES);
	assert_int_equal(gateway_access_mint(f->access, WHO_NODE, id_text, NOW + 2000, 3600000, old,
					     &expires),
			 0);
	snprintf(header, sizeof(header), "Bearer %s", old);
	assert_int_equal(gateway_access_check(f->access, header, NOW + 2000, 2000, &caller), 0);
}

/* F20, T48: one hour on, one hour back, ten years on */
static void
test_a_clock_that_is_set_throws_nobody_out_and_brings_nobody_back(void **state)
{
	struct fixture *f = *state;
	const int64_t hour = 3600000, steps[] = { hour, -hour, INT64_C(87600) * hour };
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char token[TOKEN_TEXT_MAX_BYTES], header[TOKEN_TEXT_MAX_BYTES + 8];
		int64_t expires, wall = NOW, steady = (int64_t)i * 100 * hour;
		struct gateway_caller caller;
		/* The loop's own turn back to NOW is a step too, of a day ago by then. */
		(void)gateway_access_check(f->access, "Bearer x", wall, steady, &caller);
		steady += 25 * hour;
		wall += 25 * hour;
		assert_int_equal(
			gateway_access_mint(f->access, WHO_NODE, "n", wall, hour, token, &expires),
			0);
		snprintf(header, sizeof(header), "Bearer %s", token);
		assert_int_equal(gateway_access_check(f->access, header, wall, steady, &caller), 0);
		wall += steps[i];
		assert_int_equal(gateway_access_check(f->access, header, wall, steady, &caller), 0);
		assert_int_equal(gateway_access_check(f->access, header, wall + hour / 2,
						      steady + hour / 2, &caller),
				 0);
		/* One that is put back by an hour may lengthen what was just minted by that. */
		assert_int_equal(gateway_access_check(f->access, header, wall + 3 * hour,
						      steady + 3 * hour, &caller),
				 -ETIME);
		/* What is minted by the new clock holds by the new clock. */
		assert_int_equal(gateway_access_mint(f->access, WHO_NODE, "n", wall + 3 * hour,
						     hour, token, &expires),
				 0);
		snprintf(header, sizeof(header), "Bearer %s", token);
		assert_int_equal(gateway_access_check(f->access, header, wall + 3 * hour,
						      steady + 3 * hour, &caller),
				 0);
	}
}

static void
test_secrets_that_others_may_read_are_not_used(void **state)
{
	struct fixture *f = *state;
	struct gateway_access *again = NULL;
	assert_int_equal(chmod(path_of(f, "admin.key"), 0644), 0);
	assert_int_equal(open_in(f->folder, &again), EX_NOPERM);
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
		assert_int_equal(open_in(f->folder, &again), -EINVAL);
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
			test_tokens_of_a_node_from_before_its_revocation_are_refused, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_a_clock_that_is_set_throws_nobody_out_and_brings_nobody_back, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_secrets_that_others_may_read_are_not_used,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_key_file_without_a_fit_key_is_refused, setup,
						teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
