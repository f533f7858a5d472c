# The libraries of others that the runtime and the front end need, in one place; an install tree carries this file too.
#   rondo_fmt       the {fmt} library
#   rondo_openmp    clang's OpenMP, by its library's path: static libraries of ours that use it can be linked by what gcc compiles
#   ZLIB::ZLIB, nlohmann_json::nlohmann_json
# Link them PRIVATE: none of them shows in a public header, and an OpenMP flag that leaks breaks the shared precompiled header.
include_guard(GLOBAL)
find_package(fmt REQUIRED)
find_package(ZLIB REQUIRED)
find_package(nlohmann_json REQUIRED)
find_library(RONDO_OMP_LIBRARY NAMES omp libomp.so.5 HINTS /usr/lib/llvm-22/lib REQUIRED)

add_library(rondo_openmp INTERFACE IMPORTED GLOBAL)
target_compile_options(rondo_openmp INTERFACE $<$<CXX_COMPILER_ID:Clang>:-fopenmp=libomp>)
target_link_libraries(rondo_openmp INTERFACE ${RONDO_OMP_LIBRARY})
add_library(rondo_fmt INTERFACE IMPORTED GLOBAL)
if(RONDO_LINK_DYLIB)
  target_link_libraries(rondo_fmt INTERFACE fmt::fmt)
else()
  # One relocatable binary needs glibc only. Debian has no archive of fmt, and none of libomp, which is copied beside the binary.
  target_link_libraries(rondo_fmt INTERFACE fmt::fmt-header-only)
  find_library(RONDO_ZLIB_ARCHIVE NAMES libz.a REQUIRED)
  foreach(configuration "" _NONE _RELEASE)
    set_property(TARGET ZLIB::ZLIB PROPERTY IMPORTED_LOCATION${configuration} ${RONDO_ZLIB_ARCHIVE})
  endforeach()
endif()
