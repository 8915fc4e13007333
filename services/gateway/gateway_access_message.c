/* gateway_access_message: see the header. */
#include "gateway/gateway_access_message.h"

#include <string.h>

enum { LIFETIME_MAX_SEC = 10 * 365 * 24 * 3600, MS_PER_SEC = 1000 };

#define USES_MAX INT64_C(1000000000)

static const Boson__Gateway__KeyKind kinds[ACCESS_KEY_KINDS] = {
	[ACCESS_KEY_NODE] = BOSON__GATEWAY__KEY_KIND__node,
	[ACCESS_KEY_CLIENT] = BOSON__GATEWAY__KEY_KIND__client,
	[ACCESS_KEY_ADMIN] = BOSON__GATEWAY__KEY_KIND__admin,
	[ACCESS_KEY_SCRAPER] = BOSON__GATEWAY__KEY_KIND__scraper,
};

static const char *const states[] = {
	[ACCESS_VALID] = "valid",
	[ACCESS_EXPIRED] = "expired",
	[ACCESS_USED_UP] = "used_up",
	[ACCESS_REVOKED] = "revoked",
};

static char *
time_text(int64_t wall_ms, char text[CLOCK_ISO8601_BYTES])
{
	if (wall_ms == 0)
		return NULL;
	clock_format_iso8601(wall_ms, text);
	return text;
}

void
access_show(struct access_shown *shown, const struct access_row *row, int64_t wall_now_ms)
{
	Boson__Gateway__AccessKey *key = &shown->key;
	boson__gateway__access_key__init(key);
	/* protobuf-c's strings are not const; packing only reads. */
	key->key_id = (char *)(uintptr_t)row->id;
	key->has_kind = 1;
	key->kind = kinds[row->kind];
	key->name = (char *)(uintptr_t)row->name;
	key->state = (char *)(uintptr_t)states[access_row_state(row, wall_now_ms)];
	key->has_uses_max = key->has_uses = row->uses_max != 0;
	key->uses_max = (uint64_t)row->uses_max;
	key->uses = (uint64_t)row->uses;
	key->created_at = time_text(row->created_ms, shown->created);
	key->expires_at = time_text(row->expires_ms, shown->expires);
	key->revoked_at = time_text(row->revoked_ms, shown->revoked);
}

static bool
name_is_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t n = name != NULL ? strnlen(name, ACCESS_KEY_NAME_BYTES) : 0;
	return n > 0 && n < ACCESS_KEY_NAME_BYTES && strspn(name, allowed) == n;
}

static bool
find_kind(const Boson__Gateway__CreateKeyRequest *input, enum access_key_kind *ret)
{
	for (int i = 0; input->has_kind && i < ACCESS_KEY_KINDS; i++) {
		if (kinds[i] != input->kind)
			continue;
		*ret = (enum access_key_kind)i;
		return true;
	}
	return false;
}

const char *
access_read_create(const Boson__Gateway__CreateKeyRequest *input, struct access_row *ret)
{
	if (!find_kind(input, &ret->kind))
		return "kind";
	if (!name_is_valid(input->name))
		return "name";
	if (input->has_uses_max && (input->uses_max == 0 || input->uses_max > USES_MAX))
		return "usesMax";
	if (input->has_lifetime_sec &&
	    (input->lifetime_sec == 0 || input->lifetime_sec > LIFETIME_MAX_SEC))
		return "lifetimeSec";
	memcpy(ret->name, input->name, strlen(input->name) + 1);
	if (input->has_uses_max)
		ret->uses_max = (int64_t)input->uses_max;
	if (input->has_lifetime_sec)
		ret->expires_ms = ret->created_ms + (int64_t)input->lifetime_sec * MS_PER_SEC;
	return NULL;
}

bool
access_read_cursor(const char *text, int64_t *ret)
{
	size_t n = text != NULL ? strlen(text) : 0;
	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9' || *ret > (INT64_MAX - 9) / 10)
			return false;
		*ret = *ret * 10 + (text[i] - '0');
	}
	return text == NULL || n > 0;
}

bool
access_id_is_valid(const char *id)
{
	return id != NULL && strnlen(id, ACCESS_KEY_ID_BYTES) == ACCESS_KEY_ID_BYTES - 1 &&
	       strspn(id, "0123456789abcdef") == ACCESS_KEY_ID_BYTES - 1;
}
