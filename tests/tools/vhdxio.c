/* SPDX-License-Identifier: MIT */
/* vhdxio: runs a script of reads, writes, zeros, trims and flushes on a disk, and kills itself when told to. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/session.h"

#define MAX_WORDS    16
#define MAX_COMMANDS 1024

static const char usage[] =
	"vhdxio [OPTION]... FILE: runs a script on the disk in FILE, line by line\n"
	"\n"
	"  -c COMMAND         a line of the script; may be repeated\n"
	"  -f SCRIPT          a file of lines; without -c and -f, standard input\n"
	"  -r                 open for reading only\n"
	"  -t, --threads N    threads of `random` and `verify` (1)\n"
	"  --count            count the calls that reach the file, for `counts`\n"
	"  --no-holes --no-lock --any-parent --no-parent --parent-dir DIR    as vhdx_open\n"
	"\n"
	"Sizes take K M G T. PATTERN is a byte, or seed:N: sectors that say who wrote them, and where.\n"
	"\n"
	"  write OFFSET LENGTH PATTERN [fua]\n"
	"  read OFFSET LENGTH [PATTERN]           compares, or prints a hash\n"
	"  zero OFFSET LENGTH [unmap] [fast] [fua]\n"
	"  trim OFFSET LENGTH [fua]\n"
	"  flush\n"
	"  extents OFFSET LENGTH [layer] [holes]  OFFSET LENGTH TYPE DEPTH [FILE-OFFSET]\n"
	"  info\n"
	"  random SEED COUNT MAXLEN RANGE [flush N]  stamps that do not overlap, in random order\n"
	"  verify SEED COUNT MAXLEN RANGE         reads what `random` wrote, and compares\n"
	"  counts                                 since the last `counts`\n"
	"  close, open, reopen\n"
	"  kill                                   this process, at once: the image stays dirty\n"
	"  fails ERRNO COMMAND...                 the command must fail so\n"
	"  say WORD..., sleep MILLISECONDS\n"
	"\n"
	"# begins a comment. What fails is one line on standard error, and the exit status is 1.\n"
	"At the end the disk is closed.\n";

struct script {
	const char *commands[MAX_COMMANDS];
	size_t count;
	const char *path;
};

static int fail(const struct session *session, unsigned line, const char *command)
{
	fflush(stdout);
	fprintf(stderr, "vhdxio: line %u: %s: %s\n", line, command, session->why);
	return 1;
}

/* Runs one line. Returns 0, or 1 after an error was printed. */
static int run_line(struct session *session, unsigned line, const char *text)
{
	char copy[1024], shown[1024];
	char *words[MAX_WORDS];
	char *rest = copy;
	int count = 0;

	snprintf(shown, sizeof(shown), "%.*s", (int)strcspn(text, "#\n"), text);
	memcpy(copy, shown, sizeof(copy));
	for (char *word; (word = strtok_r(rest, " \t", &rest));) {
		if (count == MAX_WORDS) {
			refuse(session, "too many words");
			return fail(session, line, shown);
		}
		words[count++] = word;
	}
	if (!count)
		return 0;
	if (run_command(session, words, count))
		return fail(session, line, shown);
	fflush(stdout);
	return 0;
}

static int run_stream(struct session *session, FILE *stream)
{
	char *text = NULL;
	size_t room = 0;
	int status = 0;

	for (unsigned line = 1; !status && getline(&text, &room, stream) >= 0; line++)
		status = run_line(session, line, text);
	free(text);
	return status;
}

static int run_script(struct session *session, const struct script *script)
{
	FILE *stream;
	int status = 0;

	for (size_t i = 0; i < script->count && !status; i++)
		status = run_line(session, (unsigned)i + 1, script->commands[i]);
	if (script->count || status)
		return status;
	if (!script->path)
		return run_stream(session, stdin);
	stream = fopen(script->path, "r");
	if (!stream) {
		fprintf(stderr, "vhdxio: %s: %s\n", script->path, strerror(errno));
		return 1;
	}
	status = run_stream(session, stream);
	fclose(stream);
	return status;
}

static void warn(void *opaque, const char *file, const char *text)
{
	(void)opaque;
	fprintf(stderr, "vhdxio: warning: %s: %s\n", file, text);
}

enum { OPTION_HELP = 256, OPTION_COUNT, OPTION_PARENT_DIR, OPTION_FLAG };

static const struct {
	const char *name;
	uint32_t bit;
} open_flags[] = {
	{"no-holes", VHDX_OPEN_NO_HOLES},
	{"no-lock", VHDX_OPEN_NO_LOCK},
	{"any-parent", VHDX_OPEN_ANY_PARENT},
	{"no-parent", VHDX_OPEN_NO_PARENT},
};

static const struct option options[] = {
	{"no-holes", no_argument, NULL, OPTION_FLAG},
	{"no-lock", no_argument, NULL, OPTION_FLAG + 1},
	{"any-parent", no_argument, NULL, OPTION_FLAG + 2},
	{"no-parent", no_argument, NULL, OPTION_FLAG + 3},
	{"help", no_argument, NULL, OPTION_HELP},
	{"count", no_argument, NULL, OPTION_COUNT},
	{"parent-dir", required_argument, NULL, OPTION_PARENT_DIR},
	{"threads", required_argument, NULL, 't'},
	{0},
};

/* Returns false when the arguments make no sense, which was said. */
static bool parse_options(int argc, char **argv, struct session *session, struct script *script)
{
	static const char *folders[2];
	uint64_t threads = 1;
	int option;

	while ((option = getopt_long(argc, argv, "c:f:rt:", options, NULL)) != -1) {
		if (option == 'c' && script->count < MAX_COMMANDS)
			script->commands[script->count++] = optarg;
		else if (option == 'f')
			script->path = optarg;
		else if (option == 'r')
			session->options.flags &= ~VHDX_OPEN_WRITE;
		else if (option == 't' && parse_number(optarg, &threads) && threads)
			session->threads = (unsigned)threads;
		else if (option == OPTION_COUNT)
			session->counted = true;
		else if (option == OPTION_PARENT_DIR)
			folders[0] = optarg;
		else if (option >= OPTION_FLAG)
			session->options.flags |= open_flags[option - OPTION_FLAG].bit;
		else if (option == OPTION_HELP)
			exit(fputs(usage, stdout) < 0);
		else
			return false;
	}
	session->options.parent_dirs = folders;
	session->path = argv[optind];
	return optind == argc - 1;
}

int main(int argc, char **argv)
{
	static struct script script;
	static struct session session = {
		.options = {.size = sizeof(session.options),
			    .flags = VHDX_OPEN_WRITE,
			    .warning = warn},
		.threads = 1,
	};
	int status;

	if (!parse_options(argc, argv, &session, &script)) {
		fputs("vhdxio: one FILE, and options that `vhdxio --help` lists\n", stderr);
		return 2;
	}
	if (session_open(&session))
		return fail(&session, 0, "open");
	status = run_script(&session, &script);
	if (session.disk && session_close(&session) && !status)
		status = fail(&session, 0, "close");
	return status;
}
