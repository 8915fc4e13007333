/*
 * proof: the challenge costs the server one key derivation and no memory; the proof costs one
 * X25519 on each side. docs/protocol.md, "Proof", has the bytes.
 */
#include "identity/proof.h"
#include "identity/mac.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

enum {
	SLOT_MS = 10 * 1000,
	/* base64url of 32, 40 and 32 bytes */
	NONCE_TEXT = 43,
	COOKIE_TEXT = 54,
	MAC_TEXT = 43,
	/* "v1 " nonce "." cookie "." mac */
	HEADER_TEXT = 3 + NONCE_TEXT + 1 + COOKIE_TEXT + 1 + MAC_TEXT,
	BINDING_MAX_BYTES = 192,
};

static const char label_proof[] = "higgs-pop-v1";
static const char label_ephemeral[] = "higgs-pop-v1 ephemeral";
static const char label_cookie[] = "higgs-pop-v1 cookie";

struct bytes {
	uint8_t data[BINDING_MAX_BYTES];
	size_t n;
};

/* Sizes are fixed but for the role, which role_is_valid bounds: all of it fits. */
static void
put(struct bytes *out, const void *bytes, size_t n)
{
	memcpy(out->data + out->n, bytes, n);
	out->n += n;
}

static void
put_u64(struct bytes *out, uint64_t v)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		out->data[out->n++] = (uint8_t)(v >> shift);
}

static void
put_role(struct bytes *out, const char *role)
{
	size_t n = strlen(role);

	out->data[out->n++] = (uint8_t)n;
	put(out, role, n);
}

static uint64_t
get_u64(const uint8_t *bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | bytes[i];
	return v;
}

static bool
role_is_valid(const char *role)
{
	size_t n = strnlen(role, PROOF_ROLE_MAX_BYTES + 1);

	return n > 0 && n <= PROOF_ROLE_MAX_BYTES;
}

/* The ephemeral key of a challenge that expires then: the same on every replica. */
static int
ephemeral_private(const uint8_t fleet_secret[32], uint64_t expires_at_ms, struct key *ret)
{
	struct bytes info = { .n = 0 };

	put(&info, label_ephemeral, sizeof(label_ephemeral) - 1);
	put_u64(&info, (expires_at_ms - PROOF_LIFETIME_MS) / SLOT_MS);
	return mac_hkdf_sha256(fleet_secret, 32, NULL, 0, info.data, info.n, ret->bytes, KEY_BYTES);
}

static int
cookie_mac(const uint8_t fleet_secret[32], uint64_t expires_at_ms, const uint8_t *node_id,
	   const struct key *public_key, const char *role, const uint8_t *nonce,
	   const struct key *ephemeral_public, uint8_t ret_mac[MAC_BYTES])
{
	struct bytes fields = { .n = 0 };
	uint8_t key[MAC_BYTES];
	int r = mac_hkdf_sha256(fleet_secret, 32, NULL, 0, label_cookie, sizeof(label_cookie) - 1,
				key, sizeof(key));

	if (r < 0)
		return r;
	put_u64(&fields, expires_at_ms);
	put(&fields, node_id, UUID_BYTES);
	put(&fields, public_key->bytes, KEY_BYTES);
	put(&fields, ephemeral_public->bytes, KEY_BYTES);
	put(&fields, nonce, PROOF_NONCE_BYTES);
	put_role(&fields, role);
	r = mac_hmac_sha256(key, sizeof(key), fields.data, fields.n, ret_mac);
	key_wipe(key, sizeof(key));
	return r;
}

/* What both sides compute, each from its own private half. */
static int
proof_mac(const struct key *shared, const uint8_t *nonce, const uint8_t *node_id,
	  const struct key *public_key, const struct key *ephemeral_public, const char *role,
	  const uint8_t body_sha256[32], uint8_t ret_mac[MAC_BYTES])
{
	struct bytes info = { .n = 0 };
	uint8_t key[MAC_BYTES];
	int r;

	put(&info, label_proof, sizeof(label_proof) - 1);
	put(&info, node_id, UUID_BYTES);
	put(&info, public_key->bytes, KEY_BYTES);
	put(&info, ephemeral_public->bytes, KEY_BYTES);
	put_role(&info, role);
	r = mac_hkdf_sha256(shared->bytes, KEY_BYTES, nonce, PROOF_NONCE_BYTES, info.data, info.n,
			    key, sizeof(key));
	if (r == 0)
		r = mac_hmac_sha256(key, sizeof(key), body_sha256, 32, ret_mac);
	key_wipe(key, sizeof(key));
	return r;
}

