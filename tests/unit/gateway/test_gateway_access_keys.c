/*
 * gateway_access with its store: access keys, their uses, their end (T05, T07). On SQLite, and run
 * by with_servers on PostgreSQL.
 */
#include "access_rig.h"
#include "loop/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
test_a_key_tells_its_role_and_name_once_the_store_has_confirmed_it(void **state)
{
	struct access_rig *f = *state;
	static const struct {
		enum access_key_kind kind;
		enum gateway_who role;
		const char *subject;
	} rows[] = { { ACCESS_KEY_NODE, WHO_NODE, "enrol" },
		     { ACCESS_KEY_CLIENT, WHO_CLIENT, "key:tester" },
		     { ACCESS_KEY_ADMIN, WHO_ADMIN, "key:tester" },
		     { ACCESS_KEY_SCRAPER, WHO_SCRAPER, "key:tester" } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char header[ACCESS_HEADER_BYTES], id[ACCESS_KEY_ID_BYTES];
		struct gateway_caller caller;
		access_rig_make_key(f, rows[i].kind, 0, 0, header, id);
		assert_int_equal(access_rig_show(f, header, true, &caller), 0);
		assert_false(caller.is_unconfirmed);
		assert_false(caller.has_use);
		assert_int_equal(caller.role, rows[i].role);
		assert_string_equal(caller.subject, rows[i].subject);
		assert_int_equal(caller.is_enrolment, rows[i].kind == ACCESS_KEY_NODE);
	}
}

static void
test_a_key_that_nobody_made_is_refused(void **state)
{
	struct access_rig *f = *state;
	char header[ACCESS_HEADER_BYTES] = "Bearer ", id[ACCESS_KEY_ID_BYTES];
	struct gateway_caller caller;
	assert_int_equal(access_key_make(ACCESS_KEY_ADMIN, header + 7), 0);
	assert_int_equal(access_rig_show(f, header, true, &caller), -EACCES);
	/* Nor does a client's key become an administrator's by its text. */
	access_rig_make_key(f, ACCESS_KEY_CLIENT, 0, 0, header, id);
	char other[ACCESS_HEADER_BYTES];
	snprintf(other, sizeof(other), "Bearer boson_admin_%s",
		 header + strlen("Bearer boson_client_"));
	assert_int_equal(access_rig_show(f, other, true, &caller), -EACCES);
}

static void
test_a_revoked_key_is_refused_at_once(void **state)
{
	struct access_rig *f = *state;
	char header[ACCESS_HEADER_BYTES], id[ACCESS_KEY_ID_BYTES];
	struct gateway_caller caller;
	access_rig_make_key(f, ACCESS_KEY_CLIENT, 0, 0, header, id);
	assert_int_equal(access_rig_show(f, header, true, &caller), 0);
	assert_int_equal(access_rig_revoke_key(f, id), 0);
	assert_int_equal(access_rig_show(f, header, true, &caller), -EACCES);
	assert_int_equal(access_rig_revoke_key(f, id), 0);
	assert_int_equal(access_rig_revoke_key(f, "0123456789abcdef"), -ENOENT);
}

static void
test_an_expired_key_is_refused(void **state)
{
	struct access_rig *f = *state;
	char header[ACCESS_HEADER_BYTES], id[ACCESS_KEY_ID_BYTES];
	struct gateway_caller caller;
	access_rig_make_key(f, ACCESS_KEY_CLIENT, 0, -1, header, id);
	assert_int_equal(access_rig_show(f, header, true, &caller), -EACCES);
	access_rig_make_key(f, ACCESS_KEY_CLIENT, 0, 3600000, header, id);
	assert_int_equal(access_rig_show(f, header, true, &caller), 0);
}

