/* process: what a main does first, whatever the program is. */
#ifndef CDN_COMMON_PROCESS_H
#define CDN_COMMON_PROCESS_H

/* Raises RLIMIT_NOFILE to its hard limit, ignores SIGPIPE, sets the umask. First thing in every main. */
void cdn_process_init(void);

#endif
