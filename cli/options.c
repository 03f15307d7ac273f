/* SPDX-License-Identifier: MIT */
/* Parses command lines by tables, from which `--help` is printed too, so that the two agree. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "habits.h"
#include "interrupt.h"
#include "nearest.h"
#include "numbers.h"
#include "options.h"
#include "report.h"

/* For getopt, of verbs with OPTIONS_NEGATIVE: options with an argument that may be missing. */
#define DIGITS "0::1::2::3::4::5::6::7::8::9::"

/* An hour. */
#define TIMEOUT_MAX 3600

/* More than any verb has, its groups included. */
#define ROWS_MAX 64

/* Above every number that a verb's own options have. */
enum {
	OPTION_PARENT_DIR = OPTION_FIRST + 256,
	OPTION_PARENT_URI,
	OPTION_NO_PARENT,
	OPTION_ANY_PARENT,
	OPTION_IGNORE_ID_MISMATCH,
	OPTION_FORCE_SHARE,
	OPTION_NO_HOLES,
	OPTION_NO_LOCK,
	OPTION_JSON,
	OPTION_CEPH_CONF,
	OPTION_CEPH_ID,
	OPTION_TIMEOUT,
};

static const struct option_row chain_rows[] = {
	{OPTION_PARENT_DIR, "parent-dir", "DIR", "look for parents in DIR too (repeatable)"},
	{OPTION_PARENT_URI, "parent-uri", "URI",
	 "the parent is there; again: its parent, and so on"},
	{OPTION_NO_PARENT, "no-parent", NULL, "open this file alone, without its parents"},
	{OPTION_ANY_PARENT, "any-parent", NULL, "open parents wherever the image says they are"},
	{OPTION_IGNORE_ID_MISMATCH, "ignore-id-mismatch", NULL,
	 "take a parent that is not the one the image names"},
	{OPTION_FORCE_SHARE, "force-share", NULL,
	 "take no lock: read beside a writer, at your own risk"},
	{0, NULL, NULL, NULL},
};

static const struct option_row write_rows[] = {
	{OPTION_NO_HOLES, "no-holes", NULL, "never make the file sparse: for Windows hosts"},
	{OPTION_NO_LOCK, "no-lock", NULL, "go on where the file system has no locks"},
	{0, NULL, NULL, NULL},
};

static const struct option_row writable_rows[] = {
	{'w', "writable", NULL, "let the disk be written (default: read-only)"},
	{0, NULL, NULL, NULL},
};

static const struct option_row progress_rows[] = {
	{'p', "progress", "[=json]", "show progress, as a bar or one JSON object a line"},
	{'q', "quiet", NULL, "show no progress, and print only errors and warnings"},
	{0, NULL, NULL, NULL},
};

static const struct option_row json_rows[] = {
	{OPTION_JSON, "json", NULL, "print JSON"},
	{0, NULL, NULL, NULL},
};

static const struct option_row ceph_rows[] = {
	{OPTION_CEPH_CONF, "ceph-conf", "FILE",
	 "Ceph's configuration (default: CEPH_CONF, else Ceph's)"},
	{OPTION_CEPH_ID, "ceph-id", "ID", "who to be there: client.ID (default: admin)"},
	{OPTION_TIMEOUT, "timeout", "SECONDS",
	 "how long a server or cluster may be silent (default 60)"},
	{0, NULL, NULL, NULL},
};

static const struct option_row help_rows[] = {
	{'h', "help", NULL, "show this help"},
	{0, NULL, NULL, NULL},
};

/* A verb's rows, its own first, in the forms that are needed: for help and for getopt. */
struct parser {
	const struct verb *verb;
	const struct option_row *rows[ROWS_MAX];
	size_t nrows;
	struct option longs[ROWS_MAX + 1];
	char shorts[ROWS_MAX * 3 + sizeof(DIGITS)];
};

static int argument_kind(const struct option_row *row)
{
	if (!row->argument)
		return no_argument;
	return row->argument[0] == '[' ? optional_argument : required_argument;
}

