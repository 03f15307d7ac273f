/* SPDX-License-Identifier: MIT */
/* vhdx serve: becomes nbdkit with our plugin, after looking whether the disk can be opened. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "cleanup.h"
#include "companion.h"
#include "listening.h"
#include "numbers.h"
#include "options.h"
#include "report.h"

enum {
	OPTION_RUN = OPTION_FIRST,
};

static const struct option_row rows[] = {
	{'U', "unix", "SOCKET", "listen on a Unix domain socket"},
	{'p', "port", "PORT", "listen on a TCP port (default 10809)"},
	{'b', "bind", "ADDRESS", "listen there (default localhost; all interfaces: 0.0.0.0)"},
	{OPTION_RUN, "run", "CMD", "run a shell command that uses $uri, then stop with its status"},
	{0, NULL, NULL, NULL},
};

struct serve {
	const char *socket;
	const char *port;
	const char *address;
	const char *command;
};

static bool take_option(void *opaque, int id, const char *value)
{
	struct serve *serve = opaque;
	unsigned port;

	switch (id) {
	case 'U':
		serve->socket = value;
		return true;
	case 'p': /* nbdkit would listen on what is left of a larger number */
		serve->port = value;
		return parse_number("port", value, 1, 65535, &port);
	case 'b':
		serve->address = value;
		return true;
	case OPTION_RUN:
		serve->command = value;
		return true;
	default:
		return false;
	}
}

/* What is wrong with the disk is said here and now, in the command's own words, and not to a client. */
static int try_disk(const char *file, const struct options *options)
{
	struct vhdx_open_options how =
		chain_open_options(&options->chain, options->writable ? VHDX_OPEN_WRITE : 0);
	struct vhdx *disk;
	int status = disk_open(file, &options->chain, &how, &disk);

	return status ? status : report_close(disk, file, STATUS_DONE);
}

static int check_options(const struct serve *serve, const struct options *options, bool passes_on)
{
	if (serve->socket && (serve->port || serve->address))
		return report_error(NULL, "-U excludes -p and -b");
	if (options->noperands > 1 && !passes_on)
		return report_error(NULL,
				    "'%s' is one operand too many (nbdkit's own go behind --)",
				    options->operands[1]);
	return STATUS_DONE;
}

/* ---- nbdkit's command line ---- */

/* More than its fixed words and the chain's flags. */
#define FIXED_WORDS 32

struct words {
	char **list;
	size_t count;
	char **parameters; /* the allocated ones */
	size_t nparameters;
};

static void words_free(struct words *words)
{
	for (size_t i = 0; i < words->nparameters; i++)
		free(words->parameters[i]);
	free(words->list);
}

static void add(struct words *words, const char *word)
{
	words->list[words->count++] = (char *)word;
}

#define DEFAULT_ADDRESS "localhost"
#define DEFAULT_PORT	"10809"

static bool is_private(const struct serve *serve)
{
	return serve->command && !serve->socket && !serve->port && !serve->address;
}

/* nbdkit would name neither itself nor, of a port, what it could not have. */
static int try_listening(const struct serve *serve)
{
	if (is_private(serve) || (serve->socket && !strcmp(serve->socket, "-")))
		return STATUS_DONE;
	if (serve->socket)
		return listening_try_unix(serve->socket);
	return listening_try_tcp(
		serve->address ? serve->address : DEFAULT_ADDRESS,
		(unsigned)strtoul(serve->port ? serve->port : DEFAULT_PORT, NULL, 10));
}

static void add_listening(struct words *words, const struct serve *serve)
{
	if (serve->socket || is_private(serve)) {
		add(words, "-U");
		add(words, serve->socket ? serve->socket : "-");
	} else {
		add(words, "-i");
		add(words, serve->address ? serve->address : DEFAULT_ADDRESS);
		add(words, "-p");
		add(words, serve->port ? serve->port : DEFAULT_PORT);
	}
	if (serve->command) {
		add(words, "--run");
		add(words, serve->command);
	}
}

/* "NAME=VALUE"; all of them are added in a row. */
static bool add_parameter(struct words *words, const char *name, const char *value)
{
	char *word;

	if (asprintf(&word, "%s=%s", name, value) < 0)
		return false;
	if (!words->nparameters++)
		words->parameters = &words->list[words->count];
	add(words, word);
	return true;
}

