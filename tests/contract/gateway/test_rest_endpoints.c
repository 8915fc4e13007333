/*
 * The REST API with the real discovery and turn behind it: enrolment by proof, tokens, who may do
 * what (P01 to P03; R47 to R91).
 */
#include "gateway_rig_node.h"
#include "gateway_rig_one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_BYTES = RIG_TEXT_BYTES };

static int
start(void **state)
{
	(void)state;
	return rig_one_start("rate_general = 1000000\nrate_enrolment = 1000000\nrate_heartbeat = "
			     "1000000\n"
			     "cors_origins = https://dashboard.example, https://other.example",
			     false, RIG_SOME);
}

static const struct rig_answer *
on_node(const char *method, const char *id, const char *tail, const char *bearer, const char *json)
{
	char target[256];
	snprintf(target, sizeof(target), "/api/v1/nodes/%s%s", id, tail);
	return rig_request(&rig, method, target, bearer, NULL, json);
}

static void
assert_error(const struct rig_answer *answer, int status, const char *code)
{
	if (answer->status != status)
		print_message("%s\n", answer->body);
	assert_int_equal(answer->status, status);
	assert_string_equal(rig_member(answer, "error.code"), code);
}

static void
test_health_tells_of_each_service(void **state)
{
	(void)state;
	const struct rig_answer *answer =
		rig_request(&rig, "GET", "/api/v1/health", NULL, NULL, NULL);
	/* Without routing the main job cannot be done. */
	assert_int_equal(answer->status, 503);
	assert_string_equal(rig_member(answer, "status"), "unhealthy");
	assert_string_equal(rig_member(answer, "services.discovery.status"), "healthy");
	assert_non_null(rig_member(answer, "services.discovery.latency"));
	assert_string_equal(rig_member(answer, "services.routing.status"), "unhealthy");
	assert_non_null(rig_member(answer, "timestamp"));
	assert_non_null(rig_member(answer, "uptime"));
	assert_non_null(rig_member(answer, "version"));
	assert_string_equal(rig_member(answer, "services.database.status"), "healthy");
	assert_string_equal(rig_member(answer, "services.cache.status"), "healthy");
	assert_int_equal(rig_request(&rig, "GET", "/health/live", NULL, NULL, NULL)->status, 200);
	assert_int_equal(rig_request(&rig, "GET", "/health/ready", NULL, NULL, NULL)->status, 503);
	assert_int_equal(rig_request(&rig, "HEAD", "/health/live", NULL, NULL, NULL)->status, 200);
}

static void
test_openapi_describes_the_api(void **state)
{
	(void)state;
	const struct rig_answer *answer =
		rig_request(&rig, "GET", "/api/v1/openapi.json", NULL, NULL, NULL);
	assert_int_equal(answer->status, 200);
	assert_string_equal(rig_member(answer, "openapi"), "3.0.3");
	assert_non_null(strstr(answer->body, "\"/nodes/{nodeId}/heartbeat\""));
}

static void
test_a_node_enrols_heartbeats_and_is_found(void **state)
{
	(void)state;
	static struct rig_node node;
	rig_node_make(&node);
	const struct rig_answer *answer =
		rig_node_register(&rig, &node, rig_bearer(&rig, "node.key"), "");
	assert_int_equal(answer->status, 201);
	assert_string_equal(rig_member(answer, "nodeId"), node.id_text);
	assert_string_equal(rig_member(answer, "status"), "registered");
	assert_non_null(rig_member(answer, "relayTicket"));
	assert_true(strtoll(rig_member(answer, "expiresAt"), NULL, 10) > 1700000000000);
	assert_null(rig_member(answer, "mintSubject"));
	assert_null(rig_member(answer, "created"));
	snprintf(node.bearer, sizeof(node.bearer), "Bearer %s", rig_member(answer, "sessionToken"));

	answer = on_node("POST", node.id_text, "/heartbeat", node.bearer,
			 "{\"status\":\"online\",\"metrics\":{\"cpuUsage\":12.5}}");
	assert_int_equal(answer->status, 200);
	assert_string_equal(rig_member(answer, "status"), "ok");
	assert_non_null(rig_member(answer, "nextHeartbeat"));
	assert_string_equal(rig_member(answer, "actions"), "[]");

	answer = on_node("GET", node.id_text, "", rig_bearer(&rig, "client.key"), NULL);
	assert_int_equal(answer->status, 200);
	assert_string_equal(rig_member(answer, "publicKey"), node.key_text);
	assert_string_equal(rig_member(answer, "status"), "online");

	/* Known already: 200. Its own proof is enough, no key is needed. */
	answer = rig_node_register(&rig, &node, NULL, "");
	assert_int_equal(answer->status, 200);

	answer = on_node("DELETE", node.id_text, "", node.bearer, NULL);
	assert_int_equal(answer->status, 204);
	assert_string_equal(answer->body, "");
	assert_error(on_node("GET", node.id_text, "", rig_bearer(&rig, "client.key"), NULL), 404,
		     "node_unknown");
}

