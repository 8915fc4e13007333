/*
 * Whom a leg trusts: certificates by name and by address, over real TLS (T43).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg_rig.h"

#include <string.h>

static void
test_a_checked_certificate_is_accepted_by_name_and_by_both_kinds_of_address(void **state)
{
	(void)state;
	const char *hosts[] = { "localhost", "127.0.0.1", "[::1]" };

	for (size_t i = 0; i < 3; i++) {
		struct rig *rig = rig_new(certificate, 0);
		assert_int_equal(stand_in_start(&rig->relay, 0, certificate, key), 0);
		target(rig, "wss", hosts[i], "/echo");
		wait_until(rig, is_up);
		send_numbered(rig, 1, 60000);
		leg_client_flush(rig->client);
		rig->wanted = 1;
		wait_until(rig, has_messages);
		assert_int_equal(rig->last_n, 60000);
		rig_free(rig);
	}
}

static void
expect_refused_certificate(const char *ca_file, const char *shown, const char *host,
			   const char *pinned)
{
	struct rig *rig = rig_new(ca_file, 0);

	assert_int_equal(stand_in_start(&rig->relay, 0, shown, key), 0);
	if (pinned != NULL)
		assert_int_equal(leg_client_pin(rig->client, host, pinned), 0);
	target(rig, "wss", host, "/echo");
	wait_until(rig, has_gone_down);
	if (strstr(first_down(rig)->reason, "certificate refused") == NULL)
		fail_msg("unexpected reason: %s", first_down(rig)->reason);
	for (size_t i = 0; i < rig->noted_n; i++)
		assert_int_not_equal(rig->noted[i].state, LEG_UP);
	assert_string_equal(rig->relay.authorization, ""); /* the ticket stayed here */
	rig_free(rig);
}

/* T43 */
static void
test_a_wrong_certificate_is_refused_before_the_ticket_is_sent(void **state)
{
	(void)state;
	expect_refused_certificate(other, certificate, "localhost", NULL);
	expect_refused_certificate(NULL, certificate, "localhost", NULL);
	expect_refused_certificate(certificate, certificate, "not-its-name.example", "127.0.0.1");
	expect_refused_certificate(certificate, certificate, "127.0.0.2", NULL);
	expect_refused_certificate(expired, expired, "localhost", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_checked_certificate_is_accepted_by_name_and_by_both_kinds_of_address),
		cmocka_unit_test(test_a_wrong_certificate_is_refused_before_the_ticket_is_sent),
	};

	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
