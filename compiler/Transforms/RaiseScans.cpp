// raise-scans: a recur.scan becomes the tightest op whose structure its equations have. Which families are tried in which order, and
// how a scan of several strata is taken apart, is decided here; RaiseExpansion.cpp and RaiseLinear.cpp make the ops.
#include "compiler/Transforms/RaiseScans.h"
#include "compiler/Analysis/Families.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/SplitStrata.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace rondo {
#define GEN_PASS_DEF_RAISESCANS
#include "compiler/Transforms/Passes.h.inc"
} // namespace rondo

using namespace mlir;
using namespace rondo;
using namespace rondo::analysis;

Block *rondo::sharedBlock(Region &region, recur::ScanOp scan) {
  Block *block = &region.emplaceBlock();
  size_t shared = scan.getInputs().size() + scan.getParams().size();
  for (BlockArgument argument : scan.step()->getArguments().take_front(shared))
    block->addArgument(argument.getType(), argument.getLoc());
  return block;
}

SmallVector<unsigned> rondo::allStates(recur::ScanOp scan) {
  return llvm::to_vector(llvm::seq<unsigned>(0, scan.numStates()));
}

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The scans that can be raised at all; otherwise why not.
std::string outOfReach(recur::ScanOp scan) {
  if (scan.numStates() == 0)
    return "it has no state";
  if (scan.numAxes() != 1)
    return "it scans " + std::to_string(scan.numAxes()) + " axes";
  for (unsigned s = 0; s < scan.numStates(); ++s)
    if (scan.state(s).getReads().size() != 1 || scan.state(s).getReads()[0].asArrayRef() != ArrayRef<int64_t>{1})
      return "state '" + scan.state(s).getName().str() + "' is not read one step back alone";
  return "";
}

bool raiseSplit(recur::ScanOp scan);

/// Raises `scan` if it can be raised; why not as an expansion, otherwise.
Miss raise(recur::ScanOp scan) {
  if (std::string why = outOfReach(scan); !why.empty())
    return raiseSplit(scan) ? Miss() : Miss{why};
  StateDependence dependence(scan);
  for (recur::Semiring semiring : {recur::Semiring::MaxPlus, recur::Semiring::LogPlus})
    if (raiseLinear(scan, dependence, semiring).why.empty())
      return {};
  Miss expansion = raiseExpansion(scan, dependence);
  if (expansion.why.empty() || raiseSplit(scan) ||
      raiseLinear(scan, dependence, recur::Semiring::PlusTimes).why.empty())
    return {};
  return expansion;
}

void raiseOrRemark(recur::ScanOp scan) {
  Miss miss = raise(scan);
  if (miss.why.empty())
    return;
  InFlightDiagnostic remark = scan.emitRemark("raise-scans declines: ") << miss.why;
  if (miss.obstacle)
    remark.attachNote(miss.obstacle->getLoc()) << "because of this";
}

//===--- scans of several strata ------------------------------------------------------------------------------------===//

/// Puts strata into groups that may each become one op: matrix states that take in outer products, with what reads like them,
/// and everything else. A stratum comes after all that it reads.
StateGroups groupStrata(recur::ScanOp scan, const StateDependence &dependence, ArrayRef<StratumFacts> strata,
                        bool vectorsJoin, bool together) {
  StateGroups groups;
  SmallVector<bool> expands;
  for (const StratumFacts &facts : strata) {
    bool vector = facts.family == Family::Linear && vectorsJoin && llvm::all_of(facts.stratum.states, [&](unsigned s) {
                    return typeOf(scan.yield().getStates()[s]).getRank() == 1;
                  });
    bool expand = facts.family == Family::Expand || facts.family == Family::Delta || vector;
    size_t first = 0;
    for (size_t g = 0; g < groups.size(); ++g)
      if (llvm::any_of(facts.stratum.states,
                       [&](unsigned s) { return dependence.dependsOnAny(scan.yield().getStates()[s], groups[g]); }))
        first = g + (expand || expands[g]);
    size_t g = first;
    while (g < groups.size() && (expands[g] != expand || (expand && !together)))
      ++g;
    if (g == groups.size()) {
      groups.emplace_back();
      expands.push_back(expand);
    }
    llvm::append_range(groups[g], facts.stratum.states);
  }
  return groups;
}

