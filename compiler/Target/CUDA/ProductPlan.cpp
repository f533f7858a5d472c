// Which scans are products of their inputs. See ProductKernel.h.
#include "compiler/Target/CUDA/ProductKernel.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

/// More keep their accumulators from fitting into registers.
static constexpr size_t kMostProducts = 4;

namespace {

/// Reads a step without states.
class Reader {
public:
  explicit Reader(recur::ScanInterface scan) : scan(scan), step(scan, &scan->getRegion(0).front()) {}

  std::optional<ProductPlan> read() {
    if (scan.numStates() || scan.numAxes() != 1 || scan.getOffsets() || scan.getResets())
      return std::nullopt;
    for (auto [number, output] : llvm::enumerate(step.yield().getOutputs()))
      if (!readOutput(number, output))
        return std::nullopt;
    return plan.groups.empty() ? std::nullopt : std::optional(plan);
  }

private:
  static ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

  /// The products below `value`, all else being elementwise on vectors of `units`.
  bool find(Value value, int64_t units, SmallVectorImpl<InputProduct> &products) {
    auto type = cast<RankedTensorType>(value.getType());
    if (!type.getElementType().isF32() && !type.getElementType().isInteger(1))
      return false;
    if (type.getRank() > 1 || (type.getRank() == 1 && type.getDimSize(0) != units))
      return false;
    if (llvm::any_of(products, [&](const InputProduct &p) { return p.result == value; }) || isa<BlockArgument>(value))
      return true;
    Operation *op = value.getDefiningOp();
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return cast<DenseElementsAttr>(constant.getValue()).isSplat();
    if (auto contract = dyn_cast<recur::ContractOp>(op)) {
      if (std::optional<InputProduct> product = productOf(contract)) {
        products.push_back(*product);
        return true;
      }
      auto spec = recur::parseContractSpec(contract.getSpec());
      if (!spec || llvm::any_of(spec->operands, [&](auto &s) { return !s.empty() && s != spec->result; }))
        return false;
    } else if (!isa<recur::MapOp, recur::CastOp, recur::BroadcastOp>(op)) {
      return false;
    }
    return llvm::all_of(op->getOperands(), [&](Value operand) { return find(operand, units, products); });
  }

  /// A parameter's rows times an input, both of 16 bits.
  std::optional<InputProduct> productOf(recur::ContractOp contract) {
    auto spec = recur::parseContractSpec(contract.getSpec());
    if (!spec || spec->operands.size() != 2 || contract.getOperands().size() != 2)
      return std::nullopt;
    unsigned matrix = spec->operands[0].size() == 2 ? 0 : 1;
    std::string letters = spec->operands[matrix], other = spec->operands[1 - matrix];
    const auto *param = llvm::find(step.paramArgs(), contract.getOperands()[matrix]);
    const auto *input = llvm::find(step.inputArgs(), contract.getOperands()[1 - matrix]);
    if (letters.size() != 2 || letters[0] == letters[1] || other != letters.substr(1) ||
        spec->result != letters.substr(0, 1) || param == step.paramArgs().end() || input == step.inputArgs().end())
      return std::nullopt;
    InputProduct product{contract.getResult(), unsigned(param - step.paramArgs().begin()),
                         unsigned(input - step.inputArgs().begin())};
    Type weights = cast<RankedTensorType>(scan.getParams()[product.param].getType()).getElementType();
    Type values = cast<RankedTensorType>(scan.getInputs()[product.input].getType()).getElementType();
    bool fits =
        weights == values && (weights.isBF16() || weights.isF16()) && (!plan.element || plan.element == weights);
    // Rows of 16 bytes each, so that copies may be.
    if (!fits || shapeOf(contract.getOperands()[matrix])[1] % 8)
      return std::nullopt;
    plan.element = weights;
    return product;
  }

  /// A group that differs in where its parameter and its output lie, and in nothing else.
  ProductGroup *alike(const ProductGroup &group, Value output) {
    auto isPlain = [&](const ProductGroup &g) {
      return g.products.size() == 1 && g.outputs.size() == 1 &&
             step.yield().getOutputs()[g.outputs.front()] == g.products.front().result;
    };
    auto outer = [&](const ProductGroup &g) { return scan->getResult(g.outputs.front()).getType(); };
    auto param = [&](const ProductGroup &g) { return scan.getParams()[g.products.front().param].getType(); };
    for (ProductGroup &other : plan.groups)
      if (isPlain(group) && isPlain(other) && other.products.front().input == group.products.front().input &&
          outer(other) == outer(group) && param(other) == param(group))
        return &other;
    return nullptr;
  }

  bool readOutput(unsigned number, Value output) {
    if (shapeOf(output).size() != 1 || isa<BlockArgument>(output))
      return false;
    ProductGroup group;
    group.units = shapeOf(output)[0];
    group.outputs.push_back(number);
    if (!find(output, group.units, group.products) || group.products.empty() || group.products.size() > kMostProducts)
      return false;
    group.sums = shapeOf(step.inputArgs()[group.products.front().input])[0];
    for (const InputProduct &product : group.products)
      if (product.input != group.products.front().input)
        return false;
    for (ProductGroup &other : plan.groups) { // the same products, or some of them: computed once
      bool within = llvm::all_of(group.products, [&](const InputProduct &p) {
        return llvm::any_of(other.products, [&](const InputProduct &o) { return o.result == p.result; });
      });
      if (within) {
        other.outputs.push_back(number);
        return true;
      }
    }
    if (ProductGroup *like = alike(group, output)) {
      like->likes.emplace_back(group.products.front().param, number);
      return true;
    }
    plan.groups.push_back(std::move(group));
    return true;
  }

  recur::ScanInterface scan;
  recur::Step step;
  ProductPlan plan;
};

} // namespace

std::optional<ProductPlan> rondo::cuda::planProducts(recur::ScanInterface scan) { return Reader(scan).read(); }
