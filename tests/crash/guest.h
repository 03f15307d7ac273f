/* SPDX-License-Identifier: MIT */
/* A guest: its disk on a recorded store, what it does to it, and the model of what it may expect. */
#ifndef TESTS_CRASH_GUEST_H
#define TESTS_CRASH_GUEST_H

#include "crash/look.h"

#define GUEST_KIB ((uint64_t)1 << 10)
#define GUEST_MIB ((uint64_t)1 << 20)
#define GUEST_TIB ((uint64_t)1 << 40)

struct setup {
	enum vhdx_type type;
	uint64_t virtual_size;	/* 0: 8 MiB */
	uint64_t largest_size;	/* that the disk will have; 0: that one */
	uint32_t block_size;	/* 0: 1 MiB */
	uint32_t sector_size;	/* 0: 512 */
	uint64_t parent_filled; /* of a child: its parent's first bytes are not zeros */
	uint64_t leftover; /* bytes of nobody's contents in the file, before guest_pinned's block */
	uint32_t flags;	   /* VHDX_OPEN_* */
	bool spots;	   /* blocks are not watched whole */
};

struct guest;

/* Does something around a call to the storage. */
typedef void guest_act(struct guest *guest);

/* What happens around a call of the storage. */
struct event {
	enum store_kind kind;
	enum store_when when;
	uint64_t from; /* only calls whose offset is in this range; both 0: any */
	uint64_t to;
	unsigned skip;	/* so many calls pass first */
	unsigned times; /* then it happens so often */
	int error;	/* the call fails with it; 0: */
	guest_act *act; /* another thread does this, and the call waits for its end ... */
	bool leave;	/* ... or goes on when that has had time to begin */
};

#define GUEST_EVENTS 8
#define GUEST_SIDES  16

struct guest {
	uint64_t seed;
	struct setup setup;
	struct store store;
	struct store parent;
	struct model model;
	struct vhdx *disk;     /* NULL while closed */
	struct vhdx_info info; /* at the last open */
	uint64_t size_at_open;
	unsigned long writes_at_open;
	uint64_t opened; /* when, by the store's clock */
	bool tolerant;	 /* errors are expected */
	pthread_mutex_t lock;
	struct event events[GUEST_EVENTS];
	unsigned event_count;
	pthread_t sides[GUEST_SIDES]; /* threads that were left */
	unsigned side_count;
	char *fault; /* the first thing that went wrong */
};

/* With leftover space, this block is present behind it and holds zeros. */
#define guest_pinned(guest) (guest_blocks(guest) - 2)

/* Makes the image, in @guest that is all zero but its seed. */
void guest_create(struct guest *guest, const struct setup *setup);
void guest_free(struct guest *guest);

/* Records what went wrong, if nothing did before; takes @fault over, which may be NULL. */
void guest_fail(struct guest *guest, char *fault);

/* Changes bytes of the image while it is closed; they are durable. */
void guest_patch(struct guest *guest, const void *bytes, size_t size, uint64_t offset);

/* Patches the BAT entry of a block in the first chunk. */
void guest_patch_entry(struct guest *guest, uint64_t block, uint64_t entry);

/* Where in the file a block of the first chunk is. */
uint64_t guest_place(struct guest *guest, uint64_t block);

/* The entry of a block becomes zero, as if another program had dropped it; what it held is the parent's again. */
void guest_forget_block(struct guest *guest, uint64_t block);

/* A patch made these bytes of the disk zeros. */
void guest_hidden(struct guest *guest, uint64_t offset, uint64_t length);

/* Opens for writing, and begins a session. */
void guest_open(struct guest *guest);

/* What is known of the disk must read so. Then closes; that is a flush when it succeeds. */
int guest_close(struct guest *guest);

/* The machine stops, and what is left is state @number of the last interval; the disk is closed. */
void guest_crash(struct guest *guest, uint64_t number);

/* Each returns what the library returned; an error is a fault, unless the guest is tolerant. */
int guest_write(struct guest *guest, uint64_t offset, uint64_t length);
int guest_write_fua(struct guest *guest, uint64_t offset, uint64_t length);
int guest_zero(struct guest *guest, uint64_t offset, uint64_t length, uint32_t flags);
int guest_trim(struct guest *guest, uint64_t offset, uint64_t length);
int guest_flush(struct guest *guest);

/* To a size that the setup has room for. @flags: VHDX_RESIZE_*. A failure leaves it open which size the disk has. */
int guest_resize(struct guest *guest, uint64_t size, uint32_t flags);

/* Makes the file smaller; the disk reads as before. */
int guest_compact(struct guest *guest);

/* As that, and nothing uses a range any more. */
int guest_compact_unused(struct guest *guest, uint64_t offset, uint64_t length);

/* Reads what is known of the disk, and compares. */
void guest_verify(struct guest *guest);

/* Asks for something to happen. */
void guest_when(struct guest *guest, struct event event);

/* Nothing happens any more. */
void guest_quiet(struct guest *guest);

/* Another thread does this until guest_join. */
void guest_start(struct guest *guest, guest_act *act);

/* Waits for the threads that were left. */
void guest_join(struct guest *guest);

/* Where block @block of a disk with 1 MiB blocks begins, and other places in the image. */
uint64_t guest_block(const struct guest *guest, uint64_t block);
uint64_t guest_blocks(const struct guest *guest);
struct event guest_at_log(const struct guest *guest, enum store_when when, unsigned skip);
struct event guest_at_bat(const struct guest *guest, enum store_when when, unsigned skip);
struct event guest_at_flush(enum store_when when, unsigned skip);

#endif
