// What a tile program knows of the values of its chunk. See TileProgram.h.
#include "compiler/Target/CUDA/TileProgram.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// The number of axes before and after the bar.
static std::pair<size_t, size_t> axesOf(Value value) {
  recur::DimsAttr dims = recur::dimsOf(value.getType());
  return {dims.getAxes().size(), dims.getNames().size()};
}
bool rondo::cuda::isPerStep(Value value) { return axesOf(value) == std::pair<size_t, size_t>(1, 0); }
bool rondo::cuda::isRows(Value value) { return axesOf(value) == std::pair<size_t, size_t>(1, 1); }

bool rondo::cuda::isElementwise(recur::ContractOp contract) {
  auto spec = recur::parseContractSpec(contract.getSpec());
  if (!spec || !isRows(contract))
    return false;
  return llvm::all_of(spec->operands, [&](const std::string &letters) {
    return letters == spec->result || letters == spec->result.substr(0, 1);
  });
}

bool rondo::cuda::isInner(recur::ContractOp contract) {
  auto spec = recur::parseContractSpec(contract.getSpec());
  return spec && isPerStep(contract) && llvm::all_of(contract.getOperands(), isRows) &&
         llvm::all_equal(spec->operands) && spec->operands[0][0] == spec->result[0];
}

template <typename Range, typename Entry> static int64_t indexIn(const Range &range, const Entry &entry) {
  auto found = llvm::find(range, entry);
  return found == range.end() ? -1 : found - range.begin();
}

int64_t TileProgram::tileOf(Value value, Role role) const {
  auto found = llvm::find_if(tiles, [&](const Tile &tile) {
    return tile.value == value && tile.role == role && (tile.make == Make::Staged || tile.make == Make::Plain);
  });
  return found == tiles.end() ? -1 : found - tiles.begin();
}
int64_t TileProgram::slotOf(const Slot &slot) const { return indexIn(slots, slot); }
int64_t TileProgram::decayOf(Value decay) const { return indexIn(decays, decay); }
int64_t TileProgram::keyDecayOf(Value decay) const { return indexIn(keyDecays, decay); }
bool TileProgram::makesTiles() const {
  return llvm::any_of(tiles, [](const Tile &tile) { return tile.make != Make::Staged; });
}
const Read *TileProgram::readOf(Value value) const {
  auto found = llvm::find_if(reads, [&](const Read &read) { return read.op == value.getDefiningOp(); });
  return found == reads.end() ? nullptr : &*found;
}
int64_t TileProgram::scoreOf(Value value) const {
  for (auto [op, number] : sameScores)
    if (op == value.getDefiningOp())
      return number;
  auto found = llvm::find_if(scores, [&](const Score &score) { return score.op == value.getDefiningOp(); });
  return found == scores.end() ? -1 : found - scores.begin();
}
int64_t TileProgram::productOf(const Score &score) const {
  auto found = llvm::find_if(levelProducts, [&](const LevelProduct &product) {
    return product.queryLevels == score.queryLevels && product.keyLevels == score.keyLevels;
  });
  return found - levelProducts.begin();
}

bool rondo::cuda::isLate(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isPerStep(value))
    return false;
  if (auto contract = dyn_cast<recur::ContractOp>(op))
    return !isInner(contract);
  return llvm::any_of(op->getOperands(), isLate);
}

bool rondo::cuda::isOnes(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto splat = constant ? dyn_cast<DenseElementsAttr>(constant.getValue()) : DenseElementsAttr();
  return splat && splat.isSplat() && splat.getElementType().isF32() && splat.getSplatValue<APFloat>().isExactlyValue(1);
}

Value rondo::cuda::groupedColumns(Value value) {
  auto sum = value.getDefiningOp<recur::ReduceOp>();
  auto reshape = sum ? sum.getOperand().getDefiningOp<recur::ReshapeOp>() : recur::ReshapeOp();
  if (!reshape || sum.getKind() != recur::Reduction::Sum || sum.getDims() != ArrayRef<int64_t>{2} ||
      !isRows(reshape.getOperand()))
    return nullptr;
  return cast<RankedTensorType>(reshape.getType()).getShape().back() == 16 ? reshape.getOperand() : Value();
}
