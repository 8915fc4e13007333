/*
 * F32: what reads and writes bytes, with the n-th allocation refused, for each n: it says so or
 * does without, and gives back what it took (the sanitizers look). And it works when it is asked
 * again.
 */
#include "bus/bus_arena.h"
#include "bus/bus_check.h"
#include "config/config.h"
#include "discovery.pb-c.h"
#include "echo.pb-c.h"
#include "identity/proof.h"
#include "identity/ticket.h"
#include "identity/token.h"
#include "scarce.h"
#include "stun/stun_message.h"
#include "ws/ws_frame.h"
#include "ws/ws_handshake.h"
#include "json/json_message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/boson-scarce-XXXXXX";
static char seed_path[64], public_path[64], config_path[64];

static int
make_files(void **state)
{
	FILE *file;

	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(seed_path, sizeof(seed_path), "%s/seed", folder);
	snprintf(public_path, sizeof(public_path), "%s/public", folder);
	snprintf(config_path, sizeof(config_path), "%s/config", folder);
	file = fopen(config_path, "we");
	if (file == NULL)
		return -1;
	fputs("[relay]\nlisten = 192.0.2.1:443\nlabel = a word # and what it means\n"
	      "networks = 10.0.0.0/8, 192.168.0.0/16\nage = 250ms\n",
	      file);
	return fclose(file);
}

static int
remove_files(void **state)
{
	(void)state;
	(void)unlink(seed_path);
	(void)unlink(public_path);
	(void)unlink(config_path);
	return rmdir(folder);
}

/* ---- WebSocket ---- */

static bool
upgrade(void)
{
	static const char text[] = "GET /leg?x=1 HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n"
				   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
				   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	char accept[WS_ACCEPT_TEXT_BYTES];
	struct ws_request request;
	size_t scanned = 0;

	return ws_handshake_parse((const uint8_t *)text, sizeof(text) - 1, &scanned, &request) ==
		       0 &&
	       ws_accept_write(request.key, accept) == 0 &&
	       strcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0;
}

/* Three masked fragments, which the reader gathers. */
static bool
fragments(void)
{
	uint8_t bytes[3][16] = { { 0x02, 0x83, 0, 0, 0, 0, 'o', 'n', 'e' },
				 { 0x00, 0x83, 0, 0, 0, 0, 't', 'w', 'o' },
				 { 0x80, 0x83, 0, 0, 0, 0, 't', 'r', 'e' } };
	struct ws_reader reader = { 0 };
	struct ws_event event = { 0 };
	bool is_whole;

	for (int i = 0; i < 3 && event.kind != WS_EVENT_FAIL; i++)
		ws_reader_next(&reader, bytes[i], 9, 1000, 0, &event);
	is_whole = event.kind == WS_EVENT_BINARY && event.n == 9 &&
		   memcmp(event.payload, "onetwotre", 9) == 0;
	assert_true(is_whole || event.kind == WS_EVENT_FAIL);
	ws_reader_fini(&reader);
	return is_whole;
}

/* ---- what is signed ---- */

static const struct ticket a_ticket = { .role = TICKET_ROLE_NODE,
					.node_id = { 1, 2, 3 },
					.group = "default",
					.not_before_ms = 1000,
					.expires_at_ms = 100 * 1000 };

static bool
ticket_there_and_back(void)
{
	struct ticket_signer *signer = NULL;
	struct ticket_verifier *verifier = NULL;
	char text[TICKET_TEXT_MAX_BYTES];
	struct ticket read;
	bool is_good = ticket_signer_open(seed_path, public_path, TICKET_ROLE_NODE, &signer) == 0 &&
		       ticket_verifier_open(public_path, public_path, "default", &verifier) == 0 &&
		       ticket_sign(signer, &a_ticket, text) == 0 &&
		       ticket_verify(verifier, text, strlen(text), 2000, &read) == 0;

	if (is_good)
		assert_memory_equal(read.node_id, a_ticket.node_id, UUID_BYTES);
	ticket_signer_free(&signer);
	ticket_verifier_free(&verifier);
	return is_good;
}

static bool
token_there_and_back(void)
{
	static const uint8_t secret[TOKEN_SECRET_BYTES] = { 7 };
	struct token token = { .role = TOKEN_ROLE_CLIENT,
			       .subject = "key:first",
			       .issued_at_ms = 1000,
			       .expires_at_ms = 61 * 1000 };
	char text[TOKEN_TEXT_MAX_BYTES];
	struct token_keys keys;
	struct token read;

	token_keys_init(&keys, secret, NULL);
	return token_mint(&keys, &token, text) == 0 &&
	       token_verify(&keys, text, strlen(text), 2000, &read) == 0 &&
	       strcmp(read.subject, token.subject) == 0;
}

