// See ScanAdjoint.h.
#include "compiler/Differentiate/ScanAdjoint.h"
#include "compiler/Differentiate/StepAdjoint.h"
#include "compiler/Differentiate/StepCopier.h"
#include "compiler/Transforms/StepValues.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace rondo;

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// What an argument of the adjoint step stands for.
struct Role {
  enum Kind { Input, Param, Read, OutputCotangent, Adjoint } kind;
  Value operand;      // Input, Param, OutputCotangent: of the scans to come
  unsigned state = 0; // Read, Adjoint
  unsigned read = 0;
};

class Adjoint {
public:
  Adjoint(OpBuilder &b, recur::ScanOp scan, ArrayRef<Value> ofOutputs, ArrayRef<Value> ofFinals,
          const WantedCotangents &wanted)
      : b(b), loc(scan.getLoc()), scan(scan), step(scan), ofOutputs(ofOutputs), ofFinals(ofFinals), wanted(wanted) {}

  FailureOr<ScanCotangents> build() {
    if (failed(prepare()))
      return failure();
    makeForward();
    makeBackward();
    return std::move(result);
  }

  FailureOr<bool> handsOverMatrices() {
    if (failed(prepare()))
      return failure();
    return products.empty() && llvm::any_of(handed, [](Value value) { return typeOf(value).getRank() >= 2; });
  }

private:
  /// Differentiates the step and finds what its gradients need.
  LogicalResult prepare() {
    if (failed(differentiateStep()))
      return failure();
    findProducts();
    for (Value root : roots)
      need(root);
    return success();
  }

  unsigned axes() { return scan.numAxes(); }

  BlockArgument argument(Type type, Role role) {
    BlockArgument made = block.addArgument(type, loc);
    roles[made] = role;
    return made;
  }

  /// Fills `block`: the step again, and behind it the cotangents of what it read.
  LogicalResult differentiateStep() {
    IRMapping map;
    SmallVector<Value> active;
    auto arguments = [&](ArrayRef<BlockArgument> list, Role::Kind kind, ValueRange operands) {
      for (auto [old, operand] : llvm::zip(list, operands))
        map.map(old, argument(old.getType(), {kind, operand}));
    };
    arguments(step.inputArgs(), Role::Input, scan.getInputs());
    arguments(step.paramArgs(), Role::Param, scan.getParams());
    for (unsigned s = 0; s < scan.numStates(); ++s)
      for (auto [read, old] : llvm::enumerate(step.stateArgs(s)))
        map.map(old, argument(old.getType(), {Role::Read, {}, s, static_cast<unsigned>(read)}));
    if (scan.getResets()) {
      Value resets = scan.getResets();
      reset = argument(stepTypeOf(resets.getType()), {Role::Input, resets});
    }
    for (auto [argument, wants] :
         llvm::zip(block.getArguments(), llvm::concat<const bool>(wanted.inputs, wanted.params)))
      if (wants)
        active.push_back(argument);
    for (auto &[argument, role] : roles)
      if (role.kind == Role::Read)
        active.push_back(argument);
    llvm::erase_if(active,
                   [](Value value) { return recur::elementKind(value.getType()) == recur::ElementKind::Truth; });
    OpBuilder inside(b.getContext());
    inside.setInsertionPointToEnd(&block);
    for (Operation &op : scan.step()->without_terminator())
      inside.clone(op, map);
    StepAdjoint adjoint(&block, active);
    for (auto [value, cotangent] : llvm::zip(step.yield().getOutputs(), ofOutputs))
      if (cotangent)
        adjoint.add(map.lookup(value), argument(value.getType(), {Role::OutputCotangent, cotangent}));
    for (unsigned s = 0; s < scan.numStates(); ++s) {
      Value value = step.yield().getStates()[s];
      newStates.push_back(map.lookup(value));
      for (unsigned read = 0; read < step.stateArgs(s).size(); ++read)
        adjoint.add(newStates[s], argument(value.getType(), {Role::Adjoint, {}, s, read}));
    }
    if (failed(adjoint.run()))
      return failure();
    auto collect = [&](ArrayRef<BlockArgument> list, SmallVectorImpl<Value> &into) {
      for (BlockArgument old : list) {
        into.push_back(adjoint.of(map.lookup(old)));
        if (into.back())
          roots.push_back(into.back());
      }
    };
    collect(step.inputArgs(), ofInputs);
    collect(step.paramArgs(), ofParams);
    for (unsigned s = 0; s < scan.numStates(); ++s)
      collect(step.stateArgs(s), ofReads.emplace_back());
    return success();
  }

  //===--- what is handed from the forward to the backward scan -------------------------------------------------------===//

