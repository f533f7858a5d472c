// Which chunks keep more of what matrix instructions round.
#pragma once
#include "dialects/Chunk/Chunk.h"

namespace rondo::chunk {
/// Whether operands that matrix instructions round to 16 bits are sums of two such numbers: where rows of an output are stored as f32
/// beside inputs of 16 bits, somebody adds them up over many steps, and what is rounded in each of them would add up, too. Not where a chunk
/// solves for what was read: that corrects what was rounded.
bool hasTwoTerms(ScanOp scan);
} // namespace rondo::chunk
