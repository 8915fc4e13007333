/*
 * bosonctl_commands: see the header. A new command is a row.
 */
#include "bosonctl/bosonctl_commands.h"

#include "bosonctl/bosonctl_access.h"
#include "bosonctl/bosonctl_call.h"
#include "bosonctl/bosonctl_mailboxes.h"
#include "bosonctl/bosonctl_relays.h"
#include "config/config.h"
#include "json/json_text.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { CALL_TIMEOUT_MS = 5000, VERBS_MAX = 16, OPTIONS_MAX = 2 };

struct command {
	const char *noun, *verb;
	const char *service, *rpc;
	const char *list;		  /* the reply's list, which is printed line by line */
	const char *argument;		  /* the request's field that each word is; NULL: none */
	const char *fixed[2];		  /* a member that is always there, and its value */
	const char *options[OPTIONS_MAX]; /* --status VALUE: a field of the request */
	const char *help;
};

/* clang-format off: one row, one line group; read it as a table. */
static const struct command commands[] = {
	{ .noun = "nodes",
	  .verb = "list",
	  .service = "discovery",
	  .rpc = "ListNodes",
	  .list = "nodes",
	  .options = { "status", "country" },
	  .help = "all nodes, one a line" },
	{ .noun = "nodes",
	  .verb = "show",
	  .service = "discovery",
	  .rpc = "GetNode",
	  .argument = "nodeId",
	  .help = "what is known of a node" },
	{ .noun = "nodes",
	  .verb = "delete",
	  .service = "discovery",
	  .rpc = "DeleteNode",
	  .argument = "nodeId",
	  .help = "takes a node out; its session tokens are void" },
	{ .noun = "nodes",
	  .verb = "pending",
	  .service = "discovery",
	  .rpc = "ListEnrolments",
	  .list = "enrolments",
	  .options = { "state" },
	  .help = "who waits for approval" },
	{ .noun = "nodes",
	  .verb = "approve",
	  .service = "discovery",
	  .rpc = "DecideEnrolment",
	  .argument = "nodeId",
	  .fixed = { "decision", "approve" },
	  .help = "lets it become a node" },
	{ .noun = "nodes",
	  .verb = "refuse",
	  .service = "discovery",
	  .rpc = "DecideEnrolment",
	  .argument = "nodeId",
	  .fixed = { "decision", "refuse" },
	  .help = "and it is told so" },
	{ .noun = "nodes",
	  .verb = "forget",
	  .service = "discovery",
	  .rpc = "DecideEnrolment",
	  .argument = "nodeId",
	  .fixed = { "decision", "forget" },
	  .help = "as if it had never asked" },
	{ .noun = "clients",
	  .verb = "list",
	  .service = "routing",
	  .rpc = "ListClients",
	  .list = "clients",
	  .help = "all clients, one a line" },
	{ .noun = "clients",
	  .verb = "show",
	  .service = "routing",
	  .rpc = "GetClient",
	  .argument = "clientId",
	  .help = "what is known of a client" },
	{ .noun = "relays",
	  .verb = "list",
	  .service = "discovery",
	  .rpc = "ListRelays",
	  .list = "relays",
	  .help = "relays that take new legs, one a line" },
	{ .noun = "keys",
	  .verb = "list",
	  .service = "gateway",
	  .rpc = "ListKeys",
	  .list = "keys",
	  .help = "access keys, one a line; never the keys themselves" },
	{ .noun = "keys",
	  .verb = "revoke",
	  .service = "gateway",
	  .rpc = "RevokeKey",
	  .argument = "keyId",
	  .help = "refused from now on, by all gateways" },
};
/* clang-format on */

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const char *const nouns[] = { "nodes", "clients", "relays", "keys", NULL };

bool
bosonctl_commands_has(const char *noun)
{
	for (size_t i = 0; nouns[i] != NULL; i++)
		if (strcmp(nouns[i], noun) == 0)
			return true;
	return false;
}

void
bosonctl_commands_list(FILE *file)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *command = &commands[i];
		char words[96];
		int n = snprintf(words, sizeof(words), "%s %s%s%s", command->noun, command->verb,
				 command->argument != NULL ? " " : "",
				 command->argument != NULL ? "ID..." : "");
		for (size_t k = 0; k < OPTIONS_MAX && command->options[k] != NULL; k++)
			n += snprintf(words + n, sizeof(words) - (size_t)n, " [--%s X]",
				      command->options[k]);
		fprintf(file, "  %-40s %s\n", words, command->help);
	}
	fprintf(file, "  %-40s %s\n", "relays drain ID [--other URL]",
		"its legs leave, for that relay if one is named; it takes no new ones");
	fprintf(file, "  %-40s %s\n", "keys create KIND NAME [options]",
		"KIND: node, client, admin, scraper; prints the key, once");
	bosonctl_access_help(file);
}

/* ---- words to a request ---- */

static const struct command *
find(const char *noun, const char *verb)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].noun, noun) == 0 && strcmp(commands[i].verb, verb) == 0)
			return &commands[i];
	return NULL;
}

