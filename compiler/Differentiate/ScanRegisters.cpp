// See ScanRegisters.h.
#include "compiler/Differentiate/ScanRegisters.h"
#include "compiler/Transforms/NewScan.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace rondo;

static unsigned axesRead(DenseI64ArrayAttr distances) {
  return llvm::count_if(distances.asArrayRef(), [](int64_t distance) { return distance > 0; });
}

bool rondo::needsRegisters(recur::ScanOp scan) {
  for (unsigned s = 0; s < scan.numStates(); ++s) {
    if (scan.getResets() && scan.state(s).getReads() != ArrayRef{DenseI64ArrayAttr::get(scan.getContext(), {1})})
      return true;
    if (llvm::any_of(scan.state(s).getReads(), [](DenseI64ArrayAttr read) { return axesRead(read) > 1; }))
      return true;
  }
  return false;
}

/// `type` with `slices` slices along the axis `lag`; without that axis for one.
static RankedTensorType withSlices(Type of, int64_t slices) {
  auto type = cast<RankedTensorType>(of);
  recur::DimsAttr dims = recur::dimsOf(type);
  SmallVector<int64_t> shape;
  SmallVector<StringAttr> axes;
  auto addLag = [&] {
    if (slices > 1) {
      axes.push_back(StringAttr::get(type.getContext(), "lag"));
      shape.push_back(slices);
    }
  };
  bool hasBatch = dims.axisPosition("batch") >= 0;
  if (!hasBatch)
    addLag();
  for (auto [axis, size] : llvm::zip(dims.getAxes(), type.getShape())) {
    if (axis == "lag")
      continue;
    axes.push_back(axis);
    shape.push_back(size);
    if (axis == "batch")
      addLag();
  }
  llvm::append_range(shape, type.getShape().drop_front(dims.getAxes().size()));
  return RankedTensorType::get(shape, type.getElementType(),
                               recur::DimsAttr::get(type.getContext(), axes, dims.getNames()));
}

namespace {

class Registers {
public:
  Registers(OpBuilder &b, recur::ScanOp scan, ArrayRef<Value> ofFinals)
      : b(b), loc(scan.getLoc()), scan(scan), step(scan), ofFinals(ofFinals),
        made(loc, scan.getAxes(), scan.getResets(), scan.getOffsets()) {}

  recur::ScanOp build() {
    for (auto [argument, operand] : llvm::zip(step.inputArgs(), scan.getInputs()))
      map.map(argument, made.input(operand));
    for (auto [argument, operand] : llvm::zip(step.paramArgs(), scan.getParams()))
      map.map(argument, made.param(operand));
    for (unsigned s = 0; s < scan.numStates(); ++s)
      scan.numAxes() == 1 ? addRegisters(s) : addEdges(s);
    for (Operation &op : scan.step()->without_terminator())
      made.body.clone(op, map);
    SmallVector<Value> updated, outputs;
    for (const State &state : states)
      updated.push_back(state.shifted ? state.shifted : map.lookupOrDefault(step.yield().getStates()[state.of]));
    for (Value output : step.yield().getOutputs())
      outputs.push_back(map.lookupOrDefault(output));
    return made.finish(b, updated, outputs);
  }

  /// A state of the new scan, what it stands for, and the cotangent of its final value.
  struct State {
    unsigned of;
    int64_t back;  // it holds what was `back` steps before; 0: over several axes
    Value shifted; // in the new step, what it becomes; null: what its state becomes
    Value ofFinal;
  };
  SmallVector<State> states;

private:
  /// The slice of `back` steps before the sequence, out of all `depth`.
  Value sliceOf(Value slices, int64_t back, int64_t depth) {
    if (depth == 1)
      return slices;
    // Turning the slices around puts it at the end of the first `back`.
    Value turned = recur::SumToOp::create(b, loc, withSlices(slices.getType(), back), slices, true);
    return back == 1 ? turned
                     : recur::SumToOp::create(b, loc, withSlices(slices.getType(), 1), turned, true).getResult();
  }

