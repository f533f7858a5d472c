// Which statements of a step share a sweep: a statement joins a nest when their iteration spaces can be laid over each other. See
// StepNests.h; what becomes a statement is decided in StepNests.cpp.
#include "compiler/Target/CPU/NestTiling.h"
#include "compiler/Target/CPU/StepNests.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

Indices rondo::cpu::indices(ArrayRef<int> dims) {
  Indices result;
  for (int dim : dims)
    result.push_back({dim, 0});
  return result;
}

Indices Statement::at() const { return indices(axes); }

Indices Statement::at(const Destination &to) const {
  Indices result = at();
  if (to.axis >= 0)
    result[to.axis].offset = to.offset;
  if (to.row >= 0)
    result.insert(result.begin(), Index{-1, to.row});
  return result;
}

bool Nest::hasSums() const {
  return llvm::any_of(statements, [](const Statement &s) { return s.isReduction(); });
}

SmallVector<SmallVector<int>> Nest::sumLoops() const {
  SmallVector<SmallVector<int>> loops;
  auto sum = llvm::find_if(statements, [](const Statement &s) { return s.isReduction(); });
  if (sum != statements.end())
    for (const Term &term : sum->terms)
      loops.push_back(term.reduced);
  return loops;
}

/// Reductions in one nest; more would not leave registers for their sums.
static constexpr int kMaxFusedReductions = 4;

/// Additions per sum that are cheaper done one by one than in a sweep of their own.
static constexpr int kMostSingleCost = 3;

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

/// The statement along the nest's dimensions.
static Statement placed(Statement statement, const Placement &placement) {
  for (int &dim : statement.axes)
    dim = placement.map[dim];
  for (Term &term : statement.terms)
    for (int &dim : term.reduced)
      dim = placement.map[dim];
  return statement;
}

/// True when a reduction can run in the loops that the nest's sums have, or is to have the first.
static bool mayShareLoops(const Nest &nest, const Statement &statement) {
  int reductions = llvm::count_if(nest.statements, [](const Statement &s) { return s.isReduction(); });
  if (reductions >= kMaxFusedReductions)
    return false;
  for (auto [d, dim] : llvm::enumerate(nest.dims))
    if (reductions && dim.reduction != llvm::is_contained(statement.terms.front().reduced, static_cast<int>(d)))
      return false;
  return true;
}

/// True when `statement`, which runs along the nest's dimensions, reads an element that moves in the sums' loops and that a sum of the
/// nest reads, too.
static bool readsAlike(const StepNests &plan, const Nest &nest, const Statement &statement) {
  Nest alone;
  alone.dims = nest.dims;
  alone.statements.push_back(statement);
  ArrayRef<int> reduced = statement.terms.front().reduced;
  for (const Read &own : plan.reads(alone))
    for (const Read &other : plan.reads(nest))
      if (own.value == other.value && own.at.size() == other.at.size() &&
          llvm::all_of(llvm::zip(own.at, other.at),
                       [](auto pair) {
                         auto [a, b] = pair;
                         return a.dim == b.dim && a.offset == b.offset;
                       }) &&
          llvm::any_of(own.at, [&](const Index &index) { return llvm::is_contained(reduced, index.dim); }))
        return true;
  return false;
}

