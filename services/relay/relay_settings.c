/*
 * relay_settings: the table of keys, and what holds between them.
 */
#include "relay/relay_settings.h"

#include "net/address.h"
#include "relay/relay_mesh_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTION "relay"

const struct config_key relay_keys[] = {
	{ SECTION, "listen", CONFIG_ADDRESS, "127.0.0.1:8443", 0, 0, NULL,
	  "where legs are accepted" },
	{ SECTION, "certificate", CONFIG_PATH, "", 0, 0, NULL,
	  "PEM chain; with private_key: wss. ECDSA P-256 is the fastest" },
	{ SECTION, "private_key", CONFIG_PATH, "", 0, 0, NULL, "PEM key of the certificate" },
	{ SECTION, "tls_tickets", CONFIG_PATH, "", 0, 0, NULL,
	  "secrets that relays of one name share, so that TLS sessions are resumed at any of them: "
	  "one or two lines of 64 hex digits, newest first, followed when it changes; empty: one "
	  "of its own in the state folder" },
	{ SECTION, "tls_ticket_period", CONFIG_DURATION, "12h", 60 * 1000, 3 * 24 * 3600 * 1000,
	  NULL, "how often the own one is replaced; the one before holds as long again" },
	{ SECTION, "behind_proxy", CONFIG_BOOL, "no", 0, 0, NULL,
	  "allow plain ws on other than loopback addresses: a TLS proxy stands in front" },
	{ SECTION, "public_url", CONFIG_URL, "", 0, 0, NULL,
	  "wss://host[:port] that nodes and clients are told; empty: the listening address" },
	{ SECTION, "udp_listen", CONFIG_ADDRESS, "", 0, 0, NULL,
	  "where stock WireGuard apps are heard, such as 0.0.0.0:51820; empty: nowhere" },
	{ SECTION, "udp_public", CONFIG_STRING, "", 0, 0, NULL,
	  "host:port that they are told; empty: udp_listen" },
	{ SECTION, "region", CONFIG_STRING, "default", 0, 0, NULL, "where this relay stands" },
	{ SECTION, "group", CONFIG_STRING, "default", 0, 0, NULL,
	  "tickets name a group of relays; at most 15 characters" },
	{ SECTION, "id", CONFIG_STRING, "", 0, 0, NULL,
	  "this relay's name; empty: made once and kept in the state folder" },
	{ SECTION, "announce_bus", CONFIG_ENDPOINT, "", 0, 0, NULL,
	  "the mailbox as others reach it; empty: as it is bound" },
	{ SECTION, "shards", CONFIG_INT, "1", 1, RELAY_SHARDS_MAX, NULL,
	  "threads that move packets" },
	{ SECTION, "max_legs", CONFIG_INT, "50000", 1, 10 * 1000 * 1000, NULL,
	  "connections in all, those not admitted yet among them" },
	{ SECTION, "max_channels", CONFIG_INT, "4096", 1, 65535, NULL, "client legs of one node" },
	{ SECTION, "congestion_control", CONFIG_STRING, "", 0, 0, NULL,
	  "TCP_CONGESTION of legs, such as bbr or cubic; empty: the system's" },
	{ SECTION, "notsent_lowat", CONFIG_BYTES, "128KiB", 4096, 16 * 1024 * 1024, NULL,
	  "TCP_NOTSENT_LOWAT of legs: what the kernel may hold back unsent" },
	{ SECTION, "segment_bytes", CONFIG_INT, "1368", 0, 32767, NULL,
	  "TCP_MAXSEG of legs, both ways: 1368 holds one datagram and fits paths of 1408 bytes; "
	  "less where a narrower one does not tell its limit; 0: as the interfaces say" },
	{ SECTION, "queue_bytes", CONFIG_BYTES, "256KiB", 64 * 1024, 16 * 1024 * 1024, NULL,
	  "what may wait in one channel and direction; the oldest is dropped" },
	{ SECTION, "queue_age", CONFIG_DURATION, "80ms", 1, 10 * 1000, NULL,
	  "how long it may wait" },
	{ SECTION, "queue_budget", CONFIG_BYTES, "256MiB", 1024 * 1024, INT64_C(1) << 40, NULL,
	  "what may wait in the whole relay" },
	{ SECTION, "rate", CONFIG_BYTES, "0", 0, INT64_C(4) * 1000 * 1000 * 1000, NULL,
	  "bytes a second and direction of a session whose ticket names no rate; 0: no limit" },
	{ SECTION, "accept_rate", CONFIG_INT, "50", 0, 1000 * 1000, NULL,
	  "new connections a second from one address; 0: no limits by address" },
	{ SECTION, "accept_burst", CONFIG_INT, "200", 1, 1000 * 1000, NULL,
	  "how many may come at once from one address" },
	{ SECTION, "accept_pending", CONFIG_INT, "128", 1, 1000 * 1000, NULL,
	  "how many from one address may be not admitted yet" },
	{ SECTION, "stall", CONFIG_DURATION, "2s", 100, 60 * 1000, NULL,
	  "a leg that takes nothing for so long is closed" },
	{ SECTION, "grace", CONFIG_DURATION, "60s", 100, 3600 * 1000, NULL,
	  "how long client legs stay while their node has no leg" },
	{ SECTION, "drain", CONFIG_DURATION, "5s", 0, 600 * 1000, NULL,
	  "how long packets are still moved after SIGTERM" },
	{ SECTION, "bandwidth", CONFIG_BYTES, "0", 0, INT64_C(1) << 40, NULL,
	  "bytes a second that the uplink carries, in and out: for the load that is told; 0: not "
	  "known" },
	{ SECTION, "accept_pace", CONFIG_INT, "1000", 0, 1000 * 1000, NULL,
	  "new connections a second and shard, the others wait, so that a herd leaves the legs "
	  "that are there their time; 0: no limit" },
	{ SECTION, "drain_pace", CONFIG_INT, "1000", 1, 1000 * 1000, NULL,
	  "legs a second that are told to go to other relays then" },
	{ SECTION, "handshake_deadline", CONFIG_DURATION, "10s", 100, 60 * 1000, NULL,
	  "for TLS and upgrade together" },
	{ SECTION, "half_frame_deadline", CONFIG_DURATION, "30s", 100, 300 * 1000, NULL,
	  "for a message that has begun" },
	{ SECTION, "ping_interval", CONFIG_DURATION, "15s", 100, 60 * 1000, NULL,
	  "legs are pinged so often, and up to a third later" },
	{ SECTION, "silence_deadline", CONFIG_DURATION, "60s", 200, 600 * 1000, NULL,
	  "a leg from which nothing came for so long is closed" },
	{ 0 },
};