static void add_rows(struct parser *parser, const struct option_row *rows)
{
	for (; rows && rows->id && parser->nrows < ROWS_MAX; rows++)
		parser->rows[parser->nrows++] = rows;
}

/* getopt tells a missing argument from an unknown option when the letters begin with a colon. */
static void prepare(struct parser *parser, const struct verb *verb)
{
	struct option *at = parser->longs;
	char *letter = parser->shorts;

	*parser = (struct parser){.verb = verb};
	add_rows(parser, verb->options);
	add_rows(parser, verb->groups & OPTIONS_WRITABLE ? writable_rows : NULL);
	add_rows(parser, verb->groups & OPTIONS_CHAIN ? chain_rows : NULL);
	add_rows(parser, verb->groups & OPTIONS_WRITE ? write_rows : NULL);
	add_rows(parser, verb->groups & OPTIONS_CEPH ? ceph_rows : NULL);
	add_rows(parser, verb->groups & OPTIONS_JSON ? json_rows : NULL);
	add_rows(parser, verb->groups & OPTIONS_PROGRESS ? progress_rows : NULL);
	add_rows(parser, help_rows);
	*letter++ = ':';
	for (size_t i = 0; i < parser->nrows; i++) {
		const struct option_row *row = parser->rows[i];
		int kind = argument_kind(row);

		if (row->name)
			*at++ = (struct option){row->name, kind, NULL, row->id};
		if (row->id < OPTION_FIRST)
			*letter++ = (char)row->id;
		if (row->id < OPTION_FIRST && kind == required_argument)
			*letter++ = ':';
	}
	if (verb->groups & OPTIONS_NEGATIVE)
		memcpy(letter, DIGITS, sizeof(DIGITS));
}

static void print_row(const struct option_row *row)
{
	char text[80] = "    ";
	const char *name = row->name ? row->name : "";
	const char *dashes = row->name ? "--" : "";
	const char *argument = row->argument ? row->argument : "";
	const char *gap = row->argument && row->argument[0] != '[' ? " " : "";

	if (row->id < OPTION_FIRST)
		snprintf(text, sizeof(text), "-%c%s", row->id, row->name ? ", " : "");
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s%s%s", dashes, name, gap,
		 argument);
	printf("  %-32s %s\n", text, row->help);
}

static void print_help(const struct parser *parser)
{
	const struct verb *verb = parser->verb;

	printf("Usage: vhdx %s [OPTION]... %s\n%s.\n\n", verb->name, verb->operands, verb->summary);
	for (size_t i = 0; i < parser->nrows; i++)
		print_row(parser->rows[i]);
	if (verb->details)
		printf("\n%s\n", verb->details);
}

/* Adds a word to a list that ends with NULL. */
static bool add_word(const char ***list, size_t *count, const char *word)
{
	const char **grown = realloc(*list, (*count + 2) * sizeof(*grown));

	if (!grown) {
		report_error(NULL, "out of memory");
		return false;
	}
	grown[(*count)++] = word;
	grown[*count] = NULL;
	*list = grown;
	return true;
}

static bool take_progress(struct options *options, const char *value)
{
	if (value && strcmp(value, "json")) {
		report_error(NULL, "--progress takes 'json' or nothing, not '%s'", value);
		return false;
	}
	options->progress = value ? PROGRESS_JSON : PROGRESS_BAR;
	return true;
}

/* As take_shared. */
static bool take_ceph(struct remote_options *remote, int id, const char *value, bool *ret_failed)
{
	switch (id) {
	case OPTION_CEPH_CONF:
		remote->ceph_conf = value;
		return true;
	case OPTION_CEPH_ID:
		remote->ceph_id = value;
		return true;
	case OPTION_TIMEOUT:
		*ret_failed = !parse_number("timeout in seconds", value, 1, TIMEOUT_MAX,
					    &remote->timeout_s);
		return true;
	default:
		return false;
	}
}

