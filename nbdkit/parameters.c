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

/* Of words, that ends with NULL; NULL when it is empty. */
struct list {
	char **words;
	size_t count;
};

static struct list parent_dirs;
static struct list parent_uris; /* the nearest parent's first */

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
	"[file=]FILE  (required) The VHDX to serve, a file or an address (nbd://HOST/EXPORT); a\n"
	"    child is served through its chain.\n"
	"parent-dir=DIR  Look for parents in DIR too (repeatable).\n"
	"parent-uri=URI  The parent is there; again: its parent, and so on." SWITCHES(SWITCH_HELP);

/* nbdkit changes its folder before it serves. */
static char *absolute(const char *name)
{
	if (!remote_kind(name))
		return nbdkit_absolute_path(name);
	char *copy = strdup(name);

	if (!copy)
		nbdkit_error("out of memory");
	return copy;
}

static int take_file(const char *value)
{
	if (file) {
		nbdkit_error("file= is given twice");
		return -1;
	}
	file = absolute(value);
	return file ? 0 : -1;
}

static int add(struct list *list, const char *value)
{
	char **grown = realloc(list->words, (list->count + 2) * sizeof(*grown));

	if (!grown) {
		nbdkit_error("out of memory");
		return -1;
	}
	list->words = grown;
	grown[list->count] = absolute(value);
	if (!grown[list->count])
		return -1;
	grown[++list->count] = NULL;
	return 0;
}

static void drop(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->words[i]);
	free(list->words);
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
		return add(&parent_dirs, value);
	if (!strcmp(key, "parent-uri"))
		return add(&parent_uris, value);
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
	fputs("vhdx_parameters=file parent-dir parent-uri", stdout);
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

struct remote_disk_options parameters_disk_options(bool writable)
{
	return (struct remote_disk_options){
		.open =
			{
				.size = sizeof(struct vhdx_open_options),
				.flags = writable ? flags | VHDX_OPEN_WRITE
						  : flags & ~(VHDX_OPEN_NO_HOLES |
							      VHDX_OPEN_NO_LOCK),
				.parent_dirs = (const char *const *)parent_dirs.words,
				.warning = answer_warning,
				.lock_wait_ms = LOCK_WAIT_MS,
			},
		.parents = (remote_parents)parent_uris.words,
	};
}

void parameters_free(void)
{
	drop(&parent_dirs);
	drop(&parent_uris);
	free(file);
}
