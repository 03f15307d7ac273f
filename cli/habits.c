/* SPDX-License-Identifier: MIT */
/* Options of qemu-img that have another name here. Those with the same name need no row. */
#include <stddef.h>
#include <string.h>

#include "cleanup.h"
#include "habits.h"

static const struct habit {
	const char *verb; /* NULL: any */
	const char *option;
	const char *meant;
} habits[] = {
	{"create", "-b", "--parent"},
	{"create", "-o", "--type, --block-size and others"},
	{"convert", "-o", "--type, --block-size and others"},
	{"convert", "-m", "--threads"},
	{"convert", "-t", "--direct"},
	{"convert", "-T", "--direct"},
	{"check", "-r", "vhdx repair"},
	{"commit", "-b", "--into"},
	{"rebase", "-b", "--parent"},
	{"rebase", "-u", "--unsafe"},
	{NULL, "--backing-chain", "--chain"},
	{NULL, "--output", "--json"},
	{NULL, "-U", "--force-share"},
};

const char *habit_find(const char *verb, const char *option)
{
	for (size_t i = 0; i < ARRAY_SIZE(habits); i++)
		if ((!habits[i].verb || !strcmp(habits[i].verb, verb)) &&
		    !strcmp(habits[i].option, option))
			return habits[i].meant;
	return NULL;
}
