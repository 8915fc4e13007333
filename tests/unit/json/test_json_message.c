/*
 * json_message: the mapping of JSON and protobuf-c, both ways, and what it refuses (T11, P13; the
 * rows of the REST list that are about JSON).
 */
#include "json/json_message.h"

#include "discovery.pb-c.h"
#include "link.pb-c.h"
#include "metrics.pb-c.h"
#include "routing.pb-c.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char fault_field[JSON_FIELD_BYTES];

static int
read_as(const ProtobufCMessageDescriptor *type, const char *json, void *ret_message)
{
	return json_message_read(type, json, strlen(json), 0, ret_message, fault_field);
}

/* How reading ends when nothing is to come of it. */
static int
refusal(const ProtobufCMessageDescriptor *type, const char *json)
{
	ProtobufCMessage *message = NULL;
	int r = read_as(type, json, &message);
	if (r == 0)
		protobuf_c_message_free_unpacked(message, NULL);
	return r;
}

#define REGISTER (&boson__discovery__register_request__descriptor)
#define ROUTE	 (&boson__routing__route_request__descriptor)

static void
assert_writes(const void *message, unsigned int flags, const char *expected)
{
	struct json_text text = { 0 };
	json_message_write(&text, message, flags);
	assert_false(json_text_failed(&text));
	assert_string_equal(text.bytes, expected);
	json_text_fini(&text);
}

static void
test_a_registration_is_read_with_all_its_parts(void **state)
{
	(void)state;
	Boson__Discovery__RegisterRequest *m = NULL;
	assert_int_equal(
		read_as(REGISTER,
			"{\"nodeId\":\"n\",\"networkInfo\":{\"natType\":\"FullCone\",\"localPort\":"
			"51820},\"capabilities\":{\"bandwidth\":{\"up\":1.5,\"down\":2},"
			"\"natting\":"
			"true},\"location\":{\"coordinates\":[52.5,-13]},\"heartbeatInterval\":30}",
			&m),
		0);
	assert_string_equal(m->node_id, "n");
	assert_int_equal(m->network_info->nat_type,
			 BOSON__DISCOVERY__NETWORK_INFO__NAT_TYPE__FullCone);
	assert_int_equal(m->network_info->local_port, 51820);
	assert_true(m->capabilities->bandwidth->up > 1.4 && m->capabilities->bandwidth->up < 1.6);
	assert_true(m->capabilities->bandwidth->has_down);
	assert_true(m->capabilities->has_natting && m->capabilities->natting);
	assert_false(m->capabilities->has_routing);
	assert_int_equal(m->location->n_coordinates, 2);
	assert_int_equal(m->heartbeat_interval, 30);
	protobuf_c_message_free_unpacked(&m->base, NULL);
}

static void
test_what_is_written_is_read_back_the_same(void **state)
{
	(void)state;
	const char *json = "{\"nodeId\":\"n\",\"timestamp\":1767225600000,\"metrics\":{\"system\":{"
			   "\"cpuUsage\":12.5,\"loadAverage\":[0.1,0.2,0.3]},\"wireguard\":{"
			   "\"bytes\":{\"sent\":9007199254740993,\"received\":0}}}}";
	ProtobufCMessage *m = NULL;
	assert_int_equal(read_as(&boson__metrics__sample__descriptor, json, &m), 0);
	assert_writes(m, 0, json);
	protobuf_c_message_free_unpacked(m, NULL);
}

static void
test_an_acronym_keeps_its_capitals(void **state)
{
	(void)state;
	Boson__Routing__WireguardConfig config = BOSON__ROUTING__WIREGUARD_CONFIG__INIT;
	char *list[] = { "0.0.0.0/0", "::/0" };
	config.allowed_i_ps = list;
	config.n_allowed_i_ps = 2;
	assert_writes(&config, 0, "{\"dns\":[],\"allowedIPs\":[\"0.0.0.0/0\",\"::/0\"]}");
}

static void
test_empty_lists_are_shown_at_the_top_only(void **state)
{
	(void)state;
	Boson__Discovery__ListNodesReply reply = BOSON__DISCOVERY__LIST_NODES_REPLY__INIT;
	assert_writes(&reply, 0, "{\"nodes\":[]}");
	Boson__Discovery__Node node = BOSON__DISCOVERY__NODE__INIT;
	Boson__Common__Location location = BOSON__COMMON__LOCATION__INIT;
	node.location = &location;
	assert_writes(&node, 0, "{\"location\":{}}");
}

static void
test_enums_go_by_name(void **state)
{
	(void)state;
	Boson__Routing__Route route = BOSON__ROUTING__ROUTE__INIT;
	route.has_type = 1;
	route.type = BOSON__ROUTING__ROUTE__TYPE__cascade;
	assert_writes(&route, 0, "{\"type\":\"cascade\",\"path\":[]}");
	assert_int_equal(refusal(REGISTER, "{\"networkInfo\":{\"natType\":\"Round\"}}"), -EINVAL);
	assert_string_equal(fault_field, "networkInfo.natType");
	assert_int_equal(refusal(REGISTER, "{\"networkInfo\":{\"natType\":1}}"), -EINVAL);
}

