// linearize: forward mode. A model is run together with its derivative along a direction: tangents of what it takes go in, tangents of
// what it gives come out.
//
// No function has a rule of its own here. With J the Jacobian of a step, reverse mode gives c = Jᵀ g, which is linear in g; reverse mode
// through that, from t on c to g, gives J t. What only the value of g needs is not taken over.
#include "compiler/Differentiate/Passes.h"
#include "compiler/Differentiate/StepAdjoint.h"
#include "compiler/Transforms/NewScan.h"
#include "compiler/Transforms/StepValues.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"

namespace rondo {
#define GEN_PASS_DEF_LINEARIZE
#include "compiler/Differentiate/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;

namespace {

bool hasTangent(Type type) { return recur::isArray(type) && recur::elementKind(type) != recur::ElementKind::Truth; }

using Tangents = llvm::DenseMap<Value, Value>;

/// One scan with its tangents beside it.
class ScanTangent {
public:
  ScanTangent(OpBuilder &b, recur::ScanOp scan, Tangents &tangents)
      : b(b), loc(scan.getLoc()), scan(scan), step(scan), tangents(tangents),
        made(loc, scan.getAxes(), scan.getResets(), scan.getOffsets()) {}

  LogicalResult build() {
    takeOperands();
    findActive();
    if (failed(differentiate()))
      return failure();
    finish();
    return success();
  }

private:
  /// In `block`, the step; in the new scan, what its arguments stand for.
  void takeOperands() {
    auto arguments = [&](ArrayRef<BlockArgument> list, auto make) {
      for (auto [number, old] : llvm::enumerate(list)) {
        copied.map(old, block.addArgument(old.getType(), loc));
        here.map(copied.lookup(Value(old)), make(number));
      }
    };
    arguments(step.inputArgs(), [&](unsigned i) { return made.input(scan.getInputs()[i]); });
    arguments(step.paramArgs(), [&](unsigned i) { return made.param(scan.getParams()[i]); });
    for (unsigned s = 0; s < scan.numStates(); ++s) {
      SmallVector<Value> reads = made.state(scan.state(s), scan.getInits()[s]);
      arguments(step.stateArgs(s), [&](unsigned read) { return reads[read]; });
    }
    OpBuilder inside(b.getContext());
    inside.setInsertionPointToEnd(&block);
    for (Operation &op : scan.step()->without_terminator())
      inside.clone(op, copied);
  }

  bool moves(Value value) const { return moving.contains(value); }

  /// Which values of the step have tangents. A state has one where its initial value has, or what it becomes.
  void findActive() {
    auto operands = [&](ArrayRef<BlockArgument> list, ValueRange of) {
      for (auto [argument, operand] : llvm::zip(list, of))
        if (tangents.contains(operand))
          moving.insert(copied.lookup(Value(argument)));
    };
    operands(step.inputArgs(), scan.getInputs());
    operands(step.paramArgs(), scan.getParams());
    SmallVector<bool> known(scan.numStates(), false);
    for (bool changed = true; std::exchange(changed, false);) {
      for (unsigned s = 0; s < scan.numStates(); ++s) {
        bool isMoving = tangents.contains(scan.getInits()[s]) || moves(copied.lookup(step.yield().getStates()[s]));
        if (known[s] || !isMoving)
          continue;
        known[s] = changed = true;
        for (BlockArgument read : step.stateArgs(s))
          moving.insert(copied.lookup(Value(read)));
      }
      for (Operation &op : block)
        for (Value result : op.getResults())
          if (hasTangent(result.getType()) && llvm::any_of(op.getOperands(), [&](Value of) { return moves(of); }))
            changed |= moving.insert(result).second;
    }
    activeStates = known;
  }

