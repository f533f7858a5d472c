// Programs described from IR and written into it. See Signature.h.
#include "compiler/Target/Signature.h"
#include "dialects/Recur/Recur.h"
#include "llvm/ADT/StringSwitch.h"
#include <limits>

using namespace mlir;
using namespace rondo;

static DType elementType(Type type) {
  if (auto complex = dyn_cast<ComplexType>(type))
    return complex.getElementType().isF64() ? DType::C128 : DType::C64;
  if (type.isF64())
    return DType::F64;
  if (type.isBF16())
    return DType::BF16;
  if (type.isF16())
    return DType::F16;
  if (type.isInteger(64))
    return DType::I64;
  return type.isInteger(1) ? DType::Bool : DType::F32;
}

static Axis axisOf(StringRef name) {
  return llvm::StringSwitch<Axis>(name)
      .Case("batch", Axis::Batch)
      .Case("time", Axis::Time)
      .Case("time1", Axis::Time1)
      .Case("head", Axis::Head)
      .Case("group", Axis::Group)
      .Case("lag", Axis::Lag)
      .Default(Axis::Named);
}

static double real(const APFloat &x) { return x.convertToDouble(); }

static std::vector<double> defaultValue(DenseElementsAttr value) {
  std::vector<double> numbers;
  if (isa<ComplexType>(value.getElementType())) {
    for (std::complex<APFloat> x : value.getValues<std::complex<APFloat>>())
      numbers.insert(numbers.end(), {real(x.real()), real(x.imag())});
    return numbers;
  }
  for (const APFloat &x : value.getValues<APFloat>())
    numbers.push_back(real(x));
  return numbers;
}

/// The axes of a tensor; see describeTensor.
static std::vector<AxisSpec> describeAxes(RankedTensorType tensor, bool packed) {
  std::vector<AxisSpec> axes;
  if (!recur::isArray(tensor)) // the list of offsets
    return {{Axis::Named, -1, "N+1"}};
  recur::DimsAttr dims = recur::dimsOf(tensor);
  bool perSequence = packed && dims.axisPosition("time") < 0;
  for (int64_t i = 0; i < tensor.getRank(); ++i) {
    bool named = i >= static_cast<int64_t>(dims.getAxes().size());
    StringRef name = named ? dims.getNames()[i - dims.getAxes().size()].getValue() : dims.getAxes()[i].getValue();
    Axis axis = named ? Axis::Named : axisOf(name);
    if (axis == Axis::Batch && perSequence)
      axis = Axis::Sequence;
    axes.push_back({axis, tensor.isDynamicDim(i) ? -1 : tensor.getDimSize(i), name.str()});
  }
  return axes;
}

TensorSpec rondo::describeTensor(Type type, DictionaryAttr attributes, TensorKind kind, bool packed) {
  auto tensor = cast<RankedTensorType>(type);
  TensorSpec spec;
  spec.kind = kind;
  spec.type = elementType(tensor.getElementType());
  spec.lo = -std::numeric_limits<double>::infinity();
  spec.hi = std::numeric_limits<double>::infinity();
  spec.axes = describeAxes(tensor, packed);
  if (!attributes)
    return spec;
  if (auto name = attributes.getAs<StringAttr>(recur::kNameAttr))
    spec.name = name.str();
  if (auto range = attributes.getAs<recur::IntervalAttr>(recur::kRangeAttr)) {
    spec.hasInterval = true;
    spec.lo = range.getLo();
    spec.hi = range.getHi();
    spec.loOpen = range.getLoOpen();
    spec.hiOpen = range.getHiOpen();
  }
  spec.recurrent = attributes.contains(recur::kRecurrentAttr);
  if (auto value = attributes.getAs<DenseElementsAttr>(recur::kDefaultAttr))
    spec.defaultValue = defaultValue(value);
  return spec;
}

static TensorKind kindOf(DictionaryAttr attributes, TensorKind otherwise) {
  auto kind = attributes ? attributes.getAs<StringAttr>(recur::kKindAttr) : StringAttr();
  return llvm::StringSwitch<TensorKind>(kind ? kind.getValue() : "")
      .Case("input", TensorKind::Input)
      .Case("param", TensorKind::Param)
      .Case("init", TensorKind::Init)
      .Case("resets", TensorKind::Resets)
      .Case("offsets", TensorKind::Offsets)
      .Case("output", TensorKind::Output)
      .Case("final", TensorKind::Final)
      .Default(otherwise);
}

