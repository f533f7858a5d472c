// The recur dialect: what a recurrence computes, with nothing about how. See README.md beside this file for the rationale.
#ifndef RONDO_RECUR_DIALECT
#define RONDO_RECUR_DIALECT
include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Recur_Dialect : Dialect {
  let name = "recur";
  let cppNamespace = "::rondo::recur";
  let summary = "Recurrences over time: scans, and the arithmetic of one step";
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
  }];
}
#endif
