/* process: the state that a process inherits, set to what all programs here expect. The soft limit of
 * descriptors is often 1024, far below what a busy listener holds; a peer that closes early must be an
 * error of write(2) and not the end of the process, as must a file that reached its limit; and files must
 * not become writable by others because of a loose umask in the shell. */
#include "common/process.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/banned.h"

void cdn_process_init(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    umask(022);
}
