// The mathematics. The states of a raised scan are affine in themselves, so that a segment takes S to
//
//   S' = Φ S + E         E: what the segment's inputs leave behind, from a state of zeros
//
// and Φ is known as a product of the steps' transitions. It is kept as what these have in common: nothing where states are sums, a vector per axis
// that decays, an array like the state where decays are elementwise, and a matrix over the key axis where a transition mixes keys. That matrix
// is moved by the recurrence itself: its columns are states that begin as unit vectors and take nothing in.
//
// Maps S -> A S diag(b), with A over the key axis, are closed under composition: (A' A, b' b). A move of a delta rule is one of them where it has
// either a transition, A = diag(a) + u w^T, whose decay along the values comes before it, or a decay along the values alone, A diagonal. Beside it,
// S -> diag(a) S diag(b) + u w^T S, the decay takes column v through b_v diag(a) + u w^T, another matrix for every v: noSegments declines it, and
// elementwise decays beside a transition.
#include "compiler/Transforms/SegmentParts.h"
#include "compiler/Transforms/ExpansionChunk.h"
#include "compiler/Transforms/RaisedStep.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace rondo;

static RankedTensorType stepTypeOf(Type type) {
  auto whole = cast<RankedTensorType>(type);
  recur::DimsAttr dims = recur::dimsOf(whole);
  return RankedTensorType::get(whole.getShape().take_back(dims.getNames().size()), whole.getElementType(),
                               recur::DimsAttr::get(whole.getContext(), ArrayRef<StringAttr>(), dims.getNames()));
}

static RankedTensorType withAxes(RankedTensorType type, ArrayRef<int64_t> axes) {
  recur::DimsAttr dims = recur::dimsOf(type);
  SmallVector<int64_t> shape;
  SmallVector<StringAttr> names;
  for (int64_t axis : axes) {
    shape.push_back(type.getDimSize(axis));
    names.push_back(dims.getNames()[axis]);
  }
  return RankedTensorType::get(shape, type.getElementType(),
                               recur::DimsAttr::get(type.getContext(), ArrayRef<StringAttr>(), names));
}

namespace {

/// What a part holds of its state's map.
enum class Kind { End, Vector, Elementwise, Matrix };

struct Part {
  unsigned state;
  Kind kind;
  RankedTensorType type;
  int64_t axis = -1; // Vector: the state's axis
};

class PartsBuilder {
public:
  PartsBuilder(recur::ScanInterface scan, recur::Semiring semiring)
      : scan(scan), semiring(semiring), b(scan->getContext()), loc(scan->getLoc()) {}

  void add(Part part) {
    std::string suffix = part.kind == Kind::End      ? ""
                         : part.kind == Kind::Matrix ? "_transition"
                         : part.axis >= 0            ? "_decay" + std::to_string(part.axis)
                                                     : "_decay";
    result.parts.push_back(recur::StateAttr::get(b.getContext(),
                                                 b.getStringAttr(scan.state(part.state).getName().getValue() + suffix),
                                                 ArrayRef<DenseI64ArrayAttr>{b.getDenseI64ArrayAttr({1})}));
    result.begins.push_back(beginOf(part));
    if (part.kind == Kind::End)
      result.ends.push_back(parts.size());
    parts.push_back(part);
  }

  void buildJoin(Region &region) {
    Block &block = region.emplaceBlock();
    SmallVector<Value> given, states, updated;
    for (const Part &part : parts)
      given.push_back(block.addArgument(part.type, loc));
    for (Value init : scan.getInits())
      states.push_back(block.addArgument(stepTypeOf(init.getType()), loc));
    b.setInsertionPointToEnd(&block);
    for (unsigned s = 0; s < states.size(); ++s)
      updated.push_back(joined(s, states[s], given));
    recur::YieldOp::create(b, loc, updated, ValueRange());
  }

