/*
 * bus: makes and ends a bus; and the small things that its parts share.
 */
#include "bus/bus_inside.h"

#include "log/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* CZMQ catches SIGINT and SIGTERM for itself unless told otherwise before its first use. */
static void
tame_czmq(void)
{
	zsys_handler_set(NULL);
	zsys_init();
}

static int
copy_key(const char *key, char ret_key[BUS_KEY_TEXT_BYTES])
{
	uint8_t raw[32];
	int r = 0;

	if (!key || strlen(key) != BUS_KEY_TEXT_BYTES - 1 || !zmq_z85_decode(raw, key))
		r = -EINVAL;
	else
		memcpy(ret_key, key, BUS_KEY_TEXT_BYTES);
	explicit_bzero(raw, sizeof(raw));
	return r;
}

static int
take_security(struct bus *bus, const struct bus_security *security)
{
	int r;

	if (!security)
		return 0;
	r = copy_key(security->public_key, bus->public_key);
	if (r == 0)
		r = copy_key(security->secret_key, bus->secret_key);
	if (r == 0)
		r = bus_zap_add(security, bus->zap_domain);
	bus->has_security = r == 0;
	return r;
}

int
bus_new(struct loop *loop, struct metrics *metrics, const char *actor,
	const struct bus_security *security, struct bus **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct bus *bus = calloc(1, sizeof(*bus));
	int r = -EIO;

	if (!bus)
		return -ENOMEM;
	pthread_once(&once, tame_czmq);
	bus->loop = loop;
	bus->metrics = metrics;
	bus->actor = actor;
	bus->deadlines.loop = loop;
	bus->last_held = &bus->first_held;
	bus->last_event = &bus->first_event;
	bus->last_failed = &bus->first_failed;
	bus_drops_init(&bus->drops, metrics);
	if (getrandom(bus->random, sizeof(bus->random), 0) != sizeof(bus->random))
		goto fail;
	r = bus_arena_init(&bus->arena);
	if (r == 0)
		r = take_security(bus, security);
	if (r < 0)
		goto fail;
	*ret = bus;
	return 0;
fail:
	bus_free(&bus);
	return r;
}

void
bus_free(struct bus **bus)
{
	struct bus *b = bus ? *bus : NULL;

	if (!b)
		return;
	/* Peers first: the closures of what is pending may answer calls of our servers. */
	bus_peers_fini(b);
	while (b->servers) {
		struct bus_server *server = b->servers;
		b->servers = server->next;
		bus_server_free(server);
	}
	while (b->publishers)
		bus_publisher_free(b->publishers);
	bus_subscriptions_fini(b);
	bus_deadlines_fini(&b->deadlines);
	bus_arena_fini(&b->arena);
	if (b->zap_domain[0])
		bus_zap_remove(b->zap_domain);
	explicit_bzero(b->secret_key, sizeof(b->secret_key));
	free(b);
	*bus = NULL;
}

const char *
bus_bound_endpoint(const struct bus *bus)
{
	return bus->bound_endpoint;
}

/* xorshift128+ (Vigna 2014). */
uint64_t
bus_random(struct bus *bus)
{
	uint64_t a = bus->random[0], b = bus->random[1];

	bus->random[0] = b;
	a ^= a << 23;
	bus->random[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
	return bus->random[1] + b;
}

/* A word that came from afar must still make a head that the receiver's check lets through. */
static void
copy_word(char *to, size_t room, const char *from)
{
	size_t n = 0;

	for (; from && from[n] && n + 1 < room; n++)
		to[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
	to[n] = '\0';
}

void
bus_result_set(struct bus_result *result, enum bus_status status, const char *code,
	       const char *field, uint32_t retry_after_sec)
{
	result->status = status;
	result->retry_after_sec = retry_after_sec;
	copy_word(result->code, sizeof(result->code), code);
	copy_word(result->field, sizeof(result->field), field);
}

void
bus_result_from_check(struct bus_result *result, int error)
{
	if (error == -EMSGSIZE)
		bus_result_set(result, BUS_TOO_LARGE, "message_too_large", NULL, 0);
	else if (error == -E2BIG)
		bus_result_set(result, BUS_INVALID, "too_many_elements", NULL, 0);
	else if (error == -ELOOP)
		bus_result_set(result, BUS_INVALID, "too_deep", NULL, 0);
	else
		bus_result_set(result, BUS_INVALID, "malformed", NULL, 0);
}

size_t
bus_head_pack(const ProtobufCMessage *head, uint8_t ret_bytes[BUS_HEAD_MAX_BYTES])
{
	if (protobuf_c_message_get_packed_size(head) > BUS_HEAD_MAX_BYTES)
		return 0;
	return protobuf_c_message_pack(head, ret_bytes);
}
