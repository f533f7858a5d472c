// See LinearForm.h.
#include "compiler/Analysis/LinearForm.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;
using recur::Fn;

static int rankOf(Value value) { return cast<RankedTensorType>(value.getType()).getRank(); }

static SmallVector<int, 2> ownLetters(Value value) {
  SmallVector<int, 2> letters;
  for (int i = 0; i < rankOf(value); ++i)
    letters.push_back(i);
  return letters;
}

bool Term::isDiagonal() const {
  for (auto [axis, letter] : llvm::enumerate(stateLetters))
    if (letter != static_cast<int>(axis))
      return false;
  return state.has_value();
}

SmallVector<int, 4> Term::factorLetters() const {
  SmallVector<int, 4> all;
  for (const Factor &factor : factors)
    for (int letter : factor.letters)
      if (!llvm::is_contained(all, letter))
        all.push_back(letter);
  return all;
}

static bool hasLetter(const Term &term, int letter) {
  return llvm::is_contained(term.stateLetters, letter) ||
         llvm::any_of(term.factors, [&](const Factor &f) { return llvm::is_contained(f.letters, letter); });
}

/// The term with every letter renamed; letters that `rename` maps to -1 get fresh numbers from `fresh` on.
static Term renamed(const Term &term, ArrayRef<int> rename, int &fresh) {
  DenseMap<int, int> more;
  auto to = [&](int letter) {
    if (letter < static_cast<int>(rename.size()) && rename[letter] >= 0)
      return rename[letter];
    auto [entry, isNew] = more.try_emplace(letter, fresh);
    fresh += isNew;
    return entry->second;
  };
  Term result = term;
  for (int &letter : result.stateLetters)
    letter = to(letter);
  for (Factor &factor : result.factors)
    for (int &letter : factor.letters)
      letter = to(letter);
  return result;
}

/// One more than the largest letter of a form, at least `rank`.
static int firstFresh(const LinearForm &form, int rank) {
  int next = rank;
  for (const Term &term : form.terms) {
    for (int letter : term.stateLetters)
      next = std::max(next, letter + 1);
    for (const Factor &factor : term.factors)
      for (int letter : factor.letters)
        next = std::max(next, letter + 1);
  }
  return next;
}

static LinearForm renamed(const LinearForm &form, ArrayRef<int> rename, int rank) {
  LinearForm result;
  int fresh = firstFresh(form, rank);
  for (int letter : rename)
    fresh = std::max(fresh, letter + 1);
  for (const Term &term : form.terms) {
    int next = fresh;
    result.terms.push_back(renamed(term, rename, next));
  }
  return result;
}

static bool isIdentity(const Factor &factor) {
  return factor.letters.size() == 2 && factor.letters[0] != factor.letters[1] &&
         isa_and_present<recur::IdentityOp>(factor.value.getDefiningOp());
}

bool rondo::analysis::isOfVectors(const LinearForm &form) {
  return form && llvm::all_of(form.terms, [](const Term &term) {
           return llvm::all_of(term.factors,
                               [](const Factor &factor) { return factor.letters.size() < 2 || isIdentity(factor); });
         });
}

/// More terms than anybody writes; a sum that would make more is one factor.
static constexpr size_t kMostTerms = 16;

/// Whether a sum is taken apart where it is a factor of `terms` others: a matrix that is made of vectors.
static bool isTakenApart(const LinearForm &form, size_t terms) {
  return form && (form.terms.size() == 1 || (isOfVectors(form) && form.terms.size() * terms <= kMostTerms));
}

/// Every term times every one of `factors`; letters that both sum over have been told apart.
static void multiply(LinearForm &form, ArrayRef<Term> factors) {
  SmallVector<Term, 0> products;
  for (const Term &term : form.terms)
    for (const Term &factor : factors) {
      products.push_back(term);
      products.back().scale *= factor.scale;
      products.back().factors.append(factor.factors);
    }
  form.terms = std::move(products);
}

