// The cost model of register tiles. See NestTiling.h.
#include "compiler/Target/CPU/NestTiling.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <functional>

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

static ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

static bool isComplex(Value value) {
  return isa<ComplexType>(cast<RankedTensorType>(value.getType()).getElementType());
}

SmallVector<std::pair<int64_t, int64_t>, 2> rondo::cpu::evenTiles(int64_t extent, int64_t most) {
  SmallVector<std::pair<int64_t, int64_t>, 2> tiles;
  if (extent == 0)
    return tiles;
  int64_t count = llvm::divideCeil(extent, most), size = extent / count, larger = extent % count;
  if (larger)
    tiles.push_back({larger, size + 1});
  tiles.push_back({count - larger, size});
  return tiles;
}

/// How little vectors along `dim` would serve: the number of accesses that do not move with it. Nothing when one would have to
/// gather elements that are no neighbours.
static std::optional<int64_t> accessPenalty(const StepNests &plan, const Nest &nest, int dim, ArrayRef<Read> reads) {
  int64_t penalty = 0;
  bool gathers = false;
  auto add = [&](ArrayRef<int64_t> shape, ArrayRef<Index> at) {
    int64_t stride = 0, inner = 1;
    for (size_t i = shape.size(); i-- > 0; inner *= shape[i])
      if (at[i].dim == dim)
        stride += inner;
    gathers |= stride > 1;
    penalty += stride == 0;
  };
  for (const Read &read : reads) {
    if (!plan.readsPanel(nest, read.value, read.at)) {
      add(shapeOf(read.value), read.at);
      continue;
    }
    bool reads = llvm::any_of(read.at, [&](Index index) { return index.dim == dim; });
    gathers |= reads && nest.dims[dim].reduction;
    penalty += !reads;
  }
  // A part of a concatenation lies in the whole, where its rows are further apart.
  for (const Statement &statement : nest.statements)
    for (const Destination &to : statement.destinations) {
      bool isPart = to.kind == Destination::Scratch && to.axis >= 0;
      add(isPart ? ArrayRef<int64_t>(plan.buffers[to.number].shape) : shapeOf(statement.value), statement.at());
    }
  if (gathers)
    return std::nullopt;
  // Lanes of a reduction must be summed at the end.
  return penalty * 4 + (nest.dims[dim].reduction ? 2 : 0);
}

int rondo::cpu::vectorDimension(const StepNests &plan, const Nest &nest, int64_t widest) {
  SmallVector<Read> reads = plan.reads(nest);
  bool manyLoops = nest.sumLoops().size() > 1; // one of them could have lanes, the others not
  int64_t best = INT64_MAX;
  int result = -1;
  for (int d = 0; d < static_cast<int>(nest.dims.size()); ++d) {
    if (nest.dims[d].extent < std::min<int64_t>(4, widest) || (manyLoops && nest.dims[d].reduction))
      continue;
    std::optional<int64_t> penalty = accessPenalty(plan, nest, d, reads);
    if (penalty && *penalty <= best) {
      best = *penalty;
      result = d;
    }
  }
  return result;
}

/// Where vectors run along a sum, the dimension along which all that comes out of the sums, and all that follows them reads, is contiguous
/// or repeated; -1: none.
static int groupDimension(const StepNests &plan, const Nest &nest, int vectors) {
  if (vectors < 0 || !nest.dims[vectors].reduction)
    return -1;
  SmallVector<Read> reads = plan.reads(nest);
  auto isNeighbour = [](ArrayRef<int64_t> shape, ArrayRef<Index> at, int dim) {
    return shape.empty() || llvm::none_of(ArrayRef(at).drop_back(), [&](const Index &i) { return i.dim == dim; });
  };
  auto isSum = [](const Statement &statement) {
    auto reduce = statement.value.getDefiningOp<recur::ReduceOp>();
    return !statement.isReduction() || !reduce || reduce.getKind() == recur::Reduction::Sum;
  };
  for (int d = nest.dims.size() - 1; d >= 0; --d) {
    bool fits = !nest.dims[d].reduction;
    for (const Statement &statement : nest.statements)
      if (statement.isReduction() || statement.afterSums)
        fits &=
            !isComplex(statement.value) && isSum(statement) && isNeighbour(shapeOf(statement.value), statement.at(), d);
    for (const Read &read : reads)
      if (nest.statements[read.statement].afterSums)
        fits &= isNeighbour(shapeOf(read.value), read.at, d);
    if (fits)
      return d;
  }
  return -1;
}

