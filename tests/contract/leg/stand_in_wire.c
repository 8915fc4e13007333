/*
 * stand_in_wire: see the header.
 */
#include "stand_in_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

bool
stand_in_read_all(struct connection *c, void *to, size_t n)
{
	uint8_t *at = to;

	while (n > 0) {
		ssize_t r = c->ssl != NULL ? SSL_read(c->ssl, at, (int)n) : recv(c->fd, at, n, 0);
		if (r <= 0)
			return false;
		at += r;
		n -= (size_t)r;
	}
	return true;
}

bool
stand_in_write_all(struct connection *c, const void *from, size_t n)
{
	const uint8_t *at = from;

	while (n > 0) {
		ssize_t r = c->ssl != NULL ? SSL_write(c->ssl, at, (int)n)
					   : send(c->fd, at, n, MSG_NOSIGNAL);
		if (r <= 0)
			return false;
		at += r;
		n -= (size_t)r;
	}
	return true;
}

bool
stand_in_send_frame(struct connection *c, int first, const void *payload, size_t n)
{
	uint8_t header[10] = { (uint8_t)first };
	size_t header_n = 2;

	if (n < 126) {
		header[1] = (uint8_t)n;
	} else if (n < 65536) {
		header[1] = 126;
		header[2] = (uint8_t)(n >> 8);
		header[3] = (uint8_t)n;
		header_n = 4;
	} else {
		header[1] = 127;
		for (int i = 0; i < 8; i++)
			header[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
		header_n = 10;
	}
	return stand_in_write_all(c, header, header_n) && stand_in_write_all(c, payload, n);
}

/* A masked frame; its opcode, or -1. */
int
stand_in_receive_frame(struct connection *c, uint8_t *payload, size_t *ret_n)
{
	uint8_t header[2], length[8], mask[4];

	if (!stand_in_read_all(c, header, 2) || !(header[1] & 0x80))
		return -1;
	uint64_t n = header[1] & 0x7f;
	size_t length_n = n == 126 ? 2 : n == 127 ? 8 : 0;
	if (length_n > 0) {
		if (!stand_in_read_all(c, length, length_n))
			return -1;
		n = 0;
		for (size_t i = 0; i < length_n; i++)
			n = n << 8 | length[i];
	}
	if (n > MESSAGE_MAX || !stand_in_read_all(c, mask, 4) || !stand_in_read_all(c, payload, n))
		return -1;
	for (size_t i = 0; i < n; i++)
		payload[i] ^= mask[i % 4];
	*ret_n = n;
	return header[0] & 0x0f;
}

bool
stand_in_header_value(const char *request, const char *name, char *ret, size_t capacity)
{
	size_t name_n = strlen(name);

	for (const char *line = request; line != NULL; line = strstr(line, "\r\n")) {
		line += strspn(line, "\r\n");
		if (strncasecmp(line, name, name_n) != 0 || line[name_n] != ':')
			continue;
		line += name_n + 1;
		line += strspn(line, " ");
		size_t n = strcspn(line, "\r");
		if (n >= capacity)
			return false;
		memcpy(ret, line, n);
		ret[n] = '\0';
		return true;
	}
	return false;
}

bool
stand_in_read_request(struct connection *c, char *request, size_t capacity)
{
	size_t n = 0;

	while (n + 1 < capacity && stand_in_read_all(c, request + n, 1)) {
		request[++n] = '\0';
		if (n >= 4 && strcmp(request + n - 4, "\r\n\r\n") == 0)
			return sscanf(request, "%*7s %255s HTTP/1.1", c->path) == 1;
	}
	return false;
}
