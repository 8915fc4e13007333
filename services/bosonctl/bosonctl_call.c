/*
 * bosonctl_call: see the header. Talks to: one service's mailbox, by shared/bus.
 */
#include "bosonctl/bosonctl_call.h"

#include "bus/bus.h"
#include "loop/loop.h"
#include "metrics/metrics.h"
#include "json/json_message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

struct run {
	struct loop *loop;
	struct metrics *metrics;
	struct bus *bus;
	struct bus_peer *peer;
	const struct bosonctl_call *call;
	int exit_code;
};

static int
print_answer(const ProtobufCMessage *answer)
{
	struct json_text text = { 0 };
	json_message_write(&text, answer, JSON_MESSAGE_INTERNAL);
	if (json_text_failed(&text)) {
		json_text_fini(&text);
		fprintf(stderr, "bosonctl: out of memory\n");
		return EX_OSERR;
	}
	printf("%s\n", text.bytes);
	json_text_fini(&text);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "bosonctl: cannot write the answer: %s\n", strerror(errno));
		return EX_IOERR;
	}
	return EX_OK;
}

static int
explain(const struct run *run, const struct bus_result *result)
{
	if (result->status == BUS_UNAVAILABLE || result->status == BUS_DEADLINE) {
		fprintf(stderr,
			"bosonctl: %s does not answer (%s). Is it running, and is its [bus] "
			"endpoint in this file one that other processes reach?\n",
			run->call->service, result->code);
		return EX_TEMPFAIL;
	}
	fprintf(stderr, "bosonctl: %s refused: %s%s%s\n", run->call->service, result->code,
		result->field[0] ? ", field " : "", result->field);
	return EX_UNAVAILABLE;
}

static void
on_answer(const ProtobufCMessage *answer, void *arg)
{
	struct run *run = arg;
	run->exit_code = answer ? print_answer(answer) : explain(run, bus_peer_result(run->peer));
	loop_stop(run->loop);
}

static int
open_peer(struct run *run, const struct service_bus *where)
{
	const char *name = run->call->service;
	int r = loop_new(&run->loop);
	if (r == 0)
		r = metrics_new("bosonctl", &run->metrics);
	if (r == 0)
		r = bus_new(run->loop, run->metrics, "bosonctl", service_bus_security(where),
			    &run->bus);
	if (r == 0)
		r = bus_peer_new(run->bus, service_bus_endpoint(where, name),
				 service_bus_server_key(where, name), run->call->mailbox,
				 &run->peer);
	return r;
}

static void
close_peer(struct run *run)
{
	bus_peer_free(&run->peer);
	bus_free(&run->bus);
	metrics_free(&run->metrics);
	loop_free(&run->loop);
}

/* 0 and the request, or an exit code after a sentence. */
static int
read_request(const struct bosonctl_call *call, ProtobufCMessage **ret)
{
	char field[JSON_FIELD_BYTES];
	const ProtobufCMessageDescriptor *input = call->mailbox->methods[call->method].input;
	int r = json_message_read(input, call->json, strlen(call->json), JSON_MESSAGE_INTERNAL, ret,
				  field);
	if (r == 0)
		return EX_OK;
	fprintf(stderr, "bosonctl: the request is not a JSON object for %s: %s%s%s\n", input->name,
		strerror(-r), field[0] ? ", field " : "", field);
	return EX_DATAERR;
}

int
bosonctl_call(const struct service_bus *where, const struct bosonctl_call *call)
{
	ProtobufCMessage *request = NULL;
	int code = read_request(call, &request);
	if (code != EX_OK)
		return code;

	struct run run = { .call = call, .exit_code = EX_SOFTWARE };
	int r = open_peer(&run, where);
	if (r < 0) {
		fprintf(stderr, "bosonctl: cannot use the bus at %s: %s\n",
			service_bus_endpoint(where, call->service), strerror(-r));
		run.exit_code = EX_CONFIG;
	} else {
		ProtobufCService *service = bus_peer_service(run.peer);
		bus_peer_next(run.peer, call->timeout_ms, NULL);
		service->invoke(service, call->method, request, on_answer, &run);
		(void)loop_run(run.loop);
	}
	protobuf_c_message_free_unpacked(request, NULL);
	close_peer(&run);
	return run.exit_code;
}
