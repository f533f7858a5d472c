// See ModelReport.h.
#include "compiler/Driver/ModelReport.h"
#include "compiler/Analysis/Families.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace rondo;

static std::string shapeText(Type type) {
  std::string text = "[";
  for (StringAttr name : recur::dimsOf(type).getNames())
    text += (text.size() > 1 ? ", " : "") + name.str();
  text += "]";
  bool complex = isa<ComplexType>(cast<RankedTensorType>(type).getElementType());
  return complex ? "complex " + text : text;
}

static void reportState(recur::ScanOp scan, unsigned s, ArrayAttr lags, llvm::raw_ostream &out) {
  recur::StateAttr state = scan.state(s);
  out << "    " << state.getName().getValue() << ": " << shapeText(scan.yield().getStates()[s].getType());
  for (DenseI64ArrayAttr read : state.getReads()) {
    out << (read == state.getReads().front() ? ", read " : " and ");
    for (auto [i, distance] : llvm::enumerate(read.asArrayRef())) {
      out << (i ? "," : "");
      if (distance < 0 && lags)
        out << cast<StringAttr>(lags[-1 - distance]).getValue();
      else
        out << distance;
    }
  }
  out << " back\n";
}

/// "tanh at 12:10": an operation and its place in the spec.
static std::string describe(Operation *op) {
  std::string text = op->getName().stripDialect().str();
  if (auto map = dyn_cast<recur::MapOp>(op))
    text = recur::stringifyFn(map.getFn()).str();
  op->getLoc()->walk([&](Location part) {
    auto place = dyn_cast<FileLineColLoc>(part);
    if (!place)
      return WalkResult::advance();
    text += " at " + std::to_string(place.getLine()) + ":" + std::to_string(place.getColumn());
    return WalkResult::interrupt();
  });
  return text;
}

static void reportStratum(recur::ScanOp scan, const analysis::StratumFacts &facts, llvm::raw_ostream &out) {
  using analysis::Family;
  out << "    ";
  for (unsigned s : facts.stratum.states)
    out << (s == facts.stratum.states.front() ? "" : ", ") << scan.state(s).getName().getValue();
  out << " is " << (facts.isComplex ? "complex " : "") << nameOf(facts.family);
  bool isMatrix = facts.family == Family::Expand || facts.family == Family::Delta;
  if (isMatrix)
    out << ", decay " << nameOf(facts.decay);
  if (isMatrix && facts.inputRank)
    out << ", " << facts.inputRank << " outer product" << (facts.inputRank > 1 ? "s" : "") << " in";
  if (facts.family == Family::Delta)
    out << ", transition of rank " << facts.transitionRank;
  if (facts.isTimeInvariant && facts.family != Family::Cell)
    out << ", time-invariant";
  if (facts.obstacle)
    out << ": not linear in its states because of " << describe(facts.obstacle);
  if (!facts.missed.empty())
    out << ": " << facts.missed;
  out << "\n";
}

std::string driver::reportModel(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream out(text);
  for (func::FuncOp model : module.getOps<func::FuncOp>()) {
    auto lags = model->getAttrOfType<ArrayAttr>(recur::kLagsAttr);
    unsigned number = 0;
    for (recur::ScanOp scan : model.getOps<recur::ScanOp>()) {
      out << "scan " << number++ << " over";
      for (unsigned axis = 0; axis < scan.numAxes(); ++axis)
        out << " " << scan.axis(axis).getName().getValue() << (scan.axis(axis).getReverse() ? " (reverse)" : "");
      out << ": " << scan.numStates() << (scan.numStates() == 1 ? " state, " : " states, ")
          << std::distance(scan.step()->begin(), scan.step()->end()) - 1 << " operations a step\n";
      for (unsigned s = 0; s < scan.numStates(); ++s)
        reportState(scan, s, lags, out);
      for (const analysis::StratumFacts &facts : analysis::findFamilies(scan))
        reportStratum(scan, facts, out);
      if (scan.numStates() == 0)
        out << "    no state: every step is independent of the others\n";
    }
  }
  out << "forms: step (one step after another)\n";
  return text;
}