#define STRING(name)   config_string(config, SECTION, name)
#define UINT32(name)   ((uint32_t)config_int(config, SECTION, name))
#define DURATION(name) config_int(config, SECTION, name)

void
relay_settings_read(const struct config *config, struct relay_settings *ret)
{
	struct relay_settings s = {
		.certificate = STRING("certificate"),
		.private_key = STRING("private_key"),
		.tls_tickets = STRING("tls_tickets"),
		.tls_ticket_ms = DURATION("tls_ticket_period"),
		.public_url = STRING("public_url"),
		.region = STRING("region"),
		.group = STRING("group"),
		.id = STRING("id"),
		.announce_bus = STRING("announce_bus"),
		.congestion = STRING("congestion_control"),
		.udp_public = STRING("udp_public"),
		.behind_proxy = config_bool(config, SECTION, "behind_proxy"),
		.shards = UINT32("shards"),
		.legs_max = UINT32("max_legs"),
		.channels_max = UINT32("max_channels"),
		.notsent_lowat_bytes = UINT32("notsent_lowat"),
		.segment_bytes = UINT32("segment_bytes"),
		.queue_bytes = UINT32("queue_bytes"),
		.queue_budget_bytes = (uint64_t)config_int(config, SECTION, "queue_budget"),
		.rate_kbytes = (uint32_t)(config_int(config, SECTION, "rate") / 1000),
		.bandwidth_bytes = (uint64_t)config_int(config, SECTION, "bandwidth"),
		.accept_pace = UINT32("accept_pace"),
		.drain_pace = UINT32("drain_pace"),
		.accept_rate = UINT32("accept_rate"),
		.accept_burst = UINT32("accept_burst"),
		.pending_max = UINT32("accept_pending"),
		.queue_age_ms = DURATION("queue_age"),
		.stall_ms = DURATION("stall"),
		.grace_ms = DURATION("grace"),
		.drain_ms = DURATION("drain"),
		.handshake_ms = DURATION("handshake_deadline"),
		.half_frame_ms = DURATION("half_frame_deadline"),
		.ping_ms = DURATION("ping_interval"),
		.silence_ms = DURATION("silence_deadline"),
	};

	config_address(config, SECTION, "listen", s.host, sizeof(s.host), &s.port);
	config_address(config, SECTION, "udp_listen", s.udp_host, sizeof(s.udp_host), &s.udp_port);
	*ret = s;
}

static bool
is_loopback(const char *host)
{
	struct in6_addr address;

	return strcmp(host, "localhost") == 0 || (address_parse(host, &address) == 0 &&
						  address_classify(&address) == ADDRESS_LOOPBACK);
}