static bool
proof_there_and_back(void)
{
	static const uint8_t secret[32] = { 1 }, id[UUID_BYTES] = { 2 }, digest[32] = { 3 };
	struct key mine, public_half;
	struct proof_challenge challenge;
	char header[PROOF_HEADER_MAX_BYTES];
	uint8_t nonce[PROOF_NONCE_BYTES];

	return key_generate(&mine) == 0 && key_public(&mine, &public_half) == 0 &&
	       proof_challenge_make(secret, id, &public_half, "node", 1000, &challenge) == 0 &&
	       proof_make(&challenge, &mine, id, "node", digest, header) == 0 &&
	       proof_verify(secret, header, id, &public_half, "node", digest, 1500, nonce) == 0;
}

static bool
stun_there_and_back(void)
{
	static const uint8_t transaction[STUN_TRANSACTION_BYTES] = { 9 };
	uint8_t key[STUN_KEY_BYTES];
	struct stun_writer writer;
	struct stun_message read;

	stun_begin(&writer, STUN_REQUEST, STUN_ALLOCATE, transaction);
	stun_put(&writer, STUN_USERNAME, "user", 4);
	return stun_long_term_key("user", "realm", "password", key) == 0 &&
	       stun_finish(&writer, key, sizeof(key)) == 0 &&
	       stun_message_parse(writer.bytes, writer.n, &read) == 0 &&
	       stun_is_authentic(&read, key, sizeof(key));
}

/* ---- messages ---- */

static const char registration[] =
	"{\"nodeId\":\"11111111-1111-4111-8111-111111111111\",\"publicKey\":\"key\","
	"\"networkInfo\":{\"ipv4\":\"192.0.2.1\"},\"capabilities\":{\"maxConnections\":5,"
	"\"bandwidth\":{\"up\":1.5,\"down\":2}},\"location\":{\"country\":\"CH\","
	"\"coordinates\":[47.1,8.5]}}";

static bool
json_there_and_back(void)
{
	char field[JSON_FIELD_BYTES];
	struct json_text text = { 0 };
	ProtobufCMessage *message = NULL;
	int r = json_message_read(&boson__discovery__register_request__descriptor, registration,
				  sizeof(registration) - 1, 0, &message, field);

	assert_true(r == 0 || r == -ENOMEM);
	if (r == 0) {
		const Boson__Discovery__RegisterRequest *read = (const void *)message;

		assert_string_equal(read->location->country, "CH");
		assert_int_equal(read->location->n_coordinates, 2);
		r = json_message_set(message, "publicKey", "another");
		json_message_write(&text, message, 0);
		r = json_text_failed(&text) ? -ENOMEM : r;
		assert_true(r != 0 || strstr(text.bytes, "\"another\"") != NULL);
	}
	json_text_fini(&text);
	if (message != NULL)
		protobuf_c_message_free_unpacked(message, NULL);
	return r == 0;
}

/* Packs what the bus's messages have of everything, for the two that unpack it. */
static size_t
pack_tree(uint8_t *to)
{
	Boson__Test__Tree leaf = BOSON__TEST__TREE__INIT, tree = BOSON__TEST__TREE__INIT;
	Boson__Test__Tree *leaves[] = { &leaf, &leaf };
	char *names[] = { "one", "two" };
	uint32_t packed[] = { 1, 2, 3 };

	leaf.id = 2;
	leaf.name = "leaf";
	tree.id = 1;
	tree.leaves = leaves;
	tree.n_leaves = 2;
	tree.names = names;
	tree.n_names = 2;
	tree.packed = packed;
	tree.n_packed = 3;
	tree.choice_case = BOSON__TEST__TREE__CHOICE_WORD;
	tree.word = "word";
	tree.has_blob = true;
	tree.blob = (ProtobufCBinaryData){ 4, (uint8_t *)(uintptr_t) "blob" };
	return boson__test__tree__pack(&tree, to);
}