/// Additions of products in what computes `value` where it is used: they cost nothing beside the products.
static int fusedAdditions(const StepNests &plan, Value value, bool isRoot = true) {
  Operation *op = value.getDefiningOp();
  if (!op || (!isRoot && plan.isStored(value)))
    return 0;
  auto isProduct = [&](Value operand) {
    auto contract = operand.getDefiningOp<recur::ContractOp>();
    auto map = operand.getDefiningOp<recur::MapOp>();
    return !plan.isStored(operand) &&
           ((contract && contract->getNumOperands() > 1) || (map && map.getFn() == recur::Fn::Mul));
  };
  auto map = dyn_cast<recur::MapOp>(op);
  bool adds = map && (map.getFn() == recur::Fn::Add || map.getFn() == recur::Fn::Sub);
  int count = adds && llvm::any_of(op->getOperands(), isProduct);
  for (Value operand : op->getOperands())
    count += fusedAdditions(plan, operand, false);
  return count;
}

namespace {

/// Cycles that one sum takes to be added up from the lanes of its vector, and stored: on its own, and in a group.
constexpr double kSingleSum = 3, kGroupedSum = 1;

/// Cycles that it takes to read again what has no register, where loops are bound by arithmetic.
constexpr double kSpill = 0.25;

/// Numbers that an elementwise value multiplies its vectors by are at hand one after another.
constexpr int64_t kRepeatedAtHand = 2;

/// Cycles until a multiply-add's result can be added to, and one to spare.
constexpr double kLatency = 5;

/// Rows of matrices that are read side by side, of as many as the hardware reads ahead, and what more of them cost in an iteration, with the
/// square of their number. Measured on products of a vector with one to four matrices of 96 to 1536 rows and columns, on a processor with
/// vectors of 16: of 16 rows a load took 0.3 to 1.3 cycles longer than of 8, of 12 rows up to 0.2. This is the least of it, since fewer rows
/// are fewer sums to share the work behind the loop.
constexpr int64_t kRowsAhead = 8;
constexpr double kRowsBehind = 0.08;

/// What the loops of a nest cost, in cycles of a machine with two multiply-adds and two loads a cycle.
class LoopCost {
public:
  LoopCost(const StepNests &plan, const Nest &nest, const NestTiling &tiling, const TilingTarget &target)
      : nest(nest), tiling(tiling), target(target), batch(nest.dims.size()) {
    for (ArrayRef<int> dims : nest.sumLoops()) {
      Loop &loop = loops.emplace_back();
      for (int d : dims)
        loop.dims |= 1u << d;
    }
    if (loops.empty())
      loops.emplace_back();
    addReads(plan);
    for (const Statement &statement : nest.statements) {
      int width = isComplex(statement.value) ? 2 : 1;
      if (statement.isReduction())
        sums += width;
      for (auto [loop, term] : llvm::zip(loops, statement.terms))
        loop.arithmetic += width * width * std::max(1, plan.ownCost(term.value));
      if (statement.isReduction() || statement.afterSums)
        continue;
      int cost = plan.ownCost(statement.value) - fusedAdditions(plan, statement.value);
      loops.front().arithmetic += width * width * std::max(1, cost);
      loops.front().stores += width * statement.destinations.size();
    }
  }

  int64_t extent(int dim) const { return dim == batch ? target.rows : nest.dims[dim].extent; }
  bool isReduced(int dim) const { return dim != batch && nest.dims[dim].reduction; }
  int64_t blocks(int dim) const { return dim == tiling.vectorDim ? extent(dim) / tiling.lanes : extent(dim); }

