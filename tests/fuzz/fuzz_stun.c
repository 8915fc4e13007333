/*
 * fuzz_stun: what a STUN server may send us. Whatever parses is looked at in every way we have, its
 * attributes stay within it, and a stream's length agrees with it.
 */
#include "stun/stun_message.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
look_at(const struct stun_message *message)
{
	static const uint8_t key[STUN_KEY_BYTES];
	struct sockaddr_in6 address;
	char text[STUN_REALM_MAX_BYTES];
	bool is_legacy;
	int code = stun_error_code(message);

	assert(code < 0 || (code >= 300 && code <= 699));
	(void)stun_mapped_address(message, &address, &is_legacy);
	(void)stun_address(message, STUN_OTHER_ADDRESS, &address);
	(void)stun_address(message, STUN_XOR_RELAYED_ADDRESS, &address);
	(void)stun_text(message, STUN_REALM, text, sizeof(text));
	(void)stun_text(message, STUN_NONCE, text, sizeof(text));
	(void)stun_has_unknown(message);
	(void)stun_is_authentic(message, key, sizeof(key));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct stun_message message;

	(void)stun_message_length(data, n);
	if (stun_message_parse(data, n, &message) != 0)
		return 0;
	assert(stun_message_length(data, n) == (int)n);
	for (size_t i = 0; i < message.attributes_n; i++) {
		const struct stun_attribute *attribute = &message.attributes[i];

		assert(attribute->value >= data + STUN_HEADER_BYTES);
		assert(attribute->value + attribute->n <= data + n);
	}
	look_at(&message);
	return 0;
}
