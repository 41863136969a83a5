# The one place that says how C is compiled here.
add_library(cdn_flags INTERFACE)
target_compile_features(cdn_flags INTERFACE c_std_17)
target_compile_definitions(cdn_flags INTERFACE _GNU_SOURCE CDN_VERSION="${PROJECT_VERSION}")
target_include_directories(cdn_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(cdn_flags INTERFACE
  -std=c17 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wcast-qual -Wswitch-enum
  -Wno-format-zero-length # an empty cell of a table is meant
  -fno-omit-frame-pointer -fstack-protector-strong)
if(CDN_WERROR)
  target_compile_options(cdn_flags INTERFACE -Werror)
endif()
# Assertions stay on: a bug that is noticed is better than a wrong byte.
foreach(type RELWITHDEBINFO RELEASE)
  string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type} "${CMAKE_C_FLAGS_${type}}")
endforeach()

if(CDN_SANITIZE)
  target_compile_options(cdn_flags INTERFACE -fsanitize=${CDN_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(cdn_flags INTERFACE -fsanitize=${CDN_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(cdn_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
if(CDN_FUZZ)
  target_compile_options(cdn_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(cdn_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CDN_COVERAGE)
  target_compile_options(cdn_flags INTERFACE --coverage)
  target_link_options(cdn_flags INTERFACE --coverage)
endif()
find_package(Threads REQUIRED)
target_link_libraries(cdn_flags INTERFACE Threads::Threads m)
