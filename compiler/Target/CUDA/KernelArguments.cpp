// Arguments of kernels. See KernelArguments.h.
#include "compiler/Target/CUDA/KernelArguments.h"
#include "compiler/Target/CPU/CallFrame.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

static constexpr int kPerOperand = 6, kSizes = 5;

KernelArguments::KernelArguments(OpBuilder &b, Location loc, ModuleOp module, StringRef symbol, const Program &program,
                                 ArrayRef<int> tensors, ArrayRef<int> written)
    : b(b), loc(loc), module(module), program(program), tensors(tensors) {
  b.setInsertionPointToEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  SmallVector<Type> types;
  for (size_t i = 0; i < tensors.size(); ++i) {
    types.push_back(pointer);
    types.append(kPerOperand - 1, b.getI64Type());
  }
  types.append(kSizes, b.getI64Type());
  types.push_back(pointer);
  kernel = func::FuncOp::create(b, loc, symbol, b.getFunctionType(types, {}));
  // Loads of what no one writes may go through the read-only path, and past stores. An initial state may be its final state's memory.
  for (auto [i, tensor] : llvm::enumerate(tensors)) {
    TensorKind kind = program.tensors[tensor].kind;
    if (kind == TensorKind::Init || llvm::is_contained(written, tensor))
      continue;
    kernel.setArgAttr(i * kPerOperand, "llvm.noalias", b.getUnitAttr());
    kernel.setArgAttr(i * kPerOperand, "llvm.readonly", b.getUnitAttr());
  }
  b.setInsertionPointToStart(kernel.addEntryBlock());
}

/// A flat memref of unknown length at a raw pointer.
Value KernelArguments::memrefAt(Value pointer, Type element, Space space) const {
  Type i64 = b.getI64Type();
  auto array = LLVM::LLVMArrayType::get(i64, 1);
  auto type =
      LLVM::LLVMStructType::getLiteral(b.getContext(), {pointer.getType(), pointer.getType(), i64, array, array});
  Value descriptor = LLVM::PoisonOp::create(b, loc, type);
  auto insert = [&](Value value, ArrayRef<int64_t> position) {
    descriptor = LLVM::InsertValueOp::create(b, loc, descriptor, value, position);
  };
  insert(pointer, {0});
  insert(pointer, {1});
  insert(LLVM::ConstantOp::create(b, loc, i64, 0), {2});
  insert(LLVM::ConstantOp::create(b, loc, i64, INT64_MAX), {3, 0});
  insert(LLVM::ConstantOp::create(b, loc, i64, 1), {4, 0});
  Attribute memory = space == Space::Generic ? Attribute() : b.getI64IntegerAttr(static_cast<int64_t>(space));
  auto memref = MemRefType::get({ShapedType::kDynamic}, element, MemRefLayoutAttrInterface(), memory);
  return UnrealizedConversionCastOp::create(b, loc, memref, descriptor).getResult(0);
}

Operand KernelArguments::open(int number, Type inside) const {
  const TensorSpec &spec = program.tensors[tensors[number]];
  Operand operand;
  operand.element = cpu::partType(spec.type, b.getContext());
  operand.isComplex = isComplex(spec.type);
  for (const AxisSpec &axis : spec.axes) {
    operand.perBatch |= axis.axis == Axis::Batch || axis.axis == Axis::Sequence;
    operand.perTime |= axis.axis == Axis::Time;
    operand.perHead |= axis.axis == Axis::Head;
    operand.perGroup |= axis.axis == Axis::Group;
    if (axis.axis == Axis::Named)
      operand.shape.push_back(axis.size);
  }
  if (ArrayRef<int64_t> seen = inside ? cast<RankedTensorType>(inside).getShape() : ArrayRef(operand.shape);
      seen != ArrayRef(operand.shape)) {
    int64_t stride = operand.isComplex ? 2 : 1;
    for (size_t i = seen.size(); i-- > 0; stride *= operand.shape[i])
      if (seen[i] != operand.shape[i])
        operand.blockStride = seen[i] * stride;
    operand.whole = std::exchange(operand.shape, SmallVector<int64_t>(seen));
  }
  operand.memref = memrefAt(kernel.getArgument(number * kPerOperand), operand.element);
  for (int axis = 0; axis < 5; ++axis) {
    Value stride = kernel.getArgument(number * kPerOperand + 1 + axis);
    operand.strides[axis] = arith::IndexCastOp::create(b, loc, b.getIndexType(), stride);
    if (operand.isComplex)
      operand.strides[axis] =
          arith::MulIOp::create(b, loc, operand.strides[axis], arith::ConstantIndexOp::create(b, loc, 2));
  }
  return operand;
}

