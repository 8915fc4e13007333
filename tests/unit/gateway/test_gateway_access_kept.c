/*
 * gateway_access with its store: tokens that are void stay void, whoever restarts and whatever is
 * away meanwhile (T06, P07). On SQLite, and run by with_servers on PostgreSQL.
 */
#include "access_rig.h"
#include "gateway/gateway_access_revoked.h"
#include "loop/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { LIFETIME_MS = 3600 * 1000, DEADLINE_MS = 20 * 1000 };

struct subject {
	uint8_t id[UUID_BYTES];
	char header[TOKEN_TEXT_MAX_BYTES + 8];
};

/* A node's token of some time ago, as an Authorization header. */
static void
make_token(struct access_rig *rig, int64_t age_ms, struct subject *ret)
{
	char text[UUID_TEXT_BYTES], token[TOKEN_TEXT_MAX_BYTES];
	int64_t expires_ms;
	assert_int_equal(uuid_generate_text(text), 0);
	assert_int_equal(uuid_parse(text, ret->id), 0);
	assert_int_equal(gateway_access_mint(rig->access, WHO_NODE, text, clock_wall_ms() - age_ms,
					     LIFETIME_MS, token, &expires_ms),
			 0);
	snprintf(ret->header, sizeof(ret->header), "Bearer %s", token);
}

static int
check(struct gateway_access *access, const struct subject *subject)
{
	struct gateway_caller caller;
	return gateway_access_check(access, subject->header, clock_wall_ms(), clock_boottime_ms(),
				    &caller);
}

static void
test_a_void_token_is_void_after_a_restart(void **state)
{
	struct access_rig *rig = *state;
	struct subject void_one, good_one;
	make_token(rig, 1000, &void_one);
	make_token(rig, 1000, &good_one);
	assert_int_equal(check(rig->access, &void_one), 0);
	gateway_access_revoke(rig->access, void_one.id, clock_wall_ms());
	assert_int_equal(check(rig->access, &void_one), -EACCES);
	access_rig_settle(rig);
	access_rig_reopen(rig);
	assert_int_equal(check(rig->access, &void_one), -EACCES);
	assert_int_equal(check(rig->access, &good_one), 0);
}

static void
test_the_latest_moment_counts_whatever_the_order(void **state)
{
	struct access_rig *rig = *state;
	struct subject subject;
	make_token(rig, 10 * 1000, &subject);
	int64_t now_ms = clock_wall_ms();
	gateway_access_revoke(rig->access, subject.id, now_ms);
	gateway_access_revoke(rig->access, subject.id, now_ms - 20 * 1000);
	access_rig_settle(rig);
	access_rig_reopen(rig);
	assert_int_equal(check(rig->access, &subject), -EACCES);
	/* Heard again, in the other order, by one that has heard nothing of it before. */
	make_token(rig, 10 * 1000, &subject);
	gateway_access_revoke(rig->access, subject.id, now_ms - 20 * 1000);
	assert_int_equal(check(rig->access, &subject), 0);
	gateway_access_revoke(rig->access, subject.id, now_ms);
	access_rig_settle(rig);
	access_rig_reopen(rig);
	assert_int_equal(check(rig->access, &subject), -EACCES);
}

static int
count_one(const uint8_t node_id[UUID_BYTES], int64_t since_ms, void *arg)
{
	(void)node_id;
	(void)since_ms;
	++*(unsigned *)arg;
	return 0;
}

static unsigned
count_in(struct store *store)
{
	unsigned count = 0;
	assert_int_equal(access_store_voided(store, 0, count_one, &count), 0);
	return count;
}

static unsigned
count_kept(struct access_rig *rig)
{
	gateway_access_close(&rig->access);
	struct store *store = access_rig_store(rig);
	unsigned count = count_in(store);
	store_close(&store);
	assert_int_equal(access_rig_open(rig, &rig->access), 0);
	return count;
}

/* What is older than any token may be forgotten, and is. */
static void
test_what_no_token_can_be_older_than_is_not_kept(void **state)
{
	struct access_rig *rig = *state;
	struct subject old, fresh;
	make_token(rig, 0, &old);
	make_token(rig, 0, &fresh);
	gateway_access_revoke(rig->access, old.id, clock_wall_ms() - ACCESS_REVOKED_KEPT_MS - 1000);
	access_rig_settle(rig);
	assert_int_equal(count_kept(rig), 1);
	gateway_access_revoke(rig->access, fresh.id, clock_wall_ms());
	access_rig_settle(rig);
	assert_int_equal(count_kept(rig), 1);
	assert_int_equal(check(rig->access, &old), 0);
}

/* Two gateways on one database: the second starts later, and hears of nothing. */
static void
test_what_one_gateway_heard_another_knows_when_it_starts(void **state)
{
	struct access_rig *rig = *state;
	struct gateway_access *other = NULL;
	struct subject subject;
	if (!access_rig_is_on_servers()) {
		print_message("SQLite has one process only\n");
		skip();
	}
	make_token(rig, 1000, &subject);
	gateway_access_revoke(rig->access, subject.id, clock_wall_ms());
	access_rig_settle(rig);
	assert_int_equal(access_rig_open(rig, &other), 0);
	assert_int_equal(check(other, &subject), -EACCES);
	gateway_access_close(&other);
}

/* A table that is away stands for any failure of the store. */
static void
test_what_the_store_did_not_take_is_given_to_it_again(void **state)
{
	struct access_rig *rig = *state;
	struct subject subject;
	if (!access_rig_is_on_servers()) {
		print_message("SQLite has one process only\n");
		skip();
	}
	struct store *store = access_rig_store(rig);
	assert_true(store_exec(store, "ALTER TABLE voided_tokens RENAME TO away", NULL, 0) >= 0);
	make_token(rig, 1000, &subject);
	gateway_access_revoke(rig->access, subject.id, clock_wall_ms());
	access_rig_settle(rig);
	assert_int_equal(check(rig->access, &subject), -EACCES);
	assert_true(store_exec(store, "ALTER TABLE away RENAME TO voided_tokens", NULL, 0) >= 0);
	int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	while (count_in(store) == 0 && clock_monotonic_ms() < deadline_ms)
		access_rig_settle(rig);
	assert_int_equal(count_in(store), 1);
	store_close(&store);
}

/* Whoever stops does not wait, and leaves nothing behind. */
static void
test_a_gateway_stops_while_revocations_are_being_kept(void **state)
{
	struct access_rig *rig = *state;
	struct subject subject;
	for (int i = 0; i < 100; i++) {
		make_token(rig, 1000, &subject);
		gateway_access_revoke(rig->access, subject.id, clock_wall_ms());
	}
	gateway_access_close(&rig->access);
	assert_int_equal(access_rig_open(rig, &rig->access), 0);
}

int
main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, access_rig_setup, access_rig_teardown)
	const struct CMUnitTest tests[] = {
		ROW(test_a_void_token_is_void_after_a_restart),
		ROW(test_the_latest_moment_counts_whatever_the_order),
		ROW(test_what_no_token_can_be_older_than_is_not_kept),
		ROW(test_what_one_gateway_heard_another_knows_when_it_starts),
		ROW(test_what_the_store_did_not_take_is_given_to_it_again),
		ROW(test_a_gateway_stops_while_revocations_are_being_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
