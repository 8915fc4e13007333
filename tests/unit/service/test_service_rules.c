/* The table of who may what has a row for each method of each mailbox and each event, and no other.
 */
#include "service/service_rules.h"

#include "discovery.pb-c.h"
#include "gateway.pb-c.h"
#include "metrics.pb-c.h"
#include "node.pb-c.h"
#include "relay.pb-c.h"
#include "routing.pb-c.h"
#include "turn.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static const ProtobufCServiceDescriptor *const mailboxes[] = {
	&boson__discovery__discovery__descriptor, &boson__routing__routing__descriptor,
	&boson__relay__relay__descriptor,	  &boson__metrics__metrics__descriptor,
	&boson__turn__turn__descriptor,		  &boson__gateway__gateway__descriptor,
	&boson__node__agent__descriptor,	  &boson__node__forwarder__descriptor,
};
enum { MAILBOXES = sizeof(mailboxes) / sizeof(mailboxes[0]) };

static const ProtobufCMessageDescriptor *const events[] = {
	&boson__discovery__node_changed__descriptor,   &boson__discovery__relay_changed__descriptor,
	&boson__discovery__tokens_revoked__descriptor, &boson__routing__session_changed__descriptor,
	&boson__relay__leg_attached__descriptor,       &boson__relay__leg_detached__descriptor,
	&boson__relay__node_duplicate__descriptor,     &boson__relay__relay_load__descriptor,
	&boson__relay__session_usage__descriptor,
};
enum { EVENTS = sizeof(events) / sizeof(events[0]) };

static unsigned
rows_of(const char *name)
{
	unsigned n = 0;

	for (const struct bus_rule *rule = service_rules; rule->name != NULL; rule++)
		n += strcmp(rule->name, name) == 0;
	return n;
}

static void
test_each_method_has_one_row(void **state)
{
	char name[128];

	(void)state;
	for (size_t i = 0; i < MAILBOXES; i++)
		for (unsigned k = 0; k < mailboxes[i]->n_methods; k++) {
			snprintf(name, sizeof(name), "%s/%s", mailboxes[i]->name,
				 mailboxes[i]->methods[k].name);
			if (rows_of(name) != 1)
				fail_msg("%s has %u rows", name, rows_of(name));
		}
}

static bool
is_method(const char *name)
{
	for (size_t i = 0; i < MAILBOXES; i++) {
		size_t n = strlen(mailboxes[i]->name);

		if (strncmp(name, mailboxes[i]->name, n) == 0 && name[n] == '/')
			return protobuf_c_service_descriptor_get_method_by_name(
				       mailboxes[i], name + n + 1) != NULL;
	}
	return false;
}

/* GET /events shows them, or the gateway itself needs them. */
static void
test_each_event_has_one_row_and_the_gateway_may_hear_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < EVENTS; i++) {
		const struct bus_rule *rule = service_rules;

		if (rows_of(events[i]->name) != 1)
			fail_msg("%s has %u rows", events[i]->name, rows_of(events[i]->name));
		while (strcmp(rule->name, events[i]->name) != 0)
			rule++;
		assert_non_null(strstr(rule->senders, "gateway"));
	}
}

static bool
is_event(const char *name)
{
	for (size_t i = 0; i < EVENTS; i++)
		if (strcmp(events[i]->name, name) == 0)
			return true;
	return false;
}

static void
test_each_row_is_of_a_method_or_an_event(void **state)
{
	(void)state;
	for (const struct bus_rule *rule = service_rules; rule->name != NULL; rule++) {
		if (strchr(rule->name, '/') != NULL)
			assert_true(is_method(rule->name));
		else
			assert_true(is_event(rule->name));
		assert_non_null(rule->senders);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_method_has_one_row),
		cmocka_unit_test(test_each_event_has_one_row_and_the_gateway_may_hear_it),
		cmocka_unit_test(test_each_row_is_of_a_method_or_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
