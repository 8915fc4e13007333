/*
 * gateway_access_key: the form of access keys; see the header. The fixed start lets scanners find
 * keys that were published by mistake, and lets us refuse other text without asking the store.
 */
#include "gateway/gateway_access_key.h"

#include "identity/key.h"

#include <stdio.h>
#include <string.h>

enum { RANDOM_BYTES = 32, RANDOM_TEXT = 43 };

static const char start[] = "boson_";

static const struct {
	const char *name;
	enum gateway_who role;
} kinds[ACCESS_KEY_KINDS] = {
	[ACCESS_KEY_NODE] = { "node", WHO_NODE },
	[ACCESS_KEY_CLIENT] = { "client", WHO_CLIENT },
	[ACCESS_KEY_ADMIN] = { "admin", WHO_ADMIN },
	[ACCESS_KEY_SCRAPER] = { "scraper", WHO_SCRAPER },
};

const char *
access_key_kind_name(enum access_key_kind kind)
{
	return kinds[kind].name;
}

enum gateway_who
access_key_kind_role(enum access_key_kind kind)
{
	return kinds[kind].role;
}

bool
access_key_kind_parse(const char *name, size_t n, enum access_key_kind *ret)
{
	for (int i = 0; i < ACCESS_KEY_KINDS; i++) {
		if (strlen(kinds[i].name) != n || memcmp(kinds[i].name, name, n) != 0)
			continue;
		*ret = (enum access_key_kind)i;
		return true;
	}
	return false;
}

int
access_key_make(enum access_key_kind kind, char ret_text[ACCESS_KEY_TEXT_BYTES])
{
	uint8_t random[RANDOM_BYTES];
	int r = mac_random(random, sizeof(random));
	if (r < 0)
		return r;
	size_t at =
		(size_t)snprintf(ret_text, ACCESS_KEY_TEXT_BYTES, "%s%s_", start, kinds[kind].name);
	base64url_encode(random, sizeof(random), ret_text + at);
	key_wipe(random, sizeof(random));
	return 0;
}

bool
access_key_parse(const char *text, size_t n, enum access_key_kind *ret)
{
	size_t start_bytes = sizeof(start) - 1;
	uint8_t random[RANDOM_BYTES];
	if (n <= start_bytes + RANDOM_TEXT + 1 || n >= ACCESS_KEY_TEXT_BYTES ||
	    memcmp(text, start, start_bytes) != 0 || text[n - RANDOM_TEXT - 1] != '_')
		return false;
	bool good = base64url_decode(text + n - RANDOM_TEXT, RANDOM_TEXT, random, sizeof(random)) ==
		    RANDOM_BYTES;
	key_wipe(random, sizeof(random));
	return good &&
	       access_key_kind_parse(text + start_bytes, n - RANDOM_TEXT - 1 - start_bytes, ret);
}
