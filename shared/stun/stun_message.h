/*
 * stun_message: STUN (RFC 8489) and what of TURN (RFC 8656) and NAT discovery (RFC 5780) we use, as
 * bytes. What is not exactly a STUN message is none. No I/O, no clock.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	STUN_HEADER_BYTES = 20,
	STUN_MESSAGE_MAX_BYTES = 1500, /* longer ones cannot have come in one packet */
	STUN_ATTRIBUTES_MAX = 32,
	STUN_TRANSACTION_BYTES = 12,
	STUN_KEY_BYTES = 16, /* MD5, of the long-term credential */
	STUN_REALM_MAX_BYTES = 128,
	STUN_NONCE_MAX_BYTES = 128,
	STUN_PORT = 3478,
};

enum stun_class {
	STUN_REQUEST = 0,
	STUN_INDICATION = 1,
	STUN_SUCCESS = 2,
	STUN_ERROR = 3,
};

enum stun_method {
	STUN_BINDING = 0x001,
	STUN_ALLOCATE = 0x003,
	STUN_REFRESH = 0x004,
	STUN_CREATE_PERMISSION = 0x008,
};

enum stun_attribute_type {
	STUN_MAPPED_ADDRESS = 0x0001,
	STUN_CHANGE_REQUEST = 0x0003,
	STUN_USERNAME = 0x0006,
	STUN_MESSAGE_INTEGRITY = 0x0008,
	STUN_ERROR_CODE = 0x0009,
	STUN_LIFETIME = 0x000d,
	STUN_XOR_PEER_ADDRESS = 0x0012,
	STUN_REALM = 0x0014,
	STUN_NONCE = 0x0015,
	STUN_XOR_RELAYED_ADDRESS = 0x0016,
	STUN_REQUESTED_FAMILY = 0x0017,
	STUN_REQUESTED_TRANSPORT = 0x0019,
	STUN_XOR_MAPPED_ADDRESS = 0x0020,
	STUN_SOFTWARE = 0x8022,
	STUN_ALTERNATE_SERVER = 0x8023,
	STUN_FINGERPRINT = 0x8028,
	STUN_OTHER_ADDRESS = 0x802c,
};

struct stun_attribute {
	uint16_t type;
	uint16_t n;
	const uint8_t *value; /* in the message's bytes */
};

struct stun_message {
	enum stun_class class;
	unsigned method;
	const uint8_t *transaction; /* STUN_TRANSACTION_BYTES */
	const uint8_t *bytes;	    /* borrowed */
	size_t n;
	size_t integrity_at; /* where MESSAGE-INTEGRITY begins; 0: there is none */
	struct stun_attribute attributes[STUN_ATTRIBUTES_MAX]; /* those that count */
	size_t attributes_n;
};

/* A whole datagram. What stands after MESSAGE-INTEGRITY is not among the attributes; a FINGERPRINT
 * must be the last of all and right. 0 or -EBADMSG. */
int stun_message_parse(const uint8_t *bytes, size_t n, struct stun_message *ret);

/* How long the message is that a TCP stream begins with: 0 while that cannot be told yet, -EBADMSG
 * when it begins with none. */
int stun_message_length(const uint8_t *bytes, size_t n);

/* The first of this type, or NULL. */
const struct stun_attribute *stun_find(const struct stun_message *message,
				       enum stun_attribute_type type);

/* An attribute that must be understood (type below 0x8000) and is not ours: the message cannot be
 * used (RFC 8489, 6.3). */
bool stun_has_unknown(const struct stun_message *message);

/* Of an address attribute, XORed or not, which its type says. The mapped form (::ffff:a.b.c.d) for
 * IPv4, so that one kind fits all. 0, -ENOENT when there is none, -EBADMSG when its length or
 * family is wrong. */
int stun_address(const struct stun_message *message, enum stun_attribute_type type,
		 struct sockaddr_in6 *ret);

/* What we look like from outside: XOR-MAPPED-ADDRESS, or of a server from before RFC 5389
 * MAPPED-ADDRESS, and *ret_is_legacy. Errors as stun_address. */
int stun_mapped_address(const struct stun_message *message, struct sockaddr_in6 *ret,
			bool *ret_is_legacy);

/* 300 to 699, or -EBADMSG, or -ENOENT. */
int stun_error_code(const struct stun_message *message);

/* Text of at most n - 1 bytes. 0, -ENOENT, -EMSGSIZE. */
int stun_text(const struct stun_message *message, enum stun_attribute_type type, char *ret,
	      size_t n);

/* Did somebody who has this key write it? Constant time. */
bool stun_is_authentic(const struct stun_message *message, const uint8_t *key, size_t key_n);

/* key = MD5(username ":" realm ":" password): RFC 8489, 9.2.2. 0 or -EIO. */
int stun_long_term_key(const char *username, const char *realm, const char *password,
		       uint8_t ret[STUN_KEY_BYTES]);

/* ---- writing ---- */

struct stun_writer {
	uint8_t bytes[STUN_MESSAGE_MAX_BYTES];
	size_t n;
	bool has_failed; /* something did not fit: sticky */
};

void stun_begin(struct stun_writer *writer, enum stun_class class, enum stun_method method,
		const uint8_t transaction[STUN_TRANSACTION_BYTES]);
void stun_put(struct stun_writer *writer, enum stun_attribute_type type, const void *value,
	      size_t n);
void stun_put_number(struct stun_writer *writer, enum stun_attribute_type type, uint32_t value);
/* In the mapped form, or IPv6. */
void stun_put_address(struct stun_writer *writer, enum stun_attribute_type type,
		      const struct sockaddr_in6 *address);

/* MESSAGE-INTEGRITY when key is not NULL, then FINGERPRINT. 0 or -EMSGSIZE. */
int stun_finish(struct stun_writer *writer, const uint8_t *key, size_t key_n);
