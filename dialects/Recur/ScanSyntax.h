// The text that all scans share: axes, states, and the clauses of operands.
#pragma once
#include "dialects/Recur/Recur.h"

namespace rondo::recur {

/// `name(%a, %b : A, B)`, or nothing; `count` becomes the number of operands.
mlir::ParseResult parseClause(mlir::OpAsmParser &parser, mlir::OperationState &result, llvm::StringRef name,
                              int32_t &count);
void printClause(mlir::OpAsmPrinter &printer, llvm::StringRef name, mlir::ValueRange operands);

/// `over [...] states [...]` and the operands, into the properties of an op with the operands of a scan.
template <typename Properties>
mlir::ParseResult parseScanOperands(mlir::OpAsmParser &parser, mlir::OperationState &result, Properties &properties) {
  if (parser.parseKeyword("over") || parser.parseAttribute(properties.axes))
    return mlir::failure();
  properties.states = parser.getBuilder().getArrayAttr({});
  if (mlir::succeeded(parser.parseOptionalKeyword("states")) && parser.parseAttribute(properties.states))
    return mlir::failure();
  for (auto [index, name] :
       llvm::enumerate(llvm::ArrayRef<llvm::StringRef>{"inputs", "params", "inits", "resets", "offsets"}))
    if (parseClause(parser, result, name, properties.operandSegmentSizes[index]))
      return mlir::failure();
  if (properties.operandSegmentSizes[3] > 1 || properties.operandSegmentSizes[4] > 1)
    return parser.emitError(parser.getNameLoc(), "at most one operand in 'resets' and in 'offsets'");
  return mlir::success();
}

void printScanOperands(mlir::OpAsmPrinter &printer, ScanInterface scan);

/// Names a step's state arguments after their states: %S for one step back, %S_3, %h_1_0 for others.
void nameStateArguments(ScanInterface scan, mlir::Region &region, mlir::OpAsmSetValueNameFn setName);

} // namespace rondo::recur