/// A caller asks for results by name, so that the final value of a state that is also an output needs one of its own.
static void nameFinalsApart(Program &program) {
  for (TensorSpec &final : program.tensors)
    for (const TensorSpec &output : program.tensors)
      if (final.kind == TensorKind::Final && output.kind == TensorKind::Output && output.name == final.name) {
        final.name += ".final";
        break;
      }
}

bool rondo::takesPacked(func::FuncOp model) {
  for (unsigned i = 0; i < model.getNumArguments(); ++i)
    if (kindOf(model.getArgAttrDict(i), TensorKind::Input) == TensorKind::Offsets)
      return true;
  return false;
}

Program rondo::describeModel(func::FuncOp model) {
  Program program;
  bool packed = takesPacked(model);
  program.model = model.getName().str();
  program.hasHeads = model->hasAttr(recur::kHeadsAttr);
  for (unsigned i = 0; i < model.getNumArguments(); ++i) {
    DictionaryAttr attributes = model.getArgAttrDict(i);
    program.tensors.push_back(
        describeTensor(model.getArgumentTypes()[i], attributes, kindOf(attributes, TensorKind::Input), packed));
  }
  for (unsigned i = 0; i < model.getNumResults(); ++i) {
    DictionaryAttr attributes = model.getResultAttrDict(i);
    program.tensors.push_back(
        describeTensor(model.getResultTypes()[i], attributes, kindOf(attributes, TensorKind::Output), packed));
  }
  nameFinalsApart(program);
  program.alias.assign(program.tensors.size(), -1);
  return program;
}

namespace {

/// Writes a program as nested dictionaries.
class Writer {
public:
  explicit Writer(MLIRContext *context) : b(context) {}

  DictionaryAttr program(const Program &p) {
    SmallVector<Attribute> tensors, launches;
    for (const TensorSpec &spec : p.tensors)
      tensors.push_back(tensor(spec));
    for (const Launch &one : p.launches)
      launches.push_back(launch(one));
    SmallVector<int64_t> alias(p.alias.begin(), p.alias.end());
    return dictionary({{"model", b.getStringAttr(p.model)},
                       {"heads", b.getBoolAttr(p.hasHeads)},
                       {"tensors", b.getArrayAttr(tensors)},
                       {"launches", b.getArrayAttr(launches)},
                       {"alias", b.getDenseI64ArrayAttr(alias)}});
  }

private:
  using Entry = std::pair<StringRef, Attribute>;
  DictionaryAttr dictionary(ArrayRef<Entry> entries) {
    SmallVector<NamedAttribute> named;
    for (auto [name, value] : entries)
      named.push_back(b.getNamedAttr(name, value));
    return b.getDictionaryAttr(named);
  }
  Attribute tensor(const TensorSpec &spec) {
    SmallVector<Attribute> axes;
    for (const AxisSpec &axis : spec.axes)
      axes.push_back(dictionary({{"axis", b.getI64IntegerAttr(static_cast<int64_t>(axis.axis))},
                                 {"size", b.getI64IntegerAttr(axis.size)},
                                 {"name", b.getStringAttr(axis.name)},
                                 {"steps", b.getI64IntegerAttr(axis.steps)}}));
    return dictionary({{"name", b.getStringAttr(spec.name)},
                       {"kind", b.getI64IntegerAttr(static_cast<int64_t>(spec.kind))},
                       {"type", b.getStringAttr(StringRef(nameOf(spec.type)))},
                       {"axes", b.getArrayAttr(axes)},
                       {"interval", b.getDenseF64ArrayAttr({spec.lo, spec.hi})},
                       {"flags", b.getDenseBoolArrayAttr({spec.hasInterval, spec.loOpen, spec.hiOpen, spec.recurrent})},
                       {"default", b.getDenseF64ArrayAttr(spec.defaultValue)}});
  }
  Attribute team(const TeamKernel &one) {
    return dictionary(
        {{"symbol", b.getStringAttr(one.symbol)}, {"scratch_bytes", b.getI64IntegerAttr(one.scratchBytes)}});
  }
  Attribute segments(const SegmentKernel &one) {
    return dictionary({{"kernel", team(one)},
                       {"segment_bytes", b.getI64IntegerAttr(one.segmentBytes)},
                       {"count", b.getI64IntegerAttr(one.count)},
                       {"multiple", b.getI64IntegerAttr(one.multiple)},
                       {"costs", b.getDenseF64ArrayAttr({one.again, one.join, one.step})}});
  }
  Attribute launch(const Launch &one) {
    SmallVector<int64_t> operands(one.operands.begin(), one.operands.end());
    SmallVector<Entry> entries = {{"symbol", b.getStringAttr(one.symbol)},
                                  {"operands", b.getDenseI64ArrayAttr(operands)},
                                  {"batch_tile", b.getI64IntegerAttr(one.batchTile)},
                                  {"per_batch", b.getBoolAttr(one.perBatch)},
                                  {"per_head", b.getBoolAttr(one.perHead)},
                                  {"packed", b.getBoolAttr(one.packed)},
                                  {"cooperative", b.getBoolAttr(one.cooperative)},
                                  {"cluster", b.getI64IntegerAttr(one.cluster)},
                                  {"most_steps", b.getI64IntegerAttr(one.mostSteps)},
                                  {"splits", b.getI64IntegerAttr(one.splits)},
                                  {"split_symbol", b.getStringAttr(one.splitSymbol)},
                                  {"team", team(one.team)},
                                  {"row_team", team(one.rowTeam)},
                                  {"time_block", b.getI64IntegerAttr(one.timeBlock)},
                                  {"scratch_bytes", b.getI64IntegerAttr(one.scratchBytes)},
                                  {"threads", b.getI64IntegerAttr(one.threads)},
                                  {"shared_bytes", b.getI64IntegerAttr(one.sharedBytes)}};
    if (!one.segments.symbol.empty())
      entries.push_back({"segments", segments(one.segments)});
    if (one.choice)
      entries.push_back({"way", way(one)});
    return dictionary(entries);
  }
  DictionaryAttr way(const Launch &one) {
    SmallVector<int64_t> aligned(one.aligned.begin(), one.aligned.end());
    return dictionary({{"choice", b.getI64IntegerAttr(one.choice)},
                       {"way", b.getI64IntegerAttr(one.way)},
                       {"aligned", b.getDenseI64ArrayAttr(aligned)},
                       {"steps", b.getI64IntegerAttr(one.cost.steps)},
                       {"nanoseconds", b.getDenseF64ArrayAttr({one.cost.alone, one.cost.shared, one.cost.fixed})},
                       {"segment_bytes", b.getI64IntegerAttr(one.segmentBytes)},
                       {"per_segment", b.getBoolAttr(one.perSegment)},
                       {"early", b.getBoolAttr(one.early)}});
  }
  Builder b;
};

/// Reads what Writer wrote; `good` turns false at the first entry that is not as expected.
class Reader {
public:
  bool good = true;

