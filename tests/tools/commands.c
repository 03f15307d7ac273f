/* SPDX-License-Identifier: MIT */
/* The commands of a script: a function each, and the table that names them. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/session.h"
#include "tools/stamps.h"

#define MAX_LENGTH	  (UINT64_C(1) << 30)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct flag {
	const char *word;
	uint32_t bit;
};

/* Words from @first on, each of which must be one of the @flags. */
static int parse_flags(struct session *session, char **words, int count, int first,
		       const struct flag *flags, size_t nflags, uint32_t *ret_bits)
{
	uint32_t bits = 0;

	for (int i = first; i < count; i++) {
		size_t j = 0;

		while (j < nflags && strcmp(words[i], flags[j].word))
			j++;
		if (j == nflags)
			return refuse(session, "what is '%s'?", words[i]);
		bits |= flags[j].bit;
	}
	*ret_bits = bits;
	return 0;
}

/* OFFSET LENGTH, the first two arguments. */
static int parse_range(struct session *session, char **words, int count, uint64_t *ret_offset,
		       uint64_t *ret_length)
{
	if (count < 3 || !parse_number(words[1], ret_offset) || !parse_number(words[2], ret_length))
		return refuse(session, "OFFSET LENGTH are missing, or no sizes");
	return 0;
}

/* As parse_range, and memory for it. */
static void *parse_transfer(struct session *session, char **words, int count, uint64_t *ret_offset,
			    uint64_t *ret_length)
{
	void *buf;

	if (parse_range(session, words, count, ret_offset, ret_length))
		return NULL;
	if (*ret_length > MAX_LENGTH) {
		refuse(session, "more than 1G at a time");
		return NULL;
	}
	buf = malloc(*ret_length + 1);
	if (!buf)
		refuse(session, "no memory");
	return buf;
}

static int done(struct session *session, int ret)
{
	return ret ? library_failed(session, ret) : 0;
}

static int run_write(struct session *session, char **words, int count)
{
	static const struct flag flags[] = {{"fua", VHDX_FUA}};
	struct pattern pattern;
	uint64_t offset = 0, length = 0;
	uint32_t bits = 0;
	void *buf;
	int ret;

	if (count < 4 || !pattern_parse(words[3], &pattern))
		return refuse(session, "PATTERN is missing, or neither a byte nor seed:NUMBER");
	if (parse_flags(session, words, count, 4, flags, ARRAY_SIZE(flags), &bits))
		return -1;
	buf = parse_transfer(session, words, count, &offset, &length);
	if (!buf)
		return -1;
	pattern_fill(&pattern, offset, buf, length);
	ret = done(session, vhdx_pwrite(session->disk, buf, length, offset, bits));
	free(buf);
	return ret;
}

/* FNV-1a. */
static uint64_t hash(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		value = (value ^ bytes[i]) * 0x100000001b3;
	return value;
}

static int compare(struct session *session, const struct pattern *pattern, uint64_t offset,
		   const void *buf, size_t size)
{
	size_t at = pattern_differs(pattern, offset, buf, size);
	char text[DESCRIPTION_SIZE];

	if (at == size)
		return 0;
	return refuse(session, "at %" PRIu64 ": found %s", offset + at,
		      pattern_describe(offset, buf, size, at, text));
}

static int run_read(struct session *session, char **words, int count)
{
	struct pattern pattern;
	uint64_t offset, length;
	void *buf;
	int ret;

	if (count > 4 || (count == 4 && !pattern_parse(words[3], &pattern)))
		return refuse(session, "PATTERN is neither a byte nor seed:NUMBER");
	buf = parse_transfer(session, words, count, &offset, &length);
	if (!buf)
		return -1;
	ret = done(session, vhdx_pread(session->disk, buf, length, offset));
	if (!ret && count == 4)
		ret = compare(session, &pattern, offset, buf, length);
	else if (!ret)
		printf("%016" PRIx64 "\n", hash(buf, length));
	free(buf);
	return ret;
}

static int run_zero(struct session *session, char **words, int count)
{
	static const struct flag flags[] = {
		{"unmap", VHDX_ZERO_MAY_UNMAP},
		{"fast", VHDX_ZERO_FAST},
		{"fua", VHDX_FUA},
	};
	uint64_t offset = 0, length = 0;
	uint32_t bits = 0;

	if (parse_range(session, words, count, &offset, &length) ||
	    parse_flags(session, words, count, 3, flags, ARRAY_SIZE(flags), &bits))
		return -1;
	return done(session, vhdx_zero(session->disk, offset, length, bits));
}

static int run_trim(struct session *session, char **words, int count)
{
	static const struct flag flags[] = {{"fua", VHDX_FUA}};
	uint64_t offset = 0, length = 0;
	uint32_t bits = 0;

	if (parse_range(session, words, count, &offset, &length) ||
	    parse_flags(session, words, count, 3, flags, ARRAY_SIZE(flags), &bits))
		return -1;
	return done(session, vhdx_trim(session->disk, offset, length, bits));
}

static int run_flush(struct session *session, char **words, int count)
{
	(void)words;
	(void)count;
	return done(session, vhdx_flush(session->disk));
}

static void print_extent(const struct vhdx_extent *extent)
{
	static const char *const names[] = {"data", "zero", "absent", "parent"};

	printf("%" PRIu64 " %" PRIu64 " %s %u", extent->offset, extent->length, names[extent->type],
	       extent->depth);
	if (extent->file_offset != VHDX_NO_OFFSET)
		printf(" %" PRIu64, extent->file_offset);
	putchar('\n');
}