  /// True when running sums and the operands at hand have registers. What stays the same in a loop is read from memory where it has none.
  bool fits(ArrayRef<int64_t> unroll) const {
    return llvm::all_of(loops, [&](const Loop &loop) { return freeRegisters(loop, unroll) >= 0; });
  }
  /// Cycles for all of the nest's elements.
  double total(ArrayRef<int64_t> unroll) const {
    SmallVector<int64_t> now(unroll.size(), 1);
    std::function<double(int)> from = [&](int dim) -> double {
      if (dim > batch)
        return loopCycles(now);
      if (isReduced(dim) && dim != tiling.vectorDim)
        return from(dim + 1);
      double cycles = 0;
      for (auto [count, size] : evenTiles(blocks(dim), unroll[dim])) {
        now[dim] = size;
        cycles += count * from(dim + 1);
      }
      return cycles;
    };
    double cycles = from(0);
    if (tiling.vectorDim >= 0 && isReduced(tiling.vectorDim)) // lanes are added up
      cycles += sums * points() * (perSum(unroll) + 0.5 * (unroll[tiling.vectorDim] - 1));
    return cycles;
  }

  /// Elements that the loops read and that move along `dim`.
  double footprint(int dim) const {
    double total = 0;
    for (const Access &access : accesses) {
      double elements = access.width;
      for (int d = 0; d <= batch; ++d)
        elements *= access.dims >> d & 1 ? extent(d) : 1;
      total += access.dims >> dim & 1 ? elements : 0;
    }
    return total;
  }

private:
  /// A value that is read inside the loops: the dimensions that it moves along, whether one is summed over, registers per element,
  /// and the statements that read it.
  struct Access {
    Value value;
    Indices rows; // what does not move with a dimension, where it lies
    uint32_t dims;
    bool moving;
    int64_t width;
    uint64_t readers;
  };
  /// The loops of one term of the sums, or of the elementwise statements.
  struct Loop {
    uint32_t dims = 0;
    double arithmetic = 0, stores = 0;
  };

