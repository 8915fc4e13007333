/*
 * udp_message: see the header. WireGuard paper, sections 5.4.4 and 5.4.7.
 */
#include "udp_message.h"

#include "relay/relay_udp_mac1.h"
#include "wg/datagram.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MAC1_AT = 116, MAC2_AT = 132, NONCE_AT = 8, COOKIE_AT = 32 };

void
udp_message_initiation(uint8_t to[UDP_MESSAGE_INITIATION_BYTES], const struct key *receiver,
		       uint32_t sender)
{
	struct mac1_key key;

	memset(to, 0x33, UDP_MESSAGE_INITIATION_BYTES);
	memcpy(to, (const uint8_t[]){ DATAGRAM_INITIATION, 0, 0, 0 }, 4);
	memcpy(to + 4, &sender, sizeof(sender));
	mac1_key_init(&key, receiver->bytes);
	mac1_compute(&key, to, MAC1_AT, to + MAC1_AT);
	memset(to + MAC2_AT, 0, MAC1_BYTES);
}

void
udp_message_show_cookie(uint8_t message[UDP_MESSAGE_INITIATION_BYTES], const struct key *receiver,
			const uint8_t reply[UDP_MESSAGE_COOKIE_BYTES])
{
	uint8_t input[8 + sizeof(receiver->bytes)] = "cookie--", key[32], cookie[MAC1_BYTES];
	struct mac1_key mac2;

	assert_int_equal(datagram_check(reply, UDP_MESSAGE_COOKIE_BYTES), DATAGRAM_COOKIE);
	assert_memory_equal(reply + 4, message + 4, 4); /* to whom it is spoken */
	memcpy(input + 8, receiver->bytes, sizeof(receiver->bytes));
	assert_int_equal(EVP_Digest(input, sizeof(input), key, NULL, EVP_blake2s256(), NULL), 1);
	assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(
				 cookie, NULL, NULL, reply + COOKIE_AT,
				 UDP_MESSAGE_COOKIE_BYTES - COOKIE_AT, message + MAC1_AT,
				 MAC1_BYTES, reply + NONCE_AT, key),
			 0);
	mac1_key_init_raw(&mac2, cookie, sizeof(cookie));
	mac1_compute(&mac2, message, MAC2_AT, message + MAC2_AT);
}