/* A caller who writes the bus's own fields into a body must not become somebody. */
static void
test_internal_fields_are_neither_read_nor_shown(void **state)
{
	(void)state;
	Boson__Discovery__RegisterRequest *m = NULL;
	assert_int_equal(read_as(REGISTER,
				 "{\"caller\":{\"role\":\"ADMIN\"},\"proof\":\"p\",\"bodySha256\":"
				 "\"AAAA\",\"nodeId\":\"n\"}",
				 &m),
			 0);
	assert_null(m->caller);
	assert_null(m->proof);
	assert_false(m->has_body_sha256);
	m->proof = strdup("secret");
	assert_writes(m, 0, "{\"nodeId\":\"n\"}");
	assert_writes(m, JSON_MESSAGE_INTERNAL, "{\"nodeId\":\"n\",\"proof\":\"secret\"}");
	assert_int_equal(json_message_set(&m->base, "proof", "x"), -ENOENT);
	protobuf_c_message_free_unpacked(&m->base, NULL);
}

static void
test_an_operator_may_read_and_write_internal_fields(void **state)
{
	(void)state;
	const char *json = "{\"caller\":{\"role\":\"ADMIN\"},\"bodySha256\":\"AQID\"}";
	Boson__Discovery__RegisterRequest *m = NULL;
	assert_int_equal(json_message_read(REGISTER, json, strlen(json), JSON_MESSAGE_INTERNAL,
					   (ProtobufCMessage **)&m, fault_field),
			 0);
	assert_int_equal(m->caller->role, BOSON__COMMON__CALLER__ROLE__ADMIN);
	assert_int_equal(m->body_sha256.len, 3);
	assert_writes(m, JSON_MESSAGE_INTERNAL, json);
	protobuf_c_message_free_unpacked(&m->base, NULL);
}

static void
test_one_of_a_choice_is_taken_and_two_are_refused(void **state)
{
	(void)state;
	const ProtobufCMessageDescriptor *type = &boson__link__control__descriptor;
	Boson__Link__Control *m = NULL;
	const char *json = "{\"channelOpen\":{\"channel\":7}}";
	assert_int_equal(read_as(type, json, &m), 0);
	assert_int_equal(m->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN);
	assert_writes(m, 0, json);
	protobuf_c_message_free_unpacked(&m->base, NULL);
	assert_int_equal(refusal(type, "{\"channelOpen\":{},\"channelClose\":{}}"), -EINVAL);
}

static void
test_unknown_members_and_nulls_are_passed_over(void **state)
{
	(void)state;
	Boson__Routing__RouteRequest *m = NULL;
	assert_int_equal(
		read_as(ROUTE, "{\"clientId\":null,\"client_id\":\"x\",\"new\":{\"a\":[]}}", &m),
		0);
	assert_null(m->client_id);
	protobuf_c_message_free_unpacked(&m->base, NULL);
}

/* R33, R35, R39, R41 and duplicate members. */
static void
test_what_is_not_json_is_refused(void **state)
{
	(void)state;
	const char *const bad[] = {
		"",
		" ",
		"{",
		"{}garbage",
		"{} {}",
		"[]",
		"7",
		"\"x\"",
		"null",
		"{\"a\":NaN}",
		"{\"a\":Infinity}",
		"{\"a\":1e999}",
		"{\"a\":123456789012345678901234567890}",
		"{\"clientId\":\"a\\u0000b\"}",
		"{\"clientId\":\"\\ud800\"}",
		"{\"clientId\":\"\xff\"}",
		"{\"clientId\":\"a\nb\"}",
		"{\"clientId\":\"a\",\"clientId\":\"b\"}",
		"{\"x\":{\"y\":1,\"y\":1}}",
		"{'clientId':1}",
		"{\"a\":01}",
		"{\"a\":1,}",
		"/* */{}",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int r = refusal(ROUTE, bad[i]);
		if (r != -EBADMSG)
			print_message("not refused as it should be (%d): %s\n", r, bad[i]);
		assert_int_equal(r, -EBADMSG);
	}
	assert_int_equal(
		json_message_read(ROUTE, "{}\0", 3, 0, &(ProtobufCMessage *){ NULL }, fault_field),
		-EBADMSG);
}

