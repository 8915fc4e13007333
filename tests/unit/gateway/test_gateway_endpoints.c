/*
 * gateway_endpoints: each row of the table leads to a real rpc, and a request to its row.
 */
#include "gateway/gateway_endpoints.h"
#include "json/json_message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct gateway_path path;
static struct gateway_match match;
static char allow[GATEWAY_ALLOW_BYTES];

static int
find(const char *method, const char *target)
{
	assert_int_equal(gateway_path_parse(target, &path), 0);
	return gateway_endpoints_match(method, &path, &match, allow);
}

static bool
message_has(const ProtobufCMessageDescriptor *type, const char *name, size_t n)
{
	char text[JSON_NAME_BYTES];
	assert_true(n < sizeof(text));
	memcpy(text, name, n);
	text[n] = '\0';
	return json_field_find(type, text, 0) != NULL;
}

static void
test_every_row_names_an_rpc_that_there_is_or_is_answered_here(void **state)
{
	(void)state;
	assert_true(gateway_endpoints_n <= GATEWAY_ENDPOINTS_MAX);
	for (size_t i = 0; i < gateway_endpoints_n; i++) {
		const struct gateway_endpoint *row = &gateway_endpoints[i];
		unsigned int index = 0;
		const ProtobufCMethodDescriptor *rpc = gateway_endpoint_rpc(row, &index);
		assert_true((rpc == NULL) == (row->local != LOCAL_NONE));
		if (rpc == NULL)
			continue;
		assert_ptr_equal(&gateway_peer_descriptor(row->peer)->methods[index], rpc);
		for (const char *c = strchr(row->path, '{'); c != NULL; c = strchr(c + 1, '{'))
			assert_true(message_has(rpc->input, c + 1, strcspn(c + 1, "}")));
	}
}

static void
test_rows_that_need_fields_of_the_bus_have_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < gateway_endpoints_n; i++) {
		const struct gateway_endpoint *row = &gateway_endpoints[i];
		unsigned int index = 0;
		const ProtobufCMethodDescriptor *rpc = gateway_endpoint_rpc(row, &index);
		if (rpc == NULL)
			continue;
		/* Who may is checked again by the service, so each must be told who asks; but a
		 * scraper is nobody to it. */
		if ((row->flags & ENDPOINT_SCRAPE) == 0)
			assert_non_null(
				json_field_find(rpc->input, "caller", JSON_MESSAGE_INTERNAL));
		else
			assert_non_null(json_field_find(rpc->output, "text", 0));
		if ((row->flags & ENDPOINT_OWN_NODE) != 0)
			assert_non_null(json_field_find(rpc->input, "nodeId", 0));
		if ((row->flags & ENDPOINT_PROOF) != 0) {
			assert_non_null(
				json_field_find(rpc->input, "proof", JSON_MESSAGE_INTERNAL));
			assert_non_null(
				json_field_find(rpc->input, "bodySha256", JSON_MESSAGE_INTERNAL));
		}
		if ((row->flags & (ENDPOINT_MINTS_NODE | ENDPOINT_MINTS_CLIENT)) != 0)
			assert_non_null(
				json_field_find(rpc->output, "mintSubject", JSON_MESSAGE_INTERNAL));
	}
}

static void
test_no_two_rows_are_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < gateway_endpoints_n; i++) {
		for (size_t j = 0; j < i; j++)
			assert_false(
				strcmp(gateway_endpoints[i].path, gateway_endpoints[j].path) == 0 &&
				strcmp(gateway_endpoints[i].method, gateway_endpoints[j].method) ==
					0);
	}
}

static void
test_a_path_gives_its_row_and_parameters(void **state)
{
	(void)state;
	assert_int_equal(find("POST", "/api/v1/nodes/n1/heartbeat?x=1"), 0);
	assert_string_equal(match.endpoint->rpc, "Heartbeat");
	assert_int_equal(match.parameters_n, 1);
	assert_memory_equal(match.parameters[0].name, "nodeId", match.parameters[0].name_bytes);
	assert_int_equal(match.parameters[0].name_bytes, 6);
	assert_string_equal(match.parameters[0].value, "n1");
	assert_int_equal(find("POST", "/api/v1/nodes/register"), 0);
	assert_string_equal(match.endpoint->rpc, "RegisterNode");
	assert_int_equal(find("HEAD", "/api/v1/nodes"), 0);
	assert_string_equal(match.endpoint->rpc, "ListNodes");
}

static void
test_probes_are_there_without_the_base_path_and_nothing_else_is(void **state)
{
	(void)state;
	assert_int_equal(find("GET", "/health"), 0);
	assert_int_equal(find("GET", "/health/ready"), 0);
	assert_int_equal(find("GET", "/health/live"), 0);
	assert_int_equal(find("GET", "/api/v1/health/live"), 0);
	assert_int_equal(find("GET", "/nodes"), -ENOENT);
	assert_int_equal(find("GET", "/openapi.json"), -ENOENT);
	assert_int_equal(find("GET", "/api/v2/health"), -ENOENT);
	assert_int_equal(find("GET", "/api"), -ENOENT);
	assert_int_equal(find("GET", "/api/v1/nodes/a/b"), -ENOENT);
	/* Prometheus's page stands alone there; below the base path nodes post their own. */
	assert_int_equal(find("GET", "/metrics"), 0);
	assert_string_equal(match.endpoint->rpc, "Exposition");
	assert_int_equal(find("POST", "/metrics"), -EPERM);
	assert_int_equal(find("POST", "/api/v1/metrics"), 0);
}

static void
test_another_method_is_told_which_there_are(void **state)
{
	(void)state;
	assert_int_equal(find("PUT", "/api/v1/nodes/n1"), -EPERM);
	assert_string_equal(allow, "GET, HEAD, DELETE, OPTIONS");
	assert_int_equal(find("POST", "/health"), -EPERM);
	assert_string_equal(allow, "GET, HEAD, OPTIONS");
	assert_int_equal(find("get", "/health"), -EPERM);
	assert_int_equal(find("GET", "/api/v1/metrics"), -EPERM);
	assert_string_equal(allow, "POST, OPTIONS");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_names_an_rpc_that_there_is_or_is_answered_here),
		cmocka_unit_test(test_rows_that_need_fields_of_the_bus_have_them),
		cmocka_unit_test(test_no_two_rows_are_the_same),
		cmocka_unit_test(test_a_path_gives_its_row_and_parameters),
		cmocka_unit_test(test_probes_are_there_without_the_base_path_and_nothing_else_is),
		cmocka_unit_test(test_another_method_is_told_which_there_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