/* Bound to all addresses, it does not say which one others reach. */
static bool
is_bus_endpoint_unsaid(const struct config *config)
{
	static const char *const wildcards[] = { "tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:" };
	const char *bound = config_string(config, "bus", "relay");

	if (*config_string(config, SECTION, "announce_bus") != '\0')
		return false;
	for (size_t i = 0; i < sizeof(wildcards) / sizeof(wildcards[0]); i++)
		if (strncmp(bound, wildcards[i], strlen(wildcards[i])) == 0)
			return true;
	return false;
}

/* Without a port for its mesh a relay would be alone, and say nothing. */
static bool
has_mesh_port(const char *mailbox)
{
	char mesh[RELAY_MESH_ENDPOINT_BYTES];

	return strncmp(mailbox, "tcp://", strlen("tcp://")) != 0 || strchr(mailbox, ',') != NULL ||
	       relay_mesh_endpoint(mailbox, mesh) == 0;
}

static bool
is_wildcard(const char *host)
{
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* As wg-quick takes it: printable, one host, a port that is one. */
static bool
is_udp_endpoint(const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t n =
		strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-[]:");
	uint16_t port;

	if (colon == NULL || colon == text || text[n] != '\0' || n >= RELAY_HOST_BYTES)
		return false;
	if (*text == '[' ? colon[-1] != ']' : memchr(text, ':', (size_t)(colon - text)) != NULL)
		return false;
	return address_parse_port(colon + 1, strlen(colon + 1), &port) == 0;
}

static int
check_file(const char *path, char *ret_error, size_t error_bytes)
{
	if (*path == '\0' || access(path, R_OK) == 0)
		return 0;
	snprintf(ret_error, error_bytes, "[relay] %s: %s", path, strerror(errno));
	return errno == EACCES ? CONFIG_EXIT_NOPERM : CONFIG_EXIT_NOINPUT;
}

/* As the gateway's: nobody else may have read it. Links, which certificate managers keep, lead on.
 */
static int
check_key_file(const char *path, char *ret_error, size_t error_bytes)
{
	int r = check_file(path, ret_error, error_bytes);
	struct stat status;

	if (r != 0 || *path == '\0')
		return r;
	if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
	    (status.st_mode & (S_IRWXG | S_IRWXO)) == 0)
		return 0;
	snprintf(ret_error, error_bytes, "[relay] %s: others may read it", path);
	return CONFIG_EXIT_NOPERM;
}

int
relay_settings_check(const struct config *config, char *ret_error, size_t error_bytes)
{
	static const char id_letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *wrong = NULL;
	struct relay_settings s;

	relay_settings_read(config, &s);
	bool has_certificate = *s.certificate != '\0', has_key = *s.private_key != '\0';
	if (has_certificate != has_key)
		wrong = "certificate and private_key go together";
	else if (!has_certificate && !s.behind_proxy && !is_loopback(s.host))
		wrong = "listen: plain ws only on loopback or with behind_proxy = yes";
	else if (*s.group == '\0' || strlen(s.group) >= TICKET_GROUP_BYTES)
		wrong = "group must have 1 to 15 characters";
	else if (strlen(s.id) > 64 || strspn(s.id, id_letters) != strlen(s.id))
		wrong = "id must have at most 64 characters of [A-Za-z0-9._-]";
	else if (*s.udp_public != '\0' && !is_udp_endpoint(s.udp_public))
		wrong = "udp_public must be host:port or [v6]:port";
	else if (*s.udp_public == '\0' && is_wildcard(s.udp_host))
		wrong = "udp_public: udp_listen is bound to all addresses; say which one stock "
			"WireGuard apps are told";
	else if (is_bus_endpoint_unsaid(config))
		wrong = "announce_bus: [bus] relay is bound to all addresses; say which one "
			"others reach";
	else if (!has_mesh_port(s.announce_bus) ||
		 !has_mesh_port(config_string(config, "bus", "relay")) ||
		 !has_mesh_port(config_string(config, "bus", "bind")))
		wrong = "the mailbox needs two ports after it, for its events and the mesh: 65533 "
			"at most";
	if (wrong != NULL) {
		snprintf(ret_error, error_bytes, "[relay] %s", wrong);
		return CONFIG_EXIT_CONFIG;
	}
	int r = check_file(s.certificate, ret_error, error_bytes);
	if (r == 0)
		r = check_key_file(s.private_key, ret_error, error_bytes);
	return r != 0 ? r : check_key_file(s.tls_tickets, ret_error, error_bytes);
}
