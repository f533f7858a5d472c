// Each axis of an argument gives one equation, size expression = number. Equations with one unknown, to the first power, are
// solved until nothing changes: `[K]` gives K, then `[H*K]` gives H.
#include "compiler/Reference/Sizes.h"
#include "dialects/Recur/DimExpr.h"
#include <cmath>

using namespace mlir;

namespace rondo::reference {

double Noise::factor() {
  state = state * 6364136223846793005ULL + 1442695040888963407ULL; // Knuth's; its high bits are the good ones
  return state >> 63 ? 1 + unit : 1 - unit;
}

Complex Noise::operator()(Complex x) {
  x *= factor();
  return inSingle ? Complex(static_cast<float>(x.real()), static_cast<float>(x.imag())) : x;
}

static double rounded(double x, const Rounding &to) {
  if (x == 0 || !std::isfinite(x))
    return x;
  int lastBit = std::max(std::ilogb(x) - to.bits + 1, to.lowestExponent);
  return std::ldexp(std::nearbyint(std::ldexp(x, -lastBit)), lastBit); // to even, as the hardware does
}

Complex Rounding::operator()(Complex x) const {
  return bits ? Complex(rounded(x.real(), *this), rounded(x.imag(), *this)) : x;
}

llvm::Error failure(const llvm::Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

static std::optional<int64_t> lookup(const std::map<std::string, int64_t> &sizes, const std::string &name) {
  auto found = sizes.find(name);
  return found == sizes.end() ? std::nullopt : std::optional<int64_t>(found->second);
}

static DimExpr substitute(const DimExpr &size, const std::map<std::string, int64_t> &sizes) {
  return size.substitute([&](const std::string &name) -> std::optional<DimExpr> {
    auto value = lookup(sizes, name);
    return value ? std::optional(DimExpr::constant(*value)) : std::nullopt;
  });
}

llvm::Expected<int64_t> Sizes::evaluate(llvm::StringRef size) const {
  DimExpr rest = substitute(*DimExpr::parse(std::string_view(size)), dims);
  if (auto value = rest.asConstant())
    return *value;
  return failure("the size of '" + rest.symbols().front() + "' is not known");
}

namespace {
struct Equation {
  DimExpr left;
  int64_t right;
  std::string who;
};
} // namespace

/// The one unknown of `size = number`, when it is linear in it.
static std::optional<std::pair<std::string, int64_t>> solve(const DimExpr &size, int64_t number) {
  std::vector<std::string> unknowns = size.symbols();
  if (unknowns.size() != 1)
    return std::nullopt;
  auto at = [&](int64_t value) { return *size.evaluate({{unknowns[0], value}}); };
  int64_t constant = at(0), factor = at(1) - constant;
  bool linear = at(2) - at(1) == factor;
  if (!linear || factor == 0 || (number - constant) % factor != 0)
    return std::nullopt;
  return std::pair(unknowns[0], (number - constant) / factor);
}

static llvm::Error solveAll(llvm::ArrayRef<Equation> equations, Sizes &sizes) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const Equation &equation : equations) {
      DimExpr left = substitute(equation.left, sizes.dims);
      if (auto value = left.asConstant(); value && *value != equation.right)
        return failure(equation.who + ": expected size " + std::to_string(*value) + " for '" + equation.left.str() +
                       "', got " + std::to_string(equation.right));
      if (auto solution = solve(left, equation.right))
        changed |= sizes.dims.insert(*solution).second;
    }
  }
  return llvm::Error::success();
}

static std::string nameOf(func::FuncOp function, unsigned index) {
  auto name = function.getArgAttrOfType<StringAttr>(index, recur::kNameAttr);
  return name ? "'" + name.str() + "'" : "argument " + std::to_string(index);
}