  recur::ScanInterface scan;
  recur::Semiring semiring;
  OpBuilder b;
  Location loc;
  SmallVector<Part> parts;
  SegmentParts result;

private:
  DenseElementsAttr beginOf(const Part &part) {
    bool isPlusTimes = semiring == recur::Semiring::PlusTimes;
    double zero = isPlusTimes ? 0 : -std::numeric_limits<double>::infinity(), one = isPlusTimes ? 1 : 0;
    Type element = part.type.getElementType();
    Type real = isa<ComplexType>(element) ? cast<ComplexType>(element).getElementType() : element;
    auto number = [&](double x) { return cast<FloatAttr>(FloatAttr::get(real, x)).getValue(); };
    auto filled = [&](auto of) {
      if (part.kind != Kind::Matrix)
        return DenseElementsAttr::get(part.type, of(part.kind == Kind::End ? zero : one));
      SmallVector<decltype(of(one))> all(part.type.getNumElements(), of(zero));
      for (int64_t i = 0; i < part.type.getDimSize(0); ++i)
        all[i * part.type.getDimSize(1) + i] = of(one);
      return DenseElementsAttr::get(part.type, ArrayRef(all));
    };
    if (isa<ComplexType>(element))
      return filled([&](double x) { return std::complex<APFloat>(number(x), number(0)); });
    return filled(number);
  }

  Value joined(unsigned s, Value state, ArrayRef<Value> given) {
    Value end;
    for (auto [part, value] : llvm::zip(parts, given)) {
      if (part.state != s)
        continue;
      if (part.kind == Kind::End)
        end = value;
      else if (semiring != recur::Semiring::PlusTimes)
        return combined(b, loc, semiring, value, end, state);
      else
        state = moved(part, value, state);
    }
    return recur::MapOp::create(b, loc, state.getType(), recur::Fn::Add, ValueRange{state, end});
  }

  Value moved(const Part &part, Value value, Value state) {
    auto type = cast<RankedTensorType>(state.getType());
    if (part.kind == Kind::Matrix) {
      StringRef spec = type.getRank() == 1 ? "kc,c->k" : part.axis == 0 ? "kc,cv->kv" : "kc,vc->vk";
      return recur::ContractOp::create(b, loc, type, spec, ValueRange{value, state});
    }
    if (part.kind == Kind::Elementwise || type.getRank() == 1)
      return recur::MapOp::create(b, loc, type, recur::Fn::Mul, ValueRange{state, value});
    return recur::ContractOp::create(b, loc, type, scalingSpec(2, {part.axis}), ValueRange{state, value});
  }
};

/// The parts of an expansion, and the expansion that moves them.
class ExpansionParts {
public:
  explicit ExpansionParts(const Expansion &of) : of(of), builder(of.scan, recur::Semiring::PlusTimes) {
    for (unsigned s = 0; s < builder.scan.numStates(); ++s)
      addState(s);
  }

  SegmentParts build(int64_t size, Region &step, Region &chunk, Region &join) {
    Operation *ends = makeEnds();
    buildStep(ends, &step.emplaceBlock());
    if (size > 1) {
      auto expand = dyn_cast<recur::ExpandScanOp>(ends);
      buildChunk(expand ? Expansion(expand) : Expansion(cast<recur::DeltaScanOp>(ends)), size, &chunk.emplaceBlock());
    }
    SmallVector<Value> inits(cast<recur::ScanInterface>(ends).getInits());
    ends->erase();
    for (Value init : inits)
      init.getDefiningOp()->erase();
    builder.buildJoin(join);
    return std::move(builder.result);
  }

private:
  /// Numbers of the decays of state `s` that have these axes, or none.
  SmallVector<unsigned> decaysOf(unsigned s, ArrayRef<int64_t> axes) {
    SmallVector<unsigned> found;
    for (auto [i, decay] : llvm::enumerate(of.decays))
      if (decay.getState() == s && decay.getAxes() == axes)
        found.push_back(i);
    return found;
  }

  void addState(unsigned s) {
    RankedTensorType type = stepTypeOf(builder.scan.getInits()[s].getType());
    int64_t rank = type.getRank(), key = of.keyAxes[s];
    add({s, Kind::End, type}, key);
    bool mixes = llvm::is_contained(of.transitions, static_cast<int64_t>(s));
    bool elementwise = rank == 2 && !decaysOf(s, {0, 1}).empty();
    if (mixes)
      add({s, Kind::Matrix, withAxes(type, {key, key}), key}, 0);
    if (elementwise && !mixes)
      return add({s, Kind::Elementwise, type}, key);
    bool scalars = !mixes && !decaysOf(s, {}).empty();
    for (int64_t axis = 0; axis < rank; ++axis) {
      bool decays = !decaysOf(s, {axis}).empty() && !(mixes && axis == key);
      bool last = axis + 1 == rank && scalars; // which nothing has taken so far
      if (!decays && !last)
        continue;
      add({s, Kind::Vector, withAxes(type, {axis}), axis}, 0);
      scalars = false;
    }
  }

