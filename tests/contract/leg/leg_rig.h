/*
 * leg_rig: a leg's client, the relay stand-in that it meets, and what its callbacks said, for the
 * tests of legs.
 */
#pragma once

#include "leg/leg_client.h"
#include "relay_stand_in.h"

enum { DEADLINE_MS = 60 * 1000, NOTED_MAX = 64 };

struct noted {
	enum leg_state state;
	int code;
	char reason[200];
};

struct rig {
	struct loop *loop;
	struct metrics *metrics;
	struct leg_client *client;
	struct stand_in relay;
	struct noted noted[NOTED_MAX];
	size_t noted_n, messages, bytes, batches, first_batch_bytes, wrong;
	unsigned last;
	size_t last_n;
	uint8_t last_message[LEG_MESSAGE_MAX_BYTES];
	bool (*is_done)(struct rig *rig);
	size_t wanted;
	bool is_late, free_in_callback, free_when_left;
};

/* Files of the group: of "localhost" and this machine's addresses, and the same of yesterday; of
 * another name. */
extern char certificate[64], key[64], expired[64], other[64], other_key[64];
extern const struct noted never;

/* Runs the loop until the condition holds; fails after DEADLINE_MS. */
void wait_until(struct rig *rig, bool (*is_done)(struct rig *));

bool is_up(struct rig *rig);

/* The first time it went down since `wanted` states; &never. */
const struct noted *first_down(struct rig *rig);

bool has_gone_down(struct rig *rig);

bool has_messages(struct rig *rig);

bool relay_has_messages(struct rig *rig);

/* Of a client's leg, whose data never gets too old. */
struct rig *rig_new(const char *ca_file, uint32_t queue_bytes);

struct rig *rig_new_with(const struct leg_client_options *options);

void rig_free(struct rig *rig);

void target(struct rig *rig, const char *scheme, const char *host, const char *path);

/* A plain relay, a leg that was told to go to path. */
struct rig *plain(const char *path, uint32_t queue_bytes);

void send_numbered(struct rig *rig, unsigned number, size_t n);

uint64_t figure(struct rig *rig, const char *name, const char *labels);

void expect_down(const char *path, int code, const char *reason);

int rig_set_up(void **state);

int rig_tear_down(void **state);
