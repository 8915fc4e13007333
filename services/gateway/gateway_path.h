/*
 * gateway_path: a request target taken apart: decoded segments and query parameters. Strict: what
 * two readers could read differently is refused. No I/O, no state.
 */
#pragma once

#include <stddef.h>

enum {
	GATEWAY_URI_MAX_BYTES = 8 * 1024,
	GATEWAY_SEGMENTS_MAX = 12,
	GATEWAY_QUERY_MAX = 32,
};

struct gateway_path {
	const char *segments[GATEWAY_SEGMENTS_MAX];
	size_t segments_n;
	struct {
		const char *name, *value;
	} query[GATEWAY_QUERY_MAX];
	size_t query_n;
	char text[GATEWAY_URI_MAX_BYTES + 1]; /* what the above point into */
};

/* target: as it stood in the request line, origin-form. 0, or:
 *
 *	-ENAMETOOLONG	over GATEWAY_URI_MAX_BYTES (414)
 *	-EINVAL		not origin-form, a bad %-escape, a control byte (%00 too), not UTF-8, a
 *			parameter twice or too many of them (400)
 *	-ENOENT		well-formed, but no endpoint can be there: empty, dot or too many segments,
 *			a slash that was escaped (404)
 */
int gateway_path_parse(const char *target, struct gateway_path *ret);