/// Splits `scan` into groups of strata, if each group of matrix states can then be raised.
bool raiseSplit(recur::ScanOp scan) {
  SmallVector<StratumFacts> strata = findFamilies(scan);
  bool anyMatrix = llvm::any_of(strata, [](const StratumFacts &facts) {
    return facts.family == Family::Expand || facts.family == Family::Delta;
  });
  if (strata.size() < 2 || !anyMatrix || scan.numAxes() != 1)
    return false;
  StateDependence dependence(scan);
  for (auto [vectorsJoin, together] : {std::pair(true, true), {false, true}, {true, false}, {false, false}}) {
    StateGroups groups = groupStrata(scan, dependence, strata, vectorsJoin, together);
    std::optional<SplitScans> split =
        groups.size() > 1 ? splitScan(scan, dependence, groups) : std::optional<SplitScans>();
    if (!split)
      continue;
    bool good = llvm::all_of(llvm::zip(split->scans, groups), [&](auto pair) {
      auto &[part, states] = pair;
      bool matrix = llvm::any_of(strata, [&, &states = states](const StratumFacts &facts) {
        return (facts.family == Family::Expand || facts.family == Family::Delta) &&
               llvm::is_contained(states, facts.stratum.states.front());
      });
      return !matrix || (outOfReach(part).empty() && canExpand(part, StateDependence(part)));
    });
    if (good) {
      scan.replaceAllUsesWith(split->results);
      scan.erase();
      for (recur::ScanOp part : split->scans)
        raiseOrRemark(part);
      return true;
    }
    for (recur::ScanOp part : llvm::reverse(split->scans))
      part.erase();
  }
  return false;
}

//===--- products of matrices that multiply a state -----------------------------------------------------------------===//

/// (A B) S as A (B S), where A and B are made of vectors: multiplied out, a product of transitions would be a sum that cancels.
class Associator {
public:
  explicit Associator(recur::ScanOp scan)
      : scan(scan), dependence(scan), states(allStates(scan)), linearity(scan, dependence, states) {}

  /// Takes one product apart. False where there is none.
  bool next() {
    for (auto op : scan.step()->getOps<recur::ContractOp>()) {
      recur::ContractSpec spec = *recur::parseContractSpec(op.getSpec());
      for (unsigned i = 0; i < 2 && spec.operands.size() == 2; ++i)
        if (dependence.dependsOnAny(op.getOperands_()[1 - i], states) && associate(op, spec, i))
          return true;
    }
    return false;
  }

private:
  bool isPlain(Value matrix) {
    return typeOf(matrix).getRank() == 2 && !dependence.dependsOnAny(matrix, states) &&
           analysis::isOfVectors(linearity.of(matrix));
  }

  /// Operand `i` of `op` is a matrix, of which one letter is summed over with the other operand.
  bool associate(recur::ContractOp op, const recur::ContractSpec &spec, unsigned i) {
    Value other = op.getOperands_()[1 - i];
    auto product = op.getOperands_()[i].getDefiningOp<recur::ContractOp>();
    std::string of = spec.operands[i], with = spec.operands[1 - i];
    if (!product || product.getOperands_().size() != 2 || of.size() != 2 || of[0] == of[1])
      return false;
    recur::ContractSpec inner = *recur::parseContractSpec(product.getSpec());
    Value left = product.getOperands_()[0], right = product.getOperands_()[1];
    bool isProduct = inner.result.size() == 2 &&
                     inner.operands[0] == std::string{inner.result[0], inner.operands[1][0]} &&
                     inner.operands[1] == std::string{inner.operands[1][0], inner.result[1]};
    unsigned summed = spec.result.find(of[1]) == std::string::npos ? 1 : 0;
    size_t at = with.find(of[summed]);
    bool sumsOne =
        spec.result.find(of[summed]) == std::string::npos && spec.result.find(of[1 - summed]) != std::string::npos;
    if (!isProduct || !isPlain(left) || !isPlain(right) || !sumsOne || at == std::string::npos ||
        with.find(of[1 - summed]) != std::string::npos)
      return false;
    Value near = summed ? right : left, far = summed ? left : right;
    if (typeOf(near).getDimSize(0) != typeOf(near).getDimSize(1) ||
        recur::dimsOf(near.getType()).getNames()[0] != recur::dimsOf(near.getType()).getNames()[1])
      return false; // what lies between would not be like the state
    // A letter that nothing has.
    char fresh = 'a';
    while ((of + with + spec.result).find(fresh) != std::string::npos)
      ++fresh;
    std::string nearLetters = summed ? std::string{fresh, of[1]} : std::string{of[0], fresh};
    std::string farLetters = summed ? std::string{of[0], fresh} : std::string{fresh, of[1]};
    std::string between = with;
    between[at] = fresh;
    OpBuilder b(op);
    Value first = recur::ContractOp::create(b, op.getLoc(), other.getType(), nearLetters + "," + with + "->" + between,
                                            ValueRange{near, other});
    Value second = recur::ContractOp::create(b, op.getLoc(), op.getType(),
                                             farLetters + "," + between + "->" + spec.result, ValueRange{far, first});
    op.replaceAllUsesWith(second);
    op.erase();
    if (product->use_empty())
      product.erase();
    return true;
  }

  recur::ScanOp scan;
  StateDependence dependence;
  SmallVector<unsigned> states;
  Linearity linearity;
};

struct RaiseScans : rondo::impl::RaiseScansBase<RaiseScans> {
  using RaiseScansBase::RaiseScansBase;
  void runOnOperation() override {
    SmallVector<recur::ScanOp> scans;
    getOperation().walk([&](recur::ScanOp scan) { scans.push_back(scan); });
    for (recur::ScanOp scan : scans) {
      while (Associator(scan).next()) {
      }
      raiseOrRemark(scan);
    }
  }
};

} // namespace
