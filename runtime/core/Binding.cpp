// Matching a call's tensors to the program's signature, in four steps: names, head axis, each tensor alone, sizes
// together.
#include "runtime/core/Binding.h"
#include "runtime/core/Strided.h"
#include <algorithm>
#include <fmt/format.h>

namespace rondo::core {
namespace {

constexpr const char *kindNames[] = {"input", "parameter", "initial state", "input",
                                     "input", "output",    "final state",   "temporary"};

std::string quoted(const TensorSpec &spec) { return fmt::format("{} '{}'", kindNames[size_t(spec.kind)], spec.name); }

std::string shapeText(const std::vector<int64_t> &shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

bool decidedByCall(const AxisSpec &axis) { return axis.size < 0 && axis.axis <= Axis::Sequence; }

const char *letterOf(Axis axis) {
  constexpr const char *letters[] = {"B", "T", "T1", "H", "G", "N", "lag", ""};
  return letters[size_t(axis)];
}

std::string describeAxis(const AxisSpec &axis, const Sizes &sizes) {
  std::string letter = axis.axis == Axis::Named ? axis.name : letterOf(axis.axis);
  const int64_t size = decidedByCall(axis) ? sizes.of(axis.axis) : axis.size;
  if (size < 0)
    return letter;
  const std::string number = std::to_string(size);
  return letter == number || letter.empty() ? number : letter + "=" + number;
}

/// One call in the making. The caller's tensors lie where `given` points, by index into Program::tensors.
class Binder {
public:
  Binder(const Program &program, const RunOptions &options) : program(program), given(program.tensors.size(), nullptr) {
    setSize(Axis::Batch, options.batch);
    setSize(Axis::Time, options.time);
    setSize(Axis::Time1, options.time1);
    setSize(Axis::Head, options.heads);
  }

  void matchNames(const NamedTensors &tensors, bool inputs);
  void requireInputs();
  void findHeadAxis();
  void bindEach();
  void agreeOnSizes();
  void fillUnknownSizes();
  void checkGroups();

  Binding binding;
  Problems problems;

private:
  void setSize(Axis axis, int64_t size) {
    if (size < 0)
      return;
    binding.sizes.size[size_t(axis)] = size;
    binding.sizes.from[size_t(axis)] = "RunOptions";
  }
  size_t rankWithoutHeads(const TensorSpec &spec) const {
    return size_t(std::count_if(spec.axes.begin(), spec.axes.end(),
                                [&](const AxisSpec &axis) { return !isImplicit(program, axis); }));
  }
  bool hasImplicitHeads(const TensorSpec &spec) const { return rankWithoutHeads(spec) < spec.axes.size(); }
  std::string describeBoth(const TensorSpec &spec) const;
  bool checkAlone(const TensorSpec &spec, const Tensor &tensor);
  bool checkMemory(const TensorSpec &spec, const Tensor &tensor);
  Tensor withEveryAxis(const TensorSpec &spec, const Tensor &tensor) const;
  void checkFeatureLayout(const TensorSpec &spec, const Tensor &full);
  void agreeOnSizes(size_t i);

  const Program &program;
  std::vector<const Tensor *> given;
};

void Binder::matchNames(const NamedTensors &tensors, bool inputs) {
  const auto mine = [&](TensorKind kind) { return inputs ? isInput(kind) : isOutput(kind); };
  for (const auto &[name, tensor] : tensors) {
    size_t i = 0;
    while (i < given.size() && !(mine(program.tensors[i].kind) && program.tensors[i].name == name))
      ++i;
    if (i == given.size()) {
      std::vector<std::string> known;
      for (const TensorSpec &spec : program.tensors)
        if (mine(spec.kind))
          known.push_back("'" + spec.name + "'");
      Diagnostic &problem = problems.add(
          "unknown-tensor", fmt::format("model '{}' has no {} named '{}'; it has {}", program.model,
                                        inputs ? "input, parameter or initial state" : "output or final state", name,
                                        known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
      if (inputs && (name == "resets" || name == "offsets"))
        problem.notes.push_back({fmt::format("a kernel that is compiled with CompileOptions::{} takes it",
                                             name == "resets" ? "resets" : "packed"),
                                 {}});
    } else if (given[i]) {
      problems.add("repeated-tensor", fmt::format("{} is given twice", quoted(program.tensors[i])));
    } else {
      given[i] = &tensor;
    }
  }
}

void Binder::requireInputs() {
  for (size_t i = 0; i < given.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    const bool needed =
        spec.kind == TensorKind::Input || spec.kind == TensorKind::Param || spec.kind == TensorKind::Offsets;
    if (!given[i] && needed)
      problems.add("missing-tensor", fmt::format("{} is missing; expected {} {}", quoted(spec), nameOf(spec.type),
                                                 describe(program, spec, binding.sizes)));
  }
}

/// The first tensor that could have the head axis decides for all of them.
void Binder::findHeadAxis() {
  const TensorSpec *decider = nullptr;
  for (size_t i = 0; i < given.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    if (!given[i] || !hasImplicitHeads(spec))
      continue;
    const size_t rank = given[i]->shape.size();
    const bool with = rank == spec.axes.size(), without = rank == rankWithoutHeads(spec);
    if (!with && !without)
      continue; // a wrong rank, reported by checkAlone
    if (!decider) {
      decider = &spec;
      binding.sizes.headAxis = with;
    } else if (with != binding.sizes.headAxis) {
      problems
          .add("head-axis", fmt::format("{} {} a head axis, {} {}", quoted(spec), with ? "has" : "lacks",
                                        quoted(*decider), with ? "has none" : "has one"))
          .notes.push_back({"give all tensors the head axis, or none of them", {}});
      given[i] = nullptr;
    }
  }
  if (!decider)
    binding.sizes.headAxis = binding.sizes.of(Axis::Head) >= 0;
  if (decider && !binding.sizes.headAxis && binding.sizes.of(Axis::Head) > 1) {
    problems.add("head-axis", fmt::format("{} lacks the head axis, but RunOptions asks for {} heads", quoted(*decider),
                                          binding.sizes.of(Axis::Head)));
    binding.sizes.size[size_t(Axis::Head)] = -1;
  }
}

std::string Binder::describeBoth(const TensorSpec &spec) const {
  Sizes with = binding.sizes, without = binding.sizes;
  with.headAxis = true;
  without.headAxis = false;
  if (!hasImplicitHeads(spec))
    return describe(program, spec, with);
  return describe(program, spec, with) + " or, for one head, " + describe(program, spec, without);
}

/// What can be said of a tensor without the others: type, rank, sizes that are numbers, memory.
bool Binder::checkAlone(const TensorSpec &spec, const Tensor &tensor) {
  bool fine = true;
  const bool narrowOffsets = spec.kind == TensorKind::Offsets && tensor.type == DType::I32;
  if (tensor.type != spec.type && !narrowOffsets) {
    problems.add("tensor-type",
                 fmt::format("{}: expected {}, got {}", quoted(spec), nameOf(spec.type), nameOf(tensor.type)));
    fine = false;
  }
  const size_t rank = hasImplicitHeads(spec) && !binding.sizes.headAxis ? rankWithoutHeads(spec) : spec.axes.size();
  if (tensor.shape.size() != rank) {
    problems.add("tensor-rank",
                 fmt::format("{}: expected {}, got {}", quoted(spec), describeBoth(spec), shapeText(tensor.shape)));
    return false;
  }
  if (!tensor.strides.empty() && tensor.strides.size() != rank) {
    problems.add("tensor-layout",
                 fmt::format("{}: {} strides for {} axes", quoted(spec), tensor.strides.size(), tensor.shape.size()));
    return false;
  }
  return checkMemory(spec, tensor) && fine;
}

bool Binder::checkMemory(const TensorSpec &spec, const Tensor &tensor) {
  if (std::any_of(tensor.shape.begin(), tensor.shape.end(), [](int64_t size) { return size < 0; })) {
    problems.add("tensor-size", fmt::format("{}: negative size in {}", quoted(spec), shapeText(tensor.shape)));
    return false;
  }
  if (tensor.elements() > PTRDIFF_MAX / int64_t(sizeOf(tensor.type))) {
    problems.add("tensor-size",
                 fmt::format("{}: {} is more than memory can hold", quoted(spec), shapeText(tensor.shape)));
    return false;
  }
  if (tensor.elements() == 0)
    return true;
  if (!tensor.data) {
    problems.add("tensor-null", fmt::format("{}: data is null", quoted(spec)));
    return false;
  }
  const bool onHost = tensor.device.kind == Device::Kind::Host;
  if (!onHost && !program.image) {
    problems.add("tensor-device",
                 fmt::format("{}: its memory lies on a GPU, but the kernel runs on the host", quoted(spec)));
    return false;
  }
  const size_t alignment = sizeOf(tensor.type) / (isComplex(tensor.type) ? 2 : 1);
  if (reinterpret_cast<uintptr_t>(tensor.data) % alignment) {
    problems.add("tensor-layout", fmt::format("{}: data is not aligned to {} bytes", quoted(spec), alignment));
    return false;
  }
  for (size_t i = 0; isOutput(spec.kind) && i < tensor.shape.size(); ++i)
    if (tensor.shape[i] > 1 && tensor.stride(i) == 0) {
      problems.add("tensor-layout",
                   fmt::format("{}: stride 0 in an output of shape {}", quoted(spec), shapeText(tensor.shape)));
      return false;
    }
  return true;
}

Tensor Binder::withEveryAxis(const TensorSpec &spec, const Tensor &tensor) const {
  Tensor full{tensor.data, tensor.type, {}, {}, tensor.device};
  size_t next = 0;
  for (const AxisSpec &axis : spec.axes) {
    const bool inserted = isImplicit(program, axis) && !binding.sizes.headAxis;
    full.shape.push_back(inserted ? 1 : tensor.shape[next]);
    full.strides.push_back(inserted ? 0 : tensor.stride(next));
    next += !inserted;
  }
  return full;
}

void Binder::checkFeatureLayout(const TensorSpec &spec, const Tensor &full) {
  size_t first = spec.axes.size();
  while (first > 0 && spec.axes[first - 1].axis == Axis::Named)
    --first;
  if (full.elements() == 0 || rowMajor(full, first, spec.axes.size()))
    return;
  problems.add("tensor-layout",
               fmt::format("{}: the feature axes of {} must be row-major and contiguous, got strides [{}]",
                           quoted(spec), describe(program, spec, binding.sizes), fmt::join(full.strides, ", ")));
}

void Binder::bindEach() {
  binding.tensors.resize(given.size());
  binding.given.assign(given.size(), false);
  for (size_t i = 0; i < given.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    if (!given[i] || !checkAlone(spec, *given[i]))
      continue;
    binding.tensors[i] = withEveryAxis(spec, *given[i]);
    binding.given[i] = true;
    checkFeatureLayout(spec, binding.tensors[i]);
  }
}

/// Inputs come before outputs in the program, so that a wrong output is blamed and not the input that disagrees with
/// it. The number of sequences is what the offsets say.
void Binder::agreeOnSizes() {
  if (const int offsets = findKind(program, TensorKind::Offsets); offsets >= 0 && binding.given[size_t(offsets)]) {
    binding.sizes.size[size_t(Axis::Sequence)] = std::max<int64_t>(binding.tensors[size_t(offsets)].shape[0] - 1, 0);
    binding.sizes.from[size_t(Axis::Sequence)] = program.tensors[size_t(offsets)].name;
  }
  for (size_t i = 0; i < given.size(); ++i)
    if (binding.given[i])
      agreeOnSizes(i);
}

void Binder::agreeOnSizes(size_t i) {
  const TensorSpec &spec = program.tensors[i];
  const std::vector<int64_t> &shape = binding.tensors[i].shape;
  Sizes &sizes = binding.sizes;
  std::vector<DiagnosticNote> notes;
  bool fits = true;
  for (size_t a = 0; a < spec.axes.size(); ++a) {
    const AxisSpec &axis = spec.axes[a];
    const size_t which = size_t(axis.axis);
    if (!decidedByCall(axis)) {
      fits &= axis.size < 0 || axis.size == shape[a];
    } else if (sizes.size[which] < 0) {
      sizes.size[which] = shape[a];
      sizes.from[which] = spec.name;
    } else if (sizes.size[which] != shape[a]) {
      fits = false;
      const std::string &from = sizes.from[which];
      notes.push_back({fmt::format("{} is {} in {}", letterOf(axis.axis), sizes.size[which],
                                   from == "RunOptions" ? from : "'" + from + "'"),
                       {}});
    }
  }
  if (!fits)
    problems
        .add("tensor-size", fmt::format("{}: expected {}, got {}", quoted(spec), describe(program, spec, sizes),
                                        shapeText(given[i]->shape)))
        .notes = std::move(notes);
}

void Binder::fillUnknownSizes() {
  Sizes &sizes = binding.sizes;
  const auto orElse = [&](Axis axis, int64_t size) {
    if (sizes.of(axis) < 0)
      sizes.size[size_t(axis)] = size;
  };
  const auto used = [&](Axis which) {
    for (const TensorSpec &spec : program.tensors)
      for (const AxisSpec &axis : spec.axes)
        if (axis.axis == which)
          return true;
    return false;
  };
  if (sizes.of(Axis::Time) < 0)
    problems.add("unknown-size",
                 "the number of time steps is unknown: no tensor of the call has the axis; set RunOptions::time");
  if (sizes.of(Axis::Time1) < 0 && used(Axis::Time1))
    problems.add("unknown-size",
                 "the length of the second time axis is unknown: no tensor of the call has it; set RunOptions::time1");
  orElse(Axis::Batch, 1);
  orElse(Axis::Time1, 1);
  orElse(Axis::Head, sizes.of(Axis::Group) > 0 ? sizes.of(Axis::Group) : 1);
  orElse(Axis::Group, 1);
  orElse(Axis::Sequence, 1);
}

void Binder::checkGroups() {
  const int64_t groups = binding.sizes.of(Axis::Group);
  for (const TensorSpec &spec : program.tensors)
    for (const AxisSpec &axis : spec.axes) {
      if (axis.axis != Axis::Head)
        continue;
      const int64_t heads = axis.size < 0 ? binding.sizes.of(Axis::Head) : axis.size;
      if (groups == 0 ? heads == 0 : heads % groups == 0)
        continue;
      problems.add("groups", fmt::format("{} heads cannot be shared among the {} groups of '{}'; the number of heads "
                                         "must be a multiple of the number of groups",
                                         heads, groups, binding.sizes.from[size_t(Axis::Group)]));
      return;
    }
}

} // namespace

Diagnostic &Problems::add(std::string slug, std::string message) {
  diagnostics.emplace_back();
  diagnostics.back().slug = std::move(slug);
  diagnostics.back().message = std::move(message);
  return diagnostics.back();
}

bool isInput(TensorKind kind) { return kind <= TensorKind::Offsets; }
bool isOutput(TensorKind kind) { return kind == TensorKind::Output || kind == TensorKind::Final; }

int findKind(const Program &program, TensorKind kind) {
  for (size_t i = 0; i < program.tensors.size(); ++i)
    if (program.tensors[i].kind == kind)
      return int(i);
  return -1;
}

bool isImplicit(const Program &program, const AxisSpec &axis) {
  return program.hasHeads && axis.size < 0 && (axis.axis == Axis::Head || axis.axis == Axis::Group);
}

std::string describe(const Program &program, const TensorSpec &spec, const Sizes &sizes) {
  std::vector<std::string> parts;
  for (const AxisSpec &axis : spec.axes)
    if (sizes.headAxis || !isImplicit(program, axis))
      parts.push_back(describeAxis(axis, sizes));
  return fmt::format("[{}]", fmt::join(parts, ", "));
}

std::vector<int64_t> Binding::fullShape(const TensorSpec &spec) const {
  std::vector<int64_t> shape;
  for (const AxisSpec &axis : spec.axes)
    shape.push_back(decidedByCall(axis) ? (sizes.of(axis.axis) + axis.steps - 1) / axis.steps
                                        : (axis.size < 0 ? 1 : axis.size));
  return shape;
}

Result<Binding> bind(const Program &program, const NamedTensors &inputs, const NamedTensors &outputs,
                     const RunOptions &options) {
  Binder binder(program, options);
  binder.matchNames(inputs, true);
  binder.matchNames(outputs, false);
  binder.requireInputs();
  binder.findHeadAxis();
  binder.bindEach();
  binder.agreeOnSizes();
  // With something missing or wrong, what follows would only repeat it in other words.
  if (!binder.problems.none())
    return binder.problems.take();
  binder.fillUnknownSizes();
  binder.checkGroups();
  checkOffsets(program, binder.binding, binder.problems);
  checkOverlap(program, binder.binding, binder.problems);
  if (options.checkIntervals || program.checkIntervals)
    checkIntervals(program, binder.binding, binder.problems);
  if (!binder.problems.none())
    return binder.problems.take();
  return std::move(binder.binding);
}

} // namespace rondo::core
