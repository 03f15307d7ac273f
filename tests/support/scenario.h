/* SPDX-License-Identifier: MIT */
/*
 * A fixed session that does everything once, for tests in which something fails during it: what the disk
 * holds is followed all the way, and looked at after the next open.
 */
#ifndef TESTS_SUPPORT_SCENARIO_H
#define TESTS_SUPPORT_SCENARIO_H

#include "support/trial.h"

enum scenario_disk {
	SCENARIO_DYNAMIC,
	SCENARIO_FIXED,
	SCENARIO_CHILD,
	SCENARIO_DIRTY, /* another maker's, with a log to replay */
	SCENARIO_DISKS,
};

struct scenario {
	struct trial trial;
	int first_error; /* of any call, 0 when none failed */
	int open_error;
	int close_error;
	bool flush_failed;
};

void scenario_make(enum scenario_disk disk, struct scenario *ret_scenario);
void scenario_free(struct scenario *scenario);

/* Opens the disk, and does all but close it. Whatever fails is noted. */
void scenario_run(struct scenario *scenario);

/* Nothing fails any more: writes and flushes go well again. */
void scenario_goes_on(struct scenario *scenario);

void scenario_close(struct scenario *scenario);

/*
 * The disk opens again, has no damage, holds every flushed byte and of each other sector what it held
 * before or after a change; it is written again, and closed cleanly.
 */
void scenario_check(struct scenario *scenario);

/* Stops or lets go on what makes calls fail, around what the test itself does. Set by the test. */
extern void (*scenario_pause)(struct scenario *scenario, bool pause);

#endif
