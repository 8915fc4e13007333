/* scarce_page: see the header. */
#include "scarce_page.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct scarce *
scarce_page_open(void)
{
	char path[] = "/tmp/boson-scarce-XXXXXX", name[64];
	int fd = mkostemp(path, O_CLOEXEC);
	struct scarce *page = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(*page)) == 0)
		page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* By our descriptor, so that no file is left whatever happens. */
	(void)snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)getpid(), fd);
	(void)unlink(path);
	if (page == MAP_FAILED || setenv(SCARCE_ENVIRONMENT, name, 1) < 0)
		return NULL;
	return page;
}

void
scarce_page_close(struct scarce **page)
{
	if (*page != NULL)
		(void)munmap(*page, sizeof(**page));
	(void)unsetenv(SCARCE_ENVIRONMENT);
	*page = NULL;
}
