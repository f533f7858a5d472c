// The way through semantic analysis: files, the chosen model, layers, the checker.
#include "frontend/SemaModel.h"

namespace rondo::frontend {

static const Model *chooseModel(uint32_t file, const File &ast, const std::string &name, Diagnostics &diagnostics) {
  if (name.empty() && !ast.models.empty())
    return &ast.models.back();
  std::string known;
  for (const Model &model : ast.models) {
    if (model.name == name)
      return &model;
    known += (known.empty() ? "'" : ", '") + model.name + "'";
  }
  Span start{file, 0, 0};
  if (ast.models.empty())
    diagnostics.error("no-model", start, "the file defines no model").note("write 'model name<K> { ... }'");
  else
    diagnostics.error("no-model", start, "the file has no model '" + name + "'").note("it has " + known);
  return nullptr;
}

std::unique_ptr<TypedModel> analyze(SourceManager &sources, uint32_t file, const File &ast, const SemaOptions &options,
                                    Diagnostics &diagnostics) {
  size_t before = diagnostics.errorCount();
  FileTable files(sources, options, diagnostics);
  const FileScope *scope = files.load(ast);
  const Model *model = chooseModel(file, ast, options.model, diagnostics);
  if (!model || diagnostics.errorCount() != before)
    return nullptr;
  Elaborator elaborator(files, diagnostics);
  FlatModel flat = elaborator.run(*model, scope);
  if (diagnostics.errorCount() != before)
    return nullptr;
  ModelSema sema(files, sources, diagnostics, std::move(flat));
  auto typed = sema.run();
  return diagnostics.errorCount() == before ? std::move(typed) : nullptr;
}

} // namespace rondo::frontend
