/*
 * client_options: reads and checks the command line and the configuration file behind it.
 * Everything that is wrong is said with what would be right, before anything is done.
 */
#include "client/client_options.h"

#include "client/client_exit.h"
#include "client/client_flags.h"
#include "identity/key.h"
#include "leg/leg_url.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENT_MAX_BYTES = 4096, SHOWN_BYTES = 96, PATH_BYTES = 512, NAMES_MAX = 32 };

static const struct config_key client_keys[] = {
	{ "client", "server", CONFIG_STRING, "", 0, 0, NULL, "https URL of BosonServer" },
	{ "client", "key_file", CONFIG_STRING, "", 0, 0, NULL, "file with your access key" },
	{ "client", "ca_file", CONFIG_STRING, "", 0, 0, NULL,
	  "certificates to trust instead of the system's" },
	{ "client", "country", CONFIG_STRING, "", 0, 0, NULL, "country of the exit, two letters" },
	{ "client", "node", CONFIG_STRING, "", 0, 0, NULL, "one certain node" },
	{ "client", "interface", CONFIG_IFNAME, "higgs0", 0, 0, NULL, "name of the interface" },
	{ "client", "state", CONFIG_PATH, "/var/lib/higgs/client", 0, 0, NULL,
	  "folder for state and the control socket" },
	{ "client", "kill_switch", CONFIG_BOOL, "yes", 0, 0, NULL,
	  "let nothing leave outside the tunnel" },
	{ "client", "dns", CONFIG_BOOL, "yes", 0, 0, NULL, "use the tunnel's name server" },
	{ 0 },
};

static const struct config_key *const tables[] = { client_keys, NULL };
static const char *const other_sections[] = { "service", "log",	      "admin", "bus",
					      "agent",	 "forwarder", NULL };
static const struct config_schema schema = { .env_prefix = "HIGGS",
					     .other_sections = other_sections,
					     .tables = tables };

struct parse {
	struct client_options *options;
	char *error;
	size_t error_bytes;
	bool wants_help;
};

static int refuse(struct parse *parse, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int
refuse(struct parse *parse, int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(parse->error, parse->error_bytes, format, arguments);
	va_end(arguments);
	return status;
}

static int
refuse_unknown(struct parse *parse, const char *what, const char *word, const char *const *names,
	       const char *dashes)
{
	const char *nearest = config_nearest(word, names);
	char shown[SHOWN_BYTES];

	client_escape(word, shown, sizeof shown);
	if (nearest == NULL)
		return refuse(parse, EXIT_USAGE_WRONG,
			      "unknown %s \"%s%s\"; `higgs --help` lists them", what, dashes,
			      shown);
	return refuse(parse, EXIT_USAGE_WRONG, "unknown %s \"%s%s\"; did you mean \"%s%s\"?", what,
		      dashes, shown, dashes, nearest);
}

static int
parse_command(struct parse *parse, const char *word)
{
	const char *names[NAMES_MAX];
	size_t n = 0;

	for (const struct client_command_row *row = client_commands; row->name != NULL; row++) {
		if (strcmp(row->name, word) == 0) {
			parse->options->command = row->command;
			return 0;
		}
		if (n + 1 < NAMES_MAX)
			names[n++] = row->name;
	}
	names[n] = NULL;
	return refuse_unknown(parse, "command", word, names, "");
}

static const struct client_flag *
find_flag(const char *name, size_t n, char letter)
{
	for (const struct client_flag *flag = client_flags; flag->name != NULL; flag++)
		if (letter != 0 ? flag->letter == letter
				: strlen(flag->name) == n && strncmp(flag->name, name, n) == 0)
			return flag;
	return NULL;
}

static int
unknown_flag(struct parse *parse, const char *word)
{
	const char *names[NAMES_MAX], *bare = word + strspn(word, "-");
	size_t n = 0;

	for (const struct client_flag *flag = client_flags; flag->name != NULL; flag++)
		if (n + 1 < NAMES_MAX)
			names[n++] = flag->name;
	names[n] = NULL;
	return refuse_unknown(parse, "flag", bare, names, "--");
}

/* One flag at argv[*at] and perhaps its value after it. */
static int
parse_flag(struct parse *parse, int argc, char *const *argv, int *at)
{
	const char *word = argv[*at], *value = NULL;
	bool is_long = word[1] == '-';
	const char *name = word + (is_long ? 2 : 1), *equals = is_long ? strchr(name, '=') : NULL;
	size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);
	const struct client_flag *flag;

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
		parse->wants_help = true;
		return 0;
	}
	if (!is_long && n != 1)
		return unknown_flag(parse, word);
	flag = find_flag(name, n, is_long ? 0 : *name);
	if (flag == NULL)
		return unknown_flag(parse, word);
	if ((flag->commands & CLIENT_FLAG_FOR(parse->options->command)) == 0)
		return refuse(
			parse, EXIT_USAGE_WRONG,
			"--%s does not go with this command; `higgs %s --help` lists what does",
			flag->name, argv[1]);
	void *field = (char *)parse->options + flag->offset;
	if (flag->value == NULL) {
		if (equals != NULL)
			return refuse(parse, EXIT_USAGE_WRONG, "--%s takes no value", flag->name);
		*(bool *)field = flag->switch_to;
		return 0;
	}
	if (equals != NULL)
		value = equals + 1;
	else if (*at + 1 < argc)
		value = argv[++*at];
	if (value == NULL || *value == '\0' || (equals == NULL && *value == '-'))
		return refuse(parse, EXIT_USAGE_WRONG, "--%s needs a value: --%s %s", flag->name,
			      flag->name, flag->value);
	if (*(const char **)field != NULL)
		return refuse(parse, EXIT_USAGE_WRONG, "--%s is given twice", flag->name);
	*(const char **)field = value;
	return 0;
}

