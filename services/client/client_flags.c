/*
 * client_flags: see the header.
 */
#include "client/client_flags.h"

#include <stdio.h>
#include <string.h>

enum {
	CONNECT = CLIENT_FLAG_FOR(COMMAND_CONNECT),
	DISCONNECT = CLIENT_FLAG_FOR(COMMAND_DISCONNECT),
	STATUS = CLIENT_FLAG_FOR(COMMAND_STATUS),
	NODES = CLIENT_FLAG_FOR(COMMAND_NODES),
	CONFIG = CLIENT_FLAG_FOR(COMMAND_CONFIG),
	DOCTOR = CLIENT_FLAG_FOR(COMMAND_DOCTOR),
	ALL = CONNECT | DISCONNECT | STATUS | NODES | CONFIG | DOCTOR,
};

const struct client_command_row client_commands[] = {
	{ "connect", COMMAND_CONNECT, "bring the tunnel up" },
	{ "disconnect", COMMAND_DISCONNECT, "take it down and put everything back as it was" },
	{ "status", COMMAND_STATUS,
	  "say whether it is up, through which node, and how much passed" },
	{ "nodes", COMMAND_NODES, "list the nodes there are" },
	{ "config", COMMAND_CONFIG,
	  "make a session for a stock WireGuard app, as its .conf or a QR code" },
	{ "doctor", COMMAND_DOCTOR, "see whether the tunnel does what it is for" },
	{ "help", COMMAND_HELP, "this text, or that of one command: higgs help connect" },
	{ 0 },
};

#define AT(field) offsetof(struct client_options, field)

const struct client_flag client_flags[] = {
	{ "server", 's', "URL", CONNECT | NODES | CONFIG | DOCTOR, AT(server), false,
	  "BosonServer, e.g. https://boson.example" },
	{ "key-file", 'k', "FILE", CONNECT | NODES | CONFIG, AT(key_file), false,
	  "your access key, in a file that only you can read" },
	{ "ca", 0, "FILE", CONNECT | NODES | CONFIG | DOCTOR, AT(ca_file), false,
	  "trust these certificates instead of the system's" },
	{ "country", 0, "CC", CONNECT | NODES | CONFIG, AT(country), false,
	  "a country to come out in, two letters" },
	{ "node", 0, "ID", CONNECT | CONFIG, AT(node), false,
	  "one certain node; not with --country" },
	{ "interface", 'i', "NAME", CONNECT, AT(interface), false,
	  "name of the WireGuard interface (higgs0)" },
	{ "state", 0, "DIR", CONNECT | DISCONNECT | STATUS | DOCTOR, AT(state_dir), false,
	  "folder for state (/var/lib/higgs/client)" },
	{ "foreground", 'f', NULL, CONNECT, AT(foreground), true,
	  "stay in this terminal; Ctrl-C disconnects" },
	{ "no-kill-switch", 0, NULL, CONNECT, AT(kill_switch), false,
	  "let traffic out beside the tunnel when the tunnel is down" },
	{ "no-dns", 0, NULL, CONNECT, AT(dns), false, "leave /etc/resolv.conf alone" },
	{ "output", 'o', "FILE", CONFIG, AT(output), false,
	  "write to FILE, which only you can read" },
	{ "force", 0, NULL, CONFIG, AT(force), true, "replace a FILE that is there" },
	{ "qr", 0, NULL, CONFIG, AT(qr), true, "print a QR code for a phone's app" },
	{ "json", 0, NULL, STATUS | NODES, AT(json), true, "for programs" },
	{ "config", 'c', "FILE", ALL, AT(config_file), false,
	  "read the [client] section of FILE (~/.config/higgs/client.conf, else "
	  "/etc/higgs/client.conf)" },
	{ "verbose", 'v', NULL, ALL, AT(verbose), true, "say more" },
	{ 0 },
};

static void
print_flags(unsigned commands)
{
	for (const struct client_flag *flag = client_flags; flag->name != NULL; flag++) {
		char left[64];
		if ((flag->commands & commands) == 0)
			continue;
		snprintf(left, sizeof left, "%c%c%s --%s%s%s", flag->letter != 0 ? '-' : ' ',
			 flag->letter != 0 ? flag->letter : ' ', flag->letter != 0 ? "," : " ",
			 flag->name, flag->value != NULL ? " " : "",
			 flag->value != NULL ? flag->value : "");
		printf("  %-24s %s\n", left, flag->help);
	}
	printf("  %-24s %s\n", "-h, --help", "this text");
}

static void
print_examples(unsigned commands)
{
	printf("\nExamples:\n");
	if (commands & CONNECT)
		printf("  sudo higgs connect --server https://boson.example --key-file "
		       "~/higgs.key\n"
		       "  sudo higgs connect --country SE      # with the rest in client.conf\n"
		       "  sudo higgs connect --foreground      # Ctrl-C disconnects\n");
	if (commands & STATUS)
		printf("  sudo higgs status --json\n");
	if (commands & NODES)
		printf("  higgs nodes --country DE\n");
	if (commands & CONFIG)
		printf("  higgs config --country SE --output se.conf   # then: wg-quick up "
		       "./se.conf\n"
		       "  higgs config --qr                            # scan it with a phone\n");
	if (commands & DOCTOR)
		printf("  sudo higgs doctor   # while connected\n");
	if (commands & DISCONNECT)
		printf("  sudo higgs disconnect\n");
}

static const char footer[] =
	"\nIn client.conf, under [client], write key_file = FILE for --key-file FILE,\n"
	"ca_file for --ca, and kill_switch = no or dns = no for the switches.\n"
	"Exit status: 0 done; 3 not connected; 64 wrong usage; 69 it cannot be\n"
	"done, or all is not well (doctor); 75 try again later; 77 not permitted;\n"
	"130 interrupted; others as in sysexits.h.\n";

static void
print_overview(void)
{
	printf("higgs: a VPN whose exits are volunteers' own machines.\n\n"
	       "Usage: higgs COMMAND [FLAGS]\n\nCommands:\n");
	for (const struct client_command_row *row = client_commands; row->name != NULL; row++)
		printf("  %-12s %s\n", row->name, row->help);
	printf("\nFlags:\n");
	print_flags(ALL);
	printf("  %-24s %s\n", "-V, --version", "the version");
	print_examples(ALL);
	printf("%s", footer);
}

void
client_options_help(enum client_command command)
{
	for (const struct client_command_row *row = client_commands; row->name != NULL; row++)
		if (row->command == command && (CLIENT_FLAG_FOR(command) & ALL) != 0) {
			printf("higgs %s: %s\n\nUsage: higgs %s [FLAGS]\n\nFlags:\n", row->name,
			       row->help, row->name);
			print_flags(CLIENT_FLAG_FOR(command));
			print_examples(CLIENT_FLAG_FOR(command));
			return;
		}
	print_overview();
}
