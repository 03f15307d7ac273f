/* SPDX-License-Identifier: MIT */
/* The vhdx command: finds the verb, runs it, and sees that what it printed arrived. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"
#include "remote.h"
#include "report.h"
#include "usage.h"

/* "help" and "version" are no verbs: they have no options and no page of their own. */
static bool is_word(const char *word, const char *name, const char *letter)
{
	return !strcmp(word, name) || !strcmp(word, name + 2) || !strcmp(word, letter);
}

/* 'vhdx help VERB' is 'vhdx VERB --help'. */
static int show_help(const char *name)
{
	static char option[] = "--help";
	const struct verb *verb = name ? usage_find(name) : NULL;
	char *words[] = {(char *)name, option, NULL};

	if (name && !verb)
		return usage_report_unknown(name);
	if (verb) {
		report_begin(verb->name, verb->failed_status);
		return verb->run(2, words);
	}
	usage_print(stdout);
	return STATUS_DONE;
}

static int run(int argc, char **argv)
{
	if (argc < 2) {
		usage_print(stderr);
		return STATUS_FAILED;
	}
	if (is_word(argv[1], "--help", "-h"))
		return show_help(argv[2]);
	if (is_word(argv[1], "--version", "-V")) {
		printf("vhdx %s\n", vhdx_version());
		return STATUS_DONE;
	}
	const struct verb *verb = usage_find(argv[1]);

	if (!verb)
		return usage_report_unknown(argv[1]);
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

/* Such as head and less, which have seen enough. */
static bool reader_is_gone(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return poll(&out, 1, 0) > 0 && out.revents & POLLERR;
}

/* A full disk may show itself as late as this. */
static int finish(int status)
{
	errno = 0;
	bool lost = ferror(stdout) || fflush(stdout);
	int errnum = errno ? errno : EIO;
	bool gone = lost && reader_is_gone();

	lost = fclose(stdout) || lost;
	if (gone)
		return status ? status : STATUS_FAILED;
	return lost ? report_errno("standard output", "what was printed is lost", errnum) : status;
}

int main(int argc, char **argv)
{
	static char printed[64 * 1024];

	occupy_standard_streams();
	/* What was copied to a reader that went away is an error to report, like any other. */
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
