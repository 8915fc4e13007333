/*
 * ticket: 148 bytes, fixed places (docs/protocol.md, "Tickets"):
 *
 *	 0  u8   version = 1
 *	 1  u8   role
 *	 2  4    key id
 *	 6  u16  zero
 *	 8  16   node id
 *	24  16   session id
 *	40  16   group, NUL-padded
 *	56  u64  not before, epoch ms
 *	64  u64  expires, epoch ms
 *	72  u32  rate, kB/s
 *	76  8    serial
 *	84  64   Ed25519 over "higgs-ticket-v1\0" and bytes 0..83
 */
#include "identity/ticket.h"
#include "identity/mac.h"
#include "identity/ticket_keys.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
	VERSION = 1,
	AT_KEY_ID = 2,
	AT_ZERO = 6,
	AT_NODE = 8,
	AT_SESSION = 24,
	AT_GROUP = 40,
	AT_NOT_BEFORE = 56,
	AT_EXPIRES = 64,
	AT_RATE = 72,
	AT_SERIAL = 76,
	SIGNED_BYTES = 84,
	SIGNATURE_BYTES = 64,
	TICKET_BYTES = SIGNED_BYTES + SIGNATURE_BYTES,
	TICKET_TEXT = (TICKET_BYTES * 4 + 2) / 3,
	/* A verifier looks at its files no oftener. */
	KEYS_AGE_MS = 1000,
};

_Static_assert((int)TICKET_TEXT < (int)TICKET_TEXT_MAX_BYTES, "a ticket fits its text");

/* The 31st of December 9999, in epoch ms: sums with leeway cannot overflow. */
#define TIME_MAX_MS INT64_C(253402300799999)

static const char domain[] = "higgs-ticket-v1"; /* its NUL is signed too */

struct ticket_signer {
	EVP_PKEY *key;
	enum ticket_role role;
	uint8_t key_id[TICKET_KEY_ID_BYTES];
};

struct verifier_side {
	char *path;
	struct ticket_keys keys;
	int64_t read_at_ms;
	bool is_read;
};

struct ticket_verifier {
	struct verifier_side node, session;
	char group[TICKET_GROUP_BYTES];
};

static void
put_number(uint8_t *out, uint64_t v, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--, v >>= 8)
		out[i] = (uint8_t)v;
}

static uint64_t
get_number(const uint8_t *in, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | in[i];
	return v;
}

static bool
id_is_zero(const uint8_t id[UUID_BYTES])
{
	static const uint8_t zero[UUID_BYTES];

	return memcmp(id, zero, UUID_BYTES) == 0;
}

static bool
group_is_valid(const char group[TICKET_GROUP_BYTES])
{
	size_t n = strnlen(group, TICKET_GROUP_BYTES);

	for (size_t i = n; i < TICKET_GROUP_BYTES; i++)
		if (group[i] != '\0')
			return false;
	return n > 0;
}

static bool
ticket_is_sound(const struct ticket *t)
{
	if (t->role != TICKET_ROLE_NODE && t->role != TICKET_ROLE_SESSION)
		return false;
	return !id_is_zero(t->node_id) &&
	       id_is_zero(t->session_id) == (t->role == TICKET_ROLE_NODE) &&
	       group_is_valid(t->group) && t->not_before_ms >= 0 &&
	       t->not_before_ms < t->expires_at_ms && t->expires_at_ms <= TIME_MAX_MS;
}

static void
encode(const struct ticket *t, const uint8_t key_id[TICKET_KEY_ID_BYTES], uint8_t out[SIGNED_BYTES])
{
	memset(out, 0, SIGNED_BYTES);
	out[0] = VERSION;
	out[1] = (uint8_t)t->role;
	memcpy(out + AT_KEY_ID, key_id, TICKET_KEY_ID_BYTES);
	memcpy(out + AT_NODE, t->node_id, UUID_BYTES);
	memcpy(out + AT_SESSION, t->session_id, UUID_BYTES);
	memcpy(out + AT_GROUP, t->group, TICKET_GROUP_BYTES);
	put_number(out + AT_NOT_BEFORE, (uint64_t)t->not_before_ms, 8);
	put_number(out + AT_EXPIRES, (uint64_t)t->expires_at_ms, 8);
	put_number(out + AT_RATE, t->rate_kbytes, 4);
	memcpy(out + AT_SERIAL, t->serial, sizeof(t->serial));
}

