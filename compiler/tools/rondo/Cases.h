// Under which sizes, forms and boundaries `rondo verify` runs a model, where the command line does not say.
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include <string>
#include <vector>

namespace rondo::tool {

/// Sizes under which a model is verified. Odd and distinct, below and above the width of a vector, so that tails and full vectors
/// are both run, and no two dimensions can be taken for each other.
struct Case {
  std::vector<int64_t> dims;
  CallShape shape;
  Inits inits;
  bool resets = false, packed = false;
  std::string form = "step";
  int64_t chunk = 0;        // 0: the compiler's choice
  bool differences = false; // of a derivative's reference: whether it is held to differences here
  bool cells = false;       // on a GPU: models that multiply their state, with operands of 16 bits
  bool tiles = false;       // on a GPU: only where there are kernels of the form, which has sizes of its own
  int64_t segments = 0;     // of time, behind a first one; 0: it is gone through as the command line says
  /// What tells kernels of one model and one type apart.
  std::string name() const;
};

std::vector<int64_t> smallDims();
std::vector<Case> standardCases();
/// Of derivatives, which take longer.
std::vector<Case> derivativeCases();
/// Of 4096 steps, one batch entry for each regime of what has a declared interval.
std::vector<Case> longCases();
/// By chunks: of a size that the length is no multiple of, with a rest, and shorter ones than the length of a vector.
std::vector<Case> chunkCases();
/// A whole sequence as one chunk.
Case attentionCase();
/// Cut into segments: by steps, of which some segments have none; with `chunks` by chunks, too. And with resets in segments, and packed
/// sequences that are cut each.
std::vector<Case> segmentCases(bool chunks);
/// On matrix instructions: a single step, a chunk that is not full, chunks and a rest; and of the compiler's own accord, where one long
/// sequence is cut into segments.
std::vector<Case> tileCases();
/// On a GPU, elementwise recurrences in segments of time: one step; tiles, and groups of tiles, of several channels and of one.
std::vector<Case> scanCases();
/// Recurrent products on matrix instructions: units that one block has, a cluster, and a grid; more rows than a task has.
std::vector<Case> cellCases(bool derivative);
/// Where sequences begin: more rows than a tile of the batch has, and sequences of which one is empty, with resets inside.
std::vector<Case> boundaryCases();
/// The cases, and behind them the same by chunks. The first ones are held to differences, where that is asked for.
std::vector<Case> inBothForms(std::vector<Case> all, bool chunks, const char *chunkForm, bool differences);

} // namespace rondo::tool
