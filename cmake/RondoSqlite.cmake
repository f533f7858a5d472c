# SQLite, for the records of tuning; an install tree carries this file for rondo::jit. One relocatable binary links Debian's archive.
include_guard(GLOBAL)
find_package(SQLite3 REQUIRED)
set_target_properties(SQLite::SQLite3 PROPERTIES IMPORTED_GLOBAL TRUE)
if(NOT RONDO_LINK_DYLIB)
  find_library(RONDO_SQLITE_ARCHIVE NAMES libsqlite3.a REQUIRED)
  set_target_properties(SQLite::SQLite3 PROPERTIES IMPORTED_LOCATION ${RONDO_SQLITE_ARCHIVE})
endif()
