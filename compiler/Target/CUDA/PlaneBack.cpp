// The way back over a recurrence of planes, with its states computed again from those that each stage begins with. See PlaneKernel.h.
#include "compiler/Target/CUDA/PlaneKernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static bool isElementary(Operation &op) {
  using recur::Fn;
  auto map = dyn_cast<recur::MapOp>(op);
  return map && llvm::is_contained({Fn::Exp, Fn::Expm1, Fn::Log, Fn::Log1p, Fn::Tanh, Fn::Sin, Fn::Cos, Fn::Erf,
                                    Fn::Pow, Fn::Sqrt, Fn::Div},
                                   map.getFn());
}

/// Whether two steps compute one value, of inputs and parameters.
bool PlaneKernel::isSame(Value a, Value b) {
  auto x = dyn_cast<BlockArgument>(a), y = dyn_cast<BlockArgument>(b);
  if (x && y) {
    PlaneSource one = call.sources.lookup(x), other = call.sources.lookup(y);
    return one.kind == other.kind && one.number == other.number &&
           (one.kind == PlaneSource::Input || one.kind == PlaneSource::Param);
  }
  if (x || y)
    return false;
  Operation *p = a.getDefiningOp(), *q = b.getDefiningOp();
  return p->getName() == q->getName() && p->getAttrs() == q->getAttrs() && a.getType() == b.getType() &&
         llvm::all_of(llvm::zip_equal(p->getOperands(), q->getOperands()),
                      [&](auto pair) { return isSame(std::get<0>(pair), std::get<1>(pair)); });
}

/// Elementary functions that the way back has from the way forth.
void PlaneKernel::findCommon() {
  if (!call.back.facts)
    return;
  for (Operation &op : call.back.facts->step.getBlock()->without_terminator())
    for (Operation &forth : call.forth.facts->step.getBlock()->without_terminator())
      if (isElementary(op) && isElementary(forth) && op.getNumOperands() == forth.getNumOperands() &&
          isSame(op.getResult(0), forth.getResult(0)))
        common.try_emplace(op.getResult(0), forth.getResult(0));
}

/// Stages from the last one on.
void PlaneKernel::emitBack() {
  PlaneFacts &facts = *call.back.facts;
  Values states = call.part == PlanePart::Whole ? initialStates(facts) : statesOfSegment();
  size_t words = states.size(), keptWords = 0;
  Value stages = arith::CeilDivUIOp::create(b, loc, steps, index(sizes.stage));
  Value last = sub(stages, index(1));
  auto load = [&](Value stage) {
    Values loaded = keptStates(first ? add(stage, arith::DivUIOp::create(b, loc, first, index(sizes.stage))) : stage);
    keptWords = loaded.size();
    loaded.append(loadStage(mul(stage, index(sizes.stage))));
    return loaded;
  };
  Values carried = states;
  carried.append(loadFirst([&] { return load(last); }));
  carried = loop(index(0), stages, 1, carried, [&](Value number, Values values) {
    Values states(ArrayRef(values).take_front(words)), kept(ArrayRef(values).slice(words, keptWords));
    Value stage = sub(last, number), from = mul(stage, index(sizes.stage));
    l.barrier(); // the stage before is done with
    storeStage(ArrayRef(values).drop_front(words + keptWords));
    l.barrier();
    Values loaded = load(sub(arith::MaxUIOp::create(b, loc, stage, index(1)), index(1)));
    Value count = arith::MinUIOp::create(b, loc, index(sizes.stage), sub(steps, from));
    Value whole = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, count, index(sizes.stage));
    SmallVector<Type> types(words, b.getF32Type());
    auto way = scf::IfOp::create(b, loc, types, whole, /*withElseRegion=*/true);
    for (bool isWhole : {true, false}) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(isWhole ? way.thenBlock() : way.elseBlock());
      Values next = takeStage(kept, states, from, count, isWhole);
      scf::YieldOp::create(b, loc, next);
    }
    states.assign(way.getResults().begin(), way.getResults().end());
    addPartials(from, count);
    states.append(loaded);
    return states;
  });
  states.assign(carried.begin(), carried.begin() + words);
  if (call.part == PlanePart::Whole)
    storeStates(facts, states);
  else
    storeSums(states);
}

/// A stage forth, from its kept states, and back. Of one with fewer steps, those behind the end change nothing.
PlaneKernel::Values PlaneKernel::takeStage(const Values &kept, Values states, Value from, Value count, bool whole) {
  std::vector<Values> before{kept};
  std::vector<Scope> forth(sizes.stage);
  auto validAt = [&](int64_t r) -> Value {
    return whole ? Value() : arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, index(r), count).getResult();
  };
  Values cursors = cursorsAt(call.forth, from);
  for (int64_t r = 0; r < sizes.stage; ++r) {
    Scope &scope = forth[r];
    scope.facts = call.forth.facts;
    scope.base = l.i32(0);
    scope.plus = r;
    scope.state = [&, r](PlaneSource source, size_t element) {
      return before[r][stateBegin(*call.forth.facts, source.number) + element];
    };
    Values next = newStates(scope);
    storeOutputs(scope, call.forth, cursors, validAt(r));
    before.push_back(std::move(next));
    cursors = moved(call.forth, cursors, true);
  }
  // What steps forth have read is read again: there are not registers for all of it.
  LLVM::InlineAsmOp::create(b, loc, TypeRange(), ValueRange(), "", "~{memory}", /*has_side_effects=*/true,
                            /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
  cursors = cursorsAt(call.back, add(from, index(sizes.stage - 1)));
  for (int64_t r = sizes.stage; r-- > 0;) {
    Scope scope;
    scope.facts = call.back.facts;
    scope.base = l.i32(0);
    scope.plus = r;
    scope.before = &forth[r];
    scope.state = [&](PlaneSource source, size_t element) {
      return source.kind == PlaneSource::History ? before[r][stateBegin(*call.forth.facts, source.number) + element]
                                                 : states[stateBegin(*call.back.facts, source.number) + element];
    };
    Value valid = validAt(r);
    Values next = newStates(scope);
    storeOutputs(scope, call.back, cursors, valid);
    for (size_t i = 0; valid && i < next.size(); ++i)
      next[i] = l.select(valid, next[i], states[i]);
    states = std::move(next);
    cursors = moved(call.back, cursors, false);
  }
  return states;
}
