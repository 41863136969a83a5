/* lock: a mutex that knows its place in an order.
 *
 * A thread may take a lock only while it holds none of the same or a higher rank, so no two threads can
 * wait for each other. In debug builds whoever breaks the order ends the process at once, not only in the
 * rare case in which two threads meet; a release build has the bare mutex. Who uses locks has the table of
 * its ranks.
 */
#ifndef CDN_COMMON_LOCK_H
#define CDN_COMMON_LOCK_H
#include <pthread.h>
#include <time.h>

#define CDN_LOCK_RANKS 32u

struct cdn_lock {
    pthread_mutex_t mutex;
    unsigned rank; /* below CDN_LOCK_RANKS */
};
#define CDN_LOCK_INIT(its_rank)                                \
    {                                                          \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (its_rank) \
    }

void cdn_lock_init(struct cdn_lock *lock, unsigned rank);
void cdn_lock_destroy(struct cdn_lock *lock);
/* Debug builds: notes that the calling thread takes or gives back a rank. */
void cdn_lock_note_taken(const struct cdn_lock *lock);
void cdn_lock_note_dropped(const struct cdn_lock *lock);

static inline void cdn_lock_take(struct cdn_lock *lock)
{
#ifndef NDEBUG
    cdn_lock_note_taken(lock); /* before it may wait for ever */
#endif
    pthread_mutex_lock(&lock->mutex);
}

static inline void cdn_lock_drop(struct cdn_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
#ifndef NDEBUG
    cdn_lock_note_dropped(lock);
#endif
}

/* The lock is held again afterwards; a thread that sleeps takes no other. */
static inline void cdn_lock_wait(struct cdn_lock *lock, pthread_cond_t *condition)
{
    pthread_cond_wait(condition, &lock->mutex);
}

/* As pthread_cond_timedwait: 0 or ETIMEDOUT. */
static inline int cdn_lock_wait_until(struct cdn_lock *lock, pthread_cond_t *condition,
                                      const struct timespec *until)
{
    return pthread_cond_timedwait(condition, &lock->mutex, until);
}

#endif