static const char *
or_null(const char *text)
{
	return *text != '\0' ? text : NULL;
}

static const char *
configured(const struct config *config, const char *name)
{
	return or_null(config_string(config, "client", name));
}

/* --config, else the first default file that exists, else NULL. */
static const char *
config_path(const struct client_options *options, char path[PATH_BYTES])
{
	const char *home = getenv("HOME");

	if (options->config_file != NULL)
		return options->config_file;
	int n = home != NULL ? snprintf(path, PATH_BYTES, "%s/.config/higgs/client.conf", home) : 0;
	if (n > 0 && n < PATH_BYTES && access(path, F_OK) == 0)
		return path;
	return access("/etc/higgs/client.conf", F_OK) == 0 ? "/etc/higgs/client.conf" : NULL;
}

/* What the command line left open. */
static int
fill_from_config(struct parse *parse)
{
	struct client_options *options = parse->options;
	char path[PATH_BYTES];
	int status = config_load(config_path(options, path), &schema, &options->config,
				 parse->error, parse->error_bytes);

	if (status != 0)
		return status;
	const struct config *config = options->config;
	if (options->server == NULL)
		options->server = configured(config, "server");
	if (options->key_file == NULL)
		options->key_file = configured(config, "key_file");
	if (options->ca_file == NULL)
		options->ca_file = configured(config, "ca_file");
	/* One of the two on the command line puts the other of the file aside. */
	if (options->country == NULL && options->node == NULL) {
		options->country = configured(config, "country");
		options->node = configured(config, "node");
	}
	if (options->interface == NULL)
		options->interface = config_string(config, "client", "interface");
	if (options->state_dir == NULL)
		options->state_dir = config_string(config, "client", "state");
	options->kill_switch = options->kill_switch && config_bool(config, "client", "kill_switch");
	options->dns = options->dns && config_bool(config, "client", "dns");
	return 0;
}

static bool
is_interface_name(const char *name)
{
	size_t n =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return n >= 1 && n <= 15 && name[n] == '\0' && *name != '-' && *name != '.';
}

/* "https://host[:port][/prefix]", checked by the relays' parser. */
static bool
is_server_url(const char *url)
{
	char as_leg[ARGUMENT_MAX_BYTES + 8];
	struct leg_url parts;

	if (strncmp(url, "https://", 8) != 0 || strlen(url) > 400)
		return false;
	snprintf(as_leg, sizeof as_leg, "wss://%s", url + 8);
	return leg_url_parse(as_leg, &parts) == 0;
}

static int
check_country(struct parse *parse)
{
	struct client_options *options = parse->options;

	if (options->country == NULL)
		return 0;
	for (int i = 0; i < 2; i++) {
		char c = options->country[i];
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (c < 'A' || c > 'Z')
			return refuse(parse, EXIT_USAGE_WRONG,
				      "--country takes two letters, such as SE");
		options->country_text[i] = c;
	}
	if (options->country[2] != '\0')
		return refuse(parse, EXIT_USAGE_WRONG, "--country takes two letters, such as SE");
	options->country = options->country_text;
	return 0;
}