/// A sum over a letter of an identity, which begins behind the `rank` letters of the value, is what else has the letter, by the other one's name.
static void applyIdentities(Term &term, int rank) {
  for (size_t i = 0; i < term.factors.size();) {
    Factor identity = term.factors[i];
    int summed = isIdentity(identity) ? std::max(identity.letters[0], identity.letters[1]) : -1;
    if (summed < rank) {
      ++i;
      continue;
    }
    term.factors.erase(term.factors.begin() + i);
    int kept = std::min(identity.letters[0], identity.letters[1]);
    llvm::replace(term.stateLetters, summed, kept);
    for (Factor &factor : term.factors)
      llvm::replace(factor.letters, summed, kept);
    i = 0; // another identity may have become a diagonal
  }
}

static LinearForm blocked(Operation *op) {
  LinearForm form;
  form.obstacle = op;
  return form;
}

Linearity::Linearity(recur::ScanOp scan, const StateDependence &dependence, ArrayRef<unsigned> states, bool readsNew)
    : scan(scan), dependence(dependence), states(states), readsNew(readsNew) {}

const LinearForm &Linearity::of(Value value) {
  auto found = known.find(value);
  if (found != known.end())
    return found->second;
  LinearForm form = compute(value);
  return known[value] = std::move(form);
}

/// The one number of a real constant.
static std::optional<double> splatNumber(Operation *op) {
  auto constant = dyn_cast_or_null<arith::ConstantOp>(op);
  auto numbers = constant ? dyn_cast<DenseFPElementsAttr>(constant.getValue()) : DenseFPElementsAttr();
  if (!numbers || !numbers.isSplat())
    return std::nullopt;
  return numbers.getSplatValue<APFloat>().convertToDouble();
}

LinearForm Linearity::repeated(recur::BroadcastOp op) {
  SmallVector<int> rename;
  int rank = rankOf(op.getResult());
  for (int axis = 0; axis < rank; ++axis)
    if (!llvm::is_contained(op.getDims(), axis))
      rename.push_back(axis);
  const LinearForm &form = of(op.getOperand());
  return form ? renamed(form, rename, rank) : form;
}

/// Whether all elements of a number or vector are one number, by the way it is computed.
static bool isUniform(Value value) {
  if (rankOf(value) == 0)
    return true;
  Operation *op = value.getDefiningOp();
  if (splatNumber(op))
    return true;
  if (auto broadcast = dyn_cast_or_null<recur::BroadcastOp>(op))
    return rankOf(broadcast.getOperand()) == 0;
  return isa_and_present<recur::MapOp>(op) && llvm::all_of(op->getOperands(), isUniform);
}

/// A state-free value. Products of several axes are taken apart, so that an outer product shows its two vectors; a value of at most
/// one axis stays whole, unless it is a number along it.
LinearForm Linearity::free(Value value) {
  LinearForm whole;
  Term term;
  term.factors.push_back({value, ownLetters(value), false});
  whole.terms.push_back(term);
  Operation *op = value.getDefiningOp();
  // What is the same along an axis has no letter for it, and a constant of one number is a scale.
  if (auto broadcast = dyn_cast_or_null<recur::BroadcastOp>(op))
    return repeated(broadcast);
  if (std::optional<double> number = splatNumber(op)) {
    whole.terms.front().factors.clear();
    whole.terms.front().scale = *number;
    return whole;
  }
  auto elementwise = dyn_cast_or_null<recur::MapOp>(op);
  bool isMultiple = elementwise && (elementwise.getFn() == Fn::Mul || elementwise.getFn() == Fn::Neg) &&
                    rankOf(value) == 1 && isUniform(value);
  if (!op || (rankOf(value) < 2 && !isMultiple))
    return whole;
  if (auto product = dyn_cast<recur::ContractOp>(op))
    return contract(product);
  if (isa<recur::CastOp>(op))
    return of(op->getOperand(0));
  if (!elementwise)
    return whole;
  switch (elementwise.getFn()) {
  case Fn::Neg:
  case Fn::Add:
  case Fn::Sub:
  case Fn::Mul:
  case Fn::Div:
    return map(elementwise);
  default:
    return whole;
  }
}

