/*
 * Wire bytes from anywhere through the bus's pre-scan and unpacker. What passes must unpack in
 * bounded memory, and pack to something that passes again.
 * First byte of the input: which message type.
 */
#include "bus/bus.h"
#include "bus/bus_arena.h"
#include "bus/bus_check.h"

#include "bus.pb-c.h"
#include "discovery.pb-c.h"
#include "echo.pb-c.h"
#include "relay.pb-c.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const ProtobufCMessageDescriptor *const TYPES[] = {
	&boson__bus__request_head__descriptor,
	&boson__bus__reply_head__descriptor,
	&boson__bus__event_head__descriptor,
	&boson__test__tree__descriptor,
	&boson__test__leaf__descriptor,
	&boson__relay__open_session_request__descriptor,
	&boson__relay__list_flows_reply__descriptor,
	&boson__relay__list_legs_reply__descriptor,
	&boson__discovery__register_request__descriptor,
	&boson__discovery__snapshot_reply__descriptor,
};

static void
must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

static void
pack_again(const ProtobufCMessageDescriptor *type, const ProtobufCMessage *message)
{
	static uint8_t packed[2 * BUS_MESSAGE_MAX_BYTES];
	size_t n = protobuf_c_message_get_packed_size(message);
	struct bus_check_seen seen;

	/* Packing may grow a message: varints of bools and enums, unpacked arrays. */
	must(n <= sizeof(packed), "packed size");
	protobuf_c_message_pack(message, packed);
	if (n <= BUS_MESSAGE_MAX_BYTES)
		must(bus_check_scan(type, packed, n, &seen) == 0, "packed again");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct bus_arena arena;
	ProtobufCMessage *message = NULL;
	struct bus_check_seen seen;

	if (n == 0 || (!arena.first && bus_arena_init(&arena) < 0))
		return 0;
	const ProtobufCMessageDescriptor *type =
		TYPES[data[0] % (sizeof(TYPES) / sizeof(TYPES[0]))];
	int r = bus_check_scan(type, data + 1, n - 1, &seen);
	must(r == 0 || r == -EMSGSIZE || r == -E2BIG || r == -ELOOP || r == -EBADMSG, "result");
	if (bus_check_unpack(type, &arena.allocator, data + 1, n - 1, &message) == 0) {
		must(r == 0, "unpacked although refused");
		pack_again(type, message);
	}
	bus_arena_reset(&arena);
	/* And from the heap, where the sanitizer looks. */
	if (bus_message_unpack(type, data + 1, n - 1, &message) == 0)
		protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}