static void
test_without_the_enrolment_key_a_new_node_is_turned_away(void **state)
{
	(void)state;
	static struct rig_node node, other;
	rig_node_make(&node);
	assert_error(rig_node_register(&rig, &node, NULL, ""), 401, "enrolment");
	/* Nor does any other credential do, a node's own token among them. */
	assert_error(rig_node_register(&rig, &node, rig_bearer(&rig, "client.key"), ""), 401,
		     "enrolment");
	assert_error(rig_node_register(&rig, &node, rig_bearer(&rig, "admin.key"), ""), 401,
		     "enrolment");
	rig_node_enrol(&rig, &other);
	assert_error(rig_node_register(&rig, &node, other.bearer, ""), 401, "enrolment");
}

static void
test_R47_R59_R61_R63_bad_fields_are_told_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *member, *code, *field;
	} rows[] = {
		{ ",\"networkInfo\":{\"localPort\":0}", "field", "networkInfo.localPort" },
		{ ",\"networkInfo\":{\"localPort\":65536}", "field", "networkInfo.localPort" },
		{ ",\"networkInfo\":{\"localPort\":-1}", "range", "networkInfo.localPort" },
		{ ",\"networkInfo\":{\"localPort\":\"51820\"}", "field", "networkInfo.localPort" },
		{ ",\"networkInfo\":{\"localPort\":51820.5}", "field", "networkInfo.localPort" },
		{ ",\"networkInfo\":{\"ipv4\":\"127.0.0.1\"}", "address", "networkInfo.ipv4" },
		{ ",\"networkInfo\":{\"ipv4\":\"169.254.169.254\"}", "address",
		  "networkInfo.ipv4" },
		{ ",\"location\":{\"country\":\"USA\"}", "field", "location.country" },
		{ ",\"location\":{\"country\":\"U\\u0001\"}", "field", "location.country" },
		{ ",\"heartbeatInterval\":9", "range", "heartbeatInterval" },
		{ ",\"heartbeatInterval\":301", "range", "heartbeatInterval" },
	};
	static struct rig_node node;
	rig_node_make(&node);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct rig_answer *answer = rig_node_register(
			&rig, &node, rig_bearer(&rig, "node.key"), rows[i].member);
		assert_error(answer, 400, rows[i].code);
		assert_string_equal(rig_member(answer, "error.field"), rows[i].field);
	}
	/* Of 31 and 33 bytes, url-safe, with a line's end; and none. */
	char with_newline[KEY_TEXT_BYTES + 2];
	snprintf(with_newline, sizeof(with_newline), "%s\\n", node.key_text);
	const char *const keys[] = { "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
				     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
				     "_-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
				     with_newline,
				     "AAAA",
				     "" };
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char json[TEXT_BYTES];
		snprintf(json, sizeof(json),
			 "{\"nodeId\":\"%s\",\"publicKey\":\"%s\",\"role\":\"node\"}", node.id_text,
			 keys[i]);
		const struct rig_answer *answer =
			rig_request(&rig, "POST", "/api/v1/nodes/challenge", NULL, NULL, json);
		assert_error(answer, 400, "field");
		assert_string_equal(rig_member(answer, "error.field"), "publicKey");
	}
}

static void
test_R49_P01_neither_id_nor_key_of_another_can_be_taken(void **state)
{
	(void)state;
	static struct rig_node first, thief;
	rig_node_enrol(&rig, &first);
	rig_node_make(&thief);
	memcpy(thief.id, first.id, sizeof(thief.id));
	memcpy(thief.id_text, first.id_text, sizeof(thief.id_text));
	assert_error(rig_node_register(&rig, &thief, rig_bearer(&rig, "node.key"), ""), 409,
		     "identity_in_use");
	const struct rig_answer *answer = on_node("GET", first.id_text, "", first.bearer, NULL);
	assert_string_equal(rig_member(answer, "publicKey"), first.key_text);

	rig_node_make(&thief);
	thief.private_key = first.private_key;
	memcpy(thief.key_text, first.key_text, sizeof(thief.key_text));
	thief.public_key = first.public_key;
	assert_error(rig_node_register(&rig, &thief, rig_bearer(&rig, "node.key"), ""), 409,
		     "key_in_use");
}

