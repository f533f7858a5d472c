// The C header of a program. See CHeader.h; what it does in C is what runtime/core's Memory and Dispatch do.
#include "compiler/Driver/CHeader.h"
#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace rondo;

namespace {

bool isGiven(TensorKind kind) { return kind <= TensorKind::Offsets; }
bool isOptional(TensorKind kind) {
  return kind == TensorKind::Init || kind == TensorKind::Resets || kind == TensorKind::Final;
}

std::string cType(DType type) {
  switch (type) {
  case DType::F64:
  case DType::C128:
    return "double";
  case DType::F32:
  case DType::C64:
    return "float";
  case DType::BF16:
  case DType::F16:
    return "uint16_t";
  case DType::I64:
    return "int64_t";
  case DType::I32:
    return "int32_t";
  case DType::Bool:
    return "uint8_t";
  }
  return "void";
}

/// The member of the call that says how long an axis is; empty where the axis has a fixed size.
std::string sizeMember(const AxisSpec &axis) {
  constexpr const char *names[] = {"B", "T", "T1", "H", "G", "N"};
  if (axis.axis == Axis::Named)
    return axis.size < 0 ? "N" : "";
  return axis.size >= 0 || axis.axis == Axis::Lag ? "" : names[size_t(axis.axis)];
}

/// The length of an axis as a C expression.
std::string extent(const AxisSpec &axis) {
  const std::string member = sizeMember(axis);
  if (member.empty())
    return fmt::format("{}", std::max<int64_t>(1, axis.size));
  if (axis.axis == Axis::Named) // the list of offsets
    return "(call->N + 1)";
  return axis.steps > 1 ? fmt::format("((call->{} + {}) / {})", member, axis.steps - 1, axis.steps) : "call->" + member;
}

/// The place of an axis in the strides of an operand; -1 for feature axes.
int slotOf(Axis axis) {
  constexpr int slots[] = {0, 1, 2, 3, 3, 0, 4, -1};
  return slots[size_t(axis)];
}

class HeaderWriter {
public:
  HeaderWriter(const Program &program, const driver::CHeaderNames &names) : program(program), names(names) {
    for (size_t i = 0; i < program.tensors.size(); ++i)
      members.push_back(cName(i));
  }