static int
decode(const uint8_t in[SIGNED_BYTES], struct ticket *ret)
{
	struct ticket t = { .role = (enum ticket_role)in[1] };

	if (in[0] != VERSION || get_number(in + AT_ZERO, 2) != 0)
		return -EBADMSG;
	memcpy(t.node_id, in + AT_NODE, UUID_BYTES);
	memcpy(t.session_id, in + AT_SESSION, UUID_BYTES);
	memcpy(t.group, in + AT_GROUP, TICKET_GROUP_BYTES);
	/* Beyond INT64_MAX becomes negative, which is unsound. */
	t.not_before_ms = (int64_t)get_number(in + AT_NOT_BEFORE, 8);
	t.expires_at_ms = (int64_t)get_number(in + AT_EXPIRES, 8);
	t.rate_kbytes = (uint32_t)get_number(in + AT_RATE, 4);
	memcpy(t.serial, in + AT_SERIAL, sizeof(t.serial));
	if (!ticket_is_sound(&t))
		return -EBADMSG;
	*ret = t;
	return 0;
}

static void
signed_text(const uint8_t ticket[SIGNED_BYTES], uint8_t out[sizeof(domain) + SIGNED_BYTES])
{
	memcpy(out, domain, sizeof(domain));
	memcpy(out + sizeof(domain), ticket, SIGNED_BYTES);
}

/* ---- signer ---- */

static int
signer_init(struct ticket_signer *signer, const char *seed_path, const char *public_path)
{
	uint8_t seed[TICKET_SEED_BYTES], public_key[TICKET_PUBLIC_BYTES];
	size_t n = sizeof(public_key);
	int r = secret_file_load_or_create(seed_path, seed, sizeof(seed));

	if (r < 0)
		return r;
	signer->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
	key_wipe(seed, sizeof(seed));
	if (!signer->key || EVP_PKEY_get_raw_public_key(signer->key, public_key, &n) != 1)
		return -EIO;
	r = ticket_key_id(public_key, signer->key_id);
	return r < 0 ? r : ticket_keys_publish(public_path, public_key);
}

int
ticket_signer_open(const char *seed_path, const char *public_path, enum ticket_role role,
		   struct ticket_signer **ret)
{
	struct ticket_signer *signer = calloc(1, sizeof(*signer));
	int r;

	if (!signer)
		return -ENOMEM;
	signer->role = role;
	r = signer_init(signer, seed_path, public_path);
	if (r < 0)
		ticket_signer_free(&signer);
	else
		*ret = signer;
	return r;
}

int
ticket_signer_derive(const struct ticket_signer *signer, const char *purpose,
		     uint8_t ret_secret[TICKET_SEED_BYTES])
{
	uint8_t seed[TICKET_SEED_BYTES];
	size_t n = sizeof(seed);
	int r = EVP_PKEY_get_raw_private_key(signer->key, seed, &n) == 1 ? 0 : -EIO;

	if (r == 0)
		r = mac_hkdf_sha256(seed, sizeof(seed), NULL, 0, purpose, strlen(purpose),
				    ret_secret, TICKET_SEED_BYTES);
	key_wipe(seed, sizeof(seed));
	return r;
}

void
ticket_signer_free(struct ticket_signer **signer)
{
	if (!*signer)
		return;
	EVP_PKEY_free((*signer)->key);
	free(*signer);
	*signer = NULL;
}

int
ticket_sign(const struct ticket_signer *signer, const struct ticket *ticket,
	    char ret_text[TICKET_TEXT_MAX_BYTES])
{
	struct ticket filled = *ticket;
	uint8_t bytes[TICKET_BYTES], text[sizeof(domain) + SIGNED_BYTES];
	size_t n = SIGNATURE_BYTES;
	EVP_MD_CTX *ctx;
	int r;

	if (ticket->role != signer->role || !ticket_is_sound(ticket))
		return -EINVAL;
	r = mac_random(filled.serial, sizeof(filled.serial));
	if (r < 0)
		return r;
	encode(&filled, signer->key_id, bytes);
	signed_text(bytes, text);
	ctx = EVP_MD_CTX_new();
	r = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, signer->key) == 1 &&
			    EVP_DigestSign(ctx, bytes + SIGNED_BYTES, &n, text, sizeof(text)) == 1
		    ? 0
		    : -EIO;
	EVP_MD_CTX_free(ctx);
	if (r == 0)
		base64url_encode(bytes, TICKET_BYTES, ret_text);
	return r;
}