int
proof_challenge_make(const uint8_t fleet_secret[32], const uint8_t node_id[UUID_BYTES],
		     const struct key *public_key, const char *role, int64_t wall_now_ms,
		     struct proof_challenge *ret)
{
	struct proof_challenge made = { 0 };
	struct bytes expiry = { .n = 0 };
	struct key ephemeral;
	int r;

	if (!role_is_valid(role) || wall_now_ms < 0 || wall_now_ms > INT64_MAX / 2)
		return -EINVAL;
	made.expires_at_ms = wall_now_ms + PROOF_LIFETIME_MS;
	put_u64(&expiry, (uint64_t)made.expires_at_ms);
	memcpy(made.cookie, expiry.data, 8);
	r = mac_random(made.nonce, sizeof(made.nonce));
	if (r == 0)
		r = ephemeral_private(fleet_secret, (uint64_t)made.expires_at_ms, &ephemeral);
	if (r == 0)
		r = key_public(&ephemeral, &made.ephemeral_public);
	if (r == 0)
		r = cookie_mac(fleet_secret, (uint64_t)made.expires_at_ms, node_id, public_key,
			       role, made.nonce, &made.ephemeral_public, made.cookie + 8);
	key_wipe(&ephemeral, sizeof(ephemeral));
	if (r == 0)
		*ret = made;
	return r;
}

void
proof_challenge_format(const struct proof_challenge *challenge, struct proof_challenge_text *ret)
{
	key_format(&challenge->ephemeral_public, ret->ephemeral_public);
	base64_encode(challenge->nonce, PROOF_NONCE_BYTES, ret->nonce);
	base64_encode(challenge->cookie, PROOF_COOKIE_BYTES, ret->cookie);
}

int
proof_challenge_parse(const char *ephemeral_public, const char *nonce, const char *cookie,
		      struct proof_challenge *ret)
{
	struct proof_challenge read = { 0 };

	if (ephemeral_public == NULL || nonce == NULL || cookie == NULL ||
	    key_parse(ephemeral_public, &read.ephemeral_public) != 0 ||
	    base64_decode(nonce, read.nonce, PROOF_NONCE_BYTES) != PROOF_NONCE_BYTES ||
	    base64_decode(cookie, read.cookie, PROOF_COOKIE_BYTES) != PROOF_COOKIE_BYTES)
		return -EINVAL;
	*ret = read;
	return 0;
}

static void
format_header(const uint8_t *nonce, const uint8_t *cookie, const uint8_t *mac, char *out)
{
	memcpy(out, "v1 ", 3);
	out += 3;
	base64url_encode(nonce, PROOF_NONCE_BYTES, out);
	out += NONCE_TEXT;
	*out++ = '.';
	base64url_encode(cookie, PROOF_COOKIE_BYTES, out);
	out += COOKIE_TEXT;
	*out++ = '.';
	base64url_encode(mac, MAC_BYTES, out);
}

int
proof_make(const struct proof_challenge *challenge, const struct key *private_key,
	   const uint8_t node_id[UUID_BYTES], const char *role, const uint8_t body_sha256[32],
	   char ret_header[PROOF_HEADER_MAX_BYTES])
{
	struct key public_key, shared;
	uint8_t mac[MAC_BYTES];
	int r;

	if (!role_is_valid(role))
		return -EINVAL;
	r = key_public(private_key, &public_key);
	if (r == 0)
		r = key_exchange(private_key, &challenge->ephemeral_public, &shared);
	if (r < 0)
		return r;
	r = proof_mac(&shared, challenge->nonce, node_id, &public_key, &challenge->ephemeral_public,
		      role, body_sha256, mac);
	key_wipe(&shared, sizeof(shared));
	if (r == 0)
		format_header(challenge->nonce, challenge->cookie, mac, ret_header);
	return r;
}