  /// Fills `tangentOf` with the tangents of what the step yields.
  LogicalResult differentiate() {
    SmallVector<std::pair<Value, Value>> given; // arguments and their tangents, both in `block`
    auto give = [&](BlockArgument old, Value inNew) {
      Value argument = copied.lookup(Value(old)), tangent = block.addArgument(old.getType(), loc);
      here.map(tangent, inNew);
      given.push_back({argument, tangent});
    };
    for (auto [old, operand] : llvm::zip(step.inputArgs(), scan.getInputs()))
      if (Value tangent = tangents.lookup(operand))
        give(old, made.input(tangent));
    for (auto [old, operand] : llvm::zip(step.paramArgs(), scan.getParams()))
      if (Value tangent = tangents.lookup(operand))
        give(old, made.param(tangent));
    for (unsigned s = 0; s < scan.numStates(); ++s) {
      if (!activeStates[s])
        continue;
      Value init = tangents.lookup(scan.getInits()[s]);
      recur::StateAttr of = scan.state(s);
      auto named = recur::StateAttr::get(b.getContext(), b.getStringAttr("t_" + of.getName().str()), of.getReads());
      SmallVector<Value> reads = made.state(named, init ? init : zeros(scan.getInits()[s].getType()));
      for (auto [old, read] : llvm::zip(step.stateArgs(s), reads))
        give(old, read);
    }
    SmallVector<Value> active, covectors;
    for (auto [argument, tangent] : given)
      active.push_back(argument);
    StepAdjoint back(&block, active);
    auto read = [&](ValueRange yielded) {
      for (Value old : yielded) {
        Value value = copied.lookupOrDefault(old);
        bool has = moves(value);
        covectors.push_back(has ? block.addArgument(value.getType(), loc) : Value());
        if (has)
          back.add(value, covectors.back());
      }
    };
    read(step.yield().getStates());
    read(step.yield().getOutputs());
    if (failed(back.run()))
      return failure();
    SmallVector<Value> cotangents;
    for (Value argument : active)
      cotangents.push_back(back.of(argument));
    SmallVector<Value> sources;
    llvm::copy_if(covectors, std::back_inserter(sources), [](Value value) { return static_cast<bool>(value); });
    StepAdjoint forth(&block, sources);
    for (auto [cotangent, pair] : llvm::zip(cotangents, given))
      if (cotangent)
        forth.add(cotangent, pair.second);
    if (failed(forth.run()))
      return failure();
    for (Value covector : covectors)
      tangentOf.push_back(covector ? forth.of(covector) : Value());
    return success();
  }

  /// Zeros for a state's tangent, one value for all sequences.
  Value zeros(Type like) {
    auto type = cast<RankedTensorType>(like);
    recur::DimsAttr dims = recur::dimsOf(type);
    SmallVector<StringAttr> axes;
    SmallVector<int64_t> shape;
    if (int64_t lag = dims.axisPosition("lag"); lag >= 0) {
      axes.push_back(b.getStringAttr("lag"));
      shape.push_back(type.getDimSize(lag));
    }
    llvm::append_range(shape, type.getShape().take_back(dims.getNames().size()));
    auto bare = RankedTensorType::get(shape, type.getElementType(),
                                      recur::DimsAttr::get(b.getContext(), axes, dims.getNames()));
    return recur::SumToOp::create(b, loc, bare, ValueRange(), false);
  }

  /// A value of `block` in the new scan, with what it depends on.
  Value get(Value value) {
    if (Value known = here.lookupOrNull(value))
      return known;
    Operation *op = value.getDefiningOp();
    for (Value operand : op->getOperands())
      get(operand);
    made.body.clone(*op, here);
    return here.lookup(value);
  }

  void finish() {
    unsigned states = scan.numStates(), results = scan.numOutputs();
    SmallVector<Value> updated, outputs;
    for (Value old : step.yield().getStates())
      updated.push_back(get(copied.lookupOrDefault(old)));
    for (Value old : step.yield().getOutputs())
      outputs.push_back(get(copied.lookupOrDefault(old)));
    auto orZero = [&](Value tangent, Value like) {
      return tangent ? get(tangent) : constantOf(made.body, loc, like.getType(), 0);
    };
    for (unsigned s = 0; s < states; ++s)
      if (activeStates[s])
        updated.push_back(orZero(tangentOf[s], updated[s]));
    SmallVector<unsigned> numbers;
    for (unsigned o = 0; o < results; ++o)
      if (moves(copied.lookupOrDefault(step.yield().getOutputs()[o]))) {
        outputs.push_back(orZero(tangentOf[states + o], outputs[o]));
        numbers.push_back(o);
      }
    recur::ScanOp both = made.finish(b, updated, outputs);
    unsigned axes = scan.numAxes(), next = states;
    for (unsigned o = 0; o < results; ++o)
      scan->getResult(o).replaceAllUsesWith(both.outputs()[o]);
    for (auto [place, o] : llvm::enumerate(numbers))
      tangents[both.outputs()[o]] = both.outputs()[results + place];
    for (unsigned s = 0; s < states; ++s) {
      unsigned of = activeStates[s] ? next++ : 0;
      for (unsigned axis = 0; axis < axes; ++axis) {
        Value final = both.finals()[s * axes + axis];
        scan.finals()[s * axes + axis].replaceAllUsesWith(final);
        if (of)
          tangents[final] = both.finals()[of * axes + axis];
      }
    }
    scan.erase();
  }

  OpBuilder &b;
  Location loc;
  recur::ScanOp scan;
  recur::Step step;
  Tangents &tangents;
  NewScan made;
  Block block;                  // the step, its adjoint, and the adjoint of that
  IRMapping copied;             // from the step to `block`
  IRMapping here;               // from `block` to the new scan
  llvm::DenseSet<Value> moving; // values of `block` that have a tangent
  SmallVector<bool> activeStates;
  SmallVector<Value> tangentOf; // in `block`: of states, then of outputs; null where there is none
};

/// The function: tangents of arguments are arguments, those of results are results behind the others.
class FunctionTangent {
public:
  FunctionTangent(func::FuncOp fn, ArrayRef<std::string> wrt)
      : fn(fn), ret(fn.getBody().front().getTerminator()), b(ret), wrt(wrt) {}

