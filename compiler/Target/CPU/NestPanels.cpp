// Nests of kernels that threads run together: how a nest is shared out among them, tiles of rows whose number is known at run time only, and
// parameters that are laid out for the nest's tiles. See NestEmitter.h.
//
// A *panel* is what one tile reads of a matrix that it sums up: for a tile of w elements beginning at u, the element at (u + j, k) lies at
// u K + k w + j, where K elements are summed. The loops over k then read one stream of whole vectors, and the sums need no adding up of
// lanes, whichever way the caller's matrix lies.
#include "compiler/Target/CPU/NestEmitter.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

bool StepNests::readsPanel(const Nest &nest, Value value, ArrayRef<Index> at) const {
  if (!packs || !nest.perSequence || !packable.contains(value) || at[0].dim < 0 || at[1].dim < 0)
    return false;
  return nest.dims[at[0].dim].reduction != nest.dims[at[1].dim].reduction;
}

/// Tiles of rows, as even as can be: at most `unroll` rows each. Every size has a loop, of which all but two are empty.
SmallVector<NestEmitter::Segment> NestEmitter::rowSegments() {
  int64_t most = tiling.unroll[batchDim()];
  auto index = [&](int64_t value) { return arith::ConstantIndexOp::create(b, loc, value).getResult(); };
  if (most == 1)
    return {Segment{0, rows, 1, false, 1, index(0), env.rowCount}};
  Value count = arith::CeilDivUIOp::create(b, loc, env.rowCount, index(most));
  Value size = arith::DivUIOp::create(b, loc, env.rowCount, count);
  Value larger = arith::RemUIOp::create(b, loc, env.rowCount, count);
  Value border = arith::MulIOp::create(b, loc, larger, arith::AddIOp::create(b, loc, size, index(1)));
  SmallVector<Segment> result;
  for (int64_t rows = most; rows > 0; --rows) {
    auto isSize = [&](int64_t n) {
      return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, size, index(n)).getResult();
    };
    auto choose = [&](Value which, Value yes, Value no) {
      return arith::SelectOp::create(b, loc, which, yes, no).getResult();
    };
    Value from = choose(isSize(rows), border, index(0));
    Value to = choose(isSize(rows), env.rowCount, choose(isSize(rows - 1), border, index(0)));
    result.push_back({0, this->rows, rows, false, rows, from, to});
  }
  return result;
}

/// Every thread does a part of the longest dimension, or the first one does all where nothing can be shared out.
void NestEmitter::shareOut() {
  auto longest = llvm::max_element(tiling.parallel, [&](int x, int y) { return extent(x) < extent(y); });
  if (longest != tiling.parallel.end() && extent(*longest) > 1) {
    for (Segment &segment : cuts[*longest])
      segment = shareOf(segment);
    return;
  }
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value first = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, env.member, zero);
  auto alone = scf::IfOp::create(b, loc, first, /*withElseRegion=*/false);
  b.setInsertionPointToStart(alone.thenBlock());
}

/// What one thread does of a segment: whole tiles.
NestEmitter::Segment NestEmitter::shareOf(Segment segment) {
  auto index = [&](int64_t value) { return arith::ConstantIndexOp::create(b, loc, value).getResult(); };
  Value from = segment.from ? segment.from : index(segment.begin), to = segment.to ? segment.to : index(segment.end);
  Value step = index(segment.step);
  Value tiles = arith::DivUIOp::create(b, loc, arith::SubIOp::create(b, loc, to, from), step);
  auto border = [&](Value member) {
    Value tile = arith::DivUIOp::create(b, loc, arith::MulIOp::create(b, loc, tiles, member), env.members);
    return arith::AddIOp::create(b, loc, from, arith::MulIOp::create(b, loc, tile, step)).getResult();
  };
  segment.from = border(env.member);
  segment.to = border(arith::AddIOp::create(b, loc, env.member, index(1)));
  return segment;
}

/// The axis of a panel's matrix that is not summed over.
static unsigned keptAxis(const Nest &nest, ArrayRef<Index> at) { return nest.dims[at[0].dim].reduction ? 1 : 0; }

