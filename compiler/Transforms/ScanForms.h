// Which forms and schedules a raised scan has, and why it lacks the others.
#pragma once
#include "compiler/Transforms/RaisedStep.h"
#include <optional>
#include <string>

namespace rondo {

/// Whether an operation is a scan that has forms to choose from: recur.linear_scan, expand_scan and delta_scan.
bool hasForms(mlir::Operation *op);

/// The structure of an expand_scan or delta_scan; nothing for other operations.
std::optional<Expansion> expansionOf(mlir::Operation *raised);

/// Why a scan lacks a form or a schedule; empty where it has it.
struct MissingForms {
  std::string chunk, scan, segments;
};
MissingForms missingForms(mlir::Operation *raised);

} // namespace rondo
