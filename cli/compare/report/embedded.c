/* embedded: style and script of the report as files of their own, so that editors and browsers know them
 * for what they are; the assembler's .incbin copies them in. */
#include "cli/compare/report/report_private.h"
#include "common/str.h"

#include <stddef.h>

#include "common/banned.h"

#define EMBED(name, file)                                                                 \
    __asm__(".section .rodata\n"                                                          \
            ".balign 16\n"                                                                \
            ".hidden report_file_" #name "\n"                                             \
            ".hidden report_file_" #name "_end\n"                                         \
            ".global report_file_" #name "\n"                                             \
            ".global report_file_" #name "_end\n"                                         \
            "report_file_" #name ":\n"                                                    \
            ".incbin \"" CDN_SOURCE_DIR "/cli/compare/report/" file "\"\n"                \
            "report_file_" #name "_end:\n"                                                \
            ".byte 0\n"                                                                   \
            ".previous\n");                                                               \
    extern const char report_file_##name[], report_file_##name##_end[];                   \
    struct cdn_str report_##name(void)                                                    \
    {                                                                                     \
        return (struct cdn_str){report_file_##name,                                       \
                                (size_t)(report_file_##name##_end - report_file_##name)}; \
    }

EMBED(css, "report.css")
EMBED(js, "report.js")
