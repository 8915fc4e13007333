/*
 * ws_answer: what a request for a WebSocket is answered (RFC 6455, section 4.2.2).
 */
#include "ws/ws_handshake.h"

#include "identity/key.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

static const char accept_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

int
ws_accept_write(const char key[WS_KEY_TEXT_BYTES], char ret[WS_ACCEPT_TEXT_BYTES])
{
	char joined[WS_KEY_TEXT_BYTES + sizeof(accept_guid)];
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int digest_n = 0;
	int n = snprintf(joined, sizeof(joined), "%s%s", key, accept_guid);

	/* SHA-1 as RFC 6455 has it: a checksum here, no secret depends on it. */
	if (EVP_Digest(joined, (size_t)n, digest, &digest_n, EVP_sha1(), NULL) != 1)
		return -EIO;
	base64_encode(digest, digest_n, ret); /* 20 bytes, so 28 characters */
	return 0;
}

size_t
ws_handshake_accept(char to[WS_RESPONSE_MAX_BYTES], const char key[WS_KEY_TEXT_BYTES],
		    const char *protocol)
{
	char accept[WS_ACCEPT_TEXT_BYTES];

	if (ws_accept_write(key, accept) < 0)
		return ws_handshake_refuse(to, 503);
	int n = snprintf(to, WS_RESPONSE_MAX_BYTES,
			 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s%.64s%s\r\n",
			 accept, protocol != NULL ? "Sec-WebSocket-Protocol: " : "",
			 protocol != NULL ? protocol : "", protocol != NULL ? "\r\n" : "");
	return (size_t)n;
}

size_t
ws_handshake_refuse(char to[WS_RESPONSE_MAX_BYTES], int status)
{
	static const struct {
		int status;
		const char *reason, *header;
	} refusals[] = {
		{ 400, "Bad Request", "" },
		{ 401, "Unauthorized", "WWW-Authenticate: Bearer\r\n" },
		{ 403, "Forbidden", "" },
		{ 404, "Not Found", "" },
		{ 405, "Method Not Allowed", "Allow: GET\r\n" },
		{ 426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" },
		{ 429, "Too Many Requests", "Retry-After: 1\r\n" },
		{ 431, "Request Header Fields Too Large", "" },
		{ 503, "Service Unavailable", "Retry-After: 2\r\n" },
	};
	size_t i = 0;

	while (i + 1 < sizeof(refusals) / sizeof(refusals[0]) && refusals[i].status != status)
		i++;
	int n = snprintf(to, WS_RESPONSE_MAX_BYTES,
			 "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: 0\r\n%s\r\n",
			 refusals[i].status, refusals[i].reason, refusals[i].header);
	return (size_t)n;
}