struct header {
	uint8_t nonce[PROOF_NONCE_BYTES];
	uint8_t cookie[PROOF_COOKIE_BYTES];
	uint8_t mac[MAC_BYTES];
};

static bool
parse_header(const char *text, struct header *ret)
{
	const char *nonce = text + 3;
	const char *cookie = nonce + NONCE_TEXT + 1;
	const char *mac = cookie + COOKIE_TEXT + 1;

	return strnlen(text, PROOF_HEADER_MAX_BYTES) == HEADER_TEXT &&
	       memcmp(text, "v1 ", 3) == 0 && cookie[-1] == '.' && mac[-1] == '.' &&
	       base64url_decode(nonce, NONCE_TEXT, ret->nonce, PROOF_NONCE_BYTES) ==
		       PROOF_NONCE_BYTES &&
	       base64url_decode(cookie, COOKIE_TEXT, ret->cookie, PROOF_COOKIE_BYTES) ==
		       PROOF_COOKIE_BYTES &&
	       base64url_decode(mac, MAC_TEXT, ret->mac, MAC_BYTES) == MAC_BYTES;
}

/* now <= expiry < now + lifetime + skew, without overflow on what a peer wrote. */
static bool
is_fresh(uint64_t expires_at_ms, int64_t wall_now_ms)
{
	uint64_t now = wall_now_ms < 0 ? 0 : (uint64_t)wall_now_ms;

	return expires_at_ms > now && expires_at_ms - now <= PROOF_LIFETIME_MS + PROOF_SKEW_MS;
}

/* -EIO says nothing of the proof, and comes before anything that does. */
static void
note(int result, int *r)
{
	if (result < 0 && *r != -EIO)
		*r = result;
}

int
proof_verify(const uint8_t fleet_secret[32], const char *header, const uint8_t node_id[UUID_BYTES],
	     const struct key *public_key, const char *role, const uint8_t body_sha256[32],
	     int64_t wall_now_ms, uint8_t ret_nonce[PROOF_NONCE_BYTES])
{
	struct header given = { 0 };
	struct key ephemeral = { 0 }, ephemeral_public = { 0 }, shared = { 0 };
	uint8_t expected_cookie[MAC_BYTES] = { 0 }, expected_mac[MAC_BYTES] = { 0 };
	uint64_t expires_at_ms;
	int bad = 0, r = 0;

	if (!role_is_valid(role))
		return -EACCES;
	/* Nothing below returns early: a wrong header costs exactly what a right one does. */
	bad |= !parse_header(header, &given);
	expires_at_ms = get_u64(given.cookie);
	bad |= !is_fresh(expires_at_ms, wall_now_ms);
	note(ephemeral_private(fleet_secret, expires_at_ms, &ephemeral), &r);
	note(key_public(&ephemeral, &ephemeral_public), &r);
	note(cookie_mac(fleet_secret, expires_at_ms, node_id, public_key, role, given.nonce,
			&ephemeral_public, expected_cookie),
	     &r);
	note(key_exchange(&ephemeral, public_key, &shared), &r);
	note(proof_mac(&shared, given.nonce, node_id, public_key, &ephemeral_public, role,
		       body_sha256, expected_mac),
	     &r);
	bad |= CRYPTO_memcmp(given.cookie + 8, expected_cookie, MAC_BYTES) != 0;
	bad |= CRYPTO_memcmp(given.mac, expected_mac, MAC_BYTES) != 0;
	key_wipe(&ephemeral, sizeof(ephemeral));
	key_wipe(&shared, sizeof(shared));
	key_wipe(expected_mac, sizeof(expected_mac));
	key_wipe(expected_cookie, sizeof(expected_cookie));
	if (r == -EIO)
		return r;
	if (bad || r < 0)
		return -EACCES;
	memcpy(ret_nonce, given.nonce, PROOF_NONCE_BYTES);
	return 0;
}