/* Ten at once for three uses: three get one. */
static void
test_a_key_serves_as_often_as_it_was_made_for(void **state)
{
	struct access_rig *f = *state;
	enum { AT_ONCE = 10, USES = 3 };
	struct showing showings[AT_ONCE] = { 0 };
	char header[ACCESS_HEADER_BYTES], id[ACCESS_KEY_ID_BYTES];
	unsigned left = AT_ONCE, served = 0;
	access_rig_make_key(f, ACCESS_KEY_CLIENT, USES, 0, header, id);
	for (size_t i = 0; i < AT_ONCE; i++)
		access_rig_show_soon(f, header, true, &left, &showings[i]);
	access_rig_run(f);
	assert_int_equal(left, 0);
	for (size_t i = 0; i < AT_ONCE; i++) {
		assert_true(showings[i].result == 0 || showings[i].result == -EACCES);
		assert_int_equal(showings[i].caller.has_use, showings[i].result == 0);
		served += showings[i].result == 0;
	}
	assert_int_equal(served, USES);
}

static void
test_a_use_that_came_to_nothing_is_given_back(void **state)
{
	struct access_rig *f = *state;
	static const struct {
		enum access_key_kind kind;
		int status;
		bool is_spent;
	} rows[] = {
		{ ACCESS_KEY_NODE, 201, true },	   { ACCESS_KEY_NODE, 200, false },
		{ ACCESS_KEY_NODE, 401, false },   { ACCESS_KEY_CLIENT, 200, true },
		{ ACCESS_KEY_CLIENT, 503, false }, { ACCESS_KEY_ADMIN, 404, true },
		{ ACCESS_KEY_SCRAPER, 200, true },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char header[ACCESS_HEADER_BYTES], id[ACCESS_KEY_ID_BYTES];
		struct gateway_caller caller;
		access_rig_make_key(f, rows[i].kind, 1, 0, header, id);
		assert_int_equal(access_rig_show(f, header, true, &caller), 0);
		assert_true(caller.has_use);
		gateway_access_settle(f->access, &caller, rows[i].status);
		gateway_access_settle(f->access, &caller, 401); /* once is enough */
		assert_int_equal(access_rig_show(f, header, true, &caller),
				 rows[i].is_spent ? -EACCES : 0);
	}
}

static void
test_uses_that_were_taken_are_found_after_a_restart(void **state)
{
	struct access_rig *f = *state;
	char header[ACCESS_HEADER_BYTES], id[ACCESS_KEY_ID_BYTES];
	struct gateway_caller caller;
	access_rig_make_key(f, ACCESS_KEY_CLIENT, 1, 0, header, id);
	assert_int_equal(access_rig_show(f, header, true, &caller), 0);
	access_rig_reopen(f);
	assert_int_equal(access_rig_show(f, header, true, &caller), -EACCES);
}

static void
test_the_first_keys_are_rows_that_can_be_revoked(void **state)
{
	struct access_rig *f = *state;
	static const struct {
		const char *file, *subject;
		enum gateway_who role;
	} rows[] = { { "client.key", "client", WHO_CLIENT },
		     { "admin.key", "admin", WHO_ADMIN },
		     { "node.key", "enrol", WHO_NODE } };
	for (size_t i = 0; i < 3; i++) {
		char path[128], header[ACCESS_HEADER_BYTES] = "Bearer ", id[ACCESS_KEY_ID_BYTES];
		struct gateway_caller caller;
		uint8_t digest[MAC_BYTES];
		struct access_row row;
		struct store *store;
		snprintf(path, sizeof(path), "%s/%s", f->folder, rows[i].file);
		FILE *in = fopen(path, "r");
		assert_non_null(in);
		assert_non_null(fgets(header + 7, sizeof(header) - 7, in));
		fclose(in);
		header[strcspn(header, "\n")] = '\0';
		assert_int_equal(access_rig_show(f, header, true, &caller), 0);
		assert_int_equal(caller.role, rows[i].role);
		assert_string_equal(caller.subject, rows[i].subject);

		/* Nobody looks into SQLite's file while it is open. */
		gateway_access_close(&f->access);
		store = access_rig_store(f);
		assert_int_equal(mac_sha256(header + 7, strlen(header + 7), digest), 0);
		assert_int_equal(access_store_find(store, digest, &row), 0);
		store_close(&store);
		memcpy(id, row.id, sizeof(id));
		assert_int_equal(access_rig_open(f, &f->access), 0);
		assert_int_equal(access_rig_revoke_key(f, id), 0);
		assert_int_equal(access_rig_show(f, header, true, &caller), -EACCES);
		access_rig_reopen(f);
		assert_int_equal(access_rig_show(f, header, true, &caller), -EACCES);
	}
}