  std::string write() {
    const std::string guard = fmt::format("RONDO_{}_H", names.name);
    line("/* {} */", names.comment);
    line("#ifndef {0}\n#define {0}", guard);
    line("#include <stddef.h>\n#include <stdint.h>\n#include <stdlib.h>\n#include <string.h>");
    line("#ifdef _OPENMP\n#include <omp.h>\n#endif\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n");
    writeCall();
    writeKernels();
    writeRun();
    line("#ifdef __cplusplus\n}}\n#endif\n#endif");
    return text;
  }

private:
  template <typename... Args> void line(fmt::format_string<Args...> format, Args &&...args) {
    text += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  /// A tensor's name in C; that of a final state is not that of its initial one.
  std::string cName(size_t i) const {
    std::string name = program.tensors[i].name;
    for (char &c : name)
      c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    bool isTaken = false;
    for (size_t before = 0; before < i; ++before)
      isTaken |= members[before] == name;
    return isTaken ? name + "_final" : name;
  }

  bool isMember(size_t i) const { return program.tensors[i].kind != TensorKind::Temporary; }

  std::string layout(const TensorSpec &spec) const {
    std::vector<std::string> axes;
    for (const AxisSpec &axis : spec.axes) {
      const std::string member = sizeMember(axis);
      axes.push_back(axis.axis == Axis::Named && !member.empty() ? "N+1"
                     : !member.empty()                           ? member
                     : axis.axis == Axis::Named                  ? fmt::format("{}={}", axis.name, axis.size)
                                                                 : fmt::format("{}", axis.size));
    }
    return fmt::format("[{}]", fmt::join(axes, ", "));
  }

  std::string elements(const TensorSpec &spec, bool featuresOnly) const {
    std::vector<std::string> factors = {fmt::format("(size_t){}", sizeOf(spec.type))};
    for (const AxisSpec &axis : spec.axes)
      if (!featuresOnly || axis.axis == Axis::Named)
        factors.push_back(fmt::format("(size_t){}", extent(axis)));
    return fmt::format("{}", fmt::join(factors, " * "));
  }

  bool asksFor(const char *member) const {
    for (const TensorSpec &spec : program.tensors)
      for (const AxisSpec &axis : spec.axes)
        if (sizeMember(axis) == member)
          return true;
    return false;
  }

  void writeCall();
  void writeKernels();
  void writeRun();
  void writeMemory();
  void writeDefault(size_t i);
  void writeLaunch(const Launch &launch);
  std::string strideOf(size_t tensor, size_t axis) const;

  const Program &program;
  const driver::CHeaderNames &names;
  std::vector<std::string> members;
  std::string text;
};

void HeaderWriter::writeCall() {
  line("/* A call. Tensors are row-major and contiguous and do not overlap; complex numbers are pairs, 16-bit floats "
       "their bits. */");
  line("struct {}_call {{", names.name);
  for (const char *size : {"B", "T", "T1", "H", "G", "N"})
    if (asksFor(size))
      line("  int64_t {};", size);
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    if (isMember(i))
      line("  {}{} *{}; /* {}{} */", isGiven(spec.kind) ? "const " : "", cType(spec.type), members[i], layout(spec),
           spec.kind == TensorKind::Init     ? ", NULL for the default"
           : spec.kind == TensorKind::Final  ? ", NULL if not wanted"
           : spec.kind == TensorKind::Resets ? ", NULL for none"
                                             : "");
  }
  line("}};\n");
}

void HeaderWriter::writeKernels() {
  line("struct {}_arguments {{\n  void *const *pointers;\n  const int64_t *strides;\n  int64_t batch, time, time1, "
       "heads, "
       "heads_per_group;\n}};",
       names.name);
  for (const Launch &launch : program.launches)
    line("void {}(const struct {}_arguments *arguments, int64_t begin, int64_t end, void *scratch);", launch.symbol,
         names.name);
  line("");
}

/// Elements between two entries along an axis; 0 where a default is repeated.
std::string HeaderWriter::strideOf(size_t tensor, size_t axis) const {
  const TensorSpec &spec = program.tensors[tensor];
  std::vector<std::string> factors;
  for (size_t later = axis + 1; later < spec.axes.size(); ++later)
    factors.push_back(extent(spec.axes[later]));
  std::string stride = factors.empty() ? "1" : fmt::format("{}", fmt::join(factors, " * "));
  const bool repeats = spec.kind == TensorKind::Init || spec.kind == TensorKind::Resets;
  return repeats ? fmt::format("call->{} ? {} : 0", members[tensor], stride) : stride;
}

void HeaderWriter::writeDefault(size_t i) {
  const TensorSpec &spec = program.tensors[i];
  const size_t bytes = sizeOf(spec.type);
  std::vector<uint8_t> image(bytes * spec.defaultValue.size());
  int64_t count = 1;
  for (const AxisSpec &axis : spec.axes)
    count *= axis.axis == Axis::Named ? std::max<int64_t>(1, axis.size) : 1;
  const size_t width = isComplex(spec.type) && spec.defaultValue.size() % 2 == 0 ? 2 : 1;
  const int64_t given = int64_t(spec.defaultValue.size() / width);
  Tensor view{image.data(), spec.type, {given}, {}};
  bool isZero = true;
  for (int64_t e = 0; e < given; ++e) {
    const size_t at = size_t(e) * width;
    storeElement(view, e, spec.defaultValue[at], width == 2 ? spec.defaultValue[at + 1] : 0);
    isZero &= spec.defaultValue[at] == 0 && (width == 1 || spec.defaultValue[at + 1] == 0);
  }
  if (isZero) {
    line("    memset(tensors[{}], 0, {});", i, elements(spec, true));
    return;
  }
  image.resize(size_t(given) * bytes);
  line("    static const unsigned char value[] = {{{}}};", fmt::join(image, ", "));
  line("    size_t e;\n    for (e = 0; e < {}; ++e)", count);
  line("      memcpy((char *)tensors[{0}] + e * {1}, value + {2}, {1});", i, bytes,
       given == 1 ? "0" : fmt::format("e * {}", bytes));
}

/// What the caller did not give: bytes counted first, then addresses.
void HeaderWriter::writeMemory() {
  line("  /* Sizes in a first round, addresses in a second. */");
  line("  for (round = 0; round < 2; ++round) {{\n    bytes = 0;");
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    if (program.alias[i] >= 0 || (isMember(i) && !isOptional(spec.kind)))
      continue;
    const bool repeats = spec.kind == TensorKind::Init || spec.kind == TensorKind::Resets;
    const std::string condition = isMember(i) ? fmt::format("if (!call->{}) ", members[i]) : "";
    line("    {}{{\n      if (round)\n        tensors[{}] = memory + bytes;", condition, i);
    line("      bytes += (({} + 63) / 64) * 64;\n    }}", elements(spec, repeats));
  }
  size_t scratch = 0;
  for (const Launch &launch : program.launches)
    scratch = std::max(scratch, (launch.scratchBytes + 63) / 64 * 64);
  line("    if (round)\n      scratch = memory + bytes;\n    bytes += (size_t)threads * {};", scratch);
  line("    if (round == 0) {{\n      block = (char *)malloc(bytes + 128);\n      if (!block)\n        return -1;\n"
       "      memory = block + (64 - (uintptr_t)block % 64);\n    }}\n  }}");
  for (size_t i = 0; i < program.tensors.size(); ++i)
    if (program.tensors[i].kind == TensorKind::Init || program.tensors[i].kind == TensorKind::Resets) {
      line("  if (!call->{}) {{", members[i]);
      writeDefault(i);
      line("  }}");
    }
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    size_t root = i;
    for (size_t step = 0; step < program.tensors.size() && program.alias[root] >= 0; ++step)
      root = size_t(program.alias[root]);
    if (root != i)
      line("  tensors[{}] = tensors[{}];", i, root);
  }
}

