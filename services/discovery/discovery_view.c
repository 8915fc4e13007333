/* discovery_view: which of a node's fields whom is shown. */
#include "discovery/discovery_view.h"

#include "net/address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_TEXT_BYTES = 64 };

static bool
is_global(const char *text)
{
	struct in6_addr address;

	return text != NULL && address_parse(text, &address) == 0 &&
	       address_classify(&address) == ADDRESS_GLOBAL;
}

/* The same of "a.b.c.d:port" and "[v6]:port". */
static bool
is_mapped_global(const char *text)
{
	char host[HOST_TEXT_BYTES];
	size_t n;

	if (text == NULL || is_global(text))
		return text != NULL;
	if (text[0] == '[')
		n = strcspn(++text, "]");
	else
		n = strcspn(text, ":");
	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	return is_global(host);
}

static void
show_network(struct view *view, const Boson__Discovery__NetworkInfo *network,
	     enum view_audience audience)
{
	if (network == NULL)
		return;
	view->network = *network;
	view->node.network_info = &view->network;
	if (audience == VIEW_INTERNAL)
		return;
	view->network.has_local_port = 0;
	if (!is_global(network->ipv4))
		view->network.ipv4 = NULL;
	if (!is_global(network->ipv6))
		view->network.ipv6 = NULL;
	if (!is_mapped_global(network->stun_mapped_address))
		view->network.stun_mapped_address = NULL;
}

void
discovery_view_fill(struct view *view, const struct registry_node *node,
		    enum view_audience audience)
{
	Boson__Discovery__Node *message = &view->node;

	boson__discovery__node__init(message);
	uuid_format(node->id, view->id);
	key_format(&node->public_key, view->public_key);
	clock_format_iso8601(node->registered_wall_ms, view->registered_at);
	clock_format_iso8601(node->last_seen_wall_ms, view->last_seen);
	message->node_id = view->id;
	message->public_key = view->public_key;
	message->status = (char *)(uintptr_t)registry_status_name(node->status);
	message->registered_at = view->registered_at;
	message->last_seen = view->last_seen;
	message->has_version = 1;
	message->version = node->version;
	if (node->vitals.is_known) {
		discovery_vitals_fill(&node->vitals, &view->metrics, &view->bandwidth);
		message->metrics = &view->metrics;
	}
	view->facts = NULL;
	if (node->facts != NULL)
		view->facts =
			boson__discovery__node__unpack(NULL, node->facts->n, node->facts->bytes);
	if (view->facts == NULL)
		return;
	message->capabilities = view->facts->capabilities;
	message->location = view->facts->location;
	show_network(view, view->facts->network_info, audience);
}

void
discovery_view_fini(struct view *view)
{
	if (view->facts != NULL)
		boson__discovery__node__free_unpacked(view->facts, NULL);
	view->facts = NULL;
}

static void
forget_unknown_fields(ProtobufCMessage *message)
{
	message->n_unknown_fields = 0;
	message->unknown_fields = NULL;
}

int
discovery_facts_pack(const Boson__Discovery__RegisterRequest *request, uint8_t **ret, size_t *ret_n)
{
	Boson__Discovery__Node facts = BOSON__DISCOVERY__NODE__INIT;
	Boson__Discovery__NetworkInfo network;
	Boson__Discovery__Capabilities capabilities;
	Boson__Common__Bandwidth bandwidth;
	Boson__Common__Location location;
	size_t n;

	if (request->network_info != NULL) {
		network = *request->network_info;
		forget_unknown_fields(&network.base);
		facts.network_info = &network;
	}
	if (request->capabilities != NULL) {
		capabilities = *request->capabilities;
		forget_unknown_fields(&capabilities.base);
		facts.capabilities = &capabilities;
		if (capabilities.bandwidth != NULL) {
			bandwidth = *capabilities.bandwidth;
			forget_unknown_fields(&bandwidth.base);
			capabilities.bandwidth = &bandwidth;
		}
	}
	if (request->location != NULL) {
		location = *request->location;
		forget_unknown_fields(&location.base);
		facts.location = &location;
	}
	facts.has_heartbeat_interval = request->has_heartbeat_interval;
	facts.heartbeat_interval = request->heartbeat_interval;
	n = boson__discovery__node__get_packed_size(&facts);
	*ret = malloc(n == 0 ? 1 : n);
	if (*ret == NULL)
		return -ENOMEM;
	*ret_n = boson__discovery__node__pack(&facts, *ret);
	return 0;
}
