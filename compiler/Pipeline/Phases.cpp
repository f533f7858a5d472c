// The phase table. See Phases.h.
#include "compiler/Pipeline/Phases.h"
#include "compiler/Differentiate/Passes.h"
#include "compiler/Target/CPU/Codegen.h"
#include "compiler/Target/CPU/Passes.h"
#include "compiler/Target/CUDA/Codegen.h"
#include "compiler/Target/CUDA/Passes.h"
#include "compiler/Target/Signature.h"
#include "compiler/Transforms/ExpansionRows.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/Chunk/Chunk.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace rondo;

namespace {

void buildNothing(OpPassManager &, const PhaseOptions &) {}

void buildSimplify(OpPassManager &passes, const PhaseOptions &) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

void buildAddBoundaries(OpPassManager &passes, const PhaseOptions &options) {
  AddBoundariesOptions boundaries;
  boundaries.resets = options.resets;
  boundaries.packed = options.packed;
  passes.addPass(createAddBoundaries(boundaries));
}

void buildBindSizes(OpPassManager &passes, const PhaseOptions &options) {
  BindSizesOptions bind;
  for (const auto &[name, size] : options.dims)
    bind.dims.push_back(name + "=" + std::to_string(size));
  passes.addPass(createBindSizes(bind));
}

void buildDifferentiate(OpPassManager &passes, const PhaseOptions &options) {
  for (int64_t times = 1; times <= options.gradients; ++times) {
    DifferentiateOptions by;
    if (times == options.gradients && !options.gradient)
      by.wrt.assign(options.wrt.begin(), options.wrt.end());
    passes.addPass(createDifferentiate(by));
    buildSimplify(passes, options);
  }
  if (options.tangent) {
    LinearizeOptions along;
    if (!options.gradients)
      along.wrt.assign(options.wrt.begin(), options.wrt.end());
    passes.addPass(createLinearize(along));
    buildSimplify(passes, options);
  }
}

void separateResults(OpPassManager &passes, const PhaseOptions &options) {
  SeparateResultsOptions results;
  results.apartFromReads = !options.types.empty() || options.type == "bf16" || options.type == "f16";
  passes.addPass(createSeparateResults(results));
}

void buildSetPrecision(OpPassManager &passes, const PhaseOptions &options) {
  SetPrecisionOptions precision;
  precision.type = options.type;
  for (const auto &[name, type] : options.types)
    precision.types.push_back(name + "=" + type);
  separateResults(passes, options); // first, since equal results may be stored as different types
  passes.addPass(createSetPrecision(precision));
}

void buildHoist(OpPassManager &passes, const PhaseOptions &) { passes.addPass(createHoistParallel()); }

void buildRaise(OpPassManager &passes, const PhaseOptions &) {
  passes.addPass(createRaiseScans());
  passes.addPass(createCSEPass());
}

void buildRaiseAll(OpPassManager &passes, const PhaseOptions &options) {
  buildRaise(passes, options);
  passes.addPass(createRaiseCells());
}

/// What is asked of plans is asked of the scans that get kernels.
std::string planOf(const PhaseOptions &options) { return options.plansBack() ? "" : options.plan; }

ChoosePlansOptions plansOf(const PhaseOptions &options) {
  ChoosePlansOptions plans;
  // What goes back by other scans than it came has no form of its own before that.
  plans.form = options.plansBack() ? "step" : options.form;
  plans.schedule = options.schedule;
  plans.segments = options.threads;
  plans.chunk = options.chunk;
  plans.plan = planOf(options);
  plans.interval = options.interval;
  plans.gradient = options.gradient;
  return plans;
}

void buildPlan(OpPassManager &passes, const PhaseOptions &options) {
  ChoosePlansOptions plans = plansOf(options);
  plans.measured = true;
  passes.addPass(createChoosePlans(plans));
}

void buildForm(OpPassManager &passes, int64_t rows) {
  FormChunksOptions forms;
  forms.rows = rows;
  passes.addPass(createFormChunks(forms));
  passes.addPass(createLowerRaised());
  passes.addPass(createCanonicalizerPass()); // what a form needs not of a step goes
  passes.addPass(createCSEPass());
  passes.addPass(createSeparateResults(SeparateResultsOptions())); // equal copies have become one
}

void buildForm(OpPassManager &passes, const PhaseOptions &) { buildForm(passes, 0); }
void buildFormCpu(OpPassManager &passes, const PhaseOptions &options) {
  buildForm(passes, options.gradient ? 0 : kMostRows); // what goes back goes by the operations along a chunk
}

void buildPlanCpu(OpPassManager &passes, const PhaseOptions &options) {
  buildPlan(passes, options);
  cpu::ChooseScheduleOptions schedules;
  schedules.form = options.form;
  schedules.plan = options.plan;
  // Not where another schedule is asked of all, nor of what is differentiated later.
  schedules.threads = options.schedule == "auto" && !options.gradient ? options.threads : 1;
  passes.addPass(cpu::createChooseSchedule(schedules));
}

/// `isBack`: of a gradient's scans, whose products of warpgroups have not been measured.
void buildPlanCuda(OpPassManager &passes, const PhaseOptions &options, bool isBack) {
  passes.addPass(createChoosePlans(plansOf(options)));
  cuda::ChooseTilesOptions tiles;
  tiles.form = options.form;
  tiles.gradient = options.gradient;
  tiles.chunk = options.chunk;
  tiles.plan = planOf(options);
  tiles.arch = options.arch;
  tiles.warpgroups = !isBack || options.half == "there";
  passes.addPass(cuda::createChooseTiles(tiles));
}

void buildPlanCuda(OpPassManager &passes, const PhaseOptions &options) {
  buildPlanCuda(passes, options, /*isBack=*/false);
}

/// Of what one kernel hands to another on a GPU.
void narrowOperands(OpPassManager &passes, const PhaseOptions &options) {
  if (options.backBySteps && options.form != "step")
    passes.addNestedPass<func::FuncOp>(cuda::createNarrowOperands());
}

/// The way back: chunks go by chunks; what goes by steps has its forms found anew.
void buildWayBack(OpPassManager &passes, const PhaseOptions &options) {
  if (!options.gradient)
    return;
  DifferentiateOptions by;
  by.wrt.assign(options.wrt.begin(), options.wrt.end());
  by.steps = options.backBySteps;
  by.again = !options.backBySteps;
  by.interval = options.interval;
  by.results = !options.half.empty();
  if (options.backBySteps && options.form != "step")
    buildRaise(passes, options);
  passes.addPass(createDifferentiate(by));
  buildSimplify(passes, options);
  if (by.results)
    passes.addNestedPass<func::FuncOp>(createMergeRecurrences());
  if (options.backBySteps) // element types stay as they are, and kernels read results
    passes.addPass(createSeparateResults(SeparateResultsOptions()));
  else
    separateResults(passes, options);
  buildHoist(passes, options);
  if (options.backBySteps && options.form != "step")
    passes.addNestedPass<func::FuncOp>(cuda::createThinScans());
  buildRaise(passes, options);
  if (by.results) { // raised scans show what is the same of two that were written differently
    passes.addNestedPass<func::FuncOp>(createMergeRecurrences());
    buildRaise(passes, options);
  }
}

void buildPlanBack(OpPassManager &passes, const PhaseOptions &options) {
  if (!options.gradient)
    return;
  PhaseOptions again = options;
  again.backBySteps = false;
  again.gradient = false;
  if (again.form != "step")
    again.form = "auto"; // what was asked for holds for the model, and need not be there on the way back
  again.schedule = "auto";
  if (!options.backBySteps)
    again.plan.clear(); // nor this, which the model's scans follow
  if (options.backBySteps)
    buildPlanCuda(passes, again, /*isBack=*/true);
  else
    buildPlan(passes, again);
}

void buildGradient(OpPassManager &passes, const PhaseOptions &options) {
  if (options.gradient)
    buildForm(passes, 0);
  narrowOperands(passes, options);
  if (options.gradient && !options.half.empty())
    passes.addNestedPass<func::FuncOp>(createTakeHalf({options.half}));
}

/// More blocks would repeat more of what they have in common than they gain.
constexpr int64_t kMostSplits = 4;

void buildLowerScan(OpPassManager &passes, const PhaseOptions &options) {
  cpu::LowerScanOptions lower;
  lower.vectorBits = options.vectorBits;
  lower.splits = std::clamp<int64_t>(options.threads, 1, kMostSplits);
  passes.addPass(cpu::createLowerScan(lower));
  passes.addPass(createCSEPass());
}

void buildExpandMath(OpPassManager &passes, const PhaseOptions &) {
  passes.addNestedPass<func::FuncOp>(createExpandMath());
  passes.addPass(createCSEPass());
}

void buildToLLVM(OpPassManager &passes, const PhaseOptions &) { cpu::buildToLLVM(passes); }

void buildLowerScanCuda(OpPassManager &passes, const PhaseOptions &options) {
  cuda::LowerScanCudaOptions lower;
  lower.arch = options.arch;
  lower.form = options.form;
  passes.addPass(cuda::createLowerScanCuda(lower));
  passes.addPass(createCSEPass());
}

void buildExpandMathCuda(OpPassManager &passes, const PhaseOptions &options) {
  passes.addNestedPass<func::FuncOp>(cuda::createExpandTrig());
  buildExpandMath(passes, options);
}

void buildToLLVMCuda(OpPassManager &passes, const PhaseOptions &) { cuda::buildToLLVM(passes); }

/// Fails at the first operation for which `isWrong` holds, saying that it should be gone after the phase.
LogicalResult expectNone(ModuleOp module, const char *phase, function_ref<bool(Operation *)> isWrong) {
  WalkResult walk = module.walk([&](Operation *op) {
    if (!isWrong(op))
      return WalkResult::advance();
    op->emitError("'") << op->getName() << "' is left after phase " << phase;
    return WalkResult::interrupt();
  });
  return failure(walk.wasInterrupted());
}

bool isRecur(Operation *op) { return isa_and_nonnull<recur::RecurDialect, chunk::ChunkDialect>(op->getDialect()); }

LogicalResult verifyRecur(ModuleOp module) {
  return expectNone(module, "import", [](Operation *op) {
    return !isRecur(op) && !isa<ModuleOp, func::FuncOp, func::ReturnOp, arith::ConstantOp>(op);
  });
}

LogicalResult verifyBound(ModuleOp module) {
  if (failed(verifyRecur(module)))
    return failure();
  return expectNone(module, "bind-sizes", [](Operation *op) {
    return op->getParentOfType<recur::ScanInterface>() && llvm::any_of(op->getResultTypes(), [](Type type) {
             auto array = dyn_cast<RankedTensorType>(type);
             return array && !array.hasStaticShape();
           });
  });
}

LogicalResult verifyFormed(ModuleOp module) {
  return expectNone(module, "form", [](Operation *op) {
    return isa<recur::LinearScanOp, recur::ExpandScanOp, recur::DeltaScanOp, recur::CellScanOp>(op);
  });
}

LogicalResult verifyLowered(ModuleOp module) {
  if (!module->hasAttr(kProgramAttr))
    return module.emitError("no program is described after phase lower-scan");
  return expectNone(module, "lower-scan", isRecur);
}

LogicalResult verifyExpanded(ModuleOp module) {
  return expectNone(module, "expand-math", [](Operation *op) {
    return isa<math::ExpOp, math::ExpM1Op, math::LogOp, math::Log1pOp, math::TanhOp>(op);
  });
}

LogicalResult verifyLLVM(ModuleOp module) {
  return expectNone(module, "to-llvm", [](Operation *op) {
    return !isa<ModuleOp>(op) && !isa_and_nonnull<LLVM::LLVMDialect, NVVM::NVVMDialect>(op->getDialect());
  });
}

const Phase kPhases[] = {
    {"recur", "the importer's recur.scan, sizes by name and real numbers as f64", buildNothing, verifyRecur},
    {"simplify", "canonical form: identities folded, equal values computed once", buildSimplify, verifyRecur},
    {"add-boundaries", "resets and packed sequences, where they are asked for", buildAddBoundaries, verifyRecur},
    {"bind-sizes", "every named dimension has its size", buildBindSizes, verifyBound},
    {"differentiate", "gradients of gradients: all but the last; derivatives along a direction", buildDifferentiate,
     verifyBound},
    {"set-precision", "element types of storage and of computation", buildSetPrecision, verifyBound},
    {"hoist-parallel", "what waits for no state leaves the recurrence", buildHoist, verifyBound},
    {"raise", "scans as the tightest op that analysis finds", buildRaiseAll, verifyBound},
    {"plan", "each raised scan has a form, a schedule and a size of its chunks", buildPlanCpu, verifyBound},
    {"form", "scans that take steps, or chunks of them", buildFormCpu, verifyFormed},
    {"way-back", "the gradient in place of the model, where one is asked for; its scans are raised", buildWayBack,
     verifyBound},
    {"plan-back", "each scan that was raised there has a plan", buildPlanBack, verifyBound},
    {"gradient", "and takes steps, or chunks of them", buildGradient, verifyFormed},
    {"lower-scan", "scans as kernels: loops over tasks, steps and vectors", buildLowerScan, verifyLowered},
    {"expand-math", "elementary functions as polynomials", buildExpandMath, verifyExpanded},
    {"to-llvm", "the LLVM dialect", buildToLLVM, verifyLLVM},
};

/// Number of phases before targets part.
constexpr size_t kShared = 13;

const Phase kCudaPhases[] = {
    {"lower-scan", "scans as kernels: blocks over tasks, threads over the elements of a step", buildLowerScanCuda,
     verifyLowered},
    {"expand-math", "elementary functions as polynomials", buildExpandMathCuda, verifyExpanded},
    {"to-llvm", "the LLVM dialect", buildToLLVMCuda, verifyLLVM},
};

} // namespace

ArrayRef<Phase> rondo::cpuPhases() { return kPhases; }

ArrayRef<Phase> rondo::cudaPhases() {
  static const std::vector<Phase> all = [] {
    std::vector<Phase> phases(kPhases, kPhases + kShared);
    for (Phase &phase : phases)
      if (phase.name == StringRef("plan")) // sizes of chunks are a kernel's
        phase.build = buildPlanCuda;
      else if (phase.name == StringRef("form"))
        phase.build = buildForm;
    phases.insert(phases.end(), std::begin(kCudaPhases), std::end(kCudaPhases));
    return phases;
  }();
  return all;
}

LogicalResult rondo::runPhase(const Phase &phase, ModuleOp module, const PhaseOptions &options) {
  PassManager passes(module->getContext());
  passes.enableVerifier(false); // the phase's own check follows, and the module is verified once there
  phase.build(passes, options);
  if (failed(passes.run(module)) || failed(mlir::verify(module)))
    return failure();
  return phase.verify(module);
}
