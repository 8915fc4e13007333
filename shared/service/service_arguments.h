/*
 * service_arguments: the flags, alike in every program: -c FILE -n -v -V --help.
 */
#pragma once

#include "service/service.h"
#include "service/service_config.h"

struct service_arguments {
	const char *config_path; /* NULL: no file */
	bool is_check_only;
	int verbosity;
};

/* Goes on when it returns -1; otherwise the program ends with the exit code returned (what --help,
 * -V or a mistake had to say has been said). */
int service_arguments_parse(int argc, char **argv, const struct program *program,
			    const struct service_schema *schema, struct service_arguments *ret);
