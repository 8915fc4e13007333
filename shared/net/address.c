/*
 * address: one table of the IANA special-purpose address registries (RFC 6890 and its updates), for
 * whoever must not dial, admit or forward to such an address.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

enum { PORT_DIGITS = 5, BITS_DIGITS = 3 };

struct range4 {
	uint32_t base;
	unsigned bits;
	enum address_class class;
};

struct range6 {
	uint8_t base[16];
	unsigned bits;
	enum address_class class;
};

#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

/* The first that matches counts: the narrower stands before the wider. */
static const struct range4 ranges4[] = {
	{ V4(0, 0, 0, 0), 8, ADDRESS_RESERVED }, /* this network */
	{ V4(10, 0, 0, 0), 8, ADDRESS_PRIVATE },
	{ V4(100, 64, 0, 0), 10, ADDRESS_CGNAT },
	{ V4(127, 0, 0, 0), 8, ADDRESS_LOOPBACK },
	{ V4(169, 254, 0, 0), 16, ADDRESS_LINK_LOCAL },
	{ V4(172, 16, 0, 0), 12, ADDRESS_PRIVATE },
	{ V4(192, 0, 0, 0), 24, ADDRESS_RESERVED },    /* protocol assignments */
	{ V4(192, 0, 2, 0), 24, ADDRESS_RESERVED },    /* TEST-NET-1 */
	{ V4(192, 31, 196, 0), 24, ADDRESS_RESERVED }, /* AS112 */
	{ V4(192, 52, 193, 0), 24, ADDRESS_RESERVED }, /* AMT */
	{ V4(192, 88, 99, 0), 24, ADDRESS_RESERVED },  /* 6to4 relays */
	{ V4(192, 168, 0, 0), 16, ADDRESS_PRIVATE },
	{ V4(192, 175, 48, 0), 24, ADDRESS_RESERVED }, /* AS112 */
	{ V4(198, 18, 0, 0), 15, ADDRESS_RESERVED },   /* benchmarks */
	{ V4(198, 51, 100, 0), 24, ADDRESS_RESERVED }, /* TEST-NET-2 */
	{ V4(203, 0, 113, 0), 24, ADDRESS_RESERVED },  /* TEST-NET-3 */
	{ V4(224, 0, 0, 0), 4, ADDRESS_MULTICAST },
	{ V4(240, 0, 0, 0), 4, ADDRESS_RESERVED }, /* and the broadcast address */
};

static const struct range6 ranges6[] = {
	{ { 0 }, 128, ADDRESS_RESERVED }, /* :: */
	{ { [15] = 1 }, 128, ADDRESS_LOOPBACK },
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, ADDRESS_RESERVED }, /* local NAT64 */
	{ { 0x20, 0x01, 0x00, 0x00 }, 23, ADDRESS_RESERVED }, /* protocols; Teredo, ORCHID */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, ADDRESS_RESERVED }, /* documentation */
	{ { 0x26, 0x20, 0x00, 0x4f, 0x80, 0x00 }, 48, ADDRESS_RESERVED }, /* AS112 */
	{ { 0x3f, 0xff, 0x00 }, 20, ADDRESS_RESERVED },			  /* documentation */
	{ { 0x20 }, 3, ADDRESS_GLOBAL }, /* 2000::/3, all of it that is handed out */
	{ { 0xfc }, 7, ADDRESS_PRIVATE },
	{ { 0xfe, 0x80 }, 10, ADDRESS_LINK_LOCAL },
	{ { 0xfe, 0xc0 }, 10, ADDRESS_PRIVATE }, /* site-local, as it was */
	{ { 0xff }, 8, ADDRESS_MULTICAST },
};

static bool
has_prefix(const uint8_t *address, const uint8_t *base, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(address, base, whole) != 0)
		return false;
	return rest == 0 || (address[whole] ^ base[whole]) >> (8 - rest) == 0;
}

static enum address_class
classify4(uint32_t address)
{
	for (size_t i = 0; i < sizeof(ranges4) / sizeof(ranges4[0]); i++)
		if ((address ^ ranges4[i].base) >> (32 - ranges4[i].bits) == 0)
			return ranges4[i].class;
	return ADDRESS_GLOBAL;
}

static uint32_t
read4(const uint8_t *bytes)
{
	return V4(bytes[0], bytes[1], bytes[2], bytes[3]);
}

/* Is there an IPv4 address inside, and where? */
static const uint8_t *
find_embedded4(const uint8_t *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t compatible[12];
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	static const uint8_t six_to_four[2] = { 0x20, 0x02 };

	if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
		return a + 12;
	/* ::/96 without :: and ::1, which are themselves. */
	if (memcmp(a, compatible, 12) == 0 && read4(a + 12) > 1)
		return a + 12;
	if (memcmp(a, six_to_four, 2) == 0)
		return a + 2;
	return NULL;
}

