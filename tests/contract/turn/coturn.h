/*
 * coturn: Debian's turnserver and its test programs, in a network namespace of the test's own where
 * only the loopback interface is, so that its fixed ports disturb nobody. That interface has
 * addresses of all kinds: some that look like the internet's, and some that nobody may reach.
 */
#pragma once

#include "boson_rig.h"

#define COTURN_SERVER	    "5.5.5.1" /* where coturn listens and relays */
#define COTURN_SERVER_OTHER "5.5.5.2"
#define COTURN_SERVER6	    "2600::1"
#define COTURN_PEER	    "6.6.6.6" /* elsewhere in the internet, with an echo service */
#define COTURN_PEER6	    "2600:1::6"
#define COTURN_LAN	    "192.168.7.7"
#define COTURN_METADATA	    "169.254.169.254"
#define COTURN_METADATA6    "fd00:ec2::254"

/* Moves this process into a fresh network namespace, before any thread is made. False, with the
 * reason printed, when that or coturn is not to be had. */
bool coturn_prepare(void);

/* Starts turnserver with this configuration, which boson-turn wrote, and waits until it listens. */
pid_t coturn_start(struct rig *rig, const char *config_path);
void coturn_stop(pid_t process);

/* turnutils_peer at an IPv4 address. */
pid_t coturn_start_echo(struct rig *rig, const char *address);

/* True when turnutils_uclient could send a message by COTURN_SERVER to this peer's echo service,
 * and got it back. */
bool coturn_relays(const char *username, const char *password, const char *peer);
