/* stun_writer: messages of ours, a header and attributes in order. */
#include "stun/stun_wire.h"

#include <errno.h>
#include <string.h>

void
stun_begin(struct stun_writer *writer, enum stun_class class, enum stun_method method,
	   const uint8_t transaction[STUN_TRANSACTION_BYTES])
{
	unsigned m = (unsigned)method, c = (unsigned)class;
	unsigned type =
		(m & 0x0f) | (m & 0x70) << 1 | (m & 0xf80) << 2 | (c & 1) << 4 | (c & 2) << 7;

	stun_write16(writer->bytes, (uint16_t)type);
	stun_write16(writer->bytes + 2, 0);
	stun_write32(writer->bytes + 4, STUN_MAGIC);
	memcpy(writer->bytes + 8, transaction, STUN_TRANSACTION_BYTES);
	writer->n = STUN_HEADER_BYTES;
	writer->has_failed = false;
}

void
stun_put(struct stun_writer *writer, enum stun_attribute_type type, const void *value, size_t n)
{
	size_t padded = (n + 3) & ~(size_t)3;

	if (writer->has_failed || n > STUN_MESSAGE_MAX_BYTES ||
	    padded + 4 > sizeof(writer->bytes) - writer->n) {
		writer->has_failed = true;
		return;
	}
	stun_write16(writer->bytes + writer->n, (uint16_t)type);
	stun_write16(writer->bytes + writer->n + 2, (uint16_t)n);
	memset(writer->bytes + writer->n + 4, 0, padded);
	if (n > 0)
		memcpy(writer->bytes + writer->n + 4, value, n);
	writer->n += 4 + padded;
	stun_write16(writer->bytes + 2, (uint16_t)(writer->n - STUN_HEADER_BYTES));
}

void
stun_put_number(struct stun_writer *writer, enum stun_attribute_type type, uint32_t value)
{
	uint8_t bytes[4];

	stun_write32(bytes, value);
	stun_put(writer, type, bytes, sizeof(bytes));
}

int
stun_finish(struct stun_writer *writer, const uint8_t *key, size_t key_n)
{
	uint8_t mac[STUN_MAC_BYTES];

	if (key != NULL) {
		if (stun_integrity(writer->bytes, writer->n, key, key_n, mac) != 0)
			writer->has_failed = true;
		else
			stun_put(writer, STUN_MESSAGE_INTEGRITY, mac, sizeof(mac));
	}
	/* The fingerprint's own eight bytes count in the length it covers. */
	if (!writer->has_failed)
		stun_write16(writer->bytes + 2, (uint16_t)(writer->n - STUN_HEADER_BYTES + 8));
	stun_put_number(writer, STUN_FINGERPRINT, stun_fingerprint(writer->bytes, writer->n));
	return writer->has_failed ? -EMSGSIZE : 0;
}