static void
test_R51_R55_without_the_right_proof_it_is_401_and_all_alike(void **state)
{
	(void)state;
	static struct rig_node node, other;
	char json[TEXT_BYTES], header[TEXT_BYTES], bearer[TEXT_BYTES];
	struct proof_challenge challenge;
	rig_node_make(&node);
	rig_node_make(&other);
	snprintf(bearer, sizeof(bearer), "%s", rig_bearer(&rig, "node.key"));
	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"publicKey\":\"%s\"}", node.id_text,
		 node.key_text);
	const char *target = "/api/v1/nodes/register";
	assert_error(rig_request(&rig, "POST", target, bearer, NULL, json), 401, "challenge");
	assert_error(rig_request(&rig, "POST", target, bearer, "Higgs-Proof: x\r\n", json), 401,
		     "challenge");
	/* Of another body. */
	rig_node_challenge(&rig, &node, &challenge);
	rig_node_proof(&node, &challenge, "{}", header);
	assert_error(rig_request(&rig, "POST", target, bearer, header, json), 401, "challenge");
	/* Of another node. */
	rig_node_challenge(&rig, &other, &challenge);
	rig_node_proof(&other, &challenge, json, header);
	assert_error(rig_request(&rig, "POST", target, bearer, header, json), 401, "challenge");
	/* A second time. */
	rig_node_challenge(&rig, &node, &challenge);
	rig_node_proof(&node, &challenge, json, header);
	assert_int_equal(rig_request(&rig, "POST", target, bearer, header, json)->status, 201);
	assert_error(rig_request(&rig, "POST", target, bearer, header, json), 401, "challenge");
}

static void
test_R65_R67_R71_what_is_no_good_credential_is_401(void **state)
{
	(void)state;
	const char *const bearers[] = {
		NULL,
		"Basic eDp5",
		"Bearer ",
		"Bearer x",
		"Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhIn0.",
		"Bearer eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhIn0.AAAA",
		"Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhIn0.AAAA",
		"Bearer "
		"eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uL2V0Yy9wYXNzd2QifQ.eyJzdWIiOiJhIn0.AAAA",
	};
	for (size_t i = 0; i < sizeof(bearers) / sizeof(bearers[0]); i++) {
		const struct rig_answer *answer =
			rig_request(&rig, "GET", "/api/v1/nodes", bearers[i], NULL, NULL);
		assert_error(answer, 401, "token");
		assert_string_equal(rig_header(answer, "WWW-Authenticate"), "Bearer");
	}
	static struct rig_node node;
	rig_node_enrol(&rig, &node);
	node.bearer[strlen(node.bearer) - 3] ^= 1;
	assert_error(on_node("POST", node.id_text, "/heartbeat", node.bearer, "{}"), 401, "token");
	/* P02: a Bearer that merely exists. */
	assert_error(on_node("DELETE", node.id_text, "", "Bearer anything", NULL), 401, "token");
}

static void
test_R73_a_token_of_one_node_does_nothing_to_another(void **state)
{
	(void)state;
	static struct rig_node a, b;
	rig_node_enrol(&rig, &a);
	rig_node_enrol(&rig, &b);
	assert_error(on_node("POST", b.id_text, "/heartbeat", a.bearer, "{\"status\":\"offline\"}"),
		     403, "role");
	assert_error(on_node("DELETE", b.id_text, "", a.bearer, NULL), 403, "role");
	/* The path counts, whatever the body says. */
	char json[TEXT_BYTES];
	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"status\":\"offline\"}", b.id_text);
	assert_int_equal(on_node("POST", a.id_text, "/heartbeat", a.bearer, json)->status, 200);
	assert_int_equal(on_node("GET", b.id_text, "", a.bearer, NULL)->status, 200);
	const struct rig_answer *answer = on_node("GET", b.id_text, "", a.bearer, NULL);
	assert_string_not_equal(rig_member(answer, "status"), "offline");
}

static void
test_R79_metrics_for_another_node_are_403(void **state)
{
	(void)state;
	static struct rig_node a, b;
	char json[TEXT_BYTES];
	rig_node_enrol(&rig, &a);
	rig_node_make(&b);
	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"timestamp\":1}", b.id_text);
	assert_error(rig_request(&rig, "POST", "/api/v1/metrics", a.bearer, NULL, json), 403,
		     "role");
	const struct rig_answer *answer =
		rig_request(&rig, "POST", "/api/v1/metrics", a.bearer, NULL, "{\"timestamp\":1}");
	assert_error(answer, 400, "field");
	assert_string_equal(rig_member(answer, "error.field"), "nodeId");
}

