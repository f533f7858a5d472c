// See GradientScan.h.
#include "compiler/Differentiate/GradientScan.h"
#include "compiler/Differentiate/StepAdjoint.h"
#include "compiler/Transforms/NewScan.h"
#include "compiler/Transforms/StepValues.h"
#include "mlir/IR/IRMapping.h"
#include <set>

using namespace mlir;
using namespace rondo;

namespace {

/// Takes away what no operation behind it, and not the yield, needs.
void eraseDead(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

class GradientBuilder {
public:
  GradientBuilder(OpBuilder &b, chunk::ScanOp scan, ArrayRef<Value> ofOutputs, ArrayRef<Value> ofFinals,
                  const WantedCotangents &wanted)
      : b(b), loc(scan.getLoc()), scan(scan), wanted(wanted) {
    for (auto [number, cotangent] : llvm::enumerate(ofOutputs))
      if (cotangent) {
        outputs.push_back(number);
        cotangents.push_back(cotangent);
      }
    for (unsigned s = 0; s < scan.numStates(); ++s)
      names.insert(scan.state(s).getName().str());
    for (unsigned s = 0; s < scan.numStates(); ++s)
      addAdjoint("d_" + scan.state(s).getName().str(), ofFinals[s] ? ofFinals[s] : zeros(scan.getInits()[s].getType()));
  }

  FailureOr<ScanCotangents> build() {
    if (failed(differentiate(scan.getStep().front(), one)) || failed(differentiate(scan.getChunk().front(), many)))
      return failure();
    for (unsigned p = 0; p < scan.getParams().size(); ++p)
      if (one.ofParams[p] || many.ofParams[p]) {
        summed.push_back(p);
        addAdjoint("sum" + std::to_string(p), zeros(many.params[p].getType()));
      }
    for (unsigned i = 0; i < scan.getInputs().size(); ++i)
      if (one.ofInputs[i] || many.ofInputs[i])
        perStep.push_back(i);
    return take(make());
  }

private:
  /// A region against time in the making.
  struct Way {
    std::unique_ptr<Block> block = std::make_unique<Block>();
    SmallVector<Value> inputs, params, states, adjoints; // arguments
    SmallVector<Value> ofInputs, ofParams, ofStates;     // their cotangents, null where there is none
  };

  OpBuilder atEnd(Way &way) {
    OpBuilder inside(b.getContext());
    inside.setInsertionPointToEnd(way.block.get());
    return inside;
  }

  /// Fills the block: the region again, and behind it the cotangents of its arguments.
  LogicalResult differentiate(Block &from, Way &way) {
    recur::Step step(scan, &from);
    IRMapping map;
    SmallVector<Value> active;
    auto arguments = [&](ArrayRef<BlockArgument> list, SmallVectorImpl<Value> &into, ArrayRef<bool> wants = {}) {
      for (auto [number, old] : llvm::enumerate(list)) {
        into.push_back(way.block->addArgument(old.getType(), loc));
        map.map(old, into.back());
        bool isWanted = wants.empty() || wants[number];
        if (isWanted && recur::elementKind(old.getType()) != recur::ElementKind::Truth)
          active.push_back(into.back());
      }
    };
    arguments(step.inputArgs(), way.inputs, wanted.inputs);
    SmallVector<Value> ofOutputs;
    for (unsigned number : outputs)
      ofOutputs.push_back(way.block->addArgument(step.yield().getOutputs()[number].getType(), loc));
    arguments(step.paramArgs(), way.params, wanted.params);
    for (unsigned s = 0; s < scan.numStates(); ++s)
      arguments(step.stateArgs(s), way.states);
    for (Value state : step.yield().getStates())
      way.adjoints.push_back(way.block->addArgument(state.getType(), loc));
    OpBuilder inside = atEnd(way);
    for (Operation &op : from.without_terminator())
      inside.clone(op, map);
    StepAdjoint adjoint(way.block.get(), active);
    for (auto [number, cotangent] : llvm::zip(outputs, ofOutputs))
      adjoint.add(map.lookup(step.yield().getOutputs()[number]), cotangent);
    for (auto [state, cotangent] : llvm::zip(step.yield().getStates(), way.adjoints))
      adjoint.add(map.lookup(state), cotangent);
    if (failed(adjoint.run()))
      return failure();
    for (auto [list, into] : {std::pair(&way.inputs, &way.ofInputs), std::pair(&way.params, &way.ofParams),
                              std::pair(&way.states, &way.ofStates)})
      for (Value value : *list)
        into->push_back(adjoint.of(value));
    return success();
  }

  /// Ends a region against time: new adjoints, sums that have grown, and the inputs' cotangents.
  void finish(Way &way) {
    OpBuilder inside = atEnd(way);
    auto orZero = [&](Value value, Value like) { return value ? value : constantOf(inside, loc, like.getType(), 0); };
    SmallVector<Value> updated, results;
    for (auto [value, argument] : llvm::zip(way.ofStates, way.states))
      updated.push_back(orZero(value, argument));
    for (unsigned p : summed) {
      Value sum = way.block->addArgument(way.params[p].getType(), loc);
      if (Value more = way.ofParams[p])
        sum = recur::MapOp::create(inside, loc, sum.getType(), recur::Fn::Add, ValueRange{sum, more});
      updated.push_back(sum);
    }
    for (unsigned i : perStep)
      results.push_back(orZero(way.ofInputs[i], way.inputs[i]));
    recur::YieldOp::create(inside, loc, updated, results);
    eraseDead(*way.block);
  }

  /// A region of the scan without outputs, and without what they alone need.
  void forward(Block &from, Region &into) {
    Block &block = into.emplaceBlock();
    IRMapping map;
    for (BlockArgument argument : from.getArguments())
      map.map(argument, block.addArgument(argument.getType(), loc));
    OpBuilder inside = OpBuilder::atBlockEnd(&block);
    for (Operation &op : from.without_terminator())
      inside.clone(op, map);
    SmallVector<Value> states;
    for (Value state : recur::Step(scan, &from).yield().getStates())
      states.push_back(map.lookup(state));
    recur::YieldOp::create(inside, loc, states, ValueRange());
    eraseDead(block);
  }

  void addAdjoint(std::string name, Value final) {
    while (!names.insert(name).second)
      name += "'";
    auto previous = DenseI64ArrayAttr::get(b.getContext(), {1});
    adjoints.push_back(recur::StateAttr::get(b.getContext(), b.getStringAttr(name), previous));
    finals.push_back(final);
  }

  /// Zeros without implicit axes.
  Value zeros(Type type) { return recur::SumToOp::create(b, loc, stepTypeOf(type), ValueRange(), false); }

  /// Of what is called `inside` a region, stored as elements of `like`.
  Type resultType(ValueRange operands, Type inside, Type like, bool perStep) {
    auto type = cast<RankedTensorType>(inside);
    SmallVector<int64_t> shape;
    SmallVector<StringAttr> axes;
    for (StringRef axis : chunk::GradientScanOp::resultAxes(operands, perStep)) {
      int64_t size = ShapedType::kDynamic;
      for (Value operand : operands)
        if (int64_t at = recur::dimsOf(operand.getType()).axisPosition(axis); axis == "head" && at >= 0)
          size = cast<RankedTensorType>(operand.getType()).getDimSize(at);
      shape.push_back(size);
      axes.push_back(b.getStringAttr(axis));
    }
    llvm::append_range(shape, type.getShape());
    return RankedTensorType::get(shape, cast<RankedTensorType>(like).getElementType(),
                                 recur::DimsAttr::get(b.getContext(), axes, recur::dimsOf(type).getNames()));
  }

  chunk::GradientScanOp make() {
    finish(one);
    finish(many);
    SmallVector<Value> operands(scan.getInputs());
    for (ValueRange list :
         {ValueRange(cotangents), ValueRange(scan.getParams()), ValueRange(scan.getInits()), ValueRange(finals)})
      llvm::append_range(operands, list);
    if (scan.getResets())
      operands.push_back(scan.getResets());
    SmallVector<Type> types;
    for (unsigned i : perStep)
      types.push_back(resultType(operands, one.inputs[i].getType(), one.inputs[i].getType(), true));
    for (auto [number, final] : llvm::enumerate(finals)) {
      Value like = number < scan.numStates() ? Value(scan.getInits()[number]) : final;
      types.push_back(resultType(operands, stepTypeOf(final.getType()), like.getType(), false));
    }
    auto made = chunk::GradientScanOp::create(
        b, loc, types, scan.getInputs(), cotangents, scan.getParams(), scan.getInits(), finals, scan.getResets(),
        scan.getOffsets(), scan.getAxes(), scan.getStates(), b.getArrayAttr(adjoints), scan.getPlan());
    forward(scan.getStep().front(), made.getStep());
    forward(scan.getChunk().front(), made.getChunk());
    made.getBackStep().push_back(one.block.release());
    made.getBackChunk().push_back(many.block.release());
    return made;
  }

  ScanCotangents take(chunk::GradientScanOp made) {
    ScanCotangents result;
    result.inputs.assign(scan.getInputs().size(), {});
    result.params.assign(scan.getParams().size(), {});
    for (auto [number, value] : llvm::zip(perStep, made.outputs()))
      result.inputs[number] = value;
    for (Value value : made.adjointResults().take_front(scan.numStates()))
      result.inits.push_back({value});
    for (auto [number, value] : llvm::zip(summed, made.adjointResults().drop_front(scan.numStates())))
      result.params[number] = value;
    return result;
  }

  OpBuilder &b;
  Location loc;
  chunk::ScanOp scan;
  const WantedCotangents &wanted;
  SmallVector<unsigned> outputs;   // that have cotangents
  SmallVector<Value> cotangents;   // of them
  SmallVector<unsigned> perStep;   // inputs that have cotangents
  SmallVector<unsigned> summed;    // parameters that have
  SmallVector<Attribute> adjoints; // of states, then sums
  SmallVector<Value> finals;       // what they begin with
  std::set<std::string> names;     // of states and adjoints
  Way one, many;
};

} // namespace

FailureOr<ScanCotangents> rondo::buildGradientScan(OpBuilder &b, chunk::ScanOp scan, ArrayRef<Value> ofOutputs,
                                                   ArrayRef<Value> ofFinals, const WantedCotangents &wanted) {
  return GradientBuilder(b, scan, ofOutputs, ofFinals, wanted).build();
}

FailureOr<ScanCotangents> rondo::buildGradientScan(OpBuilder &b, recur::ScanOp scan, int64_t interval,
                                                   ArrayRef<Value> ofOutputs, ArrayRef<Value> ofFinals,
                                                   const WantedCotangents &wanted) {
  auto plan = chunk::PlanAttr::get(b.getContext(), chunk::Form::Chunk, chunk::Schedule::Carry, /*chunk=*/1, interval);
  auto single = chunk::ScanOp::create(b, scan.getLoc(), scan->getResultTypes(), scan.getInputs(), scan.getParams(),
                                      scan.getInits(), scan.getResets(), scan.getOffsets(), scan.getAxes(),
                                      scan.getStates(), plan);
  for (Region *region : {&single.getStep(), &single.getChunk()}) {
    IRMapping map;
    scan.getBody().cloneInto(region, map);
  }
  FailureOr<ScanCotangents> of = buildGradientScan(b, single, ofOutputs, ofFinals, wanted);
  single.erase();
  return of;
}