/* R37 */
static void
test_nesting_of_32_is_read_and_of_33_is_not(void **state)
{
	(void)state;
	char json[128];
	for (int depth = 32; depth <= 33; depth++) {
		/* {"x":[[...]]} */
		size_t n = (size_t)snprintf(json, sizeof(json), "{\"x\":");
		for (int i = 1; i < depth; i++)
			json[n++] = '[';
		for (int i = 1; i < depth; i++)
			json[n++] = ']';
		json[n++] = '}';
		json[n] = '\0';
		assert_int_equal(refusal(ROUTE, json), depth == 32 ? 0 : -ELOOP);
	}
	assert_int_equal(
		refusal(ROUTE, "{\"clientId\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"}"), 0);
}

/* R43, R59 */
static void
test_a_wrong_type_is_refused_with_the_field_in_camel_case(void **state)
{
	(void)state;
	static const struct {
		const char *json, *field;
		int r;
	} rows[] = {
		{ "{\"nodeId\":7}", "nodeId", -EINVAL },
		{ "{\"nodeId\":{}}", "nodeId", -EINVAL },
		{ "{\"networkInfo\":[]}", "networkInfo", -EINVAL },
		{ "{\"networkInfo\":{\"localPort\":\"51820\"}}", "networkInfo.localPort", -EINVAL },
		{ "{\"networkInfo\":{\"localPort\":51820.5}}", "networkInfo.localPort", -EINVAL },
		{ "{\"networkInfo\":{\"localPort\":51820.0}}", "networkInfo.localPort", -EINVAL },
		{ "{\"networkInfo\":{\"localPort\":-1}}", "networkInfo.localPort", -ERANGE },
		{ "{\"networkInfo\":{\"localPort\":4294967296}}", "networkInfo.localPort",
		  -ERANGE },
		{ "{\"capabilities\":{\"natting\":1}}", "capabilities.natting", -EINVAL },
		{ "{\"capabilities\":{\"bandwidth\":{\"up\":\"1\"}}}", "capabilities.bandwidth.up",
		  -EINVAL },
		{ "{\"location\":{\"coordinates\":[1,null]}}", "location.coordinates[1]", -EINVAL },
		{ "{\"location\":{\"coordinates\":{}}}", "location.coordinates", -EINVAL },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(refusal(REGISTER, rows[i].json), rows[i].r);
		assert_string_equal(fault_field, rows[i].field);
	}
}

static void
test_more_list_items_than_the_bus_takes_are_refused(void **state)
{
	(void)state;
	char json[8192];
	for (size_t items = JSON_ELEMENTS_MAX; items <= JSON_ELEMENTS_MAX + 1; items++) {
		size_t n =
			(size_t)snprintf(json, sizeof(json), "{\"location\":{\"coordinates\":[0");
		for (size_t i = 1; i < items; i++)
			n += (size_t)snprintf(json + n, sizeof(json) - n, ",0");
		snprintf(json + n, sizeof(json) - n, "]}}");
		assert_int_equal(refusal(REGISTER, json), items == JSON_ELEMENTS_MAX ? 0 : -E2BIG);
	}
}

static void
test_parameters_fill_fields_by_their_type(void **state)
{
	(void)state;
	ProtobufCMessage *base =
		json_message_new(&boson__discovery__list_nodes_request__descriptor);
	Boson__Discovery__ListNodesRequest *m = (void *)base;
	assert_int_equal(json_message_set(base, "limit", "20"), 0);
	assert_int_equal(m->limit, 20);
	assert_int_equal(json_message_set(base, "country", "DE"), 0);
	assert_int_equal(json_message_set(base, "country", "FR"), 0);
	assert_string_equal(m->country, "FR");
	assert_int_equal(json_message_set(base, "unheard", "1"), -ENOENT);
	const char *const bad[] = { "",	   " 7",  "7 ",	   "+7",   "0x10",
				    "12x", "1.5", "\"7\"", "null", "[7]" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(json_message_set(base, "limit", bad[i]), -EINVAL);
	assert_int_equal(json_message_set(base, "limit", "-1"), -ERANGE);
	assert_int_equal(json_message_set(base, "limit", "4294967296"), -ERANGE);
	assert_int_equal(m->limit, 20);
	protobuf_c_message_free_unpacked(base, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_registration_is_read_with_all_its_parts),
		cmocka_unit_test(test_what_is_written_is_read_back_the_same),
		cmocka_unit_test(test_an_acronym_keeps_its_capitals),
		cmocka_unit_test(test_empty_lists_are_shown_at_the_top_only),
		cmocka_unit_test(test_enums_go_by_name),
		cmocka_unit_test(test_internal_fields_are_neither_read_nor_shown),
		cmocka_unit_test(test_an_operator_may_read_and_write_internal_fields),
		cmocka_unit_test(test_one_of_a_choice_is_taken_and_two_are_refused),
		cmocka_unit_test(test_unknown_members_and_nulls_are_passed_over),
		cmocka_unit_test(test_what_is_not_json_is_refused),
		cmocka_unit_test(test_nesting_of_32_is_read_and_of_33_is_not),
		cmocka_unit_test(test_a_wrong_type_is_refused_with_the_field_in_camel_case),
		cmocka_unit_test(test_more_list_items_than_the_bus_takes_are_refused),
		cmocka_unit_test(test_parameters_fill_fields_by_their_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