static void
test_roles_open_their_own_doors_only(void **state)
{
	(void)state;
	static struct rig_node node;
	rig_node_enrol(&rig, &node);
	const char *route = "{\"clientId\":\"5f0c0c0c-0000-4000-8000-000000000001\"}";
	assert_error(rig_request(&rig, "POST", "/api/v1/routing/request", node.bearer, NULL, route),
		     403, "role");
	assert_error(rig_request(&rig, "POST", "/api/v1/routing/request",
				 rig_bearer(&rig, "node.key"), NULL, route),
		     403, "role");
	assert_error(
		on_node("POST", node.id_text, "/heartbeat", rig_bearer(&rig, "client.key"), "{}"),
		403, "role");
	assert_error(
		on_node("POST", node.id_text, "/heartbeat", rig_bearer(&rig, "node.key"), "{}"),
		403, "role");
	assert_error(on_node("DELETE", node.id_text, "", rig_bearer(&rig, "client.key"), NULL), 403,
		     "role");
	assert_int_equal(
		on_node("DELETE", node.id_text, "", rig_bearer(&rig, "admin.key"), NULL)->status,
		204);
}

/* It is handed to whoever may bring a node: no node yet, and no client. */
static void
test_the_enrolment_key_opens_no_other_door(void **state)
{
	(void)state;
	static struct rig_node node;
	rig_node_enrol(&rig, &node);
	const char *const targets[] = { "/api/v1/nodes", "/api/v1/turn/servers",
					"/api/v1/turn/stun", "/api/v1/turn/ice" };
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		assert_error(rig_request(&rig, "GET", targets[i], rig_bearer(&rig, "node.key"),
					 NULL, NULL),
			     403, "role");
	assert_error(on_node("GET", node.id_text, "", rig_bearer(&rig, "node.key"), NULL), 403,
		     "role");
	assert_error(on_node("DELETE", node.id_text, "", rig_bearer(&rig, "node.key"), NULL), 403,
		     "role");
	assert_error(rig_request(&rig, "POST", "/api/v1/metrics", rig_bearer(&rig, "node.key"),
				 NULL, "{\"nodeId\":\"enrol\",\"timestamp\":1}"),
		     403, "role");
}

/* Fields from 100 up are the bus's: a body that claims them changes nothing. */
static void
test_a_caller_in_the_body_is_not_believed(void **state)
{
	(void)state;
	static struct rig_node node;
	rig_node_make(&node);
	assert_error(rig_node_register(&rig, &node, NULL,
				       ",\"caller\":{\"role\":\"NODE\",\"subject\":\"enrol\"}"),
		     401, "enrolment");
	assert_error(rig_request(&rig, "GET", "/api/v1/nodes?caller=ADMIN", NULL, NULL, NULL), 401,
		     "token");
}

static void
test_R87_P03_the_list_shows_no_token_and_no_private_address(void **state)
{
	(void)state;
	static struct rig_node node;
	char bearer[TEXT_BYTES];
	rig_node_make(&node);
	snprintf(bearer, sizeof(bearer), "%s", rig_bearer(&rig, "node.key"));
	assert_int_equal(
		rig_node_register(&rig, &node, bearer, ",\"networkInfo\":{\"localPort\":51820}")
			->status,
		201);
	const struct rig_answer *answer = rig_request(&rig, "GET", "/api/v1/nodes?limit=200",
						      rig_bearer(&rig, "client.key"), NULL, NULL);
	assert_int_equal(answer->status, 200);
	assert_non_null(strstr(answer->body, node.id_text));
	const char *const secrets[] = { "oken",	       "icket",	 "192.168.", "127.0.0.1",
					"\"version\"", "rivate", "proof" };
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		assert_null(strstr(answer->body, secrets[i]));
}

static void
test_query_parameters_are_checked_by_type(void **state)
{
	(void)state;
	char bearer[TEXT_BYTES];
	snprintf(bearer, sizeof(bearer), "%s", rig_bearer(&rig, "client.key"));
	static struct rig_node node;
	rig_node_enrol(&rig, &node);
	const struct rig_answer *answer =
		rig_request(&rig, "GET", "/api/v1/nodes?limit=1&unheard=of", bearer, NULL, NULL);
	assert_int_equal(answer->status, 200);
	assert_string_equal(rig_member(answer, "count"), "1");
	const char *const bad[] = { "limit=x", "limit=", "limit=1.5", "limit=%2B1" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char target[128];
		snprintf(target, sizeof(target), "/api/v1/nodes?%s", bad[i]);
		answer = rig_request(&rig, "GET", target, bearer, NULL, NULL);
		assert_error(answer, 400, "field");
		assert_string_equal(rig_member(answer, "error.field"), "limit");
	}
	assert_int_equal(
		rig_request(&rig, "GET", "/api/v1/nodes?limit=1&limit=2", bearer, NULL, NULL)
			->status,
		400);
}

