/*
 * agent_admission: an array of at most a few hundred sessions, searched from end to end.
 */
#include "agent/agent_admission.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_FIRST = ADMISSION_NUMBER_NODE + 1 };

struct admission {
	struct admission_options options;
	unsigned limit; /* of sessions: options.sessions_max, or less */
	uint32_t number_last;
	size_t count;
	struct admission_session sessions[ADMISSION_SESSIONS_MAX];
	/* What was taken out last, a ring: it comes back when the write of it fails. */
	size_t out_count;
	struct admission_session out[ADMISSION_SESSIONS_MAX];
};

const char *
admission_reason(enum admission_verdict verdict)
{
	switch (verdict) {
	case ADMISSION_ADMITTED:
	case ADMISSION_RENEWED:
		return NULL;
	case ADMISSION_FULL:
		return "no session is free on this node";
	case ADMISSION_EXPIRED:
		return "expired by this node's clock";
	case ADMISSION_TOO_LONG:
		return "longer than this node admits";
	case ADMISSION_OTHER_KEY:
		return "the session has another client key";
	case ADMISSION_BAD_KEY:
		return "no client's key";
	}
	return "refused";
}

/* The highest number with an address in both pools: the last of the IPv4 pool is its broadcast
 * address. */
static uint32_t
last_number(const struct admission_pool *pool)
{
	uint32_t last4 = (uint32_t)((UINT64_C(1) << (32 - pool->bits4)) - 2);
	unsigned host6 = 128 - pool->bits6;
	uint32_t last6 = host6 >= 32 ? UINT32_MAX : (uint32_t)((UINT64_C(1) << host6) - 1);

	return last4 < last6 ? last4 : last6;
}

int
admission_new(const struct admission_options *options, struct admission **ret)
{
	const struct admission_pool *pool = &options->pool;
	struct admission *admission;

	if (pool->bits4 < 8 || pool->bits4 > 29 || pool->bits6 < 48 || pool->bits6 > 112 ||
	    options->sessions_max == 0 || options->sessions_max > ADMISSION_SESSIONS_MAX)
		return -EINVAL;
	admission = calloc(1, sizeof(*admission));
	if (!admission)
		return -ENOMEM;
	admission->options = *options;
	admission->limit = options->sessions_max;
	admission->number_last = last_number(pool);
	*ret = admission;
	return 0;
}

void
admission_free(struct admission **admission)
{
	free(*admission);
	*admission = NULL;
}

static struct admission_session *
find_in(struct admission_session *sessions, size_t count, const uint8_t id[UUID_BYTES])
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(sessions[i].id, id, UUID_BYTES) == 0)
			return &sessions[i];
	return NULL;
}

static struct admission_session *
find_id(struct admission *a, const uint8_t id[UUID_BYTES])
{
	return find_in(a->sessions, a->count, id);
}

static struct admission_session *
find_key(struct admission *a, const struct key *client_key)
{
	for (size_t i = 0; i < a->count; i++)
		if (key_is_equal(&a->sessions[i].client_key, client_key))
			return &a->sessions[i];
	return NULL;
}

static struct admission_session *
find_out(struct admission *a, const uint8_t id[UUID_BYTES])
{
	size_t count =
		a->out_count < ADMISSION_SESSIONS_MAX ? a->out_count : ADMISSION_SESSIONS_MAX;

	return find_in(a->out, count, id);
}

static void
remember(struct admission *a, const struct admission_session *session)
{
	struct admission_session *place = find_out(a, session->id);

	if (!place)
		place = &a->out[a->out_count++ % ADMISSION_SESSIONS_MAX];
	*place = *session;
}

/* The order of sessions means nothing: the last one fills the gap. */
static struct admission_session
take_out(struct admission *a, struct admission_session *session)
{
	struct admission_session out = *session;

	remember(a, session);
	*session = a->sessions[--a->count];
	return out;
}

static bool
number_is_taken(const struct admission *a, uint32_t number)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->sessions[i].number == number)
			return true;
	return false;
}

/* 0: none is free. */
static uint32_t
lowest_free_number(const struct admission *a)
{
	for (uint32_t number = NUMBER_FIRST; number <= a->number_last; number++)
		if (!number_is_taken(a, number))
			return number;
	return 0;
}

