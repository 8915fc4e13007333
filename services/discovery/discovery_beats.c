/* discovery_beats: see the header. */
#include "discovery/discovery_beats.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <string.h>

enum { STATUS_MASK = 3, HAS_VITALS = 4, HEAD_BYTES = UUID_BYTES + 8 + 1 };

static uint8_t *
put_u64(uint8_t *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
	return to + sizeof(value);
}

static const uint8_t *
get_u64(const uint8_t *from, uint64_t *ret)
{
	memcpy(ret, from, sizeof(*ret));
	*ret = le64toh(*ret);
	return from + sizeof(*ret);
}

static uint8_t *
put_vitals(uint8_t *to, const struct discovery_vitals *vitals)
{
	uint32_t connections = htole32(vitals->active_connections);
	uint16_t has = htole16(vitals->has);

	for (int i = 0; i < DISCOVERY_VITALS; i++) {
		uint64_t bits;

		memcpy(&bits, &vitals->values[i], sizeof(bits));
		to = put_u64(to, bits);
	}
	memcpy(to, &connections, sizeof(connections));
	memcpy(to + sizeof(connections), &has, sizeof(has));
	return to + sizeof(connections) + sizeof(has);
}

/* False for what no heartbeat can have brought. */
static bool
get_vitals(const uint8_t *from, struct discovery_vitals *ret)
{
	bool is_good = true;

	for (int i = 0; i < DISCOVERY_VITALS; i++) {
		uint64_t bits;

		from = get_u64(from, &bits);
		memcpy(&ret->values[i], &bits, sizeof(bits));
		is_good = is_good && isfinite(ret->values[i]);
	}
	memcpy(&ret->active_connections, from, sizeof(ret->active_connections));
	ret->active_connections = le32toh(ret->active_connections);
	memcpy(&ret->has, from + sizeof(ret->active_connections), sizeof(ret->has));
	ret->has = le16toh(ret->has);
	ret->is_known = true;
	return is_good;
}

size_t
beats_write(const struct beat *beat, uint8_t ret_bytes[BEATS_ONE_MAX_BYTES])
{
	uint8_t *to = ret_bytes + UUID_BYTES;

	memcpy(ret_bytes, beat->id, UUID_BYTES);
	to = put_u64(to, beat->version);
	*to++ = (uint8_t)(beat->status | (beat->vitals.is_known ? HAS_VITALS : 0));
	if (beat->vitals.is_known)
		to = put_vitals(to, &beat->vitals);
	return (size_t)(to - ret_bytes);
}

int
beats_read(const uint8_t *bytes, size_t n, size_t *at, struct beat *ret)
{
	const uint8_t *from = bytes + *at;
	size_t left = n - *at;
	uint8_t flags;

	memset(ret, 0, sizeof(*ret));
	if (left == 0)
		return 0;
	if (left < HEAD_BYTES)
		return -EBADMSG;
	memcpy(ret->id, from, UUID_BYTES);
	from = get_u64(from + UUID_BYTES, &ret->version);
	flags = *from++;
	if ((flags & ~(STATUS_MASK | HAS_VITALS)) != 0 || (flags & STATUS_MASK) > REGISTRY_DEGRADED)
		return -EBADMSG;
	ret->status = (enum registry_status)(flags & STATUS_MASK);
	*at += HEAD_BYTES;
	if ((flags & HAS_VITALS) == 0)
		return 1;
	if (left < BEATS_ONE_MAX_BYTES || !get_vitals(from, &ret->vitals))
		return -EBADMSG;
	*at += BEATS_ONE_MAX_BYTES - HEAD_BYTES;
	return 1;
}
