// Which forms and schedules a raised scan has, and why it lacks the others.
#pragma once
#include "compiler/Transforms/RaisedStep.h"
#include <optional>
#include <string>

namespace rondo {

/// The structure of an expand_scan or delta_scan; nothing for other operations.
std::optional<Expansion> expansionOf(mlir::Operation *raised);

/// Why a scan lacks a form or a schedule; empty where it has it.
struct MissingForms {
  std::string chunk, scan, segments;
};
MissingForms missingForms(mlir::Operation *raised);

} // namespace rondo
