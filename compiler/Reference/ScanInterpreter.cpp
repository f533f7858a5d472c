// recur.scan and chunk.scan as their documents say it. Every state's whole history is kept, for one batch entry and head at a time: reading a
// state is a look at the history, or at its initial value for what lies before the beginning. No ring buffers, no copies of
// final states; the lowering has those, and this must not share their mistakes.
#include "compiler/Reference/ScanInterpreter.h"
#include "dialects/Chunk/Chunk.h"

using namespace mlir;

namespace rondo::reference {
namespace {

/// One element of the implicit axes; `time` holds an index per scanned axis.
struct Place {
  int64_t batch = 0, lag = 0, head = 0;
  SmallVector<int64_t, 2> time;
};

/// An operand or a result: finds the run of contiguous features at a place. Axes that the array lacks have stride 0.
struct Port {
  Array *array = nullptr;
  int64_t batch = 0, lag = 0, head = 0; // strides
  int64_t headsPerGroup = 1;
  SmallVector<int64_t, 2> time;
  int64_t features = 1;

  Complex *at(const Place &place) const {
    int64_t offset = place.batch * batch + place.lag * lag + place.head / headsPerGroup * head;
    for (auto [index, stride] : llvm::zip(place.time, time))
      offset += index * stride;
    return array->data.data() + offset;
  }
};

struct State {
  Port init;
  SmallVector<SmallVector<int64_t, 2>> reads; // distances per axis
  SmallVector<int64_t, 2> depth;              // per axis
  std::vector<Complex> history;               // in the order of the steps, for the current batch entry and head
  SmallVector<Port, 2> finals;                // per axis
};

/// A region of a scan: slots of its values, and what computes them, in order.
struct Body {
  Body(recur::ScanInterface scan, Region &region, const Sizes &sizes) : step(scan, &region.front()), ops(sizes) {}
  llvm::Error compile();

  recur::Step step;
  OpCompiler ops;
  std::vector<std::function<void()>> code;
};

class ScanRun {
public:
  ScanRun(recur::ScanInterface scan, OpCompiler &outer, const Sizes &sizes)
      : scan(scan), outer(outer), sizes(sizes), one(scan, scan->getRegion(0), sizes), axes(scan.numAxes()) {
    if (auto chunks = dyn_cast<chunk::ScanOp>(*scan)) {
      many.emplace(scan, chunks.getChunk(), sizes);
      chunkSize = chunks.size();
    }
    if (auto segments = dyn_cast<chunk::SegmentScanOp>(*scan); segments && segments.size() > 1) {
      many.emplace(scan, segments.getChunk(), sizes);
      chunkSize = segments.size();
    }
  }

  llvm::Error run() {
    if (auto error = measure())
      return error;
    if (auto error = one.compile())
      return error;
    if (auto error = many ? many->compile() : llvm::Error::success())
      return error;
    if (auto error = openPorts())
      return error;
    int64_t sequences = offsets.empty() ? batches : offsets.size() - 1;
    for (int64_t sequence = 0; sequence < sequences; ++sequence)
      for (int64_t head = 0; head < heads; ++head)
        runSequence(sequence, head);
    return llvm::Error::success();
  }

private:
  // Before the run: sizes, strides.
  llvm::Error measure();
  llvm::Error measureOffsets();
  llvm::Error measureAxis(Value operand, StringRef axis, int64_t &size);
  llvm::Error openPorts();
  llvm::Error openState(unsigned index);
  Port openPort(Value value, Array &array);
  Port makeResult(Value result, Value step, std::optional<unsigned> finalAxis, int64_t lag);