void
admission_limit(struct admission *a, unsigned sessions_max)
{
	a->limit = sessions_max < a->options.sessions_max ? sessions_max : a->options.sessions_max;
}

static bool
has_place(const struct admission *a)
{
	return a->count < a->limit && lowest_free_number(a) != 0;
}

static bool
key_is_clients(const struct admission *a, const struct key *key)
{
	static const struct key zero;

	return !key_is_equal(key, &zero) && !key_is_equal(key, &a->options.node_key);
}

/* In two steps, so that an overflow cannot turn a far future into a past. */
static enum admission_verdict
check_expiry(const struct admission *a, int64_t expires_at_ms, int64_t now_ms)
{
	if (expires_at_ms <= now_ms - ADMISSION_LEEWAY_MS)
		return ADMISSION_EXPIRED;
	if (expires_at_ms - ADMISSION_LEEWAY_MS > now_ms &&
	    expires_at_ms - ADMISSION_LEEWAY_MS - now_ms > a->options.lifetime_max_ms)
		return ADMISSION_TOO_LONG;
	return ADMISSION_ADMITTED;
}

int64_t
admission_left_ms(const struct admission_session *session, int64_t steady_now_ms)
{
	int64_t left_ms = session->ends_ms + ADMISSION_LEEWAY_MS - steady_now_ms;

	return left_ms > 0 ? left_ms : 0;
}

/* Longer by what the server added: that needs no clock of ours but the steady one. */
static enum admission_verdict
prolong(const struct admission *a, struct admission_session *known, int64_t expires_at_ms,
	int64_t steady_now_ms)
{
	int64_t left_ms = known->ends_ms - steady_now_ms;
	int64_t most_ms = a->options.lifetime_max_ms + ADMISSION_LEEWAY_MS - left_ms;

	if (expires_at_ms <= known->expires_at_ms)
		return ADMISSION_RENEWED;
	if (expires_at_ms - known->expires_at_ms > most_ms)
		return ADMISSION_TOO_LONG;
	known->ends_ms += expires_at_ms - known->expires_at_ms;
	known->expires_at_ms = expires_at_ms;
	return ADMISSION_RENEWED;
}

static enum admission_verdict
renew(const struct admission *a, struct admission_session *known,
      const struct admission_session *asked, int64_t steady_now_ms,
      struct admission_session *ret_session)
{
	enum admission_verdict verdict;

	if (!key_is_equal(&known->client_key, &asked->client_key))
		return ADMISSION_OTHER_KEY;
	verdict = prolong(a, known, asked->expires_at_ms, steady_now_ms);
	if (verdict == ADMISSION_RENEWED && admission_left_ms(known, steady_now_ms) == 0)
		verdict = ADMISSION_EXPIRED;
	*ret_session = *known;
	return verdict;
}

enum admission_verdict
admission_admit(struct admission *admission, const struct admission_session *asked,
		const struct admission_clock *now, struct admission_session *ret_session,
		struct admission_session *ret_replaced)
{
	struct admission_session *known, *older, *made;
	enum admission_verdict verdict;
	uint32_t number;

	ret_replaced->number = 0;
	known = find_id(admission, asked->id);
	if (known)
		return renew(admission, known, asked, now->steady_ms, ret_session);
	verdict = check_expiry(admission, asked->expires_at_ms, now->wall_ms);
	if (verdict != ADMISSION_ADMITTED)
		return verdict;
	if (!key_is_clients(admission, &asked->client_key))
		return ADMISSION_BAD_KEY;
	older = find_key(admission, &asked->client_key);
	if (!has_place(admission) && !older)
		return ADMISSION_FULL;
	/* Found before the older session goes: the newer one then has an address of its own, and
	 * late packets of the older cannot be taken for its. Only a full node gives it on. */
	number = has_place(admission) ? lowest_free_number(admission) : older->number;
	if (older)
		*ret_replaced = take_out(admission, older);
	made = &admission->sessions[admission->count++];
	*made = *asked;
	made->number = number;
	made->ends_ms = now->steady_ms + (asked->expires_at_ms - now->wall_ms);
	*ret_session = *made;
	return ADMISSION_ADMITTED;
}