static LinearForm leaf(Value value, unsigned state, unsigned read) {
  Term term;
  term.state = state;
  term.read = read;
  term.stateLetters = ownLetters(value);
  LinearForm form;
  form.terms.push_back(term);
  return form;
}

Linearity Linearity::between(Value value, unsigned state) const {
  Linearity result(scan, dependence, states, readsNew);
  result.known[value] = leaf(value, state, Term::kBetween);
  return result;
}

LinearForm Linearity::compute(Value value) {
  for (unsigned s : states) {
    for (auto [read, argument] : llvm::enumerate(scan.stateArgs(s)))
      if (argument == value)
        return leaf(value, s, read);
    if (readsNew && scan.yield().getStates()[s] == value)
      return leaf(value, s, Term::kNewValue);
  }
  if (isFree(value))
    return free(value);
  Operation *op = value.getDefiningOp();
  if (auto elementwise = dyn_cast<recur::MapOp>(op))
    return map(elementwise);
  if (auto product = dyn_cast<recur::ContractOp>(op))
    return contract(product);
  if (isa<recur::CastOp>(op))
    return of(op->getOperand(0));
  if (auto broadcast = dyn_cast<recur::BroadcastOp>(op))
    return repeated(broadcast);
  auto reduce = dyn_cast<recur::ReduceOp>(op);
  if (reduce && reduce.getKind() == recur::Reduction::Sum) {
    SmallVector<int> rename;
    int next = 0;
    for (int axis = 0; axis < rankOf(reduce.getOperand()); ++axis)
      rename.push_back(llvm::is_contained(reduce.getDims(), axis) ? -1 : next++);
    const LinearForm &form = of(reduce.getOperand());
    // A term that lacks a summed axis would be counted once, not as often as the axis is long.
    for (const Term &term : form.terms)
      if (llvm::any_of(reduce.getDims(), [&](int64_t axis) { return !hasLetter(term, axis); }))
        return blocked(op);
    if (!form)
      return form;
    LinearForm sum = renamed(form, rename, rankOf(reduce.getOperand()));
    for (Term &term : sum.terms)
      applyIdentities(term, next);
    return sum;
  }
  return blocked(op);
}

/// linear * factor or linear / factor, the factor free of states. An operand of no axes scales the other.
LinearForm Linearity::scaled(Value linear, Value factor, bool reciprocal, Operation *op) {
  const LinearForm left = of(linear);
  if (!left)
    return left;
  LinearForm right;
  if (!reciprocal)
    right = of(factor);
  // A sum of many products is one factor, but for matrices that are made of vectors; multiplying it out would square the number of terms.
  if (reciprocal || !isTakenApart(right, left.terms.size())) {
    right = LinearForm();
    Term whole;
    whole.factors.push_back({factor, ownLetters(factor), reciprocal});
    right.terms.push_back(whole);
  }
  int rank = rankOf(op->getResult(0));
  SmallVector<int> keep;
  for (int axis = 0; axis < rank; ++axis)
    keep.push_back(axis);
  LinearForm result = left;
  multiply(result, renamed(right, keep, firstFresh(left, rank)).terms);
  return result;
}

