/*
 * scarce_page: the page through which a test makes allocations fail in the programs that it starts
 * (tests/scarce). All of them share it, and count as one.
 */
#pragma once

#include "scarce.h"

/* Makes the page and names it to the programs that are started from now on. NULL: it cannot. */
struct scarce *scarce_page_open(void);
void scarce_page_close(struct scarce **page);
