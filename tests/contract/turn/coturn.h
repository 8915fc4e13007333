/*
 * coturn: Debian's turnserver and its test client, in a network namespace of the test's own where
 * only the loopback interface is, so that its fixed port disturbs nobody.
 */
#pragma once

#include "boson_rig.h"

/* Moves this process into a fresh network namespace with loopback up, before any thread is made.
 * False, with the reason printed, when that or coturn is not to be had. */
bool coturn_prepare(void);

/* Starts turnserver on 127.0.0.1:3478 and waits until it listens. */
pid_t coturn_start(struct rig *rig, const char *secret);
void coturn_stop(pid_t process);

/* True when coturn gave this user an allocation and carried its packets. */
bool coturn_accepts(const char *username, const char *password);
