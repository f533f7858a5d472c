// The standard library, embedded in the binary: the texts of frontend/library/*.rondo, which the build turns into a
// table (frontend/library/Embed.cmake). Every spec sees its functions; a user's definition of the same name hides one.
#pragma once
#include <span>
#include <string_view>

namespace rondo::frontend {

struct LibraryFile {
  std::string_view name; // e.g. "gates.rondo"; diagnostics print "library/gates.rondo"
  std::string_view text;
};

/// In the order of their names. The files may use each other's functions.
std::span<const LibraryFile> libraryFiles();

} // namespace rondo::frontend
