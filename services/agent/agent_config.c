/*
 * agent_config: one table for the code, --help, -n and the documentation.
 */
#include "agent/agent_config.h"
#include "identity/state_file.h"
#include "net/address.h"

#include <errno.h>
#include <math.h>
#include <openssl/x509_vfy.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	SECOND_MS = 1000,
	BITS4_MIN = 8,
	BITS4_MAX = 29,
	BITS6_MIN = 48,
	BITS6_MAX = 112,
	REGION_MAX_BYTES = 64,
};

const struct config_key agent_config_keys[] = {
	{ "agent", "server", CONFIG_URL, NULL, 0, 0, NULL,
	  "URL of BosonServer's gateway, https://host[:port]" },
	{ "agent", "ca_file", CONFIG_PATH, "", 0, 0, NULL,
	  "authority that signed the server's certificate; empty: the system's" },
	{ "agent", "access_key_file", CONFIG_PATH, "", 0, 0, NULL,
	  "the server's node access key, for servers that want one; 0600" },
	{ "agent", "identity_key", CONFIG_PATH, "", 0, 0, NULL,
	  "the node's WireGuard key, made at first start; empty: identity.key in the state "
	  "folder" },
	{ "agent", "country", CONFIG_STRING, "", 0, 0, NULL,
	  "where the node is, ISO 3166: two capitals, or empty" },
	{ "agent", "region", CONFIG_STRING, "", 0, 0, NULL, "where in the country, or empty" },
	{ "agent", "coordinates", CONFIG_LIST, "", 0, 0, NULL,
	  "latitude, longitude in degrees; or empty" },
	{ "agent", "max_sessions", CONFIG_INT, "64", 1, ADMISSION_SESSIONS_MAX, NULL,
	  "clients at one time" },
	{ "agent", "session_max", CONFIG_DURATION, "7d", 60 * SECOND_MS, 90LL * 86400 * SECOND_MS,
	  NULL, "the longest session that is admitted" },
	{ "agent", "bandwidth_up", CONFIG_INT, "0", 0, 100000, NULL,
	  "Mbit/s of the line towards the internet, told to the server; 0: not told" },
	{ "agent", "bandwidth_down", CONFIG_INT, "0", 0, 100000, NULL,
	  "Mbit/s of the line from the internet, told to the server; 0: not told" },
	{ "agent", "pool4", CONFIG_CIDRS, "10.90.0.0/16", 0, 0, NULL,
	  "tunnel addresses, /8 to /29; the first is the node's ([forwarder] address4)" },
	{ "agent", "pool6", CONFIG_CIDRS, "fd48:6967:6773::/64", 0, 0, NULL,
	  "tunnel addresses, /48 to /112; the first is the node's ([forwarder] address6)" },
	{ "agent", "mtu", CONFIG_INT, "1280", 1280, 1420, NULL,
	  "of the clients' WireGuard interfaces" },
	{ "agent", "heartbeat", CONFIG_DURATION, "30s", 10 * SECOND_MS, 300 * SECOND_MS, NULL,
	  "suggested to the server, which decides" },
	{ "agent", "metrics", CONFIG_DURATION, "60s", SECOND_MS, 3600 * SECOND_MS, NULL,
	  "how often figures of this machine are sent to the server, which takes one in 10 s" },
	{ "agent", "stun", CONFIG_BOOL, "yes", 0, 0, NULL,
	  "ask the server's STUN servers what this node looks like from outside" },
	{ "agent", "stun_private", CONFIG_BOOL, "no", 0, 0, NULL,
	  "also when they are at private addresses" },
	{ "agent", "store", CONFIG_STRING, "", 0, 0, NULL,
	  "URL of the sessions' table; empty: sqlite in the state folder" },
	{ 0 },
};

static int __attribute__((format(printf, 3, 4)))
say(char *ret_error, size_t error_bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret_error, error_bytes, format, args);
	va_end(args);
	return EX_CONFIG;
}

static int
check_pool(const struct config *config, const char *name, bool is_v4, unsigned bits_min,
	   unsigned bits_max, char *ret_error, size_t error_bytes)
{
	const char *const *list = config_list(config, "agent", name);
	struct in6_addr base;
	unsigned bits;

	if (!list[0] || list[1] || address_parse_network(list[0], &base, &bits) < 0 ||
	    (strchr(list[0], ':') == NULL) != is_v4 || bits < bits_min || bits > bits_max)
		return say(ret_error, error_bytes, "agent.%s: one IPv%c network of /%u to /%u",
			   name, is_v4 ? '4' : '6', bits_min, bits_max);
	return 0;
}

