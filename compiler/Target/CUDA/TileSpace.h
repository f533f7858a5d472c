// The plans that a scan can follow on matrix instructions: what is chosen from when nobody asks, when somebody asks for a part, and when
// plans are measured.
#pragma once
#include "compiler/Target/CUDA/TileCost.h"
#include "dialects/Chunk/Chunk.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace rondo::cuda {

/// Every scan of a module whose plan has chunks, formed in chunks of one size on a copy of the module.
struct FormedChunks {
  mlir::OwningOpRef<mlir::ModuleOp> copy;
  llvm::SmallVector<chunk::ScanOp> scans; // in the order of the module's
};
mlir::FailureOr<FormedChunks> formChunksOf(mlir::ModuleOp module, int64_t size);

/// The scans that FormedChunks has.
llvm::SmallVector<mlir::Operation *> chunkedScans(mlir::ModuleOp module);

/// What is asked of a plan; 0 and nothing are left open.
struct TileAsk {
  int64_t chunk = 0, valueTile = 0, warps = 0, stages = 0;
  std::optional<bool> ahead, warpgroups;
  /// Whether something beside the chunk's size is asked for.
  bool kernel() const { return valueTile || warps || stages || ahead || warpgroups.value_or(false); }
};

/// A scan's plans of one size of chunk.
struct TilePlans {
  std::vector<TilePlan> fit;
  std::string whyNone; // the constraint that the first of the others breaks
};
/// All that have what is asked for; `ask.chunk` is the program's own size.
TilePlans tilePlans(const TileProgram &program, Architecture arch, const TileAsk &ask = {});

/// How far two plans are from each other: each doubling of a size counts one.
double distance(const TilePlan &a, const TilePlan &b);

/// The sizes of chunks that plans are looked for in.
inline constexpr int64_t kTileChunks[] = {32, 64, 128};

/// A plan and the nanoseconds that a step of a head is expected to take.
struct TileCandidate {
  chunk::PlanAttr plan;
  double cost = 0;
};
/// For every raised scan of a module after phase raise, in the order of a walk: steps, and the plans on matrix instructions within a factor of
/// the best, cheapest first. Where calls may cut sequences, a plan is there with the choice left to the call, without segments, and with them.
mlir::FailureOr<std::vector<std::vector<TileCandidate>>> tileSpace(mlir::ModuleOp raised, llvm::StringRef arch);

} // namespace rondo::cuda
