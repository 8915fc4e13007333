/* turn_client: see the header. */
#include "turn_client.h"

#include "net/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

enum { FAMILY_V6 = 2, TIMEOUT_SEC = 5, TRIES = 3 };

static void
begin(struct stun_writer *request, enum stun_method method)
{
	uint8_t transaction[STUN_TRANSACTION_BYTES];

	assert_int_equal(getrandom(transaction, sizeof(transaction), 0), sizeof(transaction));
	stun_begin(request, STUN_REQUEST, method, transaction);
}

/* The answer is in bytes. */
static void
ask(struct turn_client *client, struct stun_writer *request, uint8_t bytes[2048],
    struct stun_message *ret)
{
	bool is_signed = client->nonce[0] != '\0';
	ssize_t n = -1;

	if (is_signed) {
		stun_put(request, STUN_USERNAME, client->username, strlen(client->username));
		stun_put(request, STUN_REALM, client->realm, strlen(client->realm));
		stun_put(request, STUN_NONCE, client->nonce, strlen(client->nonce));
	}
	assert_int_equal(stun_finish(request, is_signed ? client->key : NULL, STUN_KEY_BYTES), 0);
	for (int i = 0; i < TRIES && n < 0; i++) {
		assert_true(send(client->fd, request->bytes, request->n, 0) >= 0);
		n = recv(client->fd, bytes, 2048, 0);
	}
	assert_true(n > 0);
	assert_int_equal(stun_message_parse(bytes, (size_t)n, ret), 0);
	assert_memory_equal(ret->transaction, request->bytes + 8, STUN_TRANSACTION_BYTES);
}

static int
code_of(const struct stun_message *answer)
{
	return answer->class == STUN_SUCCESS ? 0 : stun_error_code(answer);
}

static int
allocate(struct turn_client *client, int family, unsigned protocol, uint8_t bytes[2048],
	 struct stun_message *ret)
{
	struct stun_writer request;

	begin(&request, STUN_ALLOCATE);
	stun_put_number(&request, STUN_REQUESTED_TRANSPORT, protocol << 24);
	if (family == AF_INET6)
		stun_put_number(&request, STUN_REQUESTED_FAMILY, (uint32_t)FAMILY_V6 << 24);
	ask(client, &request, bytes, ret);
	return code_of(ret);
}

int
turn_client_open(struct turn_client *client, const char *host, int family, unsigned protocol,
		 const char *username, const char *password)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(STUN_PORT) };
	const struct timeval timeout = { .tv_sec = TIMEOUT_SEC };
	struct stun_message answer;
	uint8_t bytes[2048];

	memset(client, 0, sizeof(*client));
	client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(inet_pton(AF_INET, host, &server.sin_addr), 1);
	assert_int_equal(connect(client->fd, (struct sockaddr *)&server, sizeof(server)), 0);
	assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)),
			 0);
	strncpy(client->username, username, sizeof(client->username) - 1);
	assert_int_equal(allocate(client, family, protocol, bytes, &answer), 401);
	assert_int_equal(stun_text(&answer, STUN_REALM, client->realm, sizeof(client->realm)), 0);
	assert_int_equal(stun_text(&answer, STUN_NONCE, client->nonce, sizeof(client->nonce)), 0);
	assert_int_equal(stun_long_term_key(username, client->realm, password, client->key), 0);
	return allocate(client, family, protocol, bytes, &answer);
}

void
turn_client_close(struct turn_client *client)
{
	(void)close(client->fd);
	client->fd = -1;
}

int
turn_client_permit(struct turn_client *client, const char *peer)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(3480) };
	struct stun_message answer;
	struct stun_writer request;
	uint8_t bytes[2048];

	assert_int_equal(address_parse(peer, &address.sin6_addr), 0);
	begin(&request, STUN_CREATE_PERMISSION);
	stun_put_address(&request, STUN_XOR_PEER_ADDRESS, &address);
	ask(client, &request, bytes, &answer);
	return code_of(&answer);
}

int
turn_client_permit_raw(struct turn_client *client, uint8_t family, const uint8_t *address, size_t n)
{
	uint8_t value[20] = { 0, family, 0x0d, 0x98 };
	struct stun_message answer;
	struct stun_writer request;
	uint8_t bytes[2048];

	assert_true(n <= 16);
	begin(&request, STUN_CREATE_PERMISSION);
	value[2] ^= request.bytes[4];
	value[3] ^= request.bytes[5];
	for (size_t i = 0; i < n; i++)
		value[4 + i] = address[i] ^ request.bytes[4 + i];
	stun_put(&request, STUN_XOR_PEER_ADDRESS, value, 4 + n);
	ask(client, &request, bytes, &answer);
	return code_of(&answer);
}
