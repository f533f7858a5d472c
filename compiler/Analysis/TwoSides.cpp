// See TwoSides.h.
#include "compiler/Analysis/TwoSides.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;
using recur::Fn;

namespace {

/// More products than anybody writes: a sum that has more stays whole.
constexpr size_t kMostProducts = 16;

FactorSum atomsOf(Factor factor);

FactorSum timesEach(const FactorSum &left, const FactorSum &right) {
  FactorSum products;
  for (const FactorProduct &x : left)
    for (const FactorProduct &y : right) {
      FactorProduct product = x;
      product.factors.append(y.factors);
      product.scale *= y.scale;
      products.push_back(std::move(product));
    }
  return products;
}

/// An operand of what `factor` is: its letters are those of the whole, or none.
FactorSum operandOf(const Factor &factor, Value operand, bool reciprocal = false) {
  bool isNumber = cast<RankedTensorType>(operand.getType()).getRank() == 0;
  return atomsOf({operand, isNumber ? SmallVector<int, 2>() : factor.letters, reciprocal});
}

/// A vector or number as a sum of products of values that are neither.
FactorSum atomsOf(Factor factor) {
  FactorSum whole{{{factor}, 1}};
  Operation *op = factor.value.getDefiningOp();
  if (factor.letters.size() > 1 || !op)
    return whole;
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto numbers = dyn_cast<DenseFPElementsAttr>(constant.getValue());
    if (!numbers || !numbers.isSplat())
      return whole;
    double number = numbers.getSplatValue<APFloat>().convertToDouble();
    return {{{}, factor.reciprocal ? 1 / number : number}};
  }
  if (auto broadcast = dyn_cast<recur::BroadcastOp>(op))
    return operandOf(factor, broadcast.getOperand(), factor.reciprocal);
  auto map = dyn_cast<recur::MapOp>(op);
  if (!map)
    return whole;
  Fn fn = map.getFn();
  bool isProduct = fn == Fn::Mul || fn == Fn::Div || fn == Fn::Neg;
  bool isSum = fn == Fn::Add || fn == Fn::Sub;
  if (!isProduct && (!isSum || factor.reciprocal))
    return whole;
  FactorSum left = operandOf(factor, map.getOperands_()[0], factor.reciprocal), right{{{}, -1}};
  if (fn != Fn::Neg)
    right = operandOf(factor, map.getOperands_()[1], factor.reciprocal != (fn == Fn::Div));
  if ((isProduct ? left.size() * right.size() : left.size() + right.size()) > kMostProducts)
    return whole;
  if (isProduct)
    return timesEach(left, right);
  for (FactorProduct &product : right)
    product.scale = fn == Fn::Sub ? -product.scale : product.scale;
  left.append(right);
  return left;
}

/// The products of a term, with vectors and numbers multiplied out; the term alone where that makes too many.
SmallVector<Term, 0> multipliedOut(const Term &term) {
  FactorSum products{{{}, term.scale}};
  for (const Factor &factor : term.factors)
    products = timesEach(products, atomsOf(factor));
  if (products.size() > kMostProducts)
    return {term};
  SmallVector<Term, 0> result;
  for (FactorProduct &product : products) {
    Term one = term;
    one.factors = product.factors;
    one.scale = product.scale;
    result.push_back(std::move(one));
  }
  return result;
}

class Factoring {
public:
  Factoring(int axis) : axis(axis) {}

  /// False where a factor has the axis and another letter that is not summed over inside the term.
  bool add(const Term &term) {
    SmallVector<int> fixed{axis};
    for (auto [own, letter] : llvm::enumerate(term.stateLetters)) {
      fixed.push_back(own);
      fixed.push_back(letter);
    }
    SplitFactors split = splitByLetter(term.factors, axis, fixed);
    if (llvm::any_of(fixed, [&](int letter) { return letter != axis && hasLetter(split.linked, letter); }))
      return false;
    Term rest = term;
    rest.factors = split.rest;
    rest.scale = 1;
    size_t row = llvm::find_if(rests, [&](const Term &known) { return sameRest(known, rest); }) - rests.begin();
    if (row == rests.size())
      rests.push_back(std::move(rest));
    size_t column =
        llvm::find_if(alongs, [&](const auto &known) { return sameFactors(known, split.linked); }) - alongs.begin();
    if (column == alongs.size())
      alongs.push_back(split.linked);
    scales[{row, column}] += term.scale;
    return true;
  }

