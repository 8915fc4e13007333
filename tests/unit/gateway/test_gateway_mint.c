/*
 * gateway_mint: tokens come into being where the row and the reply both say so, and nowhere else.
 */
#include "gateway/gateway_mint.h"

#include "discovery.pb-c.h"
#include "loop/clock.h"
#include "routing.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static struct gateway gateway;
static struct gateway_request request;

static int
setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test_gateway_mint.XXXXXX");
	gateway = (struct gateway){ .node_token_ms = 3600000, .client_token_ms = 7200000 };
	request = (struct gateway_request){ .gateway = &gateway };
	return mkdtemp(folder) != NULL
		       ? gateway_access_open(
				 &(struct gateway_access_options){ .state_dir = folder },
				 &gateway.access)
		       : -1;
}

static int
teardown(void **state)
{
	(void)state;
	const char *const files[] = { "client.key", "admin.key", "node.key", "token.secret" };
	gateway_access_close(&gateway.access);
	for (size_t i = 0; i < 4; i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static void
answering(const char *rpc)
{
	for (size_t i = 0; i < gateway_endpoints_n; i++) {
		const char *name = gateway_endpoints[i].rpc;
		if (name != NULL && strcmp(name, rpc) == 0)
			request.match.endpoint = &gateway_endpoints[i];
	}
	assert_non_null(request.match.endpoint);
}

static void
assert_token(const char *token, enum gateway_who role, const char *subject)
{
	char header[TOKEN_TEXT_MAX_BYTES + 8];
	struct gateway_caller caller;
	assert_non_null(token);
	snprintf(header, sizeof(header), "Bearer %s", token);
	assert_int_equal(gateway_access_check(gateway.access, header, clock_wall_ms(),
					      clock_boottime_ms(), &caller),
			 0);
	assert_int_equal(caller.role, role);
	assert_string_equal(caller.subject, subject);
}

static void
test_a_registered_node_gets_a_node_token_and_its_expiry(void **state)
{
	(void)state;
	Boson__Discovery__RegisterReply reply = BOSON__DISCOVERY__REGISTER_REPLY__INIT,
					*minted = NULL;
	char subject[] = "node-1", status[] = "registered";
	reply.mint_subject = subject;
	reply.status = status;
	answering("RegisterNode");
	assert_int_equal(gateway_mint(&request, &reply.base, (ProtobufCMessage **)&minted), 0);
	assert_token(minted->session_token, WHO_NODE, "node-1");
	assert_string_equal(minted->status, "registered");
	assert_true(minted->has_expires_at && minted->expires_at > clock_wall_ms() + 3500000);
	assert_null(reply.session_token);
	protobuf_c_message_free_unpacked(&minted->base, NULL);
}

static void
test_a_route_carries_a_client_token_inside_and_keeps_its_own_expiry(void **state)
{
	(void)state;
	Boson__Routing__RouteReply reply = BOSON__ROUTING__ROUTE_REPLY__INIT, *minted = NULL;
	Boson__Routing__SelectedRoute selected = BOSON__ROUTING__SELECTED_ROUTE__INIT;
	char subject[] = "client-1";
	selected.has_expires_at = 1;
	selected.expires_at = 42;
	reply.selected_route = &selected;
	reply.mint_subject = subject;
	answering("RequestRoute");
	assert_int_equal(gateway_mint(&request, &reply.base, (ProtobufCMessage **)&minted), 0);
	assert_token(minted->selected_route->session_token, WHO_CLIENT, "client-1");
	assert_int_equal(minted->selected_route->expires_at, 42);
	protobuf_c_message_free_unpacked(&minted->base, NULL);
}

static void
test_a_reply_that_asks_for_none_gets_none(void **state)
{
	(void)state;
	Boson__Discovery__HeartbeatReply reply = BOSON__DISCOVERY__HEARTBEAT_REPLY__INIT;
	ProtobufCMessage *minted = NULL;
	answering("Heartbeat");
	assert_int_equal(gateway_mint(&request, &reply.base, &minted), 0);
	assert_null(minted);
}

static void
test_a_row_that_mints_nothing_mints_nothing(void **state)
{
	(void)state;
	Boson__Discovery__RegisterReply reply = BOSON__DISCOVERY__REGISTER_REPLY__INIT;
	ProtobufCMessage *minted = NULL;
	char subject[] = "node-1";
	reply.mint_subject = subject;
	answering("ListNodes");
	assert_int_equal(gateway_mint(&request, &reply.base, &minted), 0);
	assert_null(minted);
}

static void
test_a_subject_that_no_token_can_carry_is_a_failure(void **state)
{
	(void)state;
	Boson__Discovery__RegisterReply reply = BOSON__DISCOVERY__REGISTER_REPLY__INIT;
	ProtobufCMessage *minted = NULL;
	char subject[] = "a\",\"role\":\"admin";
	reply.mint_subject = subject;
	answering("RegisterNode");
	assert_true(gateway_mint(&request, &reply.base, &minted) < 0);
	assert_null(minted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_registered_node_gets_a_node_token_and_its_expiry),
		cmocka_unit_test(
			test_a_route_carries_a_client_token_inside_and_keeps_its_own_expiry),
		cmocka_unit_test(test_a_reply_that_asks_for_none_gets_none),
		cmocka_unit_test(test_a_row_that_mints_nothing_mints_nothing),
		cmocka_unit_test(test_a_subject_that_no_token_can_carry_is_a_failure),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
