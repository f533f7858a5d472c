// Runs in pieces. Slices are copied, which keeps this independent of what strides a kernel supports.
#include "compiler/tools/rondo/Stepping.h"
#include <algorithm>
#include <cstring>

namespace rondo::tool {
namespace {

std::vector<const TensorSpec *> ofKind(const Program &program, TensorKind kind) {
  std::vector<const TensorSpec *> found;
  for (const TensorSpec &spec : program.tensors)
    if (spec.kind == kind)
      found.push_back(&spec);
  return found;
}

const TensorSpec *givenTensor(const Program &program, const std::string &name) {
  for (const TensorSpec &spec : program.tensors)
    if (spec.name == name && isGiven(spec.kind))
      return &spec;
  return nullptr;
}

int timeAxis(const TensorSpec &spec) {
  for (size_t i = 0; i < spec.axes.size(); ++i)
    if (spec.axes[i].axis == Axis::Time)
      return int(i);
  return -1;
}

/// A tensor as rows: `outer` runs of `time` steps of `inner` bytes.
struct TimeView {
  int64_t outer = 1, time = 1, inner = 1;
  TimeView(const Buffer &buffer, int axis) {
    const auto &shape = buffer.shape();
    for (int i = 0; i < int(shape.size()); ++i)
      (i < axis ? outer : i == axis ? time : inner) *= shape[size_t(i)];
    inner *= int64_t(sizeOf(buffer.type()));
  }
};

void copySteps(const Buffer &from, int64_t fromStep, const Buffer &to, int64_t toStep, int64_t steps, int axis) {
  const TimeView source(from, axis), target(to, axis);
  for (int64_t i = 0; i < source.outer; ++i)
    std::memcpy(to.as<char>() + (i * target.time + toStep) * target.inner,
                from.as<char>() + (i * source.time + fromStep) * source.inner, size_t(steps * source.inner));
}

/// One run in pieces.
class PieceRun {
public:
  PieceRun(const Kernel &kernel, const NamedBuffers &inputs, const CallShape &shape)
      : kernel(kernel), program(kernel.program()), inputs(inputs), shape(shape) {}

  Result<NamedBuffers> run(int64_t piece, int threads, const BetweenPieces &between) {
    for (int64_t at = 0; at < shape.time; at += piece) {
      const int64_t steps = std::min(piece, shape.time - at);
      CallShape sizes = shape;
      sizes.time = steps;
      slices.clear();
      Result<NamedBuffers> computed = kernel.run(arguments(at, steps), callOptions(program, sizes, threads));
      if (!computed)
        return computed;
      keep(std::move(*computed), at, steps);
      if (at + steps < shape.time)
        feedBack(between, at + steps);
    }
    return std::move(outputs);
  }

private:
  NamedTensors arguments(int64_t at, int64_t steps) {
    NamedTensors tensors;
    for (const auto &[name, buffer] : inputs) {
      const TensorSpec *spec = givenTensor(program, name);
      const int axis = spec ? timeAxis(*spec) : -1;
      if (spec && spec->kind == TensorKind::Init && !states.empty())
        continue;
      if (axis < 0) {
        tensors.emplace_back(name, buffer.view());
        continue;
      }
      std::vector<int64_t> sizes = buffer.shape();
      sizes[size_t(axis)] = steps;
      slices.emplace_back(buffer.type(), sizes);
      copySteps(buffer, at, slices.back(), 0, steps, axis);
      tensors.emplace_back(name, slices.back().view());
    }
    for (const auto &[name, buffer] : states)
      tensors.emplace_back(name, buffer.view());
    return tensors;
  }

  void keep(NamedBuffers computed, int64_t at, int64_t steps) {
    const auto specs = computedTensors(program);
    for (size_t i = 0; i < specs.size(); ++i) {
      const int axis = timeAxis(*specs[i]);
      Buffer &piece = computed[i].second;
      if (outputs.size() == i)
        outputs.emplace_back(computed[i].first, axis < 0 ? Buffer() : Buffer(piece.type(), shapeOf(*specs[i], shape)));
      if (axis < 0)
        outputs[i].second = std::move(piece);
      else
        copySteps(piece, 0, outputs[i].second, at, steps, axis);
    }
  }

  void feedBack(const BetweenPieces &between, int64_t time) {
    const auto inits = ofKind(program, TensorKind::Init);
    const size_t firstFinal = outputs.size() - inits.size();
    states.clear();
    for (size_t i = 0; i < inits.size(); ++i) {
      const Buffer &final = outputs[firstFinal + i].second;
      Buffer state(final.type(), final.shape());
      if (state.bytes())
        std::memcpy(state.data(), final.data(), state.bytes());
      states.emplace_back(inits[i]->name, std::move(state));
    }
    if (between)
      between(states, time);
  }

  const Kernel &kernel;
  const Program &program;
  const NamedBuffers &inputs;
  CallShape shape;
  std::vector<Buffer> slices; // moves of a Buffer keep its memory, so views into earlier slices stay valid
  NamedBuffers states, outputs;
};

} // namespace

RunOptions callOptions(const Program &program, const CallShape &shape, int threads) {
  RunOptions options;
  options.threads = threads;
  options.batch = shape.batch;
  options.time = shape.time;
  if (asksFor(program.tensors, Axis::Time1))
    options.time1 = shape.time1;
  if (asksFor(program.tensors, Axis::Head))
    options.heads = shape.heads;
  return options;
}

bool canBeCut(const Program &program) {
  const auto inits = ofKind(program, TensorKind::Init), finals = ofKind(program, TensorKind::Final);
  if (inits.size() != finals.size() || asksFor(program.tensors, Axis::Time1))
    return false;
  // A reset means the initial values of the whole run, and offsets are positions in it.
  if (hasKind(program.tensors, TensorKind::Resets) || hasKind(program.tensors, TensorKind::Offsets))
    return false;
  const CallShape probe{2, 3, 5, 7, 7};
  for (size_t i = 0; i < inits.size(); ++i)
    if (shapeOf(*inits[i], probe) != shapeOf(*finals[i], probe) || inits[i]->type != finals[i]->type)
      return false;
  return true;
}

Result<NamedBuffers> runInPieces(const Kernel &kernel, const NamedBuffers &inputs, const CallShape &shape,
                                 int64_t piece, int threads, const BetweenPieces &between) {
  if (!canBeCut(kernel.program()))
    return Error("model '" + kernel.program().model +
                 "' cannot run in pieces: its final states are not its initial states");
  return PieceRun(kernel, inputs, shape).run(piece, threads, between);
}

} // namespace rondo::tool
