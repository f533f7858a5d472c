// What a plan is expected to take. See README-tiles.md for the measurements that it is fitted to.
#pragma once
#include "compiler/Target/CUDA/TilePlan.h"
#include <optional>

namespace rondo::cuda {

/// Nanoseconds of a chunk of one block: alone on its multiprocessor, and of each block where several share one.
struct BlockCost {
  double alone = 0, shared = 0;
};
BlockCost blockCost(const TileProgram &program, const TilePlan &plan);

/// Nanoseconds of a chunk of one head, all of its columns, when there are heads enough to fill a GPU.
double chunkNanoseconds(const TileProgram &program, const TilePlan &plan);

/// The plan that is taken when nobody chooses; nothing where none fits.
std::optional<TilePlan> chooseTilePlan(const TileProgram &program, Architecture arch);
/// Why none fits.
std::string whyNoPlan(const TileProgram &program, Architecture arch);

} // namespace rondo::cuda
