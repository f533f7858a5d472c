// See TileLanes.h.
#include "compiler/Target/CUDA/TileLanes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace rondo::cuda;

Lanes::Lanes(OpBuilder &b, Location loc, Type element) : b(b), loc(loc), element(element) {}

Value Lanes::i32(int64_t value) { return arith::ConstantIntOp::create(b, loc, b.getI32Type(), value); }
Value Lanes::f32(double value) {
  return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(static_cast<float>(value)));
}
Value Lanes::add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(loc, x, y); }
Value Lanes::sub(Value x, Value y) { return b.createOrFold<arith::SubIOp>(loc, x, y); }
Value Lanes::mul(Value x, Value y) { return b.createOrFold<arith::MulIOp>(loc, x, y); }
Value Lanes::div(Value x, Value y) { return b.createOrFold<arith::DivUIOp>(loc, x, y); }
Value Lanes::rem(Value x, int64_t y) { return b.createOrFold<arith::RemUIOp>(loc, x, i32(y)); }
Value Lanes::bitAnd(Value x, int64_t y) { return b.createOrFold<arith::AndIOp>(loc, x, i32(y)); }
Value Lanes::bitXor(Value x, Value y) { return b.createOrFold<arith::XOrIOp>(loc, x, y); }
Value Lanes::shl(Value x, int64_t bits) { return b.createOrFold<arith::ShLIOp>(loc, x, i32(bits)); }
Value Lanes::shr(Value x, int64_t bits) { return shr(x, i32(bits)); }
Value Lanes::shr(Value x, Value bits) { return b.createOrFold<arith::ShRUIOp>(loc, x, bits); }
Value Lanes::less(Value x, Value y) { return b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, x, y); }
Value Lanes::least(Value x, Value y) { return b.createOrFold<arith::MinSIOp>(loc, x, y); }
Value Lanes::equal(Value x, Value y) { return b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, x, y); }
Value Lanes::both(Value x, Value y) { return b.createOrFold<arith::AndIOp>(loc, x, y); }
Value Lanes::select(Value condition, Value x, Value y) { return b.createOrFold<arith::SelectOp>(loc, condition, x, y); }
Value Lanes::addf(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
Value Lanes::mulf(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
Value Lanes::fma(Value x, Value y, Value z) { return math::FmaOp::create(b, loc, x, y, z); }

Value Lanes::sharedAt(Value offset, int64_t constant) {
  Type pointer = sharedBase.getType();
  Value place = LLVM::GEPOp::create(b, loc, pointer, b.getI8Type(), sharedBase, ArrayRef<LLVM::GEPArg>{offset});
  if (constant)
    place = LLVM::GEPOp::create(b, loc, pointer, b.getI8Type(), place,
                                ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(constant)});
  return place;
}

static unsigned alignmentOf(Type type) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.getNumElements() * vector.getElementTypeBitWidth() / 8;
  return type.getIntOrFloatBitWidth() / 8;
}

Value Lanes::same(Value x) {
  return LLVM::InlineAsmOp::create(b, loc, x.getType(), x, "", "=r,0", /*has_side_effects=*/true,
                                   /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(),
                                   ArrayAttr())
      .getResult(0);
}
Value Lanes::loadShared(Type type, Value offset, int64_t constant) {
  return LLVM::LoadOp::create(b, loc, type, sharedAt(offset, constant), alignmentOf(type));
}
void Lanes::storeShared(Value value, Value offset, int64_t constant) {
  LLVM::StoreOp::create(b, loc, value, sharedAt(offset, constant), alignmentOf(value.getType()));
}
Value Lanes::at(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(b, loc, pointer.getType(), b.getI8Type(), pointer, ArrayRef<LLVM::GEPArg>{bytes});
}
Value Lanes::load(Type type, Value pointer) { return LLVM::LoadOp::create(b, loc, type, pointer, alignmentOf(type)); }
void Lanes::store(Value value, Value pointer) {
  LLVM::StoreOp::create(b, loc, value, pointer, alignmentOf(value.getType()));
}
Value Lanes::wide(Value x) { return b.createOrFold<arith::ExtSIOp>(loc, b.getI64Type(), x); }

void Lanes::copyAsync(Value offset, Value pointer, Value bytes) {
  auto global = LLVM::LLVMPointerType::get(b.getContext(), 1);
  if (pointer.getType() != global)
    pointer = LLVM::AddrSpaceCastOp::create(b, loc, global, pointer);
  NVVM::CpAsyncOp::create(b, loc, sharedAt(offset, 0), pointer, b.getI32IntegerAttr(16),
                          NVVM::LoadCacheModifierKindAttr::get(b.getContext(), NVVM::LoadCacheModifierKind::CG), bytes);
}
void Lanes::commitCopies() { NVVM::CpAsyncCommitGroupOp::create(b, loc); }
void Lanes::waitCopies(int64_t pending) { NVVM::CpAsyncWaitGroupOp::create(b, loc, b.getI32IntegerAttr(pending)); }
void Lanes::barrier() { NVVM::Barrier0Op::create(b, loc); }
void Lanes::syncWarp() { NVVM::SyncWarpOp::create(b, loc, i32(-1)); }

Value Lanes::shuffle(Value x, int64_t by, int64_t mask, int kind) {
  return NVVM::ShflOp::create(b, loc, x.getType(), i32(-1), x, i32(by), i32(mask), static_cast<NVVM::ShflKind>(kind),
                              UnitAttr());
}
Value Lanes::exchange(Value x, int64_t by) { return shuffle(x, by, 31, static_cast<int>(NVVM::ShflKind::bfly)); }
Value Lanes::shuffleUp(Value x, int64_t by, int64_t width) {
  return shuffle(x, by, (32 - width) << 8, static_cast<int>(NVVM::ShflKind::up));
}
Value Lanes::shuffleDown(Value x, int64_t by, int64_t width) {
  return shuffle(x, by, ((32 - width) << 8) | 31, static_cast<int>(NVVM::ShflKind::down));
}
Value Lanes::shuffleFrom(Value x, int64_t lane, int64_t width) {
  return shuffle(x, lane, ((32 - width) << 8) | 31, static_cast<int>(NVVM::ShflKind::idx));
}

