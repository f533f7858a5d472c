// Each compile function is the op's pseudo-loop from dialects/Recur/RecurOps.td, with its index arithmetic done beforehand in a
// table of offsets.
#include "compiler/Reference/OpCompiler.h"
#include "compiler/Reference/Functions.h"
#include "dialects/Chunk/TwoTerms.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace rondo::reference {

static bool isComplexType(Type type) { return recur::elementKind(type) == recur::ElementKind::Complex; }

Array &OpCompiler::define(Value value, Array array) {
  storage.push_back(std::move(array));
  slots[value] = &storage.back();
  return storage.back();
}

Array &OpCompiler::result(Value value, std::vector<int64_t> shape) {
  return define(value, Array::zeros(std::move(shape), isComplexType(value.getType())));
}

llvm::Expected<int64_t> OpCompiler::axisSize(Type type, int64_t position) const {
  auto array = cast<RankedTensorType>(type);
  if (!array.isDynamicDim(position))
    return array.getDimSize(position);
  recur::DimsAttr dims = recur::dimsOf(type);
  int64_t implicit = dims.getAxes().size();
  if (position >= implicit)
    return sizes.evaluate(dims.getNames()[position - implicit].getValue());
  StringRef axis = dims.getAxes()[position].getValue();
  if (axis == "batch" && sizes.sequences && dims.axisPosition("time") < 0)
    return *sizes.sequences;
  auto found = sizes.axes.find(axis.str());
  if (found == sizes.axes.end())
    return failure("the size of the axis '" + axis + "' is not known");
  return found->second;
}

llvm::Expected<std::vector<int64_t>> OpCompiler::shapeOf(Type type) const {
  std::vector<int64_t> shape;
  for (int64_t position = 0; position < cast<RankedTensorType>(type).getRank(); ++position) {
    auto size = axisSize(type, position);
    if (!size)
      return size.takeError();
    shape.push_back(*size);
  }
  return shape;
}

/// Whether an operation's results are rounded, and not just moved or chosen.
static bool rounds(Operation &op) {
  if (auto map = dyn_cast<recur::MapOp>(op)) {
    using recur::Fn;
    return !llvm::is_contained({Fn::Neg, Fn::Abs, Fn::Sign, Fn::Floor, Fn::Real, Fn::Imag, Fn::Conj, Fn::Not, Fn::Max,
                                Fn::Min, Fn::Complex, Fn::Lt, Fn::Le, Fn::Eq, Fn::Ne, Fn::And, Fn::Or, Fn::Select},
                               map.getFn());
  }
  if (auto reduce = dyn_cast<recur::ReduceOp>(op))
    return reduce.getKind() == recur::Reduction::Sum || reduce.getKind() == recur::Reduction::Prod;
  return isa<recur::ContractOp, recur::SumToOp, chunk::ProductsOp, chunk::ScoresOp, chunk::ApplyOp, chunk::SumsOp,
             chunk::SolveOp, chunk::DecayGradientOp>(op);
}

/// Whether a matrix instruction, or what stands beside it, reads this operand of a contraction in 16 bits: operands of a matrix of sums; the
/// matrix (rows, or scores) where it is summed with a vector.
static bool isRounded(recur::ContractOp op, unsigned operand) {
  auto spec = recur::parseContractSpec(op.getSpec());
  bool sums = spec && llvm::any_of(spec->operands, [&](const std::string &term) {
                return llvm::any_of(term, [&](char letter) { return spec->result.find(letter) == std::string::npos; });
              });
  if (!sums || spec->result.size() == 2)
    return sums;
  bool withVector = llvm::any_of(spec->operands, [](const std::string &term) { return term.size() == 1; });
  return spec->result.size() == 1 && withVector && spec->operands[operand].size() == 2;
}

Rounding OpCompiler::roundingOf(Operation &op) const {
  Rounding rounding = sizes.rounding;
  if (auto scan = dyn_cast<chunk::ScanOp>(op.getParentOp()); scan && chunk::hasTwoTerms(scan))
    rounding.bits *= 2;
  return rounding;
}

