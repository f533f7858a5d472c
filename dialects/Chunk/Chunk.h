// The chunk dialect's C++ face.
#pragma once
#include "dialects/Recur/Recur.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

#include "dialects/Chunk/ChunkDialect.h.inc"
#include "dialects/Chunk/ChunkEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Chunk/ChunkAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/Chunk/ChunkOps.h.inc"

namespace rondo::chunk {
/// `type` with the implicit axis `axis` of `size` entries before its named axes; `type` has no implicit axes.
mlir::RankedTensorType withAxis(mlir::Type type, llvm::StringRef axis, int64_t size);
} // namespace rondo::chunk
