/* SPDX-License-Identifier: MIT */
/* The plugin's parameters: which disk, and how it is opened. */
#ifndef NBDKIT_PARAMETERS_H
#define NBDKIT_PARAMETERS_H

#include <stdbool.h>

#include "remotedisk.h"

/* What `nbdkit vhdx --help` shows of them. */
extern const char parameters_help[];

/* Take one, and see that none is missing. Return 0, or -1 with the error logged. */
int parameters_take(const char *key, const char *value);
int parameters_complete(void);

/* Prints their names, for --dump-plugin. */
void parameters_dump(void);

/* The disk's file, or the address of its storage. */
const char *parameters_file(void);

/* May connections write at all? */
bool parameters_allow_writing(void);

/* How to open it, for writing too or not. */
struct remote_disk_options parameters_disk_options(bool writable);

void parameters_free(void);

#endif
