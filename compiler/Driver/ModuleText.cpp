// See ModuleText.h.
#include "compiler/Driver/ModuleText.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Path.h"

using namespace rondo;

std::string driver::printModule(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream);
  stream << "\n";
  return text;
}

llvm::Error driver::writeModule(mlir::ModuleOp module, const std::string &folder, const std::string &name) {
  if (std::error_code error = llvm::sys::fs::create_directories(folder))
    return llvm::createStringError(error, "cannot create '" + folder + "': " + error.message());
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path, name);
  std::string text = printModule(module);
  llvm::Error error = llvm::writeToOutput(path, [&](llvm::raw_ostream &out) {
    out << text;
    return llvm::Error::success();
  });
  if (!error)
    return error;
  return llvm::createStringError("cannot write '" + path.str().str() + "': " + llvm::toString(std::move(error)));
}
