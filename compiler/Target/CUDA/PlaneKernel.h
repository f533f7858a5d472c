// The kernel of an elementwise recurrence of planes (PlanePlan.h). A block has some channels of a row and head, and takes all steps; a thread
// has its part of the states in registers, and what threads share of a step comes by stages to shared memory, as f32.
//
//     for each stage: barrier; its inputs from registers to shared memory; barrier; load the next stage's inputs
//       for each step: rows of inputs, 16 bytes at a time; states; sums over places by shuffles; outputs
//       sums over channels: what threads have of them lies in shared memory; barrier; added up for all steps of the stage
//
// The way back over such a recurrence (PlaneBack.cpp) is in one kernel with what it needs of the way forth: a stage begins with a kept state,
// takes its steps forth, all states in registers, and then back.
#pragma once
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CUDA/KernelArguments.h"
#include "compiler/Target/CUDA/KernelBuilder.h"
#include "compiler/Target/CUDA/PlanePlan.h"
#include "compiler/Target/CUDA/TileLanes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include <functional>
#include <map>

namespace rondo::cuda {

/// Where an argument of a step comes from: one of the kernel's inputs or parameters, or a state.
struct PlaneSource {
  enum Kind { Input, Param, State, History } kind;
  unsigned number = 0;
};

/// A scan's step in a kernel, and what of its outputs the kernel stores: their numbers in the yield, and among the kernel's operands. Sums over
/// channels are numbered from `firstSum` on among those of all legs; of each, a block stores a part.
struct PlaneLeg {
  PlaneFacts *facts = nullptr;
  llvm::SmallVector<unsigned> outputs, operands;
  int64_t firstSum = 0;
};

/// What a kernel does: all steps; or of a segment of time, what it makes of any state, or its steps from the state that it begins with.
enum class PlanePart { Whole, Ends, Within };

/// What a kernel works on: the program's tensors, and what they are to the steps.
struct PlaneCall {
  PlaneLeg forth, back; // back: null facts where there is none
  ScanTensors tensors;
  llvm::DenseMap<mlir::Value, PlaneSource> sources;
  llvm::SmallVector<llvm::SmallVector<int, 2>> inputAxes; // of the inputs that steps read
  /// States at the beginning of each stage, one tensor for each state: outputs of a way forth, inputs of a way back; behind the others.
  bool keepsStates = false;
  PlanePart part = PlanePart::Whole;
  bool mirrored = false; // segments are cut as they are on the way forth over this one's steps
};

/// Bytes of the workspace for a segment of a scan: for each state, what the segment adds, and by what it multiplies.
int64_t segmentBytes(PlaneFacts &facts);
/// From segment to segment, or `fromLast` one to the first, for one state: what each adds becomes what it begins with.
Launch emitPlaneLink(PlaneFacts &facts, unsigned state, bool fromLast, const ScanTensors &of, const Program &program,
                     mlir::ModuleOp module, llvm::StringRef symbol);

class PlaneKernel : ScanOperands, KernelBuilder {
public:
  PlaneKernel(PlaneCall call, PlaneSizes sizes, const Program &program);
  Launch emit(mlir::ModuleOp module, llvm::StringRef symbol);

private:
  using Values = llvm::SmallVector<mlir::Value>;
  using Key = std::vector<int64_t>;
  /// A step: values that are known, and where its states and histories come from. It is step `base` + `plus` of the stage.
  struct Scope {
    PlaneFacts *facts = nullptr;
    std::function<mlir::Value(PlaneSource, size_t)> state; // by element of the thread's
    mlir::Value base;                                      // i32
    int64_t plus = 0;
    Scope *before = nullptr; // the step forth, whose elementary functions are not computed again
    std::map<Key, mlir::Value> known;
    std::map<unsigned, Values> rows; // of inputs
  };
  struct Staged {
    unsigned input = 0;
    llvm::SmallVector<int, 2> axes;
    int64_t row = 1, perPiece = 1, pieces = 0, offset = 0; // elements of a step, of a piece; pieces of a stage; bytes
  };

