// A model as a program that the reference interpreter runs.
#pragma once
#include "compiler/Reference/Sizes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "rondo/Program.h"
#include <memory>

namespace rondo::driver {

/// `noise`, `products`: see reference::interpret; `products` is the type that operands of matrix products are rounded to, f64 for none.
/// `module` holds the model with sizes bound and real numbers as f64: what is computed. `signature` gives the element types in
/// memory. The program keeps the module and its context alive.
std::shared_ptr<const Program> makeReferenceProgram(std::shared_ptr<mlir::MLIRContext> context,
                                                    mlir::OwningOpRef<mlir::ModuleOp> module, Program signature,
                                                    reference::Noise noise = {}, DType products = DType::F64);

} // namespace rondo::driver
