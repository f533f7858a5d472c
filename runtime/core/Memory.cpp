// The memory of one call that the caller did not give.
#include "runtime/core/Memory.h"
#include "runtime/core/Strided.h"
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fmt/format.h>
#include <optional>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace rondo::core {

static int aliasOf(const Program &program, size_t i) { return i < program.alias.size() ? program.alias[i] : -1; }

int rootOf(const Program &program, size_t i) {
  int root = int(i);
  for (size_t step = 0; step < program.tensors.size(); ++step) { // as many steps as tensors: a cycle ends, too
    const int next = aliasOf(program, size_t(root));
    if (next < 0 || size_t(next) >= program.tensors.size())
      break;
    root = next;
  }
  return root;
}

namespace {

bool isOuterAxis(Axis axis) {
  return axis == Axis::Batch || axis == Axis::Time || axis == Axis::Time1 || axis == Axis::Sequence ||
         axis == Axis::Lag;
}

size_t countOuterAxes(const TensorSpec &spec) {
  size_t count = 0;
  while (count < spec.axes.size() && isOuterAxis(spec.axes[count].axis))
    ++count;
  return count;
}

} // namespace

std::optional<Tensor> reshaped(const TensorSpec &rootSpec, const Tensor &root, const TensorSpec &spec,
                               std::vector<int64_t> shape) {
  const size_t rootOuter = countOuterAxes(rootSpec), outer = countOuterAxes(spec);
  if (rootOuter != outer || spec.type != rootSpec.type || !rowMajor(root, rootOuter, root.shape.size()))
    return std::nullopt;
  Tensor view{root.data, root.type, std::move(shape), {}, root.device};
  for (size_t i = 0; i < view.shape.size(); ++i)
    view.strides.push_back(Tensor{nullptr, root.type, view.shape, {}}.stride(i));
  for (size_t i = 0; i < outer; ++i) {
    if (spec.axes[i].axis != rootSpec.axes[i].axis || view.shape[i] != root.shape[i])
      return std::nullopt;
    view.strides[i] = root.stride(i);
  }
  return view.elements() == root.elements() ? std::optional(view) : std::nullopt;
}

/// Memory of `size` bytes, null where there is none. Large blocks ask for large pages: the system hands memory of their size out anew
/// at every call, and a gradient with a state per step spent two thirds of its time on that page by page.
static void *allocateBlock(size_t size) {
  constexpr size_t line = 64, page = size_t(2) << 20;
  const size_t alignment = size >= 2 * page ? page : line;
  if (size > size_t(PTRDIFF_MAX) - alignment)
    return nullptr;
  size = (std::max<size_t>(size, 1) + alignment - 1) / alignment * alignment;
  void *block = std::aligned_alloc(alignment, size);
#ifdef __linux__
  if (block && alignment == page)
    madvise(block, size, MADV_HUGEPAGE); // a wish: without it everything works as well
#endif
  return block;
}

/// Whatever lies there stays: kernels write all of a temporary before they read it, and clearing memory took a tenth of a gradient's time.
Result<Tensor> CallMemory::allocate(const TensorSpec &spec, std::vector<int64_t> shape) {
  Tensor view{nullptr, spec.type, std::move(shape), {}};
  const int64_t count = view.elements();
  size_t size = 0;
  if (count >= 0 && !__builtin_mul_overflow(size_t(count), sizeOf(spec.type), &size))
    view.data = allocateBlock(size);
  if (!view.data)
    return Error(fmt::format("out of memory for '{}' of shape [{}], {}", spec.name, fmt::join(view.shape, ", "),
                             rondo::nameOf(spec.type)));
  blocks.emplace_back(view.data);
  for (size_t i = 0; i < view.shape.size(); ++i)
    view.strides.push_back(Tensor{nullptr, spec.type, view.shape, {}}.stride(i));
  return view;
}

Result<void> fillDefault(const TensorSpec &spec, const Tensor &memory) {
  const std::vector<double> &values = spec.defaultValue;
  const size_t count = size_t(memory.elements());
  // Complex values come as pairs; one value, or one pair, fills the tensor.
  const size_t width = isComplex(spec.type) && values.size() % 2 == 0 ? 2 : 1;
  const size_t given = values.size() / width;
  if (given != 1 && given != count)
    return Error(fmt::format("internal error: initial state '{}' has {} default values for {} elements", spec.name,
                             values.size(), count));
  for (size_t i = 0; i < count; ++i) {
    const size_t at = given == 1 ? 0 : i * width;
    storeElement(memory, int64_t(i), values[at], width == 2 ? values[at + 1] : 0);
  }
  return {};
}

std::vector<int64_t> featureShapeOf(const TensorSpec &spec, std::vector<int64_t> shape) {
  for (size_t i = 0; i < shape.size(); ++i)
    if (spec.axes[i].axis != Axis::Named)
      shape[i] = 1;
  return shape;
}