/* ---- verifier ---- */

int
ticket_verifier_open(const char *node_public_path, const char *session_public_path,
		     const char *group, struct ticket_verifier **ret)
{
	size_t n = strlen(group);
	struct ticket_verifier *verifier;

	if (n == 0 || n > TICKET_GROUP_BYTES)
		return -EINVAL;
	verifier = calloc(1, sizeof(*verifier));
	if (!verifier)
		return -ENOMEM;
	memcpy(verifier->group, group, n);
	verifier->node.path = strdup(node_public_path);
	verifier->session.path = strdup(session_public_path);
	if (!verifier->node.path || !verifier->session.path) {
		ticket_verifier_free(&verifier);
		return -ENOMEM;
	}
	*ret = verifier;
	return 0;
}

void
ticket_verifier_free(struct ticket_verifier **verifier)
{
	if (!*verifier)
		return;
	free((*verifier)->node.path);
	free((*verifier)->session.path);
	free(*verifier);
	*verifier = NULL;
}

static void
refresh_keys(struct verifier_side *side, int64_t wall_now_ms)
{
	/* A wall clock that was set back must not make us wait. */
	if (side->is_read && wall_now_ms >= side->read_at_ms &&
	    wall_now_ms - side->read_at_ms < KEYS_AGE_MS)
		return;
	side->is_read = true;
	side->read_at_ms = wall_now_ms;
	/* What cannot be read now does not take back what was known. */
	ticket_keys_read(side->path, &side->keys);
}

/* 0, -EACCES, or -EIO when there is no memory to tell. */
static int
check_signature(const uint8_t key[TICKET_PUBLIC_BYTES], const uint8_t bytes[TICKET_BYTES])
{
	uint8_t text[sizeof(domain) + SIGNED_BYTES];
	EVP_PKEY *pkey =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, TICKET_PUBLIC_BYTES);
	EVP_MD_CTX *ctx = pkey ? EVP_MD_CTX_new() : NULL;
	int r = -EIO;

	signed_text(bytes, text);
	if (ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1)
		r = EVP_DigestVerify(ctx, bytes + SIGNED_BYTES, SIGNATURE_BYTES, text,
				     sizeof(text)) == 1
			    ? 0
			    : -EACCES;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return r;
}

static int
check_signer(const struct ticket_keys *keys, const uint8_t bytes[TICKET_BYTES])
{
	int r = -EACCES;

	for (size_t i = 0; i < keys->count && r == -EACCES; i++) {
		uint8_t id[TICKET_KEY_ID_BYTES];

		if (ticket_key_id(keys->keys[i], id) < 0)
			r = -EIO;
		else if (memcmp(id, bytes + AT_KEY_ID, sizeof(id)) == 0)
			r = check_signature(keys->keys[i], bytes);
	}
	return r;
}

int
ticket_verify(struct ticket_verifier *verifier, const char *text, size_t n, int64_t wall_now_ms,
	      struct ticket *ret)
{
	uint8_t bytes[TICKET_BYTES];
	struct ticket ticket;
	struct verifier_side *side;
	int r;

	if (n != TICKET_TEXT || base64url_decode(text, n, bytes, sizeof(bytes)) != TICKET_BYTES)
		return -EBADMSG;
	r = decode(bytes, &ticket);
	if (r < 0)
		return r;
	side = ticket.role == TICKET_ROLE_NODE ? &verifier->node : &verifier->session;
	refresh_keys(side, wall_now_ms);
	r = check_signer(&side->keys, bytes);
	if (r == 0 && memcmp(ticket.group, verifier->group, TICKET_GROUP_BYTES) != 0)
		r = -EACCES;
	if (r < 0)
		return r;
	if (ticket.expires_at_ms <= wall_now_ms - TICKET_LEEWAY_MS ||
	    ticket.not_before_ms > wall_now_ms + TICKET_LEEWAY_MS)
		return -ETIME;
	*ret = ticket;
	return 0;
}
