/* Reads the command line. See service_arguments.h. */
#include "service/service_arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { ECHO_BYTES = 64, PATH_BYTES = 128, GO_ON = -1 };

static const struct option flags[] = {
	{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'n' },
	{ "verbose", no_argument, NULL, 'v' },	    { "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },	    { 0 },
};

static const char *const flag_names[] = { "-c",	    "-n",	 "-v",	    "-V",
					  "-h",	    "--config",	 "--check", "--verbose",
					  "--help", "--version", NULL };

static void
default_path(const char *product, char ret_path[PATH_BYTES])
{
	snprintf(ret_path, PATH_BYTES, "/etc/%s/%s.conf", product, product);
}

/* What was typed, cut and without what a terminal would obey. */
static void
print_mistake(const struct program *program, const char *what, const char *typed)
{
	const char *nearest = *typed == '-' ? config_nearest(typed, flag_names) : NULL;

	fprintf(stderr, "%s: %s '", program->name, what);
	for (size_t i = 0; typed[i] != '\0' && i < ECHO_BYTES; i++) {
		unsigned char c = (unsigned char)typed[i];

		if (c >= 0x20 && c < 0x7f)
			fputc(c, stderr);
		else
			fprintf(stderr, "\\x%02x", c);
	}
	fprintf(stderr, "'");
	if (nearest != NULL && strcmp(nearest, typed) != 0)
		fprintf(stderr, ", did you mean '%s'?", nearest);
	fprintf(stderr, " (--help tells more)\n");
}

/* EX_IOERR when stdout did not take it: a full disk is no success. */
static int
end_of_output(const struct program *program)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EX_OK;
	fprintf(stderr, "%s: cannot write to stdout\n", program->name);
	return EX_IOERR;
}

/* What has no default stands in the example, or it would not pass -n. */
static void
print_required(const struct config_schema *schema)
{
	for (const struct config_key *const *table = schema->tables; *table != NULL; table++)
		for (const struct config_key *key = *table; key->section != NULL; key++)
			if (key->default_value == NULL)
				printf("  [%s]\n  %s = %s\n", key->section, key->name,
				       key->type == CONFIG_URL ? "https://boson.example.org" : "x");
}

static int
print_help(const struct program *program, const struct service_schema *schema)
{
	const char *product = program->actors[0]->product;
	char path[PATH_BYTES];

	default_path(product, path);
	printf("%s: %s\n\n"
	       "usage: %s [-c FILE] [-n] [-v] [-V] [--help]\n\n"
	       "  -c, --config FILE  read FILE instead of %s\n"
	       "  -n, --check        check the configuration and touch nothing; exit 0: it is "
	       "good\n"
	       "  -v, --verbose      log more; twice: everything\n"
	       "  -V, --version      print the version\n"
	       "  -h, --help         print this\n\n"
	       "SIGTERM and SIGINT finish what is under way and exit 0; a second one does not "
	       "wait.\n"
	       "Each key below may also be set in the environment, e.g. %s_LOG_LEVEL=debug.\n\n"
	       "What the file may hold, with its defaults:\n\n",
	       program->name, program->summary, program->name, path, schema->schema.env_prefix);
	config_describe(&schema->schema, stdout);
	printf("\nExample:\n\n"
	       "  $ cat %s.conf\n"
	       "  [log]\n"
	       "  level = debug     # a comment\n"
	       "  [service]\n"
	       "  state = /tmp/%s\n"
	       "  run = /tmp/%s/run\n",
	       product, product, product);
	print_required(&schema->schema);
	printf("  $ %s -c %s.conf -n && %s -c %s.conf\n", program->name, product, program->name,
	       product);
	return end_of_output(program);
}

static int
handle_flag(int flag, char **argv, const struct program *program,
	    const struct service_schema *schema, struct service_arguments *ret)
{
	char typed[3] = { '-', (char)optopt, '\0' };

	switch (flag) {
	case 'c':
		ret->config_path = optarg;
		return GO_ON;
	case 'n':
		ret->is_check_only = true;
		return GO_ON;
	case 'v':
		ret->verbosity++;
		return GO_ON;
	case 'V':
		printf("%s %s\n", program->name, BOSON_VERSION);
		return end_of_output(program);
	case 'h':
		return print_help(program, schema);
	case ':':
		print_mistake(program, "a value is missing after", argv[optind - 1]);
		return EX_USAGE;
	default: /* of a short flag only optopt tells, of a long one only argv */
		print_mistake(program, "unknown flag",
			      argv[optind - 1][1] == '-' || optopt == 0 ? argv[optind - 1] : typed);
		return EX_USAGE;
	}
}

int
service_arguments_parse(int argc, char **argv, const struct program *program,
			const struct service_schema *schema, struct service_arguments *ret)
{
	static char path[PATH_BYTES];
	int flag, result = GO_ON;

	*ret = (struct service_arguments){ 0 };
	opterr = 0;
	while ((flag = getopt_long(argc, argv, ":c:nvVh", flags, NULL)) != -1) {
		result = handle_flag(flag, argv, program, schema, ret);
		if (result != GO_ON)
			return result;
	}
	if (optind < argc) {
		print_mistake(program, "unexpected argument", argv[optind]);
		return EX_USAGE;
	}
	default_path(program->actors[0]->product, path);
	if (ret->config_path == NULL && access(path, F_OK) == 0)
		ret->config_path = path;
	return GO_ON;
}
