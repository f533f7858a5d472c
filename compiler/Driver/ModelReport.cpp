// See ModelReport.h.
#include "compiler/Driver/ModelReport.h"
#include "compiler/Analysis/Families.h"
#include "compiler/Target/CUDA/ScanPlan.h"
#include "compiler/Target/CUDA/TileSpace.h"
#include "compiler/Transforms/AskedPlans.h"
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/Passes.h"
#include "compiler/Transforms/PlanSpace.h"
#include "compiler/Transforms/ScanForms.h"
#include "dialects/Chunk/Chunk.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "mlir/Pass/PassManager.h"
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

/// " at 12:10": a place in the spec; nothing where it is unknown.
static std::string placeOf(Location location) {
  std::string text;
  location->walk([&](Location part) {
    auto place = dyn_cast<FileLineColLoc>(part);
    if (!place)
      return WalkResult::advance();
    text = " at " + std::to_string(place.getLine()) + ":" + std::to_string(place.getColumn());
    return WalkResult::interrupt();
  });
  return text;
}

/// "tanh at 12:10": an operation and its place in the spec.
static std::string describe(Operation *op) {
  auto map = dyn_cast<recur::MapOp>(op);
  return (map ? recur::stringifyFn(map.getFn()).str() : op->getName().stripDialect().str()) + placeOf(op->getLoc());
}

/// "complex expand, decay scalar, 1 outer product in".
static std::string familyText(const analysis::StratumFacts &facts) {
  using analysis::Family;
  std::string text;
  llvm::raw_string_ostream out(text);
  out << (facts.isComplex ? "complex " : "") << nameOf(facts.family);
  bool isMatrix = facts.family == Family::Expand || facts.family == Family::Delta;
  if (isMatrix)
    out << ", decay " << nameOf(facts.decay);
  if (facts.moves > 1)
    out << ", a product of " << facts.moves << " transitions of rank 1";
  else if (isMatrix && facts.inputRank)
    out << ", " << facts.inputRank << " outer product" << (facts.inputRank > 1 ? "s" : "") << " in";
  if (facts.family == Family::Delta && facts.moves == 1)
    out << ", transition of rank " << facts.transitionRank;
  if (facts.isTimeInvariant && facts.family != Family::Cell)
    out << ", time-invariant";
  return text;
}

static std::string stateNames(recur::ScanInterface scan, ArrayRef<unsigned> states) {
  std::string text;
  for (unsigned s : states)
    text += (text.empty() ? "" : ", ") + scan.state(s).getName().str();
  return text;
}

static void reportStratum(recur::ScanOp scan, const analysis::StratumFacts &facts, driver::Findings &findings,
                          llvm::raw_ostream &out) {
  std::string names = stateNames(scan, facts.stratum.states), family = familyText(facts);
  findings.families.push_back(names + ": " + family);
  out << "    " << names << " is " << family;
  if (facts.obstacle)
    out << ": not linear in its states because of " << describe(facts.obstacle);
  if (!facts.missed.empty())
    out << ": " << facts.missed;
  out << "\n";
}

static std::string allNames(recur::ScanInterface scan) {
  return stateNames(scan, llvm::to_vector(llvm::seq<unsigned>(0, scan.numStates())));
}

/// "2 recurrent products, ab,b->a of parameter 0, ...".
static std::string productsOf(recur::CellScanOp cell) {
  std::string text = std::to_string(cell.getProducts().size()) + " recurrent product";
  text += cell.getProducts().size() > 1 ? "s:" : ":";
  for (unsigned p = 0; p < cell.getProducts().size(); ++p)
    text += (p ? ", " : " ") + cell.product(p).getSpec().str() + " of parameter " +
            std::to_string(cell.product(p).getParam());
  return text;
}

/// The raised scans with their forms.
static void reportRaised(ModuleOp raised, driver::Forms &forms, llvm::raw_ostream &out) {
  bool anyScan = false, anyChunk = false, anySegments = false;
  raised.walk([&](Operation *op) {
    if (auto cell = dyn_cast<recur::CellScanOp>(op))
      out << "    cell_scan of " << allNames(cast<recur::ScanInterface>(op)) << ": forms step; " << productsOf(cell)
          << "\n";
    if (!hasForms(op))
      return;
    auto scan = cast<recur::ScanInterface>(op);
    out << "    " << op->getName().stripDialect() << " of " << allNames(scan);
    MissingForms missing = missingForms(op);
    bool scans = missing.scan.empty(), chunks = missing.chunk.empty();
    anyScan |= scans;
    anyChunk |= chunks;
    anySegments |= missing.segments.empty();
    out << ": forms step" << (scans ? ", scan" : "") << (chunks ? ", chunk, attention" : "");
    if (!chunks)
      out << "; no chunk form: " << missing.chunk;
    if (!missing.segments.empty())
      out << "; no segments: " << missing.segments;
    out << "\n";
  });
  forms = {{"step"}, {"carry"}};
  if (anyScan)
    forms.forms.push_back("scan");
  if (anyChunk)
    forms.forms.insert(forms.forms.end(), {"chunk", "attention"});
  if (anySegments)
    forms.schedules.push_back("segment");
}

