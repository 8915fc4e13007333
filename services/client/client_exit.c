/*
 * client_exit: see the header.
 */
#include "client/client_exit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
client_complain(const char *format, ...)
{
	char text[2 * CLIENT_TEXT_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	fprintf(stderr, "higgs: %s\n", text);
}

const char *
client_escape(const char *text, char *ret, size_t capacity)
{
	size_t n = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
		char one[8];
		int one_n = *c >= ' ' && *c <= '~' ? snprintf(one, sizeof one, "%c", *c)
						   : snprintf(one, sizeof one, "\\x%02x", *c);
		if (n + (size_t)one_n >= capacity)
			break;
		memcpy(ret + n, one, (size_t)one_n);
		n += (size_t)one_n;
	}
	ret[n] = '\0';
	return ret;
}

int
client_finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	client_complain("cannot write to standard output: %s", strerror(errno));
	return EXIT_IO;
}