static bool
unpack(ProtobufCAllocator *allocator)
{
	uint8_t bytes[512];
	ProtobufCMessage *message = NULL;
	int r = bus_check_unpack(&boson__test__tree__descriptor, allocator, bytes, pack_tree(bytes),
				 &message);

	if (r == 0) {
		assert_string_equal(((Boson__Test__Tree *)message)->leaves[1]->name, "leaf");
		protobuf_c_message_free_unpacked(message, allocator);
	}
	return r == 0;
}

static bool
bus_message(void)
{
	return unpack(NULL);
}

static bool
bus_message_in_an_arena(void)
{
	struct bus_arena arena;
	bool is_good;

	if (bus_arena_init(&arena) < 0)
		return false;
	is_good = unpack(&arena.allocator);
	bus_arena_fini(&arena);
	return is_good;
}

/* ---- configuration ---- */

static const struct config_key keys[] = {
	{ "relay", "listen", CONFIG_ADDRESS, "0.0.0.0:443", 0, 0, NULL, "where legs connect" },
	{ "relay", "label", CONFIG_STRING, "", 0, 0, NULL, "free text" },
	{ "relay", "networks", CONFIG_CIDRS, "", 0, 0, NULL, "networks" },
	{ "relay", "age", CONFIG_DURATION, "1s", 1, 10000, NULL, "how old" },
	{ 0 },
};

static bool
configuration(void)
{
	static const struct config_key *const tables[] = { keys, NULL };
	static const struct config_schema schema = { .env_prefix = "SCARCE", .tables = tables };
	struct config *config = NULL;
	char error[256] = "";
	int r = config_load(config_path, &schema, &config, error, sizeof(error));

	if (r != 0) {
		assert_string_not_equal(error, ""); /* it always says why */
		return false;
	}
	assert_int_equal(config_int(config, "relay", "age"), 250);
	assert_string_equal(config_list(config, "relay", "networks")[1], "192.168.0.0/16");
	config_free(&config);
	return true;
}

#define SWEEP(name, fn, least)                                              \
	static void name(void **state)                                      \
	{                                                                   \
		(void)state;                                                \
		assert_in_range(scarce_sweep(fn), least, SCARCE_SWEEP_MAX); \
	}

SWEEP(test_an_upgrade_request_with_too_little_memory, upgrade, 1)
SWEEP(test_fragments_with_too_little_memory, fragments, 2)
SWEEP(test_a_ticket_with_too_little_memory, ticket_there_and_back, 8)
SWEEP(test_a_token_with_too_little_memory, token_there_and_back, 2)
SWEEP(test_a_proof_with_too_little_memory, proof_there_and_back, 8)
SWEEP(test_a_stun_message_with_too_little_memory, stun_there_and_back, 2)
SWEEP(test_json_with_too_little_memory, json_there_and_back, 20)
SWEEP(test_a_bus_message_with_too_little_memory, bus_message, 8)
SWEEP(test_a_bus_message_in_an_arena_with_too_little_memory, bus_message_in_an_arena, 2)
SWEEP(test_a_configuration_with_too_little_memory, configuration, 8)

/* The sweep itself. (Pointers that a compiler must not think away.) */
static bool
careless(void)
{
	static void *volatile first, *volatile second;
	bool is_good;

	first = malloc(10);
	second = malloc(10);
	is_good = first != NULL && second != NULL;
	free(first);
	free(second);
	return is_good;
}

static bool
hopeless(void)
{
	static void *volatile only;

	only = malloc(10);
	free(only);
	return false;
}

static void
test_a_sweep_refuses_each_allocation_once_and_knows_a_failure_of_another_kind(void **state)
{
	(void)state;
	assert_int_equal(scarce_sweep(careless), 2 + 1);
	assert_int_equal(scarce_sweep(hopeless), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_sweep_refuses_each_allocation_once_and_knows_a_failure_of_another_kind),
		cmocka_unit_test(test_an_upgrade_request_with_too_little_memory),
		cmocka_unit_test(test_fragments_with_too_little_memory),
		cmocka_unit_test(test_a_ticket_with_too_little_memory),
		cmocka_unit_test(test_a_token_with_too_little_memory),
		cmocka_unit_test(test_a_proof_with_too_little_memory),
		cmocka_unit_test(test_a_stun_message_with_too_little_memory),
		cmocka_unit_test(test_json_with_too_little_memory),
		cmocka_unit_test(test_a_bus_message_with_too_little_memory),
		cmocka_unit_test(test_a_bus_message_in_an_arena_with_too_little_memory),
		cmocka_unit_test(test_a_configuration_with_too_little_memory),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
