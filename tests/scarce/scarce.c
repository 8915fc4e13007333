/* scarce: see the header. */
#include "scarce.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef SCARCE_SANITIZER
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t n);
void *REAL(calloc)(size_t count, size_t n);
void *REAL(realloc)(void *old, size_t n);
void *REAL(memalign)(size_t alignment, size_t n);

enum { EXEMPT_MAX = 16, SHOWN_FRAMES = 24 };

struct range {
	uintptr_t from, to;
};

static struct range exempt[EXEMPT_MAX];
static size_t exempt_n;
static struct scarce own;
struct scarce *scarce_process = &own;
static _Thread_local struct scarce mine;
static _Thread_local bool is_spared;
static bool is_shown;

/* ---- who is asking ---- */

static int
remember(struct dl_phdr_info *library, size_t size, void *arg)
{
	static const char *const names[] = { "libzmq",	 "libczmq",   "libstdc++", "libgcc_s",
					     "ld-linux", "libsodium", "libpgm",	   "libnorm" };

	(void)size;
	(void)arg;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		for (int k = 0; strstr(library->dlpi_name, names[i]) != NULL &&
				k < library->dlpi_phnum && exempt_n < EXEMPT_MAX;
		     k++)
			if (library->dlpi_phdr[k].p_type == PT_LOAD &&
			    (library->dlpi_phdr[k].p_flags & PF_X)) {
				uintptr_t at = library->dlpi_addr + library->dlpi_phdr[k].p_vaddr;

				exempt[exempt_n++] =
					(struct range){ at, at + library->dlpi_phdr[k].p_memsz };
			}
	return 0;
}

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv(SCARCE_ENVIRONMENT);
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *page;

	(void)dl_iterate_phdr(remember, NULL);
	is_shown = getenv(SCARCE_SHOW) != NULL;
	if (is_shown) /* the first time loads a library */
		(void)backtrace(&(void *){ NULL }, 1);
	if (fd < 0)
		return;
	page = mmap(NULL, sizeof(struct scarce), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (page != MAP_FAILED)
		scarce_process = page;
}

static bool
is_exempt(const void *caller)
{
	for (size_t i = 0; i < exempt_n; i++)
		if ((uintptr_t)caller >= exempt[i].from && (uintptr_t)caller < exempt[i].to)
			return true;
	return false;
}

static bool
counts_as_refused(struct scarce *scarce)
{
	unsigned long seen = atomic_fetch_add(&scarce->seen, 1) + 1;
	unsigned long first = atomic_load(&scarce->first);

	if (seen < first || seen - first >= atomic_load(&scarce->count))
		return false;
	atomic_fetch_add(&scarce->refused, 1);
	return true;
}

static void
show(void)
{
	void *frames[SHOWN_FRAMES];

	backtrace_symbols_fd(frames, backtrace(frames, SHOWN_FRAMES), STDERR_FILENO);
}

static bool
is_refused(const void *caller)
{
	struct scarce *scarce =
		atomic_load_explicit(&mine.is_on, memory_order_relaxed) ? &mine : scarce_process;

	if (!atomic_load_explicit(&scarce->is_on, memory_order_relaxed) ||
	    (scarce != &mine && is_spared) || is_exempt(caller))
		return false;
	if (!counts_as_refused(scarce))
		return false;
	if (is_shown)
		show();
	errno = ENOMEM;
	return true;
}

#define REFUSED is_refused(__builtin_return_address(0))

/* ---- what libc has ---- */

void *
malloc(size_t n)
{
	return REFUSED ? NULL : REAL(malloc)(n);
}

void *
calloc(size_t count, size_t n)
{
	return REFUSED ? NULL : REAL(calloc)(count, n);
}

void *
realloc(void *old, size_t n)
{
	return REFUSED ? NULL : REAL(realloc)(old, n);
}

void *
reallocarray(void *old, size_t count, size_t n)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, n, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return REFUSED ? NULL : REAL(realloc)(old, bytes);
}

void *
aligned_alloc(size_t alignment, size_t n)
{
	return REFUSED ? NULL : REAL(memalign)(alignment, n);
}

void *memalign(size_t alignment, size_t n);
void *
memalign(size_t alignment, size_t n)
{
	return REFUSED ? NULL : REAL(memalign)(alignment, n);
}

int
posix_memalign(void **ret, size_t alignment, size_t n)
{
	void *made = REFUSED ? NULL : REAL(memalign)(alignment, n);

	if (made == NULL)
		return ENOMEM;
	*ret = made;
	return 0;
}

/* The sanitizers have strdup of their own, which does not come by here. */
static char *
copy(const char *text, size_t n, const void *caller)
{
	char *made = is_refused(caller) ? NULL : REAL(malloc)(n + 1);

	if (made == NULL)
		return NULL;
	memcpy(made, text, n);
	made[n] = '\0';
	return made;
}

char *
strdup(const char *text)
{
	return copy(text, strlen(text), __builtin_return_address(0));
}

char *
strndup(const char *text, size_t most)
{
	return copy(text, strnlen(text, most), __builtin_return_address(0));
}

/* ---- the test's side ---- */

void
scarce_start(struct scarce *scarce, unsigned long first, unsigned long count)
{
	atomic_store(&scarce->first, first);
	atomic_store(&scarce->count, count);
	atomic_store(&scarce->seen, 0);
	atomic_store(&scarce->refused, 0);
	atomic_store(&scarce->is_on, true);
}

bool
scarce_stop(struct scarce *scarce)
{
	atomic_store(&scarce->is_on, false);
	return atomic_load(&scarce->refused) > 0;
}

void
scarce_begin(unsigned long first, unsigned long count)
{
	scarce_start(&mine, first, count);
}

bool
scarce_end(void)
{
	return scarce_stop(&mine);
}

void
scarce_spare_this_thread(void)
{
	is_spared = true;
}

/* False: it failed although nothing was refused. *ret_more: something was. */
static bool
try(scarce_fn fn, unsigned long first, unsigned long count, bool *ret_more)
{
	bool is_well;

	scarce_begin(first, count);
	is_well = fn();
	*ret_more = scarce_end();
	return is_well || *ret_more;
}

unsigned long
scarce_sweep(scarce_fn fn)
{
	static const unsigned long counts[] = { 1, ULONG_MAX };
	unsigned long n = 0;
	bool is_more;

	/* First with enough: what a library sets up once (OpenSSL) is not what is tried. */
	if (!try(fn, ULONG_MAX, 0, &is_more))
		return 0;
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		for (n = 1, is_more = true; is_more && n < SCARCE_SWEEP_MAX; n++)
			if (!try(fn, n, counts[i], &is_more))
				return 0;
	return n < SCARCE_SWEEP_MAX ? n - 1 : 0;
}
