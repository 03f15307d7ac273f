/* SPDX-License-Identifier: MIT */
/* SIGINT, SIGTERM and SIGHUP ask a running operation to stop, so that nothing half-made is left. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

/* From here on the first of these signals is only remembered; a second one ends the process. */
void interrupt_catch(void);

/* The signal that came, or 0. */
int interrupt_signal(void);

/* Ends the process by the signal that came, if one did, so that whoever started it knows. */
void interrupt_resume(void);

#endif
