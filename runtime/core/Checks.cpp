// Checks on a bound call that look at memory: overlaps, declared intervals, where packed sequences begin.
#include "runtime/core/Binding.h"
#include "runtime/core/Strided.h"
#include <fmt/format.h>

namespace rondo::core {
namespace {

bool sameView(const Tensor &a, const Tensor &b) {
  if (a.data != b.data || a.type != b.type || a.shape != b.shape)
    return false;
  for (size_t i = 0; i < a.shape.size(); ++i)
    if (a.shape[i] > 1 && a.stride(i) != b.stride(i))
      return false;
  return true;
}

/// Whether two views surely overlap. Views with gaps that only interleave are not found out about, unless they begin
/// together.
bool overlap(const Tensor &a, const Tensor &b) {
  if (a.elements() == 0 || b.elements() == 0)
    return false;
  if (a.data == b.data)
    return true;
  if (!a.contiguous() || !b.contiguous())
    return false;
  const auto begin = [](const Tensor &t) { return reinterpret_cast<uintptr_t>(t.data); };
  const auto end = [&](const Tensor &t) { return begin(t) + size_t(t.elements()) * sizeOf(t.type); };
  return begin(a) < end(b) && begin(b) < end(a);
}

bool inside(const TensorSpec &spec, double value) {
  return (spec.loOpen ? value > spec.lo : value >= spec.lo) && (spec.hiOpen ? value < spec.hi : value <= spec.hi);
}

/// Reports the first element outside.
void checkInterval(const Program &program, const TensorSpec &spec, const Binding &binding, const Tensor &tensor,
                   Problems &problems) {
  if (tensor.elements() == 0)
    return;
  if (tensor.device.kind != Device::Kind::Host) {
    problems.add("interval", fmt::format("'{}' lies on a GPU, where its interval cannot be checked", spec.name));
    return;
  }
  std::vector<int64_t> index(tensor.shape.size(), 0);
  do {
    const double value = loadReal(tensor, offsetOf(tensor, index));
    if (inside(spec, value))
      continue;
    std::vector<int64_t> shown;
    for (size_t i = 0; i < index.size(); ++i)
      if (binding.sizes.headAxis || !isImplicit(program, spec.axes[i]))
        shown.push_back(index[i]);
    problems.add("interval", fmt::format("'{}'[{}] is {}, outside of its declared interval {}{}, {}{}", spec.name,
                                         fmt::join(shown, ", "), value, spec.loOpen ? '(' : '[', spec.lo, spec.hi,
                                         spec.hiOpen ? ')' : ']'));
    return;
  } while (nextIndex(index, tensor.shape));
}

} // namespace

int finalOf(const Program &program, int init) {
  // Initial and final states are listed in the order of the states.
  int rank = 0, seen = 0;
  for (int i = 0; i < init; ++i)
    rank += program.tensors[size_t(i)].kind == TensorKind::Init;
  for (size_t i = 0; i < program.tensors.size(); ++i)
    if (program.tensors[i].kind == TensorKind::Final && seen++ == rank)
      return int(i);
  return -1;
}

void checkOverlap(const Program &program, const Binding &binding, Problems &problems) {
  const size_t count = program.tensors.size();
  for (size_t out = 0; out < count; ++out) {
    if (!binding.given[out] || !isOutput(program.tensors[out].kind))
      continue;
    for (size_t other = 0; other < count; ++other) {
      const TensorKind kind = program.tensors[other].kind;
      if (!binding.given[other] || other == out || (isOutput(kind) && other < out))
        continue;
      const Tensor &a = binding.tensors[out], &b = binding.tensors[other];
      if (!overlap(a, b) || (kind == TensorKind::Init && finalOf(program, int(other)) == int(out) && sameView(a, b)))
        continue;
      Diagnostic &problem =
          problems.add("overlap", fmt::format("the memory of '{}' overlaps that of '{}'", program.tensors[out].name,
                                              program.tensors[other].name));
      if (kind == TensorKind::Init)
        problem.notes.push_back(
            {"only a final state may use the memory of its own initial state, with the same strides", {}});
    }
  }
}

void checkOffsets(const Program &program, const Binding &binding, Problems &problems) {
  const int which = findKind(program, TensorKind::Offsets);
  if (which < 0)
    return;
  const Tensor &tensor = binding.tensors[size_t(which)];
  const std::string &name = program.tensors[size_t(which)].name;
  const auto complain = [&](std::string text) { problems.add("offsets", fmt::format("'{}' {}", name, text)); };
  if (const int64_t batch = binding.sizes.of(Axis::Batch); batch != 1)
    complain(fmt::format("cut the time axis of one batch entry, but B={} in '{}'", batch,
                         binding.sizes.from[size_t(Axis::Batch)]));
  if (tensor.shape[0] == 0)
    return complain("must have N+1 elements for N sequences, got none");
  if (tensor.device.kind != Device::Kind::Host) // not to be read from here; the caller answers for them
    return;
  const auto at = [&](int64_t i) {
    const char *element = static_cast<const char *>(tensor.data) + i * tensor.stride(0) * int64_t(sizeOf(tensor.type));
    return tensor.type == DType::I32 ? int64_t(*reinterpret_cast<const int32_t *>(element))
                                     : *reinterpret_cast<const int64_t *>(element);
  };
  const int64_t last = tensor.shape[0] - 1;
  if (at(0) != 0)
    complain(fmt::format("must begin at 0, got {}", at(0)));
  for (int64_t i = 1; i <= last; ++i)
    if (at(i) < at(i - 1))
      return complain(fmt::format("must rise, but [{}] is {} after {}", i, at(i), at(i - 1)));
  if (binding.sizes.of(Axis::Time) >= 0 && at(last) != binding.sizes.of(Axis::Time))
    complain(fmt::format("must end at the number of steps, T={} in '{}', got {}", binding.sizes.of(Axis::Time),
                         binding.sizes.from[size_t(Axis::Time)], at(last)));
}

void checkIntervals(const Program &program, const Binding &binding, Problems &problems) {
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    if (binding.given[i] && isInput(spec.kind) && spec.hasInterval && !isComplex(spec.type))
      checkInterval(program, spec, binding, binding.tensors[i], problems);
  }
}

} // namespace rondo::core