static bool add_parameters(struct words *words, const char *file, const struct options *options)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} flags[] = {
		{VHDX_OPEN_NO_PARENT, "no-parent=true"},
		{VHDX_OPEN_ANY_PARENT, "any-parent=true"},
		{VHDX_OPEN_IGNORE_ID_MISMATCH, "ignore-id-mismatch=true"},
		{VHDX_OPEN_FORCE_SHARE, "force-share=true"},
		{VHDX_OPEN_NO_HOLES, "no-holes=true"},
		{VHDX_OPEN_NO_LOCK, "no-lock=true"},
	};
	uint32_t wanted = options->chain.flags | options->chain.write_flags;
	bool done = add_parameter(words, "file", file);

	for (size_t i = 0; i < options->chain.nparent_dirs; i++)
		done = done && add_parameter(words, "parent-dir", options->chain.parent_dirs[i]);
	for (size_t i = 0; i < options->chain.nparent_uris; i++)
		done = done && add_parameter(words, "parent-uri", options->chain.parent_uris[i]);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (wanted & flags[i].flag)
			add(words, flags[i].word);
	return done;
}

/* Who sits before a terminal would see nothing happen. */
static void print_place(const struct serve *serve)
{
	const char *address = serve->address ? serve->address : DEFAULT_ADDRESS;
	bool is_ipv6 = strchr(address, ':');

	if (serve->socket)
		printf("Serving at nbd+unix:///?socket=%s until Ctrl-C.\n", serve->socket);
	else
		printf("Serving at nbd://%s%s%s:%s until Ctrl-C.\n", is_ipv6 ? "[" : "", address,
		       is_ipv6 ? "]" : "", serve->port ? serve->port : DEFAULT_PORT);
	fflush(stdout);
}

/* Does not return when it goes well: the process, its number and its signals are nbdkit's then. */
static int run_nbdkit(const char *plugin, const struct options *options, const struct serve *serve)
{
	size_t passed_on = (size_t)options->noperands - 1;
	size_t room =
		FIXED_WORDS + options->chain.nparent_dirs + options->chain.nparent_uris + passed_on;
	__attribute__((cleanup(words_free))) struct words words = {
		.list = calloc(room, sizeof(*words.list)),
	};

	if (!words.list)
		return report_error(NULL, "out of memory");
	add(&words, "nbdkit");
	add(&words, "--foreground");
	if (!options->writable)
		add(&words, "--readonly");
	add_listening(&words, serve);
	add(&words, plugin);
	if (!add_parameters(&words, options->operands[0], options))
		return report_error(NULL, "out of memory");
	for (size_t i = 1; i <= passed_on; i++)
		add(&words, options->operands[i]);
	if (!serve->command && isatty(STDOUT_FILENO))
		print_place(serve);
	execvp("nbdkit", words.list);
	if (errno == ENOENT)
		return report_error(
			"nbdkit",
			"is not installed (expected it in PATH; Debian's package nbdkit)");
	return report_errno("nbdkit", "cannot be run", errno);
}

static bool has_separator(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--"))
			return true;
	return false;
}

static int run(int argc, char **argv)
{
	struct serve serve = {0};
	auto_options struct options options;
	char room[PATH_MAX];
	const char *plugin =
		companion_find("../nbdkit/nbdkit-vhdx-plugin.so", PLUGIN_INSTALLED, room);
	bool passes_on = has_separator(argc, argv);

	if (!options_parse(&options, &verb_serve, argc, argv, take_option, &serve))
		return options.status;
	int status = check_options(&serve, &options, passes_on);

	if (!status && !plugin)
		status = report_error(
			NULL,
			"the nbdkit plugin is not installed (expected %s, of the package nbdkit-plugin-vhdx)",
			PLUGIN_INSTALLED);
	if (!status)
		status = try_disk(options.operands[0], &options);
	if (!status)
		status = try_listening(&serve);
	return status ? status : run_nbdkit(plugin, &options, &serve);
}

const struct verb verb_serve = {
	.name = "serve",
	.summary = "Serve a disk over NBD, by nbdkit",
	.operands = "FILE [-- NBDKIT-ARGUMENT...]",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_WRITE | OPTIONS_WRITABLE,
	.min_operands = 1,
	.max_operands = INT_MAX,
	.failed_status = STATUS_FAILED,
	.details =
		"Serves until it gets SIGINT or SIGTERM, with --run until CMD ends, and then closes the disk cleanly.\n"
		"What follows -- goes to nbdkit: TLS (--tls=require), filters, logging. With --run alone, the socket\n"
		"is a private one.",
	.run = run,
};