static int run_extents(struct session *session, char **words, int count)
{
	static const struct flag flags[] = {
		{"layer", VHDX_EXTENTS_THIS_LAYER},
		{"holes", VHDX_EXTENTS_FILE_HOLES},
	};
	struct vhdx_extent extents[64];
	uint64_t offset = 0, length = 0, end;
	uint32_t bits = 0;

	if (parse_range(session, words, count, &offset, &length) ||
	    parse_flags(session, words, count, 3, flags, ARRAY_SIZE(flags), &bits))
		return -1;
	for (end = offset + length; offset < end;) {
		size_t found = ARRAY_SIZE(extents);
		int ret = vhdx_extents(session->disk, offset, end - offset, bits, extents, &found);

		if (ret || !found)
			return done(session, ret ? ret : -ENODATA);
		for (size_t i = 0; i < found; i++)
			print_extent(&extents[i]);
		offset = extents[found - 1].offset + extents[found - 1].length;
	}
	return 0;
}

static int run_info(struct session *session, char **words, int count)
{
	static const char *const types[] = {"dynamic", "fixed", "differencing"};
	static const char *const logs[] = {"clean", "empty", "dirty", "corrupt"};
	struct vhdx_info info = {.size = sizeof(info)};
	char guid[VHDX_GUID_TEXT_SIZE];
	int ret = vhdx_get_info(session->disk, &info);

	(void)words;
	(void)count;
	if (ret)
		return library_failed(session, ret);
	printf("type %s\nvirtual-size %" PRIu64 "\nblock-size %" PRIu32 "\nsectors %" PRIu32
	       "/%" PRIu32 "\nfile-size %" PRIu64 "\n",
	       types[info.type], info.virtual_size, info.block_size, info.logical_sector_size,
	       info.physical_sector_size, info.file_size);
	printf("log %s\nlog-entries %" PRIu64 "\nreplayed-entries %" PRIu64 "\n",
	       logs[info.log_state], info.log_entries, info.replayed_entries);
	printf("sequence-number %" PRIu64 "\n", info.sequence_number);
	printf("file-write-guid %s\n", vhdx_guid_text(&info.file_write_guid, guid));
	printf("data-write-guid %s\n", vhdx_guid_text(&info.data_write_guid, guid));
	printf("log-guid %s\n", vhdx_guid_text(&info.log_guid, guid));
	return 0;
}

static int run_counts(struct session *session, char **words, int count)
{
	(void)words;
	(void)count;
	if (!session->counted)
		return refuse(session, "calls are counted with --count");
	print_counts(&session->counts, stdout);
	return 0;
}

static int run_say(struct session *session, char **words, int count)
{
	(void)session;
	for (int i = 1; i < count; i++)
		printf("%s%s", words[i], i < count - 1 ? " " : "");
	putchar('\n');
	return 0;
}

static int run_sleep(struct session *session, char **words, int count)
{
	uint64_t ms;

	if (count != 2 || !parse_number(words[1], &ms))
		return refuse(session, "MILLISECONDS are missing");
	nanosleep(&(struct timespec){.tv_sec = (time_t)(ms / 1000),
				     .tv_nsec = (long)(ms % 1000 * 1000000)},
		  NULL);
	return 0;
}

static int run_kill(struct session *session, char **words, int count)
{
	(void)words;
	(void)count;
	fflush(stdout);
	raise(SIGKILL);
	return refuse(session, "still alive");
}

static int run_close(struct session *session, char **words, int count)
{
	(void)words;
	(void)count;
	return session_close(session);
}

static int run_open(struct session *session, char **words, int count)
{
	(void)words;
	(void)count;
	return session_open(session);
}

static int run_reopen(struct session *session, char **words, int count)
{
	(void)words;
	(void)count;
	return session_close(session) ? -1 : session_open(session);
}

/* fails ERRNO COMMAND...: what follows must fail so, in the library. */
static int run_fails(struct session *session, char **words, int count)
{
	const char *name;

	if (count < 3)
		return refuse(session, "ERRNO COMMAND... are missing");
	session->errnum = 0;
	if (!run_command(session, words + 2, count - 2))
		return refuse(session, "did not fail");
	if (!session->errnum)
		return -1;
	name = strerrorname_np(-session->errnum);
	if (!name || strcmp(name, words[1]))
		return refuse(session, "failed otherwise: %.900s", session->why);
	return 0;
}

static const struct command {
	const char *name;
	int (*run)(struct session *session, char **words, int count);
	bool open; /* about an open disk */
} commands[] = {
	{"write", run_write, true},    {"read", run_read, true},     {"zero", run_zero, true},
	{"trim", run_trim, true},      {"flush", run_flush, true},   {"extents", run_extents, true},
	{"info", run_info, true},      {"random", run_random, true}, {"verify", run_verify, true},
	{"counts", run_counts, false}, {"say", run_say, false},	     {"sleep", run_sleep, false},
	{"kill", run_kill, false},     {"close", run_close, true},   {"open", run_open, false},
	{"reopen", run_reopen, true},  {"fails", run_fails, false},
};

int run_command(struct session *session, char **words, int count)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(words[0], commands[i].name))
			continue;
		if (commands[i].open && !session->disk)
			return refuse(session, "the disk is closed");
		return commands[i].run(session, words, count);
	}
	return refuse(session, "no such command");
}