static void
test_a_service_that_is_away_is_503_with_retry_after(void **state)
{
	(void)state;
	const struct rig_answer *answer =
		rig_request(&rig, "POST", "/api/v1/routing/request", rig_bearer(&rig, "client.key"),
			    NULL, "{\"clientId\":\"5f0c0c0c-0000-4000-8000-000000000001\"}");
	assert_int_equal(answer->status, 503);
	assert_non_null(rig_header(answer, "Retry-After"));
	assert_int_equal(strlen(rig_member(answer, "error.requestId")), 32);
}

static void
test_turn_is_for_who_has_a_credential(void **state)
{
	(void)state;
	const struct rig_answer *answer =
		rig_request(&rig, "GET", "/api/v1/turn/servers", NULL, NULL, NULL);
	assert_error(answer, 401, "token");
	answer = rig_request(&rig, "GET", "/api/v1/turn/stun", rig_bearer(&rig, "client.key"), NULL,
			     NULL);
	assert_true(answer->status == 200 || answer->status == 503);
}

static void
test_R91_P12_other_origins_are_told_nothing(void **state)
{
	(void)state;
	const char *preflight = "Origin: https://evil\r\nAccess-Control-Request-Method: POST\r\n";
	const struct rig_answer *answer =
		rig_request(&rig, "OPTIONS", "/api/v1/nodes", NULL, preflight, NULL);
	assert_int_equal(answer->status, 204);
	assert_null(rig_header(answer, "Access-Control-Allow-Origin"));
	assert_null(rig_header(answer, "Access-Control-Allow-Credentials"));
	answer = rig_request(&rig, "GET", "/health", NULL, "Origin: https://evil\r\n", NULL);
	assert_null(rig_header(answer, "Access-Control-Allow-Origin"));
	answer = rig_request(&rig, "GET", "/health", NULL, "Origin: null\r\n", NULL);
	assert_null(rig_header(answer, "Access-Control-Allow-Origin"));

	answer = rig_request(&rig, "OPTIONS", "/api/v1/nodes", NULL,
			     "Origin: https://other.example\r\nAccess-Control-Request-Method: "
			     "GET\r\n",
			     NULL);
	assert_int_equal(answer->status, 204);
	assert_string_equal(rig_header(answer, "Access-Control-Allow-Origin"),
			    "https://other.example");
	assert_null(rig_header(answer, "Access-Control-Allow-Credentials"));
	assert_string_equal(rig_header(answer, "Vary"), "Origin");
	assert_int_equal(rig_request(&rig, "OPTIONS", "/nothing", NULL, NULL, NULL)->status, 404);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_health_tells_of_each_service),
		cmocka_unit_test(test_openapi_describes_the_api),
		cmocka_unit_test(test_a_node_enrols_heartbeats_and_is_found),
		cmocka_unit_test(test_without_the_enrolment_key_a_new_node_is_turned_away),
		cmocka_unit_test(test_R47_R59_R61_R63_bad_fields_are_told_by_name),
		cmocka_unit_test(test_R49_P01_neither_id_nor_key_of_another_can_be_taken),
		cmocka_unit_test(test_R51_R55_without_the_right_proof_it_is_401_and_all_alike),
		cmocka_unit_test(test_R65_R67_R71_what_is_no_good_credential_is_401),
		cmocka_unit_test(test_R73_a_token_of_one_node_does_nothing_to_another),
		cmocka_unit_test(test_R79_metrics_for_another_node_are_403),
		cmocka_unit_test(test_roles_open_their_own_doors_only),
		cmocka_unit_test(test_the_enrolment_key_opens_no_other_door),
		cmocka_unit_test(test_a_caller_in_the_body_is_not_believed),
		cmocka_unit_test(test_R87_P03_the_list_shows_no_token_and_no_private_address),
		cmocka_unit_test(test_query_parameters_are_checked_by_type),
		cmocka_unit_test(test_a_service_that_is_away_is_503_with_retry_after),
		cmocka_unit_test(test_turn_is_for_who_has_a_credential),
		cmocka_unit_test(test_R91_P12_other_origins_are_told_nothing),
	};
	return cmocka_run_group_tests(tests, start, rig_one_stop);
}
