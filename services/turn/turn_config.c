/* turn_config: one table for the code, --help, -n and the documentation. */
#include "turn/turn_config.h"

#include "net/address.h"
#include "turn/turn_credential.h"
#include "turn/turn_servers.h"

#include <stdio.h>
#include <string.h>

const struct config_key turn_config_keys[] = {
	{ "turn", "servers", CONFIG_LIST, "", 0, 0, NULL,
	  "turn:, turns: and stun: URLs that are handed out, at most 16" },
	{ "turn", "secret", CONFIG_PATH, "", 0, 0, NULL,
	  "file of lines of 64 hex digits, coturn's static-auth-secret: the first signs; empty: "
	  "made in the state folder" },
	{ "turn", "lifetime", CONFIG_DURATION, "10m", 30 * 1000, TURN_TTL_MAX_MS, NULL,
	  "how long a credential lasts" },
	{ "turn", "probe", CONFIG_DURATION, "2s", 1000, 60 * 1000, NULL,
	  "how often each server is asked for a binding and an allocation" },
	{ "turn", "coturn_config", CONFIG_PATH, "", 0, 0, NULL,
	  "coturn's configuration, written at start and when the secret changes; empty: not" },
	{ "turn", "coturn_nft", CONFIG_PATH, "", 0, 0, NULL,
	  "nftables rules for coturn's account, written likewise; empty: not" },
	{ "turn", "coturn_account", CONFIG_STRING, "turnserver", 0, 0, NULL,
	  "the account that coturn runs under, for the rules" },
	{ "turn", "coturn_realm", CONFIG_STRING, "higgs", 0, 0, NULL, "realm of the credentials" },
	{ "turn", "coturn_listen", CONFIG_LIST, "", 0, 0, NULL,
	  "addresses that coturn listens at; two of one family let nodes find out about their "
	  "NAT" },
	{ "turn", "coturn_port", CONFIG_INT, "3478", 1, 65534, NULL, "where it listens, UDP" },
	{ "turn", "coturn_relay", CONFIG_LIST, "", 0, 0, NULL,
	  "addresses that it relays from; empty: those it listens at" },
	{ "turn", "coturn_external", CONFIG_LIST, "", 0, 0, NULL,
	  "behind a NAT: public[/private] addresses" },
	{ "turn", "coturn_port_min", CONFIG_INT, "49152", 1024, 65535, NULL,
	  "ports that it relays from" },
	{ "turn", "coturn_port_max", CONFIG_INT, "65535", 1024, 65535, NULL, "and the last one" },
	{ "turn", "coturn_denied", CONFIG_LIST, "", 0, 0, NULL,
	  "further peers nobody may reach: addresses, or ranges first-last" },
	{ "turn", "coturn_user_quota", CONFIG_INT, "4", 1, 1000, NULL,
	  "allocations of one user at a time" },
	{ "turn", "coturn_total_quota", CONFIG_INT, "1200", 1, 1000000, NULL,
	  "allocations of all" },
	{ "turn", "coturn_max_rate", CONFIG_BYTES, "1MiB", 1024, 1 << 30, NULL,
	  "bytes a second of one allocation, each way" },
	{ 0 },
};

bool
turn_config_part(const char **text, char separator, char ret[TURN_ADDRESS_TEXT_BYTES])
{
	size_t n = strcspn(*text, (const char[]){ separator, '\0' });

	if (**text == '\0' || n >= TURN_ADDRESS_TEXT_BYTES)
		return false;
	memcpy(ret, *text, n);
	ret[n] = '\0';
	*text += n + ((*text)[n] != '\0');
	return true;
}

static bool
is_list_of_addresses(const char *const *list, char separator)
{
	char part[TURN_ADDRESS_TEXT_BYTES];
	struct in6_addr address;

	for (; *list != NULL; list++) {
		const char *text = *list;
		unsigned parts = 0;

		for (; turn_config_part(&text, separator, part); parts++)
			if (address_parse(part, &address) != 0)
				return false;
		if (*text != '\0' || parts == 0 || parts > (separator == '\0' ? 1 : 2))
			return false;
	}
	return true;
}

static int
check_coturn(const struct config *config, char *ret_error, size_t error_bytes)
{
	static const struct {
		const char *name;
		char separator;
	} lists[] = { { "coturn_listen", '\0' },
		      { "coturn_relay", '\0' },
		      { "coturn_external", '/' },
		      { "coturn_denied", '-' } };
	const char *realm = config_string(config, "turn", "coturn_realm");
	const char *account = config_string(config, "turn", "coturn_account");
	const char *problem = NULL;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (!is_list_of_addresses(config_list(config, "turn", lists[i].name),
					  lists[i].separator)) {
			(void)snprintf(ret_error, error_bytes, "[turn] %s: must be addresses",
				       lists[i].name);
			return CONFIG_EXIT_CONFIG;
		}
	if (config_string(config, "turn", "coturn_config")[0] != '\0' &&
	    config_list(config, "turn", "coturn_listen")[0] == NULL)
		problem = "coturn_config: needs coturn_listen";
	if (config_int(config, "turn", "coturn_port_min") >
	    config_int(config, "turn", "coturn_port_max"))
		problem = "coturn_port_min: is greater than coturn_port_max";
	if (realm[0] == '\0' || strpbrk(realm, "\"\\\n# ") != NULL || strlen(realm) > 100)
		problem = "coturn_realm: must be one word";
	if (account[0] == '\0' || strspn(account, "abcdefghijklmnopqrstuvwxyz"
						  "0123456789_-") != strlen(account))
		problem = "coturn_account: must be the name of an account";
	if (problem == NULL)
		return 0;
	(void)snprintf(ret_error, error_bytes, "[turn] %s", problem);
	return CONFIG_EXIT_CONFIG;
}

/* C19: there is no default secret; an empty or malformed file is refused at start. */
static int
check_servers(const struct config *config, char *ret_error, size_t error_bytes)
{
	const char *const *url = config_list(config, "turn", "servers");
	struct turn_server server;

	for (size_t n = 0; url[n] != NULL; n++) {
		if (n < TURN_SERVERS_MAX && turn_server_parse(url[n], &server) == 0)
			continue;
		(void)snprintf(
			ret_error, error_bytes,
			"[turn] servers: %s: must be a stun:, turn: or turns: URL, at most %d",
			url[n], TURN_SERVERS_MAX);
		return CONFIG_EXIT_CONFIG;
	}
	return 0;
}

int
turn_config_check(const struct config *config, char *ret_error, size_t error_bytes)
{
	int error = check_servers(config, ret_error, error_bytes);

	return error == 0 ? check_coturn(config, ret_error, error_bytes) : error;
}
