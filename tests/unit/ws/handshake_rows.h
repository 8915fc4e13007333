/*
 * handshake_rows: upgrade requests as text, with the status each gets whatever the socket is for:
 * for the tests of the parser, and of those who judge the rest of what it read.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LINE	 "GET /relay/00112233-4455-6677-8899-aabbccddeeff HTTP/1.1\r\n"
#define HOST	 "Host: relay\r\n"
#define UPGRADE	 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY	 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION	 "Sec-WebSocket-Version: 13\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: higgs.v1\r\n"
#define TICKET	 "Authorization: Bearer abc-DEF_123\r\n"
#define REST	 HOST UPGRADE KEY VERSION PROTOCOL TICKET
#define PATH(p)	 "GET " p " HTTP/1.1\r\n" REST "\r\n"

struct handshake_row {
	const char *request;
	int status;
};

/* As ws_handshake_parse, without the result. */
typedef int (*handshake_judge_fn)(const uint8_t *bytes, size_t n, size_t *scanned);

static const struct handshake_row handshake_rows[] = {
	{ LINE REST "\r\n", 0 },
	{ LINE HOST
	  "upgrade:WebSocket\r\nconnection:\tkeep-alive , UPGRADE \r\n" KEY VERSION PROTOCOL TICKET
	  "\r\n",
	  0 },
	{ LINE HOST UPGRADE KEY VERSION "Sec-WebSocket-Protocol: a,higgs.v1,b\r\n" TICKET "\r\n",
	  0 },
	{ LINE HOST UPGRADE KEY VERSION PROTOCOL "authorization: bearer abc\r\n\r\n", 0 },
	{ LINE REST "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 0 },
	/* targets */
	{ PATH("http://relay/relay/00112233-4455-6677-8899-aabbccddeeff"), 400 },
	{ PATH("*"), 400 },
	/* W07 */
	{ LINE HOST UPGRADE KEY "Sec-WebSocket-Version: 8\r\n" PROTOCOL TICKET "\r\n", 426 },
	{ LINE HOST UPGRADE KEY PROTOCOL TICKET "\r\n", 426 },
	/* W09 */
	{ "POST /relay/00112233-4455-6677-8899-aabbccddeeff HTTP/1.1\r\n" REST "\r\n", 405 },
	{ "CONNECT relay:443 HTTP/1.1\r\n" REST "\r\n", 405 },
	/* W11 */
	{ LINE HOST "Upgrade: foo\r\nConnection: Upgrade\r\n" KEY VERSION PROTOCOL TICKET "\r\n",
	  400 },
	{ LINE HOST "Upgrade: websocket\r\n" KEY VERSION PROTOCOL TICKET "\r\n", 400 },
	/* keys */
	{ LINE HOST UPGRADE VERSION PROTOCOL TICKET "\r\n", 400 },
	{ LINE HOST UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" VERSION PROTOCOL TICKET
			    "\r\n",
	  400 },
	{ LINE HOST UPGRADE
	  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" VERSION PROTOCOL TICKET "\r\n",
	  400 },
	{ LINE HOST UPGRADE
	  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!\r\n" VERSION PROTOCOL TICKET "\r\n",
	  400 },
	/* HTTP */
	{ "GET /relay/00112233-4455-6677-8899-aabbccddeeff HTTP/1.0\r\n" REST "\r\n", 400 },
	{ "GET  /relay/00112233-4455-6677-8899-aabbccddeeff HTTP/1.1\r\n" REST "\r\n", 400 },
	{ "GET /relay/00112233-4455-6677-8899-aabbccddeeff\r\n" REST "\r\n", 400 },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400 },
	{ "\r\n\r\n", 400 },
	{ LINE UPGRADE KEY VERSION PROTOCOL TICKET "\r\n", 400 },
	{ LINE HOST REST "\r\n", 400 },
	{ LINE REST KEY "\r\n", 400 },
	{ LINE REST TICKET "\r\n", 400 },
	{ LINE REST "Content-Length: 0\r\n\r\n", 400 },
	{ LINE REST "Transfer-Encoding: chunked\r\n\r\n", 400 },
	{ LINE REST "X: a\r\n b\r\n\r\n", 400 },
	{ LINE REST "X : a\r\n\r\n", 400 },
	{ LINE REST ": a\r\n\r\n", 400 },
	{ LINE REST "no colon\r\n\r\n", 400 },
	{ LINE REST "X: a\n\r\n", 400 },
	{ LINE REST "X: a\rb\r\n\r\n", 400 },
	{ LINE REST "X: \x7f\r\n\r\n", 400 },
	{ LINE REST "X: \x01\r\n\r\n", 400 },
};

enum { HANDSHAKE_ROWS = sizeof(handshake_rows) / sizeof(handshake_rows[0]) };

/* In one piece. */
static inline void
handshake_rows_check(const struct handshake_row *rows, size_t count, handshake_judge_fn judge)
{
	for (size_t i = 0; i < count; i++) {
		size_t scanned = 0;
		const char *request = rows[i].request;
		int status = judge((const uint8_t *)request, strlen(request), &scanned);

		if (status != rows[i].status)
			fail_msg("row %zu: %d, not %d:\n%s", i, status, rows[i].status, request);
	}
}

/* The same bytes one at a time: the same judgement, and never a good one too early. */
static inline void
handshake_rows_check_bytes(const struct handshake_row *rows, size_t count, handshake_judge_fn judge)
{
	for (size_t i = 0; i < count; i++) {
		size_t scanned = 0, n = strlen(rows[i].request);
		int status = -EAGAIN;

		for (size_t have = 1; have <= n && status == -EAGAIN; have++) {
			status = judge((const uint8_t *)rows[i].request, have, &scanned);
			if (status == 0)
				assert_int_equal(have, n);
		}
		assert_int_equal(status, rows[i].status);
	}
}
