// Reverse mode over the chunk program: out of a chunk.scan, and the cotangents of its results, the chunk.gradient_scan that gives the
// cotangents of its operands. Where the scan over single steps (ScanAdjoint.h) hands the states of every step to the way back, this one
// needs those at the beginning of chunks alone, and takes whole chunks on the way back, too.
#pragma once
#include "compiler/Differentiate/ScanAdjoint.h"
#include "dialects/Chunk/Chunk.h"

namespace rondo {

/// Makes the scan where `b` stands. Cotangents of results are null where they are zero. Fails, with an error at its place, where an
/// operation has no derivative.
mlir::FailureOr<ScanCotangents> buildGradientScan(mlir::OpBuilder &b, chunk::ScanOp scan,
                                                  llvm::ArrayRef<mlir::Value> ofOutputs,
                                                  llvm::ArrayRef<mlir::Value> ofFinals, const WantedCotangents &wanted);

/// The same out of a scan over one axis, with chunks of one step: of the states every `interval`-th is kept.
mlir::FailureOr<ScanCotangents> buildGradientScan(mlir::OpBuilder &b, recur::ScanOp scan, int64_t interval,
                                                  llvm::ArrayRef<mlir::Value> ofOutputs,
                                                  llvm::ArrayRef<mlir::Value> ofFinals, const WantedCotangents &wanted);

} // namespace rondo