  /// The table of scales as a row times a column, where it is one.
  std::optional<TwoSides> factored() {
    auto at = [&](size_t row, size_t column) { return scales.lookup({row, column}); };
    size_t pivot = 0;
    while (pivot < alongs.size() && at(0, pivot) == 0)
      ++pivot;
    if (pivot == alongs.size())
      return std::nullopt;
    TwoSides sides;
    for (size_t row = 0; row < rests.size(); ++row) {
      double scale = at(row, pivot) / at(0, pivot);
      for (size_t column = 0; column < alongs.size(); ++column)
        if (std::abs(at(row, column) - scale * at(0, column)) > 4e-16 * std::abs(at(row, column)))
          return std::nullopt;
      if (scale == 0)
        continue; // terms that cancel
      sides.rest.push_back(rests[row]);
      sides.rest.back().scale = scale;
    }
    for (size_t column = 0; column < alongs.size(); ++column)
      if (double scale = at(0, column); scale != 0)
        sides.along.push_back({alongs[column], scale});
    // What nothing varies along goes with the rest.
    if (sides.along.size() == 1 && sides.along.front().factors.empty()) {
      for (Term &term : sides.rest)
        term.scale *= sides.along.front().scale;
      sides.along.front().scale = 1;
    }
    return sides;
  }

private:
  /// Equal but for the names of letters that are summed over with the state.
  static bool sameRest(const Term &x, const Term &y) {
    if (x.state != y.state || x.read != y.read || x.isDiagonal() != y.isDiagonal())
      return false;
    SmallVector<Factor> factors(y.factors);
    for (auto [to, from] : llvm::zip(x.stateLetters, y.stateLetters)) {
      if (to != from && hasLetter(factors, to))
        return false;
      for (Factor &factor : factors)
        llvm::replace(factor.letters, from, to);
    }
    return sameFactors(x.factors, factors);
  }

  int axis;
  SmallVector<Term, 0> rests;
  SmallVector<SmallVector<Factor>> alongs;
  llvm::DenseMap<std::pair<size_t, size_t>, double> scales;
};

} // namespace

std::optional<TwoSides> rondo::analysis::factorAlong(ArrayRef<const Term *> terms, int axis) {
  Factoring asWritten(axis);
  bool isSided = llvm::all_of(terms, [&](const Term *term) { return asWritten.add(*term); });
  if (isSided)
    if (std::optional<TwoSides> sides = asWritten.factored())
      return sides;
  Factoring apart(axis);
  for (const Term *term : terms)
    for (const Term &one : multipliedOut(*term))
      if (!apart.add(one))
        return std::nullopt;
  return apart.factored();
}

TwoSides rondo::analysis::commonAlong(ArrayRef<const Term *> terms, int axis) {
  SmallVector<Factor> common;
  for (const Factor &factor : terms.front()->factors)
    if (factor.letters == SmallVector<int, 2>{axis})
      common.push_back(factor);
  auto drop = [](SmallVectorImpl<Factor> &from, const Factor &factor) {
    auto *found = llvm::find_if(from, [&](const Factor &other) { return sameFactors(factor, other); });
    if (found == from.end())
      return false;
    from.erase(found);
    return true;
  };
  for (const Term *term : terms.drop_front()) {
    SmallVector<Factor> left(term->factors), kept;
    for (const Factor &factor : common)
      if (drop(left, factor))
        kept.push_back(factor);
    common = std::move(kept);
  }
  TwoSides sides;
  for (const Term *term : terms) {
    sides.rest.push_back(*term);
    for (const Factor &factor : common)
      drop(sides.rest.back().factors, factor);
  }
  sides.along = {{std::move(common), 1}};
  return sides;
}
