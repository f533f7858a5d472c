// recur.sum_to, as its document says it: every element of every operand is added where it belongs.
#include "compiler/Reference/OpCompiler.h"

using namespace mlir;

namespace rondo::reference {
namespace {

/// Where each element of an array belongs in the result: one axis of the array, seen from there.
struct AxisMap {
  int64_t size;      // of the array's axis
  int64_t own;       // its stride
  int64_t stride;    // of the result's axis; 0 where the result lacks it
  int64_t perResult; // of its indices, so many in a row belong to one of the result's (heads of a group)
  bool flipped;      // lag: index i belongs to index last - i, if that is below `count`
  int64_t last, count;
};

} // namespace

/// Sizes come from the operands; what none of them has, from the model's arguments.
static llvm::Expected<std::vector<int64_t>> shapeOfSum(recur::SumToOp op, OpCompiler &ops) {
  auto type = cast<RankedTensorType>(op.getType());
  recur::DimsAttr dims = recur::dimsOf(type);
  std::vector<int64_t> shape;
  for (int64_t position = 0; position < type.getRank(); ++position) {
    std::optional<int64_t> size;
    bool isNamed = position >= static_cast<int64_t>(dims.getAxes().size());
    for (Value operand : op.getOperands_()) {
      recur::DimsAttr from = recur::dimsOf(operand.getType());
      int64_t at = isNamed ? position - dims.getAxes().size() + from.getAxes().size()
                           : from.axisPosition(dims.getAxes()[position]);
      if (at >= 0 && !size && (isNamed || dims.getAxes()[position] != "lag"))
        size = ops.slot(operand).shape[at];
    }
    auto found = size ? llvm::Expected<int64_t>(*size) : ops.axisSize(type, position);
    if (!found)
      return found.takeError();
    shape.push_back(*found);
  }
  return shape;
}

/// How the axes of an operand lie in the result; axes that only the result has are of size `repeats` of them.
static std::vector<AxisMap> mapAxes(recur::SumToOp op, Value operand, const Array &from, const Array &to) {
  recur::DimsAttr source = recur::dimsOf(operand.getType()), target = recur::dimsOf(op.getType());
  std::vector<int64_t> own = stridesOf(from.shape), strides = stridesOf(to.shape);
  std::vector<AxisMap> axes;
  std::vector<bool> seen(to.shape.size(), false);
  auto add = [&](int64_t size, int64_t stride, int64_t position, int64_t perResult, bool isLag) {
    int64_t count = isLag && position >= 0 ? to.shape[position] : 1;
    axes.push_back({size, stride, position < 0 ? 0 : strides[position], perResult, isLag && op.getFlipLag(),
                    std::max(size, count) - 1, count});
    if (position >= 0)
      seen[position] = true;
  };
  int64_t implicit = source.getAxes().size();
  for (int64_t axis = 0; axis < static_cast<int64_t>(from.shape.size()); ++axis) {
    if (axis >= implicit) {
      add(from.shape[axis], own[axis], axis - implicit + target.getAxes().size(), 1, false);
      continue;
    }
    StringRef name = source.getAxes()[axis];
    int64_t position = target.axisPosition(name), perResult = 1;
    if (name == "head" && position < 0 && (position = target.axisPosition("group")) >= 0)
      perResult = std::max<int64_t>(1, from.shape[axis] / std::max<int64_t>(1, to.shape[position]));
    add(from.shape[axis], own[axis], position, perResult, name == "lag");
  }
  for (size_t position = 0; position < seen.size(); ++position) {
    if (seen[position])
      continue;
    bool isLag = position < target.getAxes().size() && target.getAxes()[position] == "lag";
    int64_t group = source.axisPosition("group");
    bool heads = group >= 0 && target.axisPosition("group") < 0 && target.getAxes()[position] == "head";
    if (heads) { // of each group, its heads
      axes[group].size = to.shape[position];
      axes[group].stride = strides[position];
      axes[group].perResult = -std::max<int64_t>(1, to.shape[position] / std::max<int64_t>(1, from.shape[group]));
    } else {
      add(isLag ? 1 : to.shape[position], 0, position, 1, isLag);
    }
  }
  return axes;
}

OpCompiler::Closure OpCompiler::compileSumTo(recur::SumToOp op) {
  auto shape = shapeOfSum(op, *this);
  if (!shape)
    return shape.takeError();
  Array &to = result(op.getResult(), *shape);
  struct Part {
    const Array *from;
    std::vector<std::pair<int64_t, int64_t>> pairs; // offsets there and here
  };
  std::vector<Part> parts;
  for (Value operand : op.getOperands_()) {
    Part part{&slot(operand), {}};
    std::vector<std::pair<int64_t, int64_t>> pairs = {{0, 0}};
    for (const AxisMap &axis : mapAxes(op, operand, slot(operand), to)) {
      std::vector<std::pair<int64_t, int64_t>> more;
      for (auto [there, here] : pairs)
        for (int64_t i = 0; i < axis.size; ++i) {
          int64_t source = axis.perResult < 0 ? i / -axis.perResult : i;
          int64_t target = axis.perResult > 0 ? i / axis.perResult : i;
          target = axis.flipped ? axis.last - target : target;
          if (!axis.flipped || target < axis.count)
            more.emplace_back(there + source * axis.own, here + target * axis.stride);
        }
      pairs = std::move(more);
    }
    part.pairs = std::move(pairs);
    parts.push_back(std::move(part));
  }
  return std::function<void()>([parts = std::move(parts), &to] {
    std::fill(to.data.begin(), to.data.end(), Complex(0));
    for (const Part &part : parts)
      for (auto [there, here] : part.pairs)
        to.data[here] += part.from->data[there];
  });
}

} // namespace rondo::reference
