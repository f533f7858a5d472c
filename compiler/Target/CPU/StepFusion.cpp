// Which statements of a step share a sweep: a statement joins a nest when their iteration spaces can be laid over each other. See
// StepNests.h; what becomes a statement is decided in StepNests.cpp.
#include "compiler/Target/CPU/StepNests.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Reductions in one nest; more would not leave registers for their sums.
static constexpr int kMaxFusedReductions = 4;

namespace {

/// Tries to find, for each of a statement's own dimensions, the dimension of a nest that it runs along.
class Placement {
public:
  Placement(ArrayRef<int64_t> extents, const Nest &nest)
      : map(extents.size(), -1), extents(extents), nest(nest), taken(nest.dims.size(), false) {}

  bool bind(int own, int nestDim) {
    if (map[own] == nestDim)
      return true;
    // A part of an array (a slice) runs over fewer elements than the sweep that computes it.
    if (map[own] >= 0 || taken[nestDim] || nest.dims[nestDim].extent != extents[own])
      return false;
    map[own] = nestDim;
    taken[nestDim] = true;
    return true;
  }
  /// Binds own indices to the nest's, position by position.
  bool bind(ArrayRef<Index> own, ArrayRef<Index> nest) {
    for (auto [a, b] : llvm::zip(own, nest)) {
      if (a.offset != b.offset || (a.dim < 0) != (b.dim < 0))
        return false;
      if (a.dim >= 0 && !bind(a.dim, b.dim))
        return false;
    }
    return true;
  }
  /// What is still free goes to the first free dimension of the same size and role.
  bool complete(ArrayRef<int> reduced, bool sameRoles) {
    for (int own = 0; own < static_cast<int>(map.size()); ++own) {
      if (map[own] >= 0)
        continue;
      for (int d = 0; d < static_cast<int>(taken.size()) && map[own] < 0; ++d)
        if (!sameRoles || nest.dims[d].reduction == llvm::is_contained(reduced, own))
          bind(own, d);
      if (map[own] < 0)
        return false;
    }
    return true;
  }

  SmallVector<int> map;

private:
  ArrayRef<int64_t> extents;
  const Nest &nest;
  SmallVector<bool> taken;
};

} // namespace

/// A statement placed into `nest`, or nothing when the two do not share an iteration space.
static std::optional<Statement> fuse(const StepNests &plan, const Nest &nest, Statement statement,
                                     ArrayRef<int64_t> extents, ArrayRef<Read> own) {
  if (nest.dims.size() != extents.size())
    return std::nullopt;
  Placement placement(extents, nest);
  bool related = false;
  SmallVector<Read> there = plan.reads(nest);
  for (const Read &read : own)
    for (const Statement &producer : nest.statements)
      if (producer.value == read.value) {
        Indices at;
        for (int dim : producer.axes)
          at.push_back({dim, 0});
        if (producer.isReduction || !placement.bind(read.at, at))
          return std::nullopt;
        related = true;
      }
  for (const Read &read : own)
    for (const Read &other : there)
      if (!related && other.value == read.value && read.at.size() == extents.size() && read.at.size() > 1)
        related = placement.bind(read.at, other.at);
  if (!placement.complete(statement.reduced, !related))
    return std::nullopt;
  for (int &dim : statement.axes)
    dim = placement.map[dim];
  for (int &dim : statement.reduced)
    dim = placement.map[dim];
  int reductions = llvm::count_if(nest.statements, [](const Statement &s) { return s.isReduction; });
  bool anyReduction = reductions > 0;
  if (statement.isReduction) {
    if (reductions >= kMaxFusedReductions)
      return std::nullopt;
    for (auto [d, dim] : llvm::enumerate(nest.dims))
      if (anyReduction && dim.reduction != llvm::is_contained(statement.reduced, static_cast<int>(d)))
        return std::nullopt;
  }
  // Unrelated statements gain nothing from one sweep unless they do the same kind of work.
  if (!related && statement.isReduction != anyReduction)
    return std::nullopt;
  return statement;
}

void StepNests::place(Statement statement, ArrayRef<int64_t> extents) {
  bool varies = timeVarying[statement.value] || statement.destinations.front().kind != Destination::Scratch;
  auto &list = varies ? nests : prologue;
  bool sequence = perSequence[statement.value] || statement.destinations.front().kind != Destination::Scratch;
  if (statement.destinations.front().kind == Destination::Scratch)
    sequence = buffers[statement.destinations.front().number].perSequence;

  Nest alone;
  alone.perSequence = sequence;
  for (int64_t extent : extents)
    alone.dims.push_back({extent, false});
  for (int dim : statement.reduced)
    alone.dims[dim].reduction = true;
  alone.statements.push_back(statement);
  SmallVector<Read> own = reads(alone);

  // The statement may join any nest that comes after everything that it reads; one that computes what it reads must agree on
  // the element (fuse checks that).
  size_t earliest = 0;
  for (const Read &read : own)
    for (auto [n, nest] : llvm::enumerate(list))
      for (const Statement &producer : nest.statements) {
        Value memory = withoutReshapes(read.value);
        const Destination &first = producer.destinations.front();
        bool piece = first.axis >= 0;
        bool makes =
            piece ? bufferOf.count(memory) && first.number == bufferOf.lookup(memory) : producer.value == memory;
        bool sameElement = !piece && !producer.isReduction && memory == read.value;
        if (makes)
          earliest = std::max(earliest, n + (sameElement ? 0 : 1));
      }
  for (size_t n = list.size(); n-- > earliest;) {
    if (list[n].perSequence != sequence)
      continue;
    if (std::optional<Statement> fused = fuse(*this, list[n], statement, extents, own)) {
      for (int dim : fused->reduced)
        list[n].dims[dim].reduction = true;
      list[n].statements.push_back(*fused);
      return;
    }
  }
  list.push_back(std::move(alone));
}
