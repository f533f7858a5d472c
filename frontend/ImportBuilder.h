// The importer's parts: types, the step's values, the function.
#pragma once
#include "dialects/Recur/Recur.h"
#include "frontend/Import.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include <unordered_map>

namespace rondo::frontend {

/// Types and places of one model.
class ImportTypes {
public:
  ImportTypes(const TypedModel &model, const SourceManager &sources, mlir::MLIRContext &context);

  /// tensor<axes..., shape...>. `lag` is the size of the lag axis where `axes` has one.
  mlir::RankedTensorType array(const ValueType &type, llvm::ArrayRef<std::string> axes,
                               int64_t lag = mlir::ShapedType::kDynamic) const;
  /// A value of the step: no implicit axes.
  mlir::RankedTensorType step(const ValueType &type) const { return array(type, {}); }
  mlir::RankedTensorType tensor(const TensorDecl &decl) const;
  mlir::RankedTensorType init(const State &state) const;
  mlir::RankedTensorType output(const ValueType &type, const Scan &scan) const;
  /// The final value of a state; `axis` counts over the axes of a model with several.
  mlir::RankedTensorType final(const State &state, unsigned axis) const;
  /// The state's name and reads. A distance that is a size stands as -1-i, i its place in recur.lags.
  mlir::Attribute stateAttr(const State &state, llvm::SmallVectorImpl<std::string> &lags) const;
  mlir::Attribute axisAttr(unsigned axis, bool reverse) const;
  mlir::Location place(Span span) const;
  mlir::Location place(Span span, llvm::StringRef name) const;

private:
  bool hasHead(bool perHead) const { return !model.heads || perHead; }

  const TypedModel &model;
  const SourceManager &sources;
  mlir::MLIRContext &context;
};

/// Makes the ops of one step.
class ImportStep {
public:
  ImportStep(const TypedModel &model, const ImportTypes &types, const std::unordered_map<ValueId, std::string> &names,
             mlir::OpBuilder &builder)
      : model(model), types(types), names(names), builder(builder) {}

  /// Values that exist already: the step's arguments.
  void define(ValueId id, mlir::Value value) { made[id] = value; }
  mlir::Value get(ValueId id) const { return made.at(id); }
  /// Makes `id`, whose operands are there.
  void emit(ValueId id);

private:
  mlir::Value create(const Value &value, mlir::Location place);
  mlir::Value constant(const Value &value, mlir::Location place);

  const TypedModel &model;
  const ImportTypes &types;
  const std::unordered_map<ValueId, std::string> &names;
  mlir::OpBuilder &builder;
  std::unordered_map<ValueId, mlir::Value> made;
};

/// The constant of type `type` with the elements of `data`, or with one of them everywhere.
mlir::DenseElementsAttr denseElements(mlir::RankedTensorType type, llvm::ArrayRef<std::complex<double>> data);

} // namespace rondo::frontend
