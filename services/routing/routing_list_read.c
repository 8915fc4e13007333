/* routing_list: the list of before, at a start. */
#include "routing/routing_list_inside.h"

#include "discovery.pb-c.h"
#include "log/log.h"
#include "loop/clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT_MS = 60 * 1000 }; /* one that is older says too little */

/* The page at *at, or NULL when the end is there: *ret_n is 0, or there is no more of it. */
static const uint8_t *
next_page(const uint8_t *bytes, size_t n, size_t *at, uint32_t *ret_n)
{
	const uint8_t *page;

	*ret_n = UINT32_MAX;
	if (n - *at < sizeof(*ret_n))
		return NULL;
	memcpy(ret_n, bytes + *at, sizeof(*ret_n));
	*at += sizeof(*ret_n);
	if (*ret_n == 0 || *ret_n > n - *at)
		return NULL;
	page = bytes + *at;
	*at += *ret_n;
	return page;
}

static bool
is_whole(const uint8_t *bytes, size_t n)
{
	size_t at = (size_t)ROUTING_LIST_MARK_BYTES;
	uint32_t page_bytes;

	if (n < (size_t)ROUTING_LIST_MARK_BYTES ||
	    memcmp(bytes, ROUTING_LIST_MARK, (size_t)ROUTING_LIST_MARK_BYTES) != 0)
		return false;
	while (next_page(bytes, n, &at, &page_bytes) != NULL)
		continue;
	return page_bytes == 0 && at == n;
}

static void
take(struct routing *routing, const uint8_t *bytes, size_t n)
{
	size_t at = (size_t)ROUTING_LIST_MARK_BYTES;
	uint32_t page_bytes;
	const uint8_t *packed;

	while ((packed = next_page(bytes, n, &at, &page_bytes)) != NULL) {
		Boson__Discovery__SnapshotReply *page =
			boson__discovery__snapshot_reply__unpack(NULL, page_bytes, packed);

		if (page == NULL)
			continue;
		routing_watch_take(routing, page);
		boson__discovery__snapshot_reply__free_unpacked(page, NULL);
	}
}

static void
read_list(struct routing *routing, int fd, const struct stat *status)
{
	size_t n = (size_t)status->st_size;
	int64_t age_ms = clock_wall_ms() - ((int64_t)status->st_mtim.tv_sec * 1000 +
					    status->st_mtim.tv_nsec / 1000000);
	void *bytes;

	if (age_ms > KEPT_MS || age_ms < -KEPT_MS) {
		log_info("list_is_old", "age_ms=%lld", (long long)age_ms);
		return;
	}
	bytes = n == 0 ? MAP_FAILED : mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED || !is_whole(bytes, n)) {
		log_warn("list_not_read", "bytes=%zu", n);
	} else {
		take(routing, bytes, n);
		routing->list_wall_ms = clock_wall_ms() - age_ms;
		log_info("list_read", "nodes=%zu relays=%zu age_ms=%lld", routing->table.known,
			 routing->table.relay_count, (long long)age_ms);
	}
	if (bytes != MAP_FAILED)
		(void)munmap(bytes, n);
}

void
routing_list_read(struct routing *routing, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd >= 0 && fstat(fd, &status) == 0)
		read_list(routing, fd, &status);
	if (fd >= 0)
		(void)close(fd);
}
