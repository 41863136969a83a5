/* trust: how programs are told to believe the authority of a CDN with HTTPS (docs/tls.md). */
#ifndef CDN_CLI_TRUST_H
#define CDN_CLI_TRUST_H
#include <stdbool.h>

/* A few lines that can be pasted. `bundle`: the system's authorities and ours. */
void trust_print(const char *authority, const char *bundle, bool is_new);

/* For a program that this process will become: the variables in which the usual libraries look for a file of
 * authorities, set to `bundle`. */
void trust_environment(const char *bundle);

#endif