enum address_class
address_classify(const struct in6_addr *address)
{
	const uint8_t *inner = find_embedded4(address->s6_addr);

	if (inner)
		return classify4(read4(inner));
	for (size_t i = 0; i < sizeof(ranges6) / sizeof(ranges6[0]); i++)
		if (has_prefix(address->s6_addr, ranges6[i].base, ranges6[i].bits))
			return ranges6[i].class;
	/* Outside 2000::/3 nothing is handed out. */
	return ADDRESS_RESERVED;
}

const char *address_class_name(enum address_class class)
{
	switch (class) {
	case ADDRESS_GLOBAL:
		return "global";
	case ADDRESS_PRIVATE:
		return "private";
	case ADDRESS_CGNAT:
		return "cgnat";
	case ADDRESS_LOOPBACK:
		return "loopback";
	case ADDRESS_LINK_LOCAL:
		return "link-local";
	case ADDRESS_MULTICAST:
		return "multicast";
	case ADDRESS_RESERVED:
		return "reserved";
	}
	return "reserved";
}

int
address_parse(const char *text, struct in6_addr *ret)
{
	struct in_addr four;

	if (inet_pton(AF_INET6, text, ret) == 1)
		return 0;
	if (inet_pton(AF_INET, text, &four) != 1)
		return -EINVAL;
	memset(ret, 0, sizeof(*ret));
	ret->s6_addr[10] = 0xff;
	ret->s6_addr[11] = 0xff;
	memcpy(ret->s6_addr + 12, &four, 4);
	return 0;
}

void
address_format(const struct in6_addr *address, char ret[INET6_ADDRSTRLEN])
{
	if (IN6_IS_ADDR_V4MAPPED(address))
		inet_ntop(AF_INET, address->s6_addr + 12, ret, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, address, ret, INET6_ADDRSTRLEN);
}

int
address_parse_socket(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_storage address = { .ss_family = AF_INET };
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)&address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&address;

	if (inet_pton(AF_INET, text, &four->sin_addr) != 1) {
		address.ss_family = AF_INET6;
		if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
			return -EINVAL;
	}
	address_set_port(&address, port);
	*ret = address;
	return 0;
}

socklen_t
address_socket_bytes(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6);
}

void
address_set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
}

/* n digits and nothing else. */
static int
parse_number(const char *text, size_t n, size_t digits_max, unsigned max, unsigned *ret)
{
	unsigned number = 0;

	if (n == 0 || n > digits_max)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		number = number * 10 + (unsigned)(text[i] - '0');
	}
	if (number > max)
		return -EINVAL;
	*ret = number;
	return 0;
}

int
address_parse_port(const char *text, size_t n, uint16_t *ret)
{
	unsigned port;

	if (parse_number(text, n, PORT_DIGITS, UINT16_MAX, &port) < 0 || port == 0)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

/* n bytes of text, which may go on. */
static int
parse_part(const char *text, size_t n, struct in6_addr *ret)
{
	char address[INET6_ADDRSTRLEN];

	if (n >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, n);
	address[n] = '\0';
	return address_parse(address, ret);
}

int
address_parse_network(const char *text, struct in6_addr *ret, unsigned *ret_bits)
{
	size_t n = strcspn(text, "/");
	unsigned bits, max = memchr(text, ':', n) != NULL ? 128 : 32;
	struct in6_addr address;

	if (text[n] != '/' ||
	    parse_number(text + n + 1, strlen(text + n + 1), BITS_DIGITS, max, &bits) < 0 ||
	    parse_part(text, n, &address) < 0)
		return -EINVAL;
	*ret = address;
	*ret_bits = bits;
	return 0;
}

/* Where the host ends; NULL: a bracket is not closed. */
static const char *
host_end(const char *text)
{
	const char *colon = strchr(text, ':');

	if (*text == '[')
		return strchr(text, ']');
	return colon != NULL && strchr(colon + 1, ':') == NULL ? colon : text + strlen(text);
}

int
address_parse_endpoint(const char *text, struct in6_addr *ret, uint16_t *ret_port)
{
	bool is_bracketed = *text == '[';
	const char *host = text + is_bracketed, *end = host_end(text);
	struct in6_addr address;
	uint16_t port = 0;

	if (end == NULL || parse_part(host, (size_t)(end - host), &address) < 0 ||
	    (is_bracketed && memchr(host, ':', (size_t)(end - host)) == NULL))
		return -EINVAL;
	end += is_bracketed;
	if (*end != '\0' &&
	    (*end != ':' || address_parse_port(end + 1, strlen(end + 1), &port) < 0))
		return -EINVAL;
	*ret = address;
	*ret_port = port;
	return 0;
}
