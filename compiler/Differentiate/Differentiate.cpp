// differentiate: the function around the scans. Its operations are walked backwards; see ScanAdjoint.h for one scan.
#include "compiler/Differentiate/GradientScan.h"
#include "compiler/Differentiate/Passes.h"
#include "compiler/Differentiate/ScanAdjoint.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace rondo {
#define GEN_PASS_DEF_DIFFERENTIATE
#include "compiler/Differentiate/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

/// How often a function has been differentiated; on the function.
constexpr const char *kOrderAttr = "recur.gradient";

bool hasCotangent(Type type) { return recur::isArray(type) && recur::elementKind(type) != recur::ElementKind::Truth; }

class FunctionAdjoint {
public:
  explicit FunctionAdjoint(func::FuncOp fn) : fn(fn), ret(fn.getBody().front().getTerminator()), b(ret) {}

  LogicalResult build() {
    auto order = fn->getAttrOfType<IntegerAttr>(kOrderAttr);
    int64_t times = order ? order.getInt() + 1 : 1;
    prefix = times == 1 ? "d_" : "d" + std::to_string(times) + "_";
    SmallVector<Operation *> ops;
    for (Operation &op : fn.getBody().front().without_terminator())
      ops.push_back(&op);
    takeCotangents();
    for (Operation *op : llvm::reverse(ops))
      if (failed(visit(op)))
        return failure();
    giveGradients();
    fn->setAttr(kOrderAttr, b.getI64IntegerAttr(times));
    return success();
  }

private:
  DictionaryAttr attributes(StringRef name, StringRef kind) {
    // The element type follows that of the tensor whose cotangent it is.
    return b.getDictionaryAttr({b.getNamedAttr(recur::kNameAttr, b.getStringAttr(prefix + name.str())),
                                b.getNamedAttr(recur::kKindAttr, b.getStringAttr(kind)),
                                b.getNamedAttr(recur::kCotangentAttr, b.getStringAttr(name))});
  }

  /// New arguments, one per result: outputs' cotangents are inputs, those of final states initial values of the way back.
  void takeCotangents() {
    for (auto [i, value] : llvm::enumerate(ret->getOperands())) {
      DictionaryAttr of = fn.getResultAttrDict(i);
      bool isFinal = of.getAs<StringAttr>(recur::kKindAttr) == "final";
      // Final states of several axes are edges of a grid; nothing takes their cotangents.
      bool isEdge = recur::dimsOf(value.getType()).axisPosition("time") >= 0 ||
                    recur::dimsOf(value.getType()).axisPosition("time1") >= 0;
      if (!hasCotangent(value.getType()) || (isFinal && isEdge))
        continue;
      unsigned position = fn.getNumArguments();
      std::string name = of.getAs<StringAttr>(recur::kNameAttr).str();
      if (isFinal && isOutput(name)) // as callers ask for such a final state
        name += ".final";
      (void)fn.insertArgument(position, value.getType(), attributes(name, isFinal ? "init" : "input"), value.getLoc());
      parts[value].push_back({fn.getArgument(position), false});
    }
  }

  bool isOutput(StringRef name) {
    for (unsigned i = 0; i < fn.getNumResults(); ++i) {
      DictionaryAttr of = fn.getResultAttrDict(i);
      if (of.getAs<StringAttr>(recur::kKindAttr) == "output" && of.getAs<StringAttr>(recur::kNameAttr) == name)
        return true;
    }
    return false;
  }

  struct Part {
    Value value;
    bool flipped; // its slices stand in the opposite order
  };

  /// The cotangent of a value: the sum of its parts, with the value's axes. Null where there is none.
  Value total(Value value) {
    auto found = parts.find(value);
    if (found == parts.end())
      return {};
    SmallVector<Part> list = std::move(found->second);
    parts.erase(found);
    bool hasLag = recur::dimsOf(value.getType()).axisPosition("lag") >= 0;
    SmallVector<Value> values;
    for (Part part : list)
      values.push_back(part.flipped && hasLag
                           ? recur::SumToOp::create(b, value.getLoc(), value.getType(), part.value, true).getResult()
                           : part.value);
    if (values.size() == 1 && values.front().getType() == value.getType())
      return values.front();
    return recur::SumToOp::create(b, value.getLoc(), value.getType(), values, false);
  }

