// See BlockProduct.h. Rows of 128 or 256 bytes are cut into pieces of 16, which are exchanged by the row's number, so that neither copies nor
// reads meet in a bank.
#include "compiler/Target/CUDA/BlockProduct.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// Tiles of 16 rows and of 8 columns that a warp has: two warps along the rows, four along the columns.
static constexpr int64_t kRowTiles = 4, kColumnTiles = 4;

void BlockProduct::placeTwo(OpBuilder &b, Operation *kernel) {
  kernel->setAttr("passthrough", b.getArrayAttr({b.getStrArrayAttr({"nvvm.minctasm", "2"})}));
}

/// Eight elements of a row.
void BlockProduct::copyPiece(const Rows &rows, Value row, Value column, Value to) {
  Value exists = l.less(row, rows.count), inMatrix = l.add(rows.firstColumn, column);
  Value at = l.add(rows.pointer,
                   arith::MulIOp::create(b, loc, l.wide(l.least(row, l.sub(rows.count, l.i32(1)))), rows.stride));
  auto pointerTo = [&](Value which) -> Value {
    Value address = l.add(at, l.wide(l.shl(which, 1)));
    return LLVM::IntToPtrOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), 1), address);
  };
  auto choice = scf::IfOp::create(b, loc, rows.aligned, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  Value first = l.least(inMatrix, l.i32(std::max<int64_t>(0, rows.columns - 8)));
  Value all = l.both(exists, l.less(inMatrix, l.i32(rows.columns)));
  l.copyAsync(to, pointerTo(first), l.select(all, l.i32(16), l.i32(0)));
  b.setInsertionPointToStart(choice.elseBlock());
  Value zero = arith::ConstantIntOp::create(b, loc, b.getI16Type(), 0);
  for (int64_t i = 0; i < 8; ++i) {
    Value here = l.add(inMatrix, i), inside = l.both(exists, l.less(here, l.i32(rows.columns)));
    Value value = l.load(b.getI16Type(), pointerTo(l.least(here, l.i32(rows.columns - 1))));
    l.storeShared(l.select(inside, value, zero), to, 2 * i);
  }
}

void BlockProduct::copy(Order order, const Rows &rows, Value to) {
  int64_t columns = columnsOf(order), pieces = columns / 8, lines = threads / pieces;
  Value piece = l.bitAnd(thread, pieces - 1), line = l.div(thread, pieces);
  // A thread's rows are a multiple of 8 apart.
  Value place = l.add(to, l.shl(l.bitXor(piece, l.bitAnd(line, 7)), 4));
  for (int64_t first = 0; first < side * depth / columns; first += lines) {
    Value row = l.add(line, first);
    copyPiece(rows, row, l.shl(piece, 3), l.add(place, l.mul(row, columns * 2)));
  }
}

void BlockProduct::fill(Order order, function_ref<Value(Value, Value)> make, Value to) {
  int64_t columns = columnsOf(order), pairs = columns / 2, lines = threads / pairs;
  Value pair = l.bitAnd(thread, pairs - 1), line = l.div(thread, pairs), column = l.shl(pair, 1);
  SmallVector<Value> words, places; // all loads before the first store
  for (int64_t first = 0; first < side * depth / columns; first += lines) {
    Value row = l.add(line, first);
    words.push_back(l.pack(make(row, column), make(row, l.add(column, 1))));
    Value piece = l.bitXor(l.shr(pair, 2), l.bitAnd(row, 7));
    places.push_back(l.add(l.add(to, l.mul(row, columns * 2)), l.add(l.shl(piece, 4), l.shl(l.bitAnd(pair, 3), 2))));
  }
  for (auto [word, place] : llvm::zip(words, places))
    l.storeShared(word, place);
}