  void openTask();
  void planStages();
  void findCommon();
  bool isSame(mlir::Value a, mlir::Value b);
  // values
  mlir::Value evaluate(Scope &scope, mlir::Value value, llvm::ArrayRef<cpu::Index> at);
  mlir::Value compute(Scope &scope, mlir::Value value, llvm::ArrayRef<cpu::Index> at);
  mlir::Value argument(Scope &scope, mlir::BlockArgument argument, llvm::ArrayRef<cpu::Index> at);
  mlir::Value exponential(Scope &scope, mlir::Operation *op, llvm::ArrayRef<cpu::Index> at);
  mlir::Value addUp(Scope &scope, mlir::Operation *op, llvm::ArrayRef<cpu::Index> at);
  mlir::Value param(unsigned number, llvm::ArrayRef<int> axes, llvm::ArrayRef<cpu::Index> at);
  /// Visits a thread's elements of an array with these axes, in order.
  void eachElement(llvm::ArrayRef<int> axes, llvm::function_ref<void(llvm::ArrayRef<cpu::Index>)> visit);
  size_t elementNumber(llvm::ArrayRef<cpu::Index> at);
  size_t elementsOf(llvm::ArrayRef<int> axes);
  Values elements(Scope &scope, mlir::Value value, llvm::ArrayRef<int> axes);
  // states, outputs
  size_t stateBegin(PlaneFacts &facts, unsigned state);
  Values initialStates(PlaneFacts &facts);
  void storeStates(PlaneFacts &facts, const Values &states);
  Values newStates(Scope &scope);
  void storeOutputs(Scope &scope, const PlaneLeg &leg, mlir::ArrayRef<mlir::Value> cursors, mlir::Value valid);
  Values cursorsAt(const PlaneLeg &leg, mlir::Value position);
  Values moved(const PlaneLeg &leg, const Values &cursors, bool ahead);
  void storeRow(const Operand &operand, unsigned position, llvm::ArrayRef<int> axes, mlir::Value cursor,
                const Values &values, bool aligned);
  Values loadRow(const Operand &operand, unsigned position, llvm::ArrayRef<int> axes, mlir::Value cursor, bool aligned);
  mlir::Value firstElement(llvm::ArrayRef<int> axes);
  mlir::Value pointer(unsigned position, mlir::Type element, mlir::Value at);
  void keepStates(const Values &states, mlir::Value stageNumber);
  Values keptStates(mlir::Value stageNumber);
  unsigned outputPosition(size_t output) const { return inputs.size() + params.size() + inits.size() + output; }
  // segments
  struct Affine {
    mlir::Value factor, addend; // null: 0
  };
  Affine affine(Scope &scope, mlir::Value value, llvm::ArrayRef<cpu::Index> at);
  Values neutralMaps();
  Values newMaps(Scope &scope, const Values &maps);
  PlaneFacts &mapFacts() { return call.back.facts ? *call.back.facts : *call.forth.facts; }
  void storeMaps(const Values &maps, PlaneFacts::Map kind);
  void storeSums(const Values &states);
  Values statesOfSegment();
  mlir::Value mapAddress(unsigned state, bool factor);
  void openSegment(mlir::Value &task, mlir::Value heads, mlir::Value head);
  // stages
  Values loadStage(mlir::Value from);
  Values loadFirst(llvm::function_ref<Values()> load);
  void storeStage(mlir::ValueRange loaded);
  mlir::Value timeOf(mlir::Value position);
  const Values &row(Scope &scope, unsigned input);
  void storePartial(Scope &scope, mlir::Value output, int64_t sum);
  void addPartials(mlir::Value from, mlir::Value count);
  void addPartial(size_t sum, unsigned operand, mlir::Value from, mlir::Value count);
  // loops
  void emitForth();
  void takeSteps(mlir::Value begin, mlir::Value end, Values &states, Values &cursors);
  void takeSteps(mlir::Value begin, mlir::Value end, int64_t unrolled, Values &states, Values &cursors);
  void emitBack();
  Values takeStage(const Values &kept, Values states, mlir::Value from, mlir::Value count, bool whole);

  void ifTrue(mlir::Value condition, llvm::function_ref<void()> body);
  /// A loop over stages or steps, and what it carries; returns that behind it.
  Values loop(mlir::Value from, mlir::Value to, int64_t by, const Values &carried,
              llvm::function_ref<Values(mlir::Value, Values)> body);

  PlaneCall call;
  PlaneSizes sizes;
  const Program &program;
  Lanes l;
  cpu::ElementOps ops;
  Launch launch;
  mlir::Operation *outermost = nullptr; // the loop over stages: what no step changes goes before it
  mlir::Value thread, lane, group;      // i32
  mlir::Value steps, part, channel;     // index; channel: the thread's first one among all
  mlir::Value first, all;               // index: of a segment, its first step, and all steps; null elsewhere
  mlir::Value segmentPlace;             // i64: a segment's part of the workspace
  llvm::SmallVector<Staged> staged;
  int64_t numSums = 0, partialsOffset = 0; // sums over channels, of all legs; where their parts lie in shared memory
  std::map<Key, mlir::Value> constants;    // what no step changes
  llvm::DenseMap<mlir::Value, mlir::Value> common; // of values of the way back, equal ones of the way forth
};

} // namespace rondo::cuda
