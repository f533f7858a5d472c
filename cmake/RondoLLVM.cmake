# Finds MLIR 22 and hides the choice between the shared libraries (development) and the static archives (one relocatable
# binary) behind the interface targets rondo_mlir and rondo_mlir_opt. An install tree carries this file too, so that both targets
# mean the same to a project that links rondo::jit; imported targets are left out of the export for that reason.
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)

separate_arguments(RONDO_LLVM_DEFINITIONS NATIVE_COMMAND ${LLVM_DEFINITIONS})
add_library(rondo_mlir INTERFACE IMPORTED GLOBAL)
add_library(rondo_mlir_opt INTERFACE IMPORTED GLOBAL)
target_compile_definitions(rondo_mlir INTERFACE ${RONDO_LLVM_DEFINITIONS})
target_include_directories(rondo_mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
if(NOT LLVM_ENABLE_RTTI)
  target_compile_options(rondo_mlir INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
endif()
if(RONDO_LINK_DYLIB)
  target_link_libraries(rondo_mlir INTERFACE MLIR LLVM)
  target_link_libraries(rondo_mlir_opt INTERFACE MLIR LLVM)
else()
  include(${CMAKE_CURRENT_LIST_DIR}/RondoStaticLLVM.cmake)
endif()
