// Loading imports and the library, and looking names up across files.
#include "frontend/SemaFiles.h"
#include "frontend/Library.h"
#include "frontend/Parser.h"

namespace rondo::frontend {

FileTable::FileTable(SourceManager &sources, const SemaOptions &options, Diagnostics &diagnostics)
    : sources(sources), options(options), diagnostics(diagnostics) {}

const FileScope *FileTable::load(const File &ast) {
  loadLibrary();
  FileScope *main = addFile(&ast, false);
  byName[sources.name(ast.id)] = main;
  // Scopes are appended while imports are found; the list is the work list.
  for (size_t i = library.size(); i < scopes.size(); ++i)
    loadImports(scopes[i].get());
  return main;
}

void FileTable::loadLibrary() {
  for (const LibraryFile &source : libraryFiles()) {
    uint32_t id = sources.add("library/" + std::string(source.name), std::string(source.text));
    files.push_back(std::make_unique<File>(parse(sources, id, diagnostics)));
    library.push_back(addFile(files.back().get(), true));
  }
}

FileScope *FileTable::addFile(const File *ast, bool isLibrary) {
  auto scope = std::make_unique<FileScope>();
  scope->ast = ast;
  scope->library = isLibrary;
  for (const Fn &fn : ast->fns)
    if (auto [entry, isNew] = scope->fns.try_emplace(fn.name, &fn); !isNew)
      diagnostics.error("duplicate-fn", fn.nameSpan, "fn '" + fn.name + "' is defined twice")
          .note("the other definition is here", entry->second->nameSpan)
          .note("rename one of them; a fn has one definition for all shapes");
  for (const Model &model : ast->models)
    if (auto [entry, isNew] = scope->models.try_emplace(model.name, &model); !isNew)
      diagnostics.error("duplicate-model", model.nameSpan, "model '" + model.name + "' is defined twice")
          .note("the other definition is here", entry->second->nameSpan)
          .note("rename one of them");
  scopes.push_back(std::move(scope));
  return scopes.back().get();
}

void FileTable::loadImports(FileScope *scope) {
  for (const Import &import : scope->ast->imports) {
    auto loaded = options.loadImport ? options.loadImport(import.path, sources.name(scope->ast->id)) : std::nullopt;
    if (!loaded || scopes.size() >= maxFiles) {
      diagnostics.error("import-not-found", import.span, "cannot read the imported file '" + import.path + "'")
          .note("the path is taken relative to '" + sources.name(scope->ast->id) + "'");
      continue;
    }
    FileScope *&known = byName[loaded->first];
    if (!known) {
      uint32_t id = sources.add(loaded->first, std::move(loaded->second));
      files.push_back(std::make_unique<File>(parse(sources, id, diagnostics)));
      known = addFile(files.back().get(), false);
    }
    scope->imports.push_back(known);
  }
}

Found<Fn> FileTable::fn(const FileScope *from, const std::string &name) const {
  auto in = [&](const FileScope *scope) -> Found<Fn> {
    auto entry = scope->fns.find(name);
    return entry == scope->fns.end() ? Found<Fn>{} : Found<Fn>{entry->second, scope};
  };
  if (auto own = in(from))
    return own;
  for (const FileScope *imported : from->imports)
    if (auto found = in(imported))
      return found;
  for (const FileScope *scope : library)
    if (auto found = in(scope))
      return found;
  return {};
}

Found<Model> FileTable::model(const FileScope *from, const std::string &name) const {
  auto entry = from->models.find(name);
  if (entry != from->models.end())
    return {entry->second, from};
  for (const FileScope *imported : from->imports)
    if (auto found = imported->models.find(name); found != imported->models.end())
      return {found->second, imported};
  return {};
}

std::vector<std::string> FileTable::fnNames(const FileScope *from) const {
  std::set<std::string> names;
  auto add = [&](const FileScope *scope) {
    for (const auto &[name, fn] : scope->fns)
      names.insert(name);
  };
  add(from);
  for (const FileScope *imported : from->imports)
    add(imported);
  for (const FileScope *scope : library)
    add(scope);
  return {names.begin(), names.end()};
}

} // namespace rondo::frontend