  void add(Part part, int64_t keyAxis) {
    keyAxes.push_back(keyAxis);
    builder.add(part);
  }

  /// The axes of part `number` that a decay over `axes` of the state multiplies; none where it does not concern the part.
  std::optional<SmallVector<int64_t>> axesIn(unsigned number, ArrayRef<int64_t> axes) {
    const Part &part = builder.parts[number];
    if (part.kind == Kind::End || part.kind == Kind::Elementwise)
      return SmallVector<int64_t>(axes);
    bool first = llvm::none_of(ArrayRef(builder.parts).take_front(number),
                               [&](const Part &other) { return other.state == part.state && other.kind != Kind::End; });
    if (axes.empty())
      return first ? std::optional(SmallVector<int64_t>()) : std::nullopt; // counted once
    return axes == ArrayRef<int64_t>{part.axis} ? std::optional(SmallVector<int64_t>{0}) : std::nullopt;
  }

  Operation *makeEnds() {
    recur::ScanInterface scan = of.scan;
    OpBuilder b(scan);
    SmallVector<Value> inits;
    for (Attribute begin : builder.result.begins)
      inits.push_back(arith::ConstantOp::create(b, builder.loc, cast<TypedAttr>(begin)));
    recur::CoefficientsOp given = of.given();
    SmallVector<Value> decays, keys, values, writes, reads;
    SmallVector<Attribute> ofDecays;
    SmallVector<int64_t> outers, transitions, moves, outerMoves, transitionMoves;
    for (auto [number, part] : llvm::enumerate(builder.parts)) {
      for (auto [value, decay, move] : llvm::zip(given.getDecays(), of.decays, of.decayMoves))
        if (decay.getState() == part.state)
          if (auto axes = axesIn(number, decay.getAxes())) {
            decays.push_back(value);
            bool before = decay.getBefore() && part.kind == Kind::End;
            ofDecays.push_back(recur::DecayAttr::get(b.getContext(), number, *axes, before));
            moves.push_back(move);
          }
      for (auto [key, value, state, move] : llvm::zip(given.getKeys(), given.getValues(), of.outers, of.outerMoves))
        if (state == part.state && part.kind == Kind::End) {
          keys.push_back(key);
          values.push_back(value);
          outers.push_back(number);
          outerMoves.push_back(move);
        }
      for (auto [write, read, state, move] :
           llvm::zip(given.getWrites(), given.getReads(), of.transitions, of.transitionMoves))
        if (state == part.state && (part.kind == Kind::End || part.kind == Kind::Matrix)) {
          writes.push_back(write);
          reads.push_back(read);
          transitions.push_back(number);
          transitionMoves.push_back(move);
        }
    }
    moves.append(outerMoves);
    moves.append(transitionMoves);
    ArrayAttr states = b.getArrayAttr(builder.result.parts);
    Operation *ends;
    if (transitions.empty())
      ends = recur::ExpandScanOp::create(b, builder.loc, TypeRange(), scan.getInputs(), scan.getParams(), inits,
                                         Value(), Value(), scan.getAxes(), states, b.getDenseI64ArrayAttr(keyAxes),
                                         b.getArrayAttr(ofDecays), b.getDenseI64ArrayAttr(outers), b.getArrayAttr({}));
    else {
      ends = recur::DeltaScanOp::create(b, builder.loc, TypeRange(), scan.getInputs(), scan.getParams(), inits, Value(),
                                        Value(), scan.getAxes(), states, b.getDenseI64ArrayAttr(keyAxes),
                                        b.getArrayAttr(ofDecays), b.getDenseI64ArrayAttr(outers),
                                        b.getDenseI64ArrayAttr(transitions), b.getArrayAttr({}));
      ends->setAttr(recur::kMovesAttr, b.getDenseI64ArrayAttr(moves));
    }
    IRMapping map;
    of.coefficients->cloneInto(&ends->getRegion(0), map);
    auto old = cast<recur::CoefficientsOp>(ends->getRegion(0).front().getTerminator());
    auto here = [&](SmallVectorImpl<Value> &list) {
      for (Value &value : list)
        value = map.lookup(value);
      return ValueRange(list);
    };
    b.setInsertionPoint(old);
    recur::CoefficientsOp::create(b, builder.loc, here(decays), here(keys), here(values), here(writes), here(reads),
                                  ValueRange());
    old.erase();
    Block &readout = ends->getRegion(1).emplaceBlock();
    for (BlockArgument argument : ends->getRegion(0).getArguments())
      readout.addArgument(argument.getType(), argument.getLoc());
    b.setInsertionPointToEnd(&readout);
    recur::YieldOp::create(b, builder.loc, ValueRange(), ValueRange());
    return ends;
  }