  struct Dependence {
    bool onState = false;
    bool onMatrix = false;  // a state of two axes or more
    bool onAdjoint = false; // a cotangent of a state
  };

  Dependence dependenceOf(Value value) {
    if (auto known = dependences.find(value); known != dependences.end())
      return known->second;
    Dependence found;
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      const Role &role = roles.find(argument)->second;
      found.onState = role.kind == Role::Read;
      found.onMatrix = found.onState && typeOf(value).getRank() >= 2;
      found.onAdjoint = role.kind == Role::Adjoint;
    } else {
      for (Value operand : value.getDefiningOp()->getOperands()) {
        Dependence of = dependenceOf(operand);
        found.onState |= of.onState;
        found.onMatrix |= of.onMatrix;
        found.onAdjoint |= of.onAdjoint;
      }
    }
    return dependences[value] = found;
  }

  /// Products of parameters with what waits for a state, where the states need them anyway: the forward scan hands them over, since
  /// computing them again takes far longer than reading an array of one axis.
  void findProducts() {
    llvm::SetVector<Value> again(newStates.begin(), newStates.end());
    for (size_t i = 0; i < again.size(); ++i)
      if (Operation *op = again[i].getDefiningOp())
        again.insert(op->operand_begin(), op->operand_end());
    for (Value value : again)
      if (isRecurrentProduct(value))
        products.insert(furthest(value, again));
  }

  bool isRecurrentProduct(Value value) {
    auto contract = value.getDefiningOp<recur::ContractOp>();
    if (!contract || typeOf(value).getRank() > 1)
      return false;
    bool ofMatrix = llvm::any_of(contract.getOperands_(), [&](Value operand) {
      auto argument = dyn_cast<BlockArgument>(operand);
      return argument && roles.find(argument)->second.kind == Role::Param && typeOf(operand).getRank() >= 2;
    });
    return ofMatrix && dependenceOf(value).onState;
  }

  /// The last value that is computed elementwise out of `value` before anything else is.
  Value furthest(Value value, const llvm::SetVector<Value> &again) {
    while (value.hasOneUse()) {
      auto map = dyn_cast<recur::MapOp>(*value.getUsers().begin());
      if (!map || map.getType() != value.getType() || !again.contains(map.getResult()))
        break;
      value = map.getResult();
    }
    return value;
  }

  void need(Value value) {
    Dependence on = dependenceOf(value);
    bool truth = recur::elementKind(value.getType()) == recur::ElementKind::Truth;
    bool ofMatrix = on.onMatrix && !on.onAdjoint && typeOf(value).getRank() <= 1 && !truth;
    if (ofMatrix || products.contains(value)) {
      handed.insert(value);
      return;
    }
    if (!visited.insert(value).second)
      return;
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (roles.find(argument)->second.kind == Role::Read)
        handed.insert(value);
      return;
    }
    for (Value operand : value.getDefiningOp()->getOperands())
      need(operand);
  }

  //===--- the forward scan -------------------------------------------------------------------------------------------===//

  struct ForwardCopier : StepCopier {
    ForwardCopier(Adjoint &of, NewScan &into) : StepCopier(into), of(of) {}
    Value open(BlockArgument argument) override {
      const Role role = of.roles.find(argument)->second;
      if (role.kind == Role::Param)
        return into.param(role.operand);
      if (role.kind != Role::Read)
        return into.input(role.operand);
      SmallVector<Value> reads = into.state(of.scan.state(role.state), of.scan.getInits()[role.state]);
      states.push_back(role.state);
      for (auto [other, otherRole] : of.roles)
        if (otherRole.kind == Role::Read && otherRole.state == role.state && otherRole.read != role.read)
          set(other, reads[otherRole.read]);
      return reads[role.read];
    }
    Adjoint &of;
    SmallVector<unsigned> states;
  };

  /// Runs the states again, for what the backward scan needs of them.
  void makeForward() {
    if (handed.empty())
      return;
    NewScan made(loc, scan.getAxes(), scan.getResets(), scan.getOffsets());
    ForwardCopier copier(*this, made);
    SmallVector<Value> outputs, updated;
    for (Value value : handed)
      outputs.push_back(copier.get(value));
    for (size_t i = 0; i < copier.states.size(); ++i) // grows while updates read further states
      updated.push_back(copier.get(newStates[copier.states[i]]));
    giveLength(made);
    recur::ScanOp forward = made.finish(b, updated, outputs);
    for (auto [value, output] : llvm::zip(handed, forward.outputs()))
      handedOver[value] = output;
  }

  /// Something must say how many steps there are.
  void giveLength(NewScan &made) {
    if (!made.hasInputs() && !scan.getInputs().empty())
      made.input(scan.getInputs().front());
  }

  //===--- the backward scan ------------------------------------------------------------------------------------------===//

  struct BackwardCopier : StepCopier {
    BackwardCopier(Adjoint &of, NewScan &into) : StepCopier(into), of(of) {}
    Value open(BlockArgument argument) override {
      const Role &role = of.roles.find(argument)->second;
      return role.kind == Role::Param ? into.param(role.operand) : into.input(role.operand);
    }
    Value given(Value value) override {
      auto found = of.handedOver.find(value);
      return found == of.handedOver.end() ? Value() : into.input(found->second);
    }
    Adjoint &of;
  };

  ArrayAttr reversedAxes() {
    SmallVector<Attribute> reversed;
    for (unsigned axis = 0; axis < axes(); ++axis)
      reversed.push_back(
          recur::AxisAttr::get(b.getContext(), scan.axis(axis).getName(), !scan.axis(axis).getReverse()));
    return b.getArrayAttr(reversed);
  }

  /// An initial value of zeros, with `slices` slices.
  Value zeros(Type stepType, int64_t slices) {
    auto type = cast<RankedTensorType>(stepType);
    SmallVector<StringAttr> implicit;
    SmallVector<int64_t> shape;
    if (slices > 1) {
      implicit.push_back(b.getStringAttr("lag"));
      shape.push_back(slices);
    }
    llvm::append_range(shape, type.getShape());
    auto dims = recur::DimsAttr::get(b.getContext(), implicit, recur::dimsOf(type).getNames());
    return recur::SumToOp::create(b, loc, RankedTensorType::get(shape, type.getElementType(), dims), ValueRange(),
                                  false);
  }

  std::string uniqueName(std::string name) {
    while (!names.insert(name).second)
      name += "'";
    return name;
  }

  /// The cotangent that read `read` of a state begins with, behind the end of the sequence: that of the final state, which keeps as
  /// many slices as the farthest read looks back.
  Value initialAdjoint(unsigned state, unsigned read, int64_t distance) {
    Type type = newStates[state].getType();
    Value ofFinal = axes() == 1 ? ofFinals[state] : Value();
    bool farthest = distance == scan.state(state).depth();
    for (unsigned before = 0; before < read; ++before)
      farthest &= scan.state(state).getReads()[before][0] != distance;
    if (!ofFinal || !farthest)
      return zeros(type, distance);
    return distance == 1 ? ofFinal : recur::SumToOp::create(b, loc, ofFinal.getType(), ofFinal, true).getResult();
  }

  void makeBackward() {
    NewScan made(loc, reversedAxes(), Value(), scan.getOffsets());
    BackwardCopier copier(*this, made);
    SmallVector<Value> updated, outputs;
    addAdjointStates(made, copier, updated);
    SmallVector<unsigned> summed = addSums(made, copier, updated);
    result.inputs.assign(ofInputs.size(), {});
    SmallVector<unsigned> own;
    for (auto [number, value] : llvm::enumerate(ofInputs))
      if (value && handedOver.count(value)) {
        result.inputs[number] = handedOver[value];
      } else if (value) {
        outputs.push_back(copier.get(value));
        own.push_back(number);
      }
    result.params.assign(ofParams.size(), {});
    result.inits.resize(scan.numStates());
    if (outputs.empty() && summed.empty() && llvm::none_of(wanted.inits, [](bool wants) { return wants; }))
      return;
    giveLength(made);
    recur::ScanOp backward = made.finish(b, updated, outputs);
    for (auto [number, output] : llvm::zip(own, backward.outputs()))
      result.inputs[number] = output;
    takeFinals(backward, summed);
  }

  void addAdjointStates(NewScan &made, StepCopier &copier, SmallVectorImpl<Value> &updated) {
    for (unsigned s = 0; s < scan.numStates(); ++s)
      for (auto [read, distances] : llvm::enumerate(scan.state(s).getReads())) {
        std::string name = uniqueName("d_" + scan.state(s).getName().str());
        int64_t slices = axes() == 1 ? distances[0] : 1;
        auto attribute = recur::StateAttr::get(b.getContext(), b.getStringAttr(name), distances);
        Value here = made.state(attribute, initialAdjoint(s, read, slices)).front();
        for (auto [argument, role] : roles)
          if (role.kind == Role::Adjoint && role.state == s && role.read == read)
            copier.set(argument, here);
      }
    for (unsigned s = 0; s < scan.numStates(); ++s)
      for (Value value : ofReads[s])
        updated.push_back(value ? copier.get(value) : constantOf(made.body, loc, newStates[s].getType(), 0));
    if (scan.getResets())
      cutAtResets(made, copier, updated);
  }

  /// Where a sequence begins again, what its first step read was the initial value: the cotangent goes there, and not to the step before.
  /// As a factor 0 or 1, so that the recurrence stays linear.
  void cutAtResets(NewScan &made, StepCopier &copier, SmallVectorImpl<Value> &updated) {
    OpBuilder &here = made.body;
    auto number = [&](Value like, double x) {
      return constantOf(here, loc,
                        RankedTensorType::get({}, typeOf(like).getElementType(), typeOf(reset).getEncoding()), x);
    };
    unsigned states = updated.size();
    for (unsigned i = 0; i < states; ++i) {
      Value value = updated[i], one = number(value, 1), zero = number(value, 0), resets = copier.get(reset);
      auto times = [&](Value whereReset, Value otherwise) {
        Value factor = recur::MapOp::create(here, loc, one.getType(), recur::Fn::Select,
                                            ValueRange{resets, whereReset, otherwise});
        return recur::MapOp::create(here, loc, value.getType(), recur::Fn::Mul, ValueRange{value, factor}).getResult();
      };
      updated[i] = times(zero, one);
      Value before = addSum(made, value.getType(), "resets");
      updated.push_back(
          recur::MapOp::create(here, loc, value.getType(), recur::Fn::Add, ValueRange{before, times(one, zero)}));
    }
  }

  /// A state that a sum over time is kept in.
  Value addSum(NewScan &made, Type type, const std::string &name) {
    SmallVector<int64_t> previous(axes(), 0);
    previous.back() = 1;
    auto attribute = recur::StateAttr::get(b.getContext(), b.getStringAttr(uniqueName(name)),
                                           DenseI64ArrayAttr::get(b.getContext(), previous));
    return made.state(attribute, zeros(type, 1)).front();
  }

  /// Sums over time of the parameters' cotangents. Gives the numbers of the parameters.
  SmallVector<unsigned> addSums(NewScan &made, StepCopier &copier, SmallVectorImpl<Value> &updated) {
    SmallVector<unsigned> summed;
    for (auto [number, value] : llvm::enumerate(ofParams)) {
      if (!value)
        continue;
      Value before = addSum(made, value.getType(), "sum" + std::to_string(number));
      Value more = copier.get(value);
      updated.push_back(recur::MapOp::create(made.body, loc, more.getType(), recur::Fn::Add, ValueRange{before, more}));
      summed.push_back(number);
    }
    return summed;
  }

  void takeFinals(recur::ScanOp backward, ArrayRef<unsigned> summed) {
    ResultRange finals = backward.finals();
    unsigned next = 0;
    for (unsigned s = 0; s < scan.numStates(); ++s)
      for (DenseI64ArrayAttr distances : scan.state(s).getReads())
        for (unsigned axis = 0; axis < axes(); ++axis, ++next)
          if (distances[axis] > 0) // what was read beyond this edge
            result.inits[s].push_back(finals[next]);
    for (unsigned s = 0; s < scan.numStates() && scan.getResets(); ++s, ++next)
      result.inits[s].push_back(finals[next]);
    for (unsigned number : summed) {
      next += axes();
      result.params[number] = finals[next - 1]; // at the end of every row of the last axis
    }
  }

  OpBuilder &b;
  Location loc;
  recur::ScanOp scan;
  recur::Step step;
  ArrayRef<Value> ofOutputs, ofFinals;
  const WantedCotangents &wanted;
  Block block; // the adjoint step, from which both scans are made
  llvm::MapVector<Value, Role> roles;
  Value reset;                             // in `block`: whether a sequence begins again at this step
  SmallVector<Value> newStates;            // of the step, in `block`
  SmallVector<Value> ofInputs, ofParams;   // cotangents in `block`
  SmallVector<SmallVector<Value>> ofReads; // per state
  SmallVector<Value> roots;
  llvm::DenseMap<Value, Dependence> dependences;
  llvm::DenseSet<Value> visited, products;
  llvm::SetVector<Value> handed;
  llvm::MapVector<Value, Value> handedOver; // to the forward scan's outputs
  std::set<std::string> names;
  ScanCotangents result;
};

} // namespace

FailureOr<ScanCotangents> rondo::differentiateScan(OpBuilder &b, recur::ScanOp scan, ArrayRef<Value> ofOutputs,
                                                   ArrayRef<Value> ofFinals, const WantedCotangents &wanted) {
  return Adjoint(b, scan, ofOutputs, ofFinals, wanted).build();
}

FailureOr<bool> rondo::handsOverMatrices(OpBuilder &b, recur::ScanOp scan, ArrayRef<Value> ofOutputs,
                                         ArrayRef<Value> ofFinals, const WantedCotangents &wanted) {
  return Adjoint(b, scan, ofOutputs, ofFinals, wanted).handsOverMatrices();
}