LinearForm Linearity::map(recur::MapOp op) {
  auto operand = [&](unsigned i) -> Value { return op.getOperands_()[i]; };
  switch (op.getFn()) {
  case Fn::Neg: {
    LinearForm form = of(operand(0));
    for (Term &term : form.terms)
      term.scale = -term.scale;
    return form;
  }
  case Fn::Add:
  case Fn::Sub: {
    LinearForm left = of(operand(0)), right = of(operand(1));
    if (!left || !right)
      return left ? right : left;
    for (Term &term : right.terms)
      term.scale = op.getFn() == Fn::Sub ? -term.scale : term.scale;
    left.terms.append(right.terms);
    return left;
  }
  case Fn::Mul:
    if (isFree(operand(1)))
      return scaled(operand(0), operand(1), false, op);
    if (isFree(operand(0)))
      return scaled(operand(1), operand(0), false, op);
    return blocked(op);
  case Fn::Div:
    return isFree(operand(1)) ? scaled(operand(0), operand(1), true, op) : blocked(op);
  default:
    return blocked(op);
  }
}

LinearForm Linearity::contract(recur::ContractOp op) {
  auto spec = *recur::parseContractSpec(op.getSpec());
  std::string letters = spec.result;
  for (const std::string &operand : spec.operands)
    for (char letter : operand)
      if (letters.find(letter) == std::string::npos)
        letters += letter;
  auto numbersOf = [&](const std::string &text) {
    SmallVector<int, 2> numbers;
    for (char letter : text)
      numbers.push_back(letters.find(letter));
    return numbers;
  };
  std::optional<unsigned> linear;
  for (auto [i, operand] : llvm::enumerate(op.getOperands_()))
    if (!isFree(operand)) {
      if (linear)
        return blocked(op);
      linear = i;
    }
  LinearForm result;
  result.terms.push_back(Term());
  if (linear) {
    const LinearForm &form = of(op.getOperands_()[*linear]);
    if (!form)
      return form;
    result = renamed(form, numbersOf(spec.operands[*linear]), letters.size());
    // As for a sum: a letter that is summed over must be left in every term, or in another operand.
    for (auto [axis, letter] : llvm::enumerate(spec.operands[*linear])) {
      bool elsewhere = spec.result.find(letter) != std::string::npos;
      for (auto [i, other] : llvm::enumerate(spec.operands))
        elsewhere |= i != *linear && other.find(letter) != std::string::npos;
      if (!elsewhere && llvm::any_of(form.terms, [&, axis = axis](const Term &term) { return !hasLetter(term, axis); }))
        return blocked(op);
    }
  }
  // Products are taken apart, unless a letter that is summed over would be lost: a sum of ones counts them. So those that keep their
  // letters come first.
  auto apart = [&](unsigned i) {
    return renamed(of(op.getOperands_()[i]), numbersOf(spec.operands[i]), firstFresh(result, letters.size()));
  };
  auto asWhole = [&](unsigned i) {
    Term whole;
    whole.factors.push_back({op.getOperands_()[i], numbersOf(spec.operands[i]), false});
    multiply(result, whole);
  };
  SmallVector<unsigned> losing;
  for (unsigned i = 0; i < spec.operands.size(); ++i) {
    if (i == linear)
      continue;
    if (!isTakenApart(of(op.getOperands_()[i]), result.terms.size())) {
      asWhole(i);
      continue;
    }
    LinearForm form = apart(i);
    bool keeps = llvm::all_of(numbersOf(spec.operands[i]), [&](int letter) {
      return llvm::all_of(form.terms, [&](const Term &term) { return hasLetter(term, letter); });
    });
    if (keeps)
      multiply(result, form.terms);
    else if (form.terms.size() == 1)
      losing.push_back(i);
    else
      asWhole(i);
  }
  for (unsigned i : losing) {
    LinearForm form = apart(i);
    bool keeps = llvm::all_of(numbersOf(spec.operands[i]), [&](int letter) {
      return letter < static_cast<int>(spec.result.size()) || hasLetter(form.terms.front(), letter) ||
             llvm::all_of(result.terms, [&](const Term &term) { return hasLetter(term, letter); });
    });
    if (keeps)
      multiply(result, form.terms);
    else
      asWhole(i);
  }
  for (Term &term : result.terms)
    applyIdentities(term, spec.result.size());
  return result;
}
