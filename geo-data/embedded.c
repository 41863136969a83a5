/* embedded: the assembler's .incbin copies the files as they are; CMake rebuilds this object when one
 * changes. */
#include "geo-data/embedded.h"

#include <stddef.h>

#include "common/banned.h"

#define EMBED(name, file)                                                                            \
    __asm__(".section .rodata\n"                                                                     \
            ".balign 16\n"                                                                           \
            ".hidden geo_file_" #name "\n"                                                           \
            ".hidden geo_file_" #name "_end\n"                                                       \
            ".global geo_file_" #name "\n"                                                           \
            ".global geo_file_" #name "_end\n"                                                       \
            "geo_file_" #name ":\n"                                                                  \
            ".incbin \"" GEO_DATA_DIR "/" file "\"\n"                                                \
            "geo_file_" #name "_end:\n"                                                              \
            ".byte 0\n"                                                                              \
            ".previous\n");                                                                          \
    extern const char geo_file_##name[], geo_file_##name##_end[];                                    \
    struct cdn_str geo_embedded_##name(void)                                                         \
    {                                                                                                \
        return (struct cdn_str){geo_file_##name, (size_t)(geo_file_##name##_end - geo_file_##name)}; \
    }

EMBED(world, "world.mmdb")
EMBED(cities, "cities.csv")
EMBED(countries, "countries.csv")
EMBED(sites, "sites.csv")
EMBED(backbone, "backbone.csv")
EMBED(land, "land.txt")
