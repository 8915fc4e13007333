/*
 * bosonctl_relays: see the header. Two calls: Snapshot of discovery, Drain of the relay.
 */
#include "bosonctl/bosonctl_relays.h"

#include "bosonctl/bosonctl_call.h"
#include "bosonctl/bosonctl_mailboxes.h"
#include "json/json_text.h"

#include "discovery.pb-c.h"

#include <string.h>
#include <sysexits.h>

enum { CALL_TIMEOUT_MS = 5000, ENDPOINT_BYTES = 256, KEY_BYTES = 48 };

struct found {
	const char *id;
	char endpoint[ENDPOINT_BYTES], key[KEY_BYTES]; /* "": none */
};

static void
copy(char *to, size_t bytes, const char *from)
{
	if (from != NULL && strlen(from) < bytes)
		strcpy(to, from);
}

/* All relays are on the first page. */
static int
find(const ProtobufCMessage *answer, void *arg)
{
	const Boson__Discovery__SnapshotReply *reply =
		(const Boson__Discovery__SnapshotReply *)(const void *)answer;
	struct found *found = arg;
	for (size_t i = 0; i < reply->n_relays; i++) {
		const Boson__Common__Relay *relay = reply->relays[i];
		if (relay->id == NULL || strcmp(relay->id, found->id) != 0)
			continue;
		copy(found->endpoint, sizeof(found->endpoint), relay->bus_endpoint);
		copy(found->key, sizeof(found->key), relay->bus_key);
	}
	if (found->endpoint[0] != '\0')
		return EX_OK;
	fputs("bosonctl: discovery knows no such relay; see bosonctl relays list\n", stderr);
	return EX_UNAVAILABLE;
}

static int
locate(const struct service_bus *bus, struct found *found)
{
	struct bosonctl_call call = { .service = "discovery",
				      .mailbox = mailbox_find("discovery"),
				      .json = "{}",
				      .take = find,
				      .take_arg = found,
				      .is_quiet = true,
				      .timeout_ms = CALL_TIMEOUT_MS };
	call.method = (unsigned int)mailbox_rpc_find(call.mailbox, "Snapshot");
	return bosonctl_call(bus, &call);
}

static int
drain(const struct service_bus *bus, const struct found *found, const char *other)
{
	struct json_text text = { 0 };
	struct bosonctl_call call = { .service = "relay",
				      .mailbox = mailbox_find("relay"),
				      .endpoint = found->endpoint,
				      .server_key = found->key[0] != '\0' ? found->key : NULL,
				      .timeout_ms = CALL_TIMEOUT_MS };
	int code;
	call.method = (unsigned int)mailbox_rpc_find(call.mailbox, "Drain");
	json_text_open(&text, '{');
	if (other != NULL)
		json_text_member(&text, "otherRelay", other);
	json_text_close(&text, '}');
	call.json = text.bytes;
	code = json_text_failed(&text) ? EX_OSERR : bosonctl_call(bus, &call);
	json_text_fini(&text);
	return code;
}

int
bosonctl_relays_drain(const struct bosonctl_where *where, int n, char **words)
{
	bool has_other = n == 3 && strcmp(words[1], "--other") == 0;
	struct found found = { .id = n > 0 ? words[0] : NULL };
	struct service_bus *bus = NULL;
	int code;
	if ((n != 1 && !has_other) || words[0][0] == '-') {
		fputs("bosonctl: relays drain takes ID [--other URL]; see bosonctl --help\n",
		      stderr);
		return EX_USAGE;
	}
	code = where->open(where->arg, &bus);
	if (code == EX_OK)
		code = locate(bus, &found);
	if (code == EX_OK)
		code = drain(bus, &found, has_other ? words[2] : NULL);
	service_bus_free(&bus);
	return code;
}
