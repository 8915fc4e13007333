/*
 * gateway_access with its store: access keys, their uses, their end (T05, T07). On SQLite, and run
 * by with_servers on PostgreSQL.
 */
#include "gateway/gateway_access.h"
#include "gateway/gateway_side.h"
#include "loop/clock.h"

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

enum { WAIT_MS = 20 * 1000, URL_BYTES = 512 };

struct fixture {
	char folder[64], url[URL_BYTES];
	struct loop *loop;
	struct loop_timer *deadline;
	struct gateway_access *access;
};

static bool
is_on_servers(void)
{
	return getenv("RIG_POSTGRESQL") != NULL;
}

static int
open_access(const struct fixture *f, struct gateway_access **ret)
{
	return gateway_access_open(&(struct gateway_access_options){ .state_dir = f->folder,
								     .store = f->url,
								     .loop = f->loop },
				   ret);
}

static int
setup(void **state)
{
	static unsigned number;
	static struct fixture f;
	f = (struct fixture){ .folder = "/tmp/test_gateway_keys.XXXXXX" };
	*state = &f;
	if (mkdtemp(f.folder) == NULL || loop_new(&f.loop) < 0)
		return -1;
	if (is_on_servers())
		snprintf(f.url, sizeof(f.url), "%s&schema=keys_%ld_%u", getenv("RIG_POSTGRESQL"),
			 (long)getpid(), number++);
	return open_access(&f, &f.access);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	gateway_access_close(&f->access);
	loop_free(&f->loop);
	snprintf(command, sizeof(command), "rm -r %s", f->folder);
	return system(command);
}