/* Takes an option of a shared group; false, with @ret_failed unset, when @id is the verb's own. */
static bool take_shared(struct options *options, const struct verb *verb, int id, const char *value,
			bool *ret_failed)
{
	struct chain_options *chain = &options->chain;

	*ret_failed = false;
	switch (id) {
	case OPTION_PARENT_DIR:
		*ret_failed = !add_word(&chain->parent_dirs, &chain->nparent_dirs, value);
		return true;
	case OPTION_PARENT_URI:
		*ret_failed = !add_word(&chain->parent_uris, &chain->nparent_uris, value);
		return true;
	case OPTION_NO_PARENT:
		chain->flags |= VHDX_OPEN_NO_PARENT;
		return true;
	case OPTION_ANY_PARENT:
		chain->flags |= VHDX_OPEN_ANY_PARENT;
		return true;
	case OPTION_IGNORE_ID_MISMATCH:
		chain->flags |= VHDX_OPEN_IGNORE_ID_MISMATCH;
		return true;
	case OPTION_FORCE_SHARE:
		chain->flags |= VHDX_OPEN_FORCE_SHARE;
		return true;
	case OPTION_NO_HOLES:
		chain->write_flags |= VHDX_OPEN_NO_HOLES;
		return true;
	case OPTION_NO_LOCK:
		chain->write_flags |= VHDX_OPEN_NO_LOCK;
		return true;
	case 'w':
		if (!(verb->groups & OPTIONS_WRITABLE))
			return false;
		options->writable = true;
		return true;
	case OPTION_JSON:
		options->json = true;
		return true;
	case 'p':
		if (!(verb->groups & OPTIONS_PROGRESS))
			return false;
		*ret_failed = !take_progress(options, value);
		return true;
	case 'q':
		options->quiet = true;
		return true;
	default:
		return take_ceph(&options->chain.remote, id, value, ret_failed);
	}
}

static const char *find_nearest(const struct parser *parser, const char *name)
{
	struct nearest nearest = nearest_begin(name);

	for (size_t i = 0; i < parser->nrows; i++)
		if (parser->rows[i]->name)
			nearest_offer(&nearest, parser->rows[i]->name);
	return nearest.name;
}

static void report_unknown_long(const struct parser *parser, const char *word)
{
	auto_free char *option = strndup(word, strcspn(word, "="));
	const char *verb = parser->verb->name;
	const char *habit = option ? habit_find(verb, option) : NULL;
	const char *nearest = option ? find_nearest(parser, option + 2) : NULL;

	if (habit)
		report_error(NULL, "unknown option '%s' (did you mean '%s'?)", word, habit);
	else if (nearest)
		report_error(NULL, "unknown option '%s' (did you mean '--%s'?)", word, nearest);
	else
		report_error(NULL, "unknown option '%s' (see 'vhdx %s --help')", word, verb);
}

/*
 * What has a dot or a slash in it was meant as the name of a file. getopt stands on the word while letters of it
 * are left, which are then the name's.
 */
static void report_unknown_short(const struct parser *parser, int letter, const char *word)
{
	const char option[] = {'-', (char)letter, 0};
	const char *habit = habit_find(parser->verb->name, option);

	if (habit)
		report_error(NULL, "unknown option '%s' (did you mean '%s'?)", option, habit);
	else if (word && word[0] == '-' && word[1] == letter && strpbrk(word, "./"))
		report_error(NULL, "unknown option '-%c' (the file '%s' is written ./%s)", letter,
			     word, word);
	else
		report_error(NULL, "unknown option '-%c' (see 'vhdx %s --help')", letter,
			     parser->verb->name);
}

static bool is_known(const struct parser *parser, int id)
{
	for (size_t i = 0; i < parser->nrows; i++)
		if (parser->rows[i]->id == id)
			return true;
	return false;
}

/*
 * getopt found what it does not know, or no argument where one belongs. Of a known option it has an argument too
 * many; of a long one that is unknown, no letter.
 */
static void report_usage(const struct parser *parser, int id, char **argv)
{
	const char *word = argv[optind - 1];
	const char *verb = parser->verb->name;

	if (id == ':')
		report_error(NULL, "option '%s' needs an argument (see 'vhdx %s --help')", word,
			     verb);
	else if (!optopt)
		report_unknown_long(parser, word);
	else if (is_known(parser, optopt))
		report_error(NULL, "option '%s' takes no argument (see 'vhdx %s --help')", word,
			     verb);
	else
		report_unknown_short(parser, optopt, argv[optind]);
}

