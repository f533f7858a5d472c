// Which expansions go back as scans of one matrix state each. See ExpansionAdjoint.h.
#include "compiler/Differentiate/ExpansionAdjoint.h"
#include "compiler/Differentiate/LogDecay.h"
#include "compiler/Transforms/ExpansionChunk.h"

using namespace mlir;
using namespace rondo;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

DenseSet<Value> rondo::activeValues(const Expansion &of, const WantedCotangents &wanted) {
  DenseSet<Value> active;
  for (Region *region : {of.coefficients, of.readout}) {
    for (auto [argument, wants] :
         llvm::zip(region->getArguments(), llvm::concat<const bool>(wanted.inputs, wanted.params)))
      if (wants)
        active.insert(argument);
    for (Operation &op : region->front().without_terminator())
      if (llvm::any_of(op.getOperands(), [&](Value value) { return active.contains(value); }))
        active.insert(op.getResult(0));
  }
  return active;
}

bool rondo::isStoredNarrow(Value tensor) {
  Type element = typeOf(tensor).getElementType();
  return element.isBF16() || element.isF16();
}

std::string rondo::noExpansionAdjoint(const Expansion &of, const WantedCotangents &wanted) {
  recur::ScanInterface scan = of.scan;
  if (scan.getResets() || scan.getOffsets())
    return "sequences begin inside the time axis";
  if (llvm::none_of(scan.getInputs(), isStoredNarrow))
    return "its tensors are not stored in 16 bits";
  for (auto [s, init] : llvm::enumerate(scan.getInits()))
    if (size_t axes = recur::dimsOf(init.getType()).getNames().size();
        axes < 1 || axes > 2 || !typeOf(init).getElementType().isF32())
      return "state '" + scan.state(s).getName().str() + "' is no matrix or vector of real numbers in f32";
  if (llvm::none_of(scan.getInits(), [](Value init) { return recur::dimsOf(init.getType()).getNames().size() == 2; }))
    return "no state is a matrix";
  if (!of.transitions.empty()) {
    if (std::string why = noChunkForm(of); !why.empty())
      return why;
    for (int64_t s : of.transitions)
      if (of.moves(s) > 1)
        return "a transition is a product of several";
    for (recur::DecayAttr decay : of.decays)
      if (llvm::is_contained(of.transitions, decay.getState()) && !decay.getAxes().empty() &&
          decay.getAxes()[0] != of.keyAxes[decay.getState()])
        return "a state has a transition along one axis and a decay along the other";
  }
  DenseSet<Value> active = activeValues(of, wanted);
  analysis::Ranges ranges;
  for (auto [value, decay] : llvm::zip(of.given().getDecays(), of.decays)) {
    if (!active.contains(value))
      continue;
    SmallVector<LogTerm> terms;
    if (decay.getAxes().size() > 1)
      return "a decay varies elementwise";
    if (!findLogTerms(value, 1, [&](Value x) { return active.contains(x); }, ranges, terms))
      return "a decay is no exponential, and may be near 0";
    for (recur::DecayAttr other : of.decays)
      if (other.getState() == decay.getState() && !other.getAxes().empty() &&
          other.getAxes()[0] != (decay.getAxes().empty() ? of.keyAxes[decay.getState()] : decay.getAxes()[0]))
        return "a state decays along both of its axes";
    for (recur::ReadoutAttr readout : of.readouts)
      if (readout.getState() == decay.getState() && !decay.getAxes().empty() && decay.getAxes()[0] != readout.getAxis())
        return "a state decays along the axis that its readout keeps";
  }
  return "";
}
