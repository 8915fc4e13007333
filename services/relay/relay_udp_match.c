/*
 * relay_udp_match: whose a handshake message is, by its mac1: which node's an initiation, which
 * session's an answer. Each try costs a hash, so there are limits to how many.
 */
#include "relay/relay_udp_sessions.h"

static bool
is_for(struct relay_udp_sessions *s, const struct mac1_key *key, const uint8_t *message, size_t n)
{
	s->hashes++;
	return mac1_is_for(key, message, n);
}

/* ---- of initiations ---- */

static bool
take_budget(struct relay_udp_budget *budget, int64_t now_ms)
{
	enum { PER_MS = RELAY_UDP_HASHES_PER_SEC / 1000, WINDOW_MS = 100 };

	if (now_ms - budget->since_ms >= WINDOW_MS)
		*budget = (struct relay_udp_budget){ now_ms, PER_MS * WINDOW_MS };
	if (budget->left == 0)
		return false;
	budget->left--;
	return true;
}

/* They are few, so these hashes have a budget of their own. */
static struct relay_udp_node *
match_near(struct relay_udp_sessions *s, const struct in6_addr *from, const uint8_t *message,
	   size_t n, int64_t now_ms)
{
	const struct relay_udp_session *session = relay_udp_sessions_near_first(s, from);
	const struct relay_udp_node *last = NULL;

	for (int i = 0; session != NULL && i < RELAY_UDP_HINTS_MAX;
	     i++, session = LIST_NEXT(session, of_prefix)) {
		if (session->node == last)
			continue;
		last = session->node;
		if (!take_budget(&s->budgets[RELAY_UDP_NEAR], now_ms))
			return NULL;
		if (is_for(s, &session->node->mac1, message, n))
			return session->node;
	}
	return NULL;
}

static struct relay_udp_node *
match_all(struct relay_udp_sessions *s, const uint8_t *message, size_t n, int64_t now_ms,
	  bool *ret_is_out_of_budget)
{
	struct relay_udp_node *node;
	unsigned tried = 0;

	LIST_FOREACH (node, &s->by_age, by_age) {
		if (tried++ == RELAY_UDP_CANDIDATES_MAX ||
		    !take_budget(&s->budgets[RELAY_UDP_ALL], now_ms)) {
			*ret_is_out_of_budget = true;
			return NULL;
		}
		if (is_for(s, &node->mac1, message, n))
			return node;
	}
	return NULL;
}

struct relay_udp_node *
relay_udp_sessions_match(struct relay_udp_sessions *s, enum relay_udp_search search,
			 const struct in6_addr *from, const uint8_t *message, size_t n,
			 int64_t now_ms, bool *ret_is_out_of_budget)
{
	struct relay_udp_node *node = match_near(s, from, message, n, now_ms);

	*ret_is_out_of_budget = false;
	if (node == NULL && search == RELAY_UDP_ALL)
		node = match_all(s, message, n, now_ms, ret_is_out_of_budget);
	return node;
}

/* ---- of answers ---- */

/* A search is never broken off, or sessions at its end would never be found; its length counts
 * against the next. */
static struct relay_udp_session *
search_node(struct relay_udp_sessions *s, struct relay_udp_node *node, const uint8_t *message,
	    size_t n, int64_t now_ms)
{
	enum { PER_MS = RELAY_UDP_HASHES_PER_SEC / 1000, AHEAD = 100 * PER_MS };
	struct relay_udp_session *session;
	uint64_t before = s->hashes;

	if (node->searched > now_ms * PER_MS + AHEAD)
		return NULL;
	LIST_FOREACH (session, &node->sessions, of_node)
		if (is_for(s, &session->mac1, message, n))
			break;
	if (node->searched < now_ms * PER_MS)
		node->searched = now_ms * PER_MS;
	node->searched += (int64_t)(s->hashes - before);
	return session;
}

struct relay_udp_session *
relay_udp_sessions_of_answer(struct relay_udp_sessions *s, struct relay_udp_node *node,
			     struct relay_udp_session *suspect, const struct in6_addr *to,
			     const uint8_t *message, size_t n, int64_t now_ms)
{
	struct relay_udp_session *session = relay_udp_sessions_near_first(s, to);

	if (suspect != NULL && is_for(s, &suspect->mac1, message, n))
		return suspect;
	for (int i = 0; session != NULL && i < RELAY_UDP_HINTS_MAX;
	     i++, session = LIST_NEXT(session, of_prefix))
		if (session->node == node && session != suspect &&
		    is_for(s, &session->mac1, message, n))
			return session;
	return search_node(s, node, message, n, now_ms);
}
