// Values of a step made anew in another region: cloned with what they depend on, or built out of the factors of a linear form.
#pragma once
#include "compiler/Analysis/LinearForm.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include <map>

namespace rondo {

/// A constant of one number in every element of `type`, real or complex.
mlir::Value constantOf(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type, double number);

/// Makes values of a scan's step in `block`, whose first arguments stand for the inputs and parameters of the step.
class StepValues {
public:
  StepValues(recur::Step step, mlir::Block *block);

  /// Says what stands for a value of the step here.
  void set(mlir::Value ofStep, mlir::Value here) { known.map(ofStep, here); }
  bool has(mlir::Value ofStep) const { return known.contains(ofStep); }
  /// The value here; what it depends on is cloned, up to values that stand for something already.
  mlir::Value get(mlir::Value ofStep);

  /// scale * product of `factors`, an array over `letters` in this order, whose axes are called and sized as in `axes`. Letters
  /// that none of the factors has are repeated; those of the factors that are not in `letters` are summed over.
  mlir::Value product(llvm::ArrayRef<analysis::Factor> factors, double scale, llvm::ArrayRef<int> letters,
                      mlir::RankedTensorType axes);
  mlir::Value map(recur::Fn fn, llvm::ArrayRef<mlir::Value> operands);
  /// The operand repeated along new axes, so that it has `type`; `has` are the positions of its own axes.
  mlir::Value repeated(mlir::Value operand, llvm::ArrayRef<int64_t> has, mlir::RankedTensorType type);

  mlir::OpBuilder b;
  mlir::Location loc;

private:
  mlir::IRMapping known;
  std::map<std::string, mlir::Value> products;
};

/// The axes of `type` at `positions`, in this order; implicit axes, which come first, are counted.
mlir::RankedTensorType axesOf(mlir::RankedTensorType type, llvm::ArrayRef<int64_t> positions);

} // namespace rondo
