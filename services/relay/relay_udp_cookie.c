/*
 * relay_udp_cookie: see the header. XChaCha20-Poly1305 is libsodium's: OpenSSL has none.
 */
#include "relay/relay_udp_cookie.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <string.h>
#include <sys/random.h>

enum {
	SENDER_AT = 4,
	NONCE_AT = 8,
	NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	COOKIE_AT = NONCE_AT + NONCE_BYTES,
	MAC1_AT = RELAY_UDP_INITIATION_BYTES - MAC1_TAIL_BYTES,
	MAC2_AT = MAC1_AT + MAC1_BYTES,
};

void
relay_udp_cookies_init(struct relay_udp_cookies *cookies,
		       const uint8_t secret[RELAY_UDP_COOKIE_SECRET_BYTES])
{
	memset(cookies, 0, sizeof(*cookies));
	mac1_key_init_raw(&cookies->secret, secret, RELAY_UDP_COOKIE_SECRET_BYTES);
}

/* This source's at this time. */
static void
bake(const struct relay_udp_cookies *cookies, const struct relay_udp_tuple *tuple, int64_t period,
     uint8_t ret[MAC1_BYTES])
{
	uint8_t input[sizeof(period) + sizeof(tuple->remote) + sizeof(tuple->port)];

	memcpy(input, &period, sizeof(period));
	memcpy(input + sizeof(period), &tuple->remote, sizeof(tuple->remote));
	memcpy(input + sizeof(period) + sizeof(tuple->remote), &tuple->port, sizeof(tuple->port));
	mac1_compute(&cookies->secret, input, sizeof(input), ret);
}

bool
relay_udp_cookie_is_shown(const struct relay_udp_cookies *cookies,
			  const struct relay_udp_tuple *tuple, const uint8_t *initiation,
			  int64_t now_ms)
{
	static const uint8_t none[MAC1_BYTES];
	uint8_t cookie[MAC1_BYTES], mac2[MAC1_BYTES];
	int64_t period = now_ms / RELAY_UDP_COOKIE_MS;
	struct mac1_key key;

	if (memcmp(initiation + MAC2_AT, none, sizeof(none)) == 0)
		return false;
	for (int64_t of = period; of >= period - 1; of--) {
		bake(cookies, tuple, of, cookie);
		mac1_key_init_raw(&key, cookie, sizeof(cookie));
		mac1_compute(&key, initiation, MAC2_AT, mac2);
		if (CRYPTO_memcmp(mac2, initiation + MAC2_AT, sizeof(mac2)) == 0)
			return true;
	}
	return false;
}

int
relay_udp_cookie_reply(struct relay_udp_cookies *cookies, const struct relay_udp_tuple *tuple,
		       const struct key *node, const uint8_t *initiation, int64_t now_ms,
		       uint8_t ret[RELAY_UDP_COOKIE_REPLY_BYTES])
{
	static const char label[8] = "cookie--"; /* no NUL */
	uint8_t input[sizeof(label) + sizeof(node->bytes)], key[32], cookie[MAC1_BYTES];

	if (!relay_tokens_take(&cookies->replies, RELAY_UDP_COOKIES_PER_SEC,
			       RELAY_UDP_COOKIES_PER_SEC / 10, now_ms))
		return -EBUSY;
	memcpy(input, label, sizeof(label));
	memcpy(input + sizeof(label), node->bytes, sizeof(node->bytes));
	blake2s(input, sizeof(input), key, sizeof(key));
	bake(cookies, tuple, now_ms / RELAY_UDP_COOKIE_MS, cookie);
	memset(ret, 0, RELAY_UDP_COOKIE_REPLY_BYTES);
	ret[0] = DATAGRAM_COOKIE;
	memcpy(ret + SENDER_AT, initiation + SENDER_AT, RELAY_UDP_INDEX_BYTES);
	if (getrandom(ret + NONCE_AT, NONCE_BYTES, 0) != NONCE_BYTES)
		return -EIO;
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret + COOKIE_AT, NULL, cookie, sizeof(cookie),
						   initiation + MAC1_AT, MAC1_BYTES, NULL,
						   ret + NONCE_AT, key);
	return 0;
}