/*
 * The word that begins with a minus and a digit, of which getopt made an option: an operand. NULL when it is
 * not the first of its kind, or has letters before the digit.
 */
static char *negative_operand(int id, char **argv, char *before)
{
	char *word = optarg ? optarg - 2 : argv[optind - 1];

	return before || word[0] != '-' || word[1] != id ? NULL : word;
}

/* It stood among the options, so there is room for it behind what is left. */
static void append_operand(int argc, char **argv, char *word)
{
	optind--;
	memmove(&argv[optind], &argv[optind + 1], (size_t)(argc - 1 - optind) * sizeof(*argv));
	argv[argc - 1] = word;
}

/* Keeps what is no option, and counts it. */
static bool take_operands(struct options *options, const struct verb *verb, int argc, char **argv)
{
	options->operands = argv + optind;
	options->noperands = argc - optind;
	if (options->noperands >= verb->min_operands && options->noperands <= verb->max_operands)
		return true;
	if (options->noperands > verb->max_operands)
		report_error(NULL, "'%s' is one operand too many (usage: vhdx %s [OPTION]... %s)",
			     options->operands[verb->max_operands], verb->name, verb->operands);
	else
		report_error(NULL, "an operand is missing (usage: vhdx %s [OPTION]... %s)",
			     verb->name, verb->operands);
	return false;
}

/* Of verbs that write a file; some only when they are told to. */
static bool check_writable(const struct options *options, bool always)
{
	const struct chain_options *chain = &options->chain;

	if (always && chain->flags & VHDX_OPEN_FORCE_SHARE)
		report_error(NULL, "--force-share is for reading");
	else if (always)
		return true;
	else if (options->writable && chain->flags & VHDX_OPEN_FORCE_SHARE)
		report_error(NULL, "--force-share is for reading (leave out -w)");
	else if (!options->writable && chain->write_flags)
		report_error(NULL, "--no-holes and --no-lock are for writing (add -w)");
	else
		return true;
	return false;
}

bool options_parse(struct options *options, const struct verb *verb, int argc, char **argv,
		   option_fn *take, void *opaque)
{
	struct parser parser;
	char *negative = NULL;
	int id;

	*options = (struct options){
		.status = verb->failed_status,
		.chain.remote.stopped = interrupt_signal,
	};
	prepare(&parser, verb);
	opterr = 0;
	while ((id = getopt_long(argc, argv, parser.shorts, parser.longs, NULL)) != -1) {
		bool failed;

		if (id == 'h') {
			print_help(&parser);
			options->status = STATUS_DONE;
			return false;
		}
		if (id >= '0' && id <= '9') {
			negative = negative_operand(id, argv, negative);
			if (negative)
				continue;
			optopt = id;
			id = '?';
		}
		if (id == '?' || id == ':') {
			report_usage(&parser, id, argv);
			return false;
		}
		if (!take_shared(options, verb, id, optarg, &failed))
			failed = !take(opaque, id, optarg);
		if (failed)
			return false;
	}
	if (negative)
		append_operand(argc, argv, negative);
	return take_operands(options, verb, argc, argv) &&
	       (!(verb->groups & OPTIONS_WRITE) ||
		check_writable(options, !(verb->groups & OPTIONS_WRITABLE)));
}

void options_free(struct options *options)
{
	free(options->chain.parent_dirs);
	free(options->chain.parent_uris);
}

/* Whoever unmounted a disk a moment ago need not know that its program is still closing it. */
#define LOCK_WAIT_MS 1000u

struct vhdx_open_options chain_open_options(const struct chain_options *chain, uint32_t flags)
{
	return (struct vhdx_open_options){
		.size = sizeof(struct vhdx_open_options),
		.flags = chain->flags | flags | (flags & VHDX_OPEN_WRITE ? chain->write_flags : 0),
		.parent_dirs = chain->parent_dirs,
		.warning = report_warning,
		.lock_wait_ms = LOCK_WAIT_MS,
	};
}
