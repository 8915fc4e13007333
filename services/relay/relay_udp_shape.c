/*
 * relay_udp_shape: see the header.
 */
#include "relay/relay_udp_shape.h"

#include "net/address.h"

#include <string.h>

enum {
	COUNTER_AT = 8,
	SENDER_AT = 4,
	RECEIVER_AT = 4,
	RESPONSE_RECEIVER_AT = 8,
};

/* REJECT-AFTER-MESSAGES: WireGuard paper, section 6.1. */
static const uint64_t counter_end = UINT64_MAX - (UINT64_C(1) << 13);

/* Where strangers come from. Documentation networks count as public: labs stand for the internet
 * by them. */
static bool
is_public(const struct in6_addr *address)
{
	enum address_class class = address_classify(address);

	return class == ADDRESS_GLOBAL || class == ADDRESS_RESERVED;
}

static bool
is_nobody(const struct in6_addr *address)
{
	static const uint8_t zeros[4];

	if (IN6_IS_ADDR_V4MAPPED(address))
		return memcmp(address->s6_addr + 12, zeros, sizeof(zeros)) == 0 ||
		       address->s6_addr[12] >= 224;
	return IN6_IS_ADDR_UNSPECIFIED(address) || IN6_IS_ADDR_MULTICAST(address);
}

int
relay_udp_check_source(const struct relay_udp_arrival *arrival, const struct relay_udp_peers *peers)
{
	const struct relay_udp_tuple *tuple = &arrival->tuple;

	if (arrival->is_broadcast || is_nobody(&tuple->local))
		return -RELAY_UDP_DESTINATION - 1;
	if (tuple->port == 0 || is_nobody(&tuple->remote))
		return -RELAY_UDP_SOURCE - 1;
	if (IN6_IS_ADDR_LINKLOCAL(&tuple->remote) ||
	    (is_public(&tuple->local) && !is_public(&tuple->remote)))
		return -RELAY_UDP_MARTIAN - 1;
	for (uint32_t i = 0; i < peers->n; i++)
		if (peers->peers[i].port == tuple->port &&
		    IN6_ARE_ADDR_EQUAL(&peers->peers[i].address, &tuple->remote))
			return -RELAY_UDP_LOOP - 1;
	return 0;
}

static uint64_t
load64(const uint8_t *bytes)
{
	uint64_t word = 0;

	for (unsigned i = 0; i < 8; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

int
relay_udp_check(const uint8_t *bytes, size_t n)
{
	if (n > RELAY_UDP_DATAGRAM_MAX_BYTES)
		return -RELAY_UDP_SIZE - 1;
	int type = datagram_check(bytes, n);
	if (type == DATAGRAM_TRANSPORT && load64(bytes + COUNTER_AT) >= counter_end)
		return -RELAY_UDP_COUNTER - 1;
	return type;
}

static uint32_t
load_index(const uint8_t *bytes)
{
	uint32_t index;

	memcpy(&index, bytes, sizeof(index));
	return index;
}

uint32_t
relay_udp_sender(const uint8_t *message)
{
	return load_index(message + SENDER_AT);
}

uint32_t
relay_udp_receiver(const uint8_t *message, int type)
{
	return load_index(message +
			  (type == DATAGRAM_RESPONSE ? RESPONSE_RECEIVER_AT : RECEIVER_AT));
}
