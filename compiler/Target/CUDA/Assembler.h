// NVIDIA's ptxas, where it is installed: PTX to machine code, and what it says of registers.
#pragma once
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <map>
#include <string>

namespace rondo::cuda {

struct KernelResources {
  int64_t registers = 0;    // of a thread
  int64_t spilledBytes = 0; // of a thread: stores to local memory for want of registers
  bool addsWaits = false;   // ptxas has products of warpgroups waited for where the kernel does not say so
};

struct Assembled {
  std::string cubin;
  std::map<std::string, KernelResources> resources; // by kernel
};

/// Assembles PTX by ptxas, from the PATH or from where the toolkit is usually installed. Without it, an error that says so.
llvm::Expected<Assembled> assemble(llvm::StringRef ptx, llvm::StringRef arch);

} // namespace rondo::cuda
