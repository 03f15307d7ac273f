/* SPDX-License-Identifier: MIT */
/* The vhdx command: finds the verb, runs it, and sees that what it printed arrived. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "interrupt.h"
#include "remote.h"
#include "report.h"
#include "verb.h"

static const struct verb *const verbs[] = {
	&verb_create, &verb_info,    &verb_check,   &verb_repair, &verb_replay, &verb_salvage,
	&verb_map,    &verb_convert, &verb_compare, &verb_diff,	  &verb_commit, &verb_rebase,
	&verb_resize, &verb_compact, &verb_dump,    &verb_mount,  &verb_serve,
};

static void print_usage(FILE *out)
{
	fputs("Usage: vhdx VERB [OPTION]... [OPERAND]...\n"
	      "Creates, inspects, checks, repairs, converts, merges, resizes, compacts, mounts and serves VHDX virtual disks.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
	fputs("\n  --help     show this help; 'vhdx VERB --help' shows a verb's\n"
	      "  --version  show the version\n",
	      out);
}

#define WORD_MAX 16

static size_t least(size_t a, size_t b, size_t c)
{
	size_t least_ab = a < b ? a : b;

	return least_ab < c ? least_ab : c;
}

/* The edits that lead from @word to @name (Levenshtein). */
static size_t distance(const char *word, const char *name)
{
	size_t row[WORD_MAX + 1];
	size_t columns = strlen(name);

	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 1; word[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= columns; j++) {
			size_t above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1,
				       diagonal + (word[i - 1] != name[j - 1]));
			diagonal = above;
		}
	}
	return row[columns];
}

static int report_unknown(const char *word)
{
	const char *nearest = NULL;
	size_t nearest_distance = 3;

	for (size_t i = 0; i < ARRAY_SIZE(verbs) && strlen(word) <= WORD_MAX; i++) {
		size_t edits = distance(word, verbs[i]->name);

		if (edits < nearest_distance) {
			nearest_distance = edits;
			nearest = verbs[i]->name;
		}
	}
	if (nearest)
		return report_error(NULL, "unknown verb '%s' (did you mean '%s'?)", word, nearest);
	return report_error(NULL, "unknown verb '%s' (see 'vhdx --help')", word);
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i]->name, name))
			return verbs[i];
	return NULL;
}

static int run(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return STATUS_FAILED;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_usage(stdout);
		return STATUS_DONE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("vhdx %s\n", vhdx_version());
		return STATUS_DONE;
	}
	const struct verb *verb = find_verb(argv[1]);

	if (!verb)
		return report_unknown(argv[1]);
	report_begin(verb->name, verb->failed_status);
	return verb->run(argc - 1, argv + 1);
}

/*
 * A file that got the number of a closed standard stream would receive what is printed. The stand-ins
 * refuse what the stream is for, so that its loss is still noticed.
 */
static void occupy_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			_exit(STATUS_FAILED);
}

/* A full disk may show itself as late as this. */
static int finish(int status)
{
	errno = 0;
	bool lost = ferror(stdout) || fflush(stdout);

	if (fclose(stdout) || lost)
		return report_errno("standard output", "what was printed is lost",
				    errno ? errno : EIO);
	return status;
}

int main(int argc, char **argv)
{
	static char printed[64 * 1024];

	occupy_standard_streams();
	/* A reader that went away is an error to report, like any other. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error like any other */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	if (!isatty(STDOUT_FILENO)) /* a map may have millions of lines */
		setvbuf(stdout, printed, _IOFBF, sizeof(printed));

	int status = finish(run(argc, argv));

	report_end();
	interrupt_resume();
	if (remote_hangs())
		_exit(status);
	return status;
}
