// Which fns and models a file sees: its own, those of the files that it imports, and for fns the standard library. Each fn keeps the
// scope of its own file, so that a user's `sigmoid` does not change what the library's `silu` computes.
#pragma once
#include "frontend/Sema.h"
#include <map>
#include <set>

namespace rondo::frontend {

/// One file of the compilation.
struct FileScope {
  const File *ast = nullptr;
  bool library = false;
  std::map<std::string, const Fn *> fns;
  std::map<std::string, const Model *> models;
  std::vector<const FileScope *> imports;
};

template <typename T> struct Found {
  const T *item = nullptr;
  const FileScope *home = nullptr;
  explicit operator bool() const { return item; }
};

class FileTable {
public:
  static constexpr size_t maxFiles = 256;

  FileTable(SourceManager &sources, const SemaOptions &options, Diagnostics &diagnostics);
  /// Reads the library and everything that `ast` imports, directly or not.
  const FileScope *load(const File &ast);

  Found<Fn> fn(const FileScope *from, const std::string &name) const;
  Found<Model> model(const FileScope *from, const std::string &name) const;
  std::vector<std::string> fnNames(const FileScope *from) const;

private:
  FileScope *addFile(const File *ast, bool library);
  void loadLibrary();
  void loadImports(FileScope *scope);

  SourceManager &sources;
  const SemaOptions &options;
  Diagnostics &diagnostics;
  std::vector<std::unique_ptr<File>> files;
  std::vector<std::unique_ptr<FileScope>> scopes;
  std::vector<const FileScope *> library;
  std::map<std::string, FileScope *> byName;
};

} // namespace rondo::frontend