  // The run.
  void runSequence(int64_t sequence, int64_t head);
  void runBody(Body &body, ArrayRef<int64_t> step, int64_t count);
  void runStep(ArrayRef<int64_t> step);
  void runChunks();
  bool resetsAt(ArrayRef<int64_t> step) const { return resets && *resets->at(placeOf(step)) != 0.0; }
  void storeFinals(State &state);
  const Complex *look(const State &state, ArrayRef<int64_t> step, ArrayRef<int64_t> distances);
  int64_t stepNumber(ArrayRef<int64_t> step) const;
  Place placeOf(ArrayRef<int64_t> step) const;

  recur::ScanInterface scan;
  OpCompiler &outer; // slots of the scan's operands and results
  const Sizes &sizes;
  Body one;                 // one step
  std::optional<Body> many; // a chunk of `chunkSize` steps
  int64_t chunkSize = 0;
  unsigned axes;

  int64_t batches = 1, heads = 1, groups = 1;
  SmallVector<int64_t, 2> steps; // of the inputs
  std::vector<int64_t> offsets;  // of packed sequences
  std::vector<std::function<void()>> code;
  std::vector<Port> inputs, params, outputs;
  std::vector<State> states;
  std::optional<Port> resets;

  // The sequence being run.
  int64_t sequence = 0, head = 0;
  SmallVector<int64_t, 2> length; // its number of steps per axis
  int64_t start = 0;              // packed: its first index of the time axis
  int64_t begin = 0;              // the step of the last reset; what lies before is the initial value
};

} // namespace

//===--- before the run ---------------------------------------------------------------------------------------------===//

/// Takes the axis' size from an operand that has it; -1 in `size` stands for not seen yet.
llvm::Error ScanRun::measureAxis(Value operand, StringRef axis, int64_t &size) {
  int64_t position = recur::dimsOf(operand.getType()).axisPosition(axis);
  if (position < 0)
    return llvm::Error::success();
  int64_t own = outer.slot(operand).shape[position];
  if (size >= 0 && own != size)
    return failure("operands of a scan have " + llvm::Twine(size) + " and " + llvm::Twine(own) + " elements along '" +
                   axis + "'");
  size = own;
  return llvm::Error::success();
}

llvm::Error ScanRun::measure() {
  int64_t sequences = -1, groupCount = -1, headCount = -1, batchCount = -1;
  SmallVector<int64_t, 2> timeCounts(axes, -1);
  SmallVector<Value> data(scan.getInputs());
  if (scan.getResets())
    data.push_back(scan.getResets());
  SmallVector<Value> perSequence(scan.getParams());
  llvm::append_range(perSequence, scan.getInits());
  llvm::Error error = llvm::Error::success();
  auto add = [&](Value value, StringRef axis, int64_t &size) {
    error = llvm::joinErrors(std::move(error), measureAxis(value, axis, size));
  };
  for (Value value : data) {
    add(value, "batch", batchCount);
    for (unsigned axis = 0; axis < axes; ++axis)
      add(value, recur::timeAxisName(axis), timeCounts[axis]);
  }
  for (Value value : perSequence)
    add(value, "batch", scan.getOffsets() ? sequences : batchCount);
  for (Value value : llvm::concat<Value>(data, perSequence)) {
    add(value, "head", headCount);
    add(value, "group", groupCount);
  }
  if (error)
    return error;
  batches = batchCount < 0 ? 1 : batchCount;
  groups = groupCount < 0 ? 1 : groupCount;
  heads = headCount < 0 ? groups : headCount;
  steps = timeCounts;
  if (groups < 1 || heads % groups != 0)
    return failure(llvm::Twine(heads) + " heads cannot share " + llvm::Twine(groups) + " groups");
  if (scan.getOffsets())
    if (auto error = measureOffsets())
      return error;
  if (scan.getOffsets() && sequences >= 0 && sequences + 1 != static_cast<int64_t>(offsets.size()))
    return failure(llvm::Twine(offsets.size() - 1) + " packed sequences have " + llvm::Twine(sequences) +
                   " initial values");
  return llvm::Error::success();
}

llvm::Error ScanRun::measureOffsets() {
  for (Complex offset : outer.slot(scan.getOffsets()).data)
    offsets.push_back(static_cast<int64_t>(offset.real()));
  bool good = !offsets.empty() && offsets.front() == 0 && offsets.back() == steps[0] && llvm::is_sorted(offsets);
  if (!good || batches != 1)
    return failure("offsets of packed sequences must rise from 0 to the number of steps, at batch size 1");
  return llvm::Error::success();
}

llvm::Error Body::compile() {
  for (BlockArgument argument : step.getBlock()->getArguments()) {
    auto shape = ops.shapeOf(argument.getType());
    if (!shape)
      return shape.takeError();
    ops.define(argument, Array::zeros(*shape, recur::elementKind(argument.getType()) == recur::ElementKind::Complex));
  }
  for (Operation &op : step.getBlock()->without_terminator()) {
    auto run = ops.compile(op);
    if (!run)
      return run.takeError();
    code.push_back(std::move(*run));
  }
  return llvm::Error::success();
}

Port ScanRun::openPort(Value value, Array &array) {
  recur::DimsAttr dims = recur::dimsOf(value.getType());
  std::vector<int64_t> strides = stridesOf(array.shape);
  auto stride = [&](StringRef axis) {
    int64_t position = dims.axisPosition(axis);
    return position < 0 ? 0 : strides[position];
  };
  Port port;
  port.array = &array;
  port.batch = stride("batch");
  port.lag = stride("lag");
  port.head = stride("head") + stride("group");
  port.headsPerGroup = dims.axisPosition("group") < 0 ? 1 : heads / groups;
  for (unsigned axis = 0; axis < axes; ++axis)
    port.time.push_back(stride(recur::timeAxisName(axis)));
  port.features = elementCount(ArrayRef<int64_t>(array.shape).drop_front(dims.getAxes().size()));
  return port;
}

/// Allocates an output (no finalAxis) or a final state, with the axes of its type.
Port ScanRun::makeResult(Value result, Value step, std::optional<unsigned> finalAxis, int64_t lag) {
  std::vector<int64_t> shape;
  for (StringAttr axis : recur::dimsOf(result.getType()).getAxes()) {
    if (axis == "batch")
      shape.push_back(finalAxis && !offsets.empty() ? offsets.size() - 1 : batches);
    else if (axis == "lag")
      shape.push_back(lag);
    else if (axis == "head")
      shape.push_back(heads);
    else
      for (unsigned time = 0; time < axes; ++time)
        if (axis == StringRef(recur::timeAxisName(time)))
          shape.push_back(steps[time]);
  }
  const Array &value = one.ops.slot(step);
  shape.insert(shape.end(), value.shape.begin(), value.shape.end());
  return openPort(result, outer.define(result, Array::zeros(shape, value.isComplex)));
}

llvm::Error ScanRun::openState(unsigned index) {
  State state;
  Value init = scan.getInits()[index];
  state.init = openPort(init, outer.slot(init));
  state.depth.assign(axes, 1);
  for (DenseI64ArrayAttr read : scan.state(index).getReads()) {
    auto &distances = state.reads.emplace_back();
    for (unsigned axis = 0; axis < axes; ++axis) {
      distances.push_back(sizes.distance(read[axis]));
      state.depth[axis] = std::max(state.depth[axis], distances.back());
    }
    if (llvm::all_of(distances, [](int64_t distance) { return distance == 0; }))
      return failure("state '" + scan.state(index).getName().getValue() + "' is read at its own step");
  }
  int64_t lagAxis = recur::dimsOf(init.getType()).axisPosition("lag");
  int64_t slices = lagAxis < 0 ? 1 : outer.slot(init).shape[lagAxis];
  if (axes == 1 && slices != state.depth[0])
    return failure("state '" + scan.state(index).getName().getValue() + "' needs " + llvm::Twine(state.depth[0]) +
                   " initial slices, got " + llvm::Twine(slices));
  int64_t count = elementCount(steps);
  state.history.resize(count * state.init.features);
  for (unsigned axis = 0; axis < axes; ++axis)
    state.finals.push_back(
        makeResult(scan.finals()[index * axes + axis], one.step.yield().getStates()[index], axis, state.depth[axis]));
  states.push_back(std::move(state));
  return llvm::Error::success();
}

llvm::Error ScanRun::openPorts() {
  for (Value input : scan.getInputs())
    inputs.push_back(openPort(input, outer.slot(input)));
  for (Value param : scan.getParams())
    params.push_back(openPort(param, outer.slot(param)));
  if (Value value = scan.getResets())
    resets = openPort(value, outer.slot(value));
  for (unsigned index = 0; index < scan.numStates(); ++index)
    if (auto error = openState(index))
      return error;
  for (auto [output, value] : llvm::zip_equal(scan.outputs(), one.step.yield().getOutputs()))
    outputs.push_back(makeResult(output, value, std::nullopt, 1));
  return llvm::Error::success();
}

//===--- the run ----------------------------------------------------------------------------------------------------===//

/// Where a step's data lie: a reversed axis is walked from its end.
Place ScanRun::placeOf(ArrayRef<int64_t> step) const {
  Place place{offsets.empty() ? sequence : 0, 0, head, {}};
  for (unsigned axis = 0; axis < axes; ++axis) {
    bool reverse = recur::ScanInterface(scan).axis(axis).getReverse();
    place.time.push_back(start + (reverse ? length[axis] - 1 - step[axis] : step[axis]));
  }
  return place;
}

int64_t ScanRun::stepNumber(ArrayRef<int64_t> step) const {
  int64_t number = 0;
  for (unsigned axis = 0; axis < axes; ++axis)
    number = number * length[axis] + step[axis];
  return number;
}

/// The state `distances` before `step`. Over one axis, the initial slices (oldest first) end just before `begin`.
const Complex *ScanRun::look(const State &state, ArrayRef<int64_t> step, ArrayRef<int64_t> distances) {
  SmallVector<int64_t, 2> from;
  for (auto [index, distance] : llvm::zip_equal(step, distances))
    from.push_back(index - distance);
  bool before = axes == 1 ? from[0] < begin : llvm::any_of(from, [](int64_t index) { return index < 0; });
  if (!before)
    return state.history.data() + stepNumber(from) * state.init.features;
  int64_t slice = axes == 1 ? state.depth[0] - (begin - from[0]) : 0;
  return state.init.at({sequence, slice, head, {}});
}

static void copyInto(Array &slot, const Complex *from) { std::copy_n(from, slot.data.size(), slot.data.begin()); }

/// Runs the body on `count` steps from `step` on. Of several steps, which lie along the first axis, an input or output has one run of
/// features per step.
void ScanRun::runBody(Body &body, ArrayRef<int64_t> step, int64_t count) {
  auto later = [&](int64_t i) {
    SmallVector<int64_t, 2> at(step);
    at[0] += i;
    return at;
  };
  for (auto [argument, input] : llvm::zip_equal(body.step.inputArgs(), inputs))
    for (int64_t i = 0; i < count; ++i)
      std::copy_n(input.at(placeOf(later(i))), input.features,
                  body.ops.slot(argument).data.begin() + i * input.features);
  if (&body != &one && count < chunkSize) // see Rounding: the rest of a chunk is zeros
    for (auto [argument, input] : llvm::zip_equal(body.step.inputArgs(), inputs)) {
      Array &slot = body.ops.slot(argument);
      std::fill(slot.data.begin() + count * input.features, slot.data.end(), 0.0);
    }
  for (auto [index, state] : llvm::enumerate(states))
    for (auto [argument, distances] : llvm::zip_equal(body.step.stateArgs(index), state.reads))
      copyInto(body.ops.slot(argument), look(state, step, distances));
  for (const auto &run : body.code)
    run();
  for (auto [value, state] : llvm::zip_equal(body.step.yield().getStates(), states)) {
    const Array &slot = body.ops.slot(value);
    std::copy(slot.data.begin(), slot.data.end(),
              state.history.begin() + stepNumber(later(count - 1)) * state.init.features);
  }
  for (auto [value, output] : llvm::zip_equal(body.step.yield().getOutputs(), outputs))
    for (int64_t i = 0; i < count; ++i)
      std::copy_n(body.ops.slot(value).data.begin() + i * output.features, output.features,
                  output.at(placeOf(later(i))));
}

void ScanRun::runStep(ArrayRef<int64_t> step) {
  if (resetsAt(step))
    begin = step[0];
  runBody(one, step, 1);
}

/// Whole chunks where there are steps enough and no sequence begins within, single steps elsewhere. A state of a chunk is read one
/// step back, which is the last step of the chunk before.
void ScanRun::runChunks() {
  for (int64_t step = 0; step < length[0];) {
    bool fits = length[0] - step >= chunkSize;
    for (int64_t inside = 1; fits && inside < chunkSize; ++inside)
      fits = !resetsAt({step + inside});
    int64_t count = chunkSize;
    if (sizes.rounding.bits && !resets) {
      count = std::min(chunkSize, length[0] - step);
      sizes.rounding.steps = count < chunkSize ? count : -1;
      fits = true;
    }
    if (!fits) {
      runStep({step++});
      continue;
    }
    if (resetsAt({step}))
      begin = step;
    runBody(*many, {step}, count);
    step += count;
  }
}

/// Calls `visit` with every index below `extents`, the last one fastest.
static void forEachIndex(ArrayRef<int64_t> extents, llvm::function_ref<void(MutableArrayRef<int64_t>)> visit) {
  for (int64_t number = 0, count = elementCount(extents); number < count; ++number) {
    SmallVector<int64_t, 2> index(extents.size());
    int64_t rest = number;
    for (size_t axis = extents.size(); axis-- > 0; rest /= extents[axis])
      index[axis] = rest % extents[axis];
    visit(index);
  }
}

/// The last slices along each axis: what a step just beyond the end would look back at.
void ScanRun::storeFinals(State &state) {
  for (unsigned axis = 0; axis < axes; ++axis) {
    SmallVector<int64_t, 2> extents(length);
    extents[axis] = state.depth[axis];
    forEachIndex(extents, [&](MutableArrayRef<int64_t> index) {
      int64_t slice = index[axis];
      SmallVector<int64_t, 2> distances(axes, 0);
      distances[axis] = state.depth[axis] - slice;
      SmallVector<int64_t, 2> beyond(index);
      beyond[axis] = length[axis];
      Place place = placeOf(beyond);
      place.batch = sequence;
      place.lag = slice;
      place.time[axis] = 0;
      std::copy_n(look(state, beyond, distances), state.init.features, state.finals[axis].at(place));
    });
  }
}

void ScanRun::runSequence(int64_t sequenceIndex, int64_t headIndex) {
  sequence = sequenceIndex;
  head = headIndex;
  start = offsets.empty() ? 0 : offsets[sequence];
  begin = 0;
  length = steps;
  if (!offsets.empty())
    length[0] = offsets[sequence + 1] - start;
  for (Body *body : {&one, many ? &*many : nullptr})
    if (body)
      for (auto [argument, param] : llvm::zip_equal(body->step.paramArgs(), params))
        copyInto(body->ops.slot(argument), param.at({sequence, 0, head, {}}));
  if (many)
    runChunks();
  else
    forEachIndex(length, [&](MutableArrayRef<int64_t> step) { runStep(step); });
  for (State &state : states)
    storeFinals(state);
}

llvm::Error interpretScan(recur::ScanInterface scan, OpCompiler &ops, const Sizes &sizes) {
  return ScanRun(scan, ops, sizes).run();
}

} // namespace rondo::reference