void HeaderWriter::writeLaunch(const Launch &launch) {
  const size_t operands = launch.operands.size();
  std::vector<std::string> pointers, strides;
  std::string heads, groups;
  for (const int operand : launch.operands) {
    const TensorSpec &spec = program.tensors[size_t(operand)];
    std::string slots[5] = {"0", "0", "0", "0", "0"};
    for (size_t axis = 0; axis < spec.axes.size(); ++axis) {
      if (const int slot = slotOf(spec.axes[axis].axis); slot >= 0)
        slots[slot] = strideOf(size_t(operand), axis);
      if (spec.axes[axis].axis == Axis::Head)
        heads = extent(spec.axes[axis]);
      if (spec.axes[axis].axis == Axis::Group)
        groups = extent(spec.axes[axis]);
    }
    pointers.push_back(fmt::format("tensors[{}]", operand));
    strides.insert(strides.end(), slots, slots + 5);
  }
  if (heads.empty())
    heads = groups.empty() ? "1" : groups;
  const auto member = [&](const char *name) { return asksFor(name) ? fmt::format("call->{}", name) : "1"; };
  const std::string batch = member(launch.packed ? "N" : "B");
  line("  {{\n    void *pointers[{}];\n    int64_t strides[{}];", operands, 5 * operands);
  line("    struct {}_arguments arguments = {{pointers, strides, {}, {}, {}, {}, {}}};", names.name, batch, member("T"),
       member("T1"), heads, groups.empty() ? "1" : fmt::format("({}) / ({})", heads, groups));
  for (size_t i = 0; i < operands; ++i)
    line("    pointers[{}] = {};", i, pointers[i]);
  for (size_t i = 0; i < strides.size(); ++i)
    line("    strides[{}] = {};", i, strides[i]);
  const std::string rows =
      launch.perBatch ? fmt::format("({} + {}) / {}", batch, launch.batchTile - 1, launch.batchTile) : "1";
  const std::string blocks =
      launch.timeBlock > 0 ? fmt::format("({} + {}) / {}", member("T"), launch.timeBlock - 1, launch.timeBlock) : "1";
  line("    tasks = ({}) * ({}) * ({});", rows, launch.perHead ? heads : "1", blocks);
  line("#ifdef _OPENMP\n#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)\n#endif");
  line("    for (task = 0; task < tasks; ++task) {{\n      int thread = 0;\n#ifdef _OPENMP\n      thread = "
       "omp_get_thread_num();\n#endif");
  line("      {}(&arguments, task, task + 1, scratch + (size_t)thread * {});\n    }}\n  }}", launch.symbol,
       (launch.scratchBytes + 63) / 64 * 64);
}

void HeaderWriter::writeRun() {
  line("/* Computes a call, with OpenMP's threads where the including file is compiled with OpenMP. 0 when done, -1 "
       "without memory. */");
  line("static inline int {0}_run(const struct {0}_call *call) {{", names.name);
  line("  void *tensors[{}];\n  char *block = NULL, *memory = NULL, *scratch = NULL;\n  size_t bytes = 0;\n  int64_t "
       "task, tasks;\n  int "
       "round, threads = 1;",
       program.tensors.size());
  line("#ifdef _OPENMP\n  threads = omp_get_max_threads();\n#endif");
  for (size_t i = 0; i < program.tensors.size(); ++i)
    line("  tensors[{}] = {};", i, isMember(i) ? fmt::format("(void *)call->{}", members[i]) : "NULL");
  writeMemory();
  for (const Launch &launch : program.launches)
    writeLaunch(launch);
  line("  free(block);\n  return 0;\n}}");
}

} // namespace

std::string driver::makeCHeader(const Program &program, const CHeaderNames &names) {
  return HeaderWriter(program, names).write();
}