/// Inside a chunk, with Rounding: operands of matrix products are rounded before, rows behind the end are zeros afterwards.
OpCompiler::Closure OpCompiler::compileRounded(Operation &op) {
  std::vector<std::pair<const Array *, Array *>> operands;
  DenseMap<Value, Array *> kept = slots;
  if (auto contract = dyn_cast<recur::ContractOp>(op))
    for (auto [number, operand] : llvm::enumerate(contract.getOperands_()))
      if (op.hasAttr(kRoundedAttr) || isRounded(contract, number)) {
        const Array &from = *kept.find(operand)->second;
        operands.push_back({&from, &define(operand, from)});
      }
  auto run = compileExact(op);
  for (Value operand : op.getOperands())
    slots[operand] = kept.find(operand)->second;
  if (!run)
    return run;
  Array &result = slot(op.getResult(0));
  recur::DimsAttr dims = recur::dimsOf(op.getResult(0).getType());
  bool alongTime = !dims.getAxes().empty() && (dims.getAxes()[0] == "time" || dims.getAxes()[0] == "source");
  const Rounding operand = roundingOf(op);
  return std::function<void()>([=, exact = std::move(*run), &result, &rounding = sizes.rounding] {
    for (auto [from, to] : operands)
      llvm::transform(from->data, to->data.begin(), operand);
    exact();
    if (alongTime && rounding.steps >= 0)
      std::fill(result.data.begin() + result.data.size() / result.shape[0] * rounding.steps, result.data.end(), 0.0);
  });
}

llvm::Expected<std::function<void()>> OpCompiler::compile(Operation &op) {
  auto scan = dyn_cast_or_null<chunk::ScanOp>(op.getParentOp());
  const bool isRounded =
      sizes.rounding.bits && (op.hasAttr(kRoundedAttr) || (scan && op.getParentRegion() == &scan.getChunk()));
  auto run = isRounded ? compileRounded(op) : compileExact(op);
  if (!run || !sizes.noise.state || !rounds(op))
    return run;
  Array &result = slot(op.getResult(0));
  return std::function<void()>([exact = std::move(*run), &result, &noise = sizes.noise] {
    exact();
    for (Complex &element : result.data)
      element = noise(element);
  });
}

llvm::Expected<std::function<void()>> OpCompiler::compileExact(Operation &op) {
  return llvm::TypeSwitch<Operation *, Closure>(&op)
      .Case([&](recur::MapOp op) { return compileMap(op); })
      .Case([&](recur::ContractOp op) { return compileContract(op); })
      .Case([&](recur::ReduceOp op) { return compileReduce(op); })
      .Case([&](recur::BroadcastOp op) { return compileBroadcast(op); })
      .Case([&](recur::SliceOp op) { return compileSlice(op); })
      .Case([&](recur::ConcatOp op) { return compileConcat(op); })
      .Case([&](recur::ReshapeOp op) { return compileReshape(op); })
      .Case([&](recur::CastOp op) { return compileCast(op); })
      .Case([&](recur::IdentityOp op) { return compileIdentity(op); })
      .Case([&](arith::ConstantOp op) { return compileConstant(op); })
      .Case([&](chunk::ProductsOp op) { return compileProducts(op); })
      .Case([&](chunk::ScoresOp op) { return compileScores(op); })
      .Case([&](chunk::ApplyOp op) { return compileApply(op); })
      .Case([&](chunk::SolveOp op) { return compileSolve(op); })
      .Case([&](chunk::SumsOp op) { return compileSums(op); })
      .Case([&](chunk::DecayGradientOp op) { return compileDecayGradient(op); })
      .Case<chunk::AsSourceOp, chunk::AsTimeOp>(
          [&](auto op) { return compileRenamed(op.getOperand(), op.getResult()); })
      .Case([&](chunk::RowOp op) { return compileRow(op); })
      .Case([&](chunk::RowsOp op) { return compileRows(op); })
      .Case([&](recur::SumToOp op) { return compileSumTo(op); })
      .Default([&](Operation *op) {
        return failure("the reference interpreter has no '" + op->getName().getStringRef() + "'");
      });
}

//===--- map --------------------------------------------------------------------------------------------------------===//

static std::function<void()> mapReal(RealFunction function, const Array &x, const Array &y, Array &to) {
  size_t dx = x.shape == to.shape, dy = y.shape == to.shape; // 0: a scalar for all
  return [=, &x, &y, &to] {
    for (size_t i = 0; i < to.data.size(); ++i)
      to.data[i] = function(x.data[i * dx].real(), y.data[i * dy].real());
  };
}

static std::function<void()> mapComplex(ComplexFunction function, const Array &x, const Array &y, Array &to) {
  size_t dx = x.shape == to.shape, dy = y.shape == to.shape;
  return [=, &x, &y, &to] {
    for (size_t i = 0; i < to.data.size(); ++i)
      to.data[i] = function(x.data[i * dx], y.data[i * dy]);
  };
}