static void
on_deadline(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Runs the loop until somebody stops it. */
static void
run(struct fixture *f)
{
	assert_int_equal(loop_timer_start(f->loop, WAIT_MS, 0, on_deadline, f, &f->deadline), 0);
	assert_int_equal(loop_run(f->loop), 0);
	loop_timer_stop(&f->deadline);
}

/* ---- making keys ---- */

struct making {
	struct side_job job;
	struct loop *loop;
	uint8_t digest[MAC_BYTES];
	struct access_row row;
	char id[ACCESS_KEY_ID_BYTES];
	int result;
	bool revokes;
};

static int
making_run(struct store *store, struct side_job *job)
{
	struct making *making = (struct making *)job;
	return making->revokes ? access_store_revoke(store, making->id, clock_wall_ms())
			       : access_store_add(store, making->digest, &making->row);
}

static void
making_done(struct side_job *job)
{
	struct making *making = (struct making *)job;
	making->result = job->result;
	loop_stop(making->loop);
}

static int
do_making(struct fixture *f, struct making *making)
{
	making->loop = f->loop;
	making->job = (struct side_job){ .run = making_run, .done = making_done };
	making->result = 1;
	assert_int_equal(side_thread_run(gateway_access_store(f->access), &making->job), 0);
	run(f);
	return making->result;
}

/* A new key as an Authorization header, and the id it can be revoked by. */
static void
make_key(struct fixture *f, enum access_key_kind kind, int64_t uses_max, int64_t lifetime_ms,
	 char header[80], char ret_id[ACCESS_KEY_ID_BYTES])
{
	struct making making = { .row = { .kind = kind, .uses_max = uses_max } };
	strcpy(making.row.name, "tester");
	making.row.created_ms = clock_wall_ms();
	if (lifetime_ms != 0)
		making.row.expires_ms = making.row.created_ms + lifetime_ms;
	strcpy(header, "Bearer ");
	assert_int_equal(access_key_make(kind, header + 7), 0);
	assert_int_equal(mac_sha256(header + 7, strlen(header + 7), making.digest), 0);
	assert_int_equal(do_making(f, &making), 0);
	memcpy(ret_id, making.row.id, ACCESS_KEY_ID_BYTES);
}

static int
revoke_key(struct fixture *f, const char *id)
{
	struct making making = { .revokes = true };
	snprintf(making.id, sizeof(making.id), "%s", id);
	return do_making(f, &making);
}

/* ---- showing keys ---- */

struct showing {
	struct loop *loop;
	struct gateway_caller caller;
	int result;
	unsigned *left; /* stops the loop at 0 */
};

static void
on_shown(int result, void *arg)
{
	struct showing *showing = arg;
	showing->result = result;
	if (--*showing->left == 0)
		loop_stop(showing->loop);
}

/* Checks, and asks the store; does not wait. */
static void
show_soon(struct fixture *f, const char *header, bool takes_use, unsigned *left,
	  struct showing *ret)
{
	int r = gateway_access_check(f->access, header, clock_wall_ms(), clock_boottime_ms(),
				     &ret->caller);
	assert_int_equal(r, 0);
	assert_true(ret->caller.is_unconfirmed);
	ret->loop = f->loop;
	ret->left = left;
	ret->result = 1;
	assert_int_equal(gateway_access_confirm(f->access, &ret->caller, takes_use, clock_wall_ms(),
						on_shown, ret),
			 0);
	assert_int_equal(ret->result, 1);
}

static int
show(struct fixture *f, const char *header, bool takes_use, struct gateway_caller *ret)
{
	struct showing showing = { 0 };
	unsigned left = 1;
	show_soon(f, header, takes_use, &left, &showing);
	run(f);
	*ret = showing.caller;
	return showing.result;
}

static void
test_a_key_tells_its_role_and_name_once_the_store_has_confirmed_it(void **state)
{
	struct fixture *f = *state;
	static const struct {
		enum access_key_kind kind;
		enum gateway_who role;
		const char *subject;
	} rows[] = { { ACCESS_KEY_NODE, WHO_NODE, "enrol" },
		     { ACCESS_KEY_CLIENT, WHO_CLIENT, "key:tester" },
		     { ACCESS_KEY_ADMIN, WHO_ADMIN, "key:tester" },
		     { ACCESS_KEY_SCRAPER, WHO_SCRAPER, "key:tester" } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char header[80], id[ACCESS_KEY_ID_BYTES];
		struct gateway_caller caller;
		make_key(f, rows[i].kind, 0, 0, header, id);
		assert_int_equal(show(f, header, true, &caller), 0);
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
	struct fixture *f = *state;
	char header[80] = "Bearer ", id[ACCESS_KEY_ID_BYTES];
	struct gateway_caller caller;
	assert_int_equal(access_key_make(ACCESS_KEY_ADMIN, header + 7), 0);
	assert_int_equal(show(f, header, true, &caller), -EACCES);
	/* Nor does a client's key become an administrator's by its text. */
	make_key(f, ACCESS_KEY_CLIENT, 0, 0, header, id);
	char other[80];
	snprintf(other, sizeof(other), "Bearer boson_admin_%s",
		 header + strlen("Bearer boson_client_"));
	assert_int_equal(show(f, other, true, &caller), -EACCES);
}

static void
test_a_revoked_key_is_refused_at_once(void **state)
{
	struct fixture *f = *state;
	char header[80], id[ACCESS_KEY_ID_BYTES];
	struct gateway_caller caller;
	make_key(f, ACCESS_KEY_CLIENT, 0, 0, header, id);
	assert_int_equal(show(f, header, true, &caller), 0);
	assert_int_equal(revoke_key(f, id), 0);
	assert_int_equal(show(f, header, true, &caller), -EACCES);
	assert_int_equal(revoke_key(f, id), 0);
	assert_int_equal(revoke_key(f, "0123456789abcdef"), -ENOENT);
}

static void
test_an_expired_key_is_refused(void **state)
{
	struct fixture *f = *state;
	char header[80], id[ACCESS_KEY_ID_BYTES];
	struct gateway_caller caller;
	make_key(f, ACCESS_KEY_CLIENT, 0, -1, header, id);
	assert_int_equal(show(f, header, true, &caller), -EACCES);
	make_key(f, ACCESS_KEY_CLIENT, 0, 3600000, header, id);
	assert_int_equal(show(f, header, true, &caller), 0);
}

/* Ten at once for three uses: three get one. */
static void
test_a_key_serves_as_often_as_it_was_made_for(void **state)
{
	struct fixture *f = *state;
	enum { AT_ONCE = 10, USES = 3 };
	struct showing showings[AT_ONCE] = { 0 };
	char header[80], id[ACCESS_KEY_ID_BYTES];
	unsigned left = AT_ONCE, served = 0;
	make_key(f, ACCESS_KEY_CLIENT, USES, 0, header, id);
	for (size_t i = 0; i < AT_ONCE; i++)
		show_soon(f, header, true, &left, &showings[i]);
	run(f);
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
	struct fixture *f = *state;
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
		char header[80], id[ACCESS_KEY_ID_BYTES];
		struct gateway_caller caller;
		make_key(f, rows[i].kind, 1, 0, header, id);
		assert_int_equal(show(f, header, true, &caller), 0);
		assert_true(caller.has_use);
		gateway_access_settle(f->access, &caller, rows[i].status);
		gateway_access_settle(f->access, &caller, 401); /* once is enough */
		assert_int_equal(show(f, header, true, &caller), rows[i].is_spent ? -EACCES : 0);
	}
}

static void
test_uses_that_were_taken_are_found_after_a_restart(void **state)
{
	struct fixture *f = *state;
	char header[80], id[ACCESS_KEY_ID_BYTES];
	struct gateway_caller caller;
	make_key(f, ACCESS_KEY_CLIENT, 1, 0, header, id);
	assert_int_equal(show(f, header, true, &caller), 0);
	gateway_access_close(&f->access);
	assert_int_equal(open_access(f, &f->access), 0);
	assert_int_equal(show(f, header, true, &caller), -EACCES);
}

static void
test_the_first_keys_are_rows_that_can_be_revoked(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *file, *subject;
		enum gateway_who role;
	} rows[] = { { "client.key", "client", WHO_CLIENT },
		     { "admin.key", "admin", WHO_ADMIN },
		     { "node.key", "enrol", WHO_NODE } };
	for (size_t i = 0; i < 3; i++) {
		char path[128], header[80] = "Bearer ", id[ACCESS_KEY_ID_BYTES];
		struct gateway_caller caller;
		uint8_t digest[MAC_BYTES];
		struct access_row row;
		struct store *store = NULL;
		char reason[256], url[URL_BYTES];
		snprintf(path, sizeof(path), "%s/%s", f->folder, rows[i].file);
		FILE *in = fopen(path, "r");
		assert_non_null(in);
		assert_non_null(fgets(header + 7, sizeof(header) - 7, in));
		fclose(in);
		header[strcspn(header, "\n")] = '\0';
		assert_int_equal(show(f, header, true, &caller), 0);
		assert_int_equal(caller.role, rows[i].role);
		assert_string_equal(caller.subject, rows[i].subject);

		/* Nobody looks into SQLite's file while it is open. */
		gateway_access_close(&f->access);
		snprintf(url, sizeof(url), "sqlite:%s/gateway.db", f->folder);
		assert_int_equal(access_store_open(is_on_servers() ? f->url : url, &store, reason,
						   sizeof(reason)),
				 0);
		assert_int_equal(mac_sha256(header + 7, strlen(header + 7), digest), 0);
		assert_int_equal(access_store_find(store, digest, &row), 0);
		store_close(&store);
		memcpy(id, row.id, sizeof(id));
		assert_int_equal(open_access(f, &f->access), 0);
		assert_int_equal(revoke_key(f, id), 0);
		assert_int_equal(show(f, header, true, &caller), -EACCES);
		gateway_access_close(&f->access);
		assert_int_equal(open_access(f, &f->access), 0);
		assert_int_equal(show(f, header, true, &caller), -EACCES);
	}
}