/// Only the feature elements are stored; batch, lag and head axes repeat them with stride 0.
Result<void> CallMemory::fillInit(const TensorSpec &spec, Tensor &tensor, std::vector<int64_t> shape) {
  Result<Tensor> memory = allocate(spec, featureShapeOf(spec, shape));
  if (!memory)
    return memory.error();
  if (Result<void> filled = fillDefault(spec, *memory); !filled)
    return filled;
  tensor = std::move(*memory);
  for (size_t i = 0; i < shape.size(); ++i)
    if (spec.axes[i].axis != Axis::Named)
      tensor.strides[i] = 0;
  tensor.shape = std::move(shape);
  return {};
}

/// Replaces a view by a contiguous copy.
Result<void> CallMemory::stage(const TensorSpec &spec, Tensor &tensor) {
  Result<Tensor> copy = allocate(spec, tensor.shape);
  if (!copy)
    return copy.error();
  if (isOutput(spec.kind))
    back.emplace_back(*copy, tensor);
  else
    copyElements(tensor, *copy);
  tensor = std::move(*copy);
  return {};
}

/// Offsets that the caller has as i32.
Result<void> CallMemory::widen(const TensorSpec &spec, Tensor &tensor) {
  Result<Tensor> wide = allocate(spec, tensor.shape);
  if (!wide)
    return wide.error();
  for (int64_t i = 0; i < tensor.shape[0]; ++i)
    static_cast<int64_t *>(wide->data)[i] = static_cast<const int32_t *>(tensor.data)[i * tensor.stride(0)];
  tensor = std::move(*wide);
  return {};
}

Result<void> CallMemory::stageWhereNeeded(const Program &program, Binding &binding) {
  const bool host = bool(program.host);
  const int resets = findKind(program, TensorKind::Resets);
  const bool initsStay = program.launches.size() > 1 || (resets >= 0 && binding.given[size_t(resets)]);
  std::vector<bool> needed(program.tensors.size(), false);
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    const int root = rootOf(program, i);
    if (root != int(i)) {
      const TensorSpec &rootSpec = program.tensors[size_t(root)];
      if (!reshaped(rootSpec, binding.tensors[size_t(root)], spec, binding.fullShape(spec)))
        needed[size_t(root)] = true;
      continue;
    }
    if (host && !binding.tensors[i].contiguous())
      needed[i] = true;
    // A state updated in place: where an initial state might be read after a launch has written the final one, or at a
    // reset, it is set aside.
    const int final = spec.kind == TensorKind::Init && binding.given[i] ? finalOf(program, int(i)) : -1;
    if (final >= 0 && binding.given[size_t(final)] && binding.tensors[size_t(final)].data == binding.tensors[i].data &&
        (host || initsStay))
      needed[i] = true;
  }
  for (size_t i = 0; i < needed.size(); ++i)
    if (needed[i])
      if (Result<void> done = stage(program.tensors[i], binding.tensors[i]); !done)
        return done;
  return {};
}

Result<void> CallMemory::resolveAliases(const Program &program, Binding &binding) {
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const int root = rootOf(program, i);
    if (root == int(i))
      continue;
    const TensorSpec &spec = program.tensors[i], &rootSpec = program.tensors[size_t(root)];
    std::optional<Tensor> view = reshaped(rootSpec, binding.tensors[size_t(root)], spec, binding.fullShape(spec));
    if (!view)
      return Error(fmt::format("internal error: '{}' {} cannot be a view of '{}' {}", spec.name,
                               describe(program, spec, binding.sizes), rootSpec.name,
                               describe(program, rootSpec, binding.sizes)));
    binding.tensors[i] = std::move(*view);
  }
  return {};
}

Result<void> CallMemory::materialise(const Program &program, Binding &binding) {
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    if (binding.given[i] && binding.tensors[i].type != spec.type)
      if (Result<void> done = widen(spec, binding.tensors[i]); !done)
        return done;
    if (binding.given[i] || rootOf(program, i) != int(i))
      continue;
    if (spec.kind == TensorKind::Init || spec.kind == TensorKind::Resets) {
      if (Result<void> done = fillInit(spec, binding.tensors[i], binding.fullShape(spec)); !done)
        return done;
      continue;
    }
    Result<Tensor> memory = allocate(spec, binding.fullShape(spec));
    if (!memory)
      return memory.error();
    binding.tensors[i] = std::move(*memory);
  }
  if (Result<void> staged = stageWhereNeeded(program, binding); !staged)
    return staged;
  return resolveAliases(program, binding);
}

void CallMemory::copyBack() const {
  for (const auto &[from, to] : back)
    copyElements(from, to);
}

} // namespace rondo::core
