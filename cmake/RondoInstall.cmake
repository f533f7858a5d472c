# The install tree: public headers, static libraries, programs, and a package configuration.
#   find_package(rondo)                  rondo::runtime, which runs compiled models and needs no LLVM
#   find_package(rondo COMPONENTS jit)   rondo::jit as well; needs LLVM and MLIR 22 where it is linked
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(RONDO_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/rondo)

# The static libraries that a target of ours needs, itself included.
function(rondo_closure target out)
  set(found ${${out}})
  if(NOT target IN_LIST found)
    list(APPEND found ${target})
    get_target_property(libs ${target} LINK_LIBRARIES)
    foreach(lib ${libs})
      string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" lib "${lib}")
      if(lib MATCHES "^Rondo" AND TARGET ${lib})
        rondo_closure(${lib} found)
      endif()
    endforeach()
  endif()
  set(${out} ${found} PARENT_SCOPE)
endfunction()

rondo_closure(RondoRuntime runtime_libs)
rondo_closure(RondoJIT jit_libs)
list(REMOVE_ITEM jit_libs ${runtime_libs})
set_target_properties(RondoRuntime PROPERTIES EXPORT_NAME runtime)
set_target_properties(RondoJIT PROPERTIES EXPORT_NAME jit)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/rondo TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(TARGETS ${runtime_libs} EXPORT rondoRuntimeTargets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS ${jit_libs} EXPORT rondoJitTargets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS rondo rondo-opt)
install(EXPORT rondoRuntimeTargets NAMESPACE rondo:: DESTINATION ${RONDO_CMAKE_DIR})
install(EXPORT rondoJitTargets NAMESPACE rondo:: DESTINATION ${RONDO_CMAKE_DIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/rondo-config.cmake.in rondo-config.cmake
  INSTALL_DESTINATION ${RONDO_CMAKE_DIR})
write_basic_package_version_file(rondo-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/RondoDependencies.cmake ${CMAKE_CURRENT_LIST_DIR}/RondoLLVM.cmake ${CMAKE_CURRENT_LIST_DIR}/RondoSqlite.cmake ${CMAKE_CURRENT_LIST_DIR}/RondoStaticLLVM.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/rondo-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/rondo-config-version.cmake
  DESTINATION ${RONDO_CMAKE_DIR})