Element NestEmitter::loadPanel(const Place &panel, ArrayRef<Index> at, int level) {
  unsigned kept = keptAxis(nest, at);
  int u = at[kept].dim, k = at[1 - kept].dim;
  int64_t summed = nest.dims[k].extent, width = dims[u].count * (dims[u].vector ? tiling.lanes : 1);
  int64_t constant = dims[u].start * summed + (*point)[u] + (dims[k].start + (*point)[k]) * width;
  SmallVector<Summand> summands;
  for (auto [dim, stride] : {std::pair(u, summed), std::pair(k, width)})
    if (dims[dim].iv)
      summands.push_back({dims[dim].level, Index{dim, 0}, stride, {}});
  Value from = sumUp(panel, summands, constant, level);
  return loadElement(b, loc, ops, panel, from, movesWithLanes(at) ? tiling.lanes : 0);
}

/// The columns of `rows`, as many as there are.
static SmallVector<Value> transposed(OpBuilder &b, Location loc, SmallVector<Value> rows) {
  int64_t size = rows.size(), half = size / 2;
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < half; ++i) {
    low.append({i, size + i});
    high.append({half + i, size + half + i});
  }
  for (int64_t stage = 1; stage < size; stage *= 2) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < half; ++i)
      for (ArrayRef<int64_t> lanes : {ArrayRef(low), ArrayRef(high)})
        next.push_back(vector::ShuffleOp::create(b, loc, rows[i], rows[i + half], lanes));
    rows = std::move(next);
  }
  return rows;
}

/// Squares of as many elements as a vector has lanes, turned around where the matrix lies with what is summed along its rows; single
/// elements where no whole square is left.
void NestEmitter::emitPanel(const Place &panel, Value param, ArrayRef<Index> at) {
  tile();
  OpBuilder::InsertionGuard guard(b);
  unsigned kept = keptAxis(nest, at);
  int64_t summed = nest.dims[at[1 - kept].dim].extent;
  Place source = env.placeOf(param);
  SmallVector<int64_t> strides = source.strides();
  auto index = [&](int64_t value) { return arith::ConstantIndexOp::create(b, loc, value).getResult(); };
  auto add = [&](Value x, Value y) { return arith::AddIOp::create(b, loc, x, y).getResult(); };
  auto mul = [&](Value x, int64_t y) { return arith::MulIOp::create(b, loc, x, index(y)).getResult(); };
  Value first = add(source.base, index(at[0].offset * strides[0] + at[1].offset * strides[1]));
  auto loop = [&](Value from, Value to, int64_t step) {
    auto result = scf::ForOp::create(b, loc, from, to, index(step));
    b.setInsertionPointToStart(result.getBody());
    return result.getInductionVar();
  };
  auto copySquare = [&](Value from, Value into, int64_t width, int64_t lanes) {
    SmallVector<Value> rows;
    for (int64_t i = 0; i < lanes; ++i)
      rows.push_back(loadElement(b, loc, ops, source, add(from, index(i * strides[0])), lanes).re);
    if (kept == 0)
      rows = transposed(b, loc, std::move(rows));
    for (auto [i, row] : llvm::enumerate(rows))
      storeElement(b, loc, ops, panel, add(into, index(i * width)), {row, {}}, lanes);
  };
  for (const Segment &segment : cuts[at[kept].dim]) {
    Segment mine = shareOf(segment);
    int64_t width = segment.step, lanes = segment.vector && tiling.lanes > 1 ? tiling.lanes : 0;
    int64_t whole = lanes ? summed / lanes * lanes : 0;
    for (auto [begin, end, square] : {std::tuple(int64_t(0), whole, true), std::tuple(whole, summed, false)}) {
      if (begin == end)
        continue;
      int64_t step = square ? lanes : 1;
      OpBuilder::InsertionGuard inner(b);
      Value u = loop(mine.from, mine.to, width), k = loop(index(begin), index(end), step);
      Value j = loop(index(0), index(width), step);
      Value from = add(first, add(mul(add(u, j), strides[kept]), mul(k, strides[1 - kept])));
      Value into = add(panel.base, add(mul(u, summed), add(mul(k, width), j)));
      if (square)
        copySquare(from, into, width, lanes);
      else
        storeElement(b, loc, ops, panel, into, loadElement(b, loc, ops, source, from, 0), 0);
    }
  }
}
