/* stun_message: reading. Every length is checked before anything behind it is looked at. */
#include "stun/stun_message.h"
#include "stun/stun_wire.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum { SHA1_BYTES = 20, FINGERPRINT_XOR = 0x5354554e, ATTRIBUTE_HEADER_BYTES = 4 };

/* Of ITU V.42, as FINGERPRINT uses it. */
static uint32_t
crc32(const uint8_t *bytes, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

uint32_t
stun_fingerprint(const uint8_t *bytes, size_t n)
{
	return crc32(bytes, n) ^ FINGERPRINT_XOR;
}

int
stun_integrity(const uint8_t *bytes, size_t n, const uint8_t *key, size_t key_n,
	       uint8_t ret[STUN_MAC_BYTES])
{
	/* The header's length must be as if MESSAGE-INTEGRITY were the last: RFC 8489, 14.5. */
	uint8_t copy[STUN_MESSAGE_MAX_BYTES];
	unsigned int mac_n = 0;

	if (n < STUN_HEADER_BYTES || n > sizeof(copy))
		return -EMSGSIZE;
	memcpy(copy, bytes, n);
	stun_write16(copy + 2,
		     (uint16_t)(n - STUN_HEADER_BYTES + ATTRIBUTE_HEADER_BYTES + STUN_MAC_BYTES));
	if (HMAC(EVP_sha1(), key, (int)key_n, copy, n, ret, &mac_n) == NULL ||
	    mac_n != STUN_MAC_BYTES)
		return -EIO;
	return 0;
}

int
stun_message_length(const uint8_t *bytes, size_t n)
{
	unsigned length;

	if (n >= 1 && (bytes[0] & 0xc0) != 0)
		return -EBADMSG;
	if (n < 8)
		return 0;
	length = stun_read16(bytes + 2);
	if (stun_read32(bytes + 4) != STUN_MAGIC || length % 4 != 0 ||
	    length > STUN_MESSAGE_MAX_BYTES - STUN_HEADER_BYTES)
		return -EBADMSG;
	return (int)(STUN_HEADER_BYTES + length);
}

static void
read_type(struct stun_message *message, uint16_t type)
{
	message->class = (enum stun_class)((type >> 7 & 2) | (type >> 4 & 1));
	message->method = (type & 0x0fu) | (type >> 1 & 0x70u) | (type >> 2 & 0xf80u);
}

/* One attribute: what it means for those behind it. 0 or -EBADMSG. */
static int
take_attribute(struct stun_message *message, const struct stun_attribute *attribute, size_t at,
	       bool is_last)
{
	if (attribute->type == STUN_FINGERPRINT)
		return is_last && attribute->n == 4 &&
				       stun_read32(attribute->value) ==
					       stun_fingerprint(message->bytes, at)
			       ? 0
			       : -EBADMSG;
	if (message->integrity_at != 0) /* not covered by it: not there */
		return 0;
	if (attribute->type == STUN_MESSAGE_INTEGRITY) {
		if (attribute->n != STUN_MAC_BYTES)
			return -EBADMSG;
		message->integrity_at = at;
	}
	if (message->attributes_n == STUN_ATTRIBUTES_MAX)
		return -EBADMSG;
	message->attributes[message->attributes_n++] = *attribute;
	return 0;
}

int
stun_message_parse(const uint8_t *bytes, size_t n, struct stun_message *ret)
{
	size_t at = STUN_HEADER_BYTES;
	int error = 0;

	if (n < STUN_HEADER_BYTES || n > STUN_MESSAGE_MAX_BYTES ||
	    stun_message_length(bytes, n) != (int)n)
		return -EBADMSG;
	memset(ret, 0, sizeof(*ret));
	read_type(ret, stun_read16(bytes));
	ret->transaction = bytes + 8;
	ret->bytes = bytes;
	ret->n = n;
	while (at < n && error == 0) { /* at least four bytes: the length is in fours */
		struct stun_attribute attribute = { stun_read16(bytes + at),
						    stun_read16(bytes + at + 2), bytes + at + 4 };
		size_t padded = ((size_t)attribute.n + 3) & ~(size_t)3;

		if (padded > n - at - ATTRIBUTE_HEADER_BYTES)
			return -EBADMSG;
		error = take_attribute(ret, &attribute, at,
				       at + ATTRIBUTE_HEADER_BYTES + padded == n);
		at += ATTRIBUTE_HEADER_BYTES + padded;
	}
	return error;
}

const struct stun_attribute *
stun_find(const struct stun_message *message, enum stun_attribute_type type)
{
	for (size_t i = 0; i < message->attributes_n; i++)
		if (message->attributes[i].type == type)
			return &message->attributes[i];
	return NULL;
}

bool
stun_has_unknown(const struct stun_message *message)
{
	static const uint16_t known[] = {
		STUN_MAPPED_ADDRESS,
		STUN_USERNAME,
		STUN_MESSAGE_INTEGRITY,
		STUN_ERROR_CODE,
		STUN_LIFETIME,
		STUN_REALM,
		STUN_NONCE,
		STUN_XOR_RELAYED_ADDRESS,
		STUN_XOR_MAPPED_ADDRESS,
		STUN_CHANGE_REQUEST,
		STUN_REQUESTED_TRANSPORT,
	};
	/* From RFC 3489 and 8489, harmless in what servers send: RESPONSE-ADDRESS to
	 * REFLECTED-FROM, UNKNOWN-ATTRIBUTES, MESSAGE-INTEGRITY-SHA256. */
	static const uint16_t passed_over[] = { 0x0002, 0x0004, 0x0005, 0x000a, 0x000b, 0x001c };

	for (size_t i = 0; i < message->attributes_n; i++) {
		uint16_t type = message->attributes[i].type;
		bool is_known = type >= 0x8000;

		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			is_known = is_known || known[k] == type;
		for (size_t k = 0; k < sizeof(passed_over) / sizeof(passed_over[0]); k++)
			is_known = is_known || passed_over[k] == type;
		if (!is_known)
			return true;
	}
	return false;
}

int
stun_error_code(const struct stun_message *message)
{
	const struct stun_attribute *attribute = stun_find(message, STUN_ERROR_CODE);
	unsigned hundreds;

	if (attribute == NULL)
		return -ENOENT;
	if (attribute->n < 4)
		return -EBADMSG;
	hundreds = attribute->value[2] & 7u;
	if (hundreds < 3 || hundreds > 6 || attribute->value[3] > 99)
		return -EBADMSG;
	return (int)(hundreds * 100 + attribute->value[3]);
}

int
stun_text(const struct stun_message *message, enum stun_attribute_type type, char *ret, size_t n)
{
	const struct stun_attribute *attribute = stun_find(message, type);

	if (attribute == NULL)
		return -ENOENT;
	if (attribute->n >= n || memchr(attribute->value, '\0', attribute->n) != NULL)
		return -EMSGSIZE;
	memcpy(ret, attribute->value, attribute->n);
	ret[attribute->n] = '\0';
	return 0;
}

bool
stun_is_authentic(const struct stun_message *message, const uint8_t *key, size_t key_n)
{
	uint8_t mac[STUN_MAC_BYTES];

	return message->integrity_at != 0 &&
	       stun_integrity(message->bytes, message->integrity_at, key, key_n, mac) == 0 &&
	       CRYPTO_memcmp(mac, message->bytes + message->integrity_at + ATTRIBUTE_HEADER_BYTES,
			     sizeof(mac)) == 0;
}

int
stun_long_term_key(const char *username, const char *realm, const char *password,
		   uint8_t ret[STUN_KEY_BYTES])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned int n = 0;
	bool done = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1 &&
		    EVP_DigestUpdate(context, username, strlen(username)) == 1 &&
		    EVP_DigestUpdate(context, ":", 1) == 1 &&
		    EVP_DigestUpdate(context, realm, strlen(realm)) == 1 &&
		    EVP_DigestUpdate(context, ":", 1) == 1 &&
		    EVP_DigestUpdate(context, password, strlen(password)) == 1 &&
		    EVP_DigestFinal_ex(context, ret, &n) == 1;

	EVP_MD_CTX_free(context);
	return done && n == STUN_KEY_BYTES ? 0 : -EIO;
}
