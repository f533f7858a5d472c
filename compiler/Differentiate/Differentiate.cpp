// differentiate: the function around the scans. Its operations are walked backwards; see ScanAdjoint.h for one scan.
#include "compiler/Differentiate/ExpansionAdjoint.h"
#include "compiler/Differentiate/GradientScan.h"
#include "compiler/Differentiate/Passes.h"
#include "compiler/Differentiate/ScanAdjoint.h"
#include "compiler/Differentiate/ScanRegisters.h"
#include "compiler/Transforms/KeptStates.h"
#include "compiler/Transforms/RaisedStep.h"
#include "compiler/Transforms/ScanForms.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringSet.h"

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
  /// `wrt`: names of arguments; empty: all. `steps`: no scan goes back by chunks. `again`: matrix states are computed again, those between
  /// every `interval`-th (0: as many as are cheap) and the next. `results`: the function gives the model's results, too.
  FunctionAdjoint(func::FuncOp fn, ArrayRef<std::string> wrt, bool steps, bool again, int64_t interval, bool results)
      : fn(fn), ret(fn.getBody().front().getTerminator()), b(ret), wrt(wrt), steps(steps), again(again),
        interval(interval), givesResults(results) {}

  LogicalResult build() {
    auto order = fn->getAttrOfType<IntegerAttr>(kOrderAttr);
    int64_t times = order ? order.getInt() + 1 : 1;
    prefix = times == 1 ? "d_" : "d" + std::to_string(times) + "_";
    SmallVector<Operation *> ops;
    for (Operation &op : fn.getBody().front().without_terminator())
      ops.push_back(&op);
    if (failed(findActive(ops)))
      return failure();
    llvm::for_each(ops, [&](Operation *&op) { op = lowered(op); });
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

  /// What depends on an argument whose gradient is asked for.
  LogicalResult findActive(ArrayRef<Operation *> ops) {
    llvm::StringSet<> left;
    for (const std::string &name : wrt)
      left.insert(name);
    for (unsigned i = 0; i < fn.getNumArguments(); ++i) {
      StringRef name = fn.getArgAttrDict(i).getAs<StringAttr>(recur::kNameAttr).getValue();
      bool asked = wrt.empty() || left.erase(name);
      if (asked && hasCotangent(fn.getArgument(i).getType()))
        active.insert(fn.getArgument(i));
      else if (asked && !wrt.empty())
        return fn.emitError("'") << name << "' has no gradient: its elements are no real or complex numbers";
    }
    for (const auto &name : left)
      return fn.emitError("the model has no input, parameter or initial state '")
             << name.getKey() << "' to differentiate by";
    for (Operation *op : ops)
      if (llvm::any_of(op->getOperands(), [&](Value value) { return active.contains(value); }))
        active.insert(op->result_begin(), op->result_end());
    return success();
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

  /// Between operations cotangents are as wide as what computes them, whatever the value is stored as.
  Value total(Value value) {
    auto found = parts.find(value);
    bool alone = found != parts.end() && found->second.size() == 1 && !found->second[0].flipped;
    if (alone && sameShape(found->second[0].value.getType(), value.getType()))
      return found->second[0].value;
    return total(value, wideType(value.getType()));
  }

  static bool sameShape(Type x, Type y) {
    auto a = cast<RankedTensorType>(x), b = cast<RankedTensorType>(y);
    return a.getShape() == b.getShape() && a.getEncoding() == b.getEncoding();
  }

  /// The cotangent of a value: the sum of its parts, stored as `type`, which has the value's axes. Null where there is none.
  Value total(Value value, Type type) {
    auto found = parts.find(value);
    if (found == parts.end())
      return {};
    SmallVector<Part> list = std::move(found->second);
    parts.erase(found);
    bool hasLag = recur::dimsOf(type).axisPosition("lag") >= 0;
    SmallVector<Value> values;
    for (Part part : list)
      values.push_back(part.flipped && hasLag
                           ? recur::SumToOp::create(b, value.getLoc(), wideType(type), part.value, true).getResult()
                           : part.value);
    if (values.size() == 1 && (values.front().getType() == type || storesAs(values.front(), type)))
      return values.front();
    return recur::SumToOp::create(b, value.getLoc(), type, values, false);
  }

  /// Lets a scan store an output of its own in the narrower type that is wanted. False where that is not possible.
  bool storesAs(Value value, Type type) {
    auto result = dyn_cast<OpResult>(value);
    if (!result || !value.use_empty() || !sameShape(value.getType(), type) ||
        !isa<recur::ScanOp, chunk::GradientScanOp>(result.getOwner()))
      return false;
    value.setType(type);
    return true;
  }

  /// `type` with elements of at least 32 bits: sums over time and over the batch are not rounded to what inputs are stored as.
  static Type wideType(Type type) {
    auto array = cast<RankedTensorType>(type);
    bool narrow = array.getElementType().isBF16() || array.getElementType().isF16();
    return narrow ? Type(array.clone(Float32Type::get(type.getContext()))) : type;
  }

  LogicalResult visit(Operation *op) {
    if (isa<arith::ConstantOp>(op))
      return success();
    SmallVector<Value> cotangents;
    for (Value result : op->getResults())
      cotangents.push_back(total(result));
    if (llvm::none_of(cotangents, [](Value value) { return static_cast<bool>(value); }) ||
        llvm::none_of(op->getResults(), [&](Value value) { return active.contains(value); }))
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
    if (isa<recur::ScanOp, recur::ExpandScanOp, recur::DeltaScanOp, chunk::ScanOp>(op))
      return visitScan(cast<recur::ScanInterface>(op), cotangents);
    return op->emitError("no derivative is known of '") << op->getName() << "'";
  }

  FailureOr<ScanCotangents> differentiateSteps(recur::ScanOp scan, ArrayRef<Value> ofOutputs, ArrayRef<Value> ofFinals,
                                               const WantedCotangents &wanted) {
    if (needsRegisters(scan))
      return differentiateWithRegisters(b, scan, ofOutputs, ofFinals, wanted);
    bool readsBefore = llvm::all_of(llvm::seq<unsigned>(0, scan.numStates()), [&](unsigned s) {
      return scan.state(s).getReads().size() == 1 && scan.state(s).getReads()[0].asArrayRef() == ArrayRef<int64_t>{1};
    });
    if (again && scan.numStates() > 0 && readsBefore && !scan.getInputs().empty()) {
      FailureOr<bool> large = handsOverMatrices(b, scan, ofOutputs, ofFinals, wanted);
      if (failed(large))
        return failure();
      if (*large)
        return buildGradientScan(b, scan, interval ? interval : cheapInterval(scan, 1), ofOutputs, ofFinals, wanted);
    }
    return differentiateScan(b, scan, ofOutputs, ofFinals, wanted);
  }

  /// Chunks stay chunks on the way back, except where the target wants steps.
  FailureOr<ScanCotangents> differentiateForm(recur::ScanInterface scan, ArrayRef<Value> ofOutputs,
                                              ArrayRef<Value> ofFinals, const WantedCotangents &wanted) {
    if (std::optional<Expansion> expansion = expansionOf(scan))
      return buildExpansionAdjoint(b, *expansion, ofOutputs, ofFinals, wanted);
    if (auto single = dyn_cast<recur::ScanOp>(*scan))
      return differentiateSteps(single, ofOutputs, ofFinals, wanted);
    auto chunks = cast<chunk::ScanOp>(*scan);
    if (!steps)
      return buildGradientScan(b, chunks, ofOutputs, ofFinals, wanted);
    auto single =
        recur::ScanOp::create(b, scan.getLoc(), scan->getResultTypes(), scan.getInputs(), scan.getParams(),
                              scan.getInits(), scan.getResets(), scan.getOffsets(), scan.getAxes(), scan.getStates());
    IRMapping map;
    chunks.getStep().cloneInto(&single.getBody(), map);
    FailureOr<ScanCotangents> of = differentiateScan(b, single, ofOutputs, ofFinals, wanted);
    single.erase();
    return of;
  }

  WantedCotangents wantedOf(recur::ScanInterface scan) {
    WantedCotangents wanted;
    auto want = [&](ValueRange operands, SmallVectorImpl<bool> &list) {
      for (Value operand : operands)
        list.push_back(active.contains(operand));
    };
    want(scan.getInputs(), wanted.inputs);
    want(scan.getParams(), wanted.params);
    want(scan.getInits(), wanted.inits);
    return wanted;
  }

  /// Raised scans as their single steps, but for expansions that go back as such.
  Operation *lowered(Operation *op) {
    if (!hasForms(op))
      return op;
    auto scan = cast<recur::ScanInterface>(op);
    if (std::optional<Expansion> expansion = expansionOf(op)) {
      std::string why = noExpansionAdjoint(*expansion, wantedOf(scan));
      if (why.empty())
        return op;
      op->emitRemark("differentiate goes back by single steps: ") << why;
    }
    OpBuilder here(op);
    recur::ScanOp steps = createSteps(here, op);
    for (auto [old, result] : llvm::zip(op->getResults(), steps->getResults()))
      if (active.contains(old))
        active.insert(result);
    op->replaceAllUsesWith(steps);
    op->erase();
    return steps;
  }

  LogicalResult visitScan(recur::ScanInterface scan, ArrayRef<Value> cotangents) {
    WantedCotangents wanted = wantedOf(scan);
    FailureOr<ScanCotangents> of = differentiateForm(scan, cotangents.take_front(scan.numOutputs()),
                                                     cotangents.drop_front(scan.numOutputs()), wanted);
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

  /// The function's results: one cotangent per argument that has one, zero where nothing depends on it; before them, those of the model where they are wanted.
  void giveGradients() {
    SmallVector<Value> results;
    SmallVector<DictionaryAttr> named;
    for (unsigned i = 0; givesResults && i < fn.getNumResults(); ++i) {
      results.push_back(ret->getOperand(i));
      named.push_back(fn.getResultAttrDict(i));
    }
    unsigned count = fn.getNumArguments();
    for (unsigned i = 0; i < count; ++i) {
      Value argument = fn.getArgument(i);
      DictionaryAttr of = fn.getArgAttrDict(i);
      if (!active.contains(argument))
        continue;
      bool perStep = recur::dimsOf(argument.getType()).axisPosition("time") >= 0;
      Type type = perStep ? argument.getType() : wideType(argument.getType());
      Value gradient = total(argument, type);
      if (!gradient || isa<BlockArgument>(gradient))
        gradient =
            recur::SumToOp::create(b, argument.getLoc(), type, gradient ? ValueRange(gradient) : ValueRange(), false);
      results.push_back(gradient);
      named.push_back(attributes(of.getAs<StringAttr>(recur::kNameAttr).getValue(), perStep ? "output" : "final"));
    }
    ret->setOperands(results);
    fn.setType(FunctionType::get(fn.getContext(), fn.getArgumentTypes(), ValueRange(results).getTypes()));
    fn.setAllResultAttrs(named);
  }

  func::FuncOp fn;
  Operation *ret;
  OpBuilder b;
  ArrayRef<std::string> wrt;
  bool steps, again;
  int64_t interval;
  bool givesResults;
  std::string prefix;
  llvm::DenseSet<Value> active;
  llvm::DenseMap<Value, SmallVector<Part>> parts;
};

struct Differentiate : rondo::impl::DifferentiateBase<Differentiate> {
  using DifferentiateBase::DifferentiateBase;
  void runOnOperation() override {
    std::vector<std::string> names(wrt.begin(), wrt.end());
    for (func::FuncOp fn : getOperation().getOps<func::FuncOp>())
      if (!fn.isExternal() && failed(FunctionAdjoint(fn, names, steps, again, interval, results).build()))
        return signalPassFailure();
  }
};

} // namespace
