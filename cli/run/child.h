/* child: one program started by `up`: its own process group, its output in a log file, ended with its parent.
 */
#ifndef CDN_CLI_CHILD_H
#define CDN_CLI_CHILD_H
#include "common/status.h"
#include "common/str.h"

#include <sys/types.h>

/* The path of a program that stands beside this one; owned by the caller. CDN_IO when it is not there. */
enum cdn_status child_program(const char *name, char **ret_path, struct cdn_error *err) CDN_MUST_CHECK;

/* Starts argv[0] (a path) with stdout and stderr appended to `log_path`. A log over CHILD_LOG_MAX bytes is
 * moved to `log_path`.1 first. The child gets SIGTERM when the calling thread ends. */
enum cdn_status child_start(char *const argv[], const char *log_path, pid_t *ret_pid,
                            struct cdn_error *err) CDN_MUST_CHECK;
#define CHILD_LOG_MAX (10 << 20)

/* "exit code 3" or "signal 9 (Killed)" from a wait status. */
void child_describe_end(int wait_status, char out[static 64]);

/* The last `lines` lines of a file, each after `indent`; at most 4 KiB. Nothing when it cannot be read. */
void child_log_tail(const char *path, unsigned lines, const char *indent, struct cdn_buf *out);

#endif
