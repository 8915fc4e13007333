/* routes_load: arguments; see routes_load.h and run. */
#include "routes_load.h"

#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	void (*measure)(const struct load_setup *setup);
} questions[] = {
	{ "choice", load_choice },
	{ "even", load_even },
	{ "bus", load_bus },
};

int
main(int argc, char **argv)
{
	struct load_setup setup = { 1000, 5 };

	if (argc > 2)
		setup.nodes = strtoul(argv[2], NULL, 10);
	if (argc > 3)
		setup.runs = strtoul(argv[3], NULL, 10);
	log_init("routes_load", LOG_LEVEL_WARN);
	for (size_t i = 0; argc > 1 && i < sizeof(questions) / sizeof(questions[0]); i++) {
		if (strcmp(argv[1], questions[i].name) != 0 || setup.nodes == 0 ||
		    setup.runs == 0 || setup.runs > LOAD_RUNS_MAX)
			continue;
		printf("{\"question\":\"%s\",\"nodes\":%zu,\"runs\":%zu,\"build\":\"%s\","
		       "\"compiler\":\"%s\",\"cores\":%ld,",
		       argv[1], setup.nodes, setup.runs, ROUTES_LOAD_BUILD, ROUTES_LOAD_COMPILER,
		       sysconf(_SC_NPROCESSORS_ONLN));
		questions[i].measure(&setup);
		printf("}\n");
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "usage: routes_load choice|even|bus [NODES [RUNS]]\n");
	return EXIT_FAILURE;
}