  void addReads(const StepNests &plan) {
    for (const Read &read : plan.reads(nest)) {
      if (nest.statements[read.statement].afterSums)
        continue;
      uint32_t dims = plan.isPerSequence(read.value) ? 1u << batch : 0;
      bool moving = false;
      Indices rows;
      llvm::copy_if(read.at, std::back_inserter(rows), [](const Index &index) { return index.dim < 0; });
      for (const Index &index : read.at)
        if (index.dim >= 0) {
          dims |= 1u << index.dim;
          moving |= isReduced(index.dim);
        }
      auto *known = llvm::find_if(
          accesses, [&](const Access &a) { return a.value == read.value && a.dims == dims && a.rows == rows; });
      if (known == accesses.end()) {
        accesses.push_back({read.value, rows, dims, moving, isComplex(read.value) ? 2 : 1, 0});
        known = &accesses.back();
      }
      known->readers |= uint64_t(1) << std::min(read.statement, 63);
    }
  }
  /// Registers that running sums and the operands at hand leave; negative where they have not enough.
  int64_t freeRegisters(const Loop &loop, ArrayRef<int64_t> unroll) const {
    // Points of a tile are worked on in the order of the dimensions, the vectors last: what does not move with the first of them is
    // used again, and so is what several statements read.
    uint32_t outermost = 0;
    for (int d = batch; d >= 0; --d)
      if (unroll[d] > 1 && (d != tiling.vectorDim || !outermost))
        outermost = 1u << d;
    if (int group = tiling.groupDim; group >= 0 && unroll[group] > 1)
      outermost = 1u << group;
    int64_t taken = sums * llvm::product_of(unroll), most = 0;
    for (auto [number, statement] : llvm::enumerate(nest.statements)) {
      int64_t vectors = 0, repeated = 0;
      bool isInside = !statement.isReduction() && !statement.afterSums;
      for (const Access &access : accesses) {
        if (!(access.readers >> number & 1) || !access.moving || (loop.dims && !(access.dims & loop.dims)))
          continue;
        bool isRepeated = isInside && tiling.vectorDim >= 0 && !(access.dims >> tiling.vectorDim & 1);
        (isRepeated ? repeated : vectors) +=
            access.width * copies(access.dims & ~(llvm::popcount(access.readers) > 1 ? 0 : outermost), unroll);
      }
      most = std::max(most, vectors + std::min(repeated, kRepeatedAtHand));
      if (isInside) // results wait until all are computed
        taken += sums ? copies(dimsOf(statement), unroll) : 0;
    }
    return target.registers - taken - most;
  }
  static uint32_t dimsOf(const Statement &statement) {
    uint32_t dims = 0;
    for (int d : statement.axes)
      dims |= 1u << d;
    return dims;
  }
  /// Registers of what stays the same in a loop that have to be read from memory each time.
  int64_t spilled(const Loop &loop, ArrayRef<int64_t> unroll) const {
    int64_t same = 0;
    for (const Access &access : accesses)
      same += access.moving ? 0 : access.width * copies(access.dims, unroll);
    return std::max<int64_t>(0, same - std::max<int64_t>(0, freeRegisters(loop, unroll)));
  }
  static int64_t copies(uint32_t dims, ArrayRef<int64_t> unroll) {
    int64_t count = 1;
    for (auto [d, n] : llvm::enumerate(unroll))
      count *= dims >> d & 1 ? n : 1;
    return count;
  }
  /// On average: tiles of some sizes are groups.
  double perSum(ArrayRef<int64_t> unroll) const {
    if (tiling.groupDim < 0)
      return kSingleSum;
    double grouped = 0;
    for (auto [count, size] : evenTiles(extent(tiling.groupDim), unroll[tiling.groupDim]))
      grouped += size % tiling.groupLanes ? 0 : count * size;
    return kSingleSum - (kSingleSum - kGroupedSum) * grouped / extent(tiling.groupDim);
  }
  int64_t points() const {
    int64_t count = 1;
    for (int d = 0; d <= batch; ++d)
      count *= isReduced(d) ? 1 : blocks(d);
    return count;
  }
  /// Cycles of all loops for one tile.
  double loopCycles(ArrayRef<int64_t> unroll) const {
    double cycles = 0;
    for (const Loop &loop : loops) {
      double times = 1;
      for (int d = 0; d < batch; ++d)
        times *= loop.dims >> d & 1 && d != tiling.vectorDim ? extent(d) : 1;
      cycles += times * iteration(loop, unroll);
    }
    return cycles;
  }
  /// Rows of what all sequences share that an iteration reads a piece of each of.
  int64_t rowsRead(const Loop &loop, ArrayRef<int64_t> unroll) const {
    if (tiling.vectorDim < 0 || !isReduced(tiling.vectorDim))
      return 0;
    int64_t rows = 0;
    const uint32_t along = 1u << tiling.vectorDim;
    for (const Access &access : accesses)
      if (access.dims & loop.dims & along && !(access.dims >> batch & 1))
        rows += access.width * copies(access.dims & ~along, unroll);
    return rows;
  }
  double iteration(const Loop &loop, ArrayRef<int64_t> unroll) const {
    int64_t n = llvm::product_of(unroll);
    const double behind = std::max<int64_t>(0, rowsRead(loop, unroll) - kRowsAhead);
    double loads = 0, stores = loop.stores * n;
    for (const Access &access : accesses)
      if (access.dims & loop.dims)
        loads += access.width * copies(access.dims, unroll);
    // A loop's own instructions; loads cost a little even where there is time for them.
    double latency = sums ? kLatency : 0;
    double overhead = 0.5 + 0.02 * loads + kSpill * spilled(loop, unroll) + kRowsBehind * behind * behind;
    return std::max({loop.arithmetic * n / 2, (loads + stores) / 2, stores, latency}) + overhead;
  }

  const Nest &nest;
  const NestTiling &tiling;
  const TilingTarget &target;
  int batch;
  SmallVector<Access> accesses;
  SmallVector<Loop> loops;
  int64_t sums = 0;
};

} // namespace

/// Tiles of one to so many elements or vectors of a dimension.
static constexpr int64_t kLargestTile = 8;

/// A larger tile is more code: it has to be faster by this factor.
static constexpr double kWorthMoreCode = 1.01;

