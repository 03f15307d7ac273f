/* SPDX-License-Identifier: MIT */
/* What the command can add to a failure of the library: what to do next. */
#ifndef CLI_ADVICE_H
#define CLI_ADVICE_H

#include <stddef.h>

#include <vhdx.h>

#define ADVICE_MAX 512

/* Writes what stands behind the failure's first words; nothing when there is no advice. @file was to be opened. */
void advise(const struct vhdx_error *error, const char *file, char text[ADVICE_MAX]);

/* The same for a name of which there is no file: "" where it looks like nothing else. */
const char *advice_on_name(const char *name);

#endif
