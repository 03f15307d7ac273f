/* SPDX-License-Identifier: MIT */
/* Where contents are written to: a new file, an existing device, a pipe, remote storage. */
#ifndef CLI_DESTINATION_H
#define CLI_DESTINATION_H

#include <stdbool.h>

#include <vhdx.h>

#include "source.h"

/* Zeroed at first; destination_close ends it in any state. */
struct destination {
	const char *name;
	struct vhdx_destination view; /* for the library; its create is the caller's to set */
	struct vhdx_io remote;	      /* view.io of remote storage */
	struct remote_target *target; /* what remote is of, when it is new */
	bool opened_fd;		      /* view.fd is ours to close */
};

/* What is written under @name when the user says @format. */
enum vhdx_format destination_format(const char *name, enum format_choice format);

/*
 * Takes the operand @name for what to write to. @replace: of remote storage, what is there already. Returns
 * STATUS_DONE, or the exit status, with the error reported.
 */
int destination_open(struct destination *destination, const char *name, enum format_choice format,
		     bool replace, const struct remote_options *remote);

/* Gives new remote storage, which is complete, its name. Returns as destination_open. */
int destination_finish(struct destination *destination);

/*
 * Removes new remote storage that will not be complete; what cannot be is named by the errors that are reported
 * afterwards.
 */
void destination_abandon(struct destination *destination);

void destination_close(struct destination *destination);

#define auto_destination __attribute__((cleanup(destination_close)))

#endif