Value KernelArguments::size(int which) const {
  Value size = kernel.getArgument(tensors.size() * kPerOperand + which);
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), size);
}

Value KernelArguments::shared(Type real) { return memrefAt(sharedPointer(), real, Space::Shared); }

Value KernelArguments::sharedPointer() {
  constexpr const char *kName = "rondo_shared";
  auto type = LLVM::LLVMArrayType::get(b.getI8Type(), 0);
  if (!module.lookupSymbol(kName)) { // kernels on tiles share it
    OpBuilder::InsertionGuard keep(b);
    b.setInsertionPointToStart(module.getBody());
    LLVM::GlobalOp::create(b, loc, type, /*isConstant=*/false, LLVM::Linkage::External, kName, Attribute(),
                           /*alignment=*/128, static_cast<unsigned>(Space::Shared));
  }
  Type pointer = LLVM::LLVMPointerType::get(b.getContext(), static_cast<unsigned>(Space::Shared));
  return LLVM::AddressOfOp::create(b, loc, pointer, kName);
}

Value KernelArguments::scratch(Type real, int64_t reals, Value block) {
  Value all = kernel.getArgument(tensors.size() * kPerOperand + kSizes);
  Value number = arith::IndexCastOp::create(b, loc, b.getI64Type(), block);
  Value offset = LLVM::MulOp::create(b, loc, number, LLVM::ConstantOp::create(b, loc, b.getI64Type(), reals));
  return memrefAt(LLVM::GEPOp::create(b, loc, all.getType(), real, all, ArrayRef<LLVM::GEPArg>{offset}), real);
}

static Value special(OpBuilder &b, Location loc, Value i32) {
  return arith::IndexCastUIOp::create(b, loc, b.getIndexType(), i32);
}
void ScanOperands::open(OpBuilder &b, Location loc, ModuleOp module, StringRef symbol, const Program &program,
                        const ScanTensors &tensors, Launch &launch, const Parts &parts) {
  SmallVector<int> all, written;
  for (auto *list : {&tensors.inputs, &tensors.params, &tensors.inits, &tensors.outputs, &tensors.finals,
                     &tensors.histories, &tensors.resets, &tensors.offsets})
    all.append(list->begin(), list->end());
  for (auto *list : {&tensors.outputs, &tensors.finals, &tensors.histories})
    written.append(list->begin(), list->end());
  launch.operands.assign(all.begin(), all.end());
  arguments.emplace(b, loc, module, symbol, program, all, written);
  int number = 0;
  auto openAll = [&](ArrayRef<int> list, SmallVectorImpl<Operand> &operands, ArrayRef<Value> inside = {}) {
    for (size_t i = 0; i < list.size(); ++i) {
      Operand operand = arguments->open(number++, inside.empty() ? Type() : inside[i].getType());
      if (launch.packed && operand.perTime)
        operand.perBatch = false; // all sequences lie in one batch entry
      launch.perHead |= operand.perHead || operand.perGroup;
      operands.push_back(std::move(operand));
    }
  };
  openAll(tensors.inputs, inputs, parts.inputs);
  openAll(tensors.params, params, parts.params);
  openAll(tensors.inits, inits, parts.inits);
  openAll(tensors.outputs, outputs, parts.outputs);
  openAll(tensors.finals, finals, parts.finals);
  openAll(tensors.histories, histories);
  openAll(tensors.resets, resets);
  openAll(tensors.offsets, offsets);
}

void rondo::cuda::takeRegisters(func::FuncOp kernel, int64_t blocks) {
  Builder b(kernel.getContext());
  kernel->setAttr(
      "passthrough",
      b.getArrayAttr({b.getArrayAttr({b.getStringAttr("nvvm.minctasm"), b.getStringAttr(std::to_string(blocks))})}));
}

Value rondo::cuda::threadNumber(OpBuilder &b, Location loc) {
  return special(b, loc, NVVM::ThreadIdXOp::create(b, loc, b.getI32Type()));
}
Value rondo::cuda::blockNumber(OpBuilder &b, Location loc) {
  return special(b, loc, NVVM::BlockIdXOp::create(b, loc, b.getI32Type()));
}
void rondo::cuda::barrier(OpBuilder &b, Location loc) { NVVM::Barrier0Op::create(b, loc); }
