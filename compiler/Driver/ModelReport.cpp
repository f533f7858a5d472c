// See ModelReport.h.
#include "compiler/Driver/ModelReport.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
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

/// The states of `scan` that `state`'s update reads, directly or through values of the step.
static SmallVector<unsigned> statesReadBy(recur::ScanOp scan, unsigned state) {
  DenseMap<Value, unsigned> owner;
  for (unsigned s = 0; s < scan.numStates(); ++s)
    for (BlockArgument argument : scan.stateArgs(s))
      owner[argument] = s;
  SmallVector<bool> read(scan.numStates(), false);
  SmallVector<Value> work{scan.yield().getStates()[state]};
  DenseSet<Value> seen;
  while (!work.empty()) {
    Value value = work.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    if (auto found = owner.find(value); found != owner.end())
      read[found->second] = true;
    if (Operation *op = value.getDefiningOp())
      llvm::append_range(work, op->getOperands());
  }
  SmallVector<unsigned> result;
  for (unsigned s = 0; s < read.size(); ++s)
    if (read[s])
      result.push_back(s);
  return result;
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
  out << " back; its update reads";
  SmallVector<unsigned> read = statesReadBy(scan, s);
  for (unsigned other : read)
    out << " " << scan.state(other).getName().getValue();
  out << (read.empty() ? " no state\n" : "\n");
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
      if (scan.numStates() == 0)
        out << "    no state: every step is independent of the others\n";
    }
  }
  out << "forms: step (one step after another)\n";
  return text;
}
