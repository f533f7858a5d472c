// chunk.gradient_scan as its document says it. The states at the beginning of every move are kept, whatever the interval: it changes no
// result.
#include "compiler/Reference/GradientInterpreter.h"

using namespace mlir;

namespace rondo::reference {
namespace {

/// An operand or a result of the scan: strides of its implicit axes, 0 for those that it lacks.
struct Port {
  Array *array;
  int64_t batch, time, head, headsPerGroup, features;

  Complex *at(int64_t b, int64_t t, int64_t h) const {
    return array->data.data() + b * batch + t * time + h / headsPerGroup * head;
  }
};

/// One of the four regions: its values' slots, and what computes them, in order.
struct Body {
  Body(Region &region, const Sizes &sizes) : block(region.front()), ops(sizes) {}
  llvm::Error compile();
  /// What the yield gives for one of its operands.
  const std::vector<Complex> &yielded(unsigned number) {
    return ops.slot(block.getTerminator()->getOperand(number)).data;
  }

  Block &block;
  OpCompiler ops;
  std::vector<std::function<void()>> code;
};

/// Steps that are taken at once, and the states before them.
struct Move {
  int64_t step, count;
  std::vector<std::vector<Complex>> states;
};

class GradientRun {
public:
  GradientRun(chunk::GradientScanOp scan, OpCompiler &outer, const Sizes &sizes) : scan(scan), outer(outer) {
    for (Region &region : scan->getRegions())
      bodies.emplace_back(region, sizes);
  }

  llvm::Error run() {
    for (Body &body : bodies)
      if (auto error = body.compile())
        return error;
    measure();
    if (auto error = readOffsets())
      return error;
    if (groups < 1 || heads % groups != 0)
      return failure(llvm::Twine(heads) + " heads cannot share " + llvm::Twine(groups) + " groups");
    for (Value operand : scan->getOperands())
      if (recur::isArray(operand.getType()))
        ports.try_emplace(operand, openPort(operand, outer.slot(operand)));
    auto yield = scan.getBackStep().front().getTerminator();
    unsigned adjoints = scan.getFinals().size(), outputs = scan.numOutputs();
    for (auto [number, result] : llvm::enumerate(scan->getResults())) // outputs first, in a yield the states
      results.push_back(makeResult(result, yield->getOperand(number < outputs ? number + adjoints : number - outputs)));
    int64_t sequences = offsets.empty() ? batches : offsets.size() - 1;
    for (int64_t b = 0; b < sequences; ++b)
      for (int64_t h = 0; h < heads; ++h)
        runSequence(b, h);
    return llvm::Error::success();
  }

private:
  void measure();
  llvm::Error readOffsets();
  Port openPort(Value value, Array &array) const;
  Port makeResult(Value result, Value inside);
  void runSequence(int64_t b, int64_t h);
  void runBody(Region &region, const Move &move, ArrayRef<std::vector<Complex>> adjoints);
  /// Where the data of a step lie.
  int64_t timeOf(int64_t step) { return start + (scan.axis().getReverse() ? steps - 1 - step : step); }
  bool resetsAt(int64_t step) {
    return scan.getResets() && *ports.find(scan.getResets())->second.at(row(true), timeOf(step), head) != 0.0;
  }
  /// The entry of the axis 'batch': packed sequences share one where there is time.
  int64_t row(bool perStep) const { return perStep && !offsets.empty() ? 0 : batch; }
  std::vector<Move> walkThere();
  std::vector<std::vector<Complex>> initial(OperandRange inits) const;