Value Lanes::part(Value vector, int64_t which) { return LLVM::ExtractElementOp::create(b, loc, vector, i32(which)); }
Value Lanes::pair(Value first, Value second) {
  Value two = LLVM::PoisonOp::create(b, loc, VectorType::get(2, first.getType()));
  two = LLVM::InsertElementOp::create(b, loc, two, first, i32(0));
  return LLVM::InsertElementOp::create(b, loc, two, second, i32(1));
}
Value Lanes::four(ValueRange numbers) {
  Value four = LLVM::PoisonOp::create(b, loc, VectorType::get(4, numbers[0].getType()));
  for (int64_t i = 0; i < 4; ++i)
    four = LLVM::InsertElementOp::create(b, loc, four, numbers[i], i32(i));
  return four;
}

Value Lanes::pack(Value low, Value high) {
  Type pair = VectorType::get(2, element);
  auto nearest = NVVM::FPRoundingModeAttr::get(b.getContext(), NVVM::FPRoundingMode::RN);
  Value packed;
  if (element.isBF16())
    packed = NVVM::ConvertF32x2ToBF16x2Op::create(b, loc, pair, high, low, /*random_bits=*/Value(), nearest);
  else
    packed = NVVM::ConvertF32x2ToF16x2Op::create(b, loc, pair, high, low, /*random_bits=*/Value(), nearest);
  return LLVM::BitcastOp::create(b, loc, b.getI32Type(), packed);
}

std::array<Value, 2> Lanes::unpack(Value pair) {
  if (element.isBF16()) { // a bf16 is the upper half of an f32
    Value low = arith::BitcastOp::create(b, loc, b.getF32Type(), shl(pair, 16));
    Value high = arith::BitcastOp::create(b, loc, b.getF32Type(), bitAnd(pair, 0xffff0000));
    return {low, high};
  }
  Value halves = LLVM::BitcastOp::create(b, loc, VectorType::get(2, element), pair);
  std::array<Value, 2> values;
  for (int64_t i : {0, 1}) {
    Value half = LLVM::ExtractElementOp::create(b, loc, halves, i32(i));
    values[i] = arith::ExtFOp::create(b, loc, b.getF32Type(), half);
  }
  return values;
}

Value Lanes::packRest(Value low, Value high, Value packed) {
  auto [x, y] = unpack(packed);
  Value less = f32(-1);
  return pack(fma(x, less, low), fma(y, less, high));
}

SmallVector<Value> Lanes::loadCores(Value offset, int64_t constant, bool transposed) {
  Type i32Type = b.getI32Type();
  Type four = LLVM::LLVMStructType::getLiteral(b.getContext(), {i32Type, i32Type, i32Type, i32Type});
  auto layout = NVVM::MMALayoutAttr::get(b.getContext(), transposed ? NVVM::MMALayout::col : NVVM::MMALayout::row);
  auto shape = NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8);
  auto type = NVVM::LdStMatrixEltTypeAttr::get(b.getContext(), NVVM::LdStMatrixEltType::B16);
  Value loaded =
      NVVM::LdMatrixOp::create(b, loc, four, sharedAt(offset, constant), b.getI32IntegerAttr(4), layout, shape, type);
  SmallVector<Value> cores;
  for (int64_t i = 0; i < 4; ++i)
    cores.push_back(LLVM::ExtractValueOp::create(b, loc, loaded, i));
  return cores;
}

void Lanes::storeCores(Value offset, int64_t constant, ValueRange cores) {
  NVVM::StMatrixOp::create(b, loc, sharedAt(offset, constant), cores,
                           NVVM::MMALayoutAttr::get(b.getContext(), NVVM::MMALayout::col),
                           NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8),
                           NVVM::LdStMatrixEltTypeAttr::get(b.getContext(), NVVM::LdStMatrixEltType::B16));
}

Value Lanes::transposeCore(Value core) {
  auto op = LLVM::InlineAsmOp::create(
      b, loc, b.getI32Type(), ValueRange{core}, "movmatrix.sync.aligned.m8n8.trans.b16 $0, $1;", "=r,r",
      /*has_side_effects=*/false,
      /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
  return op.getResult(0);
}

Accumulator Lanes::multiply(ArrayRef<Value> a, ArrayRef<Value> bs, const Accumulator &c) {
  Type f = b.getF32Type();
  Type result = LLVM::LLVMStructType::getLiteral(b.getContext(), {f, f, f, f});
  NVVM::MMATypes type = element.isBF16() ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  auto cast = [&](ArrayRef<Value> registers) {
    SmallVector<Value> values(registers);
    if (!element.isBF16())
      for (Value &value : values)
        value = LLVM::BitcastOp::create(b, loc, VectorType::get(2, element), value);
    return values;
  };
  Value sum = NVVM::MmaOp::create(b, loc, result, cast(a), cast(bs), ValueRange(c), {16, 8, 16}, std::nullopt,
                                  std::nullopt, std::array<NVVM::MMATypes, 2>{type, type},
                                  std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row, NVVM::MMALayout::col});
  Accumulator out;
  for (int64_t i = 0; i < 4; ++i)
    out[i] = LLVM::ExtractValueOp::create(b, loc, sum, i);
  return out;
}

Accumulator Lanes::zeros() {
  Value zero = f32(0);
  return {zero, zero, zero, zero};
}
