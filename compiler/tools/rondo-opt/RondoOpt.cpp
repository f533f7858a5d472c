// rondo-opt: reads IR, runs passes, prints IR. For tests and for people who look inside; nothing else uses it.
#include "compiler/Pipeline/Passes.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  rondo::registerDialects(registry);
  rondo::registerPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Rondo's IR, read, transformed and printed\n", registry));
}
