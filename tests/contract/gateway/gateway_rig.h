/*
 * gateway_rig: the real gateway, and the real services behind it, as processes of their own in a
 * folder of their own, and a small client that sends raw bytes to it, over TCP or TLS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { RIG_DEADLINE_MS = 15 * 1000, RIG_ANSWER_BYTES = 256 * 1024 };

struct rig {
	char folder[64];
	uint16_t port;
	bool is_tls;
	pid_t gateway, discovery, turn, routing, metrics;
	int log; /* the gateway's */
};

/* extra: lines for [gateway], and further sections after them; may be NULL. tls: a certificate of
 * its own making. */
enum rig_services {
	RIG_ALONE,
	RIG_SOME, /* discovery and turn too; returns when discovery answers */
	RIG_ALL,  /* routing and metrics too; returns when both answer */
};
bool rig_start(struct rig *rig, const char *extra, bool tls, enum rig_services services);

/* Stops all, and says whether all ended well (a sanitizer's report is not well). */
bool rig_stop(struct rig *rig);

/* Starts a gateway that is to refuse: its exit code, or -1 when it came up. tls: with a
 * certificate, whose private key is another one when mismatched. */
int rig_refusal(const char *extra, bool tls, bool mismatched);

/* "Bearer ..." from an access-key file of the gateway. A static buffer. */
const char *rig_bearer(const struct rig *rig, const char *file);

/* One connection. */
struct rig_client;
struct rig_client *rig_connect(const struct rig *rig);
void rig_disconnect(struct rig_client **client);
bool rig_send(struct rig_client *client, const void *bytes, size_t n);
bool rig_send_text(struct rig_client *client, const char *text);

struct rig_answer {
	int status; /* 0: the connection ended without one */
	char head[4096];
	char body[RIG_ANSWER_BYTES];
};

/* The next answer on this connection. */
void rig_receive(struct rig_client *client, struct rig_answer *ret);

/* Exactly n bytes of what comes next, whatever it is. false: there are no more, in time. */
bool rig_read(struct rig_client *client, void *bytes, size_t n);

/* Has the gateway closed, and sent nothing more? Waits RIG_DEADLINE_MS. */
bool rig_is_closed(struct rig_client *client);

/* The same, whatever it still sends. */
bool rig_ends(struct rig_client *client);

/* Connects, sends, receives one answer, disconnects. Static storage. */
const struct rig_answer *rig_exchange(const struct rig *rig, const char *text);

/* The same for a whole request: bearer and extra header lines ("Name: value\r\n") may be NULL. */
const struct rig_answer *rig_request(const struct rig *rig, const char *method, const char *target,
				     const char *bearer, const char *headers, const char *json);

/* The value of a header of the answer, or NULL. A static buffer. */
const char *rig_header(const struct rig_answer *answer, const char *name);

/* A member at a dotted path of the answer's JSON body as text ("error.code"), or NULL. */
const char *rig_member(const struct rig_answer *answer, const char *path);

int64_t rig_now_ms(void);
