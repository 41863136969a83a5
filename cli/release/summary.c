/* summary: one wording for publish and rollback, and for tables. Local time for people, UTC for programs. */
#include "cli/release/summary.h"

#include "cli/base/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/banned.h"

void summary_size(uint64_t bytes, char ret[static SUMMARY_TEXT_SIZE])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit < 4; unit++) {
        value /= 1000;
    }
    (void)snprintf(ret, SUMMARY_TEXT_SIZE, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void summary_time(int64_t ms, char ret[static SUMMARY_TEXT_SIZE])
{
    struct tm parts;
    const time_t s = (time_t)(ms / 1000);
    ret[0] = '\0';
    if (localtime_r(&s, &parts)) {
        (void)!strftime(ret, SUMMARY_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &parts);
    }
}

void summary_time_json(int64_t ms, char ret[static SUMMARY_TEXT_SIZE])
{
    struct tm parts;
    const time_t s = (time_t)(ms / 1000);
    ret[0] = '\0';
    if (gmtime_r(&s, &parts)) {
        (void)!strftime(ret, SUMMARY_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
}

static void count(void *arg, enum release_change change, const struct release_file *from,
                  const struct release_file *to)
{
    (void)from, (void)to;
    ((struct summary_counts *)arg)->changes[change]++;
}

void summary_count(const struct release_files *from, const struct release_files *to,
                   struct summary_counts *ret)
{
    *ret = (struct summary_counts){0};
    release_diff(from, to, count, ret);
}

void summary_print(const struct release_info *info, const struct release_files *before,
                   const struct release_files *files)
{
    struct summary_counts counts;
    char size[SUMMARY_TEXT_SIZE];
    summary_count(before, files, &counts);
    summary_size(info->new_bytes, size);
    cli_print("release %" PRIu64 ": %" PRIu64
              " file%s; %zu added, %zu changed, %zu removed; %s new in the store\n",
              info->number, info->files, info->files == 1 ? "" : "s", counts.changes[RELEASE_ADDED],
              counts.changes[RELEASE_CHANGED], counts.changes[RELEASE_REMOVED], size);
}