/* Two gateways on one database. */
static void
test_what_one_gateway_revokes_all_refuse(void **state)
{
	struct fixture *f = *state;
	char header[80], id[ACCESS_KEY_ID_BYTES];
	struct gateway_caller caller;
	struct fixture other;
	if (!is_on_servers()) {
		print_message("SQLite has one process only\n");
		skip();
	}
	other = *f;
	assert_int_equal(open_access(&other, &other.access), 0);
	make_key(f, ACCESS_KEY_ADMIN, 0, 0, header, id);
	assert_int_equal(show(&other, header, true, &caller), 0);
	assert_int_equal(revoke_key(f, id), 0);
	assert_int_equal(show(&other, header, true, &caller), -EACCES);
	make_key(f, ACCESS_KEY_CLIENT, 1, 0, header, id);
	assert_int_equal(show(&other, header, true, &caller), 0);
	assert_int_equal(show(f, header, true, &caller), -EACCES);
	gateway_access_close(&other.access);
}

/* Who waits is told; the process can end. */
static void
test_a_gateway_that_stops_fails_what_waits_for_the_store(void **state)
{
	struct fixture *f = *state;
	char header[80], id[ACCESS_KEY_ID_BYTES];
	struct showing showing = { 0 };
	unsigned left = 1;
	make_key(f, ACCESS_KEY_CLIENT, 0, 0, header, id);
	show_soon(f, header, true, &left, &showing);
	gateway_access_stop(f->access);
	assert_int_equal(left, 0);
	assert_true(showing.result == 0 || showing.result == -EIO);
	assert_int_equal(
		gateway_access_confirm(f->access, &showing.caller, true, 0, on_shown, &showing),
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
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
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
