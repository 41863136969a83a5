/* mark_point: check writes down the place of every assertion that holds, so that it can say after which
 * one a test crashed: a system call each time, half of the time of tests that assert in loops. Here only
 * the first ones of a process are written down. Linked into every unit test, by the linker's --wrap. A
 * failed assertion says its own place. */
#include "common/banned.h"

enum { WRITTEN_DOWN = 1000 };

void __real__mark_point(const char *file,
                        int line); // NOLINT(bugprone-reserved-identifier): the linker's name
void __wrap__mark_point(const char *file,
                        int line); // NOLINT(bugprone-reserved-identifier): the linker's name

void __wrap__mark_point(const char *file, int line) // NOLINT(bugprone-reserved-identifier): the linker's name
{
    static unsigned count;
    if (count < WRITTEN_DOWN) {
        count++;
        __real__mark_point(file, line);
    }
}