  chunk::GradientScanOp scan;
  OpCompiler &outer; // slots of the scan's operands and results
  std::deque<Body> bodies;
  int64_t batches = 1, steps = 0, heads = 1, groups = 1;
  llvm::DenseMap<Value, Port> ports;
  std::vector<Port> results;
  std::vector<int64_t> offsets;           // of packed sequences
  int64_t batch = 0, head = 0, start = 0; // of the sequence being run, and of `steps`
};

} // namespace

llvm::Error Body::compile() {
  for (BlockArgument argument : block.getArguments()) {
    auto shape = ops.shapeOf(argument.getType());
    if (!shape)
      return shape.takeError();
    ops.define(argument, Array::zeros(*shape, recur::elementKind(argument.getType()) == recur::ElementKind::Complex));
  }
  for (Operation &op : block.without_terminator()) {
    auto run = ops.compile(op);
    if (!run)
      return run.takeError();
    code.push_back(std::move(*run));
  }
  return llvm::Error::success();
}

void GradientRun::measure() {
  heads = groups = -1;
  auto look = [&](ValueRange operands) {
    for (Value operand : operands)
      for (auto [position, axis] : llvm::enumerate(recur::dimsOf(operand.getType()).getAxes()))
        (axis == "batch"  ? batches
         : axis == "time" ? steps
         : axis == "head" ? heads
                          : groups) = outer.slot(operand).shape[position];
  };
  look(scan.operandsOf(scan.getBackStep()));
  if (scan.getResets())
    look(scan.getResets());
  if (scan.getOffsets()) // initial values have a row per sequence, what has time has one
    batches = 1;
  groups = groups < 0 ? 1 : groups;
  heads = heads < 0 ? groups : heads;
}

llvm::Error GradientRun::readOffsets() {
  if (!scan.getOffsets())
    return llvm::Error::success();
  for (const Complex &offset : outer.slot(scan.getOffsets()).data)
    offsets.push_back(static_cast<int64_t>(offset.real()));
  bool good = !offsets.empty() && offsets.front() == 0 && offsets.back() == steps && llvm::is_sorted(offsets);
  return good ? llvm::Error::success() : failure("offsets of packed sequences must rise from 0 to the number of steps");
}

Port GradientRun::openPort(Value value, Array &array) const {
  recur::DimsAttr dims = recur::dimsOf(value.getType());
  std::vector<int64_t> strides = stridesOf(array.shape);
  auto stride = [&](StringRef axis) {
    int64_t position = dims.axisPosition(axis);
    return position < 0 ? 0 : strides[position];
  };
  return {&array,
          stride("batch"),
          stride("time"),
          stride("head") + stride("group"),
          dims.axisPosition("group") < 0 ? 1 : heads / groups,
          elementCount(ArrayRef<int64_t>(array.shape).drop_front(dims.getAxes().size()))};
}

Port GradientRun::makeResult(Value result, Value inside) {
  std::vector<int64_t> shape;
  recur::DimsAttr dims = recur::dimsOf(result.getType());
  int64_t rows = dims.axisPosition("time") < 0 && !offsets.empty() ? offsets.size() - 1 : batches;
  for (StringAttr axis : dims.getAxes())
    shape.push_back(axis == "batch" ? rows : axis == "time" ? steps : heads);
  const Array &value = bodies[2].ops.slot(inside);
  shape.insert(shape.end(), value.shape.begin(), value.shape.end());
  return openPort(result, outer.define(result, Array::zeros(shape, value.isComplex)));
}

std::vector<std::vector<Complex>> GradientRun::initial(OperandRange inits) const {
  std::vector<std::vector<Complex>> values;
  for (Value init : inits) {
    const Port &port = ports.find(init)->second;
    const Complex *from = port.at(batch, 0, head);
    values.emplace_back(from, from + port.features);
  }
  return values;
}

/// Runs a region on a move; its arguments are inputs, cotangents, parameters, the states before the move and the adjoints behind it.
void GradientRun::runBody(Region &region, const Move &move, ArrayRef<std::vector<Complex>> adjoints) {
  Body &body = bodies[region.getRegionNumber()];
  SmallVector<std::vector<Complex>> carried(move.states.begin(), move.states.end());
  llvm::append_range(carried, adjoints);
  size_t data = region.getNumArguments() - carried.size();
  for (auto [number, operand] : llvm::enumerate(scan.operandsOf(region))) {
    std::vector<Complex> &slot = body.ops.slot(region.getArgument(number)).data;
    if (number >= data) {
      slot = carried[number - data];
      continue;
    }
    const Port &port = ports.find(operand)->second;
    bool perStep = recur::dimsOf(operand.getType()).axisPosition("time") >= 0;
    for (int64_t i = 0; i < (perStep ? move.count : 1); ++i)
      std::copy_n(port.at(row(perStep), timeOf(move.step + i), head), port.features, slot.begin() + i * port.features);
  }
  for (const auto &run : body.code)
    run();
}

std::vector<Move> GradientRun::walkThere() {
  std::vector<Move> moves;
  std::vector<std::vector<Complex>> states = initial(scan.getInits());
  for (int64_t step = 0; step < steps; step += moves.back().count) {
    if (resetsAt(step))
      states = initial(scan.getInits());
    bool fits = steps - step >= scan.size();
    for (int64_t inside = 1; fits && inside < scan.size(); ++inside)
      fits = !resetsAt(step + inside);
    moves.push_back({step, fits ? scan.size() : 1, states});
    Region &region = fits ? scan.getChunk() : scan.getStep();
    runBody(region, moves.back(), {});
    for (unsigned number = 0; number < states.size(); ++number)
      states[number] = bodies[region.getRegionNumber()].yielded(number);
  }
  return moves;
}

void GradientRun::runSequence(int64_t b, int64_t h) {
  batch = b;
  head = h;
  int64_t all = steps;
  if (!offsets.empty()) {
    start = offsets[b];
    steps = offsets[b + 1] - start;
  }
  std::vector<std::vector<Complex>> adjoints = initial(scan.getFinals()), total;
  for (Value init : scan.getInits())
    total.emplace_back(ports.find(init)->second.features);
  std::vector<Move> moves = walkThere();
  for (const Move &move : llvm::reverse(moves)) {
    Region &region = move.count == 1 ? scan.getBackStep() : scan.getBackChunk();
    Body &body = bodies[region.getRegionNumber()];
    runBody(region, move, adjoints);
    for (unsigned number = 0; number < adjoints.size(); ++number)
      adjoints[number] = body.yielded(number);
    for (unsigned number = 0; number < scan.numOutputs(); ++number)
      for (int64_t i = 0; i < move.count; ++i)
        std::copy_n(body.yielded(adjoints.size() + number).begin() + i * results[number].features,
                    results[number].features, results[number].at(row(true), timeOf(move.step + i), h));
    for (unsigned number = 0; number < total.size() && resetsAt(move.step); ++number)
      for (auto [sum, part] : llvm::zip(total[number], adjoints[number]))
        sum += std::exchange(part, 0.0);
  }
  for (unsigned number = 0; scan.getResets() && number < total.size(); ++number)
    for (auto [sum, part] : llvm::zip(total[number], adjoints[number]))
      part += sum;
  for (auto [number, adjoint] : llvm::enumerate(adjoints))
    llvm::copy(adjoint, results[scan.numOutputs() + number].at(b, 0, h));
  steps = all;
}

llvm::Error interpretGradientScan(chunk::GradientScanOp scan, OpCompiler &ops, const Sizes &sizes) {
  return GradientRun(scan, ops, sizes).run();
}

} // namespace rondo::reference
