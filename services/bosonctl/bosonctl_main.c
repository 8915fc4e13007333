/*
 * bosonctl: the operator's hand on the bus: nodes, clients, relays and access keys by words, and
 * any rpc of any service; answers are JSON. Reads the same configuration file as the services to
 * find them. Also makes the keys of a bus over several hosts. Start and arguments only.
 */
#include "bosonctl/bosonctl_call.h"
#include "bosonctl/bosonctl_commands.h"
#include "bosonctl/bosonctl_keys.h"
#include "bosonctl/bosonctl_mailboxes.h"
#include "log/log.h"
#include "service/service_config.h"

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { CALL_TIMEOUT_MS = 5000, ERROR_BYTES = 512 };

/* The services' own. */
#define CONFIG_FILE "/etc/boson/boson.conf"

static const char help[] =
	"bosonctl: calls a service of BosonServer on its bus and prints the answer as JSON\n"
	"\n"
	"usage: bosonctl [-c FILE] nodes|clients|relays|keys VERB ...\n"
	"       bosonctl [-c FILE] call SERVICE RPC [JSON]\n"
	"       bosonctl keys curve [--force] DIR [NAME...]\n"
	"       bosonctl -V | --help\n"
	"\n"
	"  -c FILE   the services' configuration file, which says where they are,\n"
	"            instead of " CONFIG_FILE "\n"
	"  -V        version\n"
	"\n"
	"A service is reached over ipc:// or tcp://; one that bosond keeps on\n"
	"inproc:// is not: give it an endpoint in [bus]. Over tcp:// a service answers\n"
	"what its rules allow to the name bosonctl; over ipc://, all.\n"
	"Exit status: 0 done; 64 wrong usage; 65 wrong request; 69 refused; 75 no\n"
	"answer; others as in sysexits.h.\n"
	"\n"
	"keys curve makes a CURVE key pair for each NAME (else for the six services\n"
	"and bosonctl), for a bus over tcp://: DIR/NAME.secret is what [bus]\n"
	"curve_secret names on that host, DIR/allow what curve_allow names on each;\n"
	"the lines for [bus] are printed and in DIR/bus.conf. Files that are there\n"
	"are kept (exit 73) unless --force. Relays' names begin with relay.\n"
	"\n"
	"words:\n";

static void
print_help(void)
{
	fputs(help, stdout);
	bosonctl_commands_list(stdout);
	fputs("\nrpcs and the fields of their requests:\n", stdout);
	mailbox_list(stdout);
	fputs("\nexample: bosonctl -c /etc/boson/boson.conf call relay ListLegs\n", stdout);
}

static int
said(void)
{
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

static int
complain(const char *what, const char *typed, const char *nearest)
{
	fprintf(stderr, "bosonctl: unknown %s", what);
	if (typed && nearest)
		fprintf(stderr, "; did you mean %s?", nearest);
	fputs(" (bosonctl --help lists them)\n", stderr);
	return EX_USAGE;
}

/* arg: the configuration's path. */
static int
open_bus(void *arg, struct service_bus **ret)
{
	char error[ERROR_BYTES];
	struct service_schema schema;
	struct config *config = NULL;
	service_schema_init(&schema, "boson", NULL);
	int code = config_load(arg, &schema.schema, &config, error, sizeof error);
	if (code == EX_OK)
		code = service_bus_new(config, "boson", false, ret, error, sizeof error);
	if (code != EX_OK)
		fprintf(stderr, "bosonctl: %s\n", error);
	config_free(&config);
	return code;
}

static int
call_by_name(const char *config_path, int n, char **words)
{
	if (n < 2 || n > 3) {
		fputs("bosonctl: call takes SERVICE RPC [JSON]; see bosonctl --help\n", stderr);
		return EX_USAGE;
	}
	struct bosonctl_call call = { .service = words[0],
				      .mailbox = mailbox_find(words[0]),
				      .json = n == 3 ? words[2] : "{}",
				      .timeout_ms = CALL_TIMEOUT_MS };
	if (!call.mailbox)
		return complain("service", words[0], mailbox_nearest(NULL, words[0]));
	int method = mailbox_rpc_find(call.mailbox, words[1]);
	if (method < 0)
		return complain("rpc", words[1], mailbox_nearest(call.mailbox, words[1]));
	call.method = (unsigned int)method;

	struct service_bus *where = NULL;
	int code = open_bus((void *)(uintptr_t)config_path, &where);
	if (code == EX_OK)
		code = bosonctl_call(where, &call);
	service_bus_free(&where);
	return code;
}

/* A path is taken for `keys curve PATH`, as it was called first. */
static bool
is_curve(int n, char **words)
{
	return n > 0 && (strcmp(words[0], "curve") == 0 || strcmp(words[0], "--force") == 0 ||
			 words[0][0] == '/' || strncmp(words[0], "./", 2) == 0);
}

static int
keys_by_name(int n, char **words)
{
	bool force = false;

	if (n > 0 && strcmp(words[0], "curve") == 0) {
		n--;
		words++;
	}
	if (n > 0 && strcmp(words[0], "--force") == 0) {
		force = true;
		n--;
		words++;
	}
	if (n < 1 || words[0][0] == '-' || words[0][0] == '\0') {
		fputs("bosonctl: keys curve takes [--force] DIR [NAME...]; see bosonctl --help\n",
		      stderr);
		return EX_USAGE;
	}
	return bosonctl_keys(words[0], (const char *const *)words + 1, (size_t)n - 1, force);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'V' },
						 { NULL, 0, NULL, 0 } };
	static const char *const commands[] = {
		"call", "nodes", "clients", "relays", "keys", NULL
	};
	const char *config_path = access(CONFIG_FILE, F_OK) == 0 ? CONFIG_FILE : NULL;
	int option;
	log_init("bosonctl", LOG_LEVEL_ERROR);
	while ((option = getopt_long(argc, argv, "+c:Vh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			config_path = optarg;
			break;
		case 'V':
			printf("bosonctl %s\n", BOSON_VERSION);
			return said();
		case 'h':
			print_help();
			return said();
		default:
			fputs("see bosonctl --help\n", stderr);
			return EX_USAGE;
		}
	}
	if (optind >= argc) {
		fputs("bosonctl: what is to be done? See bosonctl --help\n", stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[optind], "call") == 0)
		return call_by_name(config_path, argc - optind - 1, argv + optind + 1);
	if (strcmp(argv[optind], "keys") == 0 && is_curve(argc - optind - 1, argv + optind + 1))
		return keys_by_name(argc - optind - 1, argv + optind + 1);
	if (bosonctl_commands_has(argv[optind]))
		return bosonctl_commands_run(
			&(struct bosonctl_where){ open_bus, (void *)(uintptr_t)config_path },
			argc - optind, argv + optind);
	return complain("command", argv[optind], config_nearest(argv[optind], commands));
}
