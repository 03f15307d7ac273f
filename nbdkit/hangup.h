/* SPDX-License-Identifier: MIT */
/*
 * Ends the connections when nbdkit is told to stop. By itself nbdkit waits until its clients go, and a
 * client that stays would keep the disk open.
 */
#ifndef NBDKIT_HANGUP_H
#define NBDKIT_HANGUP_H

/*
 * From now on a signal that stops nbdkit ends the connections too. To be called in the process that serves.
 * @flush is called, in a thread of its own, before clients are cut off that take no answers.
 */
int hangup_start(int (*flush)(void));

/* No connection is left. To be called before the plugin is unloaded, any number of times. */
void hangup_stop(void);

#endif
