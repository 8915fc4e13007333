/*
 * echo_program: a server of echo.proto as a process of its own, to be stopped and killed by
 * test_bus_replicas. Arguments: its name, its endpoint and that of its events, then over tcp its
 * public and secret key and the key that may connect. Says where it listens on stdout. Answers Say
 * and Whoami with its name, which Refuse has as the field, keeps Keep for good, and publishes a
 * Shout for Publish.
 */
#include "bus/bus.h"
#include "log/log.h"

#include "echo.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static const char *name;
static struct bus_publisher *publisher;

static void
answer(Boson__Test__Words_Closure closure, void *call)
{
	Boson__Test__Words reply = BOSON__TEST__WORDS__INIT;

	reply.text = (char *)(uintptr_t)name;
	closure(&reply, call);
}

static void
on_say(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
       Boson__Test__Words_Closure closure, void *call)
{
	(void)service, (void)input;
	answer(closure, call);
}

static void
on_keep(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
	Boson__Test__Words_Closure closure, void *call)
{
	(void)service, (void)input, (void)closure, (void)call;
}

static void
on_refuse(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
	  Boson__Test__Words_Closure closure, void *call)
{
	(void)service, (void)input, (void)closure;
	bus_call_fail(call, BUS_UNAVAILABLE, "peer_down", name); /* as if it asked a third */
}

static void
on_swell(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
	 Boson__Test__Words_Closure closure, void *call)
{
	on_say(service, input, closure, call);
}

static void
on_publish(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
	   Boson__Test__Words_Closure closure, void *call)
{
	Boson__Test__Shout shout = BOSON__TEST__SHOUT__INIT;

	(void)service, (void)input;
	shout.text = (char *)(uintptr_t)name;
	(void)bus_publish(publisher, &shout.base);
	answer(closure, call);
}

static void
on_whoami(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
	  Boson__Test__Words_Closure closure, void *call)
{
	on_say(service, input, closure, call);
}

static int
serve(struct bus *bus, const char *endpoint, const char *events)
{
	static Boson__Test__Echo_Service service = BOSON__TEST__ECHO__INIT(on_);
	int r = bus_serve(bus, endpoint, &service.base, NULL);

	if (r == 0) {
		printf("%s ", bus_bound_endpoint(bus));
		r = bus_publisher_new(bus, events, &publisher);
	}
	if (r == 0) {
		printf("%s\n", bus_bound_endpoint(bus));
		r = fflush(stdout);
	}
	return r;
}

int
main(int argc, char **argv)
{
	const char *allowed[2] = { NULL, NULL }, *allowed_names[2] = { "gateway", NULL };
	struct bus_security security = { .allowed_keys = allowed, .allowed_names = allowed_names };
	struct metrics *metrics = NULL;
	struct loop *loop = NULL;
	struct bus *bus = NULL;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc != 4 && argc != 7)
		return 64;
	log_init("echo", LOG_LEVEL_ERROR);
	name = argv[1];
	if (argc == 7) {
		security.public_key = argv[4];
		security.secret_key = argv[5];
		allowed[0] = argv[6];
	}
	r = loop_new(&loop);
	if (r == 0)
		r = metrics_new("echo", &metrics);
	if (r == 0)
		r = bus_new(loop, metrics, "echo", argc == 7 ? &security : NULL, &bus);
	if (r == 0)
		r = serve(bus, argv[2], argv[3]);
	if (r == 0)
		r = loop_run(loop);
	bus_free(&bus);
	loop_free(&loop);
	metrics_free(&metrics);
	return r == 0 ? 0 : 1;
}