static bool
parse_degrees(const char *text, double limit, double *ret)
{
	char *end;

	*ret = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(*ret) && fabs(*ret) <= limit;
}

static int
check_place(const struct config *config, char *ret_error, size_t error_bytes)
{
	const char *country = config_string(config, "agent", "country");
	const char *const *list = config_list(config, "agent", "coordinates");
	double degrees;

	if (country[0] &&
	    (strlen(country) != 2 || strspn(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 2))
		return say(ret_error, error_bytes, "agent.country: two capitals, as in CH");
	if (strlen(config_string(config, "agent", "region")) > REGION_MAX_BYTES)
		return say(ret_error, error_bytes, "agent.region: at most %d bytes",
			   REGION_MAX_BYTES);
	if (list[0] && (!list[1] || list[2] || !parse_degrees(list[0], 90, &degrees) ||
			!parse_degrees(list[1], 180, &degrees)))
		return say(ret_error, error_bytes,
			   "agent.coordinates: latitude, longitude, as in 47.37, 8.54");
	return 0;
}

/* C37, C41: a bundle that is missing or holds no certificate. */
static int
check_ca_file(const struct config *config, char *ret_error, size_t error_bytes)
{
	const char *path = config_string(config, "agent", "ca_file");
	X509_STORE *store;
	int loaded;

	if (!path[0])
		return 0;
	if (access(path, R_OK) < 0) {
		say(ret_error, error_bytes, "agent.ca_file: %s: %s", path, strerrordesc_np(errno));
		return EX_NOINPUT;
	}
	store = X509_STORE_new();
	loaded = store && X509_STORE_load_file(store, path) == 1;
	X509_STORE_free(store);
	return loaded ? 0 : say(ret_error, error_bytes, "agent.ca_file: %s: no certificate", path);
}

/* C17, L18. */
static int
check_access_key(const struct config *config, char *ret_error, size_t error_bytes)
{
	const char *path = config_string(config, "agent", "access_key_file");
	char text[STATE_FILE_MAX_BYTES];
	ssize_t n;

	if (!path[0])
		return 0;
	n = state_file_read(path, true, text, sizeof(text));
	key_wipe(text, sizeof(text));
	if (n > 1)
		return 0;
	say(ret_error, error_bytes, "agent.access_key_file: %s: %s", path,
	    n == -EPERM ? "must be ours and 0600"
	    : n < 0	? strerrordesc_np((int)-n)
			: "empty");
	return n == -EPERM ? EX_NOPERM : n < 0 ? EX_NOINPUT : EX_CONFIG;
}

int
agent_config_check(const struct config *config, char *ret_error, size_t error_bytes)
{
	const char *server = config_string(config, "agent", "server");
	int r;

	if (strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0)
		return say(ret_error, error_bytes, "agent.server: an https:// URL");
	r = check_pool(config, "pool4", true, BITS4_MIN, BITS4_MAX, ret_error, error_bytes);
	if (r == 0)
		r = check_pool(config, "pool6", false, BITS6_MIN, BITS6_MAX, ret_error,
			       error_bytes);
	if (r == 0)
		r = check_place(config, ret_error, error_bytes);
	if (r == 0)
		r = check_ca_file(config, ret_error, error_bytes);
	if (r == 0)
		r = check_access_key(config, ret_error, error_bytes);
	return r;
}

void
agent_config_pool(const struct config *config, struct admission_pool *ret)
{
	(void)address_parse_network(config_list(config, "agent", "pool4")[0], &ret->base4,
				    &ret->bits4);
	(void)address_parse_network(config_list(config, "agent", "pool6")[0], &ret->base6,
				    &ret->bits6);
}

void
agent_config_facts(const struct config *config, struct enrol_facts *ret)
{
	const char *const *list = config_list(config, "agent", "coordinates");

	memset(ret, 0, sizeof(*ret));
	ret->country = config_string(config, "agent", "country");
	ret->region = config_string(config, "agent", "region");
	ret->has_coordinates = list[0] && parse_degrees(list[0], 90, &ret->coordinates[0]) &&
			       parse_degrees(list[1], 180, &ret->coordinates[1]);
	ret->sessions_max = (uint32_t)config_int(config, "agent", "max_sessions");
	ret->bandwidth_up = (double)config_int(config, "agent", "bandwidth_up");
	ret->bandwidth_down = (double)config_int(config, "agent", "bandwidth_down");
	ret->heartbeat_sec = (uint32_t)(config_int(config, "agent", "heartbeat") / SECOND_MS);
}
