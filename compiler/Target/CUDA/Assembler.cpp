// See Assembler.h.
#include "compiler/Target/CUDA/Assembler.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/raw_ostream.h"

using namespace rondo::cuda;
using llvm::StringRef;

/// From what `ptxas -v` says: a line names the kernel, later ones its spills and registers.
static std::map<std::string, KernelResources> resourcesIn(StringRef said) {
  std::map<std::string, KernelResources> resources;
  llvm::Regex name("entry function '([^']+)'"), spills("([0-9]+) bytes spill stores"),
      registers("Used ([0-9]+) registers"), waits("(serialized|wait is injected).* function '([^']+)'");
  llvm::SmallVector<StringRef> match;
  std::string kernel;
  while (!said.empty()) {
    auto [line, rest] = said.split('\n');
    said = rest;
    if (name.match(line, &match))
      kernel = match[1].str();
    if (waits.match(line, &match))
      resources[match[2].str()].addsWaits = true;
    if (spills.match(line, &match))
      match[1].getAsInteger(10, resources[kernel].spilledBytes);
    if (registers.match(line, &match))
      match[1].getAsInteger(10, resources[kernel].registers);
  }
  return resources;
}

llvm::Expected<Assembled> rondo::cuda::assemble(StringRef ptx, StringRef arch) {
  auto program = llvm::sys::findProgramByName("ptxas");
  if (!program)
    program = llvm::sys::findProgramByName("ptxas", {"/usr/local/cuda/bin"});
  if (!program)
    return llvm::createStringError("no ptxas on the PATH or in /usr/local/cuda/bin: a cubin needs it, PTX does not");
  llvm::SmallString<128> in, out, log;
  if (llvm::sys::fs::createTemporaryFile("rondo", "ptx", in) ||
      llvm::sys::fs::createTemporaryFile("rondo", "cubin", out) ||
      llvm::sys::fs::createTemporaryFile("rondo", "log", log))
    return llvm::createStringError("cannot make a temporary file for ptxas");
  llvm::FileRemover removeIn(in), removeOut(out), removeLog(log);
  std::error_code code;
  llvm::raw_fd_ostream(in, code) << ptx;
  if (code)
    return llvm::createStringError("cannot write '" + in.str().str() + "': " + code.message());
  std::string why, architecture = ("-arch=" + arch).str();
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(log), StringRef(log)};
  int status = llvm::sys::ExecuteAndWait(*program, {*program, "-O3", "-v", architecture, in, "-o", out}, std::nullopt,
                                         redirects, 120, 0, &why);
  auto said = llvm::MemoryBuffer::getFile(log);
  if (status)
    return llvm::createStringError("ptxas failed: " + (said ? (*said)->getBuffer().str() : why));
  auto result = llvm::MemoryBuffer::getFile(out, /*IsText=*/false);
  if (!result || !said)
    return llvm::createStringError("cannot read what ptxas wrote");
  return Assembled{(*result)->getBuffer().str(), resourcesIn((*said)->getBuffer())};
}
