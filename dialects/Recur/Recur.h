// The recur dialect's C++ face.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Recur/RecurDialect.h.inc"
#include "dialects/Recur/RecurEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Recur/RecurAttrs.h.inc"

namespace rondo::recur {
/// True for a ranked tensor of real, complex or i1 elements whose encoding is a DimsAttr.
bool isArray(mlir::Type type);
/// The axis names of an array type.
DimsAttr dimsOf(mlir::Type type);
/// True for an array without axes.
bool isScalar(mlir::Type type);

/// What an array's elements are, whatever their width.
enum class ElementKind { None, Real, Complex, Truth };
ElementKind elementKind(mlir::Type type);

/// Names of discardable attributes on a model's function, its arguments and its results.
inline constexpr const char *kNameAttr = "recur.name"; // StrAttr: the spec's name of an argument or a result
inline constexpr const char *kKindAttr =
    "recur.kind"; // StrAttr: "input", "param", "init", "resets", "offsets"; results: "output", "final"
inline constexpr const char *kRangeAttr = "recur.range"; // IntervalAttr: the declared interval
inline constexpr const char *kCotangentAttr =
    "recur.cotangent"; // StrAttr: the tensor whose cotangent an argument or a result is
inline constexpr const char *kKeptAttr =
    "recur.kept"; // UnitAttr: an argument that another half of the gradient computed
inline constexpr const char *kDimsAttr = "recur.dims"; // on the function: ArrayAttr of the spec's dimension names
inline constexpr const char *kAxesAttr = "recur.axes"; // on the function: ArrayAttr of StrAttr, the scanned axes' names
inline constexpr const char *kDefaultAttr =
    "recur.default"; // inits: ElementsAttr, the value when the caller gives none
inline constexpr const char *kRecurrentAttr = "recur.recurrent"; // UnitAttr: params that multiply a state
inline constexpr const char *kHeadsAttr =
    "recur.heads"; // on the function: UnitAttr, the model has an implicit head axis
inline constexpr const char *kHeadCountAttr =
    "recur.head_count"; // on the function: StrAttr, the size of an explicit head axis
inline constexpr const char *kLagsAttr =
    "recur.lags"; // on the function: ArrayAttr of StrAttr, sizes that states look back by

/// A discardable attribute of a delta_scan: DenseI64ArrayAttr, the move in which each decay, outer product and transition takes part.
inline constexpr const char *kMovesAttr = "recur.moves";

/// One operand's and the result's letters of a contraction such as "kv,k->v".
struct ContractSpec {
  llvm::SmallVector<std::string> operands;
  std::string result;
};
/// How many operands a function takes.
unsigned arity(Fn fn);

/// Splits a contraction's text; empty when it is malformed.
std::optional<ContractSpec> parseContractSpec(llvm::StringRef spec);
} // namespace rondo::recur

#include "dialects/Recur/RecurInterfaces.h.inc"

namespace rondo::recur {
/// On ops whose regions end in `recur.yield` and that are no plain recurrence.
template <typename Op> class HoldsSteps : public mlir::OpTrait::TraitBase<Op, HoldsSteps> {};
} // namespace rondo::recur

#define GET_OP_CLASSES
#include "dialects/Recur/RecurOps.h.inc"

namespace rondo::recur {
/// A region of a scan, and what its arguments stand for: inputs, then parameters, then the reads of each state.
class Step {
public:
  /// `block` is a region's block with the layout of a step.
  Step(ScanInterface scan, mlir::Block *block) : scan(scan), block(block) {}
  Step(ScanOp scan);
  llvm::ArrayRef<mlir::BlockArgument> inputArgs() const;
  llvm::ArrayRef<mlir::BlockArgument> paramArgs() const;
  /// One argument per read of the state.
  llvm::ArrayRef<mlir::BlockArgument> stateArgs(unsigned state) const;
  YieldOp yield() const;
  mlir::Block *getBlock() const { return block; }
  ScanInterface getScan() const { return scan; }

private:
  mutable ScanInterface scan; // an op handle, whose accessors are not const
  mlir::Block *block;
};

/// The implicit axis that a scan's axis is stored under: "time", "time1", ...
std::string timeAxisName(unsigned axis);
/// The implicit axes of a scan's results: of an output (no finalAxis), or of a state's final value along one axis.
llvm::SmallVector<std::string> resultAxes(ScanInterface scan, std::optional<unsigned> finalAxis, bool lag);
} // namespace rondo::recur