/* Two gateways on one database. */
static void
test_what_one_gateway_revokes_all_refuse(void **state)
{
	struct access_rig *f = *state;
	char header[ACCESS_HEADER_BYTES], id[ACCESS_KEY_ID_BYTES];
	struct gateway_caller caller;
	struct access_rig other;
	if (!access_rig_is_on_servers()) {
		print_message("SQLite has one process only\n");
		skip();
	}
	other = *f;
	assert_int_equal(access_rig_open(&other, &other.access), 0);
	access_rig_make_key(f, ACCESS_KEY_ADMIN, 0, 0, header, id);
	assert_int_equal(access_rig_show(&other, header, true, &caller), 0);
	assert_int_equal(access_rig_revoke_key(f, id), 0);
	assert_int_equal(access_rig_show(&other, header, true, &caller), -EACCES);
	access_rig_make_key(f, ACCESS_KEY_CLIENT, 1, 0, header, id);
	assert_int_equal(access_rig_show(&other, header, true, &caller), 0);
	assert_int_equal(access_rig_show(f, header, true, &caller), -EACCES);
	gateway_access_close(&other.access);
}

/* Who waits is told; the process can end. */
static void
test_a_gateway_that_stops_fails_what_waits_for_the_store(void **state)
{
	struct access_rig *f = *state;
	char header[ACCESS_HEADER_BYTES], id[ACCESS_KEY_ID_BYTES];
	struct showing showing = { 0 };
	unsigned left = 1;
	access_rig_make_key(f, ACCESS_KEY_CLIENT, 0, 0, header, id);
	access_rig_show_soon(f, header, true, &left, &showing);
	gateway_access_stop(f->access);
	assert_int_equal(left, 0);
	assert_true(showing.result == 0 || showing.result == -EIO);
	assert_int_equal(gateway_access_confirm(f->access, &showing.caller, true, 0,
						access_rig_on_shown, &showing),
			 -EIO);
}

static void
test_what_has_not_a_keys_form_is_not_asked_about(void **state)
{
	(void)state;
	static const char good[] = "boson_node_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	static const char *const bad[] = {
		"",
		"boson_",
		"boson_node_",
		"boson_root_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"boson_nodeAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"boson_node_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"boson_node_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"boson_node_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
		"Boson_node_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"boson_node_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	};
	enum access_key_kind kind;
	assert_true(access_key_parse(good, strlen(good), &kind));
	assert_int_equal(kind, ACCESS_KEY_NODE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(access_key_parse(bad[i], strlen(bad[i]), &kind));
}

int
main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, access_rig_setup, access_rig_teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_a_key_tells_its_role_and_name_once_the_store_has_confirmed_it),
		ROW(test_a_key_that_nobody_made_is_refused),
		ROW(test_a_revoked_key_is_refused_at_once),
		ROW(test_an_expired_key_is_refused),
		ROW(test_a_key_serves_as_often_as_it_was_made_for),
		ROW(test_a_use_that_came_to_nothing_is_given_back),
		ROW(test_uses_that_were_taken_are_found_after_a_restart),
		ROW(test_the_first_keys_are_rows_that_can_be_revoked),
		ROW(test_what_one_gateway_revokes_all_refuse),
		ROW(test_a_gateway_that_stops_fails_what_waits_for_the_store),
		cmocka_unit_test(test_what_has_not_a_keys_form_is_not_asked_about),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
