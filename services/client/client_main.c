/*
 * higgs: the client. Reads the command line, does the command, ends with a status of sysexits.h.
 */
#include "client/client_commands.h"
#include "client/client_exit.h"
#include "log/log.h"

#include <stdio.h>

int
main(int argc, char **argv)
{
	struct client_options options;
	char error[2 * CLIENT_TEXT_BYTES] = "";

	log_init("higgs", LOG_LEVEL_WARN);
	int status = client_options_parse(argc, argv, &options, error, sizeof error);
	if (status != 0) {
		client_complain("%s", error);
		client_options_fini(&options);
		return status;
	}
	if (options.verbose)
		log_init("higgs", LOG_LEVEL_INFO);
	switch (options.command) {
	case COMMAND_CONNECT:
		status = client_command_connect(&options);
		break;
	case COMMAND_DISCONNECT:
		status = client_command_disconnect(&options);
		break;
	case COMMAND_STATUS:
		status = client_command_status(&options);
		break;
	case COMMAND_NODES:
		status = client_command_nodes(&options);
		break;
	case COMMAND_CONFIG:
		status = client_command_config(&options);
		break;
	case COMMAND_DOCTOR:
		status = client_command_doctor(&options);
		break;
	case COMMAND_VERSION:
		printf("higgs %s\n", BOSON_VERSION);
		break;
	case COMMAND_HELP: /* printed while parsing, about what was asked */
	case COMMAND_NONE:
		break;
	}
	client_options_fini(&options);
	return client_finish(status);
}