static std::function<void()> mapSelect(const Array &condition, const Array &x, const Array &y, Array &to) {
  size_t dc = condition.shape == to.shape, dx = x.shape == to.shape, dy = y.shape == to.shape;
  return [=, &condition, &x, &y, &to] {
    for (size_t i = 0; i < to.data.size(); ++i)
      to.data[i] = condition.data[i * dc] != 0.0 ? x.data[i * dx] : y.data[i * dy];
  };
}

OpCompiler::Closure OpCompiler::compileMap(recur::MapOp op) {
  auto operands = op.getOperands_();
  std::vector<int64_t> shape = slot(operands.front()).shape;
  for (Value operand : operands)
    if (slot(operand).shape.size() > shape.size())
      shape = slot(operand).shape;
  for (Value operand : operands)
    if (!slot(operand).shape.empty() && slot(operand).shape != shape)
      return failure("operands of different sizes in '" + stringifyFn(op.getFn()) + "'");
  const Array &first = slot(operands.front()), &last = slot(operands.back());
  if (op.getFn() == recur::Fn::Select) {
    const Array &middle = slot(operands[1]);
    return mapSelect(first, middle, last, result(op.getResult(), shape));
  }
  bool complex = isComplexType(operands.front().getType()) || op.getFn() == recur::Fn::Complex;
  Array &to = result(op.getResult(), shape);
  if (complex)
    return mapComplex(complexFunction(op.getFn()), first, last, to);
  return mapReal(realFunction(op.getFn()), first, last, to);
}

//===--- contract and reduce ----------------------------------------------------------------------------------------===//

namespace {
/// The loops of a contraction: the result's letters outside, the summed ones inside.
struct Loops {
  std::string letters;
  std::vector<int64_t> extents;
};
} // namespace

/// Per loop, how far one step moves in an operand with the given term. A letter twice moves along the diagonal.
static std::vector<int64_t> loopStrides(const Loops &loops, const std::string &term, const Array &array) {
  std::vector<int64_t> strides(loops.letters.size(), 0), own = stridesOf(array.shape);
  for (size_t axis = 0; axis < term.size(); ++axis)
    if (size_t loop = loops.letters.find(term[axis]); loop != std::string::npos)
      strides[loop] += own[axis];
  return strides;
}

OpCompiler::Closure OpCompiler::compileContract(recur::ContractOp op) {
  auto spec = *recur::parseContractSpec(op.getSpec());
  std::map<char, int64_t> extents;
  std::string summed;
  for (auto [term, operand] : llvm::zip_equal(spec.operands, op.getOperands_()))
    for (auto [letter, size] : llvm::zip_equal(term, slot(operand).shape)) {
      if (!extents.insert({letter, size}).second && extents[letter] != size)
        return failure("letter '" + std::string(1, letter) + "' of '" + op.getSpec() + "' has two sizes");
      if (spec.result.find(letter) == std::string::npos && summed.find(letter) == std::string::npos)
        summed += letter;
    }
  Loops outer{spec.result, {}}, inner{summed, {}};
  for (Loops *loops : {&outer, &inner})
    for (char letter : loops->letters)
      loops->extents.push_back(extents[letter]);

  struct Term {
    const Array *array;
    std::vector<int64_t> outer, inner; // offsets of each result element, and of each summand from there
  };
  std::vector<Term> terms;
  for (auto [term, operand] : llvm::zip_equal(spec.operands, op.getOperands_())) {
    const Array &array = slot(operand);
    terms.push_back({&array, offsetsOf(outer.extents, loopStrides(outer, term, array)),
                     offsetsOf(inner.extents, loopStrides(inner, term, array))});
  }
  size_t summands = elementCount(inner.extents);
  Array &to = result(op.getResult(), outer.extents);
  auto run = [terms = std::move(terms), summands, &to](auto part) {
    for (size_t i = 0; i < to.data.size(); ++i) {
      decltype(part(Complex())) sum = 0;
      for (size_t j = 0; j < summands; ++j) {
        auto product = part(terms[0].array->data[terms[0].outer[i] + terms[0].inner[j]]);
        for (size_t k = 1; k < terms.size(); ++k)
          product *= part(terms[k].array->data[terms[k].outer[i] + terms[k].inner[j]]);
        sum += product;
      }
      to.data[i] = sum;
    }
  };
  if (to.isComplex)
    return std::function<void()>([run = std::move(run)] { run([](Complex value) { return value; }); });
  return std::function<void()>([run = std::move(run)] { run([](Complex value) { return value.real(); }); });
}

