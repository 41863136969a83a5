/* What each thread holds is one bit a rank; the order is kept when the new one is the highest. */
#include "common/lock.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/banned.h"

static _Thread_local uint32_t held;

void cdn_lock_init(struct cdn_lock *lock, unsigned rank)
{
    pthread_mutex_init(&lock->mutex, NULL);
    lock->rank = rank;
}

void cdn_lock_destroy(struct cdn_lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

void cdn_lock_note_taken(const struct cdn_lock *lock)
{
    if (held >> lock->rank) {
        fprintf(stderr, "pocketcdn: a lock of rank %u is taken while ranks 0x%x are held\n", lock->rank,
                (unsigned)held);
        abort();
    }
    held |= UINT32_C(1) << lock->rank;
}

void cdn_lock_note_dropped(const struct cdn_lock *lock)
{
    held &= ~(UINT32_C(1) << lock->rank);
}
