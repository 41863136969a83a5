/* analyzer: what clang's static analyzer is told of functions whose bodies it does not see, as it looks at
 * one file at a time. Included before all else when it runs (analysis.py), and by no compiler. */
#ifndef CDN_TESTS_ANALYZER_H
#define CDN_TESTS_ANALYZER_H
#include "common/status.h" // IWYU pragma: keep

/* It returns the status that it is given. */
#define cdn_error_set(err, status, ...) ((cdn_error_set)((err), (status), __VA_ARGS__), (status))

#endif
