/*
 * gateway_openapi: the description is JSON, names every row, and shows nothing of the bus's own.
 * gateway_answer: errors keep to their form and size.
 */
#include "gateway/gateway_openapi.h"

#include "gateway/gateway_answer.h"

#include <ctype.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TRACE "0123456789abcdef0123456789abcdef"

static json_t *
describe(void)
{
	char *text = NULL;
	assert_int_equal(gateway_openapi_make(&text), 0);
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	assert_non_null(root);
	return root;
}

static void
test_every_row_is_described(void **state)
{
	(void)state;
	json_t *root = describe();
	size_t described = 0;
	const char *path;
	json_t *operations;
	json_object_foreach(json_object_get(root, "paths"), path, operations) described +=
		json_object_size(operations);
	assert_int_equal(described, gateway_endpoints_n);
	for (size_t i = 0; i < gateway_endpoints_n; i++) {
		char method[8] = "";
		for (size_t c = 0; gateway_endpoints[i].method[c] != '\0'; c++)
			method[c] = (char)tolower((unsigned char)gateway_endpoints[i].method[c]);
		json_t *row = json_object_get(
			json_object_get(json_object_get(root, "paths"), gateway_endpoints[i].path),
			method);
		assert_non_null(row);
		assert_true((gateway_endpoints[i].who == WHO_ANYONE) ==
			    (json_object_get(row, "security") == NULL));
	}
	json_decref(root);
}

static void
check_refs(json_t *components, json_t *value)
{
	const char *name;
	size_t index;
	json_t *item;
	const char *ref = json_string_value(json_object_get(value, "$ref"));
	if (ref != NULL) {
		bool schema = strncmp(ref, "#/components/schemas/", 21) == 0;
		assert_true(schema || strncmp(ref, "#/components/responses/", 23) == 0);
		json_t *kind = json_object_get(components, schema ? "schemas" : "responses");
		assert_non_null(json_object_get(kind, ref + (schema ? 21 : 23)));
	}
	json_object_foreach(value, name, item) check_refs(components, item);
	json_array_foreach(value, index, item) check_refs(components, item);
}

static void
test_every_reference_is_to_a_schema_that_is_there(void **state)
{
	(void)state;
	json_t *root = describe();
	json_t *components = json_object_get(root, "components");
	assert_true(json_object_size(json_object_get(components, "schemas")) > 10);
	check_refs(components, root);
	json_decref(root);
}

static void
test_nothing_of_the_bus_is_shown(void **state)
{
	(void)state;
	char *text = NULL;
	assert_int_equal(gateway_openapi_make(&text), 0);
	assert_null(strstr(text, "\"caller\""));
	assert_null(strstr(text, "mintSubject"));
	assert_null(strstr(text, "bodySha256"));
	assert_null(strstr(text, "Caller"));
	assert_non_null(strstr(text, "\"allowedIPs\""));
	free(text);
}

static void
test_an_error_has_code_message_field_and_request_id(void **state)
{
	(void)state;
	struct gateway_answer answer = { 0 };
	gateway_answer_error(&answer, 400, "field", "networkInfo.localPort", TRACE);
	json_t *root = json_loads(answer.body, 0, NULL);
	json_t *error = json_object_get(root, "error");
	assert_string_equal(json_string_value(json_object_get(error, "code")), "field");
	assert_string_equal(json_string_value(json_object_get(error, "field")),
			    "networkInfo.localPort");
	assert_string_equal(json_string_value(json_object_get(error, "requestId")), TRACE);
	assert_true(strlen(json_string_value(json_object_get(error, "message"))) > 0);
	json_decref(root);
	gateway_answer_fini(&answer);
}

static void
test_each_bus_status_has_its_http_status(void **state)
{
	(void)state;
	static const struct {
		enum bus_status status;
		int http;
		bool retries;
	} rows[] = {
		{ BUS_INVALID, 400, false },   { BUS_UNAUTHENTICATED, 401, false },
		{ BUS_FORBIDDEN, 403, false }, { BUS_NOT_FOUND, 404, false },
		{ BUS_CONFLICT, 409, false },  { BUS_TOO_LARGE, 413, false },
		{ BUS_LIMITED, 429, true },    { BUS_UNAVAILABLE, 503, true },
		{ BUS_DEADLINE, 503, true },   { BUS_INTERNAL, 500, false },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gateway_answer answer = { 0 };
		struct bus_result result = { .status = rows[i].status };
		gateway_answer_result(&answer, &result, TRACE);
		assert_int_equal(answer.status, rows[i].http);
		assert_true((answer.retry_after_sec > 0) == rows[i].retries);
		assert_true(answer.body_bytes > 0 && answer.body_bytes <= GATEWAY_ERROR_MAX_BYTES);
		gateway_answer_fini(&answer);
	}
	struct gateway_answer answer = { 0 };
	struct bus_result result = { .status = BUS_LIMITED, .retry_after_sec = 7 };
	gateway_answer_result(&answer, &result, TRACE);
	assert_int_equal(answer.retry_after_sec, 7);
	gateway_answer_fini(&answer);
}

static void
test_the_longest_error_fits_into_1_kib(void **state)
{
	(void)state;
	struct bus_result result = { .status = BUS_INTERNAL };
	memset(result.code, '\x01', sizeof(result.code) - 1);
	memset(result.field, '\xff', sizeof(result.field) - 1);
	struct gateway_answer answer = { 0 };
	gateway_answer_result(&answer, &result, TRACE);
	assert_non_null(answer.body);
	assert_true(answer.body_bytes <= GATEWAY_ERROR_MAX_BYTES);
	gateway_answer_fini(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_described),
		cmocka_unit_test(test_every_reference_is_to_a_schema_that_is_there),
		cmocka_unit_test(test_nothing_of_the_bus_is_shown),
		cmocka_unit_test(test_an_error_has_code_message_field_and_request_id),
		cmocka_unit_test(test_each_bus_status_has_its_http_status),
		cmocka_unit_test(test_the_longest_error_fits_into_1_kib),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