  const Expansion &of;
  PartsBuilder builder;
  SmallVector<int64_t> keyAxes;
};

} // namespace

static SegmentParts buildLinear(recur::LinearScanOp op, Region &step, Region &join) {
  PartsBuilder builder(op, op.getSemiring());
  IRMapping map;
  op.getCoefficients().cloneInto(&step, map);
  Block &block = step.front();
  recur::CoefficientsOp given = cast<recur::CoefficientsOp>(block.getTerminator());
  OpBuilder b(given);
  SmallVector<Value> updated;
  for (auto [s, decay] : llvm::enumerate(given.getDecays())) {
    auto type = cast<RankedTensorType>(decay.getType());
    builder.add({unsigned(s), Kind::End, type});
    builder.add({unsigned(s), Kind::Elementwise, type});
    Value end = block.addArgument(type, op.getLoc()), product = block.addArgument(type, op.getLoc());
    updated.push_back(combined(b, op.getLoc(), op.getSemiring(), decay, given.getValues()[s], end));
    recur::Fn fn = op.getSemiring() == recur::Semiring::PlusTimes ? recur::Fn::Mul : recur::Fn::Add;
    updated.push_back(recur::MapOp::create(b, op.getLoc(), type, fn, ValueRange{decay, product}));
  }
  recur::YieldOp::create(b, op.getLoc(), updated, ValueRange());
  given.erase();
  builder.buildJoin(join);
  return std::move(builder.result);
}

std::string rondo::noSegments(Operation *raised) {
  auto scan = cast<recur::ScanInterface>(raised);
  auto delta = dyn_cast<recur::DeltaScanOp>(raised);
  if (!delta)
    return "";
  Expansion of(delta);
  for (auto [decay, move] : llvm::zip(of.decays, of.decayMoves)) {
    unsigned s = decay.getState();
    if (!llvm::is_contained(of.transitions, static_cast<int64_t>(s)))
      continue;
    std::string name = "'" + scan.state(s).getName().str() + "'";
    if (decay.getAxes().size() > 1)
      return "a transition mixes the keys of state " + name + ", whose decay varies elementwise";
    bool isAlongValues = decay.getAxes().size() == 1 && decay.getAxes()[0] != of.keyAxes[s] && !decay.getBefore();
    bool isBeside =
        llvm::any_of(llvm::zip(of.transitions, of.transitionMoves), [s = s, move = move](auto &&transition) {
          return std::get<0>(transition) == s && std::get<1>(transition) == move;
        });
    if (isAlongValues && isBeside)
      return "a transition mixes the keys of state " + name +
             " beside a decay along its values: each column has a matrix of its own";
  }
  return "";
}

SegmentParts rondo::buildSegmentParts(Operation *raised, int64_t size, Region &step, Region &chunk, Region &join) {
  if (auto linear = dyn_cast<recur::LinearScanOp>(raised))
    return buildLinear(linear, step, join);
  auto expand = dyn_cast<recur::ExpandScanOp>(raised);
  Expansion of = expand ? Expansion(expand) : Expansion(cast<recur::DeltaScanOp>(raised));
  return ExpansionParts(of).build(size, step, chunk, join);
}
