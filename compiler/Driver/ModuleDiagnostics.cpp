// See ModuleDiagnostics.h.
#include "compiler/Driver/ModuleDiagnostics.h"
#include "mlir/IR/Location.h"
#include <optional>

using namespace mlir;
using namespace rondo;

/// The first place in a source text that a location stands for.
static std::optional<frontend::Span> spanOf(Location location, const frontend::SourceManager &sources) {
  std::optional<frontend::Span> span;
  location->walk([&](Location part) {
    auto place = dyn_cast<FileLineColLoc>(part);
    if (!place)
      return WalkResult::advance();
    for (uint32_t file = 0; file < sources.size(); ++file) {
      if (sources.name(file) != place.getFilename().getValue())
        continue;
      std::string_view text = sources.text(file);
      uint32_t offset = 0;
      for (unsigned line = 1; line < place.getLine() && offset < text.size(); ++offset)
        line += text[offset] == '\n';
      offset = std::min<size_t>(text.size(), offset + (place.getColumn() ? place.getColumn() - 1 : 0));
      span = frontend::Span{file, offset, offset};
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return span;
}

static LogicalResult convert(Diagnostic &from, const frontend::SourceManager &sources,
                             std::vector<frontend::Diagnostic> &diagnostics) {
  if (from.getSeverity() != DiagnosticSeverity::Error && from.getSeverity() != DiagnosticSeverity::Warning)
    return success();
  bool isError = from.getSeverity() == DiagnosticSeverity::Error;
  frontend::Diagnostic to;
  to.severity = isError ? frontend::Severity::Error : frontend::Severity::Warning;
  to.slug = "compile";
  to.message = from.str();
  if (auto span = spanOf(from.getLocation(), sources))
    to.span = *span;
  for (Diagnostic &note : from.getNotes()) {
    auto span = spanOf(note.getLocation(), sources);
    span ? to.note(note.str(), *span) : to.note(note.str());
  }
  diagnostics.push_back(std::move(to));
  return success();
}

driver::ModuleDiagnostics::ModuleDiagnostics(MLIRContext &context, const frontend::SourceManager &sources,
                                             std::vector<frontend::Diagnostic> &diagnostics)
    : handler(&context, [&](Diagnostic &diagnostic) { return convert(diagnostic, sources, diagnostics); }) {}