  Program program(DictionaryAttr d) {
    Program p;
    p.model = string(d, "model");
    p.hasHeads = flag(d, "heads");
    for (DictionaryAttr one : dictionaries(d, "tensors"))
      p.tensors.push_back(tensor(one));
    for (DictionaryAttr one : dictionaries(d, "launches"))
      p.launches.push_back(launch(one));
    for (int64_t i : numbers(d, "alias"))
      p.alias.push_back(static_cast<int>(i));
    return p;
  }

private:
  template <typename T> T get(DictionaryAttr d, StringRef name) {
    auto value = d ? d.getAs<T>(name) : T();
    good &= static_cast<bool>(value);
    return value;
  }
  std::string string(DictionaryAttr d, StringRef name) {
    auto value = get<StringAttr>(d, name);
    return value ? value.str() : "";
  }
  int64_t number(DictionaryAttr d, StringRef name) {
    auto value = get<IntegerAttr>(d, name);
    return value ? value.getInt() : 0;
  }
  bool flag(DictionaryAttr d, StringRef name) {
    auto value = get<BoolAttr>(d, name);
    return value && value.getValue();
  }
  ArrayRef<int64_t> numbers(DictionaryAttr d, StringRef name) {
    auto value = get<DenseI64ArrayAttr>(d, name);
    return value ? value.asArrayRef() : ArrayRef<int64_t>();
  }
  SmallVector<DictionaryAttr> dictionaries(DictionaryAttr d, StringRef name) {
    SmallVector<DictionaryAttr> result;
    if (auto list = get<ArrayAttr>(d, name))
      for (Attribute one : list) {
        result.push_back(dyn_cast<DictionaryAttr>(one));
        good &= static_cast<bool>(result.back());
      }
    return result;
  }
  TensorSpec tensor(DictionaryAttr d) {
    TensorSpec spec;
    spec.name = string(d, "name");
    spec.kind = static_cast<TensorKind>(number(d, "kind"));
    good &= parseDType(string(d, "type"), spec.type);
    for (DictionaryAttr axis : dictionaries(d, "axes"))
      spec.axes.push_back(
          {static_cast<Axis>(number(axis, "axis")), number(axis, "size"), string(axis, "name"), number(axis, "steps")});
    auto interval = get<DenseF64ArrayAttr>(d, "interval");
    auto flags = get<DenseBoolArrayAttr>(d, "flags");
    auto value = get<DenseF64ArrayAttr>(d, "default");
    if (!good || interval.size() != 2 || flags.size() != 4) {
      good = false;
      return spec;
    }
    spec.lo = interval[0];
    spec.hi = interval[1];
    spec.hasInterval = flags[0];
    spec.loOpen = flags[1];
    spec.hiOpen = flags[2];
    spec.recurrent = flags[3];
    spec.defaultValue.assign(value.asArrayRef().begin(), value.asArrayRef().end());
    return spec;
  }
  TeamKernel team(DictionaryAttr d, StringRef name) {
    TeamKernel one;
    auto entry = d.getAs<DictionaryAttr>(name);
    good &= entry != nullptr;
    if (entry) {
      one.symbol = string(entry, "symbol");
      one.scratchBytes = static_cast<size_t>(number(entry, "scratch_bytes"));
    }
    return one;
  }
  SegmentKernel segments(DictionaryAttr d) {
    SegmentKernel one;
    static_cast<TeamKernel &>(one) = team(d, "kernel");
    one.segmentBytes = static_cast<size_t>(number(d, "segment_bytes"));
    one.count = number(d, "count");
    one.multiple = number(d, "multiple");
    auto costs = get<DenseF64ArrayAttr>(d, "costs");
    good &= costs && costs.size() == 3;
    if (good) {
      one.again = costs[0];
      one.join = costs[1];
      one.step = costs[2];
    }
    return one;
  }
  Launch launch(DictionaryAttr d) {
    Launch one;
    one.symbol = string(d, "symbol");
    for (int64_t i : numbers(d, "operands"))
      one.operands.push_back(static_cast<int>(i));
    one.batchTile = number(d, "batch_tile");
    one.perBatch = flag(d, "per_batch");
    one.perHead = flag(d, "per_head");
    one.packed = flag(d, "packed");
    one.cooperative = flag(d, "cooperative");
    one.cluster = number(d, "cluster");
    one.mostSteps = number(d, "most_steps");
    one.splits = number(d, "splits");
    one.splitSymbol = string(d, "split_symbol");
    one.team = team(d, "team");
    one.rowTeam = team(d, "row_team");
    one.timeBlock = number(d, "time_block");
    one.scratchBytes = static_cast<size_t>(number(d, "scratch_bytes"));
    one.threads = number(d, "threads");
    one.sharedBytes = static_cast<size_t>(number(d, "shared_bytes"));
    if (auto ofSegments = d ? d.getAs<DictionaryAttr>("segments") : DictionaryAttr())
      one.segments = segments(ofSegments);
    if (auto ofWay = d ? d.getAs<DictionaryAttr>("way") : DictionaryAttr())
      way(ofWay, one);
    return one;
  }
  void way(DictionaryAttr d, Launch &one) {
    one.choice = number(d, "choice");
    one.way = number(d, "way");
    for (int64_t i : numbers(d, "aligned"))
      one.aligned.push_back(static_cast<int>(i));
    one.cost.steps = number(d, "steps");
    one.segmentBytes = static_cast<size_t>(number(d, "segment_bytes"));
    one.perSegment = flag(d, "per_segment");
    one.early = flag(d, "early");
    auto cost = get<DenseF64ArrayAttr>(d, "nanoseconds");
    if (cost && cost.size() == 3)
      one.cost = {one.cost.steps, cost[0], cost[1], cost[2]};
    else
      good = false;
  }
};

} // namespace

DictionaryAttr rondo::programToAttr(const Program &program, MLIRContext *context) {
  return Writer(context).program(program);
}

std::optional<Program> rondo::programFromAttr(DictionaryAttr attribute) {
  Reader reader;
  Program program = reader.program(attribute);
  return reader.good ? std::optional(std::move(program)) : std::nullopt;
}
