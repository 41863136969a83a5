# Debian's libraries, found by pkg-config. `make deps` installs them.
find_package(PkgConfig REQUIRED)
foreach(lib
    microhttpd:libmicrohttpd maxminddb:libmaxminddb sqlite:sqlite3 curl:libcurl yaml:yaml-0.1
    jansson:jansson xxhash:libxxhash gnutls:gnutls knot:libknot zlib:zlib expat:expat brotlienc:libbrotlienc brotlidec:libbrotlidec zstd:libzstd)
  string(REPLACE ":" ";" pair ${lib})
  list(GET pair 0 name)
  list(GET pair 1 module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
endforeach()
# Debian's libxxhash chooses the widest vectors of the processor on amd64; elsewhere there is no such function.
include(CheckLibraryExists)
check_library_exists(xxhash XXH3_64bits_dispatch "" CDN_XXHASH_DISPATCH)
# The allocator of pocketcdn-edge, which replaces malloc by being linked. Sanitizers bring their own.
if(NOT CDN_SANITIZE)
  find_package(mimalloc 2.0 REQUIRED CONFIG)
endif()