static llvm::Error collect(func::FuncOp function, unsigned index, const Array &arg, Sizes &sizes,
                           std::vector<Equation> &equations) {
  auto type = dyn_cast<RankedTensorType>(function.getArgumentTypes()[index]);
  std::string who = nameOf(function, index);
  if (!type || type.getRank() != static_cast<int64_t>(arg.shape.size()))
    return failure(who + ": got an array with " + llvm::Twine(arg.shape.size()) + " axes");
  if (static_cast<int64_t>(arg.data.size()) != elementCount(arg.shape))
    return failure(who + ": the shape and the number of elements disagree");
  for (auto [declared, actual] : llvm::zip_equal(type.getShape(), arg.shape))
    if (!ShapedType::isDynamic(declared) && declared != actual)
      return failure(who + ": expected size " + llvm::Twine(declared) + ", got " + llvm::Twine(actual));
  if (!recur::isArray(type)) { // offsets
    sizes.sequences = arg.shape[0] - 1;
    return llvm::Error::success();
  }
  recur::DimsAttr dims = recur::dimsOf(type);
  size_t position = 0;
  for (StringAttr axis : dims.getAxes())
    sizes.axes.insert({axis.str(), arg.shape[position++]});
  for (StringAttr name : dims.getNames())
    equations.push_back({*DimExpr::parse(std::string_view(name.getValue())), arg.shape[position++], who});
  return llvm::Error::success();
}

/// The lag axis of an initial value tells the lag of a state that is read at that one distance only.
static void collectLags(func::FuncOp function, llvm::ArrayRef<Array> args, ArrayAttr lags,
                        std::vector<Equation> &equations) {
  function.walk([&](recur::ScanOp scan) {
    for (unsigned index = 0; index < scan.numStates() && scan.numAxes() == 1; ++index) {
      auto reads = scan.state(index).getReads();
      auto init = dyn_cast<BlockArgument>(scan.getInits()[index]);
      int64_t lagAxis = recur::dimsOf(scan.getInits()[index].getType()).axisPosition("lag");
      if (!init || lagAxis < 0 || reads.size() != 1 || reads[0][0] >= 0)
        continue;
      auto lag = cast<StringAttr>(lags[-1 - reads[0][0]]);
      equations.push_back({*DimExpr::parse(std::string_view(lag.getValue())), args[init.getArgNumber()].shape[lagAxis],
                           nameOf(function, init.getArgNumber())});
    }
  });
}

llvm::Expected<Sizes> bindSizes(func::FuncOp function, llvm::ArrayRef<Array> args,
                                const std::map<std::string, int64_t> &known) {
  if (function.getNumArguments() != args.size())
    return failure("'" + function.getName() + "' takes " + llvm::Twine(function.getNumArguments()) +
                   " arguments, got " + llvm::Twine(args.size()));
  Sizes sizes;
  sizes.dims = known;
  std::vector<Equation> equations;
  for (auto [index, arg] : llvm::enumerate(args))
    if (auto error = collect(function, index, arg, sizes, equations))
      return error;
  auto lags = function->getAttrOfType<ArrayAttr>(recur::kLagsAttr);
  if (lags)
    collectLags(function, args, lags, equations);
  auto heads = function->getAttrOfType<StringAttr>(recur::kHeadCountAttr);
  if (auto size = lookup(sizes.axes, "head"); heads && size)
    equations.push_back({*DimExpr::parse(std::string_view(heads.getValue())), *size, "the head axis"});
  if (auto error = solveAll(equations, sizes))
    return error;
  if (heads && !sizes.axes.count("head"))
    if (auto count = substitute(*DimExpr::parse(std::string_view(heads.getValue())), sizes.dims).asConstant())
      sizes.axes["head"] = *count;
  for (Attribute lag : lags ? lags.getValue() : ArrayRef<Attribute>()) {
    auto value = sizes.evaluate(cast<StringAttr>(lag).getValue());
    if (!value)
      return value.takeError();
    sizes.lags.push_back(*value);
  }
  return sizes;
}

} // namespace rondo::reference
