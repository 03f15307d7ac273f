/* SPDX-License-Identifier: MIT */
/* Flushes of one file by several threads at once, each of which learns of what failed before it. */
#ifndef VHDX_STORE_SYNCERS_H
#define VHDX_STORE_SYNCERS_H

#include <pthread.h>
#include <stdbool.h>

/* Flushes that may run at once. */
#define SYNCERS 17u

/*
 * The kernel tells a failed write-back once to each open file description. So flushes that run at once
 * have descriptions of their own: else one of them would take the error that the other must see.
 */
struct syncers {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int fd;		  /* whose file it is; the others are ours */
	int fds[SYNCERS]; /* the busy ones, then the idle ones, then those that are not used yet */
	unsigned count;	  /* in use */
	unsigned opened;
	unsigned busy;
	bool met;   /* a flush found all busy */
	bool tried; /* to open the others, which only flushes that meet need */
	int failed; /* of the first flush that did: what is durable is not known any more */
};

void vhdx_syncers_init(struct syncers *ret_syncers, int fd);

/* Closes all descriptions but that of the beginning. */
void vhdx_syncers_destroy(struct syncers *syncers);

/* fdatasync. After one has failed, all do. */
int vhdx_syncers_flush(struct syncers *syncers);

#endif
