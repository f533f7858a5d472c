// raise-cells: a scan that multiplies its states by parameters becomes a cell_scan, whose region is the step without these products.
#include "compiler/Analysis/Strata.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/Recur/Recur.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"

namespace rondo {
#define GEN_PASS_DEF_RAISECELLS
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

/// A contraction of the step that is a product of a parameter.
struct Product {
  recur::ContractOp op;
  int64_t param;
  Value factor;
  std::string spec; // the parameter first
};

bool sumsOver(const recur::ContractSpec &spec) {
  return llvm::any_of(spec.operands[0], [&](char letter) {
    return spec.operands[1].find(letter) != std::string::npos && spec.result.find(letter) == std::string::npos;
  });
}

/// The value that `value` is with its axes in another order, and in `letters` those of its axes; else itself.
Value withoutTransposes(Value value, std::string &letters) {
  while (auto turn = value.getDefiningOp<recur::ContractOp>()) {
    auto spec = recur::parseContractSpec(turn.getSpec());
    if (!spec || spec->operands.size() != 1 || spec->operands[0].size() != spec->result.size())
      break;
    std::string inner;
    for (char letter : spec->operands[0])
      if (size_t at = spec->result.find(letter);
          at != std::string::npos && inner.find(letters[at]) == std::string::npos)
        inner += letters[at];
    if (inner.size() != letters.size())
      break; // a diagonal, or a sum
    letters = inner;
    value = turn.getOperands_()[0];
  }
  return value;
}

/// A parameter with two axes or more, and a value that waits for a state, summed over an axis that both have.
std::optional<Product> productOf(recur::ContractOp op, recur::ScanOp scan, const analysis::StateDependence &dependence,
                                 ArrayRef<unsigned> states) {
  auto spec = recur::parseContractSpec(op.getSpec());
  if (!spec || spec->operands.size() != 2 || !sumsOver(*spec))
    return std::nullopt;
  ArrayRef<BlockArgument> params = scan.paramArgs();
  for (unsigned which : {0u, 1u}) {
    std::string letters = spec->operands[which];
    Value param = withoutTransposes(op.getOperands_()[which], letters), factor = op.getOperands_()[1 - which];
    const auto *found = llvm::find(params, param);
    if (found == params.end() || letters.size() < 2 || !dependence.dependsOnAny(factor, states))
      continue;
    return Product{op, found - params.begin(), factor, letters + "," + spec->operands[1 - which] + "->" + spec->result};
  }
  return std::nullopt;
}

void raiseCell(recur::ScanOp scan) {
  analysis::StateDependence dependence(scan);
  auto states = llvm::to_vector(llvm::seq<unsigned>(0, scan.numStates()));
  SmallVector<Product> products;
  for (auto op : scan.step()->getOps<recur::ContractOp>())
    if (auto product = productOf(op, scan, dependence, states))
      products.push_back(*product);
  if (products.empty())
    return;
  OpBuilder b(scan);
  SmallVector<Attribute> described;
  for (const Product &product : products)
    described.push_back(recur::ProductAttr::get(b.getContext(), product.param, b.getStringAttr(product.spec)));
  auto cell = recur::CellScanOp::create(b, scan.getLoc(), scan->getResultTypes(), scan.getInputs(), scan.getParams(),
                                        scan.getInits(), scan.getResets(), scan.getOffsets(), scan.getAxes(),
                                        scan.getStates(), b.getArrayAttr(described));
  IRMapping map;
  Block &block = cell.getBody().emplaceBlock();
  for (BlockArgument argument : scan.step()->getArguments())
    map.map(argument, block.addArgument(argument.getType(), argument.getLoc()));
  for (Product &product : products)
    map.map(product.op.getResult(), block.addArgument(product.op.getType(), product.op.getLoc()));
  b.setInsertionPointToEnd(&block);
  for (Operation &op : scan.step()->without_terminator())
    if (llvm::none_of(products, [&](Product &product) { return product.op.getOperation() == &op; }))
      b.clone(op, map);
  auto here = [&](auto values) {
    SmallVector<Value> mapped;
    for (Value value : values)
      mapped.push_back(map.lookup(value));
    return mapped;
  };
  SmallVector<Value> factors = here(llvm::map_range(products, [](const Product &product) { return product.factor; }));
  Operation *end =
      recur::CellOp::create(b, scan.getLoc(), factors, here(scan.yield().getStates()), here(scan.yield().getOutputs()));
  // A parameter's transpose that only products read.
  for (Operation *op = end->getPrevNode(); op;) {
    Operation *before = op->getPrevNode();
    if (op->use_empty())
      op->erase();
    op = before;
  }
  scan->replaceAllUsesWith(cell);
  scan->erase();
}

struct RaiseCells : rondo::impl::RaiseCellsBase<RaiseCells> {
  using RaiseCellsBase::RaiseCellsBase;
  void runOnOperation() override {
    SmallVector<recur::ScanOp> scans;
    getOperation().walk([&](recur::ScanOp scan) {
      if (scan.numStates() > 0)
        scans.push_back(scan);
    });
    for (recur::ScanOp scan : scans)
      raiseCell(scan);
  }
};

} // namespace
