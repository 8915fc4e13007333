/*
 * bus_zap: who may connect over tcp. One thread a process answers ZeroMQ's authentication requests
 * (ZAP, rfc.zeromq.org/spec/27) for all buses; each bus has its domain and its allow-list. Any
 * thread.
 *
 * Fails closed: sockets are bound with ZMQ_ZAP_ENFORCE_DOMAIN, so that libzmq admits nobody when
 * this thread is gone, and a domain that is not listed here admits nobody either.
 */
#pragma once

#include "bus/bus.h"

enum {
	BUS_ZAP_DOMAIN_BYTES = 32,
	BUS_PEER_NAME_BYTES = 64,
};

/* Starts the thread for the first one. -EINVAL: a key that is no Z85, a name that is too long. */
int bus_zap_add(const struct bus_security *security, char ret_domain[BUS_ZAP_DOMAIN_BYTES]);

/* Ends the thread with the last one. "" does nothing. */
void bus_zap_remove(const char *domain);

/* Ends the thread at once, whoever needs it. For the test that shows that nobody is admitted. */
void bus_zap_kill(void);
