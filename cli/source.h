/* SPDX-License-Identifier: MIT */
/* What contents are read from: a VHDX with its chain, a raw file or device, a pipe, an NBD export. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
#include <sys/stat.h>

#include <vhdx.h>

#include "options.h"

/* What the user said that a file is. */
enum format_choice {
	FORMAT_AUTO = 0,
	FORMAT_IS_RAW,
	FORMAT_IS_VHDX,
};

/* Reads "raw" or "vhdx"; reports anything else. */
bool format_parse(const char *text, enum format_choice *ret_format);

/* Does the file's name end in .vhdx or .avhdx? */
bool format_is_vhdx_name(const char *name);

/* Zeroed at first; source_close ends it in any state. */
struct source {
	const char *name;
	struct vhdx_source view; /* for the library */
	struct vhdx *disk;	 /* NULL for raw contents */
	struct vhdx_io remote;	 /* view.io of remote storage */
	bool opened_fd;		 /* view.fd is ours to close */
	bool is_remote;		 /* something of it is read over a network */
};

/* Opens what the operand @name says. Returns STATUS_DONE, or the exit status, with the error reported. */
int source_open(struct source *source, const char *name, enum format_choice format,
		const struct chain_options *chain);

/*
 * Are all sources still there, when what read them ended with @result? Returns STATUS_DONE, or the exit
 * status, with the error reported. Before what was read is taken for what they held.
 */
int source_check_read(int result);

void source_close(struct source *source);

#define auto_source __attribute__((cleanup(source_close)))

#endif