SmallVector<Value> BlockProduct::multiply(Order leftOrder, Value left, Order rightOrder, Value right, ValueRange sums) {
  SmallVector<Accumulator> acc;
  for (size_t i = 0; i < sums.size(); i += 4)
    acc.push_back({sums[i], sums[i + 1], sums[i + 2], sums[i + 3]});
  Value lane = l.bitAnd(thread, 31), warp = l.shr(thread, 5);
  Value seven = l.bitAnd(lane, 7), odd = l.bitAnd(l.shr(lane, 3), 1), late = l.shr(lane, 4);
  Value firstRow = l.mul(l.div(warp, 4), kRowTiles * 16), firstColumn = l.mul(l.bitAnd(warp, 3), kColumnTiles * 8);
  // A lane gives the address of one row of a core. `own` counts the operand's own rows (of its eight), `summed` the summed axis.
  auto cores = [&](Order order, Value from, Value own, Value ownHalf, Value summed, Value summedHalf) {
    bool inside = order == Order::SummedInside;
    int64_t bytes = columnsOf(order) * 2;
    Value row = inside ? l.add(own, l.shl(ownHalf, 3)) : l.add(summed, l.shl(summedHalf, 3));
    Value piece = inside ? l.add(l.shr(summed, 3), summedHalf) : l.add(l.shr(own, 3), ownHalf);
    Value at = l.add(from, l.add(l.mul(l.add(row, seven), bytes), l.shl(l.bitXor(piece, seven), 4)));
    return l.loadCores(at, 0, /*transposed=*/!inside);
  };
  for (int64_t k = 0; k < depth; k += 16) {
    SmallVector<SmallVector<Value>> columns;
    for (int64_t t = 0; t < kColumnTiles; t += 2) {
      SmallVector<Value> two = cores(rightOrder, right, l.add(firstColumn, t * 8), late, l.i32(k), odd);
      columns.push_back({two[0], two[1]});
      columns.push_back({two[2], two[3]});
    }
    for (int64_t r = 0; r < kRowTiles; ++r) {
      SmallVector<Value> rows = cores(leftOrder, left, l.add(firstRow, r * 16), odd, l.i32(k), late);
      for (int64_t t = 0; t < kColumnTiles; ++t)
        acc[r * kColumnTiles + t] = l.multiply(rows, columns[t], acc[r * kColumnTiles + t]);
    }
  }
  SmallVector<Value> result;
  for (const Accumulator &each : acc)
    result.append(each.begin(), each.end());
  return result;
}

void BlockProduct::forEachPair(ValueRange sums, function_ref<void(Value, Value, Value, Value)> body) {
  Value lane = l.bitAnd(thread, 31), warp = l.shr(thread, 5);
  Value firstRow = l.add(l.mul(l.div(warp, 4), kRowTiles * 16), l.shr(lane, 2));
  Value firstColumn = l.add(l.mul(l.bitAnd(warp, 3), kColumnTiles * 8), l.shl(l.bitAnd(lane, 3), 1));
  for (int64_t r = 0; r < kRowTiles; ++r)
    for (int64_t half : {0, 1})
      for (int64_t t = 0; t < kColumnTiles; ++t) {
        int64_t at = (r * kColumnTiles + t) * 4 + 2 * half;
        body(l.add(firstRow, r * 16 + half * 8), l.add(firstColumn, t * 8), sums[at], sums[at + 1]);
      }
}

void BlockProduct::storePair(Value address, Value low, Value high, Value both) {
  int64_t bytes = low.getType().getIntOrFloatBitWidth() / 8;
  Value bits = l.bitAnd(arith::TruncIOp::create(b, loc, b.getI32Type(), address), 2 * bytes - 1);
  auto pointer = [&](int64_t offset) -> Value {
    Value at = l.add(address, arith::ConstantIntOp::create(b, loc, b.getI64Type(), offset));
    return LLVM::IntToPtrOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext(), 1), at);
  };
  auto choice = scf::IfOp::create(b, loc, l.both(l.equal(bits, l.i32(0)), both), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  l.store(l.pair(low, high), pointer(0));
  b.setInsertionPointToStart(choice.elseBlock());
  l.store(low, pointer(0));
  auto second = scf::IfOp::create(b, loc, both, /*withElseRegion=*/false);
  b.setInsertionPointToStart(second.thenBlock());
  l.store(high, pointer(bytes));
}
