# LLVM's and MLIR's static archives, as Debian packages them, in one relocatable binary: fills rondo_mlir and rondo_mlir_opt where
# RONDO_LINK_DYLIB is OFF. First mends what Debian's exported targets say wrongly of themselves.

# Takes out of an exported target's link interface whatever matches.
function(rondo_unlink target pattern)
  if(TARGET ${target})
    get_target_property(libs ${target} INTERFACE_LINK_LIBRARIES)
    if(libs)
      list(FILTER libs EXCLUDE REGEX "${pattern}")
      set_property(TARGET ${target} PROPERTY INTERFACE_LINK_LIBRARIES "${libs}")
    endif()
  endif()
endfunction()

# Every static MLIR library also names the shared LLVM: with both linked, each TypeID would exist twice.
foreach(target ${MLIR_EXPORTED_TARGETS})
  rondo_unlink(${target} "^(LLVM|MLIR|\\$<LINK_ONLY:(LLVM|MLIR)>)$")
endforeach()
set_property(TARGET MLIRExecutionEngine PROPERTY INTERFACE_LINK_LIBRARIES
  MLIRBuiltinToLLVMIRTranslation MLIRExecutionEngineUtils MLIRLLVMDialect MLIRLLVMToLLVMIRTranslation
  MLIROpenMPToLLVMIRTranslation MLIRTargetLLVMIRExport MLIRIR MLIRSupport)

# Polly's archives are exported, but not packaged.
foreach(target LLVMLTO LLVMPasses LLVMExtensions LLVMPlugins)
  rondo_unlink(${target} "Polly")
endforeach()

# Only glibc at run time: of the system libraries that LLVMSupport names, zlib and zstd are used, and linked statically.
find_library(RONDO_ZSTD_ARCHIVE NAMES libzstd.a REQUIRED)
set_property(TARGET LLVMSupport PROPERTY INTERFACE_LINK_LIBRARIES
  rt dl m pthread LLVMDemangle ${RONDO_ZLIB_ARCHIVE} ${RONDO_ZSTD_ARCHIVE})

llvm_map_components_to_libnames(RONDO_LLVM_LIBS
  core irreader ipo linker mcparser native passes support target targetparser
  frontendopenmp object X86AsmParser X86CodeGen X86Desc X86Info NVPTXCodeGen NVPTXDesc NVPTXInfo)
set(RONDO_MLIR_LIBS
  MLIRExecutionEngine MLIRParser MLIRPass MLIRTransforms
  MLIRAffineDialect MLIRFuncDialect MLIRSCFDialect MLIRLinalgDialect MLIRTensorDialect MLIRUBDialect
  MLIRLinalgTransforms MLIRMathTransforms MLIRMemRefTransforms MLIRSCFTransforms MLIRVectorTransforms
  MLIRAffineToStandard MLIRArithToLLVM MLIRControlFlowToLLVM MLIRFuncToLLVM MLIRIndexToLLVM MLIRMathToLLVM MLIRMathToLibm
  MLIRMemRefToLLVM MLIRReconcileUnrealizedCasts MLIRSCFToControlFlow MLIRUBToLLVM MLIRComplexToLLVM MLIRComplexToStandard
  MLIRVectorToLLVM MLIRVectorToLLVMPass MLIRVectorToSCF
  MLIRBuiltinToLLVMIRTranslation MLIRLLVMToLLVMIRTranslation
  MLIRGPUDialect MLIRGPUToLLVMIRTranslation MLIRNVVMDialect MLIRNVVMTarget MLIRNVVMToLLVM MLIRNVVMToLLVMIRTranslation MLIRArithTransforms)
target_link_libraries(rondo_mlir INTERFACE ${RONDO_MLIR_LIBS} ${RONDO_LLVM_LIBS})
target_link_libraries(rondo_mlir_opt INTERFACE MLIROptLib)
