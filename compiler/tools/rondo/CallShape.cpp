// Shapes of tensors under the sizes of a call.
#include "compiler/tools/rondo/CallShape.h"
#include <algorithm>
#include <fmt/format.h>

namespace rondo::tool {
namespace {

constexpr const char *letters[] = {"B", "T", "T1", "H", "G", "N", "lag"};

int64_t sizeUnder(const AxisSpec &axis, const CallShape &shape) {
  if (axis.size >= 0)
    return axis.size;
  switch (axis.axis) {
  case Axis::Batch:
    return (shape.batch + axis.steps - 1) / axis.steps;
  case Axis::Time:
    return (shape.time + axis.steps - 1) / axis.steps;
  case Axis::Time1:
    return shape.time1;
  case Axis::Head:
    return shape.heads;
  case Axis::Group:
    return shape.groups;
  case Axis::Sequence:
    return shape.sequences;
  default:
    return 1;
  }
}

int64_t largestProperDivisor(int64_t number) {
  for (int64_t divisor = number / 2; divisor > 1; --divisor)
    if (number % divisor == 0)
      return divisor;
  return 1;
}

} // namespace

bool isGiven(TensorKind kind) { return kind <= TensorKind::Offsets; }
bool isComputed(TensorKind kind) { return kind == TensorKind::Output || kind == TensorKind::Final; }

std::vector<const TensorSpec *> computedTensors(const Program &program) {
  std::vector<const TensorSpec *> found;
  for (const TensorSpec &spec : program.tensors)
    if (isComputed(spec.kind))
      found.push_back(&spec);
  return found;
}

bool hasKind(const std::vector<TensorSpec> &tensors, TensorKind kind) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const TensorSpec &spec) { return spec.kind == kind; });
}

bool asksFor(const std::vector<TensorSpec> &tensors, Axis axis) {
  for (const TensorSpec &spec : tensors)
    for (const AxisSpec &each : spec.axes)
      if (spec.kind != TensorKind::Temporary && each.axis == axis && each.size < 0)
        return true;
  return false;
}

CallShape fitted(const std::vector<TensorSpec> &tensors, CallShape shape) {
  int64_t heads = shape.heads;
  for (const TensorSpec &spec : tensors)
    for (const AxisSpec &axis : spec.axes)
      if (axis.axis == Axis::Head && axis.size >= 0)
        heads = axis.size;
  shape.groups = largestProperDivisor(heads);
  if (hasKind(tensors, TensorKind::Offsets))
    shape.batch = 1;
  return shape;
}

std::vector<int64_t> shapeOf(const TensorSpec &spec, const CallShape &shape) {
  if (spec.kind == TensorKind::Offsets)
    return {shape.sequences + 1};
  std::vector<int64_t> sizes;
  for (const AxisSpec &axis : spec.axes)
    sizes.push_back(sizeUnder(axis, shape));
  return sizes;
}

std::string describe(const std::vector<TensorSpec> &tensors, const CallShape &shape) {
  std::vector<std::string> parts;
  for (Axis axis : {Axis::Batch, Axis::Time, Axis::Time1, Axis::Head, Axis::Group, Axis::Sequence})
    if (axis <= Axis::Time || asksFor(tensors, axis))
      parts.push_back(fmt::format("{}={}", letters[size_t(axis)], sizeUnder({axis, -1, ""}, shape)));
  return fmt::format("{}", fmt::join(parts, " "));
}

std::string describe(const TensorSpec &spec) {
  std::vector<std::string> parts;
  for (const AxisSpec &axis : spec.axes) {
    const std::string letter = axis.axis == Axis::Named ? axis.name : letters[size_t(axis.axis)];
    const std::string number = std::to_string(axis.size);
    parts.push_back(axis.size < 0 || letter == number ? letter : fmt::format("{}={}", letter, number));
  }
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

Blocks blocksOf(const TensorSpec &spec, const std::vector<int64_t> &shape) {
  Blocks blocks;
  const bool absentHead = shape.size() + 1 == spec.axes.size();
  int64_t stride = 1;
  size_t position = shape.size();
  for (size_t i = spec.axes.size(); i-- > 0;) {
    const Axis axis = spec.axes[i].axis;
    if (absentHead && (axis == Axis::Head || axis == Axis::Group))
      continue;
    if (position == 0)
      break;
    const int64_t size = shape[--position];
    if (axis == Axis::Batch || axis == Axis::Sequence) {
      blocks.batch = std::max<int64_t>(size, 1);
      blocks.batchStride = stride;
    } else if (axis == Axis::Head) {
      blocks.heads = std::max<int64_t>(size, 1);
      blocks.headStride = stride;
    }
    stride *= size;
  }
  return blocks;
}

} // namespace rondo::tool
