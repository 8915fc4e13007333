/* turn_coturn: turnserver.conf(5) and nft(8), from [turn]. */
#include "turn/turn_coturn.h"

#include "identity/key.h"
#include "identity/state_file.h"
#include "log/log.h"
#include "log/text_file.h"
#include "turn/turn_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONCE_SEC = 600 };

/* T26, whole: also what special addresses hide an IPv4 address in. */
const struct turn_denied turn_denied[] = {
	{ "0.0.0.0", "0.255.255.255" },
	{ "10.0.0.0", "10.255.255.255" },
	{ "100.64.0.0", "100.127.255.255" },
	{ "127.0.0.0", "127.255.255.255" },
	{ "169.254.0.0", "169.254.255.255" },
	{ "172.16.0.0", "172.31.255.255" },
	{ "192.0.0.0", "192.0.0.255" },
	{ "192.0.2.0", "192.0.2.255" },
	{ "192.88.99.0", "192.88.99.255" },
	{ "192.168.0.0", "192.168.255.255" },
	{ "198.18.0.0", "198.19.255.255" },
	{ "198.51.100.0", "198.51.100.255" },
	{ "203.0.113.0", "203.0.113.255" },
	{ "224.0.0.0", "239.255.255.255" },
	{ "240.0.0.0", "255.255.255.255" },
	{ "::", "::" },
	{ "::1", "::ffff:ffff:ffff" }, /* ::/96, ::ffff:0:0/96 */
	{ "64:ff9b::", "64:ff9b::ffff:ffff" },
	{ "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff" },
	{ "100::", "100::ffff:ffff:ffff:ffff" },
	{ "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
};
const size_t turn_denied_n = sizeof(turn_denied) / sizeof(turn_denied[0]);

/* ---- what is configured ---- */

static const char *const *
relay_addresses(const struct config *config)
{
	const char *const *relay = config_list(config, "turn", "coturn_relay");

	return relay[0] != NULL ? relay : config_list(config, "turn", "coturn_listen");
}

/* ---- coturn ---- */

static void
write_list(FILE *out, const char *key, const char *const *list)
{
	for (; *list != NULL; list++)
		(void)fprintf(out, "%s=%s\n", key, *list);
}

/* T26: nor we ourselves. */
static void
write_own(FILE *out, const struct config *config)
{
	const char *const *external = config_list(config, "turn", "coturn_external");
	char part[TURN_ADDRESS_TEXT_BYTES];

	write_list(out, "denied-peer-ip", config_list(config, "turn", "coturn_listen"));
	if (config_list(config, "turn", "coturn_relay")[0] != NULL)
		write_list(out, "denied-peer-ip", config_list(config, "turn", "coturn_relay"));
	for (; *external != NULL; external++)
		for (const char *text = *external; turn_config_part(&text, '/', part);)
			(void)fprintf(out, "denied-peer-ip=%s\n", part);
}

/* RFC 5780 needs two addresses of one family, and makes answers longer. */
static bool
has_two_of_a_family(const struct config *config)
{
	const char *const *listen = config_list(config, "turn", "coturn_listen");
	unsigned v4 = 0, v6 = 0;

	for (; *listen != NULL; listen++)
		strchr(*listen, ':') == NULL ? v4++ : v6++;
	return v4 > 1 || v6 > 1;
}

static void
write_limits(FILE *out, const struct config *config)
{
	(void)fprintf(out,
		      "min-port=%lld\nmax-port=%lld\nuser-quota=%lld\ntotal-quota=%lld\n"
		      "max-bps=%lld\nstale-nonce=%d\n",
		      (long long)config_int(config, "turn", "coturn_port_min"),
		      (long long)config_int(config, "turn", "coturn_port_max"),
		      (long long)config_int(config, "turn", "coturn_user_quota"),
		      (long long)config_int(config, "turn", "coturn_total_quota"),
		      (long long)config_int(config, "turn", "coturn_max_rate"), NONCE_SEC);
}

int
turn_coturn_text(const struct config *config, const struct turn_secrets *secrets, char **ret)
{
	struct text_file file;
	FILE *out;

	if (text_file_open(&file) < 0)
		return -ENOMEM;
	out = file.stream;
	(void)fputs("# Written by boson-turn; changes here are lost.\n", out);
	(void)fprintf(out, "listening-port=%lld\n",
		      (long long)config_int(config, "turn", "coturn_port"));
	write_list(out, "listening-ip", config_list(config, "turn", "coturn_listen"));
	write_list(out, "relay-ip", relay_addresses(config));
	write_list(out, "external-ip", config_list(config, "turn", "coturn_external"));
	(void)fprintf(out, "realm=%s\nuse-auth-secret\n",
		      config_string(config, "turn", "coturn_realm"));
	for (size_t i = 0; i < secrets->n; i++)
		(void)fprintf(out, "static-auth-secret=%s\n", secrets->texts[i]);
	write_limits(out, config);
	(void)fputs("fingerprint\nno-tcp\nno-tls\nno-dtls\nno-tcp-relay\nno-multicast-peers\n"
		    "no-cli\nno-software-attribute\nno-stun-backward-compatibility\n"
		    "no-dynamic-ip-list\nno-dynamic-realms\n",
		    out);
	if (!has_two_of_a_family(config))
		(void)fputs("no-rfc5780\n", out);
	/* To coturn, a range from :: is one of all IPv4 addresses; :: itself it never lets through.
	 */
	for (size_t i = 0; i < turn_denied_n; i++)
		if (strcmp(turn_denied[i].first, "::") != 0)
			(void)fprintf(out, "denied-peer-ip=%s-%s\n", turn_denied[i].first,
				      turn_denied[i].last);
	write_own(out, config);
	write_list(out, "denied-peer-ip", config_list(config, "turn", "coturn_denied"));
	return text_file_close(&file, ret, NULL);
}

/* ---- nftables ---- */

static void
write_elements(FILE *out, const struct config *config, bool is_v6)
{
	const char *const *more = config_list(config, "turn", "coturn_denied");

	for (size_t i = 0; i < turn_denied_n; i++)
		if ((strchr(turn_denied[i].first, ':') != NULL) == is_v6)
			(void)fprintf(out, "\t\t\t%s-%s,\n", turn_denied[i].first,
				      turn_denied[i].last);
	for (; *more != NULL; more++)
		if ((strchr(*more, ':') != NULL) == is_v6)
			(void)fprintf(out, "\t\t\t%s,\n", *more);
}

static void
write_set(FILE *out, const struct config *config, const char *name, bool is_v6)
{
	(void)fprintf(out,
		      "\tset %s {\n\t\ttype %s\n\t\tflags interval\n\t\tauto-merge\n"
		      "\t\telements = {\n",
		      name, is_v6 ? "ipv6_addr" : "ipv4_addr");
	write_elements(out, config, is_v6);
	(void)fputs("\t\t}\n\t}\n", out);
}

/* Only what leaves the relayed ports: clients may be anywhere. */
int
turn_coturn_nft_text(const struct config *config, char **ret)
{
	const char *account = config_string(config, "turn", "coturn_account");
	long long first = config_int(config, "turn", "coturn_port_min");
	long long last = config_int(config, "turn", "coturn_port_max");
	struct text_file file;
	FILE *out;

	if (text_file_open(&file) < 0)
		return -ENOMEM;
	out = file.stream;
	(void)fputs("# Written by boson-turn; changes here are lost. nft -f FILE loads it.\n"
		    "table inet boson_coturn\ndelete table inet boson_coturn\n"
		    "table inet boson_coturn {\n",
		    out);
	write_set(out, config, "denied4", false);
	write_set(out, config, "denied6", true);
	(void)fprintf(out,
		      "\tchain output {\n\t\ttype filter hook output priority filter;"
		      " policy accept;\n"
		      "\t\tmeta skuid \"%s\" udp sport %lld-%lld ip daddr @denied4 counter drop\n"
		      "\t\tmeta skuid \"%s\" udp sport %lld-%lld ip6 daddr @denied6 counter drop\n"
		      "\t\tmeta skuid \"%s\" meta l4proto tcp tcp flags syn / syn,ack counter"
		      " drop\n\t}\n}\n",
		      account, first, last, account, first, last, account);
	return text_file_close(&file, ret, NULL);
}

/* ---- files ---- */

static int
write_file(const char *path, const char *text)
{
	int error = state_file_replace(path, 0600, text, strlen(text));

	if (error != 0)
		log_error("coturn_file_not_written", "path=%s error=%d", path, error);
	else
		log_info("coturn_file_written", "path=%s", path);
	return error;
}

int
turn_coturn_write(const struct config *config, const struct turn_secrets *secrets)
{
	const char *path = config_string(config, "turn", "coturn_config");
	const char *nft_path = config_string(config, "turn", "coturn_nft");
	char *text = NULL;
	int error = 0;

	if (path[0] != '\0') {
		error = turn_coturn_text(config, secrets, &text);
		if (error == 0) {
			error = write_file(path, text);
			key_wipe(text, strlen(text));
			free(text);
		}
	}
	if (nft_path[0] == '\0' || error != 0)
		return error;
	error = turn_coturn_nft_text(config, &text);
	if (error == 0) {
		error = write_file(nft_path, text);
		free(text);
	}
	return error;
}