/// A statement over all dimensions of `nest`, or nothing when the two do not share an iteration space.
static std::optional<Statement> fuse(const StepNests &plan, const Nest &nest, const Statement &statement,
                                     ArrayRef<int64_t> extents, ArrayRef<Read> own) {
  if (nest.chunkOp || nest.dims.size() != extents.size() || nest.sumLoops().size() > 1 || statement.terms.size() > 1)
    return std::nullopt;
  Placement placement(extents, nest);
  bool related = false;
  SmallVector<Read> there = plan.reads(nest);
  for (const Read &read : own)
    for (const Statement &producer : nest.statements)
      if (producer.value == read.value) {
        if (producer.isReduction() || producer.afterSums || !placement.bind(read.at, producer.at()))
          return std::nullopt;
        related = true;
      }
  for (const Read &read : own)
    for (const Read &other : there)
      if (!related && other.value == read.value && read.at.size() == extents.size() && read.at.size() > 1)
        related = placement.bind(read.at, other.at);
  ArrayRef<int> reduced = statement.isReduction() ? ArrayRef<int>(statement.terms.front().reduced) : ArrayRef<int>();
  if (!placement.complete(reduced, !related))
    return std::nullopt;
  Statement result = placed(statement, placement);
  if (result.isReduction() && !mayShareLoops(nest, result))
    return std::nullopt;
  // Unrelated statements gain nothing from one sweep unless they do the same kind of work. Sums that read nothing in common would only
  // take each other's registers: more rows and vectors of one of them use what is loaded again.
  if (!related && (result.isReduction() != nest.hasSums() || (result.isReduction() && !readsAlike(plan, nest, result))))
    return std::nullopt;
  // Sums that lie in memory the other way round (S x and Sᵀ y) would leave no axis for vectors.
  if (result.isReduction() && nest.hasSums()) {
    // Panels of several matrices would leave registers for fewer rows that share their loads.
    if (llvm::any_of(there, [&](const Read &read) { return plan.readsPanel(nest, read.value, read.at); }))
      return std::nullopt;
    Nest with = nest;
    with.statements.push_back(result);
    if (vectorDimension(plan, with, kPlannedLanes) != vectorDimension(plan, nest, kPlannedLanes))
      return std::nullopt;
  }
  return result;
}

/// A statement that follows the finished sums of `nest` in registers, or nothing when it does not read one of them at the element
/// that is being computed.
static std::optional<Statement> fuseAfterSums(const StepNests &plan, const Nest &nest, const Statement &statement,
                                              ArrayRef<int64_t> extents, ArrayRef<Read> own) {
  size_t parallel = llvm::count_if(nest.dims, [](const NestDim &dim) { return !dim.reduction; });
  SmallVector<Read> there = plan.reads(nest);
  if (!nest.hasSums() || statement.isReduction() || plan.readsItself(statement) || parallel != extents.size())
    return std::nullopt;
  Placement placement(extents, nest);
  bool related = false;
  for (const Read &read : own)
    for (const Statement &producer : nest.statements)
      if (producer.value == read.value) {
        // What is computed inside the loops of a sum is a row of elements, not one.
        if ((!producer.isReduction() && !producer.afterSums) || !placement.bind(read.at, producer.at()))
          return std::nullopt;
        related = true;
      }
  if (!related || !placement.complete({}, true))
    return std::nullopt;
  Nest with = nest;
  with.statements.push_back(placed(statement, placement));
  with.statements.back().afterSums = true;
  // Sums along vectors leave single numbers behind, with which little should be done.
  int vectors = vectorDimension(plan, nest, kPlannedLanes);
  bool single = vectors >= 0 && nest.dims[vectors].reduction;
  // Tiles of as many sizes as a team's rows need would repeat long code.
  single |= llvm::any_of(there, [&](const Read &read) { return plan.readsPanel(nest, read.value, read.at); });
  if (vectorDimension(plan, with, kPlannedLanes) != vectors ||
      (single && plan.ownCost(statement.value) > kMostSingleCost))
    return std::nullopt;
  return with.statements.back();
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
  for (const Term &term : statement.terms)
    for (int dim : term.reduced)
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
        if (!makes(producer, memory))
          continue;
        bool piece = producer.destinations.front().axis >= 0;
        bool late = statement.isReduction() && (producer.isReduction() || producer.afterSums);
        bool sameElement = !piece && !late && memory == read.value;
        earliest = std::max(earliest, n + (sameElement ? 0 : 1));
      }
  auto join = [&](Nest &nest, const Statement &fused) {
    for (const Term &term : fused.terms)
      for (int dim : term.reduced)
        nest.dims[dim].reduction = true;
    nest.statements.push_back(fused);
  };
  if (earliest < list.size() && list[earliest].perSequence == sequence)
    if (auto fused = fuseAfterSums(*this, list[earliest], statement, extents, own))
      return join(list[earliest], *fused);
  for (size_t n = list.size(); n-- > earliest;)
    if (list[n].perSequence == sequence)
      if (auto fused = fuse(*this, list[n], statement, extents, own))
        return join(list[n], *fused);
  list.push_back(std::move(alone));
}
