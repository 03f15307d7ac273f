/* SPDX-License-Identifier: MIT */
/* A verb of the command: its name, its options as parsed and as `--help` shows them, and its function. */
#ifndef CLI_VERB_H
#define CLI_VERB_H

/* Groups of options that several verbs share. */
#define OPTIONS_CHAIN	 0x1u  /* how a disk and its parents are opened */
#define OPTIONS_PROGRESS 0x2u  /* -p, -q */
#define OPTIONS_JSON	 0x4u  /* --json */
#define OPTIONS_WRITE	 0x8u  /* how a file is written that is there */
#define OPTIONS_WRITABLE 0x10u /* -w: without it, the file is only read */
#define OPTIONS_CEPH	 0x40u /* which Ceph cluster, and how long to wait for that, or for a server */
#define OPTIONS_NEGATIVE 0x20u /* none: -1G is the last operand, not an option */

/* An option's letter, or a number from here on when it has none. */
#define OPTION_FIRST 256

struct option_row {
	int id;		      /* letter or number; 0 ends a table */
	const char *name;     /* long name; NULL: there is only the letter */
	const char *argument; /* NULL: it takes none; "[=...]": it may take one */
	const char *help;
};

struct verb {
	const char *name;
	const char *summary;
	const char *operands;		  /* as the synopsis shows them */
	const struct option_row *options; /* its own; may be NULL */
	unsigned groups;		  /* OPTIONS_* */
	int min_operands;
	int max_operands;
	int failed_status;   /* what failures and wrong usage exit with */
	const char *details; /* shown below the options; may be NULL */
	int (*run)(int argc, char **argv);
};

extern const struct verb verb_check;
extern const struct verb verb_commit;
extern const struct verb verb_compact;
extern const struct verb verb_compare;
extern const struct verb verb_convert;
extern const struct verb verb_create;
extern const struct verb verb_diff;
extern const struct verb verb_dump;
extern const struct verb verb_info;
extern const struct verb verb_map;
extern const struct verb verb_mount;
extern const struct verb verb_rebase;
extern const struct verb verb_repair;
extern const struct verb verb_replay;
extern const struct verb verb_resize;
extern const struct verb verb_salvage;
extern const struct verb verb_serve;

#endif
