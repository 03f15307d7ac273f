/* SPDX-License-Identifier: MIT */
/* Progress on standard error: a bar, or one JSON object a line. Also where signals cancel operations. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

struct progress {
	enum progress_mode mode;
	uint64_t start_ns;
	uint64_t next_ns; /* nothing is drawn before */
	uint64_t done;
	uint64_t total;
	bool asked; /* show the end, however soon it comes */
	bool drawn; /* a bar stands on the line */
};

/* Begins, as the options say; from here on signals cancel. */
void progress_begin(struct progress *progress, const struct options *options);

/* A vhdx_progress_fn; @opaque is the struct progress. */
int progress_update(void *opaque, uint64_t done, uint64_t total);

/* Takes the bar off its line, before something else is printed. */
void progress_hide(struct progress *progress);

/* Ends: shows the end when the operation succeeded, and else takes the bar away. */
void progress_end(struct progress *progress, bool success);

#endif
