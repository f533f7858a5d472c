# How the project's libraries and programs are declared.
#   rondo_add_library(NAME file... [LINK lib...])        plain C++, no LLVM
#   rondo_add_mlir_library(NAME file... [LINK lib...])   C++ that includes MLIR; shares one precompiled header
#   rondo_add_tablegen(NAME in.td [generator out]...)    TableGen outputs beside the binary tree's mirror of this folder
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

set(RONDO_PCH_HEADERS
  <mlir/IR/BuiltinOps.h> <mlir/IR/PatternMatch.h> <mlir/Pass/PassManager.h> <mlir/Dialect/Func/IR/FuncOps.h>
  <mlir/Dialect/Vector/IR/VectorOps.h> <mlir/Dialect/SCF/IR/SCF.h> <mlir/Dialect/MemRef/IR/MemRef.h>
  <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/Math/IR/Math.h> <mlir/Dialect/LLVMIR/LLVMDialect.h> <mlir/Dialect/LLVMIR/NVVMDialect.h>
  <mlir/Dialect/GPU/IR/GPUDialect.h>
  <dialects/Recur/Recur.h> <dialects/Chunk/Chunk.h>)

function(rondo_add_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>)
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

function(rondo_add_mlir_library name)
  rondo_add_library(${name} ${ARGN})
  target_link_libraries(${name} PUBLIC rondo_mlir)
  if(RONDO_PCH)
    if(NOT TARGET rondo_pch)
      file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/rondo_pch.cpp CONTENT "") # as it is, where it is there
      add_library(rondo_pch STATIC ${PROJECT_BINARY_DIR}/rondo_pch.cpp)
      target_link_libraries(rondo_pch PUBLIC rondo_mlir)
      target_precompile_headers(rondo_pch PRIVATE ${RONDO_PCH_HEADERS})
      target_include_directories(rondo_pch PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
      add_dependencies(rondo_pch rondo_tablegen)
    endif()
    target_precompile_headers(${name} REUSE_FROM rondo_pch)
  endif()
  add_dependencies(${name} rondo_tablegen)
endfunction()

function(rondo_add_mlir_executable name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  if(NOT RONDO_LINK_DYLIB)
    target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc -Wl,--gc-sections)
    set_target_properties(${name} PROPERTIES BUILD_RPATH_USE_ORIGIN ON BUILD_RPATH "\$ORIGIN" INSTALL_RPATH "\$ORIGIN;\$ORIGIN/../lib")
    add_custom_command(TARGET ${name} POST_BUILD VERBATIM
      COMMAND ${CMAKE_COMMAND} -E copy_if_different ${RONDO_OMP_LIBRARY} $<TARGET_FILE_DIR:${name}>/libomp.so.5)
  else()
    set_target_properties(${name} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON) # an installed program finds LLVM where we did
  endif()
endfunction()

# Every TableGen output hangs on one target, so that a library never compiles before a header that it includes.
add_custom_target(rondo_tablegen)
function(rondo_add_tablegen name td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  list(TRANSFORM MLIR_INCLUDE_DIRS PREPEND -I OUTPUT_VARIABLE includes)
  set(args ${ARGN})
  while(args)
    list(POP_FRONT args generator out)
    string(REPLACE " " ";" generator "${generator}")
    mlir_tablegen(${out} ${generator} -I${PROJECT_SOURCE_DIR} ${includes})
  endwhile()
  add_public_tablegen_target(${name})
  add_dependencies(rondo_tablegen ${name})
endfunction()
