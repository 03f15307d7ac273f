/* SPDX-License-Identifier: MIT */
/*
 * The verbs, grouped by what people want to do, and the words that other tools have for them: qemu-img,
 * Hyper-V's cmdlets, and everyday language.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cleanup.h"
#include "nearest.h"
#include "report.h"
#include "usage.h"

#define GROUP_MAX 6

static const struct group {
	const char *title;
	const struct verb *verbs[GROUP_MAX]; /* ends with a NULL */
} groups[] = {
	{"Look at an image; nothing is changed",
	 {&verb_info, &verb_map, &verb_check, &verb_compare, &verb_dump}},
	{"Make images, and copy disks", {&verb_create, &verb_convert, &verb_diff}},
	{"Use what is on a disk", {&verb_mount, &verb_serve}},
	{"Change an image", {&verb_resize, &verb_compact, &verb_commit, &verb_rebase}},
	{"Mend an image", {&verb_replay, &verb_repair, &verb_salvage}},
};

/* Words of other tools, in lower case, and the verb that does the same here. */
static const struct {
	const char *word, *verb;
} synonyms[] = {
	{"clone", "convert"},
	{"cp", "convert"},
	{"copy", "convert"},
	{"dd", "convert"},
	{"export", "convert"},
	{"import", "convert"},
	{"measure", "convert"},
	{"new", "create"},
	{"make", "create"},
	{"child", "create"},
	{"snapshot", "create"},
	{"checkpoint", "create"},
	{"show", "info"},
	{"list", "info"},
	{"ls", "info"},
	{"inspect", "info"},
	{"stat", "info"},
	{"open", "mount"},
	{"attach", "mount"},
	{"extract", "mount"},
	{"nbd", "serve"},
	{"verify", "check"},
	{"validate", "check"},
	{"test", "check"},
	{"fsck", "check"},
	{"fix", "repair"},
	{"mend", "repair"},
	{"undo", "repair"},
	{"recover", "salvage"},
	{"rescue", "salvage"},
	{"grow", "resize"},
	{"expand", "resize"},
	{"extend", "resize"},
	{"shrink", "compact"},
	{"optimize", "compact"},
	{"merge", "commit"},
	{"flatten", "convert"},
	{"delta", "diff"},
	{"backup", "diff"},
	{"reparent", "rebase"},
	{"convert-vhd", "convert"},
	{"get-vhd", "info"},
	{"merge-vhd", "commit"},
	{"mount-vhd", "mount"},
	{"new-vhd", "create"},
	{"optimize-vhd", "compact"},
	{"resize-vhd", "resize"},
	{"set-vhd", "rebase"},
	{"test-vhd", "check"},
};

static void print_verb(FILE *out, const struct verb *verb)
{
	fprintf(out, "  %-10s %s\n", verb->name, verb->summary);
}

void usage_print(FILE *out)
{
	fputs("Usage: vhdx VERB [OPTION]... [OPERAND]...\n"
	      "Works on VHDX virtual disks: those of Hyper-V, Windows, Azure and WSL2.\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		fprintf(out, "\n%s:\n", groups[i].title);
		for (const struct verb *const *verb = groups[i].verbs; *verb; verb++)
			print_verb(out, *verb);
	}
	fputs("\nFor example:\n"
	      "    vhdx info disk.vhdx                 what is this file?\n"
	      "    vhdx convert disk.vhdx disk.raw     a raw disk from it; the other way round, a VHDX\n"
	      "    vhdx create disk.vhdx 40G           an empty disk of 40 GiB\n"
	      "\n"
	      "  --help     show this help; 'vhdx VERB --help' shows a verb's, and 'man vhdx' more\n"
	      "  --version  show the version\n",
	      out);
}

const struct verb *usage_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		for (const struct verb *const *verb = groups[i].verbs; *verb; verb++)
			if (!strcmp((*verb)->name, name))
				return *verb;
	return NULL;
}

static const char *find_synonym(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(synonyms); i++)
		if (!strcasecmp(synonyms[i].word, word))
			return synonyms[i].verb;
	return NULL;
}

/* A mount is ended by FUSE's own program. */
static bool is_unmount(const char *word)
{
	static const char *const words[] = {"unmount", "umount", "dismount", "detach",
					    "dismount-vhd"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(words[i], word))
			return true;
	return false;
}

static const char *find_nearest(const char *word)
{
	struct nearest nearest = nearest_begin(word);

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		for (const struct verb *const *verb = groups[i].verbs; *verb; verb++)
			nearest_offer(&nearest, (*verb)->name);
	return nearest.name;
}

static bool looks_like_file(const char *word)
{
	const char *dot = strrchr(word, '.');

	return strchr(word, '/') || (dot && dot[1] && dot != word) || !access(word, F_OK);
}

int usage_report_unknown(const char *word)
{
	const char *meant = find_synonym(word);

	if (!meant && !is_unmount(word))
		meant = find_nearest(word);
	if (meant)
		return report_error(NULL, "unknown verb '%s' (did you mean '%s'?)", word, meant);
	if (is_unmount(word))
		return report_error(
			NULL, "unknown verb '%s' (a mount is ended by: fusermount3 -u MOUNTPOINT)",
			word);
	if (word[0] == '-' && word[1])
		return report_error(
			NULL, "unknown option '%s' (a verb comes first; see 'vhdx --help')", word);
	if (*word && looks_like_file(word))
		return report_error(
			NULL, "'%s' is no verb (what a file is: 'vhdx info %s'; see 'vhdx --help')",
			word, word);
	return report_error(NULL, "unknown verb '%s' (see 'vhdx --help')", word);
}