  LogicalResult visit(Operation *op) {
    if (isa<arith::ConstantOp>(op))
      return success();
    SmallVector<Value> cotangents;
    for (Value result : op->getResults())
      cotangents.push_back(total(result));
    if (llvm::none_of(cotangents, [](Value value) { return static_cast<bool>(value); }))
      return success();
    if (auto reshape = dyn_cast<recur::ReshapeOp>(op)) {
      Value back = recur::ReshapeOp::create(b, op->getLoc(), reshape.getOperand().getType(), cotangents[0]);
      parts[reshape.getOperand()].push_back({back, false});
      return success();
    }
    if (auto sum = dyn_cast<recur::SumToOp>(op)) {
      for (Value operand : sum.getOperands_())
        parts[operand].push_back(
            {recur::SumToOp::create(b, op->getLoc(), operand.getType(), cotangents[0], sum.getFlipLag()), false});
      return success();
    }
    if (isa<recur::ScanOp, chunk::ScanOp>(op))
      return visitScan(cast<recur::ScanInterface>(op), cotangents);
    return op->emitError("no derivative is known of '") << op->getName() << "'";
  }

  LogicalResult visitScan(recur::ScanInterface scan, ArrayRef<Value> cotangents) {
    ArrayRef<Value> ofOutputs = cotangents.take_front(scan.numOutputs());
    ArrayRef<Value> ofFinals = cotangents.drop_front(scan.numOutputs());
    auto chunks = dyn_cast<chunk::ScanOp>(*scan);
    FailureOr<ScanCotangents> of = chunks ? buildGradientScan(b, chunks, ofOutputs, ofFinals, /*interval=*/1)
                                          : differentiateScan(b, cast<recur::ScanOp>(*scan), ofOutputs, ofFinals);
    if (failed(of))
      return failure();
    auto add = [&](Value operand, Value part, bool flipped) {
      if (part)
        parts[operand].push_back({part, flipped});
    };
    for (auto [operand, part] : llvm::zip_equal(scan.getInputs(), of->inputs))
      add(operand, part, false);
    for (auto [operand, part] : llvm::zip_equal(scan.getParams(), of->params))
      add(operand, part, false);
    for (auto [operand, list] : llvm::zip_equal(scan.getInits(), of->inits))
      for (Value part : list)
        add(operand, part, true);
    return success();
  }

  /// The function's results: one cotangent per argument that has one, zero where nothing depends on it.
  void giveGradients() {
    SmallVector<Value> results;
    SmallVector<DictionaryAttr> named;
    unsigned count = fn.getNumArguments();
    for (unsigned i = 0; i < count; ++i) {
      Value argument = fn.getArgument(i);
      DictionaryAttr of = fn.getArgAttrDict(i);
      if (!hasCotangent(argument.getType()) || isOwnCotangent(of))
        continue;
      Value gradient = total(argument);
      if (!gradient || isa<BlockArgument>(gradient))
        gradient = recur::SumToOp::create(b, argument.getLoc(), argument.getType(),
                                          gradient ? ValueRange(gradient) : ValueRange(), false);
      results.push_back(gradient);
      bool perStep = recur::dimsOf(argument.getType()).axisPosition("time") >= 0;
      named.push_back(attributes(of.getAs<StringAttr>(recur::kNameAttr).getValue(), perStep ? "output" : "final"));
    }
    ret->setOperands(results);
    fn.setType(FunctionType::get(fn.getContext(), fn.getArgumentTypes(), ValueRange(results).getTypes()));
    fn.setAllResultAttrs(named);
  }

  /// An argument that this pass has added.
  bool isOwnCotangent(DictionaryAttr of) {
    return of.getAs<StringAttr>(recur::kNameAttr).getValue().starts_with(prefix) && of.contains(recur::kCotangentAttr);
  }

  func::FuncOp fn;
  Operation *ret;
  OpBuilder b;
  std::string prefix;
  llvm::DenseMap<Value, SmallVector<Part>> parts;
};

struct Differentiate : rondo::impl::DifferentiateBase<Differentiate> {
  using DifferentiateBase::DifferentiateBase;
  void runOnOperation() override {
    for (func::FuncOp fn : getOperation().getOps<func::FuncOp>())
      if (!fn.isExternal() && failed(FunctionAdjoint(fn).build()))
        return signalPassFailure();
  }
};

} // namespace
