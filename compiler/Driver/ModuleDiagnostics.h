// What passes and the IR parser report, as the frontend's diagnostics: locations in IR point back into the spec.
#pragma once
#include "frontend/Diagnostic.h"
#include "mlir/IR/Diagnostics.h"
#include <vector>

namespace rondo::driver {

/// While it lives, errors and warnings of `context` go to `diagnostics` instead of stderr.
class ModuleDiagnostics {
public:
  ModuleDiagnostics(mlir::MLIRContext &context, const frontend::SourceManager &sources,
                    std::vector<frontend::Diagnostic> &diagnostics);

private:
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace rondo::driver