OpCompiler::Closure OpCompiler::compileReduce(recur::ReduceOp op) {
  const Array &from = slot(op.getOperand());
  std::vector<int64_t> strides = stridesOf(from.shape), kept, keptStrides, reduced, reducedStrides;
  for (size_t axis = 0; axis < from.shape.size(); ++axis) {
    bool isReduced = llvm::is_contained(op.getDims(), static_cast<int64_t>(axis));
    (isReduced ? reduced : kept).push_back(from.shape[axis]);
    (isReduced ? reducedStrides : keptStrides).push_back(strides[axis]);
  }
  auto outer = offsetsOf(kept, keptStrides), inner = offsetsOf(reduced, reducedStrides);
  static const RealFunction larger = realFunction(recur::Fn::Max), smaller = realFunction(recur::Fn::Min);
  recur::Reduction kind = op.getKind();
  Array &to = result(op.getResult(), kept);
  return std::function<void()>([=, &from, &to] {
    for (size_t i = 0; i < outer.size(); ++i) {
      Complex total = kind == recur::Reduction::Sum    ? 0
                      : kind == recur::Reduction::Prod ? 1
                      : kind == recur::Reduction::Max  ? -INFINITY
                                                       : INFINITY;
      for (int64_t offset : inner) {
        Complex value = from.data[outer[i] + offset];
        switch (kind) {
        case recur::Reduction::Sum:
          total += value;
          break;
        case recur::Reduction::Prod:
          total = from.isComplex ? total * value : total.real() * value.real();
          break;
        case recur::Reduction::Max:
          total = larger(total.real(), value.real());
          break;
        case recur::Reduction::Min:
          total = smaller(total.real(), value.real());
          break;
        }
      }
      to.data[i] = total;
    }
  });
}

//===--- ops that move elements -------------------------------------------------------------------------------------===//

/// to[i] = from[offsets[i]]
static std::function<void()> gather(const Array &from, std::vector<int64_t> offsets, Array &to) {
  return [&from, &to, offsets = std::move(offsets)] {
    for (size_t i = 0; i < offsets.size(); ++i)
      to.data[i] = from.data[offsets[i]];
  };
}

OpCompiler::Closure OpCompiler::compileBroadcast(recur::BroadcastOp op) {
  const Array &from = slot(op.getOperand());
  std::vector<int64_t> own = stridesOf(from.shape), shape, strides;
  size_t axis = 0;
  for (int64_t position = 0; position < op.getType().getRank(); ++position) {
    bool isNew = llvm::is_contained(op.getDims(), position);
    auto size = isNew ? axisSize(op.getType(), position) : llvm::Expected<int64_t>(from.shape[axis]);
    if (!size)
      return size.takeError();
    shape.push_back(*size);
    strides.push_back(isNew ? 0 : own[axis++]);
  }
  auto offsets = offsetsOf(shape, strides);
  return gather(from, std::move(offsets), result(op.getResult(), std::move(shape)));
}

OpCompiler::Closure OpCompiler::compileSlice(recur::SliceOp op) {
  const Array &from = slot(op.getOperand());
  size_t dim = op.getDim();
  auto start = sizes.evaluate(op.getOffset());
  auto size = op.getDrop() ? llvm::Expected<int64_t>(1) : axisSize(op.getType(), dim);
  if (!start || !size)
    return llvm::joinErrors(start.takeError(), size.takeError());
  if (*start < 0 || *start + *size > from.shape[dim])
    return failure(llvm::Twine(*size) + " elements at " + llvm::Twine(*start) + " of " + llvm::Twine(from.shape[dim]));
  std::vector<int64_t> shape = from.shape, strides = stridesOf(from.shape);
  shape[dim] = *size;
  auto offsets = offsetsOf(shape, strides);
  for (int64_t &offset : offsets)
    offset += *start * strides[dim];
  if (op.getDrop())
    shape.erase(shape.begin() + dim);
  return gather(from, std::move(offsets), result(op.getResult(), std::move(shape)));
}

