/*
 * Tickets as they come (none is genuine), and any 84 bytes under a genuine signature: what is
 * accepted then is sound, whatever the signer was made to sign.
 */
#include "identity/mac.h"
#include "identity/ticket.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIGNED_BYTES = 84, SIGNATURE_BYTES = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char public_key[] =
	"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8\n";
static const uint8_t key_id[4] = { 0x56, 0x47, 0x5a, 0xa7 };
static struct ticket_verifier *verifier;
static EVP_PKEY *key;

static void
require(bool holds)
{
	if (!holds)
		abort();
}

/* The seed is 00 01 .. 1f, the same for both roles. */
static void
open_once(void)
{
	char path[] = "/tmp/fuzz-ticket-XXXXXX";
	uint8_t seed[TICKET_SEED_BYTES];
	int fd;

	if (verifier)
		return;
	for (uint8_t i = 0; i < TICKET_SEED_BYTES; i++)
		seed[i] = i;
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
	fd = mkstemp(path);
	require(fd >= 0 &&
		write(fd, public_key, strlen(public_key)) == (ssize_t)strlen(public_key));
	close(fd);
	require(ticket_verifier_open(path, path, "default", &verifier) == 0);
}

static void
check_genuine(const uint8_t *data)
{
	static const char domain[] = "higgs-ticket-v1";
	uint8_t bytes[SIGNED_BYTES + SIGNATURE_BYTES], text[sizeof(domain) + SIGNED_BYTES];
	char encoded[TICKET_TEXT_MAX_BYTES];
	size_t n = SIGNATURE_BYTES;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct ticket t;

	memcpy(bytes, data, SIGNED_BYTES);
	bytes[0] = 1;
	memcpy(bytes + 2, key_id, sizeof(key_id));
	memcpy(text, domain, sizeof(domain));
	memcpy(text + sizeof(domain), bytes, SIGNED_BYTES);
	require(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
		EVP_DigestSign(ctx, bytes + SIGNED_BYTES, &n, text, sizeof(text)) == 1);
	EVP_MD_CTX_free(ctx);
	base64url_encode(bytes, sizeof(bytes), encoded);
	if (ticket_verify(verifier, encoded, strlen(encoded), INT64_C(1700000000000), &t) == 0) {
		require(t.role == TICKET_ROLE_NODE || t.role == TICKET_ROLE_SESSION);
		require(t.expires_at_ms > t.not_before_ms && t.not_before_ms >= 0);
		require(memcmp(t.group, "default\0\0\0\0\0\0\0\0", TICKET_GROUP_BYTES) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ticket t;

	open_once();
	require(ticket_verify(verifier, (const char *)data, n, INT64_C(1700000000000), &t) != 0);
	if (n >= SIGNED_BYTES)
		check_genuine(data);
	return 0;
}