  Value addState(unsigned s, ArrayRef<DenseI64ArrayAttr> reads, Value init, SmallVectorImpl<Value> &arguments) {
    std::string name = scan.state(s).getName().str();
    while (!names.insert(name).second)
      name += "'";
    auto attribute = recur::StateAttr::get(b.getContext(), b.getStringAttr(name), reads);
    arguments = made.state(attribute, init);
    return arguments.front();
  }

  void addRegisters(unsigned s) {
    int64_t depth = scan.state(s).depth();
    auto previous = DenseI64ArrayAttr::get(b.getContext(), {1});
    SmallVector<Value> held, arguments;
    for (int64_t back = 1; back <= depth; ++back) {
      Value before = back == 1 ? Value() : held.back();
      held.push_back(addState(s, previous, sliceOf(scan.getInits()[s], back, depth), arguments));
      states.push_back({s, back, before, ofFinals[s] ? sliceOf(ofFinals[s], back, depth) : Value()});
    }
    for (auto [argument, read] : llvm::zip(step.stateArgs(s), scan.state(s).getReads()))
      map.map(argument, held[read[0] - 1]);
  }

  /// Reads along one axis stay; of the others, all axes but one are walked by states of their own, the last axis first.
  void addEdges(unsigned s) {
    SmallVector<DenseI64ArrayAttr> reads;
    auto alongOne = [&](DenseI64ArrayAttr read) {
      SmallVector<int64_t> last(read.size(), 0);
      for (size_t axis = read.size(); axis-- > 0;)
        if (read[axis] > 0) {
          last[axis] = read[axis];
          break;
        }
      return DenseI64ArrayAttr::get(b.getContext(), last);
    };
    for (DenseI64ArrayAttr read : scan.state(s).getReads())
      reads.push_back(alongOne(read));
    SmallVector<Value> arguments, next;
    addState(s, reads, scan.getInits()[s], arguments);
    states.push_back({s, 0, Value(), Value()}); // nothing takes the cotangents of edges
    for (auto [argument, read, inner, at] : llvm::zip(step.stateArgs(s), scan.state(s).getReads(), reads, arguments)) {
      SmallVector<int64_t> rest(read.asArrayRef());
      Value value = at;
      for (size_t axis = rest.size(); axis-- > 0;) {
        int64_t distance = rest[axis];
        rest[axis] = 0;
        if (distance == 0 || inner[axis] == distance)
          continue;
        SmallVector<int64_t> along(rest.size(), 0);
        along[axis] = distance;
        auto single = DenseI64ArrayAttr::get(b.getContext(), along);
        Value held = value;
        value = addState(s, single, scan.getInits()[s], next);
        states.push_back({s, 0, held, Value()});
      }
      map.map(argument, value);
    }
  }

  OpBuilder &b;
  Location loc;
  recur::ScanOp scan;
  recur::Step step;
  ArrayRef<Value> ofFinals;
  NewScan made;
  IRMapping map;
  std::set<std::string> names;
};

} // namespace

FailureOr<ScanCotangents> rondo::differentiateWithRegisters(OpBuilder &b, recur::ScanOp scan, ArrayRef<Value> ofOutputs,
                                                            ArrayRef<Value> ofFinals, const WantedCotangents &wanted) {
  Registers registers(b, scan, ofFinals);
  recur::ScanOp plain = registers.build();
  SmallVector<Value> finals;
  WantedCotangents all = wanted;
  all.inits.clear();
  for (const Registers::State &state : registers.states) {
    finals.push_back(state.ofFinal);
    all.inits.push_back(wanted.inits[state.of]);
  }
  FailureOr<ScanCotangents> of = differentiateScan(b, plain, ofOutputs, finals, all);
  plain.erase();
  if (failed(of))
    return failure();
  SmallVector<SmallVector<Value>> inits(scan.numStates());
  for (auto [state, parts] : llvm::zip(registers.states, of->inits))
    for (Value part : parts) { // with its slices in the opposite order: the farthest back comes last
      if (state.back > 1)
        part = recur::SumToOp::create(b, scan.getLoc(), withSlices(part.getType(), state.back), part, true);
      inits[state.of].push_back(part);
    }
  of->inits = std::move(inits);
  return of;
}
