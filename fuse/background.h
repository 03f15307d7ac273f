/* SPDX-License-Identifier: MIT */
/* Going to the background when all went well; what is opened may have threads, which no later fork would take along. */
#ifndef FUSE_BACKGROUND_H
#define FUSE_BACKGROUND_H

/*
 * Before anything is opened: goes on in a new process, and the one that was started waits, to end as that one does or
 * with success when it is ready. 0 or a negative errno.
 */
int background_begin(void);

/* Everything went well: leaves the terminal and lets the process that was started end. 0 or a negative errno. */
int background_ready(void);

#endif
