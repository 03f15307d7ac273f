/* SPDX-License-Identifier: MIT */
/* The plugin's parameters: which disk, and how it is opened. */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "parameters.h"

static char *file;
static uint32_t flags; /* VHDX_OPEN_*, WRITE excepted */
static char **parent_dirs;
static size_t nparent_dirs;

/* Parameters that are true or false, with the flag that each sets. */
#define SWITCHES(SWITCH) \
	SWITCH("any-parent", VHDX_OPEN_ANY_PARENT, \
	       "open parents wherever the image says they are") \
	SWITCH("no-parent", VHDX_OPEN_NO_PARENT, "open this file alone, without its parents") \
	SWITCH("ignore-id-mismatch", VHDX_OPEN_IGNORE_ID_MISMATCH, \
	       "take a parent that is not the one named") \
	SWITCH("force-share", VHDX_OPEN_FORCE_SHARE, \
	       "take no lock: read beside a writer, at your own risk") \
	SWITCH("no-holes", VHDX_OPEN_NO_HOLES, "never make the file sparse: for Windows hosts") \
	SWITCH("no-lock", VHDX_OPEN_NO_LOCK, "write also where the file system has no locks")

#define SWITCH_ROW(key, flag, help)  {key, flag},
#define SWITCH_HELP(key, flag, help) "\n" key "=BOOL  " help "."

static const struct {
	const char *key;
	uint32_t flag;
} switches[] = {SWITCHES(SWITCH_ROW)};

#define NSWITCHES (sizeof(switches) / sizeof(switches[0]))

const char parameters_help[] =
	"[file=]FILE  (required) The VHDX to serve; a child is served through its chain.\n"
	"parent-dir=DIR  Look for parents in DIR too (repeatable)." SWITCHES(SWITCH_HELP);

static int take_file(const char *value)
{
	if (file) {
		nbdkit_error("file= is given twice");
		return -1;
	}
	/* nbdkit changes its folder before it serves. */
	file = nbdkit_absolute_path(value);
	return file ? 0 : -1;
}

static int take_parent_dir(const char *value)
{
	char **grown = realloc(parent_dirs, (nparent_dirs + 2) * sizeof(*grown));

	if (!grown) {
		nbdkit_error("out of memory");
		return -1;
	}
	parent_dirs = grown;
	parent_dirs[nparent_dirs] = nbdkit_absolute_path(value);
	if (!parent_dirs[nparent_dirs])
		return -1;
	parent_dirs[++nparent_dirs] = NULL;
	return 0;
}

static int take_switch(uint32_t flag, const char *value)
{
	int on = nbdkit_parse_bool(value);

	if (on < 0)
		return -1;
	flags = on ? flags | flag : flags & ~flag;
	return 0;
}

int parameters_take(const char *key, const char *value)
{
	if (!strcmp(key, "file"))
		return take_file(value);
	if (!strcmp(key, "parent-dir"))
		return take_parent_dir(value);
	for (size_t i = 0; i < NSWITCHES; i++)
		if (!strcmp(key, switches[i].key))
			return take_switch(switches[i].flag, value);
	nbdkit_error("unknown parameter '%s'", key);
	return -1;
}

int parameters_complete(void)
{
	if (file)
		return 0;
	nbdkit_error("which disk? (expected file=FILE)");
	return -1;
}

void parameters_dump(void)
{
	fputs("vhdx_parameters=file parent-dir", stdout);
	for (size_t i = 0; i < NSWITCHES; i++)
		printf(" %s", switches[i].key);
	putchar('\n');
}

const char *parameters_file(void)
{
	return file;
}

bool parameters_allow_writing(void)
{
	return !(flags & VHDX_OPEN_FORCE_SHARE);
}

/* Another server of this disk may be about to close it. */
#define LOCK_WAIT_MS 1000u

struct vhdx_open_options parameters_open_options(bool writable)
{
	return (struct vhdx_open_options){
		.size = sizeof(struct vhdx_open_options),
		.flags = writable ? flags | VHDX_OPEN_WRITE
				  : flags & ~(VHDX_OPEN_NO_HOLES | VHDX_OPEN_NO_LOCK),
		.parent_dirs = (const char *const *)parent_dirs,
		.warning = answer_warning,
		.lock_wait_ms = LOCK_WAIT_MS,
	};
}

void parameters_free(void)
{
	for (size_t i = 0; i < nparent_dirs; i++)
		free(parent_dirs[i]);
	free(parent_dirs);
	free(file);
}
