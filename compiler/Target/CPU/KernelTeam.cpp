// Kernels whose threads do every task together. A recurrence that multiplies its state by a parameter waits for itself at every step, and
// each step reads the whole parameter: threads that share out the rows of the batch would each read all of it, and of one sequence there is
// nothing to share out. So each thread computes a part of the elements of a step (NestPanels.cpp), reads only its part of the
// parameters, which stays in its cache, and meets the others before anybody reads what another one has written.
//
// Where steps are independent, threads take tasks as usual, and share no more than the parameters that are laid out anew.
//
// A team's kernel is function(call, thread, threads, scratch), see rondo::Launch.
#include "compiler/Target/CPU/KernelEmitter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

/// Rows of the batch that a team works on at once.
static constexpr int64_t kTeamRows = 16;

void KernelEmitter::findPanels() {
  int64_t next = 0;
  const Body &body = bodies[0];
  for (const Nest &nest : body.plan.nests)
    for (const Read &read : body.plan.reads(nest)) {
      auto same = [&](const Panel &p) { return p.nest == &nest && p.param == read.value && p.at == read.at; };
      if (!body.plan.readsPanel(nest, read.value, read.at) || llvm::any_of(panels, same))
        continue;
      int64_t elements = nest.dims[read.at[0].dim].extent * nest.dims[read.at[1].dim].extent;
      panels.push_back({&nest, read.value, read.at, elements, next});
      next += llvm::alignTo(elements, 16);
    }
  scratchStart = next;
}

int64_t KernelEmitter::panelElements() const { return scratchStart; }

void KernelEmitter::layOutPanels() {
  Body &body = bodies[0];
  for (auto [argument, operand] : llvm::zip(body.step.paramArgs(), params))
    places[argument] = place(operand, index(0));
  for (const Panel &panel : panels) {
    NestEnvironment environment = environmentOf(body, *panel.nest, {});
    environment.rowCount = {};
    environment.member = member;
    environment.members = members;
    NestEmitter(b, loc, body.plan, *panel.nest, environment)
        .emitPanel(environment.panelOf(panel.param, panel.at), panel.param, panel.at);
  }
}

void KernelEmitter::emitTeam(func::FuncOp kernel) {
  CallFrame frame(b, loc, kernel.getArgument(0));
  auto toIndex = [&](Value value) { return arith::IndexCastOp::create(b, loc, b.getIndexType(), value).getResult(); };
  member = toIndex(kernel.getArgument(1));
  members = toIndex(kernel.getArgument(2));
  meetFunction = frame.meetFunction();
  meeting = frame.meeting();
  launch.batchTile = rowsAreSteps || kind == Team::ByRows ? 1 : kTeamRows;
  rows = rowsAreSteps ? launch.timeBlock : launch.batchTile;
  if (!panels.empty()) {
    layOutPanels();
    callMeet();
  }
  Value tasks = arith::CeilDivUIOp::create(b, loc, batch, index(launch.batchTile));
  if (launch.perHead)
    tasks = mul(tasks, heads);
  if (!rowsAreSteps) {
    forEachTask(index(0), tasks, [&](Value tile, Value head) { emitTeamTask(tile, head); });
    launch.team.scratchBytes = std::exchange(launch.scratchBytes, 0);
    return;
  }
  int64_t bytes = real.getIntOrFloatBitWidth() / 8, shared = std::exchange(scratchStart, 0);
  auto own = arith::ConstantIndexOp::create(b, loc, 0); // reals of a thread's own part, known when it is laid out
  scratchBegin = add(index(shared), mul(member, own));
  tasks = mul(tasks, arith::CeilDivUIOp::create(b, loc, extents[0], index(launch.timeBlock)));
  auto border = [&](Value thread) { return arith::DivUIOp::create(b, loc, mul(tasks, thread), members).getResult(); };
  forEachTask(border(member), border(add(member, index(1))), [&](Value tile, Value head) { emitTask(tile, head); });
  launch.team.scratchBytes = shared * bytes;
  own.setValueAttr(b.getIndexAttr(launch.scratchBytes / bytes));
}

/// One tile of the batch, or a packed sequence.
void KernelEmitter::emitTeamTask(Value tile, Value head) {
  Value firstRow = mul(tile, index(launch.batchTile));
  if (launch.batchTile > 1) {
    Value rest = arith::SubIOp::create(b, loc, batch, firstRow);
    rowCount = arith::MinUIOp::create(b, loc, rest, index(launch.batchTile));
  }
  openTask(launch.batchTile, firstRow, head);
  placeInPlaceStates();
  onOneThread([&] { beginStates(); });
  emitPrologues();
  SmallVector<Loop> at;
  Value moves = emitSteps(0, at);
  onOneThread([&] { endStates(moves); });
}

/// No thread goes on before all are here.
void KernelEmitter::meet() {
  if (isTeam() && !rowsAreSteps)
    callMeet();
}

void KernelEmitter::callMeet() {
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {meeting.getType()});
  LLVM::CallOp::create(b, loc, type, ValueRange{meetFunction, meeting});
}

/// What is not shared out: the first thread does it while the others wait.
void KernelEmitter::onOneThread(function_ref<void()> emit) {
  if (!isTeam() || rowsAreSteps)
    return emit();
  Value first = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, member, index(0));
  auto alone = scf::IfOp::create(b, loc, first, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(alone.thenBlock());
    emit();
  }
  meet();
}

/// True when `next` reads what one of the nests `since` the last meeting has written, or overwrites a state that one of them reads.
bool KernelEmitter::mustMeet(const Body &body, ArrayRef<const Nest *> since, const Nest &next) const {
  auto readsFrom = [&](const Nest &reader, const Nest &writer) {
    return llvm::any_of(body.plan.reads(reader), [&](const Read &read) {
      Value memory = withoutReshapes(read.value);
      return llvm::any_of(writer.statements, [&](const Statement &statement) {
        return llvm::any_of(statement.destinations, [&](const Destination &to) {
          bool isState = to.kind == Destination::State &&
                         llvm::is_contained(const_cast<recur::Step &>(body.step).stateArgs(to.number), memory);
          auto buffer = body.plan.bufferOf.find(memory);
          bool isPart =
              to.kind == Destination::Scratch && buffer != body.plan.bufferOf.end() && buffer->second == to.number;
          return isState || isPart;
        });
      });
    });
  };
  return isTeam() && !rowsAreSteps && llvm::any_of(since, [&](const Nest *earlier) {
           return readsFrom(next, *earlier) || readsFrom(*earlier, next);
         });
}
