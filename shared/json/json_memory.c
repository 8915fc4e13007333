/* json_memory: see the header. */
#include "json/json_memory.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local bool has_failed;

static void *
take(size_t n)
{
	void *bytes = malloc(n);

	if (bytes == NULL)
		has_failed = true;
	return bytes;
}

static void
set_up(void)
{
	json_set_alloc_funcs(take, free);
}

void
json_memory_begin(void)
{
	(void)pthread_once(&once, set_up);
	has_failed = false;
}

bool
json_memory_failed(void)
{
	return has_failed;
}