static void reportForms(ModuleOp module, driver::Findings &findings, llvm::raw_ostream &out) {
  OwningOpRef<ModuleOp> copy = module.clone();
  std::vector<std::string> misses;
  // Why a scan is not raised is a remark on it, and what is to blame a note.
  ScopedDiagnosticHandler handler(module.getContext(), [&](mlir::Diagnostic &diagnostic) {
    std::string text = diagnostic.str();
    for (mlir::Diagnostic &note : diagnostic.getNotes())
      if (note.str() == "because of this")
        text += placeOf(note.getLocation());
    misses.push_back(text);
    return success();
  });
  PassManager passes(module.getContext());
  passes.addPass(createRaiseScans());
  passes.addPass(createRaiseCells());
  if (failed(passes.run(*copy)))
    return;
  out << "raised\n";
  reportRaised(*copy, findings.forms, out);
  for (const std::string &miss : misses)
    out << "    " << miss << "\n";
}

driver::Findings driver::reportModel(ModuleOp module) {
  Findings findings;
  llvm::raw_string_ostream out(findings.text);
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
        reportStratum(scan, facts, findings, out);
      if (scan.numStates() == 0)
        out << "    no state: every step is independent of the others\n";
    }
  }
  reportForms(module, findings, out);
  return findings;
}

driver::Forms driver::formsOf(ModuleOp raised) {
  Forms forms;
  std::string unread;
  llvm::raw_string_ostream out(unread);
  reportRaised(raised, forms, out);
  return forms;
}

std::vector<std::string> driver::plansOf(ModuleOp module, bool gradient) {
  std::vector<std::string> plans;
  module.walk([&](recur::ScanInterface scan) {
    auto plan = scan->getAttrOfType<chunk::PlanAttr>(kPlanAttr);
    if (!plan)
      return;
    std::string text = allNames(scan) + ": " + chunk::stringifyForm(plan.getForm()).str();
    if (plan.getChunk() > 1)
      text += " of " + std::to_string(plan.getChunk());
    auto tiles = scan->getAttrOfType<IntegerAttr>(cuda::kScanTilesAttr);
    if (tiles)
      text += ", in tiles of " + std::to_string(tiles.getInt()) + " steps where a call is expected to be faster so";
    else if (plan.getSchedule() == chunk::Schedule::Segment)
      text += plan.getSegments() ? ", in " + std::to_string(plan.getSegments()) + " segments and a first one"
                                 : ", in segments where a call has fewer tasks than threads";
    if (auto why = scan->getAttrOfType<StringAttr>(kScheduleBecauseAttr))
      text += ": " + why.str();
    if (auto why = scan->getAttrOfType<StringAttr>(kStepsBecauseAttr))
      text += "; " + why.str();
    if (plan.getValueTile()) {
      text += ", on matrix instructions: " + std::to_string(plan.getValueTile()) + " columns and " +
              std::to_string(plan.getWarps()) + " warps a block, " + std::to_string(plan.getStages()) + " stages";
      text += plan.getAhead() ? ", scores ahead" : "";
      text += plan.getWarpgroups() ? ", products of warpgroups" : "";
      text += plan.getSegments() == 0   ? ", segments by the call"
              : plan.getSegments() == 1 ? ", no segments"
                                        : ", segments";
    }
    if (plan.getChunk() > 1 && gradient)
      text +=
          ", for the gradient a state kept every " + std::to_string(plan.getChunk() * plan.getInterval()) + " steps";
    plans.push_back(text);
  });
  return plans;
}

std::vector<std::string> driver::planTextsOf(ModuleOp module) {
  std::vector<std::string> texts;
  module.walk([&](recur::ScanInterface scan) {
    auto plan = scan->getAttrOfType<chunk::PlanAttr>(kPlanAttr);
    if (plan && scan.numStates() > 0)
      texts.push_back(planName(scan) + ": " + planText(plan));
  });
  return texts;
}

std::vector<driver::PlanChoices> driver::choicesOf(ModuleOp raised, bool gradient) {
  std::vector<PlanChoices> all;
  raised.walk([&](Operation *op) {
    if (!hasForms(op))
      return;
    auto scan = cast<recur::ScanInterface>(op);
    PlanChoices choices{planName(scan), {}};
    for (const PlanCost &each : planSpace(op, gradient))
      choices.choices.push_back({planText(each.plan), each.cost, {each.terms.begin(), each.terms.end()}});
    all.push_back(std::move(choices));
  });
  return all;
}

std::vector<driver::PlanChoices> driver::cudaChoicesOf(ModuleOp raised, StringRef arch) {
  std::vector<PlanChoices> all;
  FailureOr<std::vector<std::vector<cuda::TileCandidate>>> space = cuda::tileSpace(raised, arch);
  if (failed(space))
    return all;
  raised.walk([&](Operation *op) {
    if (!hasForms(op))
      return;
    PlanChoices choices{planName(cast<recur::ScanInterface>(op)), {}};
    for (const cuda::TileCandidate &each : (*space)[all.size()])
      choices.choices.push_back({planText(each.plan), each.cost, {}});
    all.push_back(std::move(choices));
  });
  return all;
}
