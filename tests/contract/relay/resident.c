/* resident: see the header. */
#include "resident.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define IS_SANITIZED false
#endif

bool
resident_is_told(void)
{
	if (IS_SANITIZED)
		print_message("skipped: under sanitizers growth of memory says nothing\n");
	return !IS_SANITIZED;
}

uint64_t
resident_bytes(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[256];

	assert_non_null(file);
	while (kib == 0 && fgets(line, sizeof(line), file) != NULL)
		sscanf(line, "VmRSS: %lu", &kib);
	fclose(file);
	assert_true(kib > 0);
	return kib * 1024;
}
