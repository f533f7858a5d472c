# Writes the library's texts as a C++ table: cmake -DOUT=Library.cpp -DFILES=a.rondo|b.rondo -P Embed.cmake
string(REPLACE "|" ";" files "${FILES}")
set(table "// Made by frontend/library/Embed.cmake from the .rondo files beside it.\n#include \"frontend/Library.h\"\n\n")
string(APPEND table "namespace rondo::frontend {\n\nstatic constexpr LibraryFile table[] = {\n")
foreach(path IN LISTS files)
  cmake_path(GET path FILENAME name)
  # Raw bytes as hexadecimal, because file(READ) as text would take ';' and '[' apart.
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${bytes}")
  # One literal per line of text, so that compilers and readers see sane line lengths.
  string(REPLACE "\\x0a" "\\x0a\"\n     \"" bytes "${bytes}")
  string(APPEND table "    {\"${name}\",\n     \"${bytes}\"},\n")
endforeach()
string(APPEND table "};\n\nstd::span<const LibraryFile> libraryFiles() { return table; }\n\n} // namespace rondo::frontend\n")
file(WRITE ${OUT} "${table}")
