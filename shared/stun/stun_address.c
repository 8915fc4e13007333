/* stun_address: addresses within messages, XORed with the header or plain. */
#include "stun/stun_wire.h"

#include <errno.h>
#include <string.h>

enum { FAMILY_V4 = 1, FAMILY_V6 = 2, V4_BYTES = 8, V6_BYTES = 20 };

static bool
is_xored(enum stun_attribute_type type)
{
	return type == STUN_XOR_MAPPED_ADDRESS || type == STUN_XOR_RELAYED_ADDRESS ||
	       type == STUN_XOR_PEER_ADDRESS;
}

/* The header from the magic on is the mask. */
static void
unmask(uint8_t *value, size_t n, const uint8_t *header)
{
	for (size_t i = 0; i < n; i++)
		value[i] ^= header[4 + i];
}

static void
set_mapped(struct sockaddr_in6 *ret, in_port_t port, const void *ipv4)
{
	memset(ret, 0, sizeof(*ret));
	ret->sin6_family = AF_INET6;
	ret->sin6_port = port;
	ret->sin6_addr.s6_addr[10] = ret->sin6_addr.s6_addr[11] = 0xff;
	memcpy(&ret->sin6_addr.s6_addr[12], ipv4, 4);
}

void
stun_from_native(const struct sockaddr_storage *address, struct sockaddr_in6 *ret)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

	if (address->ss_family == AF_INET6)
		memcpy(ret, address, sizeof(*ret));
	else
		set_mapped(ret, v4->sin_port, &v4->sin_addr);
}

int
stun_address(const struct stun_message *message, enum stun_attribute_type type,
	     struct sockaddr_in6 *ret)
{
	const struct stun_attribute *attribute = stun_find(message, type);
	uint8_t address[16];
	in_port_t port;
	size_t n;

	if (attribute == NULL)
		return -ENOENT;
	if (!(attribute->n == V4_BYTES && attribute->value[1] == FAMILY_V4) &&
	    !(attribute->n == V6_BYTES && attribute->value[1] == FAMILY_V6))
		return -EBADMSG;
	n = (size_t)attribute->n - 4;
	memcpy(&port, attribute->value + 2, sizeof(port));
	memcpy(address, attribute->value + 4, n);
	if (is_xored(type)) {
		unmask((uint8_t *)&port, sizeof(port), message->bytes);
		unmask(address, n, message->bytes);
	}
	set_mapped(ret, port, address);
	if (n != sizeof(address))
		return 0;
	memcpy(&ret->sin6_addr, address, n);
	/* Said as IPv6, it would pass for an IPv4 address that nobody checked. */
	return IN6_IS_ADDR_V4MAPPED(&ret->sin6_addr) ? -EBADMSG : 0;
}

int
stun_mapped_address(const struct stun_message *message, struct sockaddr_in6 *ret,
		    bool *ret_is_legacy)
{
	int error = stun_address(message, STUN_XOR_MAPPED_ADDRESS, ret);

	*ret_is_legacy = error == -ENOENT;
	return error == -ENOENT ? stun_address(message, STUN_MAPPED_ADDRESS, ret) : error;
}

void
stun_put_address(struct stun_writer *writer, enum stun_attribute_type type,
		 const struct sockaddr_in6 *address)
{
	bool is_v4 = IN6_IS_ADDR_V4MAPPED(&address->sin6_addr);
	size_t n = is_v4 ? 4 : 16;
	uint8_t value[V6_BYTES] = { 0, is_v4 ? FAMILY_V4 : FAMILY_V6 };

	memcpy(value + 2, &address->sin6_port, 2);
	memcpy(value + 4, &address->sin6_addr.s6_addr[16 - n], n);
	if (is_xored(type)) {
		unmask(value + 2, 2, writer->bytes);
		unmask(value + 4, n, writer->bytes);
	}
	stun_put(writer, type, value, 4 + n);
}