/// The cheapest tile of the dimensions `tiled`; all others are left at 1.
static SmallVector<int64_t> cheapestTile(const LoopCost &cost, ArrayRef<int> tiled, size_t dims, int64_t rowsAtOnce) {
  SmallVector<std::pair<double, SmallVector<int64_t>>> tiles;
  SmallVector<int64_t> unroll(dims, 1);
  std::function<void(size_t)> search = [&](size_t position) {
    if (position == tiled.size()) {
      tiles.push_back({cost.total(unroll), unroll});
      return;
    }
    int dim = tiled[position];
    int64_t most = dim == static_cast<int>(dims) - 1 ? rowsAtOnce : kLargestTile;
    for (int64_t n = 1; n <= std::clamp<int64_t>(cost.blocks(dim), 1, most); ++n) {
      unroll[dim] = n;
      if (n > 1 && !cost.fits(unroll))
        break;
      search(position + 1);
    }
    unroll[dim] = 1;
  };
  search(0);
  double best = llvm::min_element(tiles)->first;
  llvm::erase_if(tiles, [&](const auto &tile) { return tile.first > best * kWorthMoreCode; });
  auto size = [](const auto &tile) { return llvm::product_of(tile.second); };
  return llvm::min_element(tiles,
                           [&](const auto &x, const auto &y) {
                             return std::make_pair(size(x), x.first) < std::make_pair(size(y), y.first);
                           })
      ->second;
}

NestTiling rondo::cpu::chooseTiling(const StepNests &plan, const Nest &nest, const TilingTarget &target) {
  NestTiling tiling;
  int batch = nest.dims.size(), vectors = tiling.vectorDim = vectorDimension(plan, nest, target.lanes);
  if (vectors >= 0)
    tiling.lanes = std::min<int64_t>(target.lanes, llvm::bit_floor(static_cast<uint64_t>(nest.dims[vectors].extent)));
  if (tiling.lanes >= target.groupLanes)
    tiling.groupDim = groupDimension(plan, nest, vectors);
  tiling.groupLanes = target.groupLanes;
  bool sums = nest.hasSums();
  LoopCost cost(plan, nest, tiling, target);
  tiling.unroll.assign(nest.dims.size() + 1, 1);

  if (!sums)
    tiling.parallel.push_back(batch);
  for (int d = 0; d < batch; ++d)
    if (!nest.dims[d].reduction && d != vectors)
      tiling.parallel.push_back(d);
  if (sums)
    tiling.parallel.push_back(batch);
  if (vectors >= 0 && !nest.dims[vectors].reduction)
    tiling.parallel.push_back(vectors);
  if (!sums) {
    if (vectors >= 0)
      tiling.unroll[vectors] = std::clamp<int64_t>(cost.blocks(vectors), 1, 2);
    return tiling;
  }
  SmallVector<int> tiled(tiling.parallel);
  if (vectors >= 0 && nest.dims[vectors].reduction)
    tiled.push_back(vectors);
  tiling.unroll = cheapestTile(cost, tiled, tiling.unroll.size(), target.rowsAtOnce);
  // A second iteration in the innermost loop, where nothing but sums is computed in it.
  // Vectors of a panel have all registers that sums leave.
  bool onlySums =
      llvm::all_of(nest.statements, [](const Statement &s) { return s.isReduction() || s.afterSums; }) &&
      llvm::none_of(plan.reads(nest), [&](const Read &read) { return plan.readsPanel(nest, read.value, read.at); });
  if (vectors < 0 || !nest.dims[vectors].reduction)
    for (ArrayRef<int> loop : nest.sumLoops())
      tiling.unroll[loop.back()] = onlySums ? std::min<int64_t>(2, nest.dims[loop.back()].extent) : 1;
  // What moves with an inner loop is read again for every block of an outer one, so the larger operand stands outside.
  SmallVector<int> plain(tiling.parallel);
  auto rank = [&](int d) { return std::make_pair(-cost.footprint(d), llvm::find(plain, d)); };
  llvm::sort(tiling.parallel, [&](int x, int y) { return rank(x) < rank(y); });
  return tiling;
}
