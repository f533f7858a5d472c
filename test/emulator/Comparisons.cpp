// Predicates: comparisons, their logic, and selections by them.
#include "test/emulator/Operations.h"
#include <cmath>

namespace rondo::emulator {
namespace {

uint32_t predicate(const Warp &warp, uint32_t operand) {
  if (operand & kConstant)
    return *warp.in<uint32_t>(operand) ? ~0u : 0;
  return warp.predicates[operand];
}

void setPredicate(Warp &warp, uint32_t operand, uint32_t mask, uint32_t bits) {
  uint32_t &kept = warp.predicates[operand];
  kept = (kept & ~mask) | (bits & mask);
}

enum class Join { None, And, Or, Xor };

/// setp.<compare>[.<join>].<type> d, a, b[, c]
template <class F, class T, Join join> Step compare(Warp &warp, const Instruction &i, uint32_t mask) {
  const T *a = read<T>(warp, i.operands[1]), *b = read<T>(warp, i.operands[2]);
  uint32_t bits = 0;
  for (int lane = 0; lane < 32; ++lane)
    bits |= uint32_t(F{}(a[lane], b[lane])) << lane;
  if constexpr (join != Join::None) {
    const uint32_t other = predicate(warp, i.operands[3]);
    bits = join == Join::And ? bits & other : join == Join::Or ? bits | other : bits ^ other;
  }
  setPredicate(warp, i.operands[0], mask, bits);
  return Step::Next;
}

template <class T, class F> void addComparison(Table &table, const std::string &name, const std::string &type, F) {
  table["setp." + name + "." + type] = {&compare<F, T, Join::None>};
  table["setp." + name + ".and." + type] = {&compare<F, T, Join::And>};
  table["setp." + name + ".or." + type] = {&compare<F, T, Join::Or>};
  table["setp." + name + ".xor." + type] = {&compare<F, T, Join::Xor>};
}

template <class T> void addOrder(Table &table, const std::string &type) {
  addComparison<T>(table, "eq", type, [](T a, T b) { return a == b; });
  addComparison<T>(table, "ne", type, [](T a, T b) { return a != b; });
  addComparison<T>(table, "lt", type, [](T a, T b) { return a < b; });
  addComparison<T>(table, "le", type, [](T a, T b) { return a <= b; });
  addComparison<T>(table, "gt", type, [](T a, T b) { return a > b; });
  addComparison<T>(table, "ge", type, [](T a, T b) { return a >= b; });
}

double opened(float x) { return double(x); }
double opened(double x) { return x; }
double opened(_Float16 x) { return double(x); }
double opened(BFloat x) { return double(toFloat(x)); }

/// Comparisons of floats: plain ones are false with a NaN, those with a "u" true.
template <class T> void addFloatOrder(Table &table, const std::string &type) {
  addComparison<T>(table, "eq", type, [](T a, T b) { return opened(a) == opened(b); });
  addComparison<T>(table, "ne", type, [](T a, T b) { return opened(a) < opened(b) || opened(a) > opened(b); });
  addComparison<T>(table, "lt", type, [](T a, T b) { return opened(a) < opened(b); });
  addComparison<T>(table, "le", type, [](T a, T b) { return opened(a) <= opened(b); });
  addComparison<T>(table, "gt", type, [](T a, T b) { return opened(a) > opened(b); });
  addComparison<T>(table, "ge", type, [](T a, T b) { return opened(a) >= opened(b); });
  addComparison<T>(table, "equ", type, [](T a, T b) { return !(opened(a) < opened(b) || opened(a) > opened(b)); });
  addComparison<T>(table, "neu", type, [](T a, T b) { return !(opened(a) == opened(b)); });
  addComparison<T>(table, "ltu", type, [](T a, T b) { return !(opened(a) >= opened(b)); });
  addComparison<T>(table, "leu", type, [](T a, T b) { return !(opened(a) > opened(b)); });
  addComparison<T>(table, "gtu", type, [](T a, T b) { return !(opened(a) <= opened(b)); });
  addComparison<T>(table, "geu", type, [](T a, T b) { return !(opened(a) < opened(b)); });
  addComparison<T>(table, "num", type, [](T a, T b) { return !std::isnan(opened(a)) && !std::isnan(opened(b)); });
  addComparison<T>(table, "nan", type, [](T a, T b) { return std::isnan(opened(a)) || std::isnan(opened(b)); });
}

template <class F> Step logic(Warp &warp, const Instruction &i, uint32_t mask) {
  setPredicate(warp, i.operands[0], mask, F{}(predicate(warp, i.operands[1]), predicate(warp, i.operands[2])));
  return Step::Next;
}
template <class F> void addLogic(Table &table, const char *opcode, F) { table[opcode] = {&logic<F>}; }

Step moveOrNot(Warp &warp, const Instruction &i, uint32_t mask, bool isNot) {
  const uint32_t bits = predicate(warp, i.operands[1]);
  setPredicate(warp, i.operands[0], mask, isNot ? ~bits : bits);
  return Step::Next;
}

template <class T> Step select(Warp &warp, const Instruction &i, uint32_t mask) {
  const T *yes = read<T>(warp, i.operands[1]), *no = read<T>(warp, i.operands[2]);
  const uint32_t chosen = predicate(warp, i.operands[3]);
  T *out = write<T>(warp, i.operands[0]);
  forLanes(mask, [&](int lane) { out[lane] = (chosen >> lane) & 1 ? yes[lane] : no[lane]; });
  return Step::Next;
}

/// vote.sync.<mode>.pred d, p, members: all lanes are members.
template <class F> Step vote(Warp &warp, const Instruction &i, uint32_t mask) {
  const bool result = F{}(predicate(warp, i.operands[1]) & mask, mask);
  setPredicate(warp, i.operands[0], mask, result ? ~0u : 0);
  return Step::Yield; // who votes may be polling
}
template <class F> void addVote(Table &table, const char *opcode, F) { table[opcode] = {&vote<F>, true}; }

} // namespace

void addComparisons(Table &table) {
  addOrder<uint16_t>(table, "u16");
  addOrder<uint16_t>(table, "b16");
  addOrder<int16_t>(table, "s16");
  addOrder<uint32_t>(table, "u32");
  addOrder<uint32_t>(table, "b32");
  addOrder<int32_t>(table, "s32");
  addOrder<uint64_t>(table, "u64");
  addOrder<uint64_t>(table, "b64");
  addOrder<int64_t>(table, "s64");
  addFloatOrder<float>(table, "f32");
  addFloatOrder<double>(table, "f64");
  addFloatOrder<_Float16>(table, "f16");
  addFloatOrder<BFloat>(table, "bf16");
  addLogic(table, "and.pred", [](uint32_t a, uint32_t b) { return a & b; });
  addLogic(table, "or.pred", [](uint32_t a, uint32_t b) { return a | b; });
  addLogic(table, "xor.pred", [](uint32_t a, uint32_t b) { return a ^ b; });
  table["not.pred"] = {[](Warp &w, const Instruction &i, uint32_t mask) { return moveOrNot(w, i, mask, true); }};
  table["mov.pred"] = {[](Warp &w, const Instruction &i, uint32_t mask) { return moveOrNot(w, i, mask, false); }};
  for (const char *sign : {"b", "u", "s"}) {
    table[std::string("selp.") + sign + "16"] = {&select<uint16_t>};
    table[std::string("selp.") + sign + "32"] = {&select<uint32_t>};
    table[std::string("selp.") + sign + "64"] = {&select<uint64_t>};
  }
  table["selp.f32"] = {&select<uint32_t>};
  table["selp.f64"] = {&select<uint64_t>};
  addVote(table, "vote.sync.any.pred", [](uint32_t bits, uint32_t) { return bits != 0; });
  addVote(table, "vote.sync.all.pred", [](uint32_t bits, uint32_t mask) { return bits == mask; });
}

} // namespace rondo::emulator
