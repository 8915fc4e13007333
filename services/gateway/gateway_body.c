/*
 * gateway_body: Content-Length and chunks; see the header.
 */
#include "gateway/gateway_body.h"

#include "identity/hex.h"

enum { SIZE_DIGITS_MAX = 8 };

void
gateway_body_init(struct gateway_body *body, const struct gate_tally *tally)
{
	*body = (struct gateway_body){ .state = BODY_DONE, .left = tally->content_length };
	if (tally->encodings > 0)
		*body = (struct gateway_body){ .state = BODY_CHUNK_SIZE };
	else if (tally->content_length > 0)
		body->state = BODY_PLAIN;
}

static int
take_size(struct gateway_body *body, char c)
{
	int value = hex_digit(c);
	if (value >= 0 && body->digits < SIZE_DIGITS_MAX) {
		body->left = body->left * 16 + (uint64_t)value;
		body->digits++;
		return 0;
	}
	if (c != '\r' || body->digits == 0)
		return -1;
	body->state = BODY_CHUNK_SIZE_LF;
	return 0;
}

static int
expect(struct gateway_body *body, char c, char expected, enum gateway_body_state next)
{
	body->state = next;
	return c == expected ? 0 : -1;
}

/* One byte of what is between the chunks. */
static int
take_frame(struct gateway_body *body, char c)
{
	switch (body->state) {
	case BODY_CHUNK_SIZE:
		return take_size(body, c);
	case BODY_CHUNK_SIZE_LF:
		body->digits = 0;
		return expect(body, c, '\n', body->left > 0 ? BODY_CHUNK : BODY_END_CR);
	case BODY_CHUNK_CR:
		return expect(body, c, '\r', BODY_CHUNK_LF);
	case BODY_CHUNK_LF:
		return expect(body, c, '\n', BODY_CHUNK_SIZE);
	case BODY_END_CR:
		return expect(body, c, '\r', BODY_END_LF);
	case BODY_END_LF:
		return expect(body, c, '\n', BODY_DONE);
	case BODY_DONE:
	case BODY_PLAIN:
	case BODY_CHUNK:
		break;
	}
	return -1;
}

long
gateway_body_take(struct gateway_body *body, const char *bytes, size_t n, const char **ret_content,
		  size_t *ret_n)
{
	size_t at = 0;
	*ret_content = bytes;
	*ret_n = 0;
	while (at < n && body->state != BODY_DONE) {
		if (body->state == BODY_PLAIN || body->state == BODY_CHUNK) {
			size_t got = n - at < body->left ? n - at : (size_t)body->left;
			*ret_content = bytes + at;
			*ret_n = got;
			body->left -= got;
			if (body->left == 0)
				body->state = body->state == BODY_PLAIN ? BODY_DONE : BODY_CHUNK_CR;
			return (long)(at + got);
		}
		if (take_frame(body, bytes[at++]) < 0)
			return -1;
	}
	return (long)at;
}