OpCompiler::Closure OpCompiler::compileConcat(recur::ConcatOp op) {
  size_t dim = op.getDim();
  std::vector<int64_t> shape = slot(op.getOperands_().front()).shape;
  shape[dim] = 0;
  for (Value operand : op.getOperands_())
    shape[dim] += slot(operand).shape[dim];
  Array &to = result(op.getResult(), shape);
  std::vector<int64_t> strides = stridesOf(shape);
  std::vector<std::pair<const Array *, std::vector<int64_t>>> parts; // where the elements of each operand go
  int64_t start = 0;
  for (Value operand : op.getOperands_()) {
    const Array &from = slot(operand);
    auto offsets = offsetsOf(from.shape, strides);
    for (int64_t &offset : offsets)
      offset += start * strides[dim];
    start += from.shape[dim];
    parts.push_back({&from, std::move(offsets)});
  }
  return std::function<void()>([parts = std::move(parts), &to] {
    for (const auto &[from, offsets] : parts)
      for (size_t i = 0; i < offsets.size(); ++i)
        to.data[offsets[i]] = from->data[i];
  });
}

OpCompiler::Closure OpCompiler::compileReshape(recur::ReshapeOp op) {
  const Array &from = slot(op.getOperand());
  recur::DimsAttr before = recur::dimsOf(op.getOperand().getType()), after = recur::dimsOf(op.getType());
  std::vector<int64_t> shape;
  int64_t rest = 1, head = after.axisPosition("head");
  for (int64_t position = 0; position < after.rank(); ++position) {
    bool implicit = position < static_cast<int64_t>(after.getAxes().size());
    int64_t source = implicit ? before.axisPosition(after.getAxes()[position]) : -1;
    if (int64_t size = op.getType().getDimSize(position);
        implicit && position != head && !ShapedType::isDynamic(size)) {
      shape.push_back(size); // steps of a chunk
      rest *= size;
      continue;
    }
    if (position == head && source < 0) {
      shape.push_back(1);
      continue;
    }
    auto size = source >= 0 ? llvm::Expected<int64_t>(from.shape[source]) : axisSize(op.getType(), position);
    if (!size)
      return size.takeError();
    shape.push_back(*size);
    rest *= *size;
  }
  if (head >= 0 &&
      before.axisPosition("head") < 0) { // what is left over; of an empty array nothing is, so the model must say
    auto heads = rest ? llvm::Expected<int64_t>(elementCount(from.shape) / rest) : axisSize(op.getType(), head);
    if (!heads)
      return heads.takeError();
    shape[head] = *heads;
  }
  if (elementCount(shape) != elementCount(from.shape))
    return failure("a reshape from " + llvm::Twine(elementCount(from.shape)) + " to " +
                   llvm::Twine(elementCount(shape)) + " elements");
  Array &to = result(op.getResult(), shape);
  return std::function<void()>([&from, &to] { to.data = from.data; });
}

OpCompiler::Closure OpCompiler::compileCast(recur::CastOp op) {
  const Array &from = slot(op.getOperand());
  Array &to = result(op.getResult(), from.shape);
  return std::function<void()>([&from, &to] { to.data = from.data; });
}

//===--- constants --------------------------------------------------------------------------------------------------===//

OpCompiler::Closure OpCompiler::compileIdentity(recur::IdentityOp op) {
  auto shape = shapeOf(op.getType());
  if (!shape)
    return shape.takeError();
  int64_t size = shape->front();
  Array &to = result(op.getResult(), std::move(*shape));
  for (int64_t i = 0; i < size; ++i)
    to.data[i * size + i] = 1;
  return std::function<void()>([] {});
}

OpCompiler::Closure OpCompiler::compileConstant(arith::ConstantOp op) {
  auto value = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!value || !recur::isArray(op.getType()))
    return failure("the reference interpreter takes no such constant");
  Array &to = result(op.getResult(), value.getType().getShape().vec());
  auto number = [](const APFloat &value) { // exact: no supported type is wider than double
    APFloat copy = value;
    bool losesInfo = false;
    copy.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
    return copy.convertToDouble();
  };
  size_t i = 0;
  switch (recur::elementKind(op.getType())) {
  case recur::ElementKind::Complex:
    for (const std::complex<APFloat> &element : value.getValues<std::complex<APFloat>>())
      to.data[i++] = Complex(number(element.real()), number(element.imag()));
    break;
  case recur::ElementKind::Truth:
    for (bool element : value.getValues<bool>())
      to.data[i++] = element;
    break;
  default:
    for (const APFloat &element : value.getValues<APFloat>())
      to.data[i++] = number(element);
  }
  return std::function<void()>([] {});
}

} // namespace rondo::reference