bool
admission_end(struct admission *admission, const uint8_t id[UUID_BYTES],
	      struct admission_session *ret_ended)
{
	struct admission_session *session = find_id(admission, id);

	if (!session)
		return false;
	*ret_ended = take_out(admission, session);
	return true;
}

bool
admission_expire(struct admission *admission, int64_t steady_now_ms,
		 struct admission_session *ret_ended)
{
	for (size_t i = 0; i < admission->count; i++) {
		if (admission_left_ms(&admission->sessions[i], steady_now_ms) == 0) {
			*ret_ended = take_out(admission, &admission->sessions[i]);
			return true;
		}
	}
	return false;
}

/* When a stored session ends: as it did before it was taken out (a renewal that was not written is
 * undone), else by what is left of it by the wall clock. That one may be wrong, so no longer than
 * any session is admitted for. */
static int64_t
end_of(struct admission *a, const struct admission_session *session,
       const struct admission_clock *now)
{
	const struct admission_session *out = find_out(a, session->id);

	if (out && session->expires_at_ms > 0 && session->expires_at_ms <= out->expires_at_ms)
		return out->ends_ms - (out->expires_at_ms - session->expires_at_ms);
	switch (check_expiry(a, session->expires_at_ms, now->wall_ms)) {
	case ADMISSION_EXPIRED:
		return now->steady_ms - ADMISSION_LEEWAY_MS;
	case ADMISSION_TOO_LONG:
		return now->steady_ms + a->options.lifetime_max_ms + ADMISSION_LEEWAY_MS;
	case ADMISSION_ADMITTED:
	case ADMISSION_RENEWED:
	case ADMISSION_FULL:
	case ADMISSION_OTHER_KEY:
	case ADMISSION_BAD_KEY:
		break;
	}
	return now->steady_ms + (session->expires_at_ms - now->wall_ms);
}

int
admission_restore(struct admission *admission, const struct admission_session *session,
		  const char *address4, const char *address6, const struct admission_clock *now)
{
	struct admission_session *restored;
	char ours[ADMISSION_ADDRESS_BYTES];

	if (admission->count == ADMISSION_SESSIONS_MAX)
		return -ENOSPC;
	if (session->number < NUMBER_FIRST || session->number > admission->number_last ||
	    number_is_taken(admission, session->number) || find_id(admission, session->id) ||
	    find_key(admission, &session->client_key) ||
	    !key_is_clients(admission, &session->client_key))
		return -EINVAL;
	admission_address4(admission, session->number, ours);
	if (strcmp(ours, address4) != 0)
		return -EINVAL;
	admission_address6(admission, session->number, ours);
	if (strcmp(ours, address6) != 0)
		return -EINVAL;
	restored = &admission->sessions[admission->count++];
	*restored = *session;
	restored->ends_ms = end_of(admission, session, now);
	return 0;
}

void
admission_clear(struct admission *admission)
{
	for (size_t i = 0; i < admission->count; i++)
		remember(admission, &admission->sessions[i]);
	admission->count = 0;
}

size_t
admission_count(const struct admission *admission)
{
	return admission->count;
}

const struct admission_session *
admission_at(const struct admission *admission, size_t i)
{
	return i < admission->count ? &admission->sessions[i] : NULL;
}

/* The base has no host bits, so the number fits in without a carry. */
static void
address_text(int family, const struct in6_addr *base, uint32_t number,
	     char ret_text[ADMISSION_ADDRESS_BYTES])
{
	struct in6_addr address = *base;

	for (int i = 0; i < 4; i++)
		address.s6_addr[15 - i] |= (uint8_t)(number >> (8 * i));
	inet_ntop(family, family == AF_INET ? &address.s6_addr[12] : &address.s6_addr[0], ret_text,
		  ADMISSION_ADDRESS_BYTES);
}

void
admission_address4(const struct admission *admission, uint32_t number,
		   char ret_text[ADMISSION_ADDRESS_BYTES])
{
	address_text(AF_INET, &admission->options.pool.base4, number, ret_text);
}

void
admission_address6(const struct admission *admission, uint32_t number,
		   char ret_text[ADMISSION_ADDRESS_BYTES])
{
	address_text(AF_INET6, &admission->options.pool.base6, number, ret_text);
}
