// Which plan a kernel gets when nobody chooses. See README-tiles.md for the reasons and the measurements.
#include "compiler/Target/CUDA/ChunkKernel.h"

using namespace rondo::cuda;

std::optional<TilePlan> rondo::cuda::chooseTilePlan(const TileProgram &program, int64_t arch) {
  chunk::ScanOp scan = program.scan;
  for (int64_t valueTile : {64, 32, 16})
    for (int64_t stages : {2}) {
      TilePlan plan{scan.size(), valueTile, valueTile / 16, stages, false, arch};
      if (whyNot(program, plan).empty())
        return plan;
    }
  return std::nullopt;
}