  LogicalResult build() {
    if (failed(takeTangents()))
      return failure();
    for (Operation &op : llvm::make_early_inc_range(fn.getBody().front().without_terminator()))
      if (failed(visit(op)))
        return failure();
    giveTangents();
    return success();
  }

private:
  DictionaryAttr attributes(DictionaryAttr of) {
    StringRef name = of.getAs<StringAttr>(recur::kNameAttr).getValue();
    return b.getDictionaryAttr(
        {b.getNamedAttr(recur::kNameAttr, b.getStringAttr("t_" + name.str())),
         b.getNamedAttr(recur::kKindAttr, of.get(recur::kKindAttr)),
         b.getNamedAttr(recur::kCotangentAttr, b.getStringAttr(name))}); // stored as that tensor is
  }

  LogicalResult takeTangents() {
    llvm::StringSet<> left;
    for (const std::string &name : wrt)
      left.insert(name);
    unsigned count = fn.getNumArguments();
    for (unsigned i = 0; i < count; ++i) {
      DictionaryAttr of = fn.getArgAttrDict(i);
      StringRef name = of.getAs<StringAttr>(recur::kNameAttr).getValue();
      Value argument = fn.getArgument(i);
      bool asked = wrt.empty() || left.erase(name);
      if (!asked || !hasTangent(argument.getType())) {
        if (asked && !wrt.empty())
          return fn.emitError("'") << name << "' has no tangent: its elements are no real or complex numbers";
        continue;
      }
      unsigned position = fn.getNumArguments();
      (void)fn.insertArgument(position, argument.getType(), attributes(of), argument.getLoc());
      tangents[argument] = fn.getArgument(position);
    }
    for (const auto &name : left)
      return fn.emitError("the model has no input, parameter or initial state '") << name.getKey() << "' to move along";
    return success();
  }

  LogicalResult visit(Operation &op) {
    if (llvm::none_of(op.getOperands(), [&](Value operand) { return tangents.contains(operand); }))
      return success();
    b.setInsertionPoint(&op);
    if (auto scan = dyn_cast<recur::ScanOp>(op))
      return ScanTangent(b, scan, tangents).build();
    if (auto reshape = dyn_cast<recur::ReshapeOp>(op)) {
      tangents[reshape] =
          recur::ReshapeOp::create(b, op.getLoc(), reshape.getType(), tangents.lookup(reshape.getOperand()));
      return success();
    }
    if (auto sum = dyn_cast<recur::SumToOp>(op)) {
      SmallVector<Value> parts;
      for (Value operand : sum.getOperands_())
        if (Value tangent = tangents.lookup(operand))
          parts.push_back(tangent);
      tangents[sum] = recur::SumToOp::create(b, op.getLoc(), sum.getType(), parts, sum.getFlipLag());
      return success();
    }
    return op.emitError("no derivative is known of '") << op.getName() << "'";
  }

  void giveTangents() {
    b.setInsertionPoint(ret);
    SmallVector<Value> results(ret->getOperands());
    SmallVector<DictionaryAttr> named;
    for (unsigned i = 0; i < results.size(); ++i)
      named.push_back(fn.getResultAttrDict(i));
    for (auto [i, value] : llvm::enumerate(ret->getOperands())) {
      if (!hasTangent(value.getType()))
        continue;
      Value tangent = tangents.lookup(value);
      if (!tangent || isa<BlockArgument>(tangent))
        tangent = recur::SumToOp::create(b, value.getLoc(), value.getType(),
                                         tangent ? ValueRange(tangent) : ValueRange(), false);
      results.push_back(tangent);
      named.push_back(attributes(named[i]));
    }
    ret->setOperands(results);
    fn.setType(FunctionType::get(fn.getContext(), fn.getArgumentTypes(), ValueRange(results).getTypes()));
    fn.setAllResultAttrs(named);
  }

  func::FuncOp fn;
  Operation *ret;
  OpBuilder b;
  ArrayRef<std::string> wrt;
  Tangents tangents;
};

struct Linearize : rondo::impl::LinearizeBase<Linearize> {
  using LinearizeBase::LinearizeBase;
  void runOnOperation() override {
    std::vector<std::string> names(wrt.begin(), wrt.end());
    for (func::FuncOp fn : getOperation().getOps<func::FuncOp>())
      if (!fn.isExternal() && failed(FunctionTangent(fn, names).build()))
        return signalPassFailure();
  }
};

} // namespace