static int
complain_verb(const char *noun, const char *verb)
{
	const char *verbs[VERBS_MAX + 1] = { NULL };
	const char *nearest;
	size_t n = 0;
	for (size_t i = 0; i < COMMANDS && n < VERBS_MAX - 1; i++)
		if (strcmp(commands[i].noun, noun) == 0)
			verbs[n++] = commands[i].verb;
	if (strcmp(noun, "relays") == 0)
		verbs[n++] = "drain";
	if (strcmp(noun, "keys") == 0) {
		verbs[n++] = "create";
		verbs[n++] = "curve";
	}
	nearest = verb != NULL ? config_nearest(verb, verbs) : NULL;
	fprintf(stderr, "bosonctl: %s: what is to be done? ", noun);
	if (nearest != NULL)
		fprintf(stderr, "Did you mean %s? ", nearest);
	for (size_t i = 0; verbs[i] != NULL; i++)
		fprintf(stderr, "%s%s", i > 0 ? ", " : "Known: ", verbs[i]);
	fputs("\n", stderr);
	return EX_USAGE;
}

static const char *
option_field(const struct command *command, const char *word)
{
	for (size_t i = 0; i < OPTIONS_MAX && command->options[i] != NULL; i++)
		if (strcmp(command->options[i], word) == 0)
			return command->options[i];
	return NULL;
}

/* Options come first, as the members they are. The number of words taken, or -1 after a sentence.
 */
static int
take_options(const struct command *command, int n, char **words, struct json_text *text)
{
	int taken = 0;
	while (taken < n && words[taken][0] == '-') {
		const char *word = words[taken];
		const char *field =
			strncmp(word, "--", 2) == 0 ? option_field(command, word + 2) : NULL;
		if (field == NULL || taken + 1 >= n) {
			fprintf(stderr, "bosonctl: %s %s: %s; see bosonctl --help\n", command->noun,
				command->verb,
				field == NULL ? "that option is not known"
					      : "an option without its value");
			return -1;
		}
		json_text_member(text, field, words[taken + 1]);
		taken += 2;
	}
	return taken;
}

static void
add_caller(const struct command *command, struct json_text *text)
{
	const ProtobufCServiceDescriptor *mailbox = mailbox_find(command->service);
	int method = mailbox_rpc_find(mailbox, command->rpc);
	if (protobuf_c_message_descriptor_get_field_by_name(mailbox->methods[method].input,
							    "caller") == NULL)
		return;
	json_text_key(text, "caller");
	json_text_raw(text, "{\"role\":\"ADMIN\",\"subject\":\"bosonctl\"}");
}

/* One request. argument NULL: none. */
static int
call_once(const struct bosonctl_where *where, struct service_bus **bus,
	  const struct command *command, const char *options, const char *argument)
{
	struct json_text text = { 0 };
	struct bosonctl_call call = { .service = command->service,
				      .mailbox = mailbox_find(command->service),
				      .list = command->list,
				      .timeout_ms = CALL_TIMEOUT_MS };
	int code = *bus == NULL ? where->open(where->arg, bus) : EX_OK;
	if (code != EX_OK)
		return code;
	call.method = (unsigned int)mailbox_rpc_find(call.mailbox, command->rpc);
	json_text_open(&text, '{');
	if (argument != NULL)
		json_text_member(&text, command->argument, argument);
	if (command->fixed[0] != NULL)
		json_text_member(&text, command->fixed[0], command->fixed[1]);
	add_caller(command, &text);
	json_text_close(&text, '}');
	call.json = text.bytes;
	call.more_json = options;
	code = json_text_failed(&text) ? EX_OSERR : bosonctl_call(*bus, &call);
	json_text_fini(&text);
	return code;
}

static int
run_words(const struct bosonctl_where *where, const struct command *command, int n, char **words,
	  struct json_text *options)
{
	struct service_bus *bus = NULL;
	int code = EX_OK;
	int taken = take_options(command, n, words, options);
	json_text_close(options, '}');
	if (taken < 0)
		return EX_USAGE;
	if ((command->argument == NULL) != (taken == n)) {
		fprintf(stderr, "bosonctl: %s %s takes %s\n", command->noun, command->verb,
			command->argument != NULL ? "one ID or more" : "no further words");
		return EX_USAGE;
	}
	if (command->argument == NULL)
		code = call_once(where, &bus, command, options->bytes, NULL);
	for (int i = taken; i < n && code == EX_OK; i++)
		code = call_once(where, &bus, command, options->bytes, words[i]);
	service_bus_free(&bus);
	return code;
}

int
bosonctl_commands_run(const struct bosonctl_where *where, int n, char **words)
{
	const struct command *command = n > 1 ? find(words[0], words[1]) : NULL;
	struct json_text options = { 0 };
	int code;
	if (n > 1 && strcmp(words[0], "keys") == 0 && strcmp(words[1], "create") == 0)
		return bosonctl_access_create(where, n - 2, words + 2);
	if (n > 1 && strcmp(words[0], "relays") == 0 && strcmp(words[1], "drain") == 0)
		return bosonctl_relays_drain(where, n - 2, words + 2);
	if (command == NULL)
		return complain_verb(words[0], n > 1 ? words[1] : NULL);
	json_text_open(&options, '{');
	code = run_words(where, command, n - 2, words + 2, &options);
	json_text_fini(&options);
	return code;
}