static int
check_values(struct parse *parse)
{
	struct client_options *options = parse->options;
	uint8_t id[UUID_BYTES];
	char shown[SHOWN_BYTES];

	bool needs_server = options->command == COMMAND_CONNECT ||
			    options->command == COMMAND_NODES || options->command == COMMAND_CONFIG;
	if (needs_server && options->server == NULL)
		return refuse(parse, EXIT_USAGE_WRONG,
			      "which server? --server https://..., or `server` in client.conf");
	if (needs_server && options->key_file == NULL)
		return refuse(parse, EXIT_USAGE_WRONG,
			      "which access key? --key-file FILE, or `key_file` in client.conf");
	bool asks = needs_server || (options->command == COMMAND_DOCTOR && options->server != NULL);
	if (asks && !is_server_url(options->server))
		return refuse(parse, EXIT_USAGE_WRONG,
			      "\"%s\" is no server: it takes https://host[:port]",
			      client_escape(options->server, shown, sizeof shown));
	if (options->country != NULL && options->node != NULL)
		return refuse(parse, EXIT_USAGE_WRONG, "--country and --node exclude each other");
	if (options->node != NULL && uuid_parse(options->node, id) < 0)
		return refuse(parse, EXIT_USAGE_WRONG,
			      "\"%s\" is no node id; `higgs nodes` lists them",
			      client_escape(options->node, shown, sizeof shown));
	if (options->force && options->output == NULL)
		return refuse(parse, EXIT_USAGE_WRONG, "--force goes with --output");
	if (!is_interface_name(options->interface))
		return refuse(parse, EXIT_USAGE_WRONG,
			      "\"%s\" is no interface name: at most 15 of a-z A-Z 0-9 _ . -",
			      client_escape(options->interface, shown, sizeof shown));
	return check_country(parse);
}

static int
parse_all(struct parse *parse, int argc, char *const *argv)
{
	struct client_options *options = parse->options;
	int r;

	for (int i = 1; i < argc; i++)
		if (strlen(argv[i]) > ARGUMENT_MAX_BYTES)
			return refuse(parse, EXIT_USAGE_WRONG, "argument %d is too long", i);
	if (argc < 2)
		return refuse(parse, EXIT_USAGE_WRONG, "what to do? `higgs --help` tells");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return options->command = COMMAND_HELP, 0;
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return options->command = COMMAND_VERSION, 0;
	r = parse_command(parse, argv[1]);
	for (int i = 2; r == 0 && i < argc; i++) {
		char shown[SHOWN_BYTES];
		if (argv[i][0] == '-' && argv[i][1] != '\0')
			r = parse_flag(parse, argc, argv, &i);
		else if (options->command != COMMAND_HELP)
			r = refuse(parse, EXIT_USAGE_WRONG,
				   "\"%s\" is one word too many; `higgs %s --help` tells what it "
				   "takes",
				   client_escape(argv[i], shown, sizeof shown), argv[1]);
	}
	return r;
}

int
client_options_parse(int argc, char *const *argv, struct client_options *ret, char *ret_error,
		     size_t error_bytes)
{
	struct parse parse = { .options = ret, .error = ret_error, .error_bytes = error_bytes };
	int r;

	*ret = (struct client_options){ .kill_switch = true, .dns = true };
	r = parse_all(&parse, argc, argv);
	if (r != 0 || ret->command == COMMAND_VERSION)
		return r;
	if (ret->command == COMMAND_HELP || parse.wants_help) {
		struct client_options about = { 0 };
		struct parse topic = { .options = &about,
				       .error = ret_error,
				       .error_bytes = error_bytes };
		const char *word = parse.wants_help ? argv[1] : argc > 2 ? argv[2] : NULL;
		bool is_word = word != NULL && *word != '-';
		r = is_word ? parse_command(&topic, word) : 0;
		if (r != 0)
			return r;
		client_options_help(about.command);
		ret->command = COMMAND_HELP;
		return 0;
	}
	r = fill_from_config(&parse);
	return r != 0 ? r : check_values(&parse);
}

void
client_options_fini(struct client_options *options)
{
	if (options->config != NULL)
		config_free(&options->config);
}
