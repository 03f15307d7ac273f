/* SPDX-License-Identifier: MIT */
/* Opens damaged chains, and judges errors and everything that can be done with a disk that is only read. */
#include <errno.h>
#include <string.h>

#include "fuzz/session.h"
#include "support/exercise.h"

void session_init(struct session *session, struct fuzz_case *fuzz_case)
{
	memset(session, 0, sizeof(*session));
	session->fuzz_case = fuzz_case;
	for (unsigned i = 0; i < fuzz_case->depth; i++)
		session->stores[i].bytes = &fuzz_case->files[i];
}

/* Sound children name "layer<number>.vhdx"; what else a path says means some layer too. */
static unsigned choose_layer(const struct session *session, const char *path)
{
	unsigned hash = 0;

	for (const char *at = path; *at; at++)
		hash = hash * 31 + (unsigned char)*at;
	for (unsigned i = 0; i < session->fuzz_case->depth; i++)
		if (strstr(path, session->fuzz_case->base->chain.layers[i].name))
			return i;
	return session->hostile_parents ? hash % session->fuzz_case->depth : MAX_LAYERS;
}

static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	struct session *session = opaque;
	unsigned layer = choose_layer(session, path);

	(void)child;
	(void)key;
	if (layer == MAX_LAYERS || (!layer && !session->hostile_parents))
		return -ENOENT;
	session->opened++;
	*ret_io = fuzz_store_io(&session->stores[layer]);
	return 0;
}

static void judge(const struct exercise *exercise)
{
	if (exercise->fault)
		fuzz_fail("%s: %s", exercise->fault, exercise->text);
}

void judge_error(int ret)
{
	struct exercise exercise = {0};

	exercise_note(&exercise, ret);
	judge(&exercise);
}

int session_open(struct session *session, uint32_t flags, struct vhdx **ret_disk)
{
	struct vhdx_open_options options = {.size = sizeof(options),
					    .flags = flags,
					    .open_parent = open_parent,
					    .opaque = session};

	for (unsigned i = 0; i < session->fuzz_case->depth; i++)
		session->stores[i].writable = !i && flags & VHDX_OPEN_WRITE;
	struct vhdx_io io = fuzz_store_io(&session->stores[0]);
	int ret = vhdx_open_io(&io, &options, ret_disk);

	judge_error(ret);
	return ret;
}

void exercise_and_close(struct vhdx *disk)
{
	struct exercise exercise = {0};

	exercise_disk(disk, &exercise);
	judge(&exercise);
	judge_error(vhdx_close(disk));
}
