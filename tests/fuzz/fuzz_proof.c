/*
 * No header that anybody can think of proves a key without the key. The public key is one whose
 * private half nobody here has.
 */
#include "identity/proof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t fleet_secret[32] = { 1, 2, 3 };
	static const uint8_t node_id[UUID_BYTES] = { 4 };
	static const struct key public_key = { .bytes = { 9 } };
	static const uint8_t digest[32] = { 5 };
	uint8_t nonce[PROOF_NONCE_BYTES];
	char *header = malloc(n + 1);

	if (!header)
		return 0;
	memcpy(header, data, n);
	header[n] = '\0';
	if (proof_verify(fleet_secret, header, node_id, &public_key, "node", digest,
			 INT64_C(1700000000000), nonce) != -EACCES)
		abort();
	free(header);
	return 0;
}
