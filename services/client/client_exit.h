/*
 * client_exit: how `higgs` ends, in the words of sysexits.h, and how it speaks to people: progress
 * and answers on stdout, what went wrong on stderr as one line with what to do about it.
 */
#pragma once

#include <stddef.h>

enum client_exit {
	EXIT_OK = 0,
	EXIT_NOT_CONNECTED = 3,	 /* status, doctor: there is no tunnel */
	EXIT_USAGE_WRONG = 64,	 /* the command line */
	EXIT_NO_INPUT = 66,	 /* a file that is not there */
	EXIT_NOT_AVAILABLE = 69, /* this machine or the service cannot do it */
	EXIT_DEFECT = 70,
	EXIT_SYSTEM = 71, /* the system refused something ordinary */
	EXIT_CANNOT_CREATE = 73,
	EXIT_IO = 74,
	EXIT_TRY_LATER = 75,
	EXIT_PROTOCOL_WRONG = 76, /* what answered is not what we expect */
	EXIT_NOT_PERMITTED = 77,
	EXIT_CONFIG_WRONG = 78,
	EXIT_INTERRUPTED = 130,
};

enum { CLIENT_TEXT_BYTES = 512 };

/* "higgs: ...\n" on stderr. What came from elsewhere must have gone through client_escape. */
void client_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A copy in which everything but printable ASCII is \xNN, cut to the buffer. Returns ret. */
const char *client_escape(const char *text, char *ret, size_t capacity);

/* Flushes stdout: status, or EXIT_IO when it could not be written. */
int client_finish(int status);
