/* backing: what a huge page costs cannot be asked, so it is measured in processor time (a busy
 * machine does not count) at each that is taken, and the next mappings go without after a dear
 * one. */
#include "edge/memory/backing.h"

#include "common/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/banned.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older kernels refuse it, which does no harm */
#endif

#define DEAR_NS INT64_C(1500000) /* of processor time, for a huge page; 0.2 to 0.8 ms are usual */
#define PLAIN_MAPPINGS 16

static bool system_has_huge;
static atomic_int plain_left; /* mappings that are made without */

static void ask_system(void)
{
    char text[64] = "";
    int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
    system_has_huge = fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && !strstr(text, "[never]");
    if (fd >= 0) {
        close(fd);
    }
}

static bool wants_huge(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ask_system);
    return system_has_huge && atomic_fetch_sub_explicit(&plain_left, 1, memory_order_relaxed) <= 0;
}

bool edge_backing_fill(void *data, size_t n)
{
    const bool timed = n >= EDGE_BACKING_HUGE;
    const int64_t before = timed ? cdn_clock_thread_cpu_ns() : 0;
    const bool done = madvise(data, n, MADV_POPULATE_WRITE) == 0;
    if (timed && cdn_clock_thread_cpu_ns() - before > DEAR_NS) {
        atomic_store_explicit(&plain_left, PLAIN_MAPPINGS, memory_order_relaxed);
    }
    return done;
}

/* Twice as much address space is reserved, so that an aligned stretch lies in it. */
static char *map_aligned(size_t n)
{
    char *wide = mmap(NULL, 2 * n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (wide == MAP_FAILED) {
        return NULL;
    }
    const size_t skip = (size_t)(-(uintptr_t)wide & (uintptr_t)(n - 1));
    if (skip) {
        munmap(wide, skip);
    }
    munmap(wide + skip + n, n - skip);
    return wide + skip;
}

void *edge_backing_map(size_t n, bool lean, struct edge_backing *ret)
{
    char *data = map_aligned(n);
    const size_t from = lean ? EDGE_BACKING_HUGE : 0;
    *ret = (struct edge_backing){.huge = false};
    if (data && wants_huge() && madvise(data + from, n - from, MADV_HUGEPAGE) == 0) {
        ret->ready = !lean && edge_backing_fill(data, EDGE_BACKING_HUGE) ? EDGE_BACKING_HUGE : 0;
        ret->huge = atomic_load_explicit(&plain_left, memory_order_relaxed) < PLAIN_MAPPINGS;
        if (!ret->huge) { /* it was dear */
            edge_backing_make_plain(data, n);
        }
    }
    return data;
}

void edge_backing_make_plain(void *data, size_t n)
{
    madvise(data, n, MADV_NOHUGEPAGE);
}

void edge_backing_drop(void *data, size_t n)
{
    madvise(data, n, MADV_DONTNEED);
}
